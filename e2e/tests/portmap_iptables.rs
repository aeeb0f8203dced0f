//! PM 271 to 278, 283: the layout in iptables is the reference plugin's, rule by rule, so that
//! either finds and removes what the other made.

use ropewalk_e2e::chain::{
    bridge_result, chain_rules, iptables_rules, lab_with_bridge, portmap, user_chains,
};
use ropewalk_e2e::{Lab, Plugin, Value, json};

/// The first digits of SHA-512 of network name and container id, `netc1`.
const CHAIN: &str = "CNI-DN-623e1c388032b20529218";
const COMMENT: &str = r#"-m comment --comment "dnat name: \"net\" id: \"c1\"""#;
const MASQUERADED: &str = r#"-m comment --comment "CNI portfwd requiring masquerade""#;

/// portmap with the iptables back end, these mappings and other keys.
fn plugin<'lab>(lab: &'lab Lab, mappings: &Value, keys: &Value) -> Plugin<'lab> {
    portmap(lab, mappings, keys).key("backend", &json!("iptables"))
}

/// Its ADD.
fn add(lab: &Lab, mappings: &Value, keys: &Value) {
    plugin(lab, mappings, keys).previous(&bridge_result()).add().result();
}

fn nat(lab: &Lab, program: &str, chain: &str) -> Vec<String> {
    chain_rules(lab, program, "nat", chain)
}

fn web() -> Value {
    json!([{ "hostPort": 8080, "containerPort": 80, "protocol": "tcp" }])
}

#[test]
fn pm_271_the_rules_of_all_containers() {
    let lab = lab_with_bridge();
    add(&lab, &web(), &json!({}));
    for program in ["iptables", "ip6tables"] {
        let shared = ["CNI-HOSTPORT-DNAT", "CNI-HOSTPORT-MASQ", "CNI-HOSTPORT-SETMARK"];
        let chains: Vec<&str> = [CHAIN].into_iter().chain(shared).collect();
        assert_eq!(user_chains(&lab, program, "nat"), chains);
        let local = ["-m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT"];
        assert_eq!(nat(&lab, program, "PREROUTING"), local);
        assert_eq!(nat(&lab, program, "OUTPUT"), local);
        assert_eq!(
            nat(&lab, program, "POSTROUTING"),
            [format!("{MASQUERADED} -j CNI-HOSTPORT-MASQ")]
        );
        assert_eq!(
            nat(&lab, program, "CNI-HOSTPORT-SETMARK"),
            [
                r#"-m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark 0x2000/0x2000"#
            ]
        );
        assert_eq!(
            nat(&lab, program, "CNI-HOSTPORT-MASQ"),
            ["-m mark --mark 0x2000/0x2000 -j MASQUERADE"]
        );
    }
}

#[test]
fn pm_271_the_rules_of_one_container() {
    let lab = lab_with_bridge();
    let mappings = json!([
        { "hostPort": 8080, "containerPort": 80, "protocol": "tcp" },
        { "hostPort": 8081, "containerPort": 81, "protocol": "udp", "hostIP": "10.99.0.1" },
        { "hostPort": 8082, "containerPort": 82, "protocol": "sctp", "hostIP": "0.0.0.0" },
        { "hostPort": 8083, "containerPort": 83, "protocol": "tcp", "hostIP": "::1" },
        { "hostPort": 8084, "containerPort": 84, "protocol": "tcp", "hostIP": "::" },
    ]);
    add(&lab, &mappings, &json!({}));
    let jump = |protocol: &str, ports: &str| {
        format!("-p {protocol} {COMMENT} -m multiport --dports {ports} -j {CHAIN}")
    };
    let mark = "-j CNI-HOSTPORT-SETMARK";
    assert_eq!(
        nat(&lab, "iptables", CHAIN),
        [
            format!("-s 10.1.2.0/24 -p tcp -m tcp --dport 8080 {mark}"),
            format!("-s 127.0.0.1/32 -p tcp -m tcp --dport 8080 {mark}"),
            "-p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.1.2.5:80".into(),
            format!("-s 10.1.2.0/24 -d 10.99.0.1/32 -p udp -m udp --dport 8081 {mark}"),
            format!("-s 127.0.0.1/32 -d 10.99.0.1/32 -p udp -m udp --dport 8081 {mark}"),
            "-d 10.99.0.1/32 -p udp -m udp --dport 8081 -j DNAT --to-destination 10.1.2.5:81"
                .into(),
            format!("-s 10.1.2.0/24 -p sctp -m sctp --dport 8082 {mark}"),
            format!("-s 127.0.0.1/32 -p sctp -m sctp --dport 8082 {mark}"),
            "-p sctp -m sctp --dport 8082 -j DNAT --to-destination 10.1.2.5:82".into(),
        ]
    );
    assert_eq!(
        nat(&lab, "ip6tables", CHAIN),
        [
            format!("-s fd00:1::/64 -p tcp -m tcp --dport 8080 {mark}"),
            "-p tcp -m tcp --dport 8080 -j DNAT --to-destination [fd00:1::5]:80".into(),
            format!("-s fd00:1::/64 -d ::1/128 -p tcp -m tcp --dport 8083 {mark}"),
            "-d ::1/128 -p tcp -m tcp --dport 8083 -j DNAT --to-destination [fd00:1::5]:83".into(),
            format!("-s fd00:1::/64 -p tcp -m tcp --dport 8084 {mark}"),
            "-p tcp -m tcp --dport 8084 -j DNAT --to-destination [fd00:1::5]:84".into(),
        ]
    );
    // Protocols in order, with the ports of the other family among them.
    let entries = [jump("sctp", "8082"), jump("tcp", "8080,8083,8084"), jump("udp", "8081")];
    for program in ["iptables", "ip6tables"] {
        let mut rules = nat(&lab, program, "CNI-HOSTPORT-DNAT");
        if lab.reference_fails("1.1.1 does not sort") {
            rules.sort();
        }
        assert_eq!(rules, entries, "{program}");
    }
}

#[test]
fn pm_272_without_snat_nothing_is_marked() {
    let lab = lab_with_bridge();
    add(&lab, &web(), &json!({ "snat": false }));
    assert_eq!(user_chains(&lab, "iptables", "nat"), [CHAIN, "CNI-HOSTPORT-DNAT"]);
    assert_eq!(
        nat(&lab, "iptables", CHAIN),
        ["-p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.1.2.5:80"]
    );
    assert_eq!(lab.sh("cat /proc/sys/net/ipv4/conf/cni0/route_localnet"), "0");
}

#[test]
fn pm_272_masq_all_marks_every_source() {
    let lab = lab_with_bridge();
    if lab.reference_fails("1.1.1 does not know the key") {
        return;
    }
    add(&lab, &web(), &json!({ "masqAll": true }));
    let mark = "-p tcp -m tcp --dport 8080 -j CNI-HOSTPORT-SETMARK";
    let translate = "-p tcp -m tcp --dport 8080 -j DNAT --to-destination";
    // iptables prints no match for 0.0.0.0/0.
    assert_eq!(nat(&lab, "iptables", CHAIN), [mark.to_owned(), format!("{translate} 10.1.2.5:80")]);
    assert_eq!(
        nat(&lab, "ip6tables", CHAIN),
        [mark.to_owned(), format!("{translate} [fd00:1::5]:80")]
    );
}

#[test]
fn pm_273_the_mark_can_be_chosen() {
    let lab = lab_with_bridge();
    add(&lab, &web(), &json!({ "markMasqBit": 3 }));
    assert_eq!(
        nat(&lab, "iptables", "CNI-HOSTPORT-SETMARK"),
        [r#"-m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark 0x8/0x8"#]
    );
    assert_eq!(
        nat(&lab, "iptables", "CNI-HOSTPORT-MASQ"),
        ["-m mark --mark 0x8/0x8 -j MASQUERADE"]
    );
}

#[test]
fn pm_274_the_marking_can_be_left_to_another_chain() {
    let lab = lab_with_bridge();
    lab.sh("iptables -t nat -N KUBE-MARK-MASQ; ip6tables -t nat -N KUBE-MARK-MASQ");
    add(&lab, &web(), &json!({ "externalSetMarkChain": "KUBE-MARK-MASQ" }));
    assert_eq!(
        user_chains(&lab, "iptables", "nat"),
        [CHAIN, "CNI-HOSTPORT-DNAT", "KUBE-MARK-MASQ"]
    );
    assert_eq!(
        nat(&lab, "iptables", CHAIN)[..2],
        [
            "-s 10.1.2.0/24 -p tcp -m tcp --dport 8080 -j KUBE-MARK-MASQ",
            "-s 127.0.0.1/32 -p tcp -m tcp --dport 8080 -j KUBE-MARK-MASQ",
        ]
    );
}

#[test]
fn pm_275_fifteen_ports_fit_into_a_rule() {
    let lab = lab_with_bridge();
    let mapping = |port: u16| json!({ "hostPort": port, "containerPort": 80, "protocol": "tcp" });
    add(&lab, &(8001..=8020).map(mapping).collect(), &json!({}));
    let list = |ports: std::ops::RangeInclusive<u16>| {
        let ports: Vec<String> = ports.map(|port| port.to_string()).collect();
        format!("-p tcp {COMMENT} -m multiport --dports {} -j {CHAIN}", ports.join(","))
    };
    let mut rules = nat(&lab, "iptables", "CNI-HOSTPORT-DNAT");
    rules.sort();
    assert_eq!(rules, [list(8001..=8015), list(8016..=8020)]);
    assert_eq!(nat(&lab, "iptables", CHAIN).len(), 60);
}

#[test]
fn pm_276_conditions_are_in_the_entry_rules_only() {
    let lab = lab_with_bridge();
    let keys = json!({
        "conditionsV4": ["!", "-d", "192.0.2.0/24"], "conditionsV6": ["!", "-d", "2001:db8::/32"],
    });
    add(&lab, &web(), &keys);
    for (program, condition) in
        [("iptables", "! -d 192.0.2.0/24"), ("ip6tables", "! -d 2001:db8::/32")]
    {
        assert_eq!(
            nat(&lab, program, "CNI-HOSTPORT-DNAT"),
            [format!("{condition} -p tcp {COMMENT} -m multiport --dports 8080 -j {CHAIN}")]
        );
        let others = iptables_rules(&lab, program, "nat");
        assert_eq!(others.iter().filter(|rule| rule.contains(condition)).count(), 1);
    }
}

#[test]
fn pm_278_packets_for_localhost_may_leave_toward_the_container() {
    let lab = lab_with_bridge();
    assert_eq!(lab.sh("cat /proc/sys/net/ipv4/conf/cni0/route_localnet"), "0");
    add(&lab, &web(), &json!({}));
    assert_eq!(lab.sh("cat /proc/sys/net/ipv4/conf/cni0/route_localnet"), "1");
}

#[test]
fn pm_271_a_jump_to_the_masquerade_goes_before_what_is_there() {
    let lab = lab_with_bridge();
    if lab.reference_fails("1.1.1 appends it") {
        return;
    }
    lab.sh("iptables -t nat -A POSTROUTING -s 10.1.2.0/24 -j ACCEPT");
    add(&lab, &web(), &json!({}));
    assert_eq!(
        nat(&lab, "iptables", "POSTROUTING"),
        [format!("{MASQUERADED} -j CNI-HOSTPORT-MASQ"), "-s 10.1.2.0/24 -j ACCEPT".into()]
    );
}

#[test]
fn pm_271_a_long_comment_is_cut() {
    let lab = lab_with_bridge();
    let id = "c".repeat(250);
    let plugin = portmap(&lab, &web(), &json!({ "backend": "iptables" })).container(&id);
    plugin.clone().previous(&bridge_result()).add().result();
    let rules = nat(&lab, "iptables", "CNI-HOSTPORT-DNAT");
    let comment = rules[0].split("--comment ").nth(1).and_then(|text| text.split(" -m ").next());
    // Two quotation marks around it, and one backslash for each inside.
    let expected = format!("\"dnat name: \\\"net\\\" id: \\\"{}\"", "c".repeat(255 - 22));
    if !lab.reference_fails("1.1.1 puts dots where it cuts") {
        assert_eq!(comment, Some(expected.as_str()));
    }
    plugin.del(&bridge_result()).silent();
    assert!(nat(&lab, "iptables", "CNI-HOSTPORT-DNAT").is_empty());
}

#[test]
fn pm_283_del_removes_the_containers_chain_and_keeps_what_is_shared() {
    let lab = lab_with_bridge();
    add(&lab, &web(), &json!({}));
    let plugin = plugin(&lab, &web(), &json!({}));
    let second = plugin.clone().on("c2");
    let previous = ropewalk_e2e::chain::second_result();
    second.clone().previous(&previous).add().result();
    assert_eq!(nat(&lab, "iptables", "CNI-HOSTPORT-DNAT").len(), 2);
    plugin.del(&bridge_result()).silent();
    plugin.del(&bridge_result()).silent();
    assert_eq!(nat(&lab, "iptables", "CNI-HOSTPORT-DNAT").len(), 1);
    second.del(&previous).silent();
    let shared = ["CNI-HOSTPORT-DNAT", "CNI-HOSTPORT-MASQ", "CNI-HOSTPORT-SETMARK"];
    for program in ["iptables", "ip6tables"] {
        assert_eq!(user_chains(&lab, program, "nat"), shared);
        assert!(nat(&lab, program, "CNI-HOSTPORT-DNAT").is_empty());
    }
}

/// DEL of the other implementation finds what this one made. `/usr/lib/cni` is Debian's.
fn del_by_the_other(make: impl Fn(&Lab) -> Plugin<'_>, remove: impl Fn(&Lab) -> Plugin<'_>) {
    let lab = lab_with_bridge();
    lab.sh("ln -s /usr/lib/cni /run/lab/reference");
    let plugin = make(&lab);
    plugin.clone().previous(&bridge_result()).add().result();
    assert!(user_chains(&lab, "iptables", "nat").contains(&CHAIN.to_owned()));
    remove(&lab).del(&bridge_result()).silent();
    for program in ["iptables", "ip6tables"] {
        assert!(!user_chains(&lab, program, "nat").contains(&CHAIN.to_owned()));
        assert!(nat(&lab, program, "CNI-HOSTPORT-DNAT").is_empty());
    }
}

/// The reference plugin itself, with the same configuration.
fn reference_portmap(lab: &Lab) -> Plugin<'_> {
    let keys = json!({ "cniVersion": "1.0.0", "name": "net", "type": "portmap" });
    lab.plugin("../reference/portmap")
        .on("c1")
        .config(keys)
        .key("runtimeConfig", &json!({ "portMappings": web() }))
}

#[test]
fn pm_283_our_del_removes_what_the_reference_plugin_made_and_the_other_way_round() {
    let lab = Lab::new();
    if lab.reference_fails("it is the reference plugin") || !lab.exists("/usr/lib/cni/portmap") {
        return;
    }
    del_by_the_other(reference_portmap, |lab| portmap(lab, &web(), &json!({})));
    del_by_the_other(reference_portmap, |lab| {
        portmap(lab, &web(), &json!({ "backend": "iptables" }))
    });
    del_by_the_other(
        |lab| portmap(lab, &web(), &json!({ "backend": "iptables" })),
        reference_portmap,
    );
}
