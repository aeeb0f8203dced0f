//! Who has an address on the network behind a link: as the neighbour table says, or as those who
//! would be asked would answer.

use alloc::{
    collections::BTreeSet,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::net::IpAddr;

use super::{
    routes::{self, kind},
    sources::{forwards, of_link_or_all, setting},
    trace::{End, Told},
    walk::Walker,
    wire::{MACVLAN_BRIDGE, has_neighbours, left},
};
use crate::{
    graph::{Graph, LinkAt},
    model::{Content, Details, HardwareAddress, Link},
    shell::command,
};

/// `NUD_…` of neighbours whose hardware address is used.
const USED: [(u16, &str); 6] = [
    (0x80, "permanent"),
    (0x40, "static"),
    (0x02, "reachable"),
    (0x04, "stale"),
    (0x08, "being checked"),
    (0x10, "being checked"),
];
/// `NTF_PROXY`.
const PROXY: u8 = 8;
/// `IFA_F_TENTATIVE`, `IFA_F_DADFAILED`.
const UNUSABLE: u32 = 0x40 | 8;

/// Those who get a frame that is for all.
#[derive(Debug, Default)]
pub(super) struct Domain {
    /// The links that hand it to IP.
    pub(super) ends: Vec<LinkAt>,
    /// Whether it also goes where nobody has read.
    pub(super) is_open: bool,
    seen: BTreeSet<(LinkAt, bool)>,
}

impl Walker<'_> {
    /// The hardware address of a neighbour, and how it is known.
    pub(super) fn neighbour(
        &mut self,
        at: LinkAt,
        next: IpAddr,
    ) -> Result<(HardwareAddress, String), End> {
        let (content, link) = (self.content(at.namespace)?, self.link(at)?);
        let known = content
            .neighbours
            .iter()
            .find(|one| one.link == at.index && one.ip == next && one.flags & PROXY == 0);
        let state = known.and_then(|one| USED.iter().find(|(bit, _)| one.state & bit != 0));
        if let (Some(one), Some((_, word))) = (known, state)
            && let Some(mac) = &one.mac
        {
            return Ok((mac.clone(), format!("in the neighbour table, {word}")));
        }
        let was_learned = |one: &&(LinkAt, IpAddr, HardwareAddress)| one.0 == at && one.1 == next;
        if let Some((.., mac)) = self.learned.iter().find(was_learned) {
            return Ok((mac.clone(), "learned from its question".into()));
        }
        let domain = self.domain(at);
        let answers: Vec<LinkAt> =
            domain.ends.iter().copied().filter(|end| answers(&self.graph, *end, next)).collect();
        let family = if next.is_ipv6() { "neighbour discovery" } else { "ARP" };
        match answers.as_slice() {
            &[end] => {
                self.discover(at, end, next)?;
                let mac = self.graph.link(end).and_then(|link| link.mac.clone());
                let mac = mac.ok_or_else(|| {
                    let reason = format!("who has {next} has no hardware address");
                    self.unknown(at.namespace, &link.name, reason)
                })?;
                Ok((mac, format!("as {family} would find out")))
            }
            [] if domain.is_open => {
                Err(left(at, &format!("{next} is somewhere behind {}", link.name)))
            }
            [] => {
                let reason = format!("nobody behind {} has {next}", link.name);
                let show = command(&["ip", "neighbour", "show", "dev", &link.name]);
                let commands = (Some(show), None);
                Err(self.stopped(at.namespace, &link.name, reason, Told::Error, commands))
            }
            several => {
                let reason = format!("{} links answer for {next}", several.len());
                Err(self.unknown(at.namespace, &link.name, reason))
            }
        }
    }

    /// Who gets a frame that leaves a link and is for all.
    pub(super) fn domain(&self, at: LinkAt) -> Domain {
        let mut domain = Domain::default();
        self.flood(at, &mut domain);
        domain
    }

    fn flood(&self, at: LinkAt, domain: &mut Domain) {
        let Some(link) = self.graph.link(at).filter(|link| link.is_up()) else { return };
        if !domain.seen.insert((at, true)) {
            return;
        }
        match (link.kind_name(), &link.details) {
            ("veth", _) => match self.graph.peer(at) {
                Some(peer) => self.reach(peer, domain),
                None => domain.is_open = true,
            },
            ("bridge", _) => {
                for &port in self.graph.ports(at) {
                    self.flood(port, domain);
                }
            }
            ("macvlan" | "macvtap" | "ipvlan" | "ipvtap", details) => {
                let is_together =
                    !matches!(details, Details::Macvlan { mode } if *mode != MACVLAN_BRIDGE);
                for sibling in self.siblings(at).filter(|_| is_together) {
                    self.reach(sibling, domain);
                }
                match self.graph.lower(at) {
                    Some(lower) => self.flood(lower, domain),
                    None => domain.is_open = true,
                }
            }
            ("vlan", _) => {
                let lower = self.graph.lower(at).and_then(|lower| self.graph.peer(lower));
                match lower {
                    Some(peer) => {
                        if let Some(end) = self.same_tag(at, peer) {
                            self.reach(end, domain);
                        }
                    }
                    None => domain.is_open = true,
                }
            }
            ("dummy" | "loopback", _) => {}
            _ => domain.is_open = true,
        }
    }

    fn reach(&self, at: LinkAt, domain: &mut Domain) {
        let Some(link) = self.graph.link(at).filter(|link| link.is_up()) else { return };
        if !domain.seen.insert((at, false)) {
            return;
        }
        let master = link.master.map(|index| LinkAt { index, ..at });
        let bridge = master.filter(|master| {
            self.graph.link(*master).is_some_and(|master| master.is("bridge") && master.is_up())
        });
        let Some(bridge) = bridge else {
            let stands_on = |upper: &LinkAt| {
                self.graph.link(*upper).is_some_and(|upper| {
                    matches!(upper.details, Details::Macvlan { .. } | Details::Ipvlan { .. })
                })
            };
            let uppers: Vec<LinkAt> =
                self.graph.uppers(at).iter().copied().filter(stands_on).collect();
            for upper in uppers {
                self.reach(upper, domain);
            }
            domain.ends.push(at);
            return;
        };
        domain.ends.push(bridge);
        for &port in self.graph.ports(bridge).iter().filter(|port| **port != at) {
            self.flood(port, domain);
        }
    }
}

/// Whether a link answers for an address.
pub(crate) fn answers(graph: &Graph<'_>, end: LinkAt, ip: IpAddr) -> bool {
    let content = graph.namespace(end).and_then(|one| one.content());
    let (Some(content), Some(link)) = (content, graph.link(end)) else { return false };
    if !link.is_up() || !has_neighbours(link) {
        return false;
    }
    let is_proxy = content
        .neighbours
        .iter()
        .any(|one| one.link == end.index && one.ip == ip && one.flags & PROXY != 0);
    if ip.is_ipv6() {
        let is_fit = |flags: u32| flags & UNUSABLE == 0;
        return is_proxy
            || content.addresses_of(end.index).any(|one| one.ip == ip && is_fit(one.flags));
    }
    let own_only = of_link_or_all(content, link, setting::ARP_IGNORE, "arp_ignore") != 0;
    let is_here = || content.addresses_of(end.index).any(|one| one.ip == ip);
    let is_own = routes::kind_of(content, ip, None) == Some(kind::LOCAL);
    is_own && (!own_only || is_here()) || is_proxy || answers_for_others(content, link, ip)
}

/// Whether a link answers for those whom its namespace reaches another way (`proxy_arp`).
fn answers_for_others(content: &Content, link: &Link, ip: IpAddr) -> bool {
    let is_on = of_link_or_all(content, link, setting::PROXY_ARP, "proxy_arp") != 0;
    if !is_on || !forwards(link) {
        return false;
    }
    let ask = routes::Ask {
        destination: ip,
        source: None,
        mark: 0,
        input: &link.name,
        output: None,
        protocol: 0,
        ports: (super::packet::Port::Number(0), super::packet::Port::Number(0)),
        domain: None,
    };
    let out = routes::look_up(content, &ask).ok().and_then(|found| routes::onward(&found));
    out.is_some_and(|index| index != link.index)
}

/// The hardware address in words.
pub(super) fn mac_words(mac: Option<&HardwareAddress>) -> String {
    mac.map_or_else(|| "no hardware address".to_string(), ToString::to_string)
}
