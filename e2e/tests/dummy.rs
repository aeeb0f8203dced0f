//! DU 216 to 221: interfaces that swallow what is sent.

use ropewalk_e2e::{Lab, Plugin, Value, dual_stack, json, reference, with_unreachable_route};

/// A dummy for `c1`, whose namespace is made here; nothing if there cannot be one.
fn dummy<'lab>(lab: &'lab Lab, ipam: &Value) -> Option<Plugin<'lab>> {
    if reference() && !lab.exists(&format!("{}/dummy", lab.plugin_directory())) {
        lab.reference_fails("the package has no dummy");
        return None;
    }
    if !lab.has_kind("dummy") {
        lab.not_here("links of kind dummy");
        return None;
    }
    lab.netns("c1");
    let config = json!({ "cniVersion": "1.0.0", "name": "net", "type": "dummy", "ipam": ipam });
    Some(lab.plugin("dummy").on("c1").config(config))
}

#[test]
fn du_216_the_interface_has_addresses_and_routes_and_is_up() {
    let lab = Lab::new();
    let Some(plugin) = dummy(&lab, &dual_stack()) else { return };
    let before = lab.snapshot();
    let result = plugin.add().result();
    let link = lab.link_in("c1", "eth0");
    assert_eq!(link["linkinfo"]["info_kind"], "dummy");
    assert!(link["flags"].as_array().expect("flags").contains(&json!("UP")), "{link}");
    assert_eq!(lab.addresses_in("c1"), ["10.9.0.10/24", "fd00:9::10/64"]);
    assert!(lab.sh_in("c1", "ip -4 route").contains("default via 10.9.0.2 dev eth0"));
    assert!(lab.sh_in("c1", "ip -6 route").contains("default via fd00:9::2 dev eth0"));
    let interfaces = json!([
        { "name": "eth0", "mac": link["address"], "sandbox": "/run/netns/c1" },
    ]);
    assert_eq!(result["interfaces"], interfaces);
    assert_eq!(result["ips"][1]["interface"], 0);
    plugin.check(&result).silent();
    plugin.del(&result).silent();
    assert!(!lab.has_link("c1", "eth0"));
    lab.nothing_left(&before);
}

#[test]
fn du_216_the_container_can_listen_at_its_address() {
    let lab = Lab::new();
    let Some(plugin) = dummy(&lab, &dual_stack()) else { return };
    plugin.add().result();
    lab.sh_in("c1", "ip link set lo up");
    assert!(lab.source_seen("c1", "c1", "10.9.0.10:80").is_some());
    assert!(lab.source_seen("c1", "c1", "[fd00:9::10]:80").is_some());
}

#[test]
fn du_216_dns_of_the_address_plugin_is_kept() {
    let lab = Lab::new();
    let ipam = json!({
        "type": "static",
        "addresses": [{ "address": "10.9.0.10/24" }],
        "dns": { "nameservers": ["10.9.0.53"] },
    });
    let Some(plugin) = dummy(&lab, &ipam) else { return };
    assert_eq!(plugin.add().result()["dns"], ipam["dns"]);
}

#[test]
fn du_217_addresses_are_mandatory() {
    let lab = Lab::new();
    let Some(plugin) = dummy(&lab, &json!({})) else { return };
    let before = lab.snapshot();
    let message = plugin.add().invalid_config();
    assert_eq!(message, "dummy interface requires an IPAM configuration");
    lab.nothing_made(&before);
}

#[test]
fn du_218_an_interface_that_exists_is_not_taken_over() {
    let lab = Lab::new();
    let Some(plugin) = dummy(&lab, &dual_stack()) else { return };
    lab.sh_in("c1", "ip link add eth0 type bridge");
    let state = || (lab.snapshot(), lab.ipv4_in("c1"));
    let before = state();
    assert_eq!(plugin.add().failure(), "failed to create dummy: file exists");
    assert_eq!(state(), before);
    lab.sh_in("c1", "ip link del eth0");
    let result = plugin.add().result();
    let before = state();
    assert_eq!(plugin.add().failure(), "failed to create dummy: file exists");
    assert_eq!(state(), before);
    plugin.check(&result).silent();
}

#[test]
fn du_219_a_configuration_that_fails_leaves_neither_link_nor_lease() {
    let lab = Lab::new();
    let Some(plugin) = dummy(&lab, &with_unreachable_route()) else { return };
    let before = lab.snapshot();
    let message = plugin.add().failure();
    assert!(message.starts_with("failed to add route"), "{message}");
    assert!(lab.leases("net").is_empty());
    lab.nothing_made(&before);
}

#[test]
fn du_220_del_can_be_repeated_and_needs_no_namespace() {
    let lab = Lab::new();
    let Some(plugin) = dummy(&lab, &dual_stack()) else { return };
    let before = lab.snapshot();
    let result = plugin.add().result();
    plugin.del(&result).silent();
    plugin.del(&result).silent();
    plugin.del_without_result().silent();
    let result = plugin.add().result();
    lab.sh("ip netns del c1");
    plugin.del(&result).silent();
    lab.nothing_left(&before);
}

#[test]
fn du_221_check_finds_what_is_different() {
    let lab = Lab::new();
    let Some(plugin) = dummy(&lab, &dual_stack()) else { return };
    let result = plugin.add().result();
    plugin.check(&result).silent();
    lab.sh_in("c1", "ip link set eth0 address 02:00:00:00:00:99");
    let message = plugin.check(&result).failure();
    assert!(message.contains("doesn't match container Mac: 02:00:00:00:00:99"), "{message}");
    lab.sh_in("c1", "ip link del eth0; ip link add eth0 type bridge");
    let message = plugin.check(&result).failure();
    assert!(message.starts_with("Error: Container interface eth0 not of type dummy"), "{message}");
    lab.sh_in("c1", "ip link del eth0");
    plugin.del(&result).silent();
    let result = plugin.add().result();
    let address = result["ips"][0]["address"].as_str().expect("an address").to_owned();
    lab.sh_in("c1", &format!("ip address del {address} dev eth0"));
    let message = plugin.check(&result).failure();
    assert_eq!(message, format!("Failed to match addr {address} on interface eth0"));
    plugin.del(&result).silent();
    let result = plugin.add().result();
    lab.sh_in("c1", "ip link set eth0 down");
    assert_eq!(plugin.check(&result).failure(), "Interface eth0 is down");
}
