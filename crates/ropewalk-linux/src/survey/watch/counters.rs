//! What has passed links: read on a timer, because no event tells it, and so as little as possible.
//!
//! It must never count a link twice: what is known from one end of a pair is told of the other.

use std::collections::{BTreeMap, BTreeSet};

use ropewalk_topology::{
    Graph, LinkAt,
    model::{Counters, Host},
};

use crate::{
    netlink::{Attribute, Attributes, Message, Protocol, Reply, Socket},
    survey::{
        links::{read_counters, word},
        namespaces::Source,
        uapi::{IFLA_STATS_LINK_64, RTM_GETSTATS, RTM_NEWSTATS},
    },
};

/// Length of `struct if_stats_msg`.
const HEADER: usize = 12;

/// What was counted.
type Counted = BTreeMap<LinkAt, Counters>;

/// The namespaces that have to be read: the own one, and those with links that are no other end of
/// one that is read.
pub(super) fn wanted(graph: &Graph<'_>) -> BTreeSet<usize> {
    let mut wanted = BTreeSet::from([0]);
    for (at, link) in graph.links() {
        let is_known = graph.peer(at).is_some_and(|peer| wanted.contains(&peer.namespace));
        if !is_known && !link.is_loopback() && link.is_up() {
            wanted.insert(at.namespace);
        }
    }
    wanted
}

/// Both ends of every pair.
pub(super) fn pairs(graph: &Graph<'_>) -> Vec<(LinkAt, LinkAt)> {
    graph.links().filter_map(|(at, _)| Some((at, graph.peer(at)?))).collect()
}

pub(super) fn read(wanted: &BTreeSet<usize>, sources: &[Source], own: &mut Socket) -> Counted {
    let mut counted = of_socket(own, 0);
    let others: Vec<usize> = wanted.iter().copied().filter(|at| *at != 0).collect();
    if others.is_empty() {
        return counted;
    }
    // The thread enters namespaces, and ends there.
    let found = std::thread::scope(|scope| {
        let reader = || {
            let mut found = Counted::new();
            for at in others {
                let netns = sources.get(at).and_then(|source| source.open().ok()?);
                let entered = netns.and_then(|netns| netns.enter().ok());
                let socket = entered.and_then(|()| Socket::open(Protocol::Route).ok());
                found.extend(
                    socket.map(|mut socket| of_socket(&mut socket, at)).into_iter().flatten(),
                );
            }
            found
        };
        scope.spawn(reader).join().unwrap_or_default()
    });
    counted.extend(found);
    counted
}

fn of_socket(socket: &mut Socket, namespace: usize) -> Counted {
    let mut question = Message::dump(RTM_GETSTATS);
    let mut header = [0; HEADER];
    header[8..].copy_from_slice(&(1_u32 << (IFLA_STATS_LINK_64 - 1)).to_ne_bytes());
    question.raw(&header);
    let read = |reply: &Reply<'_>| {
        if reply.kind != RTM_NEWSTATS {
            return None;
        }
        let index = word(reply.payload, 4)?;
        let counters = |attribute: Attribute<'_>| read_counters(attribute.payload);
        let found = Attributes::behind(reply.payload, HEADER).first(IFLA_STATS_LINK_64)?;
        Some((LinkAt { namespace, index }, counters(found)))
    };
    // Counters that cannot be read stay as they were.
    socket.dump(&question, read).unwrap_or_default().into_iter().collect()
}

/// Puts what was counted where it belongs.
pub(super) fn put(host: &mut Host, counted: &Counted, pairs: &[(LinkAt, LinkAt)]) {
    let mirrored = pairs.iter().filter(|(at, _)| !counted.contains_key(at));
    let mirrored = mirrored.filter_map(|(at, peer)| Some((*at, mirror(counted.get(peer)?))));
    let all: Counted = counted.iter().map(|(at, one)| (*at, *one)).chain(mirrored).collect();
    for (at, counters) in all {
        let namespace = host.namespaces.get_mut(at.namespace);
        let content = namespace.and_then(|namespace| namespace.content.as_mut().ok());
        let links = content.into_iter().flat_map(|content| &mut content.links);
        for link in links.filter(|link| link.index == at.index) {
            link.counters = counters;
        }
    }
}

/// The same packets as the other end sees them.
fn mirror(counters: &Counters) -> Counters {
    Counters {
        rx_packets: counters.tx_packets,
        tx_packets: counters.rx_packets,
        rx_bytes: counters.tx_bytes,
        tx_bytes: counters.rx_bytes,
        ..Counters::default()
    }
}
