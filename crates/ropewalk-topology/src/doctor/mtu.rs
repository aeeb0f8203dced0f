//! MTUs that do not go together.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::net::IpAddr;

use super::{
    checks::Fact,
    view::{MAIN, View, holds, listed},
};
use crate::{
    LinkAt,
    model::{Content, Destination, Details, Link},
};

pub(super) fn pairs(view: &View<'_>) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (at, link) in view.links() {
        let Some(peer) = view.graph.peer(at).filter(|peer| at < *peer) else { continue };
        let Some(other) = view.graph.link(peer).filter(|other| other.mtu != link.mtu) else {
            continue;
        };
        let (larger, smaller) = if link.mtu > other.mtu { (at, other) } else { (peer, link) };
        let name = view.graph.link(larger).map_or("", |link| link.name.as_str());
        let command = &["ip", "link", "set", name, "mtu", &smaller.mtu.to_string()];
        facts.push(Fact {
            link: Some(at),
            object: format!("{} and {}", view.called(at), view.called(peer)),
            evidence: format!("their MTUs are {} and {}", link.mtu, other.mtu),
            command: view.command_in(larger.namespace, command),
            ..Fact::default()
        });
    }
    facts
}

pub(super) fn bridges(view: &View<'_>) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (at, link) in view.links().filter(|(_, link)| link.is("bridge")) {
        let mut all: Vec<(u32, LinkAt)> = Vec::new();
        for &port in view.graph.ports(at) {
            let port_link = view.graph.link(port).filter(|one| one.is_up());
            all.extend(port_link.map(|one| (one.mtu, port)));
        }
        if view.addresses(at).any(|address| address.scope == 0) && !all.is_empty() {
            all.push((link.mtu, at));
        }
        let (Some(&smallest), Some(&largest)) = (all.iter().min(), all.iter().max()) else {
            continue;
        };
        if smallest.0 == largest.0 {
            continue;
        }
        let (name, larger) = (view.called(smallest.1), view.called(largest.1));
        let largest_name = view.graph.link(largest.1).map_or("", |link| link.name.as_str());
        let command = &["ip", "link", "set", largest_name, "mtu", &smallest.0.to_string()];
        facts.push(Fact {
            link: Some(at),
            object: view.called(at),
            evidence: format!("{larger} has {}, {name} has {}", largest.0, smallest.0),
            command: view.command_in(at.namespace, command),
            ..Fact::default()
        });
    }
    facts
}

/// What a tunnel adds to each packet, and the address of the other end.
fn overhead(link: &Link) -> Option<(u32, Option<IpAddr>)> {
    let (v4, v6) = match link.kind_name() {
        "vxlan" | "geneve" => (50, 70),
        "gretap" | "ip6gretap" => (38, 58),
        "gre" | "ip6gre" => (24, 44),
        "ipip" | "sit" | "ip6tnl" => (20, 40),
        "wireguard" => (60, 80),
        _ => return None,
    };
    let (local, remote) = match &link.details {
        Details::Vxlan { local, remote, .. } | Details::Tunnel { local, remote } => {
            (*local, *remote)
        }
        _ => (None, None),
    };
    let set = |ip: &IpAddr| !ip.is_unspecified();
    let (local, remote) = (local.filter(set), remote.filter(set));
    let is_v6 = remote.or(local).is_some_and(|ip| ip.is_ipv6());
    Some((if is_v6 { v6 } else { v4 }, remote))
}

/// The link that packets to an address leave through.
fn way_to(content: &Content, ip: IpAddr) -> Option<u32> {
    let full = if ip.is_ipv6() { 128 } else { 32 };
    let to = Destination { ip, length: full };
    let routes = content.routes.iter().filter(|one| one.kind == 1 && one.table == MAIN);
    let fitting = routes.filter(|route| holds(route.destination, to));
    let best = fitting.max_by_key(|one| (one.destination.length, core::cmp::Reverse(one.priority)));
    best?.hops.first()?.link
}

pub(super) fn tunnels(view: &View<'_>) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (at, link) in view.links().filter(|(_, link)| link.is_up()) {
        let (Some((more, remote)), Some(content)) = (overhead(link), view.content(at.namespace))
        else {
            continue;
        };
        let stands_on = view.graph.lower(at).and_then(|lower| view.graph.link(lower));
        let routed = || content.link(way_to(content, remote?)?);
        let Some(below) = stands_on.or_else(routed).filter(|one| !one.is_loopback()) else {
            continue;
        };
        if link.mtu + more <= below.mtu {
            continue;
        }
        let fitting = below.mtu.saturating_sub(more);
        let command = &["ip", "link", "set", &link.name, "mtu", &fitting.to_string()];
        facts.push(Fact {
            link: Some(at),
            object: view.called(at),
            evidence: format!(
                "its MTU is {}, {} adds {more}, and {} takes {}",
                link.mtu,
                link.kind_name(),
                below.name,
                below.mtu
            ),
            command: view.command_in(at.namespace, command),
            ..Fact::default()
        });
    }
    facts
}

pub(super) fn uplinks(view: &View<'_>) -> Vec<Fact> {
    let mut larger: Vec<(LinkAt, u32, Vec<String>)> = Vec::new();
    for way in &view.ways_out {
        let Some(through) = way.through else { continue };
        let Some(content) = view.content(through.namespace) else { continue };
        let unspecified = if way.gateway.is_ipv6() {
            IpAddr::V6(core::net::Ipv6Addr::UNSPECIFIED)
        } else {
            IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED)
        };
        let uplink = way_to(content, unspecified).filter(|index| *index != through.index);
        let uplink = uplink.map(|index| LinkAt { namespace: through.namespace, index });
        let (Some(at), Some(from)) = (uplink, view.graph.link(way.from)) else { continue };
        let mtu = view.graph.link(at).map_or(u32::MAX, |link| link.mtu);
        if from.mtu <= mtu || mtu == 0 {
            continue;
        }
        let name = view.called(way.from);
        match larger.iter_mut().find(|(known, of, _)| (*known, *of) == (at, from.mtu)) {
            Some((_, _, names)) if names.contains(&name) => {}
            Some((_, _, names)) => names.push(name),
            None => larger.push((at, from.mtu, Vec::from([name]))),
        }
    }
    let fact = |(at, mtu, names): (LinkAt, u32, Vec<String>)| {
        let uplink = view.graph.link(at).map_or(0, |link| link.mtu);
        Fact {
            link: Some(at),
            object: view.called(at),
            evidence: format!("its MTU is {uplink}, that of {} is {mtu}", listed(&names)),
            command: format!("set \"mtu\": {uplink} in the network's configuration"),
            ..Fact::default()
        }
    };
    larger.into_iter().map(fact).collect()
}
