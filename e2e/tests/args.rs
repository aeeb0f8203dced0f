//! A: `CNI_ARGS`, `args` and `runtimeConfig`: what is understood and which one wins.
//!
//! What is wrong with `CNI_ARGS` is not wrong with the configuration: its errors have code 999.

use ropewalk_e2e::{Lab, Plugin, json};

/// A bridge without addresses.
fn bridge(lab: &Lab) -> Plugin<'_> {
    lab.netns("c1");
    let config = json!({ "cniVersion": "1.0.0", "name": "net", "type": "bridge" });
    lab.plugin("bridge").on("c1").config(config)
}

fn refused_pairs(pairs: &str) -> String {
    let lab = Lab::new();
    let before = lab.snapshot();
    let message = bridge(&lab).args(pairs).add().failure();
    lab.nothing_left(&before);
    assert!(!lab.exists("/sys/class/net/cni0"), "the arguments are read before anything is made");
    message
}

fn accepted_pairs(pairs: &str) {
    let lab = Lab::new();
    bridge(&lab).args(pairs).add().result();
}

#[test]
fn a_59_an_unknown_key_is_refused() {
    assert_eq!(refused_pairs("K8S_POD_NAME=x"), r#"ARGS: unknown args ["K8S_POD_NAME=x"]"#);
    assert_eq!(
        refused_pairs("mac=02:00:00:00:00:01"),
        r#"ARGS: unknown args ["mac=02:00:00:00:00:01"]"#
    );
    let expected = r#"ARGS: unknown args ["A=1" "B="]"#;
    assert_eq!(refused_pairs("A=1;MAC=02:00:00:00:00:01;B="), expected);
    assert_eq!(refused_pairs("IgnoreUnknown=0;A=1"), r#"ARGS: unknown args ["A=1"]"#);
}

#[test]
fn a_59_every_plugin_that_reads_arguments_refuses_unknown_ones() {
    let lab = Lab::new();
    lab.netns("c1");
    let config = json!({
        "cniVersion": "1.0.0", "name": "net", "prevResult": { "ips": [] },
        "ipam": { "subnet": "10.1.2.0/24", "addresses": [{ "address": "10.1.2.2/24" }] },
    });
    for name in ["host-local", "static", "tuning"] {
        let plugin = lab.plugin(name).on("c1").config(config.clone());
        let message = plugin.clone().args("OTHER=x").add().failure();
        assert_eq!(message, r#"ARGS: unknown args ["OTHER=x"]"#, "{name}");
        plugin.args("OTHER=x;IgnoreUnknown=1").add().result();
    }
}

#[test]
fn a_60_unknown_keys_are_accepted_when_asked_to() {
    accepted_pairs("IgnoreUnknown=1;K8S_POD_NAME=x");
    accepted_pairs("IgnoreUnknown=true;K8S_POD_NAME=x");
    accepted_pairs("K8S_POD_NAME=x;K8S_POD_UID=;IgnoreUnknown=True");
    accepted_pairs("IgnoreUnknown=false");
}

#[test]
fn a_61_the_key_that_ignores_is_case_sensitive() {
    assert_eq!(
        refused_pairs("ignoreunknown=1;K8S_POD_NAME=x"),
        r#"ARGS: unknown args ["ignoreunknown=1" "K8S_POD_NAME=x"]"#
    );
}

#[test]
fn a_62_a_piece_without_exactly_one_equals_sign_is_refused() {
    assert_eq!(refused_pairs("K8S"), r#"ARGS: invalid pair "K8S""#);
    assert_eq!(refused_pairs("IgnoreUnknown=1;"), r#"ARGS: invalid pair """#);
    assert_eq!(refused_pairs("IgnoreUnknown=1;A=b=c"), r#"ARGS: invalid pair "A=b=c""#);
}

#[test]
fn a_63_the_switch_is_a_boolean() {
    assert_eq!(
        refused_pairs("IgnoreUnknown=yes"),
        "ARGS: error parsing value of pair \"IgnoreUnknown=yes\": boolean unmarshal error: \
         invalid input yes"
    );
}

#[test]
fn a_64_the_mac_of_a_bridge_port_comes_from_the_runtime_then_args_then_the_environment() {
    let lab = Lab::new();
    let plain = bridge(&lab);
    let environment = plain.clone().args("MAC=02:00:00:00:00:01");
    let args = environment.clone().key("args", &json!({ "cni": { "mac": "02:00:00:00:00:02" } }));
    let runtime = args.clone().key("runtimeConfig", &json!({ "mac": "02:00:00:00:00:03" }));
    let cases = [
        (&environment, "02:00:00:00:00:01"),
        (&args, "02:00:00:00:00:02"),
        (&runtime, "02:00:00:00:00:03"),
    ];
    for (plugin, mac) in cases {
        let result = plugin.add().result();
        assert_eq!(result["interfaces"][2]["mac"], mac);
        assert_eq!(lab.ip_json_in("c1", "link show dev eth0")[0]["address"], mac);
        plain.del(&result).silent();
    }
    let empty = environment.key("runtimeConfig", &json!({ "mac": "" }));
    assert_eq!(empty.add().result()["interfaces"][2]["mac"], "02:00:00:00:00:01");
}

#[test]
fn a_65_the_mac_of_tuning_comes_from_args_then_the_runtime_then_the_environment() {
    let lab = Lab::new();
    lab.netns("c1");
    lab.sh("ip link add host type veth peer name eth0 netns c1");
    let first = lab.ip_json_in("c1", "link show dev eth0")[0]["address"].clone();
    let previous = json!({
        "cniVersion": "1.0.0", "ips": [],
        "interfaces": [{ "name": "eth0", "mac": first, "sandbox": "/run/netns/c1" }],
    });
    let config = json!({ "cniVersion": "1.0.0", "name": "net", "mac": "02:00:00:00:00:01" });
    let config = lab.plugin("tuning").on("c1").config(config).previous(&previous);
    let environment = config.clone().args("MAC=02:00:00:00:00:02");
    let runtime = environment.clone().key("runtimeConfig", &json!({ "mac": "02:00:00:00:00:03" }));
    let args = runtime.clone().key("args", &json!({ "cni": { "mac": "02:00:00:00:00:04" } }));
    let cases = [
        (&config, "02:00:00:00:00:01"),
        (&environment, "02:00:00:00:00:02"),
        (&runtime, "02:00:00:00:00:03"),
        (&args, "02:00:00:00:00:04"),
    ];
    for (plugin, mac) in cases {
        let result = plugin.add().result();
        assert_eq!(result["interfaces"][0]["mac"], mac);
        assert_eq!(lab.ip_json_in("c1", "link show dev eth0")[0]["address"], mac);
        plugin.del(&result).silent();
        assert_eq!(lab.ip_json_in("c1", "link show dev eth0")[0]["address"], first);
    }
}

#[test]
fn a_66_a_bad_mac_is_refused_and_nothing_is_left() {
    let lab = Lab::new();
    let before = lab.snapshot();
    let plain = bridge(&lab);
    for plugin in [
        plain.clone().args("MAC=zz"),
        plain.clone().key("args", &json!({ "cni": { "mac": "zz" } })),
        plain.clone().key("runtimeConfig", &json!({ "mac": "zz" })),
    ] {
        let message = plugin.add().refused();
        assert_eq!(message, "failed to make veth pair: address zz: invalid MAC address");
        lab.nothing_left(&before);
        assert!(!lab.has_link("c1", "eth0"));
    }
}

#[test]
fn a_67_plugins_that_do_not_read_arguments_ignore_malformed_ones() {
    let lab = Lab::new();
    lab.netns("c1");
    let previous = json!({ "cniVersion": "1.0.0", "ips": [{ "address": "10.1.2.2/24" }] });
    let config = json!({ "cniVersion": "1.0.0", "name": "net", "prevResult": previous });
    for name in ["portmap", "firewall", "loopback"] {
        let plugin = lab.plugin(name).on("c1").config(config.clone()).args("malformed;;=");
        assert_eq!(plugin.add().result()["ips"], previous["ips"], "{name}");
    }
}
