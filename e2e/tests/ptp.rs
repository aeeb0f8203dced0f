//! PTP 158 to 167: pairs whose host end is the container's gateway.
//!
//! What it must never do: compare names of host interfaces, which are chosen differently.

use ropewalk_e2e::chain::packets::{Server, tcp_source};
use ropewalk_e2e::chain::{Chain, lab_with_outside, portmap};
use ropewalk_e2e::{Lab, Plugin, Value, json, reference};

/// Both families, and default routes without a gateway.
fn dual_stack() -> Value {
    json!({
        "type": "host-local",
        "ranges": [[{ "subnet": "10.1.2.0/24" }], [{ "subnet": "fd00:1::/64" }]],
        "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }],
    })
}

/// A pair for `c1`, whose namespace exists.
fn ptp<'lab>(lab: &'lab Lab, ipam: &Value) -> Plugin<'lab> {
    if !lab.exists("/run/netns/c1") {
        lab.netns("c1");
    }
    lab.plugin("ptp").on("c1").config(json!({
        "cniVersion": "1.0.0", "name": "net", "type": "ptp", "ipam": ipam,
    }))
}

fn ipv4(lab: &Lab) -> Plugin<'_> {
    ptp(lab, &json!({ "type": "host-local", "subnet": "10.1.2.0/24" }))
}

fn host_interface(result: &Value) -> &str {
    result["interfaces"][0]["name"].as_str().expect("the first interface is the host's")
}

/// The routes that `ip` shows, without what tells nothing about them.
fn routes(text: &str) -> Vec<String> {
    let quiet = ["proto", "boot", "kernel", "pref", "medium", "metric", "1024", "256"];
    let lines = text.lines().filter(|line| !line.starts_with("fe80::"));
    let mut lines: Vec<String> = lines
        .map(|line| {
            let words: Vec<&str> =
                line.split_whitespace().filter(|word| !quiet.contains(word)).collect();
            words.join(" ")
        })
        .collect();
    lines.sort();
    lines
}

/// The addresses of a host interface, link-local ones left out.
fn host_addresses(lab: &Lab, interface: &str) -> Vec<String> {
    let answer = lab.ip_json(&format!("address show dev {interface}"));
    let addresses = answer[0]["addr_info"].as_array().expect("an interface has addresses").iter();
    let global = addresses.filter(|address| address["scope"] == "global");
    global.map(|a| format!("{}/{}", a["local"].as_str().unwrap_or("?"), a["prefixlen"])).collect()
}

fn sysctl(lab: &Lab, path: &str) -> String {
    lab.sh(&format!("cat /proc/sys/net/{path}"))
}

#[test]
fn ptp_158_the_routes_of_both_sides_are_exact() {
    let lab = Lab::new();
    let plugin = ptp(&lab, &dual_stack());
    let result = plugin.add().result();
    let veth = host_interface(&result);
    assert_eq!(
        routes(&lab.sh_in("c1", "ip -4 route show")),
        [
            "10.1.2.0/24 via 10.1.2.1 dev eth0 src 10.1.2.2",
            "10.1.2.1 dev eth0 scope link src 10.1.2.2",
            "default via 10.1.2.1 dev eth0",
        ]
    );
    assert_eq!(
        routes(&lab.sh_in("c1", "ip -6 route show")),
        [
            "default via fd00:1::1 dev eth0",
            "fd00:1::/64 via fd00:1::1 dev eth0 src fd00:1::2",
            "fd00:1::1 dev eth0 src fd00:1::2",
        ]
    );
    let host = routes(&lab.sh(&format!("ip -4 route show dev {veth}")));
    assert_eq!(host, ["10.1.2.2 scope host"]);
    let host = routes(&lab.sh(&format!("ip -6 route show dev {veth}")));
    assert_eq!(host, ["fd00:1::1", "fd00:1::2"]);
    assert_eq!(host_addresses(&lab, veth), ["10.1.2.1/32", "fd00:1::1/128"]);
    assert_eq!(sysctl(&lab, &format!("ipv6/conf/{veth}/accept_ra")), "0");
    plugin.check(&result).silent();
    for gateway in ["10.1.2.1:9", "[fd00:1::1]:9"] {
        assert!(lab.reaches("c1", gateway), "{gateway}");
    }
}

#[test]
fn ptp_158_an_address_alone_in_its_subnet_needs_no_subnet_route() {
    let lab = Lab::new();
    if lab.reference_fails("it deletes a route that the kernel did not make") {
        return;
    }
    let ipam = json!({
        "type": "static",
        "addresses": [
            { "address": "10.1.2.2/32", "gateway": "169.254.1.1" },
            { "address": "fd00:1::2/128", "gateway": "fd00:ffff::1" },
        ],
        "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }],
    });
    let plugin = ptp(&lab, &ipam);
    let result = plugin.add().result();
    plugin.check(&result).silent();
    assert!(lab.reaches("c1", "169.254.1.1:9") && lab.reaches("c1", "[fd00:ffff::1]:9"));
    plugin.del(&result).silent();
}

#[test]
fn ptp_159_every_container_has_the_same_gateway_on_a_pair_of_its_own() {
    let lab = Lab::new();
    let plugin = ptp(&lab, &dual_stack());
    lab.netns("c2");
    let first = plugin.add().result();
    let second = plugin.clone().on("c2").add().result();
    assert_ne!(host_interface(&first), host_interface(&second));
    for result in [&first, &second] {
        let addresses = host_addresses(&lab, host_interface(result));
        assert_eq!(addresses, ["10.1.2.1/32", "fd00:1::1/128"]);
    }
    for (from, to) in [("c1", "10.1.2.3:9"), ("c2", "[fd00:1::2]:9"), ("c2", "10.1.2.1:9")] {
        assert!(lab.reaches(from, to), "{from} to {to}");
    }
    plugin.del(&first).silent();
    assert!(lab.reaches("c2", "10.1.2.1:9") && lab.reaches("c2", "[fd00:1::1]:9"));
    plugin.on("c2").check(&second).silent();
}

#[test]
fn ptp_160_the_mtu_is_that_of_both_ends_and_the_host_forwards() {
    let lab = Lab::new();
    let result = ipv4(&lab).key("mtu", &json!(1400)).add().result();
    let veth = host_interface(&result);
    assert_eq!(lab.ip_json(&format!("link show dev {veth}"))[0]["mtu"], 1400);
    assert_eq!(lab.ip_json_in("c1", "link show dev eth0")[0]["mtu"], 1400);
    assert_eq!(sysctl(&lab, "ipv4/ip_forward"), "1");
    assert_eq!(sysctl(&lab, "ipv6/conf/all/forwarding"), "0");
    let lab = Lab::new();
    ptp(&lab, &json!({ "type": "host-local", "subnet": "fd00:1::/64" })).add().result();
    assert_eq!(sysctl(&lab, "ipv4/ip_forward"), "0");
    assert_eq!(sysctl(&lab, "ipv6/conf/all/forwarding"), "1");
}

#[test]
fn ptp_161_without_an_address_plugin_add_and_del_fail() {
    let lab = Lab::new();
    let plugin = ptp(&lab, &Value::Null);
    assert_eq!(plugin.add().invalid_config(), "no plugin name provided");
    assert_eq!(plugin.del_without_result().invalid_config(), "no plugin name provided");
    assert!(!lab.has_link("c1", "eth0"));
}

#[test]
fn p_31_status_of_ptp_needs_an_address_plugin() {
    let lab = Lab::new();
    if lab.reference_fails("1.1.1 knows the specification to 1.0.0") {
        return;
    }
    let plugin = ipv4(&lab).key("cniVersion", &json!("1.1.0"));
    plugin.status().silent();
    let plugin = plugin.key("ipam", &Value::Null);
    assert_eq!(plugin.status().invalid_config(), "no plugin name provided");
}

#[test]
fn ptp_162_an_address_without_gateway_is_an_error_and_released() {
    let lab = Lab::new();
    let before = lab.snapshot();
    let path = lab.delegate(
        "pool",
        r#"case $CNI_COMMAND in
           ADD) touch /run/lab/claimed
                echo '{"cniVersion":"1.0.0","ips":[{"address":"10.1.2.2/24"}]}';;
           DEL) rm /run/lab/claimed;;
           esac"#,
    );
    let plugin = ptp(&lab, &json!({ "type": "pool" })).path(&path);
    let message = plugin.add().failure();
    if !reference() {
        let expected = "failed to add IP addr to veth: \
                        the IPAM plugin gave no gateway for 10.1.2.2/24";
        assert_eq!(message, expected);
        lab.nothing_left(&before);
        assert!(!lab.has_link("c1", "eth0"));
    }
    assert!(!lab.exists("/run/lab/claimed"));
}

#[test]
fn ptp_163_name_servers_of_the_network_replace_those_of_the_address_plugin() {
    let lab = Lab::new();
    let ipam = json!({
        "type": "static", "addresses": [{ "address": "10.1.2.2/24", "gateway": "10.1.2.1" }],
        "dns": { "nameservers": ["10.1.2.1"], "domain": "ipam.example" },
    });
    let plugin = ptp(&lab, &ipam);
    if !lab.reference_fails("1.1.1 never passes on the address plugin's") {
        for dns in [Value::Null, json!({ "nameservers": [] })] {
            let plugin = plugin.clone().key("dns", &dns);
            let result = plugin.add().result();
            assert_eq!(result["dns"], ipam["dns"]);
            plugin.del(&result).silent();
        }
    }
    let dns = json!({ "search": ["net.example"] });
    assert_eq!(plugin.key("dns", &dns).add().result()["dns"], dns);
}

/// A masqueraded pair in both families.
fn masqueraded<'lab>(lab: &'lab Lab, backend: &Value) -> Plugin<'lab> {
    ptp(lab, &dual_stack()).key("ipMasq", &json!(true)).key("ipMasqBackend", backend)
}

const BACKENDS: [Option<&str>; 2] = [None, Some("iptables")];

#[test]
fn ptp_164_del_leaves_nothing_and_twice_is_silent() {
    for backend in BACKENDS {
        let lab = Lab::new();
        let plugin = masqueraded(&lab, &json!(backend));
        let before = lab.settled(&plugin);
        let result = plugin.add().result();
        plugin.del(&result).silent();
        plugin.del(&result).silent();
        plugin.del_without_result().silent();
        lab.nothing_left(&before);
        assert!(!lab.has_link("c1", "eth0"));
        assert!(lab.leases("net").is_empty());
    }
}

#[test]
fn ptp_164_del_without_namespace_leaves_nothing() {
    for backend in BACKENDS {
        let lab = Lab::new();
        let plugin = masqueraded(&lab, &json!(backend));
        let before = lab.settled(&plugin);
        let result = plugin.add().result();
        // Somebody still holds the namespace, so the kernel does not remove the pair by itself.
        let path = lab.outside(&Lab::netns_path("c1"));
        let held = std::fs::File::open(path).expect("the namespace is there");
        lab.sh("ip netns del c1");
        plugin.del(&result).silent();
        assert!(lab.leases("net").is_empty());
        if !lab.reference_fails("it leaks pair and masquerade") {
            lab.nothing_left(&before);
            lab.netns("c1");
            plugin.add().result();
            plugin.clone().netns("").del_without_result().silent();
            lab.nothing_left(&before);
        }
        drop(held);
    }
}

/// Makes one change after ADD, and answers the message of CHECK.
fn check_after(change: impl Fn(&Lab, &Value)) -> String {
    let lab = Lab::new();
    let plugin = masqueraded(&lab, &Value::Null);
    let result = plugin.add().result();
    plugin.check(&result).silent();
    change(&lab, &result);
    plugin.check(&result).failure()
}

#[test]
fn ptp_165_check_notices_a_removed_route_or_address() {
    let message = check_after(|lab, _| {
        lab.sh_in("c1", "ip route del default");
    });
    assert!(message.starts_with("Expected Route {"), "{message}");
    assert!(message.ends_with("} not found in routing table"), "{message}");
    let message = check_after(|lab, _| {
        lab.sh_in("c1", "ip addr del 10.1.2.2/24 dev eth0");
    });
    assert_eq!(message, "Failed to match addr 10.1.2.2/24 on interface eth0");
}

#[test]
fn ptp_165_check_notices_another_kind_and_another_mac() {
    let message = check_after(|lab, _| {
        lab.sh_in("c1", "ip link set eth0 address 02:00:00:00:00:09");
    });
    assert!(message.to_lowercase().contains("mac"), "{message}");
    let message = check_after(|lab, _| {
        lab.sh_in("c1", "ip link del eth0; ip link add eth0 type bridge");
    });
    assert!(message.contains("eth0") || message.contains("veth"), "{message}");
}

#[test]
fn ptp_165_check_notices_what_is_missing_on_the_host() {
    let lab = Lab::new();
    if lab.reference_fails("it looks into the container only") {
        return;
    }
    for change in [
        "ip route del 10.1.2.2/32 dev VETH",
        "ip addr del 10.1.2.1/32 dev VETH",
        "ip -6 route del fd00:1::2 dev VETH",
        "echo 0 >/proc/sys/net/ipv4/ip_forward",
        "echo 1 >/proc/sys/net/ipv6/conf/VETH/accept_ra",
        "nft flush ruleset || iptables -t nat -F",
        "ip -n c1 route del 10.1.2.0/24",
        "ip -n c1 addr del 10.1.2.2/24 dev eth0; ip -n c1 addr add 10.1.2.2/24 dev eth0",
    ] {
        check_after(|lab, result| {
            lab.sh(&change.replace("VETH", host_interface(result)));
        });
    }
}

#[test]
fn ptp_166_the_result_tells_the_host_end_and_the_container() {
    let lab = Lab::new();
    let result = ipv4(&lab).add().result();
    let interfaces = result["interfaces"].as_array().expect("interfaces");
    assert_eq!(interfaces.len(), 2);
    let host = lab.ip_json(&format!("link show dev {}", host_interface(&result)))[0].take();
    let container = lab.ip_json_in("c1", "link show dev eth0")[0].take();
    assert_eq!(interfaces[0]["mac"], host["address"]);
    assert_eq!(interfaces[0].get("sandbox"), None);
    assert_eq!(interfaces[1]["name"], "eth0");
    assert_eq!(interfaces[1]["mac"], container["address"]);
    assert_eq!(interfaces[1]["sandbox"], "/run/netns/c1");
    assert_eq!(
        result["ips"],
        json!([{ "address": "10.1.2.2/24", "gateway": "10.1.2.1", "interface": 1 }])
    );
}

#[test]
fn ptp_166_every_version_has_its_result() {
    for version in ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] {
        if version == "1.1.0" && reference() {
            return;
        }
        let lab = Lab::new();
        let plugin = ipv4(&lab).key("cniVersion", &json!(version));
        let result = plugin.add().result();
        assert_eq!(result["cniVersion"], version);
        let address = match version {
            "0.1.0" | "0.2.0" => &result["ip4"]["ip"],
            _ => &result["ips"][0]["address"],
        };
        assert_eq!(address, "10.1.2.2/24");
        plugin.del_without_result().silent();
        assert!(!lab.has_link("c1", "eth0"));
    }
}

#[test]
fn ptp_167_a_default_route_without_gateway_goes_through_the_host() {
    let lab = lab_with_outside();
    let plugin = masqueraded(&lab, &Value::Null);
    let result = plugin.add().result();
    assert_eq!(result["routes"], json!([{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }]));
    let routes = lab.ip_json_in("c1", "route show default");
    assert_eq!((&routes[0]["gateway"], &routes[0]["dev"]), (&json!("10.1.2.1"), &json!("eth0")));
    plugin.check(&result).silent();
}

#[test]
fn ptp_what_leaves_the_subnet_is_masqueraded_in_both_families() {
    for backend in BACKENDS {
        let lab = lab_with_outside();
        let plugin = masqueraded(&lab, &json!(backend));
        let result = plugin.add().result();
        let other = plugin.clone().on("c2");
        let other_result = other.add().result();
        for (from, to, destination, source) in [
            ("c1", "outer", "10.99.0.2:80", "10.99.0.1"),
            ("c1", "outer", "[fd00:99::2]:80", "fd00:99::1"),
            ("c1", "c2", "10.1.2.3:80", "10.1.2.2"),
            ("c1", "c2", "[fd00:1::3]:80", "fd00:1::2"),
            ("host", "c1", "10.1.2.2:80", "10.1.2.1"),
        ] {
            let seen = lab.source_seen(from, to, destination).map(|ip| ip.to_string());
            assert_eq!(seen.as_deref(), Some(source), "{from} to {destination}");
        }
        plugin.check(&result).silent();
        plugin.del(&result).silent();
        let seen = lab.source_seen("c2", "outer", "10.99.0.2:80").map(|ip| ip.to_string());
        assert_eq!(seen.as_deref(), Some("10.99.0.1"));
        other.del(&other_result).silent();
    }
}

#[test]
fn ptp_a_published_port_is_reached_from_outside_and_from_the_host() {
    for backend in BACKENDS {
        let lab = lab_with_outside();
        let mappings = json!([{ "hostPort": 8080, "containerPort": 80, "protocol": "tcp" }]);
        let keys = json!({ "backend": backend });
        let chain =
            Chain(vec![masqueraded(&lab, &json!(backend)), portmap(&lab, &mappings, &keys)]);
        let before = chain.settled(&lab);
        let result = chain.add();
        for (from, destination, source) in [
            ("outer", "10.99.0.1:8080", "10.99.0.2"),
            ("outer", "[fd00:99::1]:8080", "fd00:99::2"),
            ("host", "127.0.0.1:8080", "10.1.2.1"),
            ("c1", "10.99.0.1:8080", "10.1.2.1"),
        ] {
            let seen = tcp_source(&lab, from, destination, Server("c1", 80));
            assert_eq!(seen.map(|ip| ip.to_string()).as_deref(), Some(source), "{from}");
        }
        chain.del(&result);
        lab.nothing_left(&before);
    }
}

#[test]
fn ptp_gc_takes_what_is_not_valid() {
    let lab = Lab::new();
    if lab.reference_fails("it has no GC") {
        return;
    }
    let plugin = masqueraded(&lab, &Value::Null).key("cniVersion", &json!("1.1.0"));
    let before = lab.settled(&plugin);
    let result = plugin.add().result();
    plugin.gc(&[("c1", "eth0")]).silent();
    plugin.check(&result).silent();
    plugin.gc(&[]).silent();
    lab.nothing_left(&before);
    assert!(lab.leases("net").is_empty());
}

#[test]
fn ptp_a_second_add_is_refused_and_changes_nothing() {
    let lab = Lab::new();
    let plugin = masqueraded(&lab, &Value::Null);
    let result = plugin.add().result();
    let before = lab.snapshot();
    plugin.add().failure();
    if !lab.reference_fails("it claims a second address and may lose it") {
        lab.nothing_left(&before);
        plugin.check(&result).silent();
    }
}

/// Whether the kernel was asked to look for duplicates of the container's global address.
fn looks_for_duplicates(lab: &Lab) -> bool {
    let addresses = lab.ip_json_in("c1", "-6 address show dev eth0 scope global");
    addresses[0]["addr_info"][0]["nodad"] != json!(true)
}

#[test]
fn row_18_ipv6_addresses_can_be_used_at_once_and_duplicates_are_looked_for_on_request() {
    let lab = Lab::new();
    if lab.reference_fails("it always looks for duplicates") {
        return;
    }
    let plugin = ptp(&lab, &dual_stack());
    let result = plugin.add().result();
    assert!(!looks_for_duplicates(&lab));
    assert_eq!(lab.sh_in("c1", "cat /proc/sys/net/ipv6/conf/eth0/accept_dad"), "0");
    plugin.del(&result).silent();
    let plugin = plugin.key("enabledad", &json!(true));
    let result = plugin.add().result();
    assert!(looks_for_duplicates(&lab));
    assert_eq!(lab.sh_in("c1", "cat /proc/sys/net/ipv6/conf/eth0/accept_dad"), "1");
    let tentative = lab.sh_in("c1", "ip -6 address show dev eth0 scope global tentative");
    assert_eq!(tentative, "", "ADD waits for the detection");
    plugin.check(&result).silent();
}
