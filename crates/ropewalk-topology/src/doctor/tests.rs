//! Findings on hosts that are made of data: what is found, and what must not be.

mod filter;
mod healthy;
mod leaks;

use alloc::{
    collections::BTreeMap,
    string::{String, ToString},
    vec,
    vec::Vec,
};
use core::net::IpAddr;

use super::{CHECKS, Finding, Mark, Mend, Papers, Record, Severity, books, examine};
use crate::{
    model::{
        Base, Chain, Comparison, Content, Data, Details, Expression, FilterFamily, Host, Link,
        Namespace, Rule, Set, Setting, Table, Verdict,
    },
    samples::{self, address, link, on, route},
};

fn setting(name: &str, value: &str) -> Setting {
    Setting { name: name.into(), value: value.into() }
}

fn namespace(inode: u64, content: Content) -> Namespace {
    let path = alloc::format!("/run/netns/c{}", inode - 1);
    Namespace { is_own: inode == 1, ..samples::namespace(inode, &path, content) }
}

/// A host with a bridge and two containers on it, all well.
fn healthy() -> (Host, Papers) {
    let mut own = Content {
        links: vec![Link { alias: Some("ours".into()), ..link(2, "br0", "bridge") }],
        addresses: vec![address(2, "10.1.0.1/24")],
        settings: vec![setting("ipv4/ip_forward", "1"), setting("ipv6/conf/all/forwarding", "0")],
        ..Content::default()
    };
    let mut papers = Papers { bridge_alias: "ours", ..Papers::default() };
    let mut namespaces = Vec::new();
    for number in 1..=2_u32 {
        let container = alloc::format!("c{number}");
        own.links.push(Link {
            master: Some(2),
            alias: Some(alloc::format!("mark of {container}")),
            ..on(
                link(2 + number, &alloc::format!("v{number}"), "veth"),
                2,
                Some(number.cast_signed()),
            )
        });
        let ip = alloc::format!("10.1.0.1{number}");
        let mut inner = namespace(
            u64::from(number) + 1,
            Content {
                links: vec![on(link(2, "eth0", "veth"), 2 + number, Some(0))],
                addresses: vec![address(2, &alloc::format!("{ip}/24"))],
                routes: vec![route("0.0.0.0/0", 2, Some("10.1.0.1"))],
                ..Content::default()
            },
        );
        inner.numbers.insert(0, 0);
        namespaces.push(inner);
        let owner = alloc::format!("lan/{container}/eth0");
        let mark = Mark { attachment: container.clone(), owner };
        papers.marks.insert(alloc::format!("mark of {container}"), mark);
        papers.records.push(Record {
            hash: container.clone(),
            network: "lan".into(),
            container,
            interface: "eth0".into(),
            path: alloc::format!("/run/netns/c{number}"),
            namespace: Some(u64::from(number) + 1),
            addresses: vec![ip.parse().expect("an address")],
            books: None,
        });
    }
    let mut own = namespace(1, own);
    own.numbers = BTreeMap::from([(1, 1), (2, 2)]);
    namespaces.insert(0, own);
    (Host { namespaces }, papers)
}

fn own(host: &mut Host) -> &mut Content {
    host.namespaces[0].content.as_mut().expect("it was read")
}

fn of(host: &mut Host, number: usize) -> &mut Content {
    host.namespaces[number].content.as_mut().expect("it was read")
}

fn names(host: &Host, papers: &Papers) -> Vec<&'static str> {
    examine(host, papers).into_iter().map(|finding| finding.check.name).collect()
}

#[track_caller]
fn one(host: &Host, papers: &Papers, name: &str) -> Finding {
    let found = examine(host, papers);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].check.name, name, "{found:#?}");
    found[0].clone()
}

#[test]
fn a_healthy_host_has_no_findings() {
    let (host, papers) = healthy();
    assert_eq!(examine(&host, &papers), []);
    assert_eq!(examine(&Host::default(), &Papers::default()), []);
}

#[test]
fn checks_have_names_of_their_own_and_speak_in_sentences() {
    let mut known: Vec<&str> = CHECKS.iter().map(|check| check.name).collect();
    known.sort_unstable();
    known.dedup();
    assert_eq!(known.len(), CHECKS.len());
    for check in CHECKS {
        assert!(check.consequence.ends_with('.'), "{}", check.name);
        assert!(!check.meaning.ends_with('.') && !check.meaning.contains("  "), "{}", check.name);
    }
}

#[test]
fn the_worst_comes_first() {
    let (mut host, papers) = healthy();
    own(&mut host).settings[0].value = "0".into();
    own(&mut host).links.push(link(9, "up0", "dummy"));
    own(&mut host).links[3].mtu = 1400;
    own(&mut host).routes.push(route("0.0.0.0/0", 9, Some("192.0.2.1")));
    let severities: Vec<Severity> =
        examine(&host, &papers).iter().map(|finding| finding.check.severity).collect();
    assert!(severities.is_sorted() && severities.len() > 1, "{severities:?}");
}

#[test]
fn books_are_held_against_addresses() {
    let ip: IpAddr = "10.1.0.11".parse().expect("an address");
    let lease = |ip: IpAddr, host: &str| books::Lease {
        ip,
        space: "lan".into(),
        host: host.into(),
        network: "lan".into(),
        container: "c1".into(),
        interface: "eth0".into(),
        since: 100,
        is_held: true,
    };
    let gone: IpAddr = "10.1.0.99".parse().expect("an address");
    let books = books::Books {
        host: "here".into(),
        // Of an unknown host are one that is here and one that is not.
        leases: vec![
            lease(ip, "there"),
            lease(gone, "here"),
            lease("10.1.0.13".parse().expect("an address"), ""),
            lease("10.1.0.14".parse().expect("an address"), ""),
        ],
        pools: vec![books::Pool { space: "lan".into(), ends: (ip, gone) }],
        ..books::Books::default()
    };
    let stranger: IpAddr = "10.1.0.12".parse().expect("an address");
    let found = books::Found::from([
        (ip, vec!["c1".to_string()]),
        (stranger, vec!["c2".to_string(), "c3".to_string()]),
        ("10.1.0.13".parse().expect("an address"), vec!["c4".to_string()]),
    ]);
    let kinds: Vec<(books::Kind, IpAddr)> =
        books::judge(&found, &books).into_iter().map(|one| (one.kind, one.ip)).collect();
    assert_eq!(
        kinds,
        [
            (books::Kind::Stranger, ip),
            (books::Kind::Duplicate, stranger),
            (books::Kind::Stranger, stranger),
            (books::Kind::Leak, gone),
        ]
    );
}

#[test]
fn an_address_may_be_there_twice_on_two_wires() {
    let (mut host, papers) = healthy();
    own(&mut host).links.push(link(8, "br1", "bridge"));
    own(&mut host).addresses.push(address(8, "10.2.0.1/24"));
    own(&mut host).links[2].master = Some(8);
    of(&mut host, 2).addresses[0] = address(2, "10.1.0.11/24");
    of(&mut host, 2).routes.clear();
    assert_eq!(names(&host, &papers), [""; 0]);
    own(&mut host).links[2].master = Some(2);
    assert_eq!(one(&host, &papers, "duplicate-address").object, "10.1.0.11");
}

#[test]
fn gateways_are_missed_only_where_all_can_be_seen() {
    let (mut host, papers) = healthy();
    own(&mut host).addresses.clear();
    assert_eq!(names(&host, &papers), ["gateway-missing", "gateway-missing"]);
    own(&mut host).links.push(Link { kind: None, master: Some(2), ..link(9, "enp1", "") });
    assert_eq!(names(&host, &papers), [""; 0], "it may be behind the card");
}

#[test]
fn vlans_on_one_bridge_are_apart() {
    let (mut host, papers) = healthy();
    let content = own(&mut host);
    content.links[0].details =
        Details::Bridge { vlan_filtering: true, spanning_tree: false, ageing: 0 };
    let vlan = |id| vec![crate::model::BridgeVlan { id, flags: 2 | 4 }];
    content.links[0].vlans = vlan(1);
    content.links[1].vlans = vlan(1);
    content.links[2].vlans = vlan(7);
    of(&mut host, 2).addresses[0] = address(2, "10.1.0.11/24");
    of(&mut host, 2).routes.clear();
    assert_eq!(names(&host, &papers), [""; 0]);
}

fn rule(handle: u64, expressions: Vec<Expression>) -> Rule {
    Rule { handle, expressions, comment: None }
}

fn verdict(verdict: Verdict) -> Expression {
    Expression::Immediate { into: 0, data: Data::Verdict(verdict) }
}

fn is_state(bits: u32) -> Vec<Expression> {
    vec![
        Expression::Connection { key: 0, direction: None, into: 1 },
        Expression::Bitwise {
            from: 1,
            into: 1,
            mask: bits.to_ne_bytes().to_vec(),
            xor: vec![0; 4],
        },
        Expression::Compare { register: 1, comparison: Comparison::NotEqual, value: vec![0; 4] },
    ]
}

fn comes_in(name: &str) -> Vec<Expression> {
    let mut value = name.as_bytes().to_vec();
    value.resize(16, 0);
    vec![
        Expression::Meta { key: 6, into: 1 },
        Expression::Compare { register: 1, comparison: Comparison::Equal, value },
    ]
}

fn comes_from(bytes: &[u8]) -> Vec<Expression> {
    let length = u32::try_from(bytes.len()).expect("a few");
    vec![
        Expression::Payload { base: 1, offset: 12, length, into: 1 },
        Expression::Compare { register: 1, comparison: Comparison::Equal, value: bytes.to_vec() },
    ]
}

fn strict(rules: Vec<Rule>) -> Table {
    let base = Base {
        kind: "filter".into(),
        hook: 2,
        priority: 0,
        accepts: false,
        devices: Vec::new(),
        counted: None,
    };
    let chain = |name: &str, base, rules| Chain { name: name.into(), handle: 1, base, rules };
    let sub = vec![rule(50, [comes_in("br0"), vec![verdict(Verdict::Accept)]].concat())];
    Table {
        family: FilterFamily::Inet,
        name: "strict".into(),
        handle: 1,
        chains: vec![chain("forward", Some(base), rules), chain("sub", None, sub)],
        sets: vec![Set {
            name: "names".into(),
            handle: 1,
            flags: 0,
            key_type: 0,
            key_length: 4,
            data_type: None,
            timeout: None,
            elements: vec![crate::model::Element { key: vec![10, 1, 0, 11], ..Default::default() }],
        }],
        ..Table::default()
    }
}

#[test]
fn a_chain_is_accused_only_where_nothing_may_accept() {
    let accept = || vec![verdict(Verdict::Accept)];
    let mark = || {
        vec![
            Expression::Meta { key: 3, into: 1 },
            Expression::Compare { register: 1, comparison: Comparison::Equal, value: vec![1; 4] },
        ]
    };
    let lookup = |is_inverted| {
        vec![
            Expression::Payload { base: 1, offset: 12, length: 4, into: 1 },
            Expression::Lookup { set: "names".into(), from: 1, into: None, is_inverted },
        ]
    };
    let cases: [(&str, Vec<Vec<Expression>>, bool); 13] = [
        ("nothing", vec![], true),
        ("answers", vec![[is_state(6), accept()].concat()], true),
        ("new ones", vec![[is_state(8), accept()].concat()], false),
        ("another link", vec![[comes_in("eth0"), accept()].concat()], true),
        ("the bridge", vec![[comes_in("br0"), accept()].concat()], false),
        ("the subnet", vec![[comes_from(&[10, 1, 0]), accept()].concat()], false),
        ("another subnet", vec![[comes_from(&[10, 2]), accept()].concat()], true),
        ("a mark, perhaps", vec![[mark(), accept()].concat()], false),
        ("dropped with a mark", vec![[mark(), vec![verdict(Verdict::Drop)]].concat()], true),
        ("through another chain", vec![vec![verdict(Verdict::Jump("sub".into()))]], false),
        ("dropped before", vec![vec![verdict(Verdict::Drop)], accept()], true),
        ("in a set", vec![[lookup(false), accept()].concat()], false),
        ("not in a set", vec![[lookup(true), accept()].concat()], true),
    ];
    for (what, rules, is_found) in cases {
        let (mut host, papers) = healthy();
        let rules = rules.into_iter().enumerate();
        let rules = rules.map(|(number, all)| rule(number as u64, all)).collect();
        own(&mut host).filter.tables.push(strict(rules));
        let found = names(&host, &papers);
        assert_eq!(found.contains(&"forward-dropped"), is_found, "{what}: {found:?}");
    }
}

#[test]
fn states_are_read_from_matches_of_iptables() {
    let mut info = vec![0_u8; 168];
    info[146] = 1;
    info[150..152].copy_from_slice(&6_u16.to_ne_bytes());
    let conntrack = |info: &[u8]| {
        let found =
            Expression::Match { name: "conntrack".into(), revision: 3, info: info.to_vec() };
        vec![found, verdict(Verdict::Accept)]
    };
    let is_found = |info: &[u8]| {
        let (mut host, papers) = healthy();
        own(&mut host).filter.tables.push(strict(vec![rule(1, conntrack(info))]));
        names(&host, &papers).contains(&"forward-dropped")
    };
    assert!(is_found(&info), "answers alone");
    info[150] |= 8;
    assert!(!is_found(&info), "new ones, too");
    info[148] = 1;
    assert!(is_found(&info), "all but these");
    assert!(!is_found(&info[..10]), "not understood");
}

#[test]
fn forwarding_is_switched_on_for_the_whole_host_alone() {
    let (mut host, papers) = healthy();
    own(&mut host).settings[0].value = "0".into();
    let found = one(&host, &papers, "forwarding-off");
    assert!(matches!(&found.mend, Some(Mend::Set { name, .. }) if name == "net/ipv4/ip_forward"));
    own(&mut host).settings[0].value = "1".into();
    own(&mut host).links[0].ipv4_settings[0] = 0;
    assert_eq!(one(&host, &papers, "forwarding-off").mend, None, "somebody meant this link");
}

#[test]
fn tables_are_near_their_limits_at_four_fifths() {
    for (count, is_found) in [("79", false), ("80", true), ("x", false)] {
        let (mut host, papers) = healthy();
        let settings = &mut own(&mut host).settings;
        settings.push(setting("netfilter/nf_conntrack_count", count));
        settings.push(setting("netfilter/nf_conntrack_max", "100"));
        assert_eq!(names(&host, &papers).contains(&"connections-near-limit"), is_found, "{count}");
    }
}

#[test]
fn tunnels_need_room_for_their_headers() {
    let vxlan = |remote: &str, mtu| Link {
        mtu,
        details: Details::Vxlan {
            id: 1,
            local: None,
            remote: Some(remote.parse().expect("an address")),
            port: 4789,
            learning: true,
        },
        ..link(9, "vx0", "vxlan")
    };
    for (remote, mtu, is_found) in [
        ("192.0.2.9", 1450, false),
        ("192.0.2.9", 1451, true),
        ("2001:db8::9", 1430, false),
        ("2001:db8::9", 1431, true),
    ] {
        let (mut host, papers) = healthy();
        let content = own(&mut host);
        content.links.extend([link(8, "up0", "dummy"), vxlan(remote, mtu)]);
        content.routes.push(route("192.0.2.0/24", 8, None));
        content.routes.push(route("2001:db8::/64", 8, None));
        assert_eq!(names(&host, &papers).contains(&"mtu-tunnel"), is_found, "{remote} {mtu}");
    }
}

#[test]
fn a_route_elsewhere_for_a_part_of_a_subnet_is_found_and_one_for_a_host_is_not() {
    let (mut host, papers) = healthy();
    own(&mut host).links.push(link(8, "up0", "dummy"));
    own(&mut host).routes.push(route("10.1.0.77/32", 8, None));
    own(&mut host).routes.push(route("10.0.0.0/8", 8, None));
    assert_eq!(names(&host, &papers), [""; 0]);
    own(&mut host).routes.push(route("10.1.0.64/26", 8, None));
    assert!(one(&host, &papers, "overlapping-subnets").evidence.contains("10.1.0.64/26"));
}

#[test]
fn commands_reach_into_the_namespace_they_are_for() {
    let (mut host, papers) = healthy();
    of(&mut host, 1).links[0].mtu = 9000;
    let found = one(&host, &papers, "mtu-pair");
    let expected: String = "nsenter --net=/run/netns/c1 ip link set eth0 mtu 1500".into();
    assert_eq!(found.command, expected);
}

#[test]
fn no_name_in_a_command_is_more_than_a_word() {
    let (mut host, papers) = healthy();
    of(&mut host, 1).links[0].mtu = 9000;
    for (name, path, quoted) in [
        ("a;b", "/run/netns/c1", "nsenter --net=/run/netns/c1 ip link set 'a;b' mtu 1500"),
        ("$(x)", "/run/netns/$(y)", "nsenter --net='/run/netns/$(y)' ip link set '$(x)' mtu 1500"),
    ] {
        of(&mut host, 1).links[0].name = name.into();
        host.namespaces[1].paths = vec![path.into()];
        assert_eq!(one(&host, &papers, "mtu-pair").command, quoted);
    }
}

#[test]
fn sysctls_of_links_with_dots_are_named_by_their_files() {
    let (mut host, papers) = healthy();
    own(&mut host).links[0].name = "br0.100".into();
    own(&mut host).links[0].ipv4_settings[0] = 0;
    let found = one(&host, &papers, "forwarding-off");
    assert_eq!(found.object, "net/ipv4/conf/br0.100/forwarding");
    assert_eq!(found.command, "sysctl -w net/ipv4/conf/br0.100/forwarding=1");
}
