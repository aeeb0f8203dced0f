//! L 81 to 91: which file configures a network, and what makes it one.

use ropewalk_e2e::{Value, json};

use crate::command::{Host, fails};
use crate::{list, names};

/// The reference stops at the first broken file; we report it and go on.
#[test]
fn l_81_a_broken_file_hides_no_other_network() {
    let host = Host::new();
    host.configure("00-broken.conflist", "{");
    host.network("1.0.0", &["a"]);
    let outcome = host.run("add");
    assert_eq!(names(&outcome.result()), ["a"]);
    let expected = "ropewalk: warning: skipped /etc/cni/net.d/00-broken.conflist: \
                    error parsing configuration list: unexpected end of JSON input\n";
    assert_eq!(outcome.stderr, expected);
    host.run("del").silent();
}

#[test]
fn l_81_the_broken_file_of_the_wanted_network_is_the_reason() {
    let host = Host::new();
    host.configure("00-broken.conflist", r#"{"name": "lan", "plugins": [{"kind": "a"}]}"#);
    let reason = "/etc/cni/net.d/00-broken.conflist: failed to parse plugin config 0: \
                  error parsing configuration: missing 'type'";
    fails(&host.run("add"), 1, reason);
}

#[test]
fn l_82_a_list_comes_before_a_single_plugin_of_the_same_name() {
    let host = Host::new();
    host.configure("00.conf", r#"{"cniVersion": "1.0.0", "name": "lan", "type": "b"}"#);
    host.configure("99.conflist", &list("lan", "a"));
    assert_eq!(names(&host.run("add").result()), ["a"]);
    host.run("del").silent();
    host.configure("50.json", r#"{"cniVersion": "1.0.0", "name": "dmz", "type": "c"}"#);
    let outcome = host.tool().run(&["add", "dmz", "/run/netns/c1"]);
    assert_eq!(names(&outcome.result()), ["c"]);
    let call = &host.calls()[2];
    assert_eq!(call.text, r#"{"cniVersion":"1.0.0","name":"dmz","type":"c"}"#);
}

#[test]
fn l_83_an_unknown_network_and_an_empty_folder_are_told_apart() {
    let host = Host::new();
    fails(&host.run("add"), 4, "no net configurations found in /etc/cni/net.d");
    let missing = host.tool().variable("NETCONFPATH", "/no/such/folder");
    let outcome = missing.run(&["add", "lan", "/run/netns/c1"]);
    fails(&outcome, 4, "no net configurations found in /no/such/folder");
    host.network("1.0.0", &["a"]);
    let outcome = host.tool().run(&["add", "s", "/run/netns/c1"]);
    fails(&outcome, 4, r#"no net configuration with name "s" in /etc/cni/net.d"#);
    fails(&outcome, 4, "hint: the networks there are lan");
    assert_eq!(host.verbs(), Vec::<String>::new());
}

#[track_caller]
fn version_used(list: &Value) -> String {
    let host = Host::new();
    let mut list = list.clone();
    list["name"] = json!("lan");
    list["plugins"] = json!([{ "type": "a", "cniVersion": "0.2.0" }]);
    host.configure("10.conflist", &list.to_string());
    host.run("add");
    let call = host.calls().remove(0);
    call.stdin["cniVersion"].as_str().expect("there is a version").to_owned()
}

#[test]
fn l_84_the_newest_version_that_we_speak_is_used() {
    assert_eq!(version_used(&json!({ "cniVersions": ["0.4.0", "1.0.0", "9.9.9"] })), "1.0.0");
    let both = json!({ "cniVersion": "1.1.0", "cniVersions": ["0.4.0", "1.0.0"] });
    assert_eq!(version_used(&both), "1.1.0");
}

#[test]
fn l_85_without_a_version_that_we_speak_the_oldest_is_meant() {
    assert_eq!(version_used(&json!({ "cniVersions": ["9.9.9", "10.0.0"] })), "");
    assert_eq!(version_used(&json!({})), "");
}

/// Expects that loading a list fails.
#[track_caller]
fn refused(list: &Value, reason: &str) {
    let host = Host::new();
    let mut list = list.clone();
    list["name"] = json!("lan");
    host.configure("10.conflist", &list.to_string());
    fails(&host.run("add"), 1, reason);
    assert_eq!(host.verbs(), Vec::<String>::new());
}

#[test]
fn l_86_a_malformed_version_is_named_with_its_place() {
    let list = json!({ "cniVersions": ["abc"], "plugins": [{ "type": "a" }] });
    refused(&list, "invalid cniVersions entry abc at index 0: ");
}

#[test]
fn l_87_switches_may_be_text() {
    let host = Host::new();
    let mut list: Value = list("lan", "a").parse().expect("a list is JSON");
    list["disableCheck"] = json!("TRUE");
    host.configure("10.conflist", &list.to_string());
    host.run("check").silent();
    assert_eq!(host.verbs(), Vec::<String>::new());
    list["disableCheck"] = json!("yes");
    refused(&list, r#"invalid value "yes" for disableCheck"#);
    list["disableCheck"] = json!(5);
    refused(&list, "invalid type");
}

#[test]
fn l_88_a_list_needs_plugins_and_a_plugin_a_type() {
    refused(&json!({ "cniVersion": "1.0.0", "plugins": [] }), "no plugins in list");
    refused(&json!({ "cniVersion": "1.0.0" }), "no plugin configs found");
    let reason = "failed to parse plugin config 1: error parsing configuration: missing 'type'";
    refused(&json!({ "plugins": [{ "type": "a" }, { "name": "x" }] }), reason);
}

#[test]
fn l_89_the_folder_of_a_network_adds_plugins() {
    let host = Host::new();
    host.configure("10.conflist", &list("lan", "a"));
    host.configure("lan/20.conf", r#"{"type": "c"}"#);
    host.configure("lan/10.conf", r#"{"type": "b"}"#);
    host.configure("lan/30.json", r#"{"type": "missing"}"#);
    assert_eq!(names(&host.run("add").result()), ["a", "b", "c"]);
    host.run("del").silent();
    let mut inlined: Value = list("lan", "a").parse().expect("a list is JSON");
    inlined["loadOnlyInlinedPlugins"] = json!(true);
    host.configure("10.conflist", &inlined.to_string());
    assert_eq!(names(&host.run("add").result()), ["a"]);
}

#[test]
fn l_90_only_inlined_plugins_and_none_inlined_is_refused() {
    let list = json!({ "cniVersion": "1.0.0", "loadOnlyInlinedPlugins": true });
    refused(&list, "`loadOnlyInlinedPlugins` is true, and no 'plugins' key");
}

#[test]
fn l_91_names_are_checked_after_the_plugin_was_looked_up() {
    let host = Host::new();
    host.configure("10.conflist", &list("n p", "a"));
    let outcome = host.tool().run(&["add", "n p", "/run/netns/c1"]);
    fails(&outcome, 1, "invalid characters found in network name; n p");
    host.configure("10.conflist", &list("n p", "missing"));
    let outcome = host.tool().run(&["add", "n p", "/run/netns/c1"]);
    fails(&outcome, 1, r#"failed to find plugin "missing" in path [/run/lab/delegates"#);
}
