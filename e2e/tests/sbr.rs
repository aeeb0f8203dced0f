//! SB 316 to 319: routing by source, at ADD and CHECK.

use ropewalk_e2e::chain::routes::{
    add, everything, lab_with_net1, net1_result, renew_net1, routes, rules, sbr,
};
use ropewalk_e2e::{Value, json};

#[test]
fn sb_316_each_address_has_a_rule_and_a_table_and_the_main_table_is_left() {
    let lab = lab_with_net1();
    let plugin = sbr(&lab, &json!({}));
    let answer = add(&plugin);
    assert_eq!(rules(&lab), ["10.1.0.2 100", "10.1.7.2 101", "fd00:1::2 102"]);
    let routes = |table: &str| {
        // The reference plugin copies IPv6 routes into tables of IPv4 addresses.
        let all = routes(&lab, table).into_iter();
        all.filter(|route| table == "102" || !route.starts_with("fd00")).collect::<Vec<_>>()
    };
    assert_eq!(
        routes("100"),
        ["10.1.0.0/24 - net1", "10.56.0.0/16 - net1", "default 10.1.0.1 net1"]
    );
    assert_eq!(
        routes("101"),
        [
            "10.1.7.0/24 - net1",
            "10.55.0.0/16 10.1.7.9 net1",
            "10.56.0.0/16 - net1",
            "default 10.1.7.1 net1",
        ]
    );
    let in_102 = routes("102");
    for route in ["default fd00:1::1 net1", "fd00:1::/64 - net1"] {
        assert!(in_102.contains(&route.to_owned()), "{in_102:?}");
    }
    assert!(routes("main").is_empty(), "{:?}", routes("main"));
    assert_eq!(answer["ips"], net1_result()["ips"]);
    assert_eq!(answer["interfaces"], net1_result()["interfaces"]);
    plugin.check(&answer).silent();
    plugin.check(&net1_result()).silent();
}

#[test]
fn sb_316_the_result_tells_the_table_of_a_route_that_was_moved() {
    let lab = lab_with_net1();
    if lab.reference_fails("it passes the previous result on, and the CHECK of bridge then fails") {
        return;
    }
    let expected = json!([
        { "dst": "0.0.0.0/0", "table": 100 },
        { "dst": "0.0.0.0/0", "table": 101 },
        { "dst": "::/0", "table": 102 },
        { "dst": "10.99.0.0/16" },
    ]);
    lab.sh("ip -n c1 route del 10.55.0.0/16");
    let answer = add(&sbr(&lab, &json!({})));
    // The gateway of the default route lies in the first subnet only.
    let mut expected = expected;
    expected.as_array_mut().expect("a list").remove(1);
    assert_eq!(answer["routes"], expected);
}

#[test]
fn sb_316_check_misses_a_rule_a_route_and_a_table_and_notices_a_route_that_is_back() {
    let lab = lab_with_net1();
    if lab.reference_fails("its CHECK looks at nothing") {
        return;
    }
    let plugin = sbr(&lab, &json!({}));
    for (damage, word) in [
        ("ip rule del from 10.1.7.2", "10.1.7.2/32"),
        ("ip -6 rule del from fd00:1::2", "fd00:1::2/128"),
        ("ip route del default table 100", "0.0.0.0/0"),
        ("ip route del 10.1.7.0/24 table 101", "10.1.7.0/24"),
        ("ip route flush table 101", "table 101"),
        ("ip -6 route del default table 102", "::/0"),
        ("ip route add default via 10.1.0.1 dev net1 onlink", "absence of route 0.0.0.0/0"),
        ("ip -6 route add fd00:9::/64 dev net1", "fd00:9::/64"),
    ] {
        let answer = add(&plugin);
        plugin.check(&answer).silent();
        lab.sh_in("c1", damage);
        let message = plugin.check(&answer).failure();
        assert!(message.contains(word), "{damage}: {message}");
        plugin.del(&answer).silent();
        renew_net1(&lab);
    }
}

#[test]
fn sb_316_link_local_routes_stay_and_are_in_the_table_too() {
    let lab = lab_with_net1();
    if lab.reference_fails("it takes the way to link-local addresses away") {
        return;
    }
    add(&sbr(&lab, &json!({})));
    for table in ["main", "102"] {
        let shown = lab.sh_in("c1", &format!("ip -6 route show table {table}"));
        assert!(shown.contains("fe80::/64 dev net1"), "{table}: {shown}");
    }
    let shown = lab.sh_in("c1", "ip route show table 100");
    assert!(!shown.contains("fe80"), "{shown}");
}

#[test]
fn sb_316_a_second_add_is_refused_and_changes_nothing() {
    let lab = lab_with_net1();
    if lab.reference_fails("it adds more rules") {
        return;
    }
    let plugin = sbr(&lab, &json!({}));
    add(&plugin);
    let before = everything(&lab);
    let message = plugin.clone().previous(&net1_result()).add().failure();
    assert!(message.contains("rule from 10.1.0.2/32 lookup 100 already exists"), "{message}");
    assert_eq!(everything(&lab), before);
}

#[test]
fn sb_316_an_add_that_fails_leaves_everything_as_it_was() {
    let lab = lab_with_net1();
    if lab.reference_fails("it leaves what it has done") {
        return;
    }
    // The second address's gateway cannot be reached, which shows in the middle.
    lab.sh("ip -n c1 addr del 10.1.7.2/24 dev net1");
    let before = everything(&lab);
    let shown = lab.sh_in("c1", "ip -d route; ip -d -6 route");
    let message = sbr(&lab, &json!({})).previous(&net1_result()).add().failure();
    assert!(message.contains("10.1.7."), "{message}");
    assert_eq!(everything(&lab), before);
    let gateways = json!({ "gateways": ["10.77.0.1"] });
    sbr(&lab, &gateways).previous(&net1_result()).add().failure();
    assert_eq!(lab.sh_in("c1", "ip -d route; ip -d -6 route"), shown);
}

#[test]
fn sb_317_with_a_table_only_rules_are_made() {
    let lab = lab_with_net1();
    if lab.reference_fails("1.1.1 does not know the key") {
        return;
    }
    let before = everything(&lab);
    let plugin = sbr(&lab, &json!({ "table": 250 }));
    let answer = add(&plugin);
    assert_eq!(rules(&lab), ["10.1.0.2 250", "10.1.7.2 250", "fd00:1::2 250"]);
    assert_eq!(everything(&lab).1, before.1);
    assert_eq!(answer["routes"], net1_result()["routes"]);
    plugin.check(&answer).silent();
    lab.sh("ip -n c1 rule add from 10.1.0.2 lookup 77");
    lab.sh("ip -n c1 rule del from 10.1.7.2 lookup 250");
    let message = plugin.check(&answer).failure();
    assert!(message.contains("rule from 10.1.7.2/32 lookup 250"), "{message}");
    plugin.del(&answer).silent();
    assert_eq!(rules(&lab), ["10.1.0.2 77"], "a rule to another table is not ours");
}

#[test]
fn sb_318_gateways_go_before_those_of_the_result() {
    let lab = lab_with_net1();
    if lab.reference_fails("1.1.1 does not know the key") {
        return;
    }
    let plugin = sbr(&lab, &json!({ "gateways": ["10.1.0.9", "fd00:1::9"] }));
    let answer = add(&plugin);
    for (table, gateway) in [("100", "10.1.0.9"), ("101", "10.1.0.9"), ("102", "fd00:1::9")] {
        let defaults = routes(&lab, table);
        let defaults: Vec<_> = defaults.iter().filter(|r| r.starts_with("default")).collect();
        assert_eq!(defaults, [&format!("default {gateway} net1")], "{table}");
    }
    plugin.check(&answer).silent();
}

#[test]
fn sb_318_wrong_gateways_are_refused() {
    let lab = lab_with_net1();
    if lab.reference_fails("1.1.1 does not know the key") {
        return;
    }
    let before = everything(&lab);
    for (gateways, expected) in [
        (
            json!(["10.1.0.1", "fd00:1::1", "10.1.0.3"]),
            "gateways list cannot contain more than 2 entries (one IPv4, one IPv6)",
        ),
        (
            json!(["10.1.0.1", "10.1.0.3"]),
            "gateways list contains multiple IPv4 addresses: 10.1.0.1 and 10.1.0.3",
        ),
        (
            json!(["fd00:1::1", "fd00:1::3"]),
            "gateways list contains multiple IPv6 addresses: fd00:1::1 and fd00:1::3",
        ),
        (json!(["router"]), "invalid gateway address: router"),
    ] {
        let plugin = sbr(&lab, &json!({ "gateways": gateways })).previous(&net1_result());
        assert_eq!(plugin.add().invalid_config(), expected);
    }
    assert_eq!(everything(&lab), before);
}

#[test]
fn sb_318_source_hints_keep_the_way_to_the_own_subnets() {
    let lab = lab_with_net1();
    if lab.reference_fails("1.1.1 does not know the key") {
        return;
    }
    let plugin = sbr(&lab, &json!({ "addSourceHints": true }));
    let answer = add(&plugin);
    let main = routes(&lab, "main");
    let expected =
        ["10.1.0.0/24 - net1", "10.1.7.0/24 - net1", "10.56.0.0/16 - net1", "fd00:1::/64 - net1"];
    assert_eq!(main, expected);
    let shown = lab.sh_in("c1", "ip route; ip -6 route");
    for hint in [
        "10.1.0.0/24 dev net1 proto kernel scope link src 10.1.0.2",
        "fd00:1::/64 dev net1 proto boot src fd00:1::2",
    ] {
        let hint = hint.replace(" proto boot", "");
        assert!(shown.contains(&hint), "{hint}: {shown}");
    }
    let chosen = lab.sh_in("c1", "ip route get 10.1.7.77; ip route get fd00:1::77");
    assert!(chosen.contains("src 10.1.7.2") && chosen.contains("src fd00:1::2"), "{chosen}");
    plugin.check(&answer).silent();
    lab.sh("ip -n c1 -6 route del fd00:1::/64");
    let message = plugin.check(&answer).failure();
    assert!(message.contains("fd00:1::/64"), "{message}");
}

#[test]
fn sb_319_what_is_missing_is_told() {
    let lab = lab_with_net1();
    let before = everything(&lab);
    let plugin = sbr(&lab, &json!({}));
    assert_eq!(plugin.add().failure(), "This plugin must be called as chained plugin");
    let previous = |ips: Value| json!({ "cniVersion": "1.0.0", "ips": ips });
    let message = plugin.clone().previous(&previous(json!([]))).add().failure();
    assert_eq!(message, "No IP addresses supplied on interface: net1");
    let message =
        plugin.clone().ifname("net7").previous(&previous(json!([{ "address": "10.1.0.2/24" }])));
    let message = message.add().failure();
    assert!(message.ends_with("Cannot find network interface net7: Link not found"), "{message}");
    assert_eq!(everything(&lab), before);
    if lab.reference_fails("1.1.1 lets addresses of other interfaces pass") {
        return;
    }
    let mut other = net1_result();
    other["ips"] = json!([{ "interface": 2, "address": "10.8.8.8/24" }]);
    let message = plugin.clone().previous(&other).add().failure();
    assert_eq!(message, "No IP addresses supplied on interface: net1");
}
