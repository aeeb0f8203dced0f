//! FW 296 to 301 and 304: what containers send passes, and comes back; bridges are kept apart.
//!
//! In nftables the layout is our own and is tested by packets; in iptables it is the reference
//! plugin's, rule by rule. FW 302 and 303, firewalld, are in `firewalld.rs`.

use ropewalk_e2e::chain::packets::{Server, passes};
use ropewalk_e2e::chain::{
    Chain, bridge, bridge_result, chain_rules, chained, forward_drop_by, iptables_rules,
    lab_with_bridge, lab_with_outside, names_all, saved_rules, second_result, user_chains, without,
};
use ropewalk_e2e::{Lab, Plugin, Value, json, reference};

const COMMENT: &str = "-m comment --comment";

fn firewall<'lab>(lab: &'lab Lab, keys: &Value) -> Plugin<'lab> {
    chained(lab, "firewall", keys)
}

/// ADD with the result of `c1`.
fn add(plugin: &Plugin<'_>) {
    let result = plugin.clone().previous(&bridge_result()).add().result();
    for key in ["interfaces", "ips"] {
        assert_eq!(result[key], bridge_result()[key]);
    }
}

fn filter(lab: &Lab, program: &str, chain: &str) -> Vec<String> {
    chain_rules(lab, program, "filter", chain)
}

fn iptables() -> Value {
    json!({ "backend": "iptables" })
}

/// The rules of an address in `CNI-FORWARD`.
fn of_address(address: &str) -> [String; 2] {
    [
        format!("-d {address} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
        format!("-s {address} -j ACCEPT"),
    ]
}

#[test]
fn fw_296_the_rules_in_iptables_are_those_of_the_reference_plugin() {
    let lab = lab_with_bridge();
    let plugin = firewall(&lab, &iptables());
    // Twice: nothing is duplicated.
    for _ in 0..2 {
        add(&plugin);
        for (program, address) in [("iptables", "10.1.2.5/32"), ("ip6tables", "fd00:1::5/128")] {
            assert_eq!(user_chains(&lab, program, "filter"), ["CNI-ADMIN", "CNI-FORWARD"]);
            let jump = format!(r#"{COMMENT} "CNI firewall plugin rules" -j CNI-FORWARD"#);
            assert_eq!(filter(&lab, program, "FORWARD"), [jump]);
            let admin = format!(r#"{COMMENT} "CNI firewall plugin admin overrides" -j CNI-ADMIN"#);
            let [answers, own] = of_address(address);
            assert_eq!(filter(&lab, program, "CNI-FORWARD"), [admin, answers, own]);
            assert!(filter(&lab, program, "CNI-ADMIN").is_empty());
        }
        plugin.check(&bridge_result()).silent();
    }
}

#[test]
fn fw_296_a_second_add_in_nftables_is_an_error_and_changes_nothing() {
    let lab = lab_with_bridge();
    if lab.reference_fails("1.1.1 knows iptables only") || lab.lacks_nftables() {
        return;
    }
    let plugin = firewall(&lab, &json!({}));
    add(&plugin);
    let before = lab.snapshot();
    let message = plugin.clone().previous(&bridge_result()).add().failure();
    names_all(&message, &["already exists", "net/c1/eth0", "hint: DEL the attachment first"]);
    assert_eq!(lab.snapshot(), before);
    plugin.check(&bridge_result()).silent();
}

#[test]
fn fw_297_the_admin_chain_has_the_name_that_is_configured() {
    let lab = lab_with_bridge();
    let keys = json!({ "backend": "iptables", "iptablesAdminChainName": "MY-ADMIN" });
    let plugin = firewall(&lab, &keys);
    add(&plugin);
    assert_eq!(user_chains(&lab, "iptables", "filter"), ["CNI-FORWARD", "MY-ADMIN"]);
    let admin = format!(r#"{COMMENT} "CNI firewall plugin admin overrides" -j MY-ADMIN"#);
    assert_eq!(filter(&lab, "iptables", "CNI-FORWARD")[0], admin);
    plugin.check(&bridge_result()).silent();
}

/// The comment of the reference plugin on the rules of the isolation stages.
fn stage(policies: &str) -> String {
    // 1.1.1 has only one policy, and says so.
    let policies = if reference() { "same-bridge" } else { policies };
    format!(r#"{COMMENT} "CNI firewall plugin rules (ingressPolicy: {policies})""#)
}

#[test]
fn fw_298_same_bridge_and_isolated_have_the_stages_of_the_reference_plugin() {
    let policies: &[&str] =
        if reference() { &["same-bridge"] } else { &["same-bridge", "isolated"] };
    for policy in policies {
        let lab = lab_with_bridge();
        let keys = json!({ "backend": "iptables", "ingressPolicy": policy });
        let plugin = firewall(&lab, &keys);
        let both = stage("same-bridge|isolated");
        let isolated = |bridge: &str| {
            let rule = format!("-i {bridge} -o {bridge} {} -j DROP", stage("isolated"));
            Vec::from_iter((*policy == "isolated").then_some(rule))
        };
        let out =
            |bridge: &str| format!("-i {bridge} ! -o {bridge} {both} -j CNI-ISOLATION-STAGE-2");
        let last = format!("{both} -j RETURN");
        for _ in 0..2 {
            add(&plugin);
            for program in ["iptables", "ip6tables"] {
                let jump = format!("{both} -j CNI-ISOLATION-STAGE-1");
                let forward = filter(&lab, program, "FORWARD");
                assert_eq!((forward.len(), &forward[0]), (2, &jump));
                let rules = filter(&lab, program, "CNI-ISOLATION-STAGE-1");
                let expected = [isolated("cni0"), vec![out("cni0"), last.clone()]].concat();
                assert_eq!(rules, expected);
                let rules = filter(&lab, program, "CNI-ISOLATION-STAGE-2");
                assert_eq!(rules, [format!("-o cni0 {both} -j DROP"), last.clone()]);
            }
        }
        plugin.check(&bridge_result()).silent();
        // Another bridge goes before it.
        let second = second_result().to_string().replace("cni0", "cni1");
        let second = second.parse().expect("still a result");
        plugin.clone().on("c2").previous(&second).add().result();
        let rules = filter(&lab, "iptables", "CNI-ISOLATION-STAGE-1");
        let expected = [
            isolated("cni1"),
            vec![out("cni1")],
            isolated("cni0"),
            vec![out("cni0"), last.clone()],
        ];
        assert_eq!(rules, expected.concat());
        let drop = |bridge: &str| format!("-o {bridge} {both} -j DROP");
        let rules = filter(&lab, "iptables", "CNI-ISOLATION-STAGE-2");
        assert_eq!(rules, [drop("cni1"), drop("cni0"), last]);
        plugin.check(&bridge_result()).silent();
        plugin.del(&bridge_result()).silent();
        assert_eq!(filter(&lab, "iptables", "CNI-ISOLATION-STAGE-2").len(), 3, "bridges stay");
    }
}

#[test]
fn fw_299_policies_that_are_not_are_refused() {
    for backend in [Value::Null, json!("iptables")] {
        let lab = lab_with_bridge();
        let before = lab.snapshot();
        let plugin = firewall(&lab, &json!({ "backend": backend, "ingressPolicy": "xx" }));
        let outcome = plugin.previous(&bridge_result()).add();
        assert_eq!(outcome.invalid_config(), r#"unknown ingress policy: "xx""#);
        if !lab.reference_fails("it finds it after the rules are in") {
            assert_eq!(lab.snapshot(), before);
        }
    }
}

#[test]
fn fw_299_a_policy_needs_the_bridge_in_the_result() {
    for backend in [Value::Null, json!("iptables")] {
        let lab = lab_with_bridge();
        let keys = json!({ "backend": backend, "ingressPolicy": "same-bridge" });
        let mut previous = without(&bridge_result(), "interfaces");
        previous["ips"] = json!([{ "address": "10.1.2.5/24" }]);
        let before = lab.snapshot();
        assert_eq!(
            firewall(&lab, &keys).previous(&previous).add().failure(),
            "interface needs to be set for ingress policy \"same-bridge\", make sure to chain \
             \"firewall\" plugin with \"bridge\""
        );
        if !lab.reference_fails("it finds it after the rules are in") {
            assert_eq!(lab.snapshot(), before);
        }
    }
}

#[test]
fn fw_300_add_needs_a_result_and_del_does_not() {
    let lab = lab_with_bridge();
    for keys in [json!({}), iptables()] {
        let plugin = firewall(&lab, &keys);
        assert_eq!(plugin.add().failure(), "missing prevResult from earlier plugin");
        plugin.del_without_result().silent();
        plugin.without("CNI_NETNS").del_without_result().silent();
    }
}

#[test]
fn fw_300_del_removes_what_belongs_to_the_container_and_check_notices() {
    let lab = lab_with_bridge();
    let plugin = firewall(&lab, &iptables());
    add(&plugin);
    let second = plugin.clone().on("c2");
    second.clone().previous(&second_result()).add().result();
    plugin.del(&bridge_result()).silent();
    plugin.del(&bridge_result()).silent();
    let rules = filter(&lab, "iptables", "CNI-FORWARD");
    assert_eq!(rules[1..], of_address("10.1.2.6/32"));
    let rules = filter(&lab, "ip6tables", "CNI-FORWARD");
    assert_eq!(rules[1..], of_address("fd00:1::6/128"));
    second.check(&second_result()).silent();
    assert_eq!(
        plugin.check(&bridge_result()).failure(),
        "expected rule [-d 10.1.2.5/32 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT] not \
         found"
    );
    assert_eq!(user_chains(&lab, "iptables", "filter"), ["CNI-ADMIN", "CNI-FORWARD"]);
}

#[test]
fn fw_300_check_notices_whatever_is_missing() {
    let lab = lab_with_bridge();
    let keys = json!({ "backend": "iptables", "ingressPolicy": "same-bridge" });
    let plugin = firewall(&lab, &keys);
    add(&plugin);
    for program in ["iptables", "ip6tables"] {
        let rules = iptables_rules(&lab, program, "filter");
        assert_eq!(rules.len(), 9, "{rules:?}");
        for rule in rules {
            // 1.1.1 does not look at the stages.
            if reference() && rule.contains("ingressPolicy") {
                continue;
            }
            plugin.check(&bridge_result()).silent();
            lab.sh(&format!("{program} {}", rule.replacen("-A ", "-D ", 1)));
            let outcome = plugin.check(&bridge_result());
            assert_eq!(outcome.code, 1, "without {rule}: {outcome}");
            lab.sh(&format!("{program} -F; {program} -X"));
            add(&plugin);
        }
    }
}

/// The bridge and the firewall, for `c1`; the network outside knows the way to the containers.
fn chain<'lab>(lab: &'lab Lab, keys: &Value) -> Chain<'lab> {
    lab.sh_in(
        "outer",
        "ip route replace 10.1.2.0/24 via 10.99.0.1; ip -6 route replace fd00:1::/64 via fd00:99::1",
    );
    Chain(vec![bridge(lab), firewall(lab, keys)])
}

/// A port outside, and one of each container.
const OUTER: Server<'_> = Server("outer", 80);
const FIRST: Server<'_> = Server("c1", 80);
const SECOND: Server<'_> = Server("c2", 80);
const THIRD: Server<'_> = Server("c3", 80);

/// What containers send passes a FORWARD policy of DROP, and what comes back; nothing else.
fn forward_drop(kind: &str, backend: &Value) {
    let lab = lab_with_outside();
    if kind == "nft" && lab.lacks_nftables() {
        return;
    }
    let path = forward_drop_by(&lab, kind);
    let chain = chain(&lab, &json!({ "backend": backend })).map(|p| p.variable("PATH", &path));
    let neighbour = chain.on("c2");
    let before = chain.settled(&lab);
    let rules = saved_rules(&lab, kind);
    let neighbour_result = Chain(vec![neighbour.0[0].clone()]).add();
    let result = chain.add();
    passes(&lab, "c1", "10.99.0.2:80", OUTER, true);
    passes(&lab, "c1", "[fd00:99::2]:80", OUTER, true);
    passes(&lab, "c1", "10.1.2.2:80", SECOND, true);
    passes(&lab, "outer", "10.1.2.3:80", FIRST, false);
    passes(&lab, "c2", "10.99.0.2:80", OUTER, false);
    chain.check(&result);
    chain.0[1].del(&result).silent();
    assert_eq!(saved_rules(&lab, kind), rules);
    passes(&lab, "c1", "10.99.0.2:80", OUTER, false);
    chain.0[0].del(&result).silent();
    neighbour.0[0].del(&neighbour_result).silent();
    lab.nothing_left(&before);
}

#[test]
fn fw_296_containers_reach_the_outside_where_iptables_drops_forwarded_packets() {
    forward_drop("nft", &Value::Null);
    forward_drop("nft", &json!("iptables"));
}

#[test]
fn fw_296_containers_reach_the_outside_where_legacy_iptables_drops_forwarded_packets() {
    forward_drop("legacy", &Value::Null);
    forward_drop("legacy", &json!("iptables"));
}

/// The chain on a host where iptables drops forwarded packets, for version 1.1.0.
fn dropping_chain(lab: &Lab) -> Chain<'_> {
    forward_drop_by(lab, if lab.has_nftables() { "nft" } else { "legacy" });
    chain(lab, &json!({})).map(|plugin| plugin.key("cniVersion", &json!("1.1.0")))
}

#[test]
fn fw_296_where_forwarding_drops_del_without_result_leaves_nothing() {
    let lab = lab_with_outside();
    if lab.reference_fails("it leaks the rules") {
        return;
    }
    let chain = dropping_chain(&lab);
    let before = chain.settled(&lab);
    for policy in ["DROP", "ACCEPT"] {
        lab.sh("iptables -P FORWARD DROP; ip6tables -P FORWARD DROP");
        chain.add();
        // Docker may have been stopped in between.
        lab.sh(&format!("iptables -P FORWARD {policy}; ip6tables -P FORWARD {policy}"));
        chain.del_without_result();
        lab.nothing_left(&before);
    }
}

#[test]
fn fw_296_where_forwarding_drops_gc_leaves_nothing() {
    let lab = lab_with_outside();
    if lab.reference_fails("1.1.1 knows the specification to 1.0.0 only") || lab.lacks_nftables() {
        return;
    }
    let chain = dropping_chain(&lab);
    let before = chain.settled(&lab);
    chain.add();
    chain.0.iter().rev().for_each(|plugin| plugin.gc(&[]).silent());
    lab.nothing_left(&before);
}

/// `c1` and `c2` on the bridge `cni0`, `c3` on `cni1`, all with this policy.
fn two_bridges<'lab>(lab: &'lab Lab, policy: &str, backend: &Value) -> [Chain<'lab>; 3] {
    lab.netns("c3");
    let keys = json!({ "backend": backend, "ingressPolicy": policy });
    let first = chain(lab, &keys);
    let third = first.on("c3").map(|plugin| plugin.key("name", &json!("lan")));
    let bridge = third.0[0].clone().key("bridge", &json!("cni1"));
    let bridge = bridge.key(
        "ipam",
        &json!({
            "type": "host-local", "subnet": "10.3.0.0/24", "routes": [{ "dst": "0.0.0.0/0" }],
        }),
    );
    let third = Chain(vec![bridge, third.0[1].clone()]);
    [first.clone(), first.on("c2"), third]
}

fn bridges_are_kept_apart(policy: &str, backend: &Value) {
    let lab = lab_with_outside();
    lab.sh_in("outer", "ip route add 10.3.0.0/24 via 10.99.0.1");
    let chains = two_bridges(&lab, policy, backend);
    let results = chains.each_ref().map(Chain::add);
    let bridged = policy != "isolated";
    passes(&lab, "c1", "10.1.2.3:80", SECOND, bridged);
    passes(&lab, "c2", "10.1.2.2:80", FIRST, bridged);
    passes(&lab, "c1", "[fd00:1::3]:80", SECOND, bridged);
    let routed = policy == "open";
    passes(&lab, "c1", "10.3.0.2:80", THIRD, routed);
    passes(&lab, "c3", "10.1.2.3:80", SECOND, routed);
    for container in ["c1", "c2", "c3"] {
        passes(&lab, container, "10.99.0.2:80", OUTER, true);
    }
    passes(&lab, "outer", "10.1.2.2:80", FIRST, true);
    passes(&lab, "outer", "10.3.0.2:80", THIRD, true);
    for (chain, result) in chains.iter().zip(&results) {
        chain.check(result);
    }
    // One container's DEL opens nothing for the others.
    chains[0].del(&results[0]);
    passes(&lab, "c3", "10.1.2.3:80", SECOND, routed);
    passes(&lab, "c2", "10.3.0.2:80", THIRD, routed);
    chains[1].del(&results[1]);
    chains[2].del(&results[2]);
}

#[test]
fn fw_298_the_open_policy_keeps_no_bridges_apart() {
    for backend in [Value::Null, json!("iptables")] {
        bridges_are_kept_apart("open", &backend);
    }
}

#[test]
fn fw_298_same_bridge_keeps_bridges_apart() {
    for backend in [Value::Null, json!("iptables")] {
        bridges_are_kept_apart("same-bridge", &backend);
    }
}

#[test]
fn fw_298_isolated_keeps_bridges_and_their_containers_apart() {
    for backend in [Value::Null, json!("iptables")] {
        if Lab::new().reference_fails("1.1.1 does not know the policy") {
            return;
        }
        bridges_are_kept_apart("isolated", &backend);
    }
}

#[test]
fn fw_300_del_without_result_leaves_nothing() {
    for backend in [Value::Null, json!("iptables")] {
        let lab = lab_with_outside();
        if lab.reference_fails("it leaks the rules") {
            return;
        }
        let chain = chain(&lab, &json!({ "backend": backend }));
        let before = chain.settled(&lab);
        let second = chain.on("c2");
        let second_result = second.add();
        let with_second = lab.snapshot();
        chain.add();
        assert_ne!(lab.snapshot(), with_second);
        lab.sh("ip netns del c1");
        chain.del_without_result();
        lab.nothing_left(&with_second);
        chain.del_without_result();
        second.check(&second_result);
        second.del(&second_result);
        lab.nothing_left(&before);
    }
}

#[test]
fn fw_300_check_notices_that_the_address_is_not_accepted_any_more() {
    let lab = lab_with_bridge();
    if lab.reference_fails("1.1.1 knows iptables only") || lab.lacks_nftables() {
        return;
    }
    let plugin = firewall(&lab, &json!({ "ingressPolicy": "isolated" }));
    for part in [
        "set inet ropewalk accepted4",
        "set inet ropewalk accepted6",
        "set inet ropewalk apart",
        "map inet ropewalk within_bridge",
        "chain inet ropewalk firewall",
    ] {
        add(&plugin);
        plugin.check(&bridge_result()).silent();
        lab.sh(&format!("nft flush {part}"));
        names_all(&plugin.check(&bridge_result()).failure(), &["ropewalk"]);
        lab.sh("nft flush ruleset");
    }
}

#[test]
fn fw_300_gc_removes_what_belongs_to_attachments_that_are_not_valid() {
    let lab = lab_with_bridge();
    if lab.reference_fails("1.1.1 knows the specification to 1.0.0 only") || lab.lacks_nftables() {
        return;
    }
    let plugin = firewall(&lab, &json!({ "cniVersion": "1.1.0" }));
    let second = plugin.clone().on("c2");
    second.clone().previous(&second_result()).add().result();
    let before = lab.snapshot();
    add(&plugin);
    plugin.gc(&[("c1", "eth0"), ("c2", "eth0")]).silent();
    plugin.check(&bridge_result()).silent();
    plugin.gc(&[("c2", "eth0")]).silent();
    assert_eq!(lab.snapshot(), before);
    second.check(&second_result()).silent();
}

#[test]
fn fw_300_our_del_removes_what_the_reference_plugin_made() {
    let lab = lab_with_bridge();
    if lab.reference_fails("it is the reference plugin") || !lab.exists("/usr/lib/cni/firewall") {
        return;
    }
    lab.sh("ln -s /usr/lib/cni /run/lab/reference");
    for keys in [json!({}), iptables()] {
        add(&chained(&lab, "../reference/firewall", &iptables()).key("type", &json!("firewall")));
        assert_eq!(filter(&lab, "iptables", "CNI-FORWARD").len(), 3);
        firewall(&lab, &keys).del(&bridge_result()).silent();
        assert_eq!(filter(&lab, "iptables", "CNI-FORWARD").len(), 1);
        assert_eq!(filter(&lab, "ip6tables", "CNI-FORWARD").len(), 1);
    }
}

#[test]
fn fw_301_it_came_with_version_0_4_0() {
    let lab = lab_with_bridge();
    for version in ["0.1.0", "0.3.1"] {
        let plugin = firewall(&lab, &json!({ "cniVersion": version }));
        let error = plugin.add().error();
        assert_eq!((error.code, error.msg.as_str()), (1, "incompatible CNI versions"));
    }
}

#[test]
fn fw_304_another_backend_is_a_free_choice() {
    let lab = lab_with_bridge();
    let before = lab.snapshot();
    let plugin = firewall(&lab, &json!({ "backend": "zz" }));
    add(&plugin);
    plugin.check(&bridge_result()).silent();
    assert_ne!(lab.snapshot(), before);
    let rules = iptables_rules(&lab, "iptables", "filter");
    assert_eq!(rules.is_empty(), lab.has_nftables() && !reference(), "{rules:?}");
    plugin.del(&bridge_result()).silent();
    lab.nothing_left(&before);
}
