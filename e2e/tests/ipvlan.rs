//! IV 182 to 189, and rows 24 and 27 of what users asked for: links behind the MAC of a link of the
//! host.

use ropewalk_e2e::{Lab, Plugin, UPLINK, Value, dual_stack, json, with_unreachable_route};

fn has_ipvlan(lab: &Lab) -> bool {
    let has = lab.has_kind("ipvlan");
    if !has {
        lab.not_here("links of kind ipvlan");
    }
    has
}

/// Without a master, with addresses of both families, on a container whose namespace is made here.
fn bare(lab: &Lab) -> Plugin<'_> {
    lab.netns("c1");
    lab.plugin("ipvlan").on("c1").config(json!({
        "cniVersion": "1.0.0", "name": "net", "type": "ipvlan", "ipam": dual_stack(),
    }))
}

/// On the uplink, which is made here.
fn ipvlan(lab: &Lab) -> Plugin<'_> {
    lab.uplink();
    bare(lab).key("master", &json!(UPLINK))
}

/// What `ip` says of the link: a word of `mode` or `flag`.
fn says(lab: &Lab, word: &str) -> bool {
    let text = lab.sh_in("c1", "ip -d link show dev eth0");
    let line = text.lines().find(|line| line.contains("ipvlan")).expect("an ipvlan");
    line.split_whitespace().any(|w| w == word)
}

#[test]
fn iv_182_there_are_three_modes() {
    let lab = Lab::new();
    if !has_ipvlan(&lab) {
        return;
    }
    let plugin = ipvlan(&lab);
    for (asked, expected) in
        [(json!(null), "l2"), (json!("l2"), "l2"), (json!("l3"), "l3"), (json!("l3s"), "l3s")]
    {
        let plugin = plugin.clone().key("mode", &asked);
        let result = plugin.add().result();
        assert!(says(&lab, expected), "{expected}");
        assert!(lab.stands_on("c1", UPLINK));
        plugin.check(&result).silent();
        plugin.del(&result).silent();
        assert!(!lab.has_link("c1", "eth0"));
    }
}

#[test]
fn iv_182_other_modes_are_refused() {
    let lab = Lab::new();
    let plugin = ipvlan(&lab);
    let before = lab.snapshot();
    let message = plugin.key("mode", &json!("x")).add().invalid_config();
    assert_eq!(message, "unknown ipvlan mode: \"x\"");
    lab.nothing_made(&before);
}

#[test]
fn iv_182_containers_reach_each_other_and_the_outside() {
    for mode in ["l2", "l3"] {
        let lab = Lab::new();
        if !has_ipvlan(&lab) {
            return;
        }
        let plugin = ipvlan(&lab).key("mode", &json!(mode));
        lab.netns("c2");
        plugin.add().result();
        plugin.on("c2").add().result();
        assert!(lab.reaches("c1", "10.9.0.11:9"), "{mode}");
        assert!(lab.reaches("c2", "[fd00:9::10]:9"), "{mode}");
        if mode == "l2" {
            assert!(lab.reaches("c1", "10.9.0.2:9"));
            assert!(lab.reaches("c1", "[fd00:9::2]:9"));
        }
    }
}

#[test]
fn row_27_ipvlan_flags_are_applied() {
    let lab = Lab::new();
    if !has_ipvlan(&lab) || lab.reference_fails("it has no key for them") {
        return;
    }
    let plugin = ipvlan(&lab);
    lab.netns("c2");
    for flag in ["bridge", "private", "vepa"] {
        let plugin = plugin.clone().key("flag", &json!(flag));
        let first = plugin.add().result();
        assert!(says(&lab, flag), "{flag}");
        plugin.check(&first).silent();
        let second = plugin.clone().on("c2").add().result();
        let address = second["ips"][0]["address"].as_str().expect("an address");
        let destination = format!("{}:9", address.trim_end_matches("/24"));
        if flag == "bridge" {
            assert!(lab.reaches("c1", &destination));
        }
        if flag == "private" {
            assert!(lab.does_not_reach("c1", &destination));
            assert!(lab.reaches("c1", "10.9.0.2:9"));
        }
        plugin.del(&first).silent();
        plugin.on("c2").del(&second).silent();
    }
}

#[test]
fn row_27_other_flags_are_refused_and_check_compares_them() {
    let lab = Lab::new();
    if lab.reference_fails("it has no key for them") {
        return;
    }
    let plugin = ipvlan(&lab);
    let message = plugin.clone().key("flag", &json!("x")).add().invalid_config();
    assert_eq!(message, "unknown ipvlan flag: \"x\"");
    if !has_ipvlan(&lab) {
        return;
    }
    let result = plugin.add().result();
    let message = plugin.key("flag", &json!("private")).check(&result).failure();
    assert_eq!(
        message,
        "Error: Tuning link eth0 configured flag is Private, current value is Bridge"
    );
}

#[test]
fn iv_183_the_mac_is_the_masters() {
    let lab = Lab::new();
    if !has_ipvlan(&lab) {
        return;
    }
    let result = ipvlan(&lab).add().result();
    let master = lab.ip_json(&format!("link show dev {UPLINK}"))[0]["address"].take();
    assert_eq!(result["interfaces"].as_array().expect("interfaces").len(), 1);
    assert_eq!(result["interfaces"][0]["mac"], master);
    assert_eq!(result["interfaces"][0]["sandbox"], "/run/netns/c1");
    assert_eq!(lab.setting("c1", "ipv4", "arp_notify"), "1");
    assert_eq!(lab.addresses_in("c1"), ["10.9.0.10/24", "fd00:9::10/64"]);
}

/// What a plugin before this one might have answered.
fn chain_of(interfaces: &Value) -> Value {
    json!({
        "cniVersion": "1.0.0",
        "interfaces": interfaces,
        "ips": [{ "address": "10.9.0.77/24", "gateway": "10.9.0.2", "interface": 0 }],
        "routes": [{ "dst": "0.0.0.0/0" }],
    })
}

#[test]
fn iv_184_a_chain_gives_master_and_addresses() {
    let lab = Lab::new();
    if !has_ipvlan(&lab) {
        return;
    }
    lab.uplink();
    let plugin = bare(&lab).key("ipam", &json!({}));
    let chained = plugin.clone().previous(&chain_of(&json!([{ "name": UPLINK }])));
    let result = chained.add().result();
    assert!(lab.stands_on("c1", UPLINK));
    assert_eq!(lab.addresses_in("c1"), ["10.9.0.77/24"]);
    let interfaces = result["interfaces"].as_array().expect("interfaces");
    assert_eq!(interfaces.len(), 1);
    assert_eq!(interfaces[0]["name"], "eth0");
    assert_eq!(result["ips"][0]["interface"], 0);
    assert_eq!(result["routes"], json!([{ "dst": "0.0.0.0/0" }]));
    assert!(lab.reaches("c1", "10.9.0.2:9"));
    if !lab.reference_fails("it wants a default route for a CHECK") {
        plugin.check(&result).silent();
        lab.sh_in("c1", "ip address del 10.9.0.77/24 dev eth0");
        let message = plugin.check(&result).failure();
        assert_eq!(message, "Failed to match addr 10.9.0.77/24 on interface eth0");
    }
    plugin.del(&result).silent();
    assert!(!lab.has_link("c1", "eth0"));
}

#[test]
fn iv_184_what_is_configured_goes_before_the_chain() {
    let lab = Lab::new();
    if !has_ipvlan(&lab) {
        return;
    }
    let chain = chain_of(&json!([{ "name": "nope" }]));
    let result = ipvlan(&lab).previous(&chain).add().result();
    assert_eq!(result["ips"][0]["address"], "10.9.0.10/24");
}

#[test]
fn iv_185_a_chain_with_two_interfaces_gives_no_master() {
    let lab = Lab::new();
    lab.uplink();
    let plugin = bare(&lab);
    let before = lab.snapshot();
    for interfaces in [json!([{ "name": UPLINK }, { "name": "eth9" }]), json!([])] {
        let message = plugin.clone().previous(&chain_of(&interfaces)).add().refused();
        assert_eq!(message, "chained master failure. PrevResult lacks a single named interface");
    }
    lab.nothing_made(&before);
}

#[test]
fn iv_186_without_addresses_there_is_nothing_to_make() {
    let lab = Lab::new();
    if !has_ipvlan(&lab) {
        return;
    }
    let plugin = ipvlan(&lab).key("ipam", &json!({}));
    let before = lab.snapshot();
    assert_eq!(plugin.add().refused(), "no plugin name provided");
    if !lab.reference_fails("the link stays") {
        lab.nothing_made(&before);
        plugin.del_without_result().silent();
    }
}

#[test]
fn iv_187_del_can_be_repeated_and_needs_no_namespace() {
    let lab = Lab::new();
    if !has_ipvlan(&lab) {
        return;
    }
    let plugin = ipvlan(&lab);
    let before = lab.snapshot();
    let result = plugin.add().result();
    plugin.del(&result).silent();
    plugin.del(&result).silent();
    let result = plugin.add().result();
    lab.sh("ip netns del c1");
    plugin.del(&result).silent();
    plugin.del_without_result().silent();
    lab.nothing_left(&before);
}

#[test]
fn iv_188_row_24_del_needs_neither_master_nor_default_route() {
    let lab = Lab::new();
    if !has_ipvlan(&lab) || lab.reference_fails("it wants a default route") {
        return;
    }
    lab.uplink();
    lab.sh(&format!("ip route add default dev {UPLINK}"));
    let plugin = bare(&lab);
    let result = plugin.add().result();
    assert!(lab.stands_on("c1", UPLINK));
    lab.sh("ip route del default");
    plugin.check(&result).silent();
    plugin.del_without_result().silent();
    assert!(!lab.has_link("c1", "eth0"));
    assert!(lab.leases("net").is_empty());
    assert_eq!(plugin.add().failure(), "no default route interface found");
    lab.sh(&format!("ip route add default dev {UPLINK}"));
    let result = plugin.add().result();
    lab.sh(&format!("ip link del {UPLINK}"));
    plugin.del(&result).silent();
    assert!(lab.leases("net").is_empty());
}

#[test]
fn iv_189_a_configuration_that_fails_leaves_neither_link_nor_lease() {
    let lab = Lab::new();
    if !has_ipvlan(&lab) {
        return;
    }
    let plugin = ipvlan(&lab).key("ipam", &with_unreachable_route());
    let before = lab.snapshot();
    let message = plugin.add().failure();
    assert!(message.starts_with("failed to add route"), "{message}");
    if !lab.reference_fails("link and lease stay") {
        lab.nothing_made(&before);
        assert!(lab.leases("net").is_empty());
    }
}

#[test]
fn iv_189_an_interface_that_exists_is_not_taken_over() {
    let lab = Lab::new();
    if !has_ipvlan(&lab) {
        return;
    }
    let plugin = ipvlan(&lab);
    let result = plugin.add().result();
    let state = || (lab.snapshot(), lab.ipv4_in("c1"));
    let before = state();
    assert_eq!(plugin.add().failure(), "failed to rename ipvlan to \"eth0\": file exists");
    if !lab.reference_fails("a link with a random name stays") {
        assert_eq!(state(), before);
    }
    plugin.check(&result).silent();
    let message = plugin.key("mode", &json!("l3")).check(&result).failure();
    let message = message.to_lowercase();
    assert_eq!(message, "container ipvlan mode l2 does not match expected value: l3");
}

#[test]
fn iv_189_the_mtu_may_be_larger_than_the_masters() {
    let lab = Lab::new();
    if !has_ipvlan(&lab) {
        return;
    }
    let plugin = ipvlan(&lab).key("mtu", &json!(9000));
    let result = plugin.add().result();
    assert_eq!(lab.link_in("c1", "eth0")["mtu"], 9000);
    plugin.check(&result).silent();
    plugin.del(&result).silent();
    let dns = json!({ "nameservers": ["10.9.0.54"] });
    let result = plugin.key("mtu", &json!(1400)).key("dns", &dns).add().result();
    assert_eq!(lab.link_in("c1", "eth0")["mtu"], 1400);
    assert_eq!(result["dns"], dns);
}
