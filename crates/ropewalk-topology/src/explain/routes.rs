//! Which route a packet takes: routing rules in their order, in each table the longest prefix, and
//! of those the lowest metric. As Linux does it, for IPv4 and IPv6.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::packet::{Packet, Port};
use crate::model::{Content, Destination, Details, Link, Route, RoutingRule};

/// `RTN_…`.
pub(super) mod kind {
    pub(in super::super) const UNICAST: u8 = 1;
    pub(in super::super) const LOCAL: u8 = 2;
    pub(in super::super) const BROADCAST: u8 = 3;
    pub(in super::super) const ANYCAST: u8 = 4;
    pub(in super::super) const MULTICAST: u8 = 5;
    pub(in super::super) const BLACKHOLE: u8 = 6;
    pub(in super::super) const UNREACHABLE: u8 = 7;
    pub(in super::super) const PROHIBIT: u8 = 8;
    pub(in super::super) const THROW: u8 = 9;
}

/// The table with own addresses.
const LOCAL_TABLE: u32 = 255;
/// `RTNH_F_DEAD`.
const DEAD: u8 = 1;
/// What a socket's packets seem to come in by.
pub(super) const LOOPBACK: &str = "lo";

/// What is asked.
#[derive(Clone, Debug)]
pub(super) struct Ask<'a> {
    pub(super) destination: IpAddr,
    /// None while it is still to be chosen.
    pub(super) source: Option<IpAddr>,
    pub(super) mark: u32,
    /// The link it came in by; the loopback for what is sent here.
    pub(super) input: &'a str,
    /// The link it must go out by.
    pub(super) output: Option<u32>,
    pub(super) protocol: u8,
    pub(super) ports: (Port, Port),
    /// The table of the routing domain that it came in by.
    pub(super) domain: Option<u32>,
}

impl<'a> Ask<'a> {
    pub(super) fn of(packet: &Packet, input: &'a str) -> Self {
        Self {
            destination: packet.destination,
            source: Some(packet.source),
            mark: packet.mark,
            input,
            output: None,
            protocol: packet.protocol,
            ports: (packet.source_port, packet.destination_port),
            domain: None,
        }
    }
}

/// What was found.
#[derive(Clone, Debug)]
pub(super) enum Found<'a> {
    Route {
        rule: &'a RoutingRule,
        route: &'a Route,
        /// Others with the same destination, and with shorter prefixes, that lost.
        losers: Vec<&'a Route>,
    },
    /// A rule refuses it.
    Refused(&'a RoutingRule),
    Nothing,
}

/// Whether an address has this prefix.
pub(super) fn has_prefix(ip: IpAddr, prefix: IpAddr, length: u8) -> bool {
    let shifted = |value: u128, all: u32| {
        value.checked_shr(all.saturating_sub(length.into())).filter(|_| length > 0).unwrap_or(0)
    };
    match (ip, prefix) {
        (IpAddr::V4(ip), IpAddr::V4(prefix)) => {
            shifted(ip.to_bits().into(), 32) == shifted(prefix.to_bits().into(), 32)
        }
        (IpAddr::V6(ip), IpAddr::V6(prefix)) => {
            shifted(ip.to_bits(), 128) == shifted(prefix.to_bits(), 128)
        }
        _ => false,
    }
}

fn matches(destination: &Destination, ip: IpAddr) -> bool {
    has_prefix(ip, destination.ip, destination.length)
}

/// Whether an address is one of a link alone.
pub(super) fn is_of_link(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.segments()[0] & 0xffc0 == 0xfe80)
}

/// Whether a route is there to be used, in its table.
fn is_usable(route: &Route, ask: &Ask<'_>) -> bool {
    let is_alive = route.hops.is_empty() || route.hops.iter().any(|hop| hop.flags & DEAD == 0);
    let goes_there = ask.output.is_none()
        || route.hops.iter().any(|hop| hop.link == ask.output)
        || route.hops.is_empty();
    let source = ask.source.unwrap_or(unspecified(ask.destination.is_ipv6()));
    let is_from = route.source.as_ref().is_none_or(|prefix| matches(prefix, source));
    route.tos == 0 && is_alive && goes_there && is_from
}

fn unspecified(is_v6: bool) -> IpAddr {
    if is_v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
}

/// The best route of a table, and those that lost.
fn in_table<'a>(
    content: &'a Content,
    table: u32,
    ask: &Ask<'_>,
) -> Option<(&'a Route, Vec<&'a Route>)> {
    let is_candidate = |route: &&Route| {
        route.table == table
            && route.destination.is_v6() == ask.destination.is_ipv6()
            && matches(&route.destination, ask.destination)
            && is_usable(route, ask)
    };
    let mut candidates: Vec<&Route> = content.routes.iter().filter(is_candidate).collect();
    let rank = |route: &&Route| (core::cmp::Reverse(route.destination.length), route.priority);
    candidates.sort_by_key(rank);
    let mut candidates = candidates.into_iter();
    let best = candidates.next()?;
    Some((best, candidates.collect()))
}

/// Which route it takes; an error if that cannot be told.
pub(super) fn look_up<'a>(content: &'a Content, ask: &Ask<'_>) -> Result<Found<'a>, String> {
    let is_v6 = ask.destination.is_ipv6();
    let mut rules: Vec<&RoutingRule> =
        content.rules.iter().filter(|rule| rule.is_v6 == is_v6).collect();
    rules.sort_by_key(|rule| rule.priority);
    let mut jump = 0;
    for rule in rules {
        if rule.priority < jump || !applies(content, rule, ask)? {
            continue;
        }
        let table = match rule.action {
            1 if rule.by_domain => ask.domain,
            1 => Some(rule.table),
            2 => {
                jump = rule.goto.unwrap_or(0);
                continue;
            }
            6..=8 => return Ok(Found::Refused(rule)),
            _ => continue,
        };
        let Some(found) = table.and_then(|table| in_table(content, table, ask)) else { continue };
        let (route, losers) = found;
        let length = u32::from(route.destination.length);
        if rule.suppressed_length.is_some_and(|most| length <= most) || route.kind == kind::THROW {
            continue;
        }
        return Ok(Found::Route { rule, route, losers });
    }
    Ok(Found::Nothing)
}

/// The link that a packet is passed on by; nothing if it is for this namespace, or goes nowhere.
pub(super) fn onward(found: &Found<'_>) -> Option<u32> {
    match found {
        Found::Route { route, .. } if route.kind == kind::UNICAST => route.hops.first()?.link,
        _ => None,
    }
}

/// Whether a routing rule is for this packet; an error if that cannot be told.
fn applies(content: &Content, rule: &RoutingRule, ask: &Ask<'_>) -> Result<bool, String> {
    let source = ask.source.unwrap_or(unspecified(ask.destination.is_ipv6()));
    let name = |index: u32| content.link(index).map(|link| link.name.as_str());
    let mut does = rule.source.as_ref().is_none_or(|prefix| matches(prefix, source))
        && rule.destination.as_ref().is_none_or(|prefix| matches(prefix, ask.destination))
        && rule.mark.is_none_or(|(mark, mask)| ask.mark & mask == mark)
        && rule.input.as_deref().is_none_or(|input| input == ask.input)
        && rule.output.as_deref().is_none_or(|output| ask.output.and_then(name) == Some(output))
        && rule.ip_protocol.is_none_or(|protocol| protocol == ask.protocol)
        && rule.tos == 0
        && (!rule.by_domain || ask.domain.is_some());
    let ports = [(rule.source_ports, ask.ports.0), (rule.destination_ports, ask.ports.1)];
    for (range, port) in ports {
        let Some((first, last)) = range.filter(|_| does) else { continue };
        match port {
            Port::Number(port) => does &= (first..=last).contains(&port),
            Port::Chosen if last < 32768 || first > 60999 => does = false,
            Port::Chosen => {
                let rule = rule_words(rule);
                return Err(format!("the routing rule \"{rule}\" asks for the source port"));
            }
        }
    }
    if let Some((first, _)) = rule.users.filter(|_| does) {
        if ask.input == LOOPBACK {
            let rule = rule_words(rule);
            return Err(format!("the routing rule \"{rule}\" asks for the user"));
        }
        // What is passed on is nobody's, which counts as root's.
        does = first == 0;
    }
    Ok(does != rule.is_inverted)
}

/// The table of the routing domain that a link is in.
pub(super) fn domain_of(content: &Content, link: &Link) -> Option<u32> {
    let master = content.link(link.master?)?;
    match master.details {
        Details::Vrf { table } => Some(table),
        _ => None,
    }
}

/// What an address is (`RTN_…`), seen from a link or from the whole namespace; nothing if that
/// cannot be told.
pub(super) fn kind_of(content: &Content, ip: IpAddr, link: Option<u32>) -> Option<u8> {
    if ip.is_multicast() {
        return Some(kind::MULTICAST);
    }
    let ask = Ask {
        destination: ip,
        source: None,
        mark: 0,
        input: LOOPBACK,
        output: None,
        protocol: 0,
        ports: (Port::Number(0), Port::Number(0)),
        domain: None,
    };
    if let IpAddr::V4(v4) = ip {
        if v4.is_broadcast() || v4.octets()[0] == 0 {
            return Some(kind::BROADCAST);
        }
        let found = in_table(content, LOCAL_TABLE, &ask).map(|(route, _)| route);
        let is_here = |route: &&Route| {
            link.is_none_or(|link| route.hops.iter().any(|hop| hop.link == Some(link)))
        };
        return Some(found.filter(is_here).map_or(kind::UNICAST, |route| route.kind));
    }
    if let Some(link) = link {
        let is_own = content.addresses_of(link).any(|address| address.ip == ip);
        if is_own {
            return Some(kind::LOCAL);
        }
    }
    match look_up(content, &ask).ok()? {
        Found::Route { route, .. } => Some(match route.kind {
            kind::LOCAL if link.is_none() => kind::LOCAL,
            kind::ANYCAST => kind::ANYCAST,
            kind::UNREACHABLE | kind::PROHIBIT | kind::BLACKHOLE => kind::UNREACHABLE,
            _ => kind::UNICAST,
        }),
        Found::Refused(_) | Found::Nothing => Some(kind::UNREACHABLE),
    }
}

/// The link through which an address is reached, as rules that look for the way back ask; an error
/// if that cannot be told.
pub(super) fn way_back(
    content: &Content,
    (address, packet): (IpAddr, &Packet),
    mark: u32,
    link: Option<&Link>,
) -> Result<Option<u32>, String> {
    let other = if address == packet.source { packet.destination } else { packet.source };
    // Addresses of one link are everywhere; which link is meant must be said.
    let output = link.filter(|_| is_of_link(address)).map(|link| link.index);
    let ask = Ask {
        destination: address,
        source: Some(other),
        mark,
        output,
        // They look for addresses, and of IPv6 for the protocol.
        protocol: if address.is_ipv6() { packet.protocol } else { 0 },
        ports: (Port::Number(0), Port::Number(0)),
        ..Ask::of(packet, LOOPBACK)
    };
    let Found::Route { route, .. } = look_up(content, &ask)? else { return Ok(None) };
    if route.kind != kind::UNICAST {
        return Ok(None);
    }
    let mut links = route.hops.iter().filter_map(|hop| hop.link);
    Ok(match link {
        Some(link) => links.find(|index| *index == link.index),
        None => links.next(),
    })
}

/// A rule as `ip rule` writes it.
pub(super) fn rule_words(rule: &RoutingRule) -> String {
    let mut words = Vec::from([format!("{}:", rule.priority)]);
    if rule.is_inverted {
        words.push("not".into());
    }
    let source = rule.source.as_ref().filter(|source| !source.is_default());
    words.push(format!("from {}", source.map_or("all".into(), ToString::to_string)));
    if let Some(destination) = rule.destination.as_ref().filter(|to| !to.is_default()) {
        words.push(format!("to {destination}"));
    }
    if let Some((mark, mask)) = rule.mark {
        let mask = if mask == u32::MAX { String::new() } else { format!("/{mask:#x}") };
        words.push(format!("fwmark {mark:#x}{mask}"));
    }
    if let Some(input) = &rule.input {
        words.push(format!("iif {input}"));
    }
    if let Some(output) = &rule.output {
        words.push(format!("oif {output}"));
    }
    if let Some(protocol) = rule.ip_protocol {
        words.push(format!("ipproto {protocol}"));
    }
    for (name, range) in [("sport", rule.source_ports), ("dport", rule.destination_ports)] {
        match range {
            Some((first, last)) if first == last => words.push(format!("{name} {first}")),
            Some((first, last)) => words.push(format!("{name} {first}-{last}")),
            None => {}
        }
    }
    words.push(match rule.action {
        1 if rule.by_domain => "lookup of the link's VRF".into(),
        1 => format!("lookup {}", table_words(rule.table)),
        2 => format!("goto {}", rule.goto.unwrap_or_default()),
        6 => "blackhole".into(),
        7 => "unreachable".into(),
        8 => "prohibit".into(),
        other => format!("action {other}"),
    });
    words.join(" ")
}

/// A table's name or number.
pub(super) fn table_words(table: u32) -> String {
    match table {
        253 => "default".into(),
        254 => "main".into(),
        255 => "local".into(),
        other => other.to_string(),
    }
}

/// A route as `ip route` writes it.
pub(super) fn route_words(content: &Content, route: &Route) -> String {
    let kind = match route.kind {
        kind::LOCAL => "local ",
        kind::BROADCAST => "broadcast ",
        kind::ANYCAST => "anycast ",
        kind::BLACKHOLE => "blackhole ",
        kind::UNREACHABLE => "unreachable ",
        kind::PROHIBIT => "prohibit ",
        _ => "",
    };
    let mut words = format!("{kind}{}", route.destination);
    for (number, hop) in route.hops.iter().enumerate() {
        if number > 0 {
            words.push_str(" or");
        }
        if let Some(gateway) = hop.gateway {
            words.extend([" via ", &gateway.to_string()]);
        }
        if let Some(link) = hop.link.and_then(|index| content.link(index)) {
            words.extend([" dev ", &link.name]);
        }
    }
    if route.priority != 0 {
        words.extend([" metric ", &route.priority.to_string()]);
    }
    if !matches!(route.table, 254 | 255) {
        words.extend([" table ", &route.table.to_string()]);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_compared_bit_by_bit() {
        let is = |ip: &str, prefix: &str, length| {
            has_prefix(ip.parse().unwrap(), prefix.parse().unwrap(), length)
        };
        assert!(is("10.1.2.3", "10.1.0.0", 16) && !is("10.2.2.3", "10.1.0.0", 16));
        assert!(is("1.2.3.4", "0.0.0.0", 0) && is("fd00::1", "::", 0));
        assert!(is("10.1.2.3", "10.1.2.3", 32) && !is("10.1.2.2", "10.1.2.3", 32));
        assert!(is("fd00:1::7", "fd00:1::", 64) && !is("fd00:2::7", "fd00:1::", 64));
        assert!(!is("10.0.0.1", "::", 0));
    }
}
