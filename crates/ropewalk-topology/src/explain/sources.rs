//! Which own address a packet is sent from, and whether a packet that comes in may be from where
//! it says. As Linux does it.

use alloc::{format, string::String};
use core::net::{IpAddr, Ipv6Addr};

use super::{
    packet::Packet,
    routes::{self, Ask, Found, has_prefix, kind},
};
use crate::model::{Address, Content, Link, Route};

/// `IFA_F_SECONDARY`, which is `IFA_F_TEMPORARY` of IPv6.
const SECONDARY: u32 = 1;
/// `IFA_F_DADFAILED`.
const REFUSED: u32 = 8;
/// `IFA_F_DEPRECATED`.
const DEPRECATED: u32 = 0x20;
/// `IFA_F_TENTATIVE`.
const TENTATIVE: u32 = 0x40;
/// `RT_SCOPE_LINK`.
const LINK_SCOPE: u8 = 253;
/// Positions of sysctls of a link in the model, from `linux/ip.h`.
pub(crate) mod setting {
    pub(in super::super) const FORWARDING: usize = 0;
    pub(crate) const PROXY_ARP: usize = 2;
    pub(crate) const RP_FILTER: usize = 7;
    pub(in super::super) const ARP_IGNORE: usize = 18;
    pub(in super::super) const ACCEPT_LOCAL: usize = 22;
    pub(crate) const SRC_VALID_MARK: usize = 23;
    pub(in super::super) const ROUTE_LOCALNET: usize = 25;
    /// Of IPv6, from `linux/ipv6.h`.
    pub(in super::super) const DISABLE_IPV6: usize = 26;
    pub(in super::super) const FORCE_FORWARDING: usize = 59;
}

/// A sysctl of a link and of all links together, the greater of the two.
pub(crate) fn of_link_or_all(content: &Content, link: &Link, position: usize, name: &str) -> u32 {
    let own = link.ipv4_settings.get(position).copied().unwrap_or_default();
    let all = content.setting(&format!("ipv4/conf/all/{name}"));
    own.max(all.and_then(|value| value.parse().ok()).unwrap_or_default())
}

/// Whether packets of IPv4 that come in by a link are passed on.
pub(super) fn forwards(link: &Link) -> bool {
    link.ipv4_settings.get(setting::FORWARDING).is_some_and(|value| *value != 0)
}

/// The own address for packets that leave through a link, to somebody.
pub(super) fn of_link(content: &Content, link: u32, to: IpAddr) -> Option<IpAddr> {
    if to.is_ipv6() { six(content, link, to) } else { four(content, link, to, 0) }
}

/// The address from which a link asks for neighbours of IPv4.
pub(super) fn near_link(content: &Content, link: u32, to: IpAddr) -> Option<IpAddr> {
    four(content, link, to, LINK_SCOPE)
}

/// The source for a destination by a route, and why this one.
pub(super) fn choose(
    content: &Content,
    route: &Route,
    to: IpAddr,
) -> Option<(IpAddr, &'static str)> {
    if let Some(ip) = route.preferred_source {
        return Some((ip, "the route says so"));
    }
    if route.kind == kind::LOCAL {
        return Some((to, "the destination is an own address"));
    }
    let hop = route.hops.first()?;
    let link = hop.link?;
    if to.is_ipv6() {
        return six(content, link, to).map(|ip| (ip, "it suits the destination best"));
    }
    // What matters is who the packet is handed to, which may be of the other family.
    let next = hop.gateway.filter(IpAddr::is_ipv4);
    let near = next.unwrap_or(IpAddr::from([0, 0, 0, 0]));
    let ip = four(content, link, near, route.scope)?;
    let is_own = content.addresses_of(link).any(|address| address.ip == ip);
    Some((ip, if is_own { "it is on the link" } else { "the link has no address of its own" }))
}

/// `inet_select_addr`.
fn four(content: &Content, link: u32, near: IpAddr, scope: u8) -> Option<IpAddr> {
    let is_fit = |address: &&Address| {
        address.ip.is_ipv4() && address.flags & SECONDARY == 0 && address.scope <= scope
    };
    let is_near = |address: &&Address| {
        let network = address.peer.unwrap_or(address.ip);
        near.is_unspecified() || has_prefix(near, network, address.length)
    };
    let own = || content.addresses_of(link).filter(is_fit);
    if let Some(found) = own().find(is_near).or_else(|| own().next()) {
        return Some(found.ip);
    }
    let mut others = content.links.iter().flat_map(|link| content.addresses_of(link.index));
    others.find(|address| is_fit(address) && address.scope != LINK_SCOPE).map(|one| one.ip)
}

/// `ipv6_dev_get_saddr`: the rules of RFC 6724, as far as they decide.
fn six(content: &Content, link: u32, to: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(to) = to else { return None };
    let fits = |address: &&Address| {
        address.flags & (TENTATIVE | REFUSED) == 0
            && (!routes::is_of_link(to.into()) || address.link == link)
            && matches!(address.ip, IpAddr::V6(ip) if !ip.is_loopback() || to.is_loopback())
    };
    let mut best: Option<(Rank, IpAddr)> = None;
    for address in content.addresses.iter().filter(fits) {
        let IpAddr::V6(ip) = address.ip else { continue };
        let rank = rank(ip, address, link, to);
        if best.is_none_or(|(other, _)| rank > other) {
            best = Some((rank, address.ip));
        }
    }
    best.map(|(_, ip)| ip)
}

/// Greater is better: same address, scope, not deprecated, own link, label, common prefix.
type Rank = (bool, i16, bool, bool, bool, u32);

fn rank(ip: Ipv6Addr, address: &Address, link: u32, to: Ipv6Addr) -> Rank {
    let (own, wanted) = (scope_of(ip), scope_of(to));
    // The smallest scope that is large enough; if none is, the largest.
    let scope = if own >= wanted { 100 - own } else { own - 100 };
    (
        ip == to,
        scope,
        address.flags & DEPRECATED == 0,
        address.link == link,
        label(ip) == label(to),
        (ip.to_bits() ^ to.to_bits()).leading_zeros().min(address.length.into()),
    )
}

fn scope_of(ip: Ipv6Addr) -> i16 {
    match ip {
        _ if ip.is_loopback() => 1,
        _ if routes::is_of_link(ip.into()) => 2,
        _ if ip.segments()[0] & 0xffc0 == 0xfec0 => 5,
        _ => 14,
    }
}

/// The policy table of RFC 6724.
fn label(ip: Ipv6Addr) -> u8 {
    let first = ip.segments();
    match first {
        _ if ip.is_loopback() => 0,
        [0, 0, 0, 0, 0, 0xffff, ..] => 4,
        [0, 0, 0, 0, 0, 0, ..] => 3,
        [0x2001, 0, ..] => 5,
        [0x2002, ..] => 2,
        [0x3ffe, ..] => 12,
        [site, ..] if site & 0xffc0 == 0xfec0 => 11,
        [own, ..] if own & 0xfe00 == 0xfc00 => 6,
        [0x2001, second, ..] if second & 0xfff0 == 0x10 => 7,
        _ => 1,
    }
}

/// Why a packet of IPv4 is not believed to come from where it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Disbelief {
    /// Its source is an own address.
    Own,
    /// The way back does not lead through the link, and `rp_filter` asks for that.
    OtherWay(u32),
    /// There is no way back at all, and `rp_filter` asks for one.
    NoWay(u32),
    /// A source or destination that must not be on a wire.
    Loopback,
    /// Nobody can tell.
    Unsure(String),
}

/// `fib_validate_source`, for a packet that comes in by a link, and goes out by another if it is not
/// for this namespace.
pub(super) fn disbelief(
    content: &Content,
    packet: &Packet,
    (link, out): (&Link, Option<u32>),
) -> Option<Disbelief> {
    let (IpAddr::V4(source), IpAddr::V4(destination)) = (packet.source, packet.destination) else {
        return None;
    };
    let value = |position, name| of_link_or_all(content, link, position, name);
    let is_on = |position, name| value(position, name) != 0;
    if (source.is_loopback() || destination.is_loopback())
        && !is_on(setting::ROUTE_LOCALNET, "route_localnet")
    {
        return Some(Disbelief::Loopback);
    }
    let wanted = value(setting::RP_FILTER, "rp_filter");
    let marked = is_on(setting::SRC_VALID_MARK, "src_valid_mark");
    // The way of an answer is looked for, which comes in where the packet goes out.
    let input = out.and_then(|index| content.link(index)).map_or(routes::LOOPBACK, |out| &out.name);
    let ask = Ask {
        mark: if marked { packet.mark } else { 0 },
        domain: routes::domain_of(content, link),
        ..Ask::of(&packet.answer(), input)
    };
    let found = match routes::look_up(content, &ask) {
        Ok(found) => found,
        Err(why) => return Some(Disbelief::Unsure(why)),
    };
    let Found::Route { route, .. } = found else {
        return (wanted != 0).then_some(Disbelief::NoWay(wanted));
    };
    let accepts_local = is_on(setting::ACCEPT_LOCAL, "accept_local");
    match route.kind {
        kind::UNICAST => {}
        kind::LOCAL if accepts_local => {}
        kind::UNREACHABLE | kind::BLACKHOLE | kind::PROHIBIT => {
            return (wanted != 0).then_some(Disbelief::NoWay(wanted));
        }
        _ => return Some(Disbelief::Own),
    }
    if route.hops.iter().any(|hop| hop.link == Some(link.index)) {
        return None;
    }
    let has_address = content.addresses_of(link.index).any(|address| address.ip.is_ipv4());
    match wanted {
        1 => Some(Disbelief::OtherWay(wanted)),
        0 => None,
        _ if has_address => None,
        _ => Some(Disbelief::NoWay(wanted)),
    }
}
