//! Addresses, routes, routing rules, neighbours, of all families at once.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ropewalk_topology::model::{
    Address, Destination, HardwareAddress, Hop, Neighbour, Route, RoutingRule,
};

use super::{
    links::{half, text, word},
    uapi::{
        FIB_RULE_INVERT, FRA_DPORT_RANGE, FRA_DST, FRA_FWMARK, FRA_FWMASK, FRA_GOTO, FRA_IIFNAME,
        FRA_IP_PROTO, FRA_L3MDEV, FRA_OIFNAME, FRA_SPORT_RANGE, FRA_UID_RANGE, IFA_CACHEINFO,
        IFA_LABEL, NTF_PROXY, RTA_ENCAP, RTA_ENCAP_TYPE, RTA_NH_ID, RTA_SRC,
    },
};
use crate::{
    netlink::{Attribute, Attributes, Message, Reply, padded},
    uapi::{
        AF_INET, AF_INET6, FRA_PRIORITY, FRA_PROTOCOL, FRA_SRC, FRA_SUPPRESS_PREFIXLEN, FRA_TABLE,
        IFA_ADDRESS, IFA_FLAGS, IFA_LOCAL, NDA_DST, NDA_LLADDR, RTA_DST, RTA_GATEWAY, RTA_METRICS,
        RTA_MULTIPATH, RTA_OIF, RTA_PREFSRC, RTA_PRIORITY, RTA_TABLE, RTA_VIA, RTM_GETADDR,
        RTM_GETNEIGH, RTM_GETROUTE, RTM_GETRULE, RTM_NEWADDR, RTM_NEWNEIGH, RTM_NEWROUTE,
        RTM_NEWRULE,
    },
};

/// Lengths of `struct ifaddrmsg`, `struct rtmsg`, `struct fib_rule_hdr`, `struct ndmsg`.
const ADDRESS_HEADER: usize = 8;
const ROUTE_HEADER: usize = 12;
const RULE_HEADER: usize = 12;
pub(super) const NEIGHBOUR_HEADER: usize = 12;
/// Length of `struct rtnexthop`.
const HOP_HEADER: usize = 8;

fn all(kind: u16, header: usize) -> Message {
    let mut message = Message::dump(kind);
    message.raw(&vec![0; header]);
    message
}

/// Whether a family is IPv6; `None` if it is neither.
fn is_v6(family: u8) -> Option<bool> {
    match u16::from(family) {
        AF_INET => Some(false),
        AF_INET6 => Some(true),
        _ => None,
    }
}

fn unspecified(is_v6: bool) -> IpAddr {
    if is_v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
}

pub(super) fn addresses() -> Message {
    all(RTM_GETADDR, ADDRESS_HEADER)
}

pub(super) fn read_address(reply: &Reply<'_>) -> Option<Address> {
    if reply.kind != RTM_NEWADDR {
        return None;
    }
    let &[_, length, flags, scope, ..] = reply.payload.first_chunk::<ADDRESS_HEADER>()?;
    let attributes = Attributes::behind(reply.payload, ADDRESS_HEADER);
    let ip = |kind| attributes.first(kind).and_then(Attribute::ip);
    let (local, remote) = (ip(IFA_LOCAL), ip(IFA_ADDRESS));
    let own = local.or(remote)?;
    let valid = attributes.first(IFA_CACHEINFO).and_then(|times| word(times.payload, 4));
    Some(Address {
        link: word(reply.payload, 4)?,
        ip: own,
        length,
        peer: remote.filter(|remote| *remote != own),
        scope,
        flags: attributes.first(IFA_FLAGS).and_then(Attribute::u32).unwrap_or(flags.into()),
        label: attributes.first(IFA_LABEL).map(text),
        valid_seconds: valid.filter(|seconds| *seconds != u32::MAX),
    })
}

pub(super) fn routes() -> Message {
    all(RTM_GETROUTE, ROUTE_HEADER)
}

pub(super) fn read_route(reply: &Reply<'_>) -> Option<Route> {
    if reply.kind != RTM_NEWROUTE {
        return None;
    }
    let &[family, to, from, tos, table, protocol, scope, kind, ..] =
        reply.payload.first_chunk::<ROUTE_HEADER>()?;
    let is_v6 = is_v6(family)?;
    let attributes = Attributes::behind(reply.payload, ROUTE_HEADER);
    let number = |kind| attributes.first(kind).and_then(Attribute::u32);
    let ip = |kind| attributes.first(kind).and_then(Attribute::ip);
    let flags = word(reply.payload, 8)?;
    let mut hops = attributes.first(RTA_MULTIPATH).map(read_hops).unwrap_or_default();
    let only = read_hop(&attributes, number(RTA_OIF));
    if hops.is_empty() && (only.link.is_some() || only.gateway.is_some()) {
        // The kernel keeps those of the only hop with the route's.
        hops.push(Hop { flags: u8::try_from(flags & 0xff).unwrap_or_default(), ..only });
    }
    let metric = |one: Attribute<'_>| Some((one.kind, one.u32()?));
    let metrics =
        attributes.first(RTA_METRICS).map(|one| one.nested().filter_map(metric).collect());
    Some(Route {
        destination: Destination { ip: ip(RTA_DST).unwrap_or(unspecified(is_v6)), length: to },
        source: ip(RTA_SRC).map(|ip| Destination { ip, length: from }),
        table: number(RTA_TABLE).unwrap_or(table.into()),
        priority: number(RTA_PRIORITY).unwrap_or_default(),
        kind,
        protocol,
        scope,
        flags,
        tos,
        hops,
        preferred_source: ip(RTA_PREFSRC),
        next_hop: number(RTA_NH_ID),
        metrics: metrics.unwrap_or_default(),
    })
}

fn read_hop(attributes: &Attributes<'_>, link: Option<u32>) -> Hop {
    // A gateway of the other family has its family in front.
    let via = || {
        let payload = attributes.first(RTA_VIA)?.payload.get(2..)?;
        Attribute { kind: RTA_VIA, payload }.ip()
    };
    let encapsulation = || {
        let kind = attributes.first(RTA_ENCAP_TYPE)?.u16()?;
        let bytes = attributes.first(RTA_ENCAP).map(|one| one.payload.to_vec());
        Some((kind, bytes.unwrap_or_default()))
    };
    Hop {
        link,
        gateway: attributes.first(RTA_GATEWAY).and_then(Attribute::ip).or_else(via),
        weight: 0,
        flags: 0,
        encapsulation: encapsulation(),
    }
}

fn read_hops(attribute: Attribute<'_>) -> Vec<Hop> {
    let mut hops = Vec::new();
    let mut rest = attribute.payload;
    while let Some(header) = rest.first_chunk::<HOP_HEADER>() {
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let Some(one) = rest.get(..length).filter(|one| one.len() >= HOP_HEADER) else { break };
        let hop = read_hop(&Attributes::behind(one, HOP_HEADER), word(one, 4));
        hops.push(Hop { flags: header[2], weight: header[3], ..hop });
        rest = rest.get(padded(length)..).unwrap_or_default();
    }
    hops
}

pub(super) fn rules() -> Message {
    all(RTM_GETRULE, RULE_HEADER)
}

pub(super) fn read_rule(reply: &Reply<'_>) -> Option<RoutingRule> {
    if reply.kind != RTM_NEWRULE {
        return None;
    }
    let &[family, to, from, tos, table, _, _, action, ..] =
        reply.payload.first_chunk::<RULE_HEADER>()?;
    let is_v6 = is_v6(family)?;
    let attributes = Attributes::behind(reply.payload, RULE_HEADER);
    let number = |kind| attributes.first(kind).and_then(Attribute::u32);
    let byte = |kind| attributes.first(kind).and_then(Attribute::u8);
    let prefix = |kind, length| {
        let ip = attributes.first(kind).and_then(Attribute::ip)?;
        Some(Destination { ip, length })
    };
    let ports = |kind| {
        let range = attributes.first(kind)?.payload;
        Some((half(range, 0)?, half(range, 2)?))
    };
    let users = |range: Attribute<'_>| Some((word(range.payload, 0)?, word(range.payload, 4)?));
    let mask = number(FRA_FWMASK);
    let value = number(FRA_FWMARK).or(mask.map(|_| 0));
    Some(RoutingRule {
        is_v6,
        priority: number(FRA_PRIORITY).unwrap_or_default(),
        action,
        table: number(FRA_TABLE).unwrap_or(table.into()),
        is_inverted: word(reply.payload, 8)? & FIB_RULE_INVERT != 0,
        source: prefix(FRA_SRC, from),
        destination: prefix(FRA_DST, to),
        mark: value.map(|value| (value, mask.unwrap_or(u32::MAX))),
        input: attributes.first(FRA_IIFNAME).map(text),
        output: attributes.first(FRA_OIFNAME).map(text),
        tos,
        ip_protocol: byte(FRA_IP_PROTO),
        source_ports: ports(FRA_SPORT_RANGE),
        destination_ports: ports(FRA_DPORT_RANGE),
        users: attributes.first(FRA_UID_RANGE).and_then(users),
        suppressed_length: number(FRA_SUPPRESS_PREFIXLEN).filter(|length| *length != u32::MAX),
        by_domain: byte(FRA_L3MDEV).is_some_and(|on| on != 0),
        goto: number(FRA_GOTO),
        protocol: byte(FRA_PROTOCOL).unwrap_or_default(),
    })
}

/// `struct ndmsg` of a question.
pub(super) fn neighbour_header(family: u8, flags: u8) -> [u8; NEIGHBOUR_HEADER] {
    let mut header = [0; NEIGHBOUR_HEADER];
    (header[0], header[10]) = (family, flags);
    header
}

pub(super) fn neighbours() -> Message {
    all(RTM_GETNEIGH, NEIGHBOUR_HEADER)
}

/// Asks for the addresses that the host answers for.
pub(super) fn answered() -> Message {
    let mut message = Message::dump(RTM_GETNEIGH);
    message.raw(&neighbour_header(0, NTF_PROXY));
    message
}

pub(super) fn read_neighbour(reply: &Reply<'_>) -> Option<Neighbour> {
    let payload = reply.payload;
    if reply.kind != RTM_NEWNEIGH {
        return None;
    }
    is_v6(*payload.first()?)?;
    let attributes = Attributes::behind(payload, NEIGHBOUR_HEADER);
    let mac = attributes.first(NDA_LLADDR);
    Some(Neighbour {
        link: word(payload, 4)?,
        state: half(payload, 8)?,
        flags: *payload.get(10)?,
        ip: attributes.first(NDA_DST)?.ip()?,
        mac: mac.map(|mac| HardwareAddress(mac.payload.to_vec())),
    })
}
