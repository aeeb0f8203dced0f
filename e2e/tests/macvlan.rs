//! MV 168 to 181, and row 24 of what users asked for: links with a MAC of their own on a link of
//! the host.

use ropewalk_e2e::{
    Lab, Plugin, UPLINK, Value, dual_stack, json, reference, with_unreachable_route,
};

/// Without a master and without addresses, on a container whose namespace is made here.
fn bare<'lab>(lab: &'lab Lab, container: &str) -> Plugin<'lab> {
    lab.netns(container);
    let config = json!({ "cniVersion": "1.0.0", "name": "net", "type": "macvlan" });
    lab.plugin("macvlan").on(container).config(config)
}

/// On the uplink, which is made here, without addresses.
fn layer2(lab: &Lab) -> Plugin<'_> {
    lab.uplink();
    bare(lab, "c1").key("master", &json!(UPLINK))
}

/// On the uplink, with addresses of both families.
fn layer3(lab: &Lab) -> Plugin<'_> {
    layer2(lab).key("ipam", &dual_stack())
}

fn mode(lab: &Lab) -> Value {
    lab.link_in("c1", "eth0")["linkinfo"]["info_data"]["mode"].take()
}

fn mac(lab: &Lab) -> Value {
    lab.link_in("c1", "eth0")["address"].take()
}

#[test]
fn mv_168_without_a_master_the_default_route_tells_it() {
    let lab = Lab::new();
    let plugin = bare(&lab, "c1");
    let before = lab.snapshot();
    assert_eq!(plugin.add().failure(), "no default route interface found");
    lab.nothing_made(&before);
    lab.uplink();
    lab.sh("ip link add other type veth peer name far; ip link set other up; ip link set far up");
    lab.sh("ip -6 route add default dev other");
    let result = plugin.add().result();
    assert!(lab.stands_on("c1", "other"));
    plugin.del(&result).silent();
    lab.sh(&format!("ip route add default via 10.9.0.2 dev {UPLINK}"));
    let result = plugin.add().result();
    assert!(lab.stands_on("c1", UPLINK));
    plugin.check(&result).silent();
}

#[test]
fn mv_168_a_check_does_not_mind_where_the_default_route_leads_today() {
    let lab = Lab::new();
    if lab.reference_fails("it wants a default route") {
        return;
    }
    lab.uplink();
    lab.sh(&format!("ip route add default dev {UPLINK}"));
    let plugin = bare(&lab, "c1");
    let result = plugin.add().result();
    lab.sh("ip route del default");
    plugin.check(&result).silent();
    lab.sh("ip link add other type veth peer name far; ip link set other up");
    lab.sh("ip route add default dev other");
    plugin.check(&result).silent();
}

#[test]
fn mv_168_an_unknown_master_is_told() {
    let lab = Lab::new();
    let plugin = bare(&lab, "c1").key("master", &json!("nope")).key("ipam", &dual_stack());
    let before = lab.snapshot();
    assert_eq!(plugin.add().failure(), "Link not found");
    lab.nothing_made(&before);
}

#[test]
fn mv_169_there_are_four_modes() {
    let lab = Lab::new();
    let plugin = layer2(&lab);
    for (asked, expected) in [
        (json!(null), "bridge"),
        (json!("bridge"), "bridge"),
        (json!("private"), "private"),
        (json!("vepa"), "vepa"),
        (json!("passthru"), "passthru"),
    ] {
        let plugin = plugin.clone().key("mode", &asked);
        let result = plugin.add().result();
        assert_eq!(mode(&lab), expected);
        plugin.check(&result).silent();
        plugin.del(&result).silent();
        assert!(!lab.has_link("c1", "eth0"));
    }
    let message = plugin.key("mode", &json!("foo")).add().invalid_config();
    assert_eq!(message, "unknown macvlan mode: \"foo\"");
}

/// Two containers with addresses on one master, which has no part in it.
fn two_neighbours(lab: &Lab, mode: &str) {
    let first = layer3(lab).key("mode", &json!(mode));
    lab.netns("c2");
    assert_eq!(first.add().result()["ips"][0]["address"], "10.9.0.10/24");
    assert_eq!(first.on("c2").add().result()["ips"][0]["address"], "10.9.0.11/24");
}

#[test]
fn mv_169_in_mode_bridge_containers_reach_each_other_and_the_outside() {
    let lab = Lab::new();
    two_neighbours(&lab, "bridge");
    for address in ["10.9.0.11:9", "[fd00:9::11]:9", "10.9.0.2:9", "[fd00:9::2]:9"] {
        assert!(lab.reaches("c1", address), "{address}");
    }
    assert!(lab.reaches(UPLINK, "10.9.0.10:9"));
    assert!(lab.does_not_reach("c1", "10.9.0.1:9"), "the master's own address");
}

#[test]
fn mv_169_in_mode_private_containers_reach_the_outside_alone() {
    let lab = Lab::new();
    two_neighbours(&lab, "private");
    assert!(lab.does_not_reach("c1", "10.9.0.11:9"));
    assert!(lab.does_not_reach("c2", "[fd00:9::10]:9"));
    assert!(lab.reaches("c1", "10.9.0.2:9"));
    assert!(lab.reaches("c2", "[fd00:9::2]:9"));
}

#[test]
fn mv_170_the_mtu_is_not_larger_than_the_masters() {
    let lab = Lab::new();
    let plugin = layer3(&lab);
    let before = lab.snapshot();
    for mtu in [9000, -1] {
        let message = plugin.clone().key("mtu", &json!(mtu)).add().invalid_config();
        assert_eq!(message, format!("invalid MTU {mtu}, must be [0, master MTU(1500)]"));
        lab.nothing_made(&before);
    }
    for (mtu, expected) in [(1400, 1400), (1500, 1500), (0, 1500)] {
        let plugin = plugin.clone().key("mtu", &json!(mtu));
        let result = plugin.add().result();
        assert_eq!(lab.link_in("c1", "eth0")["mtu"], expected);
        plugin.check(&result).silent();
        plugin.del(&result).silent();
    }
}

#[test]
fn mv_171_a_mac_is_chosen() {
    let lab = Lab::new();
    let configured = layer2(&lab).key("mac", &json!("02:00:00:00:00:01"));
    let requested = configured.clone().args("MAC=02:00:00:00:00:02");
    let runtime = json!({ "mac": "02:00:00:00:00:03" });
    let by_runtime = requested.clone().key("runtimeConfig", &runtime);
    // Only bridge and tuning look there.
    let elsewhere = json!({ "cni": { "mac": "02:00:00:00:00:04" } });
    for (number, plugin) in [(1, configured), (2, requested), (3, by_runtime)] {
        let plugin = plugin.key("args", &elsewhere);
        let result = plugin.add().result();
        let expected = format!("02:00:00:00:00:0{number}");
        assert_eq!(mac(&lab), expected);
        assert_eq!(result["interfaces"][0]["mac"], expected);
        plugin.check(&result).silent();
        plugin.del(&result).silent();
    }
}

#[test]
fn mv_171_without_a_mac_the_kernel_chooses_and_the_result_tells() {
    let lab = Lab::new();
    let result = layer2(&lab).add().result();
    assert_eq!(mac(&lab), result["interfaces"][0]["mac"]);
}

#[test]
fn mv_171_what_is_no_mac_is_refused() {
    let lab = Lab::new();
    let plugin = layer2(&lab);
    let before = lab.snapshot();
    let message = plugin.key("mac", &json!("zz")).add().invalid_config();
    assert_eq!(message, "invalid args zz for MAC addr: address zz: invalid MAC address");
    lab.nothing_made(&before);
}

#[test]
fn mv_171_unknown_arguments_are_refused_unless_they_are_to_be_ignored() {
    let lab = Lab::new();
    let plugin = layer2(&lab);
    let message = plugin.clone().args("K8S_POD_NAME=x").add().failure();
    assert_eq!(message, "ARGS: unknown args [\"K8S_POD_NAME=x\"]");
    plugin.args("IgnoreUnknown=1;K8S_POD_NAME=x").add().result();
}

#[test]
fn mv_172_the_queue_for_broadcasts_has_a_length() {
    let lab = Lab::new();
    if lab.reference_fails("1.1.1 does not know bcqueuelen") {
        return;
    }
    let plugin = layer2(&lab).key("bcqueuelen", &json!(200));
    let result = plugin.add().result();
    assert_eq!(lab.link_in("c1", "eth0")["linkinfo"]["info_data"]["bcqueuelen"], 200);
    plugin.check(&result).silent();
    plugin.del(&result).silent();
    let message = plugin.key("bcqueuelen", &json!(-1)).add().invalid_config();
    assert!(message.starts_with("failed to load netconf: json: cannot unmarshal"), "{message}");
}

#[test]
fn mv_173_without_addresses_the_link_is_up() {
    let lab = Lab::new();
    let result = layer2(&lab).add().result();
    assert_eq!(result.get("ips"), None);
    let interfaces = result["interfaces"].as_array().expect("interfaces");
    assert_eq!(interfaces.len(), 1);
    assert_eq!(interfaces[0]["name"], "eth0");
    assert_eq!(interfaces[0]["sandbox"], "/run/netns/c1");
    let link = lab.link_in("c1", "eth0");
    assert!(link["flags"].as_array().expect("flags").contains(&json!("UP")), "{link}");
    assert_eq!(lab.addresses_in("c1"), Vec::<String>::new());
}

#[test]
fn mv_174_addresses_are_announced() {
    let lab = Lab::new();
    lab.uplink();
    for address in ["10.9.0.10", "fd00:9::10"] {
        lab.sh(&format!(
            "ip -n {UPLINK} neigh replace {address} dev eth0 lladdr 02:00:00:00:00:07 nud reachable"
        ));
    }
    let plugin = bare(&lab, "c1").key("master", &json!(UPLINK)).key("ipam", &dual_stack());
    let result = plugin.add().result();
    assert_eq!(lab.setting("c1", "ipv4", "arp_notify"), "1");
    if !reference() {
        assert_eq!(lab.setting("c1", "ipv6", "ndisc_notify"), "1");
    }
    assert_eq!(lab.addresses_in("c1"), ["10.9.0.10/24", "fd00:9::10/64"]);
    let mac = &result["interfaces"][0]["mac"];
    let known = |address: &str| {
        lab.ip_json_in(UPLINK, &format!("neigh show {address}"))[0]["lladdr"].take()
    };
    lab.wait_until("the neighbour learns the addresses", || {
        known("10.9.0.10") == *mac && (reference() || known("fd00:9::10") == *mac)
    });
}

#[test]
fn mv_174_ipv6_addresses_can_be_used_at_once_unless_duplicates_are_looked_for() {
    for (detects, expected) in [(false, "0"), (true, "1")] {
        let lab = Lab::new();
        if lab.reference_fails("it always looks for duplicates") {
            return;
        }
        let plugin = layer3(&lab).key("enabledad", &json!(detects));
        let result = plugin.add().result();
        assert_eq!(lab.setting("c1", "ipv6", "accept_dad"), expected);
        assert_eq!(lab.sh_in("c1", "ip -6 -o address show dev eth0 tentative scope global"), "");
        assert!(lab.reaches("c1", "[fd00:9::2]:9"));
        plugin.check(&result).silent();
    }
}

#[test]
fn mv_174_an_ipv6_address_that_somebody_has_is_noticed_if_asked_for() {
    let lab = Lab::new();
    if lab.reference_fails("1.1.1 does not know enabledad") {
        return;
    }
    let plugin = layer3(&lab).key("enabledad", &json!(true));
    lab.sh(&format!("ip -n {UPLINK} address add fd00:9::10/64 dev eth0 nodad"));
    let before = lab.snapshot();
    let message = plugin.add().failure();
    assert!(message.starts_with("failed to settle addresses for \"eth0\": "), "{message}");
    lab.nothing_made(&before);
}

#[test]
fn mv_175_the_master_can_be_in_the_container() {
    let lab = Lab::new();
    if lab.reference_fails("1.1.1 does not know linkInContainer") {
        return;
    }
    let plugin = bare(&lab, "c1").key("linkInContainer", &json!(true));
    assert_eq!(plugin.add().failure(), "no default route interface found");
    lab.sh_in("c1", "ip link add inner type veth peer name far; ip link set inner up");
    let named = plugin.clone().key("master", &json!("inner"));
    let result = named.add().result();
    let below = lab.link_in("c1", "eth0")["link"].take();
    assert_eq!(below, "inner");
    named.check(&result).silent();
    named.del(&result).silent();
    lab.sh_in("c1", "ip link set far up; ip route add default dev far");
    let result = plugin.add().result();
    assert_eq!(lab.link_in("c1", "eth0")["link"], "far");
    plugin.del(&result).silent();
    let on_host = plugin.key("linkInContainer", &json!(false)).key("master", &json!("inner"));
    assert_eq!(on_host.add().failure(), "Link not found");
}

#[test]
fn mv_176_an_interface_that_exists_is_not_taken_over() {
    for kind in ["bridge", "veth"] {
        let lab = Lab::new();
        let plugin = layer3(&lab);
        lab.sh_in("c1", &format!("ip link add eth0 type {kind}"));
        let before = (lab.snapshot(), lab.sh_in("c1", "ip link show"));
        assert_eq!(plugin.add().failure(), "failed to rename macvlan to \"eth0\": file exists");
        assert_eq!((lab.snapshot(), lab.sh_in("c1", "ip link show")), before);
    }
}

#[test]
fn mv_176_add_twice_is_an_error_and_changes_nothing() {
    for ipam in [json!(null), dual_stack()] {
        let lab = Lab::new();
        let plugin = layer2(&lab).key("ipam", &ipam);
        let result = plugin.add().result();
        let state = || (lab.snapshot(), lab.ipv4_in("c1"));
        let before = state();
        let message = plugin.add().failure();
        assert_eq!(message, "failed to rename macvlan to \"eth0\": file exists");
        assert_eq!(state(), before);
        plugin.check(&result).silent();
    }
}

#[test]
fn mv_176_the_host_may_have_an_interface_of_the_same_name() {
    let lab = Lab::new();
    lab.sh("ip link add eth0 type veth peer name far; ip link set eth0 up; ip link set far up");
    bare(&lab, "c1").key("master", &json!("eth0")).add().result();
    assert!(lab.stands_on("c1", "eth0"));
}

#[test]
fn mv_177_row_24_del_needs_neither_master_nor_default_route() {
    let lab = Lab::new();
    if lab.reference_fails("1.1.1 wants the master") {
        return;
    }
    lab.uplink();
    lab.sh(&format!("ip route add default dev {UPLINK}"));
    let plugin = bare(&lab, "c1").key("ipam", &dual_stack());
    let before = lab.snapshot();
    let result = plugin.add().result();
    lab.sh("ip route del default");
    plugin.del(&result).silent();
    assert!(!lab.has_link("c1", "eth0"));
    assert!(lab.leases("net").is_empty());
    plugin.del_without_result().silent();
    lab.sh(&format!("ip route add default dev {UPLINK}"));
    lab.nothing_left(&before);
}

#[test]
fn row_24_del_works_when_the_master_is_gone_and_check_tells_it() {
    let lab = Lab::new();
    if lab.reference_fails("1.1.1 wants the master") {
        return;
    }
    let plugin = layer3(&lab);
    let result = plugin.add().result();
    lab.sh(&format!("ip link del {UPLINK}"));
    assert!(!lab.has_link("c1", "eth0"));
    assert_eq!(plugin.check(&result).failure(), "Link not found");
    plugin.del(&result).silent();
    assert!(lab.leases("net").is_empty());
    plugin.del(&result).silent();
}

#[test]
fn mv_178_del_works_when_the_namespace_is_gone() {
    let lab = Lab::new();
    let plugin = layer3(&lab);
    let before = lab.snapshot();
    let result = plugin.add().result();
    lab.sh("ip netns del c1");
    plugin.del(&result).silent();
    assert!(lab.leases("net").is_empty());
    plugin.del_without_result().silent();
    lab.nothing_left(&before);
}

#[test]
fn mv_179_check_finds_what_is_different() {
    let lab = Lab::new();
    let plugin = layer3(&lab);
    let result = plugin.add().result();
    plugin.check(&result).silent();
    let vepa = plugin.clone().key("mode", &json!("vepa"));
    assert_eq!(
        vepa.check(&result).refused().to_lowercase(),
        "container macvlan mode bridge does not match expected value: vepa"
    );
    let mut other = result.clone();
    other["interfaces"][0]["mac"] = json!("02:00:00:00:00:99");
    let message = plugin.check(&other).failure().to_lowercase();
    assert!(message.starts_with("interface eth0 mac 02:00:00:00:00:99 doesn't match"), "{message}");
    lab.sh_in("c1", "ip -4 route del default");
    assert!(plugin.check(&result).failure().starts_with("Expected Route {"));
    lab.sh_in("c1", "ip address del 10.9.0.10/24 dev eth0");
    let message = plugin.check(&result).failure();
    assert_eq!(message, "Failed to match addr 10.9.0.10/24 on interface eth0");
    lab.sh_in("c1", "ip link del eth0; ip link add eth0 type bridge");
    let message = plugin.check(&result).failure();
    assert!(
        message.starts_with("Error: Container interface eth0 not of type macvlan"),
        "{message}"
    );
    lab.sh_in("c1", "ip link del eth0");
    let message = plugin.check(&result).failure();
    let expected = "Container Interface name in prevResult: eth0 not found";
    assert_eq!(message, expected);
}

#[test]
fn mv_179_check_notices_another_master() {
    let lab = Lab::new();
    if lab.reference_fails("it does not look") {
        return;
    }
    let plugin = layer2(&lab);
    let result = plugin.add().result();
    lab.sh("ip link add other type veth peer name far; ip link set other up");
    let elsewhere = plugin.key("master", &json!("other"));
    let message = elsewhere.check(&result).failure();
    assert!(message.contains("parent"), "{message}");
}

#[test]
fn mv_180_dns_of_the_configuration_goes_before_that_of_the_address_plugin() {
    let lab = Lab::new();
    let ipam = json!({
        "type": "static",
        "addresses": [{ "address": "10.9.0.10/24" }],
        "dns": { "nameservers": ["10.9.0.53"] },
    });
    let plugin = layer2(&lab).key("ipam", &ipam);
    let result = plugin.add().result();
    let dns = if reference() { json!({}) } else { ipam["dns"].clone() };
    assert_eq!(result.get("dns").unwrap_or(&json!({})), &dns);
    plugin.del(&result).silent();
    let own = json!({ "nameservers": ["10.9.0.54"], "search": ["example.org"] });
    assert_eq!(plugin.key("dns", &own).add().result()["dns"], own);
}

#[test]
fn mv_181_a_configuration_that_fails_leaves_neither_link_nor_lease() {
    let lab = Lab::new();
    let plugin = layer2(&lab).key("ipam", &with_unreachable_route());
    let before = lab.snapshot();
    let message = plugin.add().failure();
    assert!(message.starts_with("failed to add route"), "{message}");
    assert!(lab.leases("net").is_empty());
    if !lab.reference_fails("the link stays") {
        lab.nothing_made(&before);
    }
}

#[test]
fn mv_181_an_address_plugin_without_addresses_leaves_nothing() {
    let lab = Lab::new();
    let plugin = layer2(&lab).key("ipam", &json!({ "type": "static" }));
    let before = lab.snapshot();
    assert_eq!(plugin.add().failure(), "IPAM plugin returned missing IP config");
    if !lab.reference_fails("the link stays") {
        lab.nothing_made(&before);
    }
}

#[test]
fn mv_every_version_is_spoken() {
    let lab = Lab::new();
    let plugin = layer3(&lab);
    for version in ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] {
        if reference() && version == "1.1.0" {
            continue;
        }
        let plugin = plugin.clone().key("cniVersion", &json!(version));
        let result = plugin.add().result();
        assert_eq!(result["cniVersion"], version);
        plugin.del_without_result().silent();
    }
}
