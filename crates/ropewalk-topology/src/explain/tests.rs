//! Ways through hosts that are built here.

use alloc::{collections::BTreeMap, string::String, vec, vec::Vec};

use super::*;
use crate::{
    model::{
        Base, Chain, Comparison, Content, Data, Expression, FilterFamily, Gap, HardwareAddress,
        Link, Lower, Namespace, Neighbour, Route, RoutingRule, Rule, Setting, Table, Verdict,
    },
    samples::{self, address, ip, link, loopback, on, route},
};

/// One end of a pair.
fn end(index: u32, name: &str, peer: u32) -> Link {
    let number = u8::try_from(index).unwrap();
    let mac = HardwareAddress(vec![2, 0, 0, 0, name.len().try_into().unwrap(), number]);
    Link { mac: Some(mac), ..on(link(index, name, "veth"), peer, Some(0)) }
}

fn namespace(number: u64, links: Vec<Link>, addresses: &[(u32, &str)]) -> Namespace {
    let mut content = Content { links, ..Content::default() };
    for (link, text) in addresses {
        let own = address(*link, text);
        let to_own = route(&alloc::format!("{}/32", own.ip), *link, None);
        content.routes.push(Route { table: 255, kind: 2, ..to_own });
        content.routes.push(route(text, *link, None));
        content.addresses.push(own);
    }
    for (priority, table) in [(0, 255), (32766, 254)] {
        let rule = RoutingRule { priority, table, action: 1, ..RoutingRule::default() };
        content.rules.push(rule);
    }
    content.settings.push(Setting { name: "ipv4/ip_forward".into(), value: "1".into() });
    let path = alloc::format!("/run/netns/n{number}");
    Namespace { is_own: number == 0, ..samples::namespace(number, &path, content) }
}

/// A router with two others, 10.1.0.2 and 10.2.0.2.
fn host() -> Host {
    let router = vec![loopback(), end(2, "left", 2), end(3, "right", 2)];
    let mut router = namespace(0, router, &[(2, "10.1.0.1/24"), (3, "10.2.0.1/24")]);
    // Both name the other end's namespace 0, which is another one for each; the second gets 1.
    router.numbers = BTreeMap::from([(0, 1), (1, 2)]);
    content(&mut router).links[2].lower = Some(Lower { index: 2, namespace: Some(1) });
    let mut one = namespace(1, vec![loopback(), end(2, "eth0", 2)], &[(2, "10.1.0.2/24")]);
    let mut two = namespace(2, vec![loopback(), end(2, "eth0", 3)], &[(2, "10.2.0.2/24")]);
    for (other, gateway) in [(&mut one, "10.1.0.1"), (&mut two, "10.2.0.1")] {
        other.numbers = BTreeMap::from([(0, 0)]);
        content(other).routes.push(route("0.0.0.0/0", 2, Some(gateway)));
    }
    Host { namespaces: vec![router, one, two] }
}

fn content(namespace: &mut Namespace) -> &mut Content {
    namespace.content.as_mut().unwrap()
}

fn question(to: &str, port: u16) -> Question {
    Question {
        from: From::Inside { namespace: 1, address: None },
        destination: ip(to),
        protocol: TCP,
        port,
        source_port: None,
    }
}

fn chain(name: &str, hook: Option<(u32, &str, bool)>, rules: Vec<Vec<Expression>>) -> Chain {
    let rule = |(number, expressions): (usize, Vec<Expression>)| Rule {
        handle: number as u64 + 1,
        expressions,
        comment: None,
    };
    Chain {
        name: name.into(),
        handle: 1,
        base: hook.map(|(hook, kind, accepts)| Base {
            kind: kind.into(),
            hook,
            priority: 0,
            accepts,
            devices: Vec::new(),
            counted: None,
        }),
        rules: rules.into_iter().enumerate().map(rule).collect(),
    }
}

fn filter(host: &mut Host, chains: Vec<Chain>) {
    let table = Table {
        family: FilterFamily::Inet,
        name: "t".into(),
        handle: 1,
        flags: 0,
        chains,
        sets: Vec::new(),
        objects: Vec::new(),
        flow_tables: Vec::new(),
    };
    content(&mut host.namespaces[0]).filter.tables.push(table);
}

/// `tcp dport N`, then more.
fn to_port(port: u16, then: Expression) -> Vec<Expression> {
    let compare =
        |value: Vec<u8>| Expression::Compare { register: 1, comparison: Comparison::Equal, value };
    vec![
        Expression::Meta { key: 16, into: 1 },
        compare(vec![TCP]),
        Expression::Payload { base: 2, offset: 2, length: 2, into: 1 },
        compare(port.to_be_bytes().to_vec()),
        then,
    ]
}

fn verdict(verdict: Verdict) -> Expression {
    Expression::Immediate { into: 0, data: Data::Verdict(verdict) }
}

fn unknown() -> Expression {
    Expression::Other { name: "limit".into(), attributes: Vec::new() }
}

fn stop(trace: &Trace) -> &Stop {
    match &trace.way.end {
        End::Stopped(stop) | End::Unknown(stop) => stop,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_packet_goes_through_a_router_and_its_answer_back() {
    let trace = explain(&host(), &question("10.2.0.2", 80));
    assert_eq!(trace.outcome, Outcome::Passes, "{trace:?}");
    assert_eq!(trace.sent.source, ip("10.1.0.2"));
    let visited = |journey: &Journey| {
        let mut all: Vec<usize> = journey.steps.iter().map(|step| step.namespace).collect();
        all.dedup();
        all
    };
    assert_eq!(visited(&trace.way), [1, 0, 2]);
    assert_eq!(visited(trace.back.as_ref().unwrap()), [2, 0, 1]);
}

#[test]
fn the_longest_prefix_counts_then_the_metric() {
    let mut host = host();
    let own = content(&mut host.namespaces[1]);
    let better = Route { kind: 7, priority: 5, ..route("10.2.0.0/16", 2, Some("10.1.0.1")) };
    let best = route("10.2.0.2/32", 2, Some("10.1.0.1"));
    own.routes.extend([Route { priority: 9, ..best.clone() }, better, best]);
    let trace = explain(&host, &question("10.2.0.2", 80));
    let Event::Routed(routed) = &trace.way.steps[0].event else { panic!("{trace:?}") };
    assert_eq!(routed.route, "10.2.0.2 via 10.1.0.1 dev eth0");
    assert!(routed.instead_of[0].contains("metric 9 (its metric is higher)"), "{routed:?}");
    assert!(routed.instead_of[1].starts_with("unreachable 10.2.0.0/16"), "{routed:?}");
    let trace = explain(&host, &question("10.2.0.3", 80));
    assert_eq!(stop(&trace).told, Told::Error);
    assert!(stop(&trace).reason.contains("refuses it"), "{trace:?}");
}

#[test]
fn the_rule_that_drops_is_named() {
    let mut host = host();
    let rules =
        vec![to_port(81, verdict(Verdict::Drop)), vec![verdict(Verdict::Jump("inner".into()))]];
    let inner = vec![to_port(82, verdict(Verdict::Drop)), vec![verdict(Verdict::Return)]];
    let chains = vec![chain("f", Some((2, "filter", true)), rules), chain("inner", None, inner)];
    filter(&mut host, chains);
    assert_eq!(explain(&host, &question("10.2.0.2", 80)).outcome, Outcome::Passes);
    let trace = explain(&host, &question("10.2.0.2", 82));
    let stop = stop(&trace);
    let rule = stop.rule.as_ref().unwrap();
    assert_eq!((rule.chain.as_str(), rule.handle), ("inner", Some(1)));
    assert_eq!(rule.through, ["f"]);
    assert_eq!(rule.text, "meta l4proto tcp dport 82 drop".replace("meta l4proto ", ""));
    let command = stop.changed_by.as_deref();
    assert_eq!(command, Some("nft delete rule inet t inner handle 1"));
}

#[test]
fn what_is_not_known_matters_only_where_it_makes_a_difference() {
    let limited = |then: Verdict| vec![unknown(), verdict(then)];
    let outcome = |rules: Vec<Vec<Expression>>, accepts: bool| {
        let mut host = host();
        filter(&mut host, vec![chain("f", Some((2, "filter", accepts)), rules)]);
        explain(&host, &question("10.2.0.2", 80)).outcome
    };
    assert_eq!(outcome(vec![limited(Verdict::Accept)], false), Outcome::CannotTell);
    assert_eq!(outcome(vec![limited(Verdict::Drop)], false), Outcome::Stopped);
    assert_eq!(outcome(vec![limited(Verdict::Continue)], true), Outcome::Passes);
    let queue = Expression::Other { name: "queue".into(), attributes: Vec::new() };
    assert_eq!(outcome(vec![vec![queue]], true), Outcome::CannotTell);
    let odd = Expression::Other { name: "odd".into(), attributes: Vec::new() };
    assert_eq!(outcome(vec![vec![odd]], true), Outcome::CannotTell);
}

#[test]
fn masquerading_is_undone_for_the_answer() {
    let mut host = host();
    let rule = vec![Expression::Masquerade { flags: 0 }];
    filter(&mut host, vec![chain("after", Some((4, "nat", true)), vec![rule])]);
    // Without a way back to the sender's own address.
    content(&mut host.namespaces[2]).routes.retain(|route| !route.destination.is_default());
    let trace = explain(&host, &question("10.2.0.2", 80));
    assert_eq!(trace.outcome, Outcome::Passes, "{trace:?}");
    assert_eq!(trace.way.last.source, ip("10.2.0.1"));
    assert_eq!(trace.back.unwrap().last.destination, ip("10.1.0.2"));
}

#[test]
fn masquerading_takes_the_address_that_is_near_the_gateway() {
    let seen_from = |gateway: &str| {
        let mut host = host();
        let rule = vec![Expression::Masquerade { flags: 0 }];
        filter(&mut host, vec![chain("after", Some((4, "nat", true)), vec![rule])]);
        let router = content(&mut host.namespaces[0]);
        router.addresses.push(address(3, "10.3.0.1/24"));
        router.routes.push(route("10.9.0.0/16", 3, Some(gateway)));
        let other = content(&mut host.namespaces[2]);
        for own in ["10.3.0.2/24", "10.9.0.9/32", "fd00::2/64"] {
            let own = address(2, own);
            let to_own = route(&alloc::format!("{}/32", own.ip), 2, None);
            other.routes.push(Route { table: 255, kind: 2, ..to_own });
            other.addresses.push(own);
        }
        explain(&host, &question("10.9.0.9", 80)).way.last.source
    };
    assert_eq!(seen_from("10.3.0.2"), ip("10.3.0.1"));
    assert_eq!(seen_from("10.2.0.2"), ip("10.2.0.1"));
    // Who is of IPv6 is near to nobody of IPv4.
    assert_eq!(seen_from("fd00::2"), ip("10.2.0.1"));
}

#[test]
fn only_what_is_not_tracked_yet_can_be_left_so() {
    for (priority, seen_from) in [(0, "10.2.0.1"), (-300, "10.1.0.2")] {
        let mut host = host();
        let notrack = Expression::Other { name: "notrack".into(), attributes: Vec::new() };
        let mut before = chain("before", Some((0, "filter", true)), vec![vec![notrack]]);
        before.base.as_mut().unwrap().priority = priority;
        let masquerade = vec![Expression::Masquerade { flags: 0 }];
        let after = chain("after", Some((4, "nat", true)), vec![masquerade]);
        filter(&mut host, vec![before, after]);
        let trace = explain(&host, &question("10.2.0.2", 80));
        assert_eq!(trace.way.last.source, ip(seen_from), "{priority}");
    }
}

#[test]
fn a_sender_hears_nothing_from_a_hole_and_from_who_forwards_nothing() {
    let told = |kind: u8, forwards: u32| {
        let mut host = host();
        let router = content(&mut host.namespaces[0]);
        router.links[1].ipv4_settings[0] = forwards;
        router.routes.push(Route { kind, hops: Vec::new(), ..route("10.2.0.2/32", 3, None) });
        let trace = explain(&host, &question("10.2.0.2", 80));
        (stop(&trace).namespace, stop(&trace).told)
    };
    assert_eq!(told(6, 1), (0, Told::Nothing));
    assert_eq!(told(7, 1), (0, Told::Error));
    assert_eq!(told(8, 0), (0, Told::Nothing));
    // Who sends from there is told.
    let mut host = host();
    let hole = Route { kind: 6, ..route("10.2.0.2/32", 2, None) };
    content(&mut host.namespaces[1]).routes.push(hole);
    assert_eq!(stop(&explain(&host, &question("10.2.0.2", 80))).told, Told::Error);
}

#[test]
fn the_way_back_is_looked_for_as_an_answer_would_come() {
    let arrives = |rule: RoutingRule| {
        let mut host = host();
        let router = content(&mut host.namespaces[0]);
        router.links[1].ipv4_settings[7] = 1;
        // The main table leads elsewhere; table 100 leads back.
        router.routes.push(route("10.1.0.2/32", 3, None));
        router.routes.push(Route { table: 100, ..route("10.1.0.2/32", 2, None) });
        let rule = RoutingRule { priority: 5, table: 100, action: 1, ..rule };
        router.rules.push(rule);
        let (link, gateway) = (2, ip("10.1.0.1"));
        let mac = router.links[1].mac.clone();
        let known = Neighbour { link, ip: gateway, mac, state: 0x80, flags: 0 };
        content(&mut host.namespaces[1]).neighbours.push(known);
        explain(&host, &question("10.2.0.2", 80)).outcome == Outcome::Passes
    };
    let input = |name: &str| RoutingRule { input: Some(name.into()), ..RoutingRule::default() };
    assert!(arrives(input("right")) && !arrives(input("lo")) && !arrives(input("left")));
    let from = |port| RoutingRule { source_ports: Some((port, port)), ..RoutingRule::default() };
    assert!(arrives(from(80)) && !arrives(from(81)));
    // A packet that is passed on is nobody's.
    let of = |user| RoutingRule { users: Some((user, user)), ..input("right") };
    assert!(arrives(of(0)) && !arrives(of(1000)));
}

#[test]
fn a_sysctl_that_keeps_a_packet_is_named() {
    let mut host = host();
    let router = content(&mut host.namespaces[0]);
    router.links[1].ipv4_settings[0] = 0;
    router.settings.clear();
    let trace = explain(&host, &question("10.2.0.2", 80));
    assert_eq!(stop(&trace).changed_by.as_deref(), Some("sysctl -w net.ipv4.ip_forward=1"));
    let router = content(&mut host.namespaces[0]);
    router.links[1].ipv4_settings[0] = 1;
    // The way back to the sender leads elsewhere.
    router.links[1].ipv4_settings[7] = 1;
    router.routes.push(route("10.1.0.2/32", 3, None));
    let trace = explain(&host, &question("10.2.0.2", 80));
    let command = stop(&trace).changed_by.as_deref();
    assert_eq!(command, Some("sysctl -w net.ipv4.conf.left.rp_filter=2"));
}

#[test]
fn nothing_is_guessed_where_it_was_not_read() {
    let mut host = host();
    host.namespaces[2].content = Err("not permitted".into());
    let trace = explain(&host, &question("10.2.0.2", 80));
    assert_eq!(trace.outcome, Outcome::Leaves, "{trace:?}");
    let mut host = self::host();
    let gap = Gap { what: "nftables rules".into(), reason: "interrupted".into() };
    content(&mut host.namespaces[0]).gaps.push(gap);
    let trace = explain(&host, &question("10.2.0.2", 80));
    assert_eq!(trace.outcome, Outcome::CannotTell);
    assert!(stop(&trace).reason.ends_with("nftables rules could not be read: interrupted"));
    let mut host = self::host();
    let own = content(&mut host.namespaces[1]);
    let hops = own.routes.last().unwrap().hops.clone();
    own.routes.last_mut().unwrap().hops = [hops.clone(), hops].concat();
    assert_eq!(explain(&host, &question("10.2.0.2", 80)).outcome, Outcome::CannotTell);
}

#[test]
fn nobody_answers_for_an_address_that_nobody_has() {
    let trace = explain(&host(), &question("10.2.0.9", 80));
    assert_eq!(trace.outcome, Outcome::Stopped);
    assert_eq!(stop(&trace).reason, "nobody behind right has 10.2.0.9");
    let commands: Vec<&String> = stop(&trace).shown_by.iter().collect();
    assert_eq!(commands, [&String::from("ip neighbour show dev right")]);
}

#[test]
fn no_name_in_a_command_is_more_than_a_word() {
    let mut host = host();
    let out = &mut content(&mut host.namespaces[0]).links[2];
    (out.name, out.flags) = ("a;b".into(), 0);
    let trace = explain(&host, &question("10.2.0.2", 80));
    let command = stop(&trace).changed_by.as_deref();
    assert_eq!(command, Some("ip link set dev 'a;b' up"));
    // What nft reads has quotes of its own, so that it must not get such a name at all.
    let mut host = self::host();
    filter(&mut host, vec![chain("f;$(x)", Some((2, "filter", false)), Vec::new())]);
    let trace = explain(&host, &question("10.2.0.2", 80));
    let stop = stop(&trace);
    assert_eq!(stop.shown_by.as_deref(), Some("nft -a list ruleset"));
    assert_eq!(stop.changed_by, None);
}
