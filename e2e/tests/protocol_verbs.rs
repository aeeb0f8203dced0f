//! P 29 to 43: GC, STATUS, the namespace of an attachment, and the form of what is printed.

use ropewalk_e2e::{Lab, Plugin, Sample, Value, json};

/// A bridge with addresses from a small network.
fn network(version: &str) -> Value {
    json!({
        "cniVersion": version, "name": "net", "type": "bridge", "isGateway": true, "ipMasq": true,
        "ipam": { "type": "host-local", "subnet": "10.1.2.0/29" },
    })
}

fn bridge<'lab>(lab: &'lab Lab, container: &str) -> Plugin<'lab> {
    lab.plugin("bridge").on(container).config(network("1.0.0"))
}

/// A configuration for STATUS and GC: no container is involved.
fn config(plugin: &str) -> Value {
    let mut config = Sample::of(plugin).config("1.1.0");
    if plugin == "host-local" {
        config["ipam"] = json!({ "type": plugin, "subnet": "10.1.2.0/29" });
    }
    config
}

#[test]
fn p_29_gc_answers_nothing_on_every_plugin() {
    let lab = Lab::new();
    if lab.reference_fails("1.1.1 has no GC") {
        return;
    }
    for name in lab.plugin_names().filter(|name| *name != "dhcp") {
        lab.plugin(name).config(config(name)).gc(&[]).silent();
    }
}

#[test]
fn p_29_gc_takes_away_what_lost_its_owner_and_nothing_else() {
    let lab = Lab::new();
    if lab.reference_fails("1.1.1 has no GC") {
        return;
    }
    let bridge = lab.plugin("bridge").config(network("1.1.0"));
    let other = bridge
        .clone()
        .key("name", &json!("other"))
        .key("ipam", &json!({ "type": "host-local", "subnet": "10.1.3.0/29" }));
    for container in ["c0", "c1", "c2"] {
        lab.netns(container);
    }
    bridge.clone().on("c0").add().result();
    bridge.clone().on("c0").ifname("eth1").add().result();
    let other = other.key("bridge", &json!("cni1"));
    other.clone().on("c0").ifname("eth2").add().result();
    let kept = lab.snapshot();
    bridge.clone().on("c1").add().result();
    bridge.clone().on("c2").add().result();
    assert_eq!(lab.leases("net").len(), 4);
    bridge.gc(&[("c0", "eth0"), ("c0", "eth1")]).silent();
    lab.nothing_left(&kept);
    bridge.gc(&[("c0", "eth1")]).silent();
    assert_eq!(lab.leases("net"), ["10.1.2.3"]);
    assert_eq!(lab.leases("other"), ["10.1.3.2"]);
    assert_eq!(lab.list("/run/netns"), ["c0", "c1", "c2"]);
}

#[test]
fn p_29_gc_of_host_local_takes_leases_without_owner() {
    let lab = Lab::new();
    if lab.reference_fails("1.1.1 has no GC") {
        return;
    }
    let plugin = lab.plugin("host-local").config(config("host-local"));
    for container in ["c1", "c2", "c3"] {
        plugin.clone().on(container).add().result();
    }
    plugin.gc(&[("c2", "eth0"), ("c3", "eth1")]).silent();
    assert_eq!(lab.leases("net"), ["10.1.2.3"]);
    plugin.key("name", &json!("other")).gc(&[]).silent();
    assert_eq!(lab.leases("net"), ["10.1.2.3"]);
}

#[test]
fn p_29_gc_reaches_the_address_plugin() {
    let lab = Lab::new();
    if lab.reference_fails("1.1.1 has no GC") {
        return;
    }
    let path = lab.delegate("pool", r#"echo "$CNI_COMMAND" >>/run/lab/calls; cat >/run/lab/stdin"#);
    let config = json!({
        "cniVersion": "1.1.0", "name": "net", "type": "bridge", "ipam": { "type": "pool" },
    });
    lab.plugin("bridge").path(&path).config(config).gc(&[("c1", "eth0")]).silent();
    assert_eq!(lab.read("/run/lab/calls"), "GC\n");
    let stdin: Value =
        serde_json::from_str(&lab.read("/run/lab/stdin")).expect("the configuration");
    assert_eq!(
        stdin["cni.dev/valid-attachments"],
        json!([{ "containerID": "c1", "ifname": "eth0" }])
    );
}

#[test]
fn p_30_status_of_a_bridge_asks_its_address_plugin() {
    let lab = Lab::new();
    if lab.reference_fails("1.1.1 has no STATUS") {
        return;
    }
    let bridge = lab.plugin("bridge").config(config("bridge"));
    bridge.status().silent();
    let absent = bridge.clone().path("/x").key("ipam", &json!({ "type": "nope" }));
    assert_eq!(absent.status().failure(), r#"failed to find plugin "nope" in path [/x]"#);
    let path = lab.delegate("full", r#"echo '{"code":50,"msg":"full","details":"d"}'; exit 1"#);
    let error = bridge.path(&path).key("ipam", &json!({ "type": "full" })).status().error();
    assert_eq!((error.code, error.msg.as_str(), error.details.as_str()), (50, "full", "d"));
}

#[test]
fn p_32_status_of_plugins_that_can_always_serve_is_silent() {
    let lab = Lab::new();
    if lab.reference_fails("1.1.1 has no STATUS") {
        return;
    }
    for name in lab.plugin_names().filter(|name| *name != "dhcp") {
        lab.plugin(name).config(config(name)).status().silent();
    }
}

#[test]
fn p_32_status_of_an_exhausted_range_is_50() {
    let lab = Lab::new();
    if lab.reference_fails("1.1.1 has no STATUS") {
        return;
    }
    let plugin = lab.plugin("host-local").config(config("host-local"));
    for number in 2..=6 {
        plugin.status().silent();
        plugin.clone().on(&format!("c{number}")).add().result();
    }
    let message = plugin.status().error_with_code(50);
    assert!(message.contains("10.1.2.1-10.1.2.6"), "{message}");
    let bridge = lab.plugin("bridge").config(network("1.1.0"));
    assert_eq!(bridge.status().error_with_code(50), message);
    plugin.clone().on("c4").del_without_result().silent();
    plugin.status().silent();
}

const GUARD: &str = "plugin's netns and netns from CNI_NETNS should not be the same";

#[test]
fn p_33_add_into_the_plugins_own_namespace_is_refused_before_anything_happens() {
    let lab = Lab::new();
    if lab.reference_fails("it acts first and prints two documents") {
        return;
    }
    let before = lab.snapshot();
    let outcome = bridge(&lab, "c1").netns("/proc/self/ns/net").add();
    assert_eq!(outcome.error_with_code(8), GUARD);
    lab.nothing_left(&before);
    assert!(!lab.exists("/sys/class/net/cni0"));
}

#[test]
fn p_34_the_override_variable_turns_the_guard_off() {
    for value in ["1", "TRUE", "true", "True"] {
        let lab = Lab::new();
        let bridge = bridge(&lab, "c1").netns("/proc/self/ns/net");
        let bridge = bridge.variable("CNI_NETNS_OVERRIDE", value);
        let result = bridge.add().result();
        assert_eq!(result["interfaces"][2]["sandbox"], "/proc/self/ns/net");
        assert!(lab.exists("/sys/class/net/eth0"));
        bridge.del(&result).silent();
        // Its entry in sysfs goes a moment after the link.
        let links = lab.ip_json("link show");
        assert!(links.as_array().into_iter().flatten().all(|link| link["ifname"] != "eth0"));
    }
    let lab = Lab::new();
    if !lab.reference_fails("it acts first and prints two documents") {
        for value in ["0", "yes", "false"] {
            let bridge = bridge(&lab, "c1").netns("/proc/self/ns/net");
            let outcome = bridge.variable("CNI_NETNS_OVERRIDE", value).add();
            assert_eq!(outcome.error_with_code(8), GUARD);
        }
    }
}

#[test]
fn p_35_del_in_the_plugins_own_namespace_is_refused_and_deletes_nothing() {
    let lab = Lab::new();
    if lab.reference_fails("it deletes first") {
        return;
    }
    lab.netns("c1");
    let bridge = bridge(&lab, "c1");
    let result = bridge.add().result();
    lab.sh("ip link add eth0 type veth peer name other");
    let before = lab.snapshot();
    let outcome = bridge.netns("/proc/self/ns/net").del(&result);
    assert_eq!(outcome.error_with_code(8), GUARD);
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn p_36_add_without_the_namespace_names_it() {
    let lab = Lab::new();
    let before = lab.snapshot();
    assert_eq!(
        bridge(&lab, "c1").netns("/nope").add().failure(),
        r#"failed to open netns "/nope": failed to Statfs "/nope": no such file or directory"#
    );
    lab.nothing_left(&before);
}

#[test]
fn p_37_a_directory_is_not_a_namespace() {
    let lab = Lab::new();
    let bridge = bridge(&lab, "c1").netns("/run/lab");
    let expected = r#"failed to open netns "/run/lab": unknown FS magic on "/run/lab": 1021994"#;
    assert_eq!(bridge.add().failure(), expected);
    // A stale plain file is what is left of a namespace after a restart: DEL has to work.
    if !lab.reference_fails("its DEL fails as ADD does") {
        bridge.del_without_result().silent();
    }
}

#[test]
fn p_38_a_relative_namespace_path_is_echoed_unchanged() {
    let lab = Lab::new();
    lab.netns("c1");
    let bridge = bridge(&lab, "c1").directory("/run/netns").netns("c1");
    let result = bridge.add().result();
    assert_eq!(result["interfaces"][2]["sandbox"], "c1");
    assert_eq!(lab.ip_json_in("c1", "address show dev eth0")[0]["operstate"], "UP");
    bridge.check(&result).silent();
    bridge.del(&result).silent();
}

#[test]
fn p_39_an_error_is_an_indented_object_without_a_last_newline() {
    let lab = Lab::new();
    lab.netns("c1");
    let outcome = bridge(&lab, "c1").command("FOO").run();
    assert_eq!(outcome.stdout, "{\n    \"code\": 4,\n    \"msg\": \"unknown CNI_COMMAND: FOO\"\n}");
    assert_eq!((outcome.code, outcome.stderr.as_str()), (1, ""));
    let outcome = bridge(&lab, "-c1").add();
    assert_eq!(
        outcome.stdout,
        "{\n    \"code\": 4,\n    \"msg\": \"invalid characters in containerID\",\n    \
         \"details\": \"-c1\"\n}"
    );
    assert_eq!((outcome.code, outcome.stderr.as_str()), (1, ""));
}

#[test]
fn p_40_angle_brackets_and_ampersands_are_escaped() {
    let lab = Lab::new();
    let outcome = bridge(&lab, "c1").command("<&>\u{2028}").run();
    assert_eq!(outcome.error_with_code(4), "unknown CNI_COMMAND: <&>\u{2028}");
    assert!(
        outcome.stdout.contains(r#""unknown CNI_COMMAND: \u003c\u0026\u003e\u2028""#),
        "{outcome}"
    );
}

#[test]
fn p_41_keys_in_any_case_duplicates_nulls_and_unknown_keys_are_accepted() {
    let lab = Lab::new();
    lab.netns("c1");
    let bridge = lab.plugin("bridge").on("c1").stdin(
        r#"{
            "CNIVersion": "1.0.0", "NAME": "net", "type": "bridge",
            "BRIDGE": "first", "BRIDGE": "br7", "ISGATEWAY": true, "mtu": null, "hairpinMode": null,
            "nobodyKnows": { "this": ["key"] },
            "Ipam": { "Type": "host-local", "SubNet": "10.1.2.0/24", "alien": 1 }
        }"#,
    );
    let result = bridge.add().result();
    assert_eq!(result["cniVersion"], "1.0.0");
    assert_eq!(result["interfaces"][0]["name"], "br7");
    assert_eq!(result["ips"][0]["address"], "10.1.2.2/24");
    assert_eq!(lab.ip_json("address show dev br7")[0]["addr_info"][0]["local"], "10.1.2.1");
    assert_eq!(lab.ip_json("link show dev br7")[0]["mtu"], 1500);
    assert!(!lab.exists("/sys/class/net/first"));
    assert_eq!(lab.leases("net"), ["10.1.2.2"]);
}

/// Of two spellings the exact one counts, wherever it stands; see docs/conformance.md.
#[test]
fn p_41_the_exact_key_beats_its_other_spelling() {
    let lab = Lab::new();
    if lab.reference_fails("of two spellings the last one counts") {
        return;
    }
    lab.netns("c1");
    let text = r#"{"cniVersion":"1.0.0","name":"net","bridge":"one","Bridge":"two"}"#;
    let result = lab.plugin("bridge").on("c1").stdin(text).add().result();
    assert_eq!(result["interfaces"][0]["name"], "one");
}

#[test]
fn p_42_a_value_of_the_wrong_type_is_named() {
    let lab = Lab::new();
    lab.netns("c1");
    let before = lab.snapshot();
    for value in [json!("x"), json!("1400")] {
        let message = bridge(&lab, "c1").key("mtu", &value).add().invalid_config();
        let start = "failed to load netconf: json: cannot unmarshal string";
        assert!(message.starts_with(start), "{message}");
    }
    let message = bridge(&lab, "c1").key("mtu", &json!(1.5)).add().invalid_config();
    let start = "failed to load netconf: json: cannot unmarshal number 1.5";
    assert!(message.starts_with(start), "{message}");
    lab.nothing_left(&before);
}

/// Keys that this plugin reads and the others do not.
fn own_keys(plugin: &str) -> &'static [&'static str] {
    match plugin {
        "bridge" => &["ipam", "dns", "vlanTrunk"],
        "host-local" | "static" => &["ipam"],
        "tuning" => &["sysctl"],
        "portmap" => &["conditionsV4"],
        "firewall" => &["ingressPolicy"],
        _ => &[],
    }
}

#[test]
fn p_43_no_configuration_crashes_a_plugin() {
    let lab = Lab::new();
    if lab.reference_fails("it writes to a map that is not there and to pointers to nothing") {
        return;
    }
    lab.netns("c1");
    let odd = [
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1e300),
        json!(""),
        json!("x"),
        json!([]),
        json!([null]),
        json!([[]]),
        json!([{}]),
        json!({}),
        json!({ "cni": {} }),
        json!({ "cni": { "sysctl": { "net.ipv4.ip_forward": "1" } } }),
        json!({ "cni": { "sysctl": null, "ips": null, "mac": 7 } }),
        json!({ "portMappings": [null], "ips": [null, ""], "ipRanges": [null], "mac": [] }),
        json!({ "type": "static", "addresses": [null], "ranges": [[null]], "routes": [null] }),
        json!({ "cniVersion": "1.0.0", "ips": [null], "interfaces": [null], "routes": [{}] }),
        json!({ "cniVersion": "1.0.0", "ips": [{ "address": "10.0.0.1/24", "interface": 9 }] }),
    ];
    let previous = json!({
        "cniVersion": "1.0.0", "ips": [{ "address": "10.1.2.2/29", "interface": 0 }],
        "interfaces": [{ "name": "eth0", "sandbox": "/run/netns/c1" }],
    });
    for name in lab.plugin_names() {
        let plugin = lab.plugin(name).on("c1").config(config(name)).previous(&previous);
        for key in ["args", "runtimeConfig", "prevResult"].iter().chain(own_keys(name)) {
            for value in &odd {
                let without_container = ["ipam", "prevResult"].contains(key);
                let verbs = ["ADD", "CHECK", "DEL", "GC", "STATUS"];
                for verb in &verbs[..if without_container { 5 } else { 3 }] {
                    let outcome = plugin.clone().key(key, value).command(verb).run();
                    if outcome.code != 0 {
                        outcome.error();
                    }
                }
            }
        }
    }
}
