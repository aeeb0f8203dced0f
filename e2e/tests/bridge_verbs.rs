//! BR 143 to 156: name servers, failure, DEL, CHECK, and many at once.

use ropewalk_e2e::{Lab, Plugin, Value, json};

/// A gateway with masquerade on container `c1`, whose namespace exists.
fn bridge(lab: &Lab) -> Plugin<'_> {
    lab.netns("c1");
    lab.plugin("bridge").on("c1").config(json!({
        "cniVersion": "1.0.0", "name": "net", "type": "bridge", "isGateway": true, "ipMasq": true,
        "ipam": {
            "type": "host-local", "subnet": "10.1.2.0/24", "routes": [{ "dst": "0.0.0.0/0" }],
        },
    }))
}

/// A bridge that has been added, and the result.
fn added(lab: &Lab) -> (Plugin<'_>, Value) {
    let plugin = bridge(lab);
    let result = plugin.add().result();
    plugin.check(&result).silent();
    (plugin, result)
}

#[test]
fn br_143_name_servers_of_the_network_replace_those_of_the_address_plugin() {
    let lab = Lab::new();
    let ipam = json!({
        "type": "static", "addresses": [{ "address": "10.1.2.2/24" }],
        "dns": { "nameservers": ["10.1.2.1"], "domain": "ipam.example", "search": ["a"] },
    });
    let plugin = bridge(&lab).key("ipam", &ipam);
    let result = plugin.add().result();
    if !lab.reference_fails("1.1.1 never passes on the address plugin's") {
        assert_eq!(result["dns"], ipam["dns"]);
    }
    plugin.del(&result).silent();
    let dns = json!({ "search": ["net.example"] });
    assert_eq!(plugin.key("dns", &dns).add().result()["dns"], dns);
}

#[test]
fn br_144_failure_of_the_address_plugin_leaves_nothing() {
    let lab = Lab::new();
    if lab.reference_fails("it leaves the link") {
        return;
    }
    let before = lab.snapshot();
    let path = lab.delegate("pool", r#"echo '{"code":11,"msg":"later"}'; exit 1"#);
    let plugin = bridge(&lab).path(&path).key("ipam", &json!({ "type": "pool" }));
    assert_eq!(plugin.add().error_with_code(11), "later");
    lab.nothing_left(&before);
    assert!(!lab.has_link("c1", "eth0"));
}

#[test]
fn br_144_an_exhausted_range_leaves_nothing() {
    let lab = Lab::new();
    let plugin =
        bridge(&lab).key("ipam", &json!({ "type": "host-local", "subnet": "10.1.2.0/30" }));
    plugin.clone().ifname("eth1").add().result();
    let before = lab.snapshot();
    let message = plugin.add().failure();
    assert!(message.contains("no IP addresses available in range set"), "{message}");
    assert_eq!(lab.leases("net"), ["10.1.2.2"]);
    if !lab.reference_fails("it leaves the link") {
        lab.nothing_left(&before);
        assert!(!lab.has_link("c1", "eth0"));
    }
}

#[test]
fn br_145_del_removes_link_lease_and_masquerade_and_keeps_the_bridge() {
    let lab = Lab::new();
    let plugin = bridge(&lab);
    let before = lab.settled(&plugin);
    let result = plugin.add().result();
    assert_eq!(lab.leases("net"), ["10.1.2.2"]);
    plugin.del(&result).silent();
    lab.nothing_left(&before);
    assert!(!lab.has_link("c1", "eth0"));
    let cni0 = lab.ip_json("address show dev cni0")[0].take();
    assert_eq!(cni0["linkinfo"]["info_kind"], "bridge");
    assert_eq!(cni0["addr_info"][0]["local"], "10.1.2.1");
}

#[test]
fn br_145_del_leaves_other_containers_alone() {
    let lab = Lab::new();
    let (plugin, _) = added(&lab);
    let before = lab.snapshot();
    let state = lab.layer3_in("c1");
    lab.netns("c2");
    let other = plugin.clone().on("c2");
    let result = other.add().result();
    other.del(&result).silent();
    lab.nothing_left(&before);
    assert_eq!(lab.layer3_in("c1"), state);
    assert!(lab.reaches("c1", "10.1.2.1:9"));
}

#[test]
fn row_03_del_does_not_mind_a_result_that_names_no_such_interface() {
    let lab = Lab::new();
    let plugin = bridge(&lab);
    let before = lab.settled(&plugin);
    let mut result = plugin.add().result();
    result["ips"][0]["interface"] = json!(9);
    plugin.del(&result).silent();
    lab.nothing_left(&before);
}

#[test]
fn br_146_del_twice_is_silent() {
    let lab = Lab::new();
    let plugin = bridge(&lab);
    let before = lab.settled(&plugin);
    let result = plugin.add().result();
    plugin.del(&result).silent();
    plugin.del(&result).silent();
    plugin.del_without_result().silent();
    lab.nothing_left(&before);
}

#[test]
fn br_146_del_of_what_was_never_added_is_silent() {
    let lab = Lab::new();
    let before = lab.snapshot();
    let plugin = bridge(&lab);
    plugin.del_without_result().silent();
    plugin.clone().netns("/run/netns/gone").del_without_result().silent();
    plugin.without("CNI_NETNS").del_without_result().silent();
    lab.nothing_left(&before);
    assert!(!lab.exists("/sys/class/net/cni0"));
}

#[test]
fn br_147_del_with_the_namespace_deleted_releases_the_lease() {
    let lab = Lab::new();
    let (plugin, result) = added(&lab);
    lab.sh("ip netns del c1");
    plugin.del(&result).silent();
    assert!(lab.leases("net").is_empty());
}

#[test]
fn br_148_del_with_an_empty_namespace_releases_the_lease() {
    let lab = Lab::new();
    let (plugin, result) = added(&lab);
    plugin.clone().netns("").del(&result).silent();
    assert!(lab.leases("net").is_empty());
    plugin.without("CNI_NETNS").del_without_result().silent();
}

#[test]
fn br_149_check_right_after_add_is_silent() {
    let lab = Lab::new();
    let ranges = json!([[{ "subnet": "10.1.2.0/24" }], [{ "subnet": "fd00:1::/64" }]]);
    let plugin = bridge(&lab)
        .key("ipam", &json!({ "type": "host-local", "ranges": ranges }))
        .key("isDefaultGateway", &json!(true))
        .key("hairpinMode", &json!(true))
        .key("mtu", &json!(1400));
    let result = plugin.add().result();
    plugin.check(&result).silent();
}

#[test]
fn br_149_a_container_can_have_two_interfaces_on_a_network_with_default_routes() {
    let lab = Lab::new();
    let first = bridge(&lab)
        .key("isDefaultGateway", &json!(true))
        .key("ipMasq", &json!(false))
        .key("ipam", &json!({ "type": "host-local", "subnet": "10.1.2.0/24" }));
    let second = first.clone().ifname("eth1");
    let result = first.add().result();
    let second_result = second.add().result();
    assert_eq!(second_result["ips"][0]["address"], "10.1.2.3/24");
    first.check(&result).silent();
    second.check(&second_result).silent();
    second.del(&second_result).silent();
    assert!(lab.reaches("c1", "10.1.2.1:9"));
    first.check(&result).silent();
}

#[test]
fn br_149_check_works_in_every_version_that_has_it() {
    for version in ["0.4.0", "1.0.0", "1.1.0"] {
        let lab = Lab::new();
        if version == "1.1.0" && lab.reference_fails("1.1.1 knows the specification to 1.0.0") {
            return;
        }
        let plugin = bridge(&lab).key("cniVersion", &json!(version));
        let result = plugin.add().result();
        plugin.check(&result).silent();
        plugin.del(&result).silent();
    }
}

/// Makes one change after ADD, and answers the message of CHECK.
fn check_after(change: impl Fn(&Lab, &Value)) -> String {
    let lab = Lab::new();
    let (plugin, result) = added(&lab);
    change(&lab, &result);
    plugin.check(&result).failure()
}

#[test]
fn br_150_check_notices_a_removed_address() {
    let message = check_after(|lab, _| {
        lab.sh_in("c1", "ip addr del 10.1.2.2/24 dev eth0");
    });
    assert_eq!(message, "Failed to match addr 10.1.2.2/24 on interface eth0");
}

#[test]
fn br_150_check_notices_a_removed_route() {
    let message = check_after(|lab, _| {
        lab.sh_in("c1", "ip route del default");
    });
    assert!(message.starts_with("Expected Route {"), "{message}");
    assert!(message.ends_with("} not found in routing table"), "{message}");
}

#[test]
fn br_150_check_notices_a_removed_interface() {
    let message = check_after(|lab, _| {
        lab.sh_in("c1", "ip link del eth0");
    });
    assert!(message.contains("eth0"), "{message}");
}

#[test]
fn br_150_check_notices_a_port_that_left_the_bridge() {
    let message = check_after(|lab, result| {
        let host = result["interfaces"][1]["name"].as_str().expect("a host interface");
        lab.sh(&format!("ip link set {host} nomaster"));
    });
    assert!(message.contains("cni0"), "{message}");
}

#[test]
fn br_150_check_notices_a_removed_bridge() {
    let message = check_after(|lab, _| {
        lab.sh("ip link del cni0");
    });
    assert!(message.contains("cni0"), "{message}");
}

#[test]
fn br_150_check_notices_a_removed_lease() {
    let message = check_after(|lab, _| {
        lab.sh("rm /var/lib/cni/networks/net/10.1.2.2");
    });
    assert_eq!(message, "host-local: Failed to find address added by container c1");
}

#[test]
fn br_151_check_needs_the_previous_result() {
    let lab = Lab::new();
    let (plugin, _) = added(&lab);
    assert_eq!(plugin.command("CHECK").run().refused(), "Required prevResult missing");
}

#[test]
fn br_152_check_notices_another_mac_on_the_bridge() {
    let message = check_after(|lab, _| {
        lab.sh("ip link set cni0 address 02:00:00:00:00:01");
    });
    let message = message.to_lowercase();
    assert!(message.contains("cni0") && message.contains("mac"), "{message}");
}

#[test]
fn br_152_check_notices_another_promiscuous_mode() {
    let message = check_after(|lab, _| {
        lab.sh("ip link set cni0 promisc on");
    });
    let start = "Bridge interface cni0 configured Promisc Mode false doesn't match current state: ";
    assert!(message.starts_with(start), "{message}");
}

#[test]
fn br_152_check_notices_another_namespace_and_another_container() {
    let lab = Lab::new();
    let (plugin, result) = added(&lab);
    let other = lab.netns("c2");
    let message = plugin.clone().netns(&other).check(&result).failure();
    // The reference forgets to name the sandbox and leaves two blanks.
    let end = format!(" doesn't match configured netns: {other}");
    assert!(message.starts_with("Sandbox in prevResult ") && message.ends_with(&end), "{message}");
    let message = plugin.container("c2").check(&result).failure();
    assert_eq!(message, "host-local: Failed to find address added by container c2");
}

#[test]
fn br_153_check_of_a_bridge_without_addresses_is_silent() {
    let lab = Lab::new();
    if lab.reference_fails("it looks for an address plugin with no name") {
        return;
    }
    lab.netns("c1");
    let config = json!({ "cniVersion": "1.0.0", "name": "net", "type": "bridge" });
    let plugin = lab.plugin("bridge").on("c1").config(config);
    let result = plugin.add().result();
    plugin.check(&result).silent();
    lab.sh_in("c1", "ip link del eth0");
    plugin.check(&result).failure();
}

#[test]
fn br_154_check_finds_routes_in_other_tables() {
    let lab = Lab::new();
    if lab.reference_fails("it looks in the main table only") {
        return;
    }
    let ipam = json!({
        "type": "host-local", "subnet": "10.1.2.0/24",
        "routes": [{ "dst": "10.9.0.0/16", "gw": "10.1.2.1", "table": 77, "priority": 5 }],
    });
    let plugin = bridge(&lab).key("cniVersion", &json!("1.1.0")).key("ipam", &ipam);
    let result = plugin.add().result();
    let routes = lab.ip_json_in("c1", "route show table 77");
    assert_eq!((&routes[0]["dst"], &routes[0]["metric"]), (&json!("10.9.0.0/16"), &json!(5)));
    plugin.check(&result).silent();
    lab.sh_in("c1", "ip route flush table 77");
    let message = plugin.check(&result).failure();
    assert!(message.starts_with("Expected Route {"), "{message}");
}

#[test]
fn br_155_thirty_at_once_get_thirty_addresses_and_all_go_again() {
    let lab = Lab::new();
    let plugin = bridge(&lab);
    let before = lab.settled(&plugin);
    let names: Vec<String> = (0..30).map(|number| format!("p{number}")).collect();
    let attachments: Vec<Plugin<'_>> = names
        .iter()
        .map(|name| {
            lab.netns(name);
            plugin.clone().on(name)
        })
        .collect();
    let running: Vec<_> = attachments.iter().map(|p| p.clone().command("ADD").start()).collect();
    let results: Vec<Value> = running.into_iter().map(|r| r.finish().result()).collect();
    let mut addresses: Vec<String> =
        results.iter().map(|result| result["ips"][0]["address"].to_string()).collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 30);
    for (attachment, result) in attachments.iter().zip(&results) {
        attachment.check(result).silent();
    }
    assert!(lab.reaches("p0", "10.1.2.1:9") && lab.reaches("p29", "10.1.2.1:9"));
    let running: Vec<_> = attachments.iter().map(|p| p.clone().command("DEL").start()).collect();
    for running in running {
        running.finish().silent();
    }
    lab.nothing_left(&before);
}

#[test]
fn br_156_host_interfaces_have_different_names() {
    let lab = Lab::new();
    lab.netns("c2");
    let plugin = bridge(&lab);
    let plugin = plugin.key("ipam", &Value::Null);
    let other_network = plugin.clone().key("name", &json!("other"));
    let attachments = [
        plugin.clone(),
        plugin.clone().ifname("eth1"),
        plugin.clone().on("c2"),
        other_network.ifname("eth2"),
    ];
    let mut names: Vec<String> = attachments
        .iter()
        .map(|attachment| attachment.add().result()["interfaces"][1]["name"].to_string())
        .collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 4, "{names:?}");
}
