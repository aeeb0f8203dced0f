//! L 103 to 105: GC, with and without knowledge of what is valid.

use ropewalk_e2e::{Value, json};

use crate::command::{Host, fails};
use crate::{ID, list, whats};

/// Attaches c1, c2 and c3 to lan, and c1 to dmz; forgets the calls.
fn four_attachments(host: &Host) {
    host.configure("20-dmz.conflist", &list("dmz", "a"));
    for (network, id) in [("lan", "c1"), ("lan", "c2"), ("lan", "c3"), ("dmz", "c1")] {
        let arguments = ["add", network, "/run/netns/c1", "--container-id", id];
        let tool = host.tool().variable("CNI_ARGS", "IgnoreUnknown=1");
        tool.run(&arguments).result();
    }
    host.calls();
}

#[test]
fn l_103_gc_without_valid_attachments_deletes_all_of_this_network() {
    let host = Host::new();
    host.network("1.0.0", &["a"]);
    four_attachments(&host);
    host.run("gc").silent();
    let calls = host.calls();
    assert_eq!(whats(&calls), ["DEL a", "DEL a", "DEL a"]);
    for variable in ["CNI_CONTAINERID=c1", "CNI_NETNS=/run/netns/c1", "CNI_ARGS=IgnoreUnknown=1"] {
        assert!(calls[0].variables.iter().any(|found| found == variable), "{calls:?}");
    }
    assert_eq!(host.records(), ["dmz-c1-eth0"]);
}

#[test]
fn l_103_plugins_are_told_nothing_when_nothing_is_known() {
    let host = Host::new();
    host.network("1.1.0", &["a"]);
    four_attachments(&host);
    host.run("gc").silent();
    let calls = host.calls();
    assert_eq!(whats(&calls), ["DEL a", "DEL a", "DEL a", "GC a"]);
    assert_eq!(calls[3].text, r#"{"cniVersion":"1.1.0","name":"lan","type":"a"}"#);
}

#[test]
fn l_104_gc_keeps_valid_attachments_and_tells_the_plugins() {
    let host = Host::new();
    host.network("1.1.0", &["a", "b"]);
    four_attachments(&host);
    let arguments = ["gc", "lan", "--valid", "c1/eth0", "--valid", "c3/eth0"];
    host.tool().run(&arguments).silent();
    let calls = host.calls();
    assert_eq!(whats(&calls), ["DEL b", "DEL a", "GC a", "GC b"]);
    let valid = json!([
        { "containerID": "c1", "ifname": "eth0" },
        { "containerID": "c3", "ifname": "eth0" },
    ]);
    assert_eq!(calls[2].stdin["cni.dev/valid-attachments"], valid);
    assert_eq!(calls[2].stdin["cni.dev/attachments"], valid);
    assert_eq!(host.records(), ["dmz-c1-eth0", "lan-c1-eth0", "lan-c3-eth0"]);
}

#[test]
fn l_104_what_is_on_record_can_be_what_is_valid() {
    let host = Host::new();
    host.network("1.1.0", &["a"]);
    four_attachments(&host);
    host.tool().run(&["gc", "lan", "--recorded"]).silent();
    let calls = host.calls();
    assert_eq!(whats(&calls), ["GC a"]);
    let valid = calls[0].stdin["cni.dev/valid-attachments"].as_array().expect("a list");
    assert_eq!(valid.len(), 3);
    host.tool().run(&["gc", "lan", "--none"]).silent();
    let calls = host.calls();
    assert_eq!(whats(&calls), ["DEL a", "DEL a", "DEL a", "GC a"]);
    assert_eq!(calls[3].stdin["cni.dev/valid-attachments"], json!([]));
}

#[test]
fn l_104_gc_goes_on_after_failures_and_reports_all() {
    let host = Host::new();
    host.network("1.1.0", &["a", "b"]);
    host.run("add").result();
    host.fail(&["DEL b", "GC a"]);
    host.calls();
    let outcome = host.run("gc");
    let stale =
        format!("failed to delete stale attachment {ID} eth0: plugin type=\"b\" failed (delete)");
    fails(&outcome, 1, &stale);
    fails(&outcome, 1, "failed to GC plugin a: told to; by the test");
    assert_eq!(host.verbs(), ["DEL b", "DEL a", "GC a", "GC b"]);
}

#[test]
fn l_105_gc_can_be_disabled() {
    let host = Host::new();
    let mut list: Value = list("lan", "a").parse().expect("a list is JSON");
    list["cniVersion"] = json!("1.1.0");
    list["disableGC"] = json!(true);
    host.configure("10.conflist", &list.to_string());
    host.run("add").result();
    host.calls();
    host.run("gc").silent();
    assert_eq!(host.verbs(), Vec::<String>::new());
    assert_eq!(host.records().len(), 1);
}
