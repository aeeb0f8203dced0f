//! Routes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ropewalk_addr::{Family, IfName, Prefix, Subnet};
use ropewalk_netstate::resource::{Hop, Route, RouteScope};

use super::address::family_number;
use crate::{
    netlink::{Attribute, Attributes, Message, Reply, padded},
    uapi::{
        NLM_F_APPEND, NLM_F_CREATE, RT_SCOPE_NOWHERE, RTA_DST, RTA_GATEWAY, RTA_METRICS,
        RTA_MULTIPATH, RTA_OIF, RTA_PREFSRC, RTA_PRIORITY, RTA_TABLE, RTA_VIA, RTAX_ADVMSS,
        RTAX_MTU, RTM_DELROUTE, RTM_F_FIB_MATCH, RTM_F_LOOKUP_TABLE, RTM_GETROUTE, RTM_NEWROUTE,
        RTN_UNICAST, RTNH_F_ONLINK, RTPROT_BOOT,
    },
};

/// Length of `struct rtmsg`.
const HEADER: usize = 12;
/// What the kernel makes of an IPv6 route without a priority.
const DEFAULT_PRIORITY_V6: u32 = 1024;

/// A route as the kernel reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundRoute {
    pub(crate) destination: Subnet,
    pub(crate) gateway: Option<IpAddr>,
    pub(crate) link: Option<u32>,
    source: Option<IpAddr>,
    pub(crate) table: u32,
    pub(crate) priority: u32,
    scope: u8,
    kind: u8,
    mtu: Option<u32>,
    advmss: Option<u32>,
    protocol: u8,
    onlink: bool,
    /// All next hops if there are several.
    hops: Vec<FoundHop>,
}

/// One of several next hops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FoundHop {
    link: u32,
    hop: Hop,
    onlink: bool,
}

/// `struct rtmsg` for a destination: protocol, scope and type differ.
fn header(message: &mut Message, route: &Route, [protocol, scope, kind]: [u8; 3]) {
    let destination = route.destination;
    let family = family_number(destination.family());
    let start = [family, destination.length(), 0, 0, 0, protocol, scope, kind];
    let flags = if route.onlink { u32::from(RTNH_F_ONLINK) } else { 0 };
    message.raw(&[start[..].to_vec(), flags.to_ne_bytes().to_vec()].concat());
}

fn usual_scope(route: &Route) -> RouteScope {
    if route.destination.family() == Family::V4 && route.gateway.is_none() {
        RouteScope::LINK
    } else {
        RouteScope::UNIVERSE
    }
}

/// Adds a route behind others with the same destination: two interfaces of a container may both
/// have a default route, and the first is used while it is there. IPv6 routes of one priority
/// become one route with several next hops.
pub(crate) fn create(route: &Route, index: u32) -> Message {
    let mut message = Message::acknowledged(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND);
    let scope = route.scope.unwrap_or_else(|| usual_scope(route));
    let protocol = route.protocol.unwrap_or(RTPROT_BOOT);
    header(&mut message, route, [protocol, scope.0, RTN_UNICAST]);
    identity(&mut message, route, index);
    if let Some(source) = route.source {
        message.ip(RTA_PREFSRC, source);
    }
    if route.mtu.is_some() || route.advmss.is_some() {
        message.nest(RTA_METRICS, |metrics| {
            for (kind, value) in [(RTAX_MTU, route.mtu), (RTAX_ADVMSS, route.advmss)] {
                if let Some(value) = value {
                    metrics.u32(kind, value);
                }
            }
        });
    }
    message
}

/// Removes a route, whatever its scope, source and metrics are.
pub(crate) fn delete(route: &Route, index: u32) -> Message {
    let mut message = Message::acknowledged(RTM_DELROUTE, 0);
    header(&mut message, route, [0, RT_SCOPE_NOWHERE, 0]);
    identity(&mut message, route, index);
    message
}

/// What tells one route from another.
fn identity(message: &mut Message, route: &Route, index: u32) {
    if !route.destination.is_default() {
        message.ip(RTA_DST, route.destination.ip());
    }
    message.u32(RTA_TABLE, route.table);
    if route.hops.is_empty() {
        message.u32(RTA_OIF, index);
        gateway(message, route);
    } else {
        message.bytes(RTA_MULTIPATH, &hops(route, index));
    }
    if route.priority != 0 {
        message.u32(RTA_PRIORITY, route.priority);
    }
}

fn gateway(message: &mut Message, route: &Route) {
    match route.gateway {
        Some(gateway) if Family::of(gateway) == route.destination.family() => {
            message.ip(RTA_GATEWAY, gateway);
        }
        Some(gateway) => {
            let mut via = u16::from(family_number(Family::of(gateway))).to_ne_bytes().to_vec();
            match gateway {
                IpAddr::V4(ip) => via.extend(ip.octets()),
                IpAddr::V6(ip) => via.extend(ip.octets()),
            }
            message.bytes(RTA_VIA, &via);
        }
        None => {}
    }
}

/// An array of `struct rtnexthop`, each with its gateway. Only IPv4 has these.
fn hops(route: &Route, index: u32) -> Vec<u8> {
    let flags = if route.onlink { RTNH_F_ONLINK } else { 0 };
    let one = |hop: &Hop| {
        let gateway = match hop.gateway {
            Some(IpAddr::V4(ip)) => {
                [[8u16, RTA_GATEWAY].map(u16::to_ne_bytes).concat(), ip.octets().to_vec()].concat()
            }
            Some(IpAddr::V6(_)) | None => Vec::new(),
        };
        let length: u16 = if gateway.is_empty() { 8 } else { 16 };
        // The kernel counts the share from 0.
        let share = u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX);
        let [a, b] = length.to_ne_bytes();
        [vec![a, b, flags, share], index.to_ne_bytes().to_vec(), gateway].concat()
    };
    route.hops.iter().flat_map(one).collect()
}

/// Asks for the routes of a family in all tables.
pub(crate) fn list_all(family: Family) -> Message {
    let mut message = Message::dump(RTM_GETROUTE);
    message.raw(&[&[family_number(family)][..], &[0; 11]].concat());
    message
}

/// Asks for the routes of a family in one table, through one link if that is given.
pub(crate) fn list(family: Family, table: u32, link: Option<u32>) -> Message {
    let mut message = list_all(family);
    message.u32(RTA_TABLE, table);
    if let Some(index) = link {
        message.u32(RTA_OIF, index);
    }
    message
}

/// Asks which route a packet to this address takes.
pub(crate) fn look_up(destination: IpAddr) -> Message {
    route_to(destination, 0)
}

/// Asks which route of the tables a packet to this address takes, as it stands there.
pub(crate) fn match_table(destination: IpAddr) -> Message {
    // IPv6 names the table unasked.
    route_to(
        destination,
        match Family::of(destination) {
            Family::V4 => RTM_F_FIB_MATCH | RTM_F_LOOKUP_TABLE,
            Family::V6 => RTM_F_FIB_MATCH,
        },
    )
}

fn route_to(destination: IpAddr, flags: u32) -> Message {
    let mut message = Message::get(RTM_GETROUTE);
    let family = Family::of(destination);
    let header = [family_number(family), family.bits(), 0, 0, 0, 0, 0, 0];
    message.raw(&[&header[..], &flags.to_ne_bytes()].concat());
    message.ip(RTA_DST, destination);
    message
}

/// Reads a route from an answer, one for each of its next hops.
pub(crate) fn read(reply: &Reply<'_>) -> Option<Vec<FoundRoute>> {
    if reply.kind != RTM_NEWROUTE {
        return None;
    }
    let header = reply.payload.first_chunk::<HEADER>()?;
    let unspecified: IpAddr = match header[0] {
        2 => Ipv4Addr::UNSPECIFIED.into(),
        10 => Ipv6Addr::UNSPECIFIED.into(),
        _ => return None,
    };
    let attributes = Attributes::behind(reply.payload, HEADER);
    let number = |kind| attributes.first(kind).and_then(Attribute::u32);
    let ip = |kind| attributes.first(kind).and_then(Attribute::ip);
    let metrics = attributes.first(RTA_METRICS);
    let metric = |kind| metrics.and_then(|m| m.inner(kind)).and_then(Attribute::u32);
    let prefix = Prefix::new(ip(RTA_DST).unwrap_or(unspecified), header[1]).ok()?;
    let route = FoundRoute {
        destination: prefix.subnet(),
        gateway: read_gateway(&attributes),
        link: number(RTA_OIF),
        source: ip(RTA_PREFSRC),
        table: number(RTA_TABLE).unwrap_or(header[4].into()),
        priority: number(RTA_PRIORITY).unwrap_or(0),
        scope: header[6],
        kind: header[7],
        mtu: metric(RTAX_MTU),
        advmss: metric(RTAX_ADVMSS),
        protocol: header[5],
        onlink: header[8..]
            .first_chunk()
            .is_some_and(|flags| u32::from_ne_bytes(*flags) & u32::from(RTNH_F_ONLINK) != 0),
        hops: Vec::new(),
    };
    let Some(hops) = attributes.first(RTA_MULTIPATH) else { return Some(vec![route]) };
    let hops = read_hops(hops.payload);
    let through = |FoundHop { link, hop, onlink }| {
        let (link, gateway) = (Some(link), hop.gateway);
        FoundRoute { link, gateway, onlink, hops: hops.clone(), ..route.clone() }
    };
    Some(hops.iter().copied().map(through).collect())
}

/// A gateway of the route's own family, or of the other one.
fn read_gateway(attributes: &Attributes<'_>) -> Option<IpAddr> {
    let own = attributes.first(RTA_GATEWAY).and_then(Attribute::ip);
    let other = || {
        let via = attributes.first(RTA_VIA)?;
        Attribute { kind: via.kind, payload: via.payload.get(2..)? }.ip()
    };
    own.or_else(other)
}

/// Reads an array of `struct rtnexthop`, each with its attributes.
fn read_hops(mut bytes: &[u8]) -> Vec<FoundHop> {
    let mut hops = Vec::new();
    while let Some(&[a, b, flags, share, c, d, e, f]) = bytes.first_chunk::<8>() {
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let Some(hop) = bytes.get(..length).filter(|hop| hop.len() >= 8) else { break };
        let gateway = read_gateway(&Attributes::behind(hop, 8));
        hops.push(FoundHop {
            link: u32::from_ne_bytes([c, d, e, f]),
            hop: Hop { gateway, weight: u16::from(share) + 1 },
            onlink: flags & RTNH_F_ONLINK != 0,
        });
        bytes = bytes.get(padded(length)..).unwrap_or_default();
    }
    hops
}

impl FoundRoute {
    /// A route to somewhere, not an address of this host and not a refusal.
    pub(crate) fn is_unicast(&self) -> bool {
        self.kind == RTN_UNICAST
    }

    /// Whether it has the key of the wanted one; the link is compared by the caller's filter.
    pub(crate) fn is_the_same_route(&self, wanted: &Route) -> bool {
        self.is_unicast() && self.gateway == wanted.gateway && self.is_of_the_same_rank(wanted)
    }

    /// Whether the kernel would not know which of both to prefer.
    pub(crate) fn is_of_the_same_rank(&self, wanted: &Route) -> bool {
        let priority = |priority| match wanted.destination.family() {
            Family::V6 if priority == 0 => DEFAULT_PRIORITY_V6,
            Family::V4 | Family::V6 => priority,
        };
        self.destination == wanted.destination
            && self.table == wanted.table
            && priority(self.priority) == priority(wanted.priority)
    }

    /// The resource under the key of the wanted one. IPv6 routes have no scope: the kernel takes
    /// any and reports none; of several next hops it tells source and metrics of the first alone,
    /// although each has its own (seen with 6.18).
    pub(crate) fn resource(&self, wanted: &Route) -> Route {
        let scope = match wanted.destination.family() {
            Family::V4 => Some(RouteScope(self.scope)),
            Family::V6 => wanted.scope.or(Some(RouteScope::UNIVERSE)),
        };
        let Self { mtu, advmss, source, onlink, .. } = *self;
        let (source, mtu, advmss) = if self.is_told_about() {
            (source, mtu, advmss)
        } else {
            (wanted.source, wanted.mtu, wanted.advmss)
        };
        let (protocol, hops) = (Some(self.protocol), self.own_hops());
        Route { source, scope, mtu, advmss, protocol, onlink, hops, ..wanted.clone() }
    }

    /// The route as a resource, where its link has this name. `None` for all but the first hop of
    /// an IPv4 route through the link, because the resource has all of them.
    pub(crate) fn through(&self, link: &IfName) -> Option<Route> {
        let own = self.own_hops();
        if own.first().is_some_and(|first| first.gateway != self.gateway) {
            return None;
        }
        let is_default =
            self.destination.family() == Family::V6 && self.priority == DEFAULT_PRIORITY_V6;
        let plain = Route {
            table: self.table,
            priority: if is_default { 0 } else { self.priority },
            ..Route::new(self.destination, self.gateway, link.clone())
        };
        Some(self.resource(&plain))
    }

    /// Whether some of its next hops are through other links.
    pub(crate) fn is_shared(&self) -> bool {
        self.hops.iter().any(|hop| Some(hop.link) != self.link)
    }

    /// Whether source and metrics are this next hop's own.
    fn is_told_about(&self) -> bool {
        let is_first =
            |first: &FoundHop| Some(first.link) == self.link && first.hop.gateway == self.gateway;
        self.destination.family() == Family::V4 || self.hops.first().is_none_or(is_first)
    }

    /// The next hops through the link of this one, if there are several.
    fn own_hops(&self) -> Vec<Hop> {
        let own = self.hops.iter().filter(|hop| Some(hop.link) == self.link).map(|hop| hop.hop);
        let own: Vec<Hop> = own.collect();
        let is_one = own.len() < 2 || self.destination.family() == Family::V6;
        if is_one { Vec::new() } else { own }
    }
}
