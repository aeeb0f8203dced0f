//! L: finding networks, running their plugins, and the records of attachments.
//!
//! The library is tested through the command, with plugins that write down how they are called.

mod command;

use command::{Call, Host, fails};
use ropewalk_e2e::{Value, json};

const ID: &str = "cnitool-20b4ff582526573bbe7d";
const RECORD: &str = "/var/lib/cni/results/lan-cnitool-20b4ff582526573bbe7d-eth0";

fn names(result: &Value) -> Vec<&str> {
    let interfaces = result["interfaces"].as_array().expect("the result has interfaces");
    interfaces.iter().filter_map(|interface| interface["name"].as_str()).collect()
}

fn whats(calls: &[Call]) -> Vec<&str> {
    calls.iter().map(|call| call.what.as_str()).collect()
}

fn list(name: &str, kind: &str) -> String {
    json!({ "cniVersion": "1.0.0", "name": name, "plugins": [{ "type": kind }] }).to_string()
}

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
    let outcome = host.tool().run(&["add", "lan", "/run/netns/c1", "--deadline", "0.3"]);
    let reason = r#"plugin type="b" failed (add): netplugin did not finish within 300ms"#;
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
