//! Short words for what is in the model.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt::{Arguments, Write as _};

use crate::model::{Content, Details, Hop, Link, Namespace, NextHop, NextHopKind, Route};

/// Appends to a text.
pub(super) fn put(text: &mut String, what: Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(what);
}

/// What a link is, with what tells it from others of its kind.
pub fn kind(link: &Link) -> String {
    match &link.details {
        Details::Vlan { id, .. } => format!("vlan {id}"),
        Details::Vxlan { id, remote, .. } => match remote {
            Some(remote) => format!("vxlan {id} to {remote}"),
            None => format!("vxlan {id}"),
        },
        Details::Macvlan { mode } => format!("{} {}", link.kind_name(), macvlan_mode(*mode)),
        Details::Ipvlan { mode } => {
            let mode = ["l2", "l3", "l3s"].get(usize::from(*mode)).unwrap_or(&"?");
            format!("{} {mode}", link.kind_name())
        }
        Details::Vrf { table } => format!("vrf table {table}"),
        Details::Tun { is_tap: true, .. } => "tap".into(),
        Details::Tunnel { remote: Some(remote), .. } => {
            format!("{} to {remote}", link.kind_name())
        }
        Details::Bridge { vlan_filtering: true, .. } => "bridge, VLANs apart".into(),
        Details::Plain | Details::Bridge { .. } | Details::Tun { .. } | Details::Tunnel { .. } => {
            link.kind_name().into()
        }
    }
}

fn macvlan_mode(mode: u32) -> &'static str {
    match mode {
        1 => "private",
        2 => "vepa",
        4 => "bridge",
        8 => "passthru",
        16 => "source",
        _ => "?",
    }
}

/// Whether packets pass, in a word.
pub fn state(link: &Link) -> &'static str {
    match (link.is_up(), link.state.0) {
        (false, _) => "down",
        // Loopback and tunnels do not know.
        (true, 0 | 6) => "up",
        (true, 5) => "dormant",
        (true, _) => "no carrier",
    }
}

/// The addresses of a link that tell something: all but those that IPv6 gives every link.
pub fn addresses(content: &Content, link: &Link) -> Vec<String> {
    let is_told = |ip: &core::net::IpAddr| match ip {
        core::net::IpAddr::V4(_) => true,
        core::net::IpAddr::V6(ip) => !ip.is_unicast_link_local(),
    };
    let own = content.addresses_of(link.index).filter(|address| is_told(&address.ip));
    own.map(ToString::to_string).collect()
}

/// A route: where to, and which ways.
pub fn route(content: &Content, route: &Route) -> String {
    let hops: Vec<String> = route.hops.iter().map(|one| hop(content, one)).collect();
    format!("{}{}", route.destination, hops.join(" or"))
}

fn hop(content: &Content, hop: &Hop) -> String {
    let via = hop.gateway.map(|gateway| format!(" via {gateway}")).unwrap_or_default();
    let link = hop.link.and_then(|index| content.link(index));
    let through = link.map(|link| format!(" dev {}", link.name)).unwrap_or_default();
    format!("{via}{through}")
}

/// A next hop that routes refer to.
pub(crate) fn next_hop(content: &Content, next_hop: &NextHop) -> String {
    let way = match &next_hop.kind {
        NextHopKind::Hop(one) => hop(content, one),
        NextHopKind::Group(members) => {
            let members = members.iter().map(|(id, more)| format!("{id} × {}", more + 1));
            format!(" of {}", members.collect::<Vec<_>>().join(", "))
        }
        NextHopKind::Blackhole => " nowhere".into(),
    };
    format!("next hop {}{way}", next_hop.id)
}

/// What passed, if anything did.
pub(super) fn traffic(link: &Link) -> Option<String> {
    let counters = &link.counters;
    if counters.rx_bytes == 0 && counters.tx_bytes == 0 {
        return None;
    }
    let lost = counters.rx_dropped + counters.tx_dropped;
    let wrong = counters.rx_errors + counters.tx_errors;
    let note = |number: u64, what: &str| match number {
        0 => String::new(),
        number => format!(" {number} {what}"),
    };
    let (dropped, errors) = (note(lost, "dropped"), note(wrong, "errors"));
    let (rx, tx) = (amount(counters.rx_bytes), amount(counters.tx_bytes));
    Some(format!("rx {rx} tx {tx}{dropped}{errors}"))
}

/// An amount of bytes with at most four digits.
pub fn amount(bytes: u64) -> String {
    let mut units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"].iter();
    let mut unit = units.next().unwrap_or(&"B");
    let (mut whole, mut rest) = (bytes, 0);
    while whole >= 1000 {
        let Some(next) = units.next() else { break };
        (unit, rest, whole) = (next, whole % 1000 / 100, whole / 1000);
    }
    if whole < 10 && *unit != "B" {
        format!("{whole}.{rest} {unit}")
    } else {
        format!("{whole} {unit}")
    }
}

/// A namespace: its name, and who is behind it.
pub fn namespace(namespace: &Namespace) -> String {
    let name = namespace.name();
    let mut notes = Vec::new();
    if let Some(container) = &namespace.container {
        let id: String = container.id.chars().take(12).collect();
        let runtime = container.runtime.name();
        notes.push(if id == name { runtime.into() } else { format!("{runtime} {id}") });
    } else if let Some(unit) = &namespace.unit {
        notes.push(unit.clone());
    }
    for attachment in &namespace.attachments {
        let network = format!("network {}", attachment.network);
        if !notes.contains(&network) {
            notes.push(network);
        }
    }
    if let Some(owner) = namespace.owner.as_ref().filter(|_| !namespace.is_own) {
        let owner = owner.to_string();
        if owner != name {
            notes.push(owner);
        }
    }
    if notes.is_empty() { name } else { format!("{name} ({})", notes.join(", ")) }
}

/// How many there are of something, or nothing if there are none.
pub(crate) fn count(number: usize, one: &str, many: &str) -> Option<String> {
    match number {
        0 => None,
        1 => Some(format!("1 {one}")),
        number => Some(format!("{number} {many}")),
    }
}
