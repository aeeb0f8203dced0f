//! What passes, and which way, on hosts that are made of data.

use alloc::{collections::BTreeMap, string::String, vec, vec::Vec};

use crate::{
    Graph, LinkAt,
    model::{Content, Counters, Details, Host, Link, Namespace, Route},
    samples::{self, link, on, route},
    traffic::{Passed, Sum, summed, traffic},
    uplinks,
};

fn default_route(link: u32) -> Route {
    route("0.0.0.0/0", link, None)
}

fn namespace(inode: u64, links: Vec<Link>, routes: Vec<Route>) -> Namespace {
    let content = Content { links, routes, ..Content::default() };
    let numbers = if inode == 1 { BTreeMap::from([(1, 1)]) } else { BTreeMap::from([(0, 0)]) };
    let is_own = inode == 1;
    Namespace { is_own, numbers, ..samples::namespace(inode, "/run/netns/c1", content) }
}

/// A host with a container on a bridge; `more` is what else the host has.
fn host(more: Vec<Link>, routes: Vec<Route>) -> Host {
    let near = on(Link { master: Some(3), ..link(2, "v1", "veth") }, 2, Some(1));
    let mut own = vec![near, link(3, "br0", "bridge")];
    own.extend(more);
    let far = on(link(2, "eth0", "veth"), 2, Some(0));
    Host { namespaces: vec![namespace(1, own, routes), namespace(2, vec![far], Vec::new())] }
}

fn ways(host: &Host, index: u32) -> Vec<String> {
    let graph = Graph::of(host);
    let found = uplinks(&graph, LinkAt { namespace: 1, index });
    found.into_iter().filter_map(|at| graph.link(at)).map(|link| link.name.clone()).collect()
}

#[test]
fn the_way_out_is_what_the_bridge_holds_or_where_routes_go() {
    let card = || link(4, "eth0", "");
    let vlan = || {
        let vlan =
            Link { details: Details::Vlan { id: 7, protocol: 0 }, ..link(5, "eth0.7", "vlan") };
        on(vlan, 4, None)
    };
    assert_eq!(ways(&host(vec![card()], vec![]), 2), [""; 0], "nothing leads there");
    assert_eq!(ways(&host(vec![card()], vec![default_route(4)]), 2), ["eth0"]);
    assert_eq!(ways(&host(vec![card(), vlan()], vec![default_route(5)]), 2), ["eth0"]);
    let held = Link { master: Some(3), ..vlan() };
    assert_eq!(ways(&host(vec![card(), held], vec![]), 2), ["eth0"], "held by the bridge");
    let bond = link(6, "bond0", "bond");
    let slaves =
        [4, 7].map(|at| Link { master: Some(6), ..link(at, if at == 4 { "a" } else { "b" }, "") });
    let [one, other] = slaves;
    assert_eq!(ways(&host(vec![one, bond, other], vec![default_route(6)]), 2), ["a", "b"]);
}

#[test]
fn what_stands_on_a_card_leaves_through_it() {
    let mut host = host(vec![link(4, "eth0", "")], vec![]);
    let content = host.namespaces[1].content.as_mut().expect("it was read");
    content.links.push(on(link(3, "mv0", "macvlan"), 4, Some(0)));
    assert_eq!(ways(&host, 3), ["eth0"]);
}

#[test]
fn rows_tell_the_containers_side_and_the_larger_number_of_drops() {
    let mut host = host(vec![], vec![]);
    let counters = |number: u64| Counters {
        rx_packets: number,
        tx_packets: number * 2,
        rx_dropped: number,
        tx_dropped: number * 3,
        ..Counters::default()
    };
    host.namespaces[0].content.as_mut().expect("it").links[0].counters = counters(5);
    host.namespaces[1].content.as_mut().expect("it").links[0].counters = counters(10);
    let found = traffic(&host);
    let row = &found.rows[0];
    assert_eq!((row.received.packets, row.sent.packets), (10, 20));
    assert_eq!((row.received.dropped, row.sent.dropped), (15, 30));
    assert_eq!((row.subject.network.as_str(), row.subject.container.as_str()), ("br0", "c1"));
    let twice = [row.clone(), row.clone()];
    assert_eq!(summed(&twice, Sum::Network)[0].received.packets, 20);
}

#[test]
fn counters_that_begin_anew_count_from_nothing() {
    let passed = |packets| Passed { packets, bytes: packets * 100, ..Passed::default() };
    assert_eq!(passed(7).since(passed(5)), passed(2));
    assert_eq!(passed(3).since(passed(5)), passed(3));
}
