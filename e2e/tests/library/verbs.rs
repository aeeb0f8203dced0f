//! L 92 to 102, 106, 107 and A 68: ADD, CHECK, DEL and STATUS, and the records they keep.

use ropewalk_e2e::{Value, json};

use crate::command::{Host, fails};
use crate::{ID, RECORD, list, names, whats};

#[test]
fn l_92_the_plugin_that_failed_is_named() {
    let host = Host::new();
    host.network("1.0.0", &["a"]);
    host.fail(&["ADD a"]);
    fails(&host.run("add"), 1, r#"plugin type="a" failed (add): told to; by the test"#);
}

#[test]
fn l_93_the_plugins_own_name_is_told_too() {
    let host = Host::new();
    host.configure("10.conf", r#"{"cniVersion": "1.0.0", "name": "lan", "type": "a"}"#);
    host.fail(&["ADD a"]);
    fails(&host.run("add"), 1, r#"plugin type="a" name="lan" failed (add): told to"#);
}

#[test]
fn l_94_an_attachment_is_put_on_record() {
    let host = Host::new();
    host.network("1.0.0", &["a", "b"]);
    let tool = host.tool().variable("CNI_ARGS", "IgnoreUnknown=1;K8S=x");
    let tool = tool.variable("CAP_ARGS", r#"{"mac": "02:00:00:00:00:01"}"#);
    let result = tool.run(&["add", "lan", "/run/netns/c1"]).result();
    assert_eq!((host.lab.mode(RECORD), host.lab.mode("/var/lib/cni/results")), (0o600, 0o700));
    // The order of keys is libcni's; `config` is the file in base64.
    let config = host.lab.sh("base64 -w0 /etc/cni/net.d/10-lan.conflist");
    let expected = format!(
        r#"{{"kind":"cniCacheV1","containerId":"{ID}","config":"{config}","ifName":"eth0","networkName":"lan","netns":"/run/netns/c1","cniArgs":[["IgnoreUnknown","1"],["K8S","x"]],"capabilityArgs":{{"mac":"02:00:00:00:00:01"}},"result":{result}}}"#
    );
    assert_eq!(host.lab.read(RECORD), expected);
    assert_eq!(host.records(), [format!("lan-{ID}-eth0")], "and no other file");
}

#[test]
fn l_94_without_arguments_their_keys_are_absent() {
    let host = Host::new();
    host.configure("10.conf", r#"{"type": "a", "name": "lan", "cniVersion": "1.0.0"}"#);
    host.run("add").result();
    let record: Value = host.lab.read(RECORD).parse().expect("a record is JSON");
    assert_eq!((&record["cniArgs"], &record["capabilityArgs"]), (&Value::Null, &Value::Null));
    let config = record["config"].as_str().expect("the configuration is text");
    assert_eq!(
        host.lab.sh(&format!("echo {config} | base64 -d")),
        r#"{"cniVersion":"1.0.0","name":"lan","plugins":[{"cniVersion":"1.0.0","name":"lan","type":"a"}]}"#
    );
}

/// The reference leaves the plugins that succeeded; we take them back.
#[test]
fn l_95_a_failed_chain_is_rolled_back() {
    let host = Host::new();
    host.network("1.0.0", &["a", "b", "c"]);
    host.fail(&["ADD b"]);
    fails(&host.run("add"), 1, r#"plugin type="b" failed (add): told to; by the test"#);
    let calls = host.calls();
    assert_eq!(whats(&calls), ["ADD a", "ADD b", "DEL b", "DEL a"]);
    assert_eq!(names(&calls[3].stdin["prevResult"]), ["a"]);
    assert_eq!(host.records(), Vec::<String>::new());
}

#[test]
fn l_95_a_chain_with_a_missing_plugin_is_not_begun() {
    let host = Host::new();
    host.network("1.0.0", &["a", "missing"]);
    fails(&host.run("add"), 1, r#"plugin type="missing" failed (add): failed to find plugin"#);
    assert_eq!(host.verbs(), Vec::<String>::new());
}

#[test]
fn l_95_a_second_add_does_not_take_down_the_first() {
    let host = Host::new();
    host.network("1.0.0", &["a", "b"]);
    host.run("add").result();
    let record = host.lab.read(RECORD);
    host.fail(&["ADD a"]);
    host.calls();
    fails(&host.run("add"), 1, "this attachment is on record already; hint: delete it first");
    assert_eq!(host.verbs(), ["ADD a"]);
    assert_eq!(host.lab.read(RECORD), record);
}

#[test]
fn l_96_del_runs_in_reverse_with_the_recorded_result() {
    let host = Host::new();
    host.network("0.4.0", &["a", "b"]);
    let result = host.run("add").result();
    host.calls();
    host.run("del").silent();
    let calls = host.calls();
    assert_eq!(whats(&calls), ["DEL b", "DEL a"]);
    assert_eq!(calls[0].stdin["prevResult"], result);
    assert_eq!(calls[1].stdin["prevResult"], result);
    assert_eq!(host.records(), Vec::<String>::new());
}

#[test]
fn l_96_before_0_4_0_plugins_get_no_result_for_del() {
    let host = Host::new();
    host.network("0.3.1", &["a", "b"]);
    host.run("add").result();
    host.calls();
    host.run("del").silent();
    assert_eq!(host.calls()[0].stdin["prevResult"], Value::Null);
    assert_eq!(host.records(), Vec::<String>::new());
}

#[test]
fn l_97_del_twice_is_no_failure() {
    let host = Host::new();
    host.network("1.0.0", &["a"]);
    host.run("add").result();
    host.run("del").silent();
    host.run("del").silent();
    assert_eq!(host.verbs(), ["ADD a", "DEL a", "DEL a"]);
}

/// The reference stops at the first failure; we ask every plugin and report all failures.
#[test]
fn l_98_del_goes_on_after_a_failure_and_keeps_the_record() {
    let host = Host::new();
    host.network("1.0.0", &["a", "b", "c"]);
    host.run("add").result();
    host.fail(&["DEL c", "DEL a"]);
    host.calls();
    let outcome = host.run("del");
    fails(&outcome, 1, r#"plugin type="c" failed (delete): told to; by the test"#);
    fails(&outcome, 1, r#"plugin type="a" failed (delete): told to; by the test"#);
    assert_eq!(host.verbs(), ["DEL c", "DEL b", "DEL a"]);
    assert_eq!(host.records().len(), 1);
    host.fail(&[]);
    host.run("del").silent();
    assert_eq!(host.records().len(), 0);
}

#[test]
fn l_99_an_empty_record_stops_check_and_not_del() {
    let host = Host::new();
    host.network("1.0.0", &["a"]);
    host.run("add").result();
    host.lab.write(RECORD, "");
    host.calls();
    let reason = "failed to get network \"lan\" cached result: \
                  decoding version from network config: unexpected end of JSON input";
    fails(&host.run("check"), 1, reason);
    assert_eq!(host.verbs(), Vec::<String>::new());
    host.run("del").silent();
    assert_eq!(host.calls()[0].stdin["prevResult"], Value::Null);
    assert_eq!(host.records(), Vec::<String>::new());
}

#[test]
fn l_100_a_bare_result_counts_as_a_record() {
    let host = Host::new();
    host.network("1.0.0", &["a"]);
    host.lab.write(RECORD, r#"{"cniVersion": "0.4.0", "interfaces": [{"name": "x"}], "dns": {}}"#);
    host.run("check").silent();
    let expected = json!({ "cniVersion": "1.0.0", "interfaces": [{ "name": "x" }] });
    assert_eq!(host.calls()[0].stdin["prevResult"], expected);
}

#[test]
fn l_101_check_needs_a_list_of_0_4_0() {
    let host = Host::new();
    host.network("0.3.1", &["a"]);
    let reason = r#"configuration version "0.3.1" does not support the CHECK command"#;
    fails(&host.run("check"), 1, reason);
}

#[test]
fn l_101_check_gives_every_plugin_the_final_result() {
    let host = Host::new();
    host.network("1.0.0", &["a", "b"]);
    let result = host.run("add").result();
    host.calls();
    host.run("check").silent();
    let calls = host.calls();
    assert_eq!(whats(&calls), ["CHECK a", "CHECK b"]);
    assert_eq!(calls[0].stdin["prevResult"], result);
    host.fail(&["CHECK a"]);
    fails(&host.run("check"), 1, "told to; by the test");
    assert_eq!(host.verbs(), ["CHECK a"]);
}

#[test]
fn l_102_check_can_be_disabled() {
    let host = Host::new();
    let mut list: Value = list("lan", "missing").parse().expect("a list is JSON");
    list["disableCheck"] = json!(true);
    host.configure("10.conflist", &list.to_string());
    host.run("check").silent();
}

#[test]
fn l_106_status_asks_nobody_before_1_1_0() {
    let host = Host::new();
    host.network("1.0.0", &["missing"]);
    host.run("status").silent();
    host.network("1.1.0", &["a", "missing", "b"]);
    fails(&host.run("status"), 1, r#"failed to find plugin "missing" in path"#);
    assert_eq!(host.verbs(), ["STATUS a"]);
    host.network("1.1.0", &["a", "b"]);
    host.fail(&["STATUS b"]);
    fails(&host.run("status"), 1, "told to; by the test");
}

#[test]
fn l_107_without_plugin_folders_nothing_can_be_found() {
    let host = Host::new();
    host.network("1.1.0", &["a"]);
    let tool = host.tool().variable("CNI_PATH", "");
    let outcome = tool.run(&["add", "lan", "/run/netns/c1"]);
    fails(&outcome, 1, "no paths provided");
    fails(&outcome, 1, "hint: say where plugins are with CNI_PATH or --plugin-dir");
}

#[test]
fn a_plugin_that_hangs_is_killed_and_rolled_back() {
    let host = Host::new();
    host.lab.delegate("b", "[ $CNI_COMMAND = DEL ] || exec sleep 1000");
    host.network("1.0.0", &["a", "b"]);
    let outcome = host.tool().run(&["add", "lan", "/run/netns/c1", "--deadline", "3"]);
    let reason = r#"plugin type="b" failed (add): netplugin did not finish within 3s"#;
    fails(&outcome, 1, reason);
    assert_eq!(host.verbs(), ["ADD a", "DEL a"]);
}

#[test]
fn a_68_only_declared_capabilities_reach_a_plugin() {
    let host = Host::new();
    let capabilities = json!({ "mac": true, "portMappings": false });
    let plugins = json!([{ "type": "a", "capabilities": capabilities }, { "type": "b" }]);
    let list = json!({ "cniVersion": "1.0.0", "name": "lan", "plugins": plugins });
    host.configure("10.conflist", &list.to_string());
    let mac = json!({ "mac": "02:00:00:00:00:01" });
    let tool =
        host.tool().variable("CAP_ARGS", r#"{"mac": "02:00:00:00:00:01", "portMappings": []}"#);
    tool.run(&["add", "lan", "/run/netns/c1"]).result();
    let calls = host.calls();
    assert_eq!(calls[0].stdin["runtimeConfig"], mac);
    assert_eq!(calls[0].stdin["capabilities"], capabilities);
    assert_eq!(calls[1].stdin.get("runtimeConfig"), None);
}

/// The plugins of the distribution, where they are installed: a whole attachment, and nothing of it
/// left afterwards.
#[test]
fn the_packaged_plugins_run_in_a_chain() {
    let host = Host::new();
    if !std::path::Path::new("/usr/lib/cni/bridge").exists() {
        return host.lab.not_here("the packaged plugins are not installed");
    }
    let ipam = json!({
        "type": "host-local", "subnet": "10.1.2.0/24", "routes": [{ "dst": "0.0.0.0/0" }],
    });
    let bridge = json!({ "type": "bridge", "bridge": "cni0", "isGateway": true, "ipam": ipam });
    let tuning = json!({ "type": "tuning", "sysctl": { "net.ipv4.conf.eth0.arp_filter": "1" } });
    let list = json!({ "cniVersion": "1.0.0", "name": "lan", "plugins": [bridge, tuning] });
    host.configure("10.conflist", &list.to_string());
    let before = host.lab.snapshot();
    let tool = host.tool().variable("CNI_PATH", "/usr/lib/cni");
    let arguments = |verb| [verb, "lan", "/run/netns/c1"];
    let result = tool.run(&arguments("add")).result();
    assert_eq!(result["ips"][0]["address"], "10.1.2.2/24");
    assert_eq!(host.lab.sh_in("c1", "cat /proc/sys/net/ipv4/conf/eth0/arp_filter"), "1");
    host.lab.sh_in("c1", "ping -c1 -W2 10.1.2.1");
    tool.run(&arguments("check")).silent();
    tool.run(&arguments("del")).silent();
    host.lab.nothing_left(&before);
}
