//! BR 138 to 142, 147: what leaves the container's subnet leaves under the host's address.
//!
//! The layout in nftables is our own, so those tests look at traffic. The layout in iptables is
//! the reference plugins', for an update in place.

use ropewalk_e2e::{Lab, Plugin, Value, json};

const HOST: &str = "10.99.0.1";
const OUTSIDE: &str = "10.99.0.2:80";
const OUTSIDE_6: &str = "[fd00:99::2]:80";

/// Containers `c1` and `c2` and a namespace `outer` that has no way back to the containers.
fn lab_with_outside() -> Lab {
    let lab = Lab::new();
    lab.netns("c1");
    lab.netns("c2");
    let addresses = [("10.99.0.1/24", "10.99.0.2/24"), ("fd00:99::1/64", "fd00:99::2/64")];
    lab.outer_network("outer", &addresses);
    lab
}

/// A masqueraded dual-stack network; the routes to the outside are the default routes.
fn bridge<'lab>(lab: &'lab Lab, backend: &Value) -> Plugin<'lab> {
    lab.plugin("bridge").on("c1").config(json!({
        "cniVersion": "1.0.0", "name": "net", "type": "bridge",
        "isGateway": true, "ipMasq": true, "ipMasqBackend": backend,
        "ipam": {
            "type": "host-local",
            "ranges": [[{ "subnet": "10.1.2.0/24" }], [{ "subnet": "fd00:1::/64" }]],
        },
    }))
}

/// Sends what `netns` sends outside through this interface only.
fn route_through(lab: &Lab, netns: &str, interface: &str) {
    lab.sh_in(
        netns,
        &format!(
            "ip route replace 10.99.0.0/24 via 10.1.2.1 dev {interface}
             ip -6 route replace fd00:99::/64 via fd00:1::1 dev {interface}"
        ),
    );
}

fn seen(lab: &Lab, from: &str, to: &str, destination: &str) -> String {
    match lab.source_seen(from, to, destination) {
        Some(address) => address.to_string(),
        None => "nothing".to_owned(),
    }
}

/// ADD, traffic in all directions, CHECK, DEL: the same for both backends.
fn masquerades_what_leaves_the_subnet(backend: &Value) {
    let lab = lab_with_outside();
    if backend == "nftables" && lab.lacks_nftables() {
        return;
    }
    let plugin = bridge(&lab, backend);
    let before = lab.settled(&plugin);
    let first = plugin.add().result();
    let second = plugin.clone().on("c2").add().result();
    for container in ["c1", "c2"] {
        route_through(&lab, container, "eth0");
        assert_eq!(seen(&lab, container, "outer", OUTSIDE), HOST);
        assert_eq!(seen(&lab, container, "outer", OUTSIDE_6), "fd00:99::1");
    }
    assert_eq!(seen(&lab, "c1", "c2", "10.1.2.3:80"), "10.1.2.2");
    assert_eq!(seen(&lab, "c1", "c2", "[fd00:1::3]:80"), "fd00:1::2");
    plugin.check(&first).silent();
    plugin.del(&first).silent();
    assert_eq!(seen(&lab, "c2", "outer", OUTSIDE), HOST, "the other container is not affected");
    plugin.on("c2").del(&second).silent();
    lab.nothing_left(&before);
}

#[test]
fn br_139_nftables_masquerades_what_leaves_the_subnet_only() {
    masquerades_what_leaves_the_subnet(&json!("nftables"));
}

#[test]
fn br_138_iptables_masquerades_what_leaves_the_subnet_only() {
    masquerades_what_leaves_the_subnet(&json!("iptables"));
}

#[test]
fn br_139_without_masquerade_the_container_keeps_its_address() {
    let lab = lab_with_outside();
    let plugin = bridge(&lab, &Value::Null).key("ipMasq", &json!(false));
    plugin.add().result();
    route_through(&lab, "c1", "eth0");
    lab.sh_in("outer", "ip route add 10.1.2.0/24 via 10.99.0.1");
    assert_eq!(seen(&lab, "c1", "outer", OUTSIDE), "10.1.2.2");
}

#[test]
fn br_139_traffic_inside_the_subnet_that_the_host_routes_is_not_masqueraded() {
    let lab = lab_with_outside();
    let plugin = bridge(&lab, &Value::Null);
    plugin.add().result();
    // A member of the subnet that lives outside: the host forwards to it.
    lab.sh("ip route add 10.1.2.200 via 10.99.0.2; ip neigh add proxy 10.1.2.200 dev cni0");
    lab.sh_in(
        "outer",
        "ip addr add 10.1.2.200/32 dev lo; ip link set lo up
                        ip route add 10.1.2.0/24 via 10.99.0.1",
    );
    lab.sh("echo 1 >/proc/sys/net/ipv4/conf/cni0/proxy_arp");
    assert_eq!(seen(&lab, "c1", "outer", "10.1.2.200:80"), "10.1.2.2");
}

/// The nat rules of one family as `iptables-save` prints them.
fn nat_rules(lab: &Lab, program: &str) -> Vec<String> {
    let text = lab.sh(&format!("{program}-save -t nat"));
    text.lines().filter(|line| line.starts_with('-')).map(str::to_owned).collect()
}

#[test]
fn br_138_the_rules_in_iptables_are_those_of_the_reference_plugins() {
    let lab = lab_with_outside();
    let plugin = bridge(&lab, &json!("iptables"));
    let result = plugin.add().result();
    // The first 24 digits of SHA-512 of network name and container id.
    let chain = "CNI-623e1c388032b20529218ecc";
    let comment = r#"-m comment --comment "name: \"net\" id: \"c1\"""#;
    let expected = |address: &str, subnet: &str, multicast: &str| {
        [
            format!("-A POSTROUTING -s {address} {comment} -j {chain}"),
            format!("-A {chain} -d {subnet} {comment} -j ACCEPT"),
            format!("-A {chain} ! -d {multicast} {comment} -j MASQUERADE"),
        ]
    };
    assert_eq!(nat_rules(&lab, "iptables"), expected("10.1.2.2/32", "10.1.2.0/24", "224.0.0.0/4"));
    assert_eq!(nat_rules(&lab, "ip6tables"), expected("fd00:1::2/128", "fd00:1::/64", "ff00::/8"));
    plugin.del(&result).silent();
    for program in ["iptables", "ip6tables"] {
        let text = lab.sh(&format!("{program}-save"));
        assert!(!text.contains("CNI-") && !text.contains("net"), "{text}");
    }
}

/// Two interfaces of one container on one network; DEL of the first leaves the second working.
fn del_of_one_interface_keeps_the_other(backend: &Value) {
    let lab = lab_with_outside();
    let first = bridge(&lab, backend);
    let before = lab.settled(&first);
    let second = first.clone().ifname("eth1");
    let first_result = first.add().result();
    let second_result = second.add().result();
    first.del(&first_result).silent();
    route_through(&lab, "c1", "eth1");
    assert_eq!(seen(&lab, "c1", "outer", OUTSIDE), HOST);
    assert_eq!(seen(&lab, "c1", "outer", OUTSIDE_6), "fd00:99::1");
    second.check(&second_result).silent();
    second.del(&second_result).silent();
    lab.nothing_left(&before);
}

#[test]
fn br_139_del_of_one_interface_keeps_the_masquerade_of_the_other_in_nftables() {
    let lab = Lab::new();
    if lab.reference_fails("1.1.1 knows iptables only") || lab.lacks_nftables() {
        return;
    }
    del_of_one_interface_keeps_the_other(&json!("nftables"));
}

#[test]
fn br_142_del_of_one_interface_keeps_the_masquerade_of_the_other_in_iptables() {
    let lab = Lab::new();
    if lab.reference_fails("DEL of the first interface fails: Device or resource busy") {
        return;
    }
    del_of_one_interface_keeps_the_other(&json!("iptables"));
}

#[test]
fn br_140_an_unknown_backend_is_refused() {
    let lab = Lab::new();
    if lab.reference_fails("1.1.1 does not know the key") {
        return;
    }
    lab.netns("c1");
    let before = lab.snapshot();
    let message = bridge(&lab, &json!("foo")).add().refused();
    assert_eq!(message, r#"unknown ipmasq backend "foo""#);
    assert!(lab.leases("net").is_empty());
    lab.nothing_left(&before);
    assert!(!lab.has_link("c1", "eth0"));
}

#[test]
fn br_147_an_attachment_of_one_family_leaves_nothing() {
    let lab = Lab::new();
    lab.netns("c1");
    let filters = [Some("iptables"), (!lab.lacks_nftables()).then_some("nftables")];
    for backend in filters.into_iter().flatten() {
        for subnet in ["10.1.2.0/24", "fd00:1::/64"] {
            let ipam = json!({ "type": "host-local", "ranges": [[{ "subnet": subnet }]] });
            let plugin = bridge(&lab, &json!(backend)).key("ipam", &ipam);
            let before = lab.settled(&plugin);
            plugin.del(&plugin.add().result()).silent();
            lab.nothing_left(&before);
        }
    }
}

#[test]
fn br_141_without_iptables_on_the_path_masquerade_is_done_by_nftables() {
    let lab = lab_with_outside();
    if lab.reference_fails("1.1.1 knows iptables only") || lab.lacks_nftables() {
        return;
    }
    lab.sh("mkdir /run/lab/nft; ln -s $(command -v nft) /run/lab/nft/");
    let plugin = bridge(&lab, &Value::Null).variable("PATH", "/run/lab/nft");
    let before = lab.settled(&plugin);
    let result = plugin.add().result();
    route_through(&lab, "c1", "eth0");
    assert_eq!(seen(&lab, "c1", "outer", OUTSIDE), HOST);
    assert!(nat_rules(&lab, "iptables").is_empty());
    plugin.check(&result).silent();
    plugin.del(&result).silent();
    lab.nothing_left(&before);
}

fn check_notices_the_removal(backend: &str, removal: &str) {
    let lab = lab_with_outside();
    if lab.reference_fails("nobody checks the masquerade") {
        return;
    }
    if backend == "nftables" && lab.lacks_nftables() {
        return;
    }
    let plugin = bridge(&lab, &json!(backend));
    let result = plugin.add().result();
    plugin.check(&result).silent();
    lab.sh(removal);
    plugin.check(&result).failure();
    plugin.del(&result).silent();
}

#[test]
fn br_139_check_notices_that_the_masquerade_in_nftables_is_gone() {
    check_notices_the_removal("nftables", "nft flush ruleset");
}

#[test]
fn br_138_check_notices_that_the_masquerade_in_iptables_is_gone() {
    check_notices_the_removal("iptables", "iptables -t nat -F");
}

/// DEL after the namespace is gone; what DEL is told about the result differs.
fn del_without_namespace(backend: &str, del: impl Fn(&Plugin<'_>, &Value)) {
    let lab = lab_with_outside();
    if lab.reference_fails("it leaks the masquerade") {
        return;
    }
    if backend == "nftables" && lab.lacks_nftables() {
        return;
    }
    let plugin = bridge(&lab, &json!(backend));
    let before = lab.settled(&plugin);
    let result = plugin.add().result();
    // Somebody still holds the namespace, so the kernel does not remove the pair by itself.
    let path = lab.outside(&Lab::netns_path("c1"));
    let held = std::fs::File::open(path).expect("the namespace is there");
    lab.sh("ip netns del c1");
    del(&plugin, &result);
    lab.nothing_left(&before);
    del(&plugin, &result);
    drop(held);
}

#[test]
fn br_147_del_without_namespace_leaks_nothing_in_nftables() {
    del_without_namespace("nftables", |plugin, result| plugin.del(result).silent());
}

#[test]
fn br_147_del_without_namespace_leaks_nothing_in_iptables() {
    del_without_namespace("iptables", |plugin, result| plugin.del(result).silent());
}

/// The path of the namespace is gone, and then it is not told at all.
fn del_knowing_nothing(backend: &str) {
    del_without_namespace(backend, |plugin, _| plugin.del_without_result().silent());
    del_without_namespace(backend, |plugin, _| {
        plugin.clone().netns("").del_without_result().silent();
    });
}

#[test]
fn br_147_del_without_namespace_and_previous_result_leaks_nothing_in_nftables() {
    del_knowing_nothing("nftables");
}

#[test]
fn br_147_del_without_namespace_and_previous_result_leaks_nothing_in_iptables() {
    del_knowing_nothing("iptables");
}
