//! PM 270 to 286 as traffic: who reaches a published port, from where, and who does not.
//!
//! The layout in nftables is our own, so it is tested by packets only. The same tests run with the
//! reference plugin's layout in iptables.

use ropewalk_e2e::chain::packets::{
    Server, UdpClient, tcp_source, udp_source, unexpected_tcp_source,
};
use ropewalk_e2e::chain::{Chain, bridge, forward_drop_by, lab_with_outside, portmap, saved_rules};
use ropewalk_e2e::{Lab, Value, json, reference};

/// What `backend` may be: left out, it is nftables; with the reference plugins, iptables.
const BACKENDS: [Option<&str>; 2] = [None, Some("iptables")];

/// The bridge and portmap with these mappings and other keys, for `c1`.
fn chain<'lab>(lab: &'lab Lab, mappings: &Value, keys: &Value) -> Chain<'lab> {
    Chain(vec![bridge(lab), portmap(lab, mappings, keys)])
}

/// TCP port 8080 to port 80.
fn web() -> Value {
    json!([{ "hostPort": 8080, "containerPort": 80, "protocol": "tcp" }])
}

const ROUTE_LOCALNET: &str = "cat /proc/sys/net/ipv4/conf/cni0/route_localnet";

/// Port 80 of the first container.
const WEB: Server<'_> = Server("c1", 80);

/// CHECK of the whole chain. The reference plugin 1.1.1 looks for IPv4 rules in ip6tables.
#[track_caller]
fn check(chain: &Chain<'_>, result: &Value) {
    if !reference() {
        chain.check(result);
    }
}

fn text(source: Option<std::net::IpAddr>) -> String {
    source.map_or_else(|| "nothing".to_owned(), |source| source.to_string())
}

/// Asserts which source the server sees when `from` connects by TCP.
#[track_caller]
fn sees(lab: &Lab, from: &str, destination: &str, server: Server<'_>, source: &str) {
    let ask = if source == "nothing" { unexpected_tcp_source } else { tcp_source };
    let seen = text(ask(lab, from, destination, server));
    assert_eq!(seen, source, "TCP from {from} to {destination}");
}

/// The same by UDP.
#[track_caller]
fn sees_udp(lab: &Lab, from: &str, destination: &str, server: Server<'_>, source: &str) {
    let seen = text(udp_source(lab, from, destination, server));
    assert_eq!(seen, source, "UDP from {from} to {destination}");
}

#[test]
fn pm_271_a_published_port_is_reached_from_everywhere_and_not_after_del() {
    for backend in BACKENDS {
        let lab = lab_with_outside();
        let chain = chain(&lab, &web(), &json!({ "backend": backend }));
        let sibling = Chain(vec![bridge(&lab)]).on("c2");
        let before = chain.settled(&lab);
        let result = chain.add();
        let sibling_result = sibling.add();
        let paths = [
            ("outer", "10.99.0.1:8080", "10.99.0.2"),
            ("outer", "[fd00:99::1]:8080", "fd00:99::2"),
            ("host", "127.0.0.1:8080", "10.1.2.1"),
            ("host", "10.99.0.1:8080", "10.99.0.1"),
            ("host", "[fd00:99::1]:8080", "fd00:99::1"),
            ("c1", "10.99.0.1:8080", "10.1.2.1"),
            ("c1", "[fd00:99::1]:8080", "fd00:1::1"),
            ("c2", "10.99.0.1:8080", "10.1.2.1"),
            ("c2", "10.1.2.1:8080", "10.1.2.1"),
            ("c2", "[fd00:99::1]:8080", "fd00:1::1"),
        ];
        for (from, destination, source) in paths {
            sees(&lab, from, destination, WEB, source);
        }
        check(&chain, &result);
        chain.del(&result);
        sibling.del(&sibling_result);
        lab.nothing_left(&before);
        let result = chain.add();
        sees(&lab, "outer", "10.99.0.1:8080", WEB, "10.99.0.2");
        chain.0[1].del(&result).silent();
        // The kernel lets elements expire within milliseconds instead of waiting for a grace period.
        lab.wait_until("the port is not published any more", || {
            unexpected_tcp_source(&lab, "outer", "10.99.0.1:8080", WEB).is_none()
        });
        for (from, destination, _) in paths.iter().filter(|(from, ..)| *from != "c2") {
            sees(&lab, from, destination, WEB, "nothing");
        }
    }
}

#[test]
fn pm_271_udp_ports_are_published_too_and_apart_from_tcp() {
    for backend in BACKENDS {
        let lab = lab_with_outside();
        let mappings = json!([
            { "hostPort": 5353, "containerPort": 53, "protocol": "udp" },
            { "hostPort": 5353, "containerPort": 54, "protocol": "tcp" },
        ]);
        let chain = chain(&lab, &mappings, &json!({ "backend": backend }));
        let result = chain.add();
        Chain(vec![bridge(&lab)]).on("c2").add();
        let udp = Server("c1", 53);
        sees_udp(&lab, "outer", "10.99.0.1:5353", udp, "10.99.0.2");
        sees_udp(&lab, "outer", "[fd00:99::1]:5353", udp, "fd00:99::2");
        sees_udp(&lab, "host", "127.0.0.1:5353", udp, "10.1.2.1");
        sees_udp(&lab, "c1", "10.99.0.1:5353", udp, "10.1.2.1");
        sees_udp(&lab, "c2", "10.99.0.1:5353", udp, "10.1.2.1");
        sees(&lab, "outer", "10.99.0.1:5353", Server("c1", 54), "10.99.0.2");
        check(&chain, &result);
        chain.del(&result);
    }
}

#[test]
fn pm_271_a_port_bound_to_an_address_is_published_there_only() {
    for backend in BACKENDS {
        let lab = lab_with_outside();
        lab.sh("ip addr add 10.99.0.3/24 dev outer");
        let mappings = json!([
            { "hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": "10.99.0.3" },
            { "hostPort": 8081, "containerPort": 80, "protocol": "tcp", "hostIP": "127.0.0.1" },
            { "hostPort": 8082, "containerPort": 80, "protocol": "tcp", "hostIP": "fd00:99::1" },
            { "hostPort": 8083, "containerPort": 80, "protocol": "tcp", "hostIP": "0.0.0.0" },
            { "hostPort": 8084, "containerPort": 80, "protocol": "tcp", "hostIP": "::" },
        ]);
        let chain = chain(&lab, &mappings, &json!({ "backend": backend }));
        let result = chain.add();
        for (from, destination, source) in [
            ("outer", "10.99.0.3:8080", "10.99.0.2"),
            ("outer", "10.99.0.1:8080", "nothing"),
            ("outer", "[fd00:99::1]:8080", "nothing"),
            ("host", "10.99.0.3:8080", "10.99.0.1"),
            ("host", "127.0.0.1:8080", "nothing"),
            ("c1", "10.99.0.3:8080", "10.1.2.1"),
            ("host", "127.0.0.1:8081", "10.1.2.1"),
            ("outer", "10.99.0.1:8081", "nothing"),
            ("outer", "[fd00:99::1]:8082", "fd00:99::2"),
            ("outer", "10.99.0.1:8082", "nothing"),
            ("outer", "10.99.0.3:8083", "10.99.0.2"),
            ("outer", "[fd00:99::1]:8083", "nothing"),
            ("outer", "[fd00:99::1]:8084", "fd00:99::2"),
            ("outer", "10.99.0.1:8084", "nothing"),
        ] {
            sees(&lab, from, destination, WEB, source);
        }
        check(&chain, &result);
        chain.del(&result);
        sees(&lab, "outer", "10.99.0.3:8080", WEB, "nothing");
        sees(&lab, "host", "127.0.0.1:8081", WEB, "nothing");
    }
}

#[test]
fn pm_271_a_port_of_one_address_goes_before_the_same_port_of_all() {
    for backend in BACKENDS {
        let lab = lab_with_outside();
        if lab.reference_fails("the first rule wins") {
            return;
        }
        lab.sh("ip addr add 10.99.0.3/24 dev outer");
        let mappings = json!([
            { "hostPort": 8080, "containerPort": 81, "protocol": "tcp", "hostIP": "10.99.0.3" },
            { "hostPort": 8080, "containerPort": 80, "protocol": "tcp" },
        ]);
        chain(&lab, &mappings, &json!({ "backend": backend })).add();
        sees(&lab, "outer", "10.99.0.1:8080", WEB, "10.99.0.2");
        sees(&lab, "outer", "10.99.0.3:8080", Server("c1", 81), "10.99.0.2");
    }
}

#[test]
fn pm_272_without_snat_there_is_no_way_back_for_the_own_subnet_and_localhost() {
    for backend in BACKENDS {
        let lab = lab_with_outside();
        let chain = chain(&lab, &web(), &json!({ "backend": backend, "snat": false }));
        let result = chain.add();
        sees(&lab, "outer", "10.99.0.1:8080", WEB, "10.99.0.2");
        sees(&lab, "host", "10.99.0.1:8080", WEB, "10.99.0.1");
        sees(&lab, "host", "127.0.0.1:8080", WEB, "nothing");
        sees(&lab, "c1", "10.99.0.1:8080", WEB, "nothing");
        assert_eq!(lab.sh(ROUTE_LOCALNET), "0");
        check(&chain, &result);
        chain.del(&result);
    }
}

#[test]
fn pm_272_masq_all_hides_every_client() {
    for backend in BACKENDS {
        let lab = lab_with_outside();
        if lab.reference_fails("1.1.1 does not know the key") {
            return;
        }
        let chain = chain(&lab, &web(), &json!({ "backend": backend, "masqAll": true }));
        let before = chain.settled(&lab);
        let result = chain.add();
        sees(&lab, "outer", "10.99.0.1:8080", WEB, "10.1.2.1");
        sees(&lab, "outer", "[fd00:99::1]:8080", WEB, "fd00:1::1");
        check(&chain, &result);
        chain.del(&result);
        lab.nothing_left(&before);
    }
}

/// Conditions let pass what comes from 10.99.0.2 and, with IPv6, what does not.
fn conditions(backend: Option<&str>) -> Value {
    match backend {
        Some(_) => json!({
            "backend": backend,
            "conditionsV4": ["-s", "10.99.0.2/32"], "conditionsV6": ["!", "-s", "fd00:99::2/128"],
        }),
        None => json!({
            "conditionsV4": ["ip", "saddr", "10.99.0.2/32"],
            "conditionsV6": ["ip6", "saddr", "!=", "fd00:99::2/128"],
        }),
    }
}

#[test]
fn pm_276_conditions_limit_who_reaches_the_port_of_this_container_only() {
    for backend in BACKENDS {
        let lab = lab_with_outside();
        let old = "1.1.1 knows iptables only";
        if backend.is_none() && (lab.reference_fails(old) || lab.lacks_nftables()) {
            continue;
        }
        lab.sh_in(
            "outer",
            "ip addr add 10.99.0.4/24 dev eth0
             ip addr add fd00:99::4/64 dev eth0 nodad preferred_lft 0",
        );
        let limited = chain(&lab, &web(), &conditions(backend));
        let other_port = json!([{ "hostPort": 8090, "containerPort": 80, "protocol": "tcp" }]);
        let free = chain(&lab, &other_port, &json!({ "backend": backend })).on("c2");
        free.settled(&lab);
        let before = limited.settled(&lab);
        let result = limited.add();
        let free_result = free.add();
        sees(&lab, "outer", "10.99.0.1:8080", WEB, "10.99.0.2");
        sees(&lab, "outer", "[fd00:99::1]:8080", WEB, "nothing");
        sees(&lab, "host", "10.99.0.1:8080", WEB, "nothing");
        let other = Server("c2", 80);
        sees(&lab, "host", "10.99.0.1:8090", other, "10.99.0.1");
        sees(&lab, "outer", "[fd00:99::1]:8090", other, "fd00:99::2");
        // The other address of the same machine, by its own source.
        lab.sh_in(
            "outer",
            "ip addr del 10.99.0.2/24 dev eth0; ip addr del fd00:99::2/64 dev eth0
             ip addr replace 10.99.0.4/24 dev eth0",
        );
        sees(&lab, "outer", "10.99.0.1:8080", WEB, "nothing");
        sees(&lab, "outer", "[fd00:99::1]:8080", WEB, "fd00:99::4");
        check(&limited, &result);
        limited.del(&result);
        sees(&lab, "outer", "10.99.0.1:8090", other, "10.99.0.4");
        free.del(&free_result);
        lab.nothing_left(&before);
    }
}

#[test]
fn pm_282_the_protocol_may_be_written_in_any_case() {
    for backend in BACKENDS {
        let lab = lab_with_outside();
        let mappings = json!([
            { "hostPort": 8080, "containerPort": 80, "protocol": "TCP" },
            { "hostPort": 5353, "containerPort": 53, "protocol": "Udp" },
        ]);
        let chain = chain(&lab, &mappings, &json!({ "backend": backend }));
        let result = chain.add();
        sees(&lab, "outer", "10.99.0.1:8080", WEB, "10.99.0.2");
        sees_udp(&lab, "outer", "10.99.0.1:5353", Server("c1", 53), "10.99.0.2");
        chain.del(&result);
        sees(&lab, "outer", "10.99.0.1:8080", WEB, "nothing");
    }
}

#[test]
fn pm_283_del_of_one_container_leaves_the_other_its_mappings() {
    for backend in BACKENDS {
        let lab = lab_with_outside();
        let first = chain(&lab, &web(), &json!({ "backend": backend }));
        let mappings = json!([{ "hostPort": 8090, "containerPort": 80, "protocol": "tcp" }]);
        let second = chain(&lab, &mappings, &json!({ "backend": backend })).on("c2");
        let before = first.settled(&lab);
        let first_result = first.add();
        let second_result = second.add();
        first.del(&first_result);
        sees(&lab, "outer", "10.99.0.1:8080", WEB, "nothing");
        sees(&lab, "outer", "10.99.0.1:8090", Server("c2", 80), "10.99.0.2");
        sees(&lab, "c2", "10.99.0.1:8090", Server("c2", 80), "10.1.2.1");
        check(&second, &second_result);
        second.del(&second_result);
        lab.nothing_left(&before);
    }
}

/// Tracked UDP flows to a port.
fn flows(lab: &Lab, port: u16) -> usize {
    let list = format!("conntrack -L -p udp --orig-port-dst {port} 2>/dev/null");
    lab.sh(&list).lines().filter(|line| !line.is_empty()).count()
}

#[test]
fn pm_286_a_udp_client_that_was_there_before_reaches_the_container() {
    for (backend, destination) in
        BACKENDS.into_iter().flat_map(|b| [(b, "10.99.0.1"), (b, "[fd00:99::1]")])
    {
        let lab = lab_with_outside();
        let mappings = json!([{ "hostPort": 5353, "containerPort": 53, "protocol": "udp" }]);
        let chain = chain(&lab, &mappings, &json!({ "backend": backend }));
        chain.settled(&lab);
        let client = UdpClient::open(&lab, "outer", &format!("{destination}:5353"));
        let other = UdpClient::open(&lab, "outer", &format!("{destination}:5354"));
        assert!(client.is_refused() && other.is_refused());
        let tracks = lab.sh("conntrack -L -p udp; conntrack -L -f ipv6 -p udp");
        assert!(tracks.contains("dport=5353"), "the flow is tracked: {tracks}");
        let result = chain.add();
        let source = if destination.starts_with('[') { "fd00:99::2" } else { "10.99.0.2" };
        assert_eq!(text(client.source(&lab, Server("c1", 53))), source, "{destination}");
        chain.del(&result);
    }
}

#[test]
fn pm_286_a_udp_client_does_not_reach_the_container_after_del() {
    for backend in BACKENDS {
        let lab = lab_with_outside();
        if lab.reference_fails("it does not flush on DEL") {
            return;
        }
        let mappings = json!([{ "hostPort": 5353, "containerPort": 53, "protocol": "udp" }]);
        let chain = chain(&lab, &mappings, &json!({ "backend": backend }));
        let result = chain.add();
        let client = UdpClient::open(&lab, "outer", "10.99.0.1:5353");
        let other = UdpClient::open(&lab, "outer", "10.99.0.1:5354");
        assert_eq!(text(client.source(&lab, Server("c1", 53))), "10.99.0.2");
        assert!(other.is_refused());
        assert_eq!((flows(&lab, 5353), flows(&lab, 5354)), (1, 1));
        chain.0[1].del(&result).silent();
        assert_eq!((flows(&lab, 5353), flows(&lab, 5354)), (0, 1), "only its own flows go");
        assert!(client.is_refused(), "the host itself answers now");
    }
}

#[test]
fn pm_278_the_hosts_loopback_is_not_opened_to_containers() {
    let lab = lab_with_outside();
    if lab.reference_fails("route_localnet opens it") || lab.lacks_nftables() {
        return;
    }
    let chain = chain(&lab, &web(), &json!({}));
    let result = chain.add();
    assert_eq!(lab.sh(ROUTE_LOCALNET), "1");
    let address = result["ips"][0]["address"].as_str().expect("an address");
    let address = address.split('/').next().unwrap_or_default();
    lab.sh_in(
        "c1",
        &format!(
            "echo 1 >/proc/sys/net/ipv4/conf/eth0/route_localnet
             ip route add 127.0.0.1 via 10.1.2.1 dev eth0 src {address}"
        ),
    );
    let private = Server("host", 7777);
    sees(&lab, "c1", "127.0.0.1:7777", private, "nothing");
    sees(&lab, "host", "127.0.0.1:7777", private, "127.0.0.1");
    // The same without the guard: what is tested could happen.
    lab.sh("nft flush chain inet ropewalk localnet_guard");
    sees(&lab, "c1", "127.0.0.1:7777", private, address);
}

/// portmap works on a host whose FORWARD policy is DROP; `tools` is what `iptables` is, `nft` or `legacy`.
fn forward_drop(tools: &str) {
    let lab = lab_with_outside();
    if lab.reference_fails("it leaves the policy alone") {
        return;
    }
    if tools == "nft" && lab.lacks_nftables() {
        return;
    }
    let path = forward_drop_by(&lab, tools);
    let mappings = json!([
        { "hostPort": 8080, "containerPort": 80, "protocol": "tcp" },
        { "hostPort": 5353, "containerPort": 53, "protocol": "udp" },
    ]);
    let chain = chain(&lab, &mappings, &json!({})).map(|p| p.variable("PATH", &path));
    let before = chain.settled(&lab);
    let rules = || saved_rules(&lab, tools);
    let rules_before = rules();
    let result = chain.add();
    assert_ne!(rules(), rules_before);
    sees(&lab, "outer", "10.99.0.1:8080", WEB, "10.99.0.2");
    sees(&lab, "outer", "[fd00:99::1]:8080", WEB, "fd00:99::2");
    sees(&lab, "c1", "10.99.0.1:8080", WEB, "10.1.2.1");
    sees_udp(&lab, "outer", "10.99.0.1:5353", Server("c1", 53), "10.99.0.2");
    // What is not published stays shut.
    lab.sh_in("outer", "ip route add 10.1.2.0/24 via 10.99.0.1");
    let container = result["ips"][0]["address"].as_str().expect("an address").replace("/24", ":81");
    assert!(lab.does_not_reach("outer", &container));
    check(&chain, &result);
    chain.del(&result);
    assert_eq!(rules(), rules_before);
    lab.nothing_left(&before);
}

#[test]
fn pm_271_published_ports_work_where_iptables_drops_forwarded_packets() {
    forward_drop("nft");
}

#[test]
fn pm_271_published_ports_work_where_legacy_iptables_drops_forwarded_packets() {
    forward_drop("legacy");
}
