//! Row 7 of what users asked for: whether a container hears IPv6 routers is configured, and ADD can
//! wait for one.

use ropewalk_e2e::{Lab, Plugin, Process, Value, json};

/// A network with a router that advertises fd00:9::/64; the host's link to it is `router`.
fn network(lab: &Lab) -> Process {
    lab.outer_network(
        "router",
        &[("10.9.0.1/24", "10.9.0.2/24"), ("fd00:9::2/64", "fd00:9::1/64")],
    );
    router(lab)
}

/// The router in the namespace `router`.
fn router(lab: &Lab) -> Process {
    let words = [
        "/usr/sbin/dnsmasq",
        "--no-daemon",
        "--conf-file=/dev/null",
        "--port=0",
        "--interface=eth0",
        "--bind-interfaces",
        "--enable-ra",
        "--dhcp-range=fd00:9::,ra-only",
        "--log-facility=-",
        "--user=root",
    ];
    let words: Vec<&str> =
        ["/usr/bin/nsenter", "--net=/run/netns/router"].into_iter().chain(words).collect();
    let router = Process::start(lab, "dnsmasq-base", &words, "/run/lab/router.log");
    lab.wait_until("the router is there", || lab.read("/run/lab/router.log").contains("fd00:9::"));
    router
}

fn macvlan<'lab>(lab: &'lab Lab, container: &str) -> Plugin<'lab> {
    lab.netns(container);
    let config =
        json!({ "cniVersion": "1.0.0", "name": "net", "type": "macvlan", "master": "router" });
    lab.plugin("macvlan").on(container).config(config)
}

fn addresses(result: &Value) -> Vec<String> {
    let ips = result["ips"].as_array().map(Vec::as_slice).unwrap_or_default();
    ips.iter().map(|ip| ip["address"].as_str().expect("an address").to_owned()).collect()
}

#[test]
fn row_07_add_waits_for_a_router_and_tells_the_address_made_of_its_prefix() {
    let lab = Lab::new();
    if lab.reference_fails("it does not know the keys") {
        return;
    }
    let _router = network(&lab);
    let bare = macvlan(&lab, "c1").key("waitForRA", &json!(true));
    let result = bare.add().result();
    let [address] = &addresses(&result)[..] else { panic!("one address: {result:#}") };
    assert!(address.starts_with("fd00:9::") && address.ends_with("/64"), "{address}");
    assert!(lab.reaches("c1", "[fd00:9::1]:9"));
    assert!(lab.sh_in("c1", "ip -6 route show default").contains("proto ra"));
    bare.check(&result).silent();
    bare.del(&result).silent();

    let ipam = json!({ "type": "static", "addresses": [{ "address": "10.9.0.7/24" }] });
    let both = macvlan(&lab, "c2").key("waitForRA", &json!(true)).key("ipam", &ipam);
    let result = both.add().result();
    let all = addresses(&result);
    assert_eq!(all.len(), 2, "{result:#}");
    assert_eq!(all[0], "10.9.0.7/24");
    assert_eq!(result["ips"][1]["interface"], 0);
    both.check(&result).silent();
    both.del(&result).silent();
}

#[test]
fn row_07_a_container_need_not_hear_routers() {
    let lab = Lab::new();
    if lab.reference_fails("it does not know the keys") {
        return;
    }
    let _router = network(&lab);
    let deaf = macvlan(&lab, "c1").key("acceptRA", &json!(0));
    let hears = macvlan(&lab, "c2").key("acceptRA", &json!(2)).key("waitForRA", &json!(true));
    deaf.add().result();
    // The second one is told the same, and later.
    hears.add().result();
    assert_eq!(lab.sh_in("c1", "cat /proc/sys/net/ipv6/conf/eth0/accept_ra"), "0");
    assert_eq!(lab.sh_in("c2", "cat /proc/sys/net/ipv6/conf/eth0/accept_ra"), "2");
    let seen = lab.sh_in("c1", "ip -6 -o address show dev eth0");
    assert!(!seen.contains("fd00:9::"), "{seen}");
}

#[test]
fn row_07_without_a_router_add_says_so_and_leaves_nothing() {
    let lab = Lab::new();
    if lab.reference_fails("it does not know the keys") {
        return;
    }
    lab.outer_network("router", &[("10.9.0.1/24", "10.9.0.2/24")]);
    let before = lab.snapshot();
    let plugin = macvlan(&lab, "c1");
    let error = plugin.clone().key("waitForRA", &json!(true)).add().error();
    assert!(error.msg.contains("no router has advertised a prefix on eth0"), "{}", error.msg);
    lab.nothing_left(&before);
    assert!(!lab.has_link("c1", "eth0"));
    let error = plugin.key("waitForRA", &json!(true)).key("acceptRA", &json!(0)).add().error();
    assert_eq!(error.code, 7);
    assert!(error.msg.contains("that are not accepted"), "{}", error.msg);
}

#[test]
fn row_07_a_bridge_with_an_uplink_passes_routers_on() {
    let lab = Lab::new();
    if lab.reference_fails("it does not know the keys") {
        return;
    }
    lab.netns("router");
    lab.sh("ip link add up0 type veth peer name eth0 netns router
         ip -n router link set eth0 up
         ip -n router addr add fd00:9::1/64 dev eth0 nodad");
    let _router = router(&lab);
    lab.netns("c1");
    let config = json!({
        "cniVersion": "1.0.0", "name": "net", "type": "bridge",
        "uplink": "up0", "waitForRA": true,
    });
    let plugin = lab.plugin("bridge").on("c1").config(config);
    let result = plugin.add().result();
    let [address] = &addresses(&result)[..] else { panic!("one address: {result:#}") };
    assert!(address.starts_with("fd00:9::"), "{address}");
    assert_eq!(result["ips"][0]["interface"], 2);
    assert!(lab.reaches("c1", "[fd00:9::1]:9"));
    plugin.check(&result).silent();
    plugin.del(&result).silent();
}
