//! Wish 26: what users asked of routing by source and never got, and real answers.

use ropewalk_e2e::chain::routes::{
    add, connect, lab_with_net1, net1_result, renew_net1, routes, rules, sbr,
};
use ropewalk_e2e::{Lab, json, reference};

#[test]
fn row_26_without_a_gateway_there_is_no_default_route_unless_one_is_named() {
    let lab = lab_with_net1();
    lab.sh("ip -n c1 route del default; ip -n c1 -6 route del default");
    let mut previous = net1_result();
    for ip in previous["ips"].as_array_mut().expect("a list") {
        ip.as_object_mut().expect("an object").remove("gateway");
    }
    let plugin = sbr(&lab, &json!({})).previous(&previous);
    let answer = plugin.add().result();
    for table in ["100", "101", "102"] {
        let routes = routes(&lab, table);
        assert!(!routes.is_empty() && !routes.iter().any(|route| route.starts_with("default")));
    }
    plugin.del(&answer).silent();
    if reference() {
        return;
    }
    renew_net1(&lab);
    let plugin = sbr(&lab, &json!({ "gateways": ["fd00:1::9"] })).previous(&previous);
    plugin.add().result();
    let routes = routes(&lab, "102");
    assert!(routes.contains(&"default fd00:1::9 net1".to_owned()), "{routes:?}");
}

#[test]
fn row_26_an_ipv6_default_route_through_a_link_local_gateway_is_moved() {
    let lab = lab_with_net1();
    if lab.reference_fails("it removes the route and forgets it") {
        return;
    }
    lab.sh("ip -n c1 -6 route replace default via fe80::99 dev net1");
    let plugin = sbr(&lab, &json!({}));
    let answer = add(&plugin);
    assert_eq!(routes(&lab, "102"), ["default fe80::99 net1", "fd00:1::/64 - net1"]);
    assert!(routes(&lab, "main").is_empty());
    plugin.check(&answer).silent();
}

#[test]
fn row_26_the_main_table_can_be_kept() {
    let lab = lab_with_net1();
    if lab.reference_fails("it does not know the key") {
        return;
    }
    let before = routes(&lab, "main");
    let plugin = sbr(&lab, &json!({ "keepMain": true }));
    let answer = add(&plugin);
    assert_eq!(routes(&lab, "main"), before);
    assert_eq!(rules(&lab), ["10.1.0.2 100", "10.1.7.2 101", "fd00:1::2 102"]);
    assert!(routes(&lab, "100").contains(&"default 10.1.0.1 net1".to_owned()));
    assert_eq!(answer["routes"], net1_result()["routes"]);
    plugin.check(&answer).silent();
}

#[test]
fn row_26_routes_with_several_hops_are_moved_as_they_are() {
    let lab = lab_with_net1();
    if lab.reference_fails("it does not see them") {
        return;
    }
    connect(&lab, "r2", "net2", &[("10.2.0.2/24", "10.2.0.1/24")]);
    lab.sh("ip -n c1 route add 10.66.0.0/16 nexthop via 10.1.0.3 weight 3 nexthop via 10.1.0.4
            ip -n c1 route add 10.67.0.0/16 nexthop via 10.1.0.3 dev net1 nexthop via 10.2.0.3 dev net2
            ip -n c1 -6 route add fd00:66::/64 nexthop via fd00:1::3 nexthop via fd00:1::4");
    let plugin = sbr(&lab, &json!({}));
    let answer = add(&plugin);
    let words = |table: &str| {
        // A family that has no routes in a table has no such table.
        let script = format!("ip route show table {table}; ip -6 route show table {table}");
        let shown = lab.try_sh_in("c1", &script).stdout;
        shown.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let own = words("100");
    assert!(
        own.contains(
            "10.66.0.0/16 nexthop via 10.1.0.3 dev net1 weight 3 nexthop via 10.1.0.4 dev net1"
        ),
        "{own}"
    );
    assert!(own.contains("10.67.0.0/16 via 10.1.0.3 dev net1"), "{own}");
    let own = words("102");
    assert!(
        own.contains("nexthop via fd00:1::3 dev net1")
            && own.contains("nexthop via fd00:1::4 dev net1"),
        "{own}"
    );
    let main = words("main");
    assert!(!main.contains("10.66.0.0") && !main.contains("fd00:66"), "{main}");
    assert!(
        main.contains("10.67.0.0/16 nexthop via 10.1.0.3 dev net1"),
        "shared with net2: {main}"
    );
    plugin.check(&answer).silent();
}

#[test]
fn row_26_answers_leave_through_the_interface_that_was_asked() {
    let lab = Lab::new();
    lab.netns("c1");
    // Both routers lead to a host with the same address, and the container's default route is the
    // first one's: without sbr nothing that comes from the second would be answered.
    for (router, link, addresses) in [
        ("r0", "eth0", [("10.1.0.2/24", "10.1.0.1/24"), ("fd00:1::2/64", "fd00:1::1/64")]),
        ("r1", "net1", [("10.2.0.2/24", "10.2.0.1/24"), ("fd00:2::2/64", "fd00:2::1/64")]),
    ] {
        connect(&lab, router, link, &addresses);
        lab.sh(&format!(
            "ip -n {router} addr add 192.0.2.1/32 dev lo
             ip -n {router} addr add 2001:db8::1/128 dev lo"
        ));
    }
    lab.sh("ip -n c1 route add default via 10.1.0.1
            ip -n c1 -6 route add default via fd00:1::1");
    let asks = |router: &str, from: &str, to: &str| {
        let asked = lab.try_sh_in(router, &format!("ping -c 1 -W 1 -I {from} {to}"));
        asked.code == 0
    };
    let is_answered = |router: &str, from: &str, to: &str| {
        lab.wait_until(&format!("{to} answers {from} at {router}"), || asks(router, from, to));
    };
    is_answered("r0", "192.0.2.1", "10.1.0.2");
    is_answered("r0", "2001:db8::1", "fd00:1::2");
    is_answered("r1", "10.2.0.1", "10.2.0.2");
    is_answered("r1", "fd00:2::1", "fd00:2::2");
    assert!(!asks("r1", "192.0.2.1", "10.2.0.2") && !asks("r1", "2001:db8::1", "fd00:2::2"));
    let previous = json!({
        "cniVersion": "1.0.0",
        "ips": [
            { "address": "10.2.0.2/24", "gateway": "10.2.0.1" },
            { "address": "fd00:2::2/64", "gateway": "fd00:2::1" },
        ],
    });
    let plugin = sbr(&lab, &json!({})).previous(&previous);
    let answer = plugin.add().result();
    for (router, from, to) in [
        ("r1", "192.0.2.1", "10.2.0.2"),
        ("r1", "2001:db8::1", "fd00:2::2"),
        ("r1", "10.2.0.1", "10.2.0.2"),
        ("r1", "fd00:2::1", "fd00:2::2"),
        ("r0", "192.0.2.1", "10.1.0.2"),
        ("r0", "2001:db8::1", "fd00:1::2"),
    ] {
        is_answered(router, from, to);
    }
    plugin.check(&answer).silent();
}
