//! SB 320 to 322: what DEL of sbr finds, and several interfaces in one namespace.

use ropewalk_e2e::chain::routes::{add, connect, lab_with_net1, renew_net1, routes, rules, sbr};
use ropewalk_e2e::{Lab, Value, json, reference};

#[test]
fn sb_320_del_removes_the_rules_however_it_finds_the_addresses() {
    let lab = lab_with_net1();
    let plugin = sbr(&lab, &json!({}));
    for knows in [true, false] {
        let answer = add(&plugin);
        assert_eq!(rules(&lab).len(), 3);
        for _ in 0..2 {
            let outcome = if knows { plugin.del(&answer) } else { plugin.del_without_result() };
            outcome.silent();
            assert!(rules(&lab).is_empty(), "{:?}", rules(&lab));
        }
        renew_net1(&lab);
    }
}

#[test]
fn sb_320_del_finds_the_rules_of_an_interface_that_is_gone_or_has_other_addresses() {
    let lab = lab_with_net1();
    if lab.reference_fails("1.1.1 looks at the interface only, which must be there") {
        return;
    }
    let plugin = sbr(&lab, &json!({}));
    let answer = add(&plugin);
    lab.sh("ip -n c1 addr add 10.1.0.77/24 dev net1
            ip -n c1 addr del 10.1.0.2/24 dev net1
            ip -n c1 route add 10.7.0.0/16 dev net1 table 100");
    plugin.del_without_result().silent();
    assert!(rules(&lab).is_empty(), "by the table: {:?}", rules(&lab));
    lab.sh("ip -n c1 rule add from 10.1.0.2 lookup 100
            ip -n c1 link del net1");
    plugin.del_without_result().silent();
    plugin.del(&answer).silent();
    assert!(rules(&lab).is_empty(), "by the result: {:?}", rules(&lab));
    lab.sh("ip -n c1 rule add from 10.1.0.2 lookup 100");
    lab.write("/var/lib/cni/networks/net/10.1.0.2", "c1\r\nnet1");
    plugin.del_without_result().silent();
    assert!(rules(&lab).is_empty(), "by the lease: {:?}", rules(&lab));
}

#[test]
fn sb_320_del_leaves_the_rules_of_others() {
    let lab = lab_with_net1();
    connect(&lab, "r2", "net2", &[("10.2.0.2/24", "10.2.0.1/24")]);
    lab.sh("ip -n c1 route add 10.9.0.0/16 dev net2 table 300
            ip -n c1 rule add from 10.9.9.9 lookup 300
            ip -n c1 rule add from 10.9.9.8 lookup 301
            ip -n c1 rule add from 10.1.0.0/24 lookup 302");
    let plugin = sbr(&lab, &json!({}));
    let answer = add(&plugin);
    plugin.del_without_result().silent();
    plugin.del(&answer).silent();
    assert_eq!(rules(&lab), ["10.1.0.0 302", "10.9.9.8 301", "10.9.9.9 300"]);
}

#[test]
fn sb_321_del_without_the_namespace_succeeds_and_leaves_no_file() {
    let lab = lab_with_net1();
    if lab.reference_fails("it fails, and makes a file where the namespace was") {
        return;
    }
    let plugin = sbr(&lab, &json!({}));
    let answer = add(&plugin);
    lab.sh("ip netns del c1");
    for netns in ["/run/netns/c1", "", "/run/no/such/place"] {
        plugin.clone().netns(netns).del(&answer).silent();
        plugin.clone().netns(netns).del_without_result().silent();
    }
    plugin.clone().without("CNI_NETNS").del(&answer).silent();
    assert!(!lab.exists("/run/netns/c1") && !lab.exists("/run/no"));
}

#[test]
fn sb_322_the_next_interface_takes_the_next_free_table() {
    let lab = lab_with_net1();
    connect(&lab, "r2", "net2", &[("10.2.0.2/24", "10.2.0.1/24")]);
    let first = sbr(&lab, &json!({}));
    add(&first);
    if !reference() {
        lab.sh("ip -n c1 route add 10.9.0.0/16 dev net2 table 103");
    }
    let second = sbr(&lab, &json!({})).ifname("net2");
    let answer = second.clone().previous(&second_result()).add().result();
    let table = if reference() { "103" } else { "104" };
    let expected = ["10.1.0.2 100", "10.1.7.2 101", &format!("10.2.0.2 {table}"), "fd00:1::2 102"];
    assert_eq!(rules(&lab), expected);
    assert_eq!(routes(&lab, table), ["10.2.0.0/24 - net2", "default 10.2.0.1 net2"]);
    second.check(&answer).silent();
    second.del(&answer).silent();
    assert_eq!(rules(&lab), ["10.1.0.2 100", "10.1.7.2 101", "fd00:1::2 102"]);
}

fn second_result() -> Value {
    json!({
        "cniVersion": "1.0.0",
        "interfaces": [{ "name": "net2", "sandbox": "/run/netns/c1" }],
        "ips": [{ "interface": 0, "address": "10.2.0.2/24", "gateway": "10.2.0.1" }],
    })
}

#[test]
fn sb_322_two_at_once_do_not_take_the_same_table() {
    let lab = Lab::new();
    lab.netns("c1");
    let count = 8;
    for n in 0..count {
        let (own, other) = (format!("10.{n}.0.2/24"), format!("10.{n}.0.1/24"));
        connect(&lab, &format!("r{n}"), &format!("net{n}"), &[(&own, &other)]);
    }
    let started: Vec<_> = (0..count)
        .map(|n| {
            let previous = json!({
                "cniVersion": "1.0.0",
                "ips": [{ "address": format!("10.{n}.0.2/24"), "gateway": format!("10.{n}.0.1") }],
            });
            let plugin = sbr(&lab, &json!({})).ifname(&format!("net{n}")).previous(&previous);
            plugin.command("ADD").start()
        })
        .collect();
    for running in started {
        running.finish().result();
    }
    let mut tables: Vec<String> =
        rules(&lab).iter().filter_map(|rule| rule.split(' ').nth(1).map(str::to_owned)).collect();
    tables.sort();
    let expected: Vec<String> = (0..count).map(|n| (100 + n).to_string()).collect();
    assert_eq!(tables, expected);
}
