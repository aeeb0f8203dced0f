//! Addresses that are there twice, subnets that overlap, gateways that nobody is.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::net::IpAddr;

use super::{
    Subnet,
    books::Kind,
    checks::Fact,
    view::{MAIN, View, holds, listed, network, overlap},
};
use crate::{
    LinkAt,
    explain::{self, setting},
    model::{Address, Content, Destination, Route},
};

/// `IFA_F_DADFAILED`: another one answered for it.
const REFUSED: u32 = 8;

pub(super) fn duplicates(view: &View<'_>) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (ip, all) in view.holders() {
        // The kernel makes sure that addresses of a link alone are unique there.
        let is_global = |at: &&LinkAt| {
            all.len() > 1 && view.addresses(**at).any(|one| one.ip == ip && one.scope == 0)
        };
        let holders: Vec<LinkAt> = all.iter().filter(is_global).copied().collect();
        let other = holders.iter().find(|at| at.namespace != holders[0].namespace);
        let Some(&other) = other else { continue };
        let names: Vec<String> = holders.iter().map(|at| view.called(*at)).collect();
        let length = view.addresses(other).find(|one| one.ip == ip).map_or(0, |one| one.length);
        let name = view.graph.link(other).map_or("", |link| link.name.as_str());
        let command = ["ip", "address", "delete", &format!("{ip}/{length}"), "dev", name];
        facts.push(Fact {
            link: Some(other),
            object: ip.to_string(),
            evidence: format!("{ip} is on {}, in one broadcast domain", listed(&names)),
            command: view.command_in(other.namespace, &command),
            ..Fact::default()
        });
    }
    for (namespace, _, content) in view.contents() {
        for address in content.addresses.iter().filter(|one| one.flags & REFUSED != 0) {
            let at = LinkAt { namespace, index: address.link };
            let name = view.graph.link(at).map_or("", |link| link.name.as_str());
            let command = ["ip", "address", "delete", &address.to_string(), "dev", name];
            facts.push(Fact {
                link: Some(at),
                object: address.ip.to_string(),
                evidence: format!("the kernel found another holder of {address} on {name}"),
                command: view.command_in(namespace, &command),
                ..Fact::default()
            });
        }
    }
    facts.extend(by_books(view, &facts));
    facts
}

/// What only books tell to be one address: it is leased to one, and two have it.
fn by_books(view: &View<'_>, known: &[Fact]) -> Vec<Fact> {
    let found = super::leaks::found(view);
    let books = view.papers.books.iter();
    let all = books.flat_map(|books| super::books::judge(&found, books));
    let new = all.filter(|one| {
        one.kind == Kind::Duplicate && known.iter().all(|fact| fact.object != one.ip.to_string())
    });
    let fact = |one: super::books::Disagreement<'_>| Fact {
        object: one.ip.to_string(),
        evidence: format!("{} {}, and leased to one of them at most", one.ip, one.text),
        command: format!("ropewalk ipam who {}", one.ip),
        ..Fact::default()
    };
    new.map(fact).collect()
}

/// The subnets that a link of each namespace is in, without those of single hosts.
fn connected(content: &Content) -> Vec<(u32, Destination)> {
    let is_subnet = |one: &&Address| {
        let full = if one.ip.is_ipv6() { 128 } else { 32 };
        one.scope == 0 && one.peer.is_none() && one.length < full && one.length > 0
    };
    let addresses = content.addresses.iter().filter(is_subnet);
    let mut subnets: Vec<(u32, Destination)> = addresses
        .map(|one| {
            let ip = network(one.ip, one.length);
            (one.link, Destination { ip, length: one.length })
        })
        .collect();
    subnets.sort_unstable();
    subnets.dedup();
    subnets
}

pub(super) fn overlaps(view: &View<'_>) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (namespace, _, content) in view.contents() {
        let subnets = connected(content);
        let at = |index: u32| LinkAt { namespace, index };
        for (number, &(link, subnet)) in subnets.iter().enumerate() {
            let name = view.called(at(link));
            for &(other, second) in &subnets[number + 1..] {
                // Two links of one wire are in one subnet with good reason, and those that lead
                // outside may be of one wire there.
                let domains = [view.domain(at(link)), view.domain(at(other))];
                let is_apart = domains[0] != domains[1]
                    && !domains.iter().all(|domain| view.leads_outside(*domain));
                if link != other && is_apart && overlap(subnet, second) {
                    let other = view.called(at(other));
                    facts.push(Fact {
                        link: Some(at(link)),
                        object: format!("{name} and {other}"),
                        evidence: format!("{name} is in {subnet}, {other} in {second}"),
                        command: view.command_in(namespace, &["ip", "address", "show"]),
                        ..Fact::default()
                    });
                }
            }
            let is_bridge = view.graph.link(at(link)).is_some_and(|link| link.is("bridge"));
            for route in content.routes.iter().filter(|one| is_bridge && takes(one, link, subnet)) {
                let to = route.destination;
                facts.push(Fact {
                    link: Some(at(link)),
                    object: format!("{name} and the route to {to}"),
                    evidence: format!("{name} is in {subnet}, and {to} of it is routed elsewhere"),
                    command: view
                        .command_in(namespace, &["ip", "route", "delete", &to.to_string()]),
                    ..Fact::default()
                });
            }
        }
    }
    facts.extend(networks(&view.papers.subnets));
    facts
}

/// Whether a route takes a part of a link's subnet to another link. Routes to single hosts are
/// made on purpose, and some say that nobody is there.
fn takes(route: &Route, link: u32, subnet: Destination) -> bool {
    let full = if route.destination.is_v6() { 128 } else { 32 };
    // The kernel's own routes come with addresses, which were compared before.
    let is_made = route.kind == 1 && route.table == MAIN && route.protocol != 2;
    let is_elsewhere = route.hops.iter().all(|hop| hop.link.is_some_and(|one| one != link));
    is_made
        && is_elsewhere
        && !route.hops.is_empty()
        && route.destination.length < full
        && holds(subnet, route.destination)
}

/// Networks that give the same addresses.
fn networks(subnets: &[Subnet]) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (number, one) in subnets.iter().enumerate() {
        for other in &subnets[number + 1..] {
            let meet = one.ends.0.is_ipv4() == other.ends.0.is_ipv4()
                && one.ends.0 <= other.ends.1
                && other.ends.0 <= one.ends.1;
            if meet && one.space != other.space && one.network != other.network {
                facts.push(Fact {
                    object: format!("networks {} and {}", one.network, other.network),
                    evidence: format!(
                        "{} gives addresses of {}, {} of {}",
                        one.network, one.subnet, other.network, other.subnet
                    ),
                    command: "ropewalk show networks".into(),
                    ..Fact::default()
                });
            }
        }
    }
    facts
}

pub(super) fn gateways(view: &View<'_>) -> Vec<Fact> {
    let mut facts = Vec::new();
    for way in view.ways_out.iter().filter(|way| way.through.is_none()) {
        let (from, gateway) = (way.from, way.gateway);
        // Addresses of a link alone are the routers' own, which may come and go.
        let is_of_link = matches!(gateway, IpAddr::V6(ip) if ip.is_unicast_link_local());
        let is_hidden = view.papers.is_partial || view.leads_outside(view.domain(from));
        let is_up = view.graph.link(from).is_some_and(crate::model::Link::is_up);
        if is_of_link || is_hidden || !is_up || is_answered(view, from, gateway) {
            continue;
        }
        let bridge = view.members(view.domain(from)).find(|(_, link)| link.is("bridge"));
        let length = view.addresses(from).next().map_or(24, |address| address.length);
        let command = if let Some((at, link)) = bridge {
            let subnet = format!("{gateway}/{length}");
            let command = ["ip", "address", "add", &subnet, "dev", &link.name];
            view.command_in(at.namespace, &command)
        } else {
            let command = ["ip", "route", "show", "via", &gateway.to_string()];
            view.command_in(from.namespace, &command)
        };
        facts.push(Fact {
            link: Some(from),
            object: view.called(from),
            evidence: format!("its routes go via {gateway}, which nobody has on that wire"),
            command,
            ..Fact::default()
        });
    }
    facts
}

/// Whether a gateway that has its address on no link of that wire is found all the same.
fn is_answered(view: &View<'_>, from: LinkAt, gateway: IpAddr) -> bool {
    // `NUD_…`: entries that somebody made, or that were confirmed a moment ago. One that is stale
    // may be of a gateway that has gone since.
    const CERTAIN: u16 = 0x80 | 0x40 | 0x02;
    let neighbours = view.content(from.namespace).into_iter().flat_map(|one| &one.neighbours);
    let mut known = neighbours.filter(|one| (one.link, one.ip) == (from.index, gateway));
    let mut others =
        view.members(view.domain(from)).filter(|(at, _)| at.namespace != from.namespace);
    known.any(|one| one.state & CERTAIN != 0)
        || others.any(|(at, link)| {
            // What answers for others has no need of the address (proxy ARP).
            let is_proxy = |content| {
                explain::of_link_or_all(content, link, setting::PROXY_ARP, "proxy_arp") != 0
            };
            view.content(at.namespace).is_some_and(is_proxy)
                || explain::answers(&view.graph, at, gateway)
        })
}
