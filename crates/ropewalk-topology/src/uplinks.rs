//! Which of the host's links to the world carries what a link sends.

use alloc::{collections::BTreeSet, vec::Vec};

use crate::{
    Graph, LinkAt,
    model::{Content, Link},
};

/// The main routing table.
const MAIN: u32 = 254;

/// The links, in the own namespace or between, through which the packets of a link leave: what it
/// stands on, what else its bridge holds that leads out, or where the host's default route goes.
/// None if nothing leads out.
pub fn uplinks(graph: &Graph<'_>, from: LinkAt) -> Vec<LinkAt> {
    let (mut ends, mut seen) = (BTreeSet::new(), BTreeSet::new());
    follow(graph, from, &mut ends, &mut seen);
    ends.remove(&from);
    ends.into_iter().collect()
}

/// Goes on until a link stands on nothing.
fn follow(graph: &Graph<'_>, at: LinkAt, ends: &mut BTreeSet<LinkAt>, seen: &mut BTreeSet<LinkAt>) {
    let Some(link) = graph.link(at).filter(|_| seen.insert(at)) else { return };
    if let Some(peer) = graph.peer(at).filter(|peer| seen.insert(*peer)) {
        let is_own = graph.namespace(at).is_some_and(|one| one.is_own);
        // The far end of a link of the host's own is the world.
        if is_own {
            ends.insert(at);
        } else {
            out_of(graph, peer, ends, seen);
        }
    } else if let Some(lower) = graph.lower(at) {
        follow(graph, lower, ends, seen);
    } else if link.is("bridge") || link.is("bond") || link.is("team") {
        below(graph, at, ends, seen);
    } else if !link.is_loopback() {
        ends.insert(at);
    }
}

/// Where packets go that came out of a pair.
fn out_of(graph: &Graph<'_>, at: LinkAt, ends: &mut BTreeSet<LinkAt>, seen: &mut BTreeSet<LinkAt>) {
    let master = graph.link(at).and_then(|link| link.master);
    let master = master.map(|index| LinkAt { index, ..at });
    match master.filter(|master| graph.link(*master).is_some_and(|link| link.is("bridge"))) {
        Some(bridge) => {
            seen.insert(bridge);
            below(graph, bridge, ends, seen);
        }
        None => route(graph, at, ends, seen),
    }
}

/// The parts of a bridge or bond that are no ends of pairs, or the way of the routes.
fn below(graph: &Graph<'_>, at: LinkAt, ends: &mut BTreeSet<LinkAt>, seen: &mut BTreeSet<LinkAt>) {
    let is_way_out = |port: &&LinkAt| graph.link(**port).is_some_and(leads_out);
    let ports: Vec<LinkAt> = graph.ports(at).iter().filter(is_way_out).copied().collect();
    if ports.is_empty() {
        route(graph, at, ends, seen);
    }
    for port in ports {
        follow(graph, port, ends, seen);
    }
}

fn leads_out(link: &Link) -> bool {
    !link.is("veth") && !matches!(link.details, crate::model::Details::Tun { .. })
}

/// The link of the best default route of the namespace.
fn route(graph: &Graph<'_>, at: LinkAt, ends: &mut BTreeSet<LinkAt>, seen: &mut BTreeSet<LinkAt>) {
    let content = graph.namespace(at).and_then(|namespace| namespace.content());
    let Some(index) = content.and_then(default_link) else { return };
    follow(graph, LinkAt { index, ..at }, ends, seen);
}

fn default_link(content: &Content) -> Option<u32> {
    let routes = content.routes.iter().filter(|one| one.kind == 1 && one.table == MAIN);
    let defaults = routes.filter(|one| one.destination.is_default());
    // Of both families IPv4 is told, where there is a choice.
    let best = defaults.min_by_key(|one| (one.destination.is_v6(), one.priority))?;
    best.hops.first()?.link
}
