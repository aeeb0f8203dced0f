//! BR 114 to 126, 132, 135 to 137, 157: what ADD of a bridge makes, and what it refuses.

use ropewalk_e2e::{Lab, Plugin, Value, json, reference};

/// A bridge without addresses on container `c1`, whose namespace exists.
fn bridge(lab: &Lab) -> Plugin<'_> {
    lab.netns("c1");
    let config = json!({ "cniVersion": "1.0.0", "name": "net", "type": "bridge" });
    lab.plugin("bridge").on("c1").config(config)
}

/// The same with addresses from one subnet and a gateway.
fn gateway<'lab>(lab: &'lab Lab, subnet: &str) -> Plugin<'lab> {
    bridge(lab)
        .key("isGateway", &json!(true))
        .key("ipam", &json!({ "type": "host-local", "subnet": subnet }))
}

fn dual_stack() -> Value {
    json!({
        "type": "host-local",
        "ranges": [[{ "subnet": "10.1.2.0/24" }], [{ "subnet": "fd00:1::/64" }]],
    })
}

fn host_interface(result: &Value) -> &str {
    result["interfaces"][1]["name"].as_str().expect("the second interface is the host's")
}

fn is_up(link: &Value) -> bool {
    link["flags"].as_array().expect("a link has flags").contains(&json!("UP"))
}

/// The addresses of an interface on the host, link-local ones left out.
fn host_addresses(lab: &Lab, interface: &str) -> Vec<String> {
    let answer = lab.ip_json(&format!("address show dev {interface}"));
    let addresses = answer[0]["addr_info"].as_array().expect("an interface has addresses");
    addresses
        .iter()
        .filter(|address| address["scope"] == "global")
        .map(|address| {
            format!("{}/{}", address["local"].as_str().unwrap_or("?"), address["prefixlen"])
        })
        .collect()
}

/// The default routes in the container, as `gateway interface`.
fn default_routes(lab: &Lab, family: &str) -> Vec<String> {
    let routes = lab.ip_json_in("c1", &format!("{family} route show default"));
    let routes = routes.as_array().expect("ip answers a list").iter();
    routes.map(|route| format!("{} {}", route["gateway"], route["dev"]).replace('"', "")).collect()
}

/// ADD failed: nothing is left, the container's interface neither.
fn assert_nothing_left(lab: &Lab, before: &ropewalk_e2e::Snapshot) {
    if !lab.reference_fails("it leaves the link") {
        lab.nothing_left(before);
        assert!(!lab.has_link("c1", "eth0"));
    }
}

#[test]
fn br_114_the_smallest_configuration_joins_the_container_to_cni0() {
    let lab = Lab::new();
    let result = bridge(&lab).add().result();
    let host = host_interface(&result);
    let digits = host.strip_prefix("veth").expect("the name of a host interface");
    assert!((8..=11).contains(&digits.len()), "{host}");
    assert!(digits.bytes().all(|b| b"0123456789abcdef".contains(&b)), "{host}");
    let link = lab.ip_json(&format!("link show dev {host}"))[0].take();
    assert_eq!(link["master"], "cni0");
    assert!(is_up(&link));
    let container = lab.ip_json_in("c1", "link show dev eth0")[0].take();
    assert!(is_up(&container));
    let cni0 = lab.ip_json("link show dev cni0")[0].take();
    assert!(is_up(&cni0));
    assert_eq!(cni0["linkinfo"]["info_kind"], "bridge");
    assert_eq!(host_addresses(&lab, "cni0"), Vec::<String>::new());
    let interfaces = result["interfaces"].as_array().expect("interfaces");
    assert_eq!(interfaces.len(), 3);
    assert_eq!((&interfaces[0]["name"], &interfaces[0]["mac"]), (&json!("cni0"), &cni0["address"]));
    assert_eq!(interfaces[1]["mac"], link["address"]);
    assert_eq!(interfaces[2]["name"], "eth0");
    assert_eq!(interfaces[2]["mac"], container["address"]);
    assert_eq!(interfaces[2]["sandbox"], "/run/netns/c1");
    assert_eq!(interfaces[0].get("sandbox").or(interfaces[1].get("sandbox")), None);
}

#[test]
fn br_115_a_gateway_is_the_first_address_on_the_bridge_and_forwards() {
    let lab = Lab::new();
    let result = gateway(&lab, "10.1.2.0/24").add().result();
    assert_eq!(
        result["ips"],
        json!([{ "address": "10.1.2.2/24", "gateway": "10.1.2.1", "interface": 2 }])
    );
    assert_eq!(host_addresses(&lab, "cni0"), ["10.1.2.1/24"]);
    assert_eq!(lab.sh("cat /proc/sys/net/ipv4/ip_forward"), "1");
    assert_eq!(lab.sh("cat /proc/sys/net/ipv6/conf/all/forwarding"), "0");
    assert!(lab.reaches("c1", "10.1.2.1:9"));
    assert_eq!(default_routes(&lab, "-4"), Vec::<String>::new());
}

#[test]
fn br_115_the_mac_of_a_gateway_is_pinned() {
    let lab = Lab::new();
    let result = gateway(&lab, "10.1.2.0/24").add().result();
    let mac = |lab: &Lab| lab.ip_json("link show dev cni0")[0]["address"].take();
    assert_eq!(mac(&lab), result["interfaces"][0]["mac"]);
    // An unpinned bridge takes the lowest address of its ports.
    lab.sh("ip link add low type veth peer name other; ip link set low address 02:00:00:00:00:00
            ip link set low master cni0");
    assert_eq!(mac(&lab), result["interfaces"][0]["mac"]);
    lab.sh(&format!("ip link set {} nomaster", host_interface(&result)));
    assert_eq!(mac(&lab), result["interfaces"][0]["mac"]);
}

#[test]
fn br_116_a_default_gateway_gives_default_routes_in_both_families() {
    let lab = Lab::new();
    let plugin = bridge(&lab).key("isDefaultGateway", &json!(true)).key("ipam", &dual_stack());
    let result = plugin.add().result();
    assert_eq!(
        result["routes"],
        json!([{ "dst": "0.0.0.0/0", "gw": "10.1.2.1" }, { "dst": "::/0", "gw": "fd00:1::1" }])
    );
    assert_eq!(default_routes(&lab, "-4"), ["10.1.2.1 eth0"]);
    assert_eq!(default_routes(&lab, "-6"), ["fd00:1::1 eth0"]);
    assert_eq!(host_addresses(&lab, "cni0"), ["10.1.2.1/24", "fd00:1::1/64"]);
    assert_eq!(lab.sh("cat /proc/sys/net/ipv4/ip_forward"), "1");
    assert_eq!(lab.sh("cat /proc/sys/net/ipv6/conf/all/forwarding"), "1");
    assert!(lab.reaches("c1", "10.1.2.1:9"));
    assert!(lab.reaches("c1", "[fd00:1::1]:9"));
}

#[test]
fn br_117_a_default_route_without_gateway_is_not_added_twice() {
    let lab = Lab::new();
    if lab.reference_fails("it adds the same route twice") {
        return;
    }
    let mut ipam = dual_stack();
    ipam["routes"] = json!([{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }]);
    let plugin = bridge(&lab).key("isDefaultGateway", &json!(true)).key("ipam", &ipam);
    let result = plugin.add().result();
    let count = |dst: &str| {
        let routes = result["routes"].as_array().expect("routes");
        routes.iter().filter(|route| route["dst"] == dst).count()
    };
    assert_eq!((count("0.0.0.0/0"), count("::/0")), (1, 1), "{result}");
    assert_eq!(default_routes(&lab, "-4"), ["10.1.2.1 eth0"]);
    assert_eq!(default_routes(&lab, "-6"), ["fd00:1::1 eth0"]);
    plugin.check(&result).silent();
}

#[test]
fn br_118_a_default_route_with_gateway_stays_the_only_one() {
    let lab = Lab::new();
    let ipam = json!({
        "type": "host-local", "subnet": "10.1.2.0/24",
        "routes": [{ "dst": "0.0.0.0/0", "gw": "10.1.2.9" }],
    });
    let plugin = bridge(&lab).key("isDefaultGateway", &json!(true)).key("ipam", &ipam);
    let result = plugin.add().result();
    assert_eq!(result["routes"], ipam["routes"]);
    assert_eq!(default_routes(&lab, "-4"), ["10.1.2.9 eth0"]);
}

#[test]
fn br_119_another_address_on_the_bridge_is_a_conflict() {
    let lab = Lab::new();
    lab.sh("ip link add cni0 type bridge; ip addr add 10.9.9.1/24 dev cni0");
    let before = lab.snapshot();
    let plugin = gateway(&lab, "10.7.2.0/24");
    assert_eq!(
        plugin.add().failure(),
        "failed to set bridge addr: \"cni0\" already has an IP address different from 10.7.2.1/24"
    );
    assert!(lab.leases("net").is_empty());
    assert_eq!(host_addresses(&lab, "cni0"), ["10.9.9.1/24"]);
    assert_nothing_left(&lab, &before);
}

#[test]
fn br_119_another_address_on_the_bridge_is_replaced_by_force() {
    let lab = Lab::new();
    lab.sh("ip link add cni0 type bridge; ip addr add 10.9.9.1/24 dev cni0
            ip addr add fd00:9::1/64 dev cni0");
    let plugin = gateway(&lab, "10.7.2.0/24").key("forceAddress", &json!(true));
    let result = plugin.add().result();
    assert_eq!(host_addresses(&lab, "cni0"), ["10.7.2.1/24", "fd00:9::1/64"]);
    assert!(lab.reaches("c1", "10.7.2.1:9"));
    plugin.check(&result).silent();
}

#[test]
fn br_119_a_bridge_that_lost_its_last_port_can_be_a_gateway_again() {
    let lab = Lab::new();
    if lab.reference_fails("it pins the address 00:00:00:00:00:00, which the kernel refuses") {
        return;
    }
    lab.sh("ip link add cni0 type bridge; ip link add port type veth peer name other
            ip link set port master cni0; ip link del port");
    assert_eq!(lab.ip_json("link show dev cni0")[0]["address"], "00:00:00:00:00:00");
    gateway(&lab, "10.7.2.0/24").add().result();
    assert!(lab.reaches("c1", "10.7.2.1:9"));
}

#[test]
fn br_119_the_same_address_on_the_bridge_is_welcome() {
    let lab = Lab::new();
    lab.sh("ip link add cni0 type bridge; ip addr add 10.7.2.1/24 dev cni0");
    gateway(&lab, "10.7.2.0/24").add().result();
    assert_eq!(host_addresses(&lab, "cni0"), ["10.7.2.1/24"]);
}

#[test]
fn br_120_only_overlapping_ipv6_addresses_are_a_conflict() {
    let lab = Lab::new();
    lab.sh("ip link add cni0 type bridge; ip addr add fd00:9::1/64 dev cni0");
    gateway(&lab, "fd00:1::/64").add().result();
    assert_eq!(host_addresses(&lab, "cni0").len(), 2);
    let lab = Lab::new();
    lab.sh("ip link add cni0 type bridge; ip addr add fd00:1::9/64 dev cni0");
    let before = lab.snapshot();
    assert_eq!(
        gateway(&lab, "fd00:1::/64").add().failure(),
        "failed to set bridge addr: \"cni0\" already has an IP address different from fd00:1::1/64"
    );
    assert_eq!(host_addresses(&lab, "cni0"), ["fd00:1::9/64"]);
    assert!(lab.leases("net").is_empty());
    assert_nothing_left(&lab, &before);
}

#[test]
fn br_121_a_link_of_another_kind_is_no_bridge() {
    let lab = Lab::new();
    lab.sh("ip link add br9 type veth peer name other");
    let before = lab.snapshot();
    let plugin = gateway(&lab, "10.1.2.0/24").key("bridge", &json!("br9"));
    assert_eq!(
        plugin.add().failure(),
        "failed to create bridge \"br9\": \"br9\" already exists but is not a bridge"
    );
    lab.nothing_left(&before);
}

#[test]
fn br_122_the_mtu_is_that_of_the_pair_and_of_a_new_bridge() {
    let lab = Lab::new();
    let result = bridge(&lab).key("mtu", &json!(1400)).add().result();
    let mtu = |interface: &str| lab.ip_json(&format!("link show dev {interface}"))[0]["mtu"].take();
    assert_eq!(mtu("cni0"), 1400);
    assert_eq!(mtu(host_interface(&result)), 1400);
    assert_eq!(lab.ip_json_in("c1", "link show dev eth0")[0]["mtu"], 1400);
}

#[test]
fn br_122_a_port_gives_itself_no_address_also_where_it_could_not_have_one() {
    for mtu in [1400, 1000] {
        let lab = Lab::new();
        let plugin = bridge(&lab).key("mtu", &json!(mtu));
        let result = plugin.add().result();
        let port = host_interface(&result);
        let addresses = lab.ip_json(&format!("addr show dev {port}"))[0]["addr_info"].take();
        assert_eq!(addresses, json!([]), "with an MTU of {mtu}");
        let alias = lab.ip_json(&format!("link show dev {port}"))[0]["ifalias"].take();
        assert!(alias.is_string(), "the owner's mark, with an MTU of {mtu}");
        plugin.del(&result).silent();
    }
}

#[test]
fn br_122_an_existing_bridge_keeps_its_own_properties() {
    let lab = Lab::new();
    lab.sh("ip link add cni0 mtu 1450 type bridge; ip addr add 10.9.9.1/24 dev cni0");
    let result = bridge(&lab).key("mtu", &json!(1400)).add().result();
    lab.sh(&format!("ip link set {} mtu 1500", host_interface(&result)));
    lab.sh("ip link set cni0 mtu 1450");
    let second = bridge_on_second_container(&lab).add().result();
    assert_eq!(lab.ip_json("link show dev cni0")[0]["mtu"], 1450);
    let link = lab.ip_json(&format!("link show dev {}", host_interface(&second)));
    assert_eq!(link[0]["mtu"], 1450);
    assert_eq!(host_addresses(&lab, "cni0"), ["10.9.9.1/24"]);
}

fn bridge_on_second_container(lab: &Lab) -> Plugin<'_> {
    lab.netns("c2");
    let config = json!({ "cniVersion": "1.0.0", "name": "net", "type": "bridge", "mtu": 1450 });
    lab.plugin("bridge").on("c2").config(config)
}

#[test]
fn br_123_an_interface_that_exists_is_not_taken_over() {
    let lab = Lab::new();
    let plugin = gateway(&lab, "10.1.2.0/24");
    lab.sh_in("c1", "ip link add eth0 type veth peer name other");
    let before = (lab.snapshot(), lab.sh_in("c1", "ip link show"));
    let message = plugin.add().failure();
    if reference() {
        assert_eq!(message, "container veth name provided (eth0) already exists");
    } else {
        let start = "container veth name (\"eth0\") peer provided (\"veth";
        assert!(message.starts_with(start) && message.ends_with("\") already exists"), "{message}");
    }
    assert!(lab.leases("net").is_empty());
    lab.nothing_left(&before.0);
    assert_eq!(lab.sh_in("c1", "ip link show"), before.1);
}

#[test]
fn br_123_add_twice_is_an_error_and_changes_nothing() {
    let lab = Lab::new();
    let plugin = gateway(&lab, "10.1.2.0/24").key("ipMasq", &json!(true));
    let result = plugin.add().result();
    let before = (lab.snapshot(), lab.layer3_in("c1"));
    let message = plugin.add().failure();
    let (link, lease) = ("already exists", "10.1.2.2 has been allocated to c1, duplicate");
    assert!(message.contains(link) || message.contains(lease), "{message}");
    assert_eq!(lab.snapshot(), before.0);
    assert_eq!(lab.layer3_in("c1"), before.1);
    plugin.check(&result).silent();
}

fn port_flag(lab: &Lab, result: &Value, flag: &str) -> String {
    lab.sh(&format!("cat /sys/class/net/{}/brport/{flag}", host_interface(result)))
}

#[test]
fn br_124_hairpin_is_on_when_asked_for() {
    let lab = Lab::new();
    let plugin = bridge(&lab);
    let result = plugin.clone().key("hairpinMode", &json!(true)).add().result();
    assert_eq!(port_flag(&lab, &result, "hairpin_mode"), "1");
    let result = plugin.ifname("eth1").add().result();
    assert_eq!(port_flag(&lab, &result, "hairpin_mode"), "0");
}

#[test]
fn br_125_promiscuous_mode_is_the_bridges_and_excludes_hairpin() {
    let lab = Lab::new();
    let plugin = bridge(&lab).key("promiscMode", &json!(true));
    let message = plugin.clone().key("hairpinMode", &json!(true)).add().invalid_config();
    let expected = "cannot set hairpin mode and promiscuous mode at the same time";
    // 1.1.1 ends it with a full stop.
    let message = if reference() { message.trim_end_matches('.') } else { &message };
    assert_eq!(message, expected);
    assert!(!lab.exists("/sys/class/net/cni0"));
    let result = plugin.add().result();
    let flags = lab.ip_json("link show dev cni0")[0]["flags"].take();
    assert!(flags.as_array().expect("flags").contains(&json!("PROMISC")), "{flags}");
    assert_eq!(port_flag(&lab, &result, "hairpin_mode"), "0");
}

#[test]
fn br_126_isolated_ports_reach_the_gateway_and_not_each_other() {
    let lab = Lab::new();
    if lab.reference_fails("1.1.1 does not know port isolation") {
        return;
    }
    lab.netns("c2");
    let plugin = gateway(&lab, "10.1.2.0/24").key("portIsolation", &json!(true));
    let result = plugin.add().result();
    assert_eq!(port_flag(&lab, &result, "isolated"), "1");
    plugin.clone().on("c2").add().result();
    assert!(lab.reaches("c1", "10.1.2.1:9"));
    assert!(lab.does_not_reach("c1", "10.1.2.3:9"));
    let plain = plugin.key("portIsolation", &json!(false));
    let result = plain.ifname("eth1").add().result();
    assert_eq!(port_flag(&lab, &result, "isolated"), "0");
}

#[test]
fn br_132_vlan_identifiers_have_bounds() {
    let lab = Lab::new();
    let plugin = bridge(&lab);
    for vlan in [4095, -1] {
        let message = plugin.clone().key("vlan", &json!(vlan)).add().invalid_config();
        assert_eq!(message, format!("invalid VLAN ID {vlan} (must be between 0 and 4094)"));
    }
    assert!(!lab.exists("/sys/class/net/cni0"));
    plugin.key("vlan", &json!(0)).add().result();
}

#[test]
fn br_132_trunks_that_make_no_sense_are_refused() {
    let lab = Lab::new();
    if lab.reference_fails("1.1.1 does not know trunks") {
        return;
    }
    let cases = [
        (
            json!({ "minID": 5 }),
            "minID and maxID should be configured simultaneously, maxID is missing",
        ),
        (
            json!({ "maxID": 5 }),
            "minID and maxID should be configured simultaneously, minID is missing",
        ),
        (json!({ "minID": 0, "maxID": 5 }), "incorrect trunk minID parameter"),
        (json!({ "minID": 4095, "maxID": 4095 }), "incorrect trunk minID parameter"),
        (json!({ "minID": 5, "maxID": 4095 }), "incorrect trunk maxID parameter"),
        (json!({ "minID": 6, "maxID": 5 }), "minID is greater than maxID in trunk parameter"),
        (json!({ "id": 0 }), "incorrect trunk id parameter"),
        (json!({ "id": 4095 }), "incorrect trunk id parameter"),
    ];
    let plugin = bridge(&lab);
    for (entry, expected) in cases {
        let trunk = json!([{ "id": 7 }, entry]);
        let message = plugin.clone().key("vlanTrunk", &trunk).add().invalid_config();
        assert!(message.ends_with(expected), "{entry}: {message}");
    }
    assert!(!lab.exists("/sys/class/net/cni0"));
}

#[test]
fn br_135_the_container_interface_can_stay_down() {
    let lab = Lab::new();
    if lab.reference_fails("1.1.1 does not know disableContainerInterface") {
        return;
    }
    let plugin = bridge(&lab).key("disableContainerInterface", &json!(true));
    let with_ipam = plugin.clone().key("ipam", &dual_stack());
    assert_eq!(
        with_ipam.add().invalid_config(),
        "cannot use IPAM when DisableContainerInterface flag is set"
    );
    assert!(!lab.exists("/sys/class/net/cni0"));
    let result = plugin.add().result();
    assert!(!is_up(&lab.ip_json_in("c1", "link show dev eth0")[0]));
    plugin.check(&result).silent();
    plugin.del(&result).silent();
}

#[test]
fn br_136_duplicate_address_detection_is_off_unless_asked_for() {
    for (enabled, expected) in [(false, "0"), (true, "1")] {
        let lab = Lab::new();
        let plugin = bridge(&lab).key("isGateway", &json!(true)).key("ipam", &dual_stack());
        plugin.key("enabledad", &json!(enabled)).add().result();
        let accept = lab.sh_in("c1", "cat /proc/sys/net/ipv6/conf/eth0/accept_dad");
        assert_eq!(accept, expected);
        // The address can be used as soon as ADD has answered.
        let tentative = lab.sh_in("c1", "ip -6 -o address show dev eth0 tentative");
        assert_eq!(tentative, "");
        let addresses = lab.sh_in("c1", "ip -6 -o address show dev eth0 scope global");
        assert!(addresses.contains("fd00:1::2/64"), "{addresses}");
    }
}

#[test]
fn br_137_a_duplicate_address_on_the_segment_is_an_error() {
    let lab = Lab::new();
    if lab.reference_fails("1.1.1 does not know enabledad") {
        return;
    }
    lab.netns("c2");
    let addresses = json!([{ "address": "fd00:1::5/64", "gateway": "fd00:1::1" }]);
    let plugin = bridge(&lab)
        .key("isGateway", &json!(true))
        .key("ipam", &json!({ "type": "static", "addresses": addresses }));
    plugin.clone().on("c2").add().result();
    let before = lab.snapshot();
    let message = plugin.key("enabledad", &json!(true)).add().failure();
    assert!(message.starts_with("failed to settle addresses for \"eth0\": "), "{message}");
    assert!(message.contains("fd00:1::5") && message.ends_with("in DADFAILED state"), "{message}");
    assert_nothing_left(&lab, &before);
}

#[test]
fn br_157_two_ranges_of_one_family_have_two_gateways_on_the_bridge() {
    let lab = Lab::new();
    if lab.reference_fails("its second gateway conflicts with the first") {
        return;
    }
    let ranges = json!([[{ "subnet": "10.1.2.0/24" }], [{ "subnet": "10.1.3.0/24" }]]);
    let plugin = bridge(&lab)
        .key("isGateway", &json!(true))
        .key("ipam", &json!({ "type": "host-local", "ranges": ranges }));
    let result = plugin.add().result();
    assert_eq!(host_addresses(&lab, "cni0"), ["10.1.2.1/24", "10.1.3.1/24"]);
    assert!(lab.reaches("c1", "10.1.2.1:9"));
    assert!(lab.reaches("c1", "10.1.3.1:9"));
    plugin.check(&result).silent();
    lab.netns("c2");
    plugin.on("c2").add().result();
}
