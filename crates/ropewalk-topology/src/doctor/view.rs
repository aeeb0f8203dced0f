//! A host as checks look at it: with its graph, its broadcast domains, and who is alive.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec::Vec,
};
use core::net::IpAddr;

use super::{Papers, domains::Domains, owners};
use crate::{
    Graph, LinkAt,
    model::{Address, Content, Destination, Host, Link, Namespace, Route},
    shell,
};

/// The main routing table.
pub(super) const MAIN: u32 = 254;

/// What checks look at.
pub(super) struct View<'a> {
    pub(super) host: &'a Host,
    pub(super) graph: Graph<'a>,
    pub(super) papers: &'a Papers,
    domains: Domains,
    /// Which links of a broadcast domain have an address.
    holders: BTreeMap<(LinkAt, IpAddr), Vec<LinkAt>>,
    /// The ways out of containers.
    pub(super) ways_out: Vec<WayOut>,
    /// Attachments that somebody keeps.
    pub(super) alive: BTreeSet<String>,
}

impl<'a> View<'a> {
    pub(super) fn of(host: &'a Host, papers: &'a Papers) -> Self {
        let graph = Graph::of(host);
        let domains = Domains::of(&graph);
        let alive = owners::alive(&graph, papers);
        let (holders, ways_out) = (BTreeMap::new(), Vec::new());
        let mut view = Self { host, graph, papers, domains, holders, ways_out, alive };
        view.holders = view.find_holders();
        view.ways_out = view.find_ways_out();
        view
    }

    fn find_holders(&self) -> BTreeMap<(LinkAt, IpAddr), Vec<LinkAt>> {
        let mut holders: BTreeMap<_, Vec<LinkAt>> = BTreeMap::new();
        for (namespace, _, content) in self.contents() {
            for address in &content.addresses {
                let at = LinkAt { namespace, index: address.link };
                holders.entry((self.domain(at), address.ip)).or_default().push(at);
            }
        }
        holders
    }

    /// Addresses with the links of one broadcast domain that have them.
    pub(super) fn holders(&self) -> impl Iterator<Item = (IpAddr, &[LinkAt])> {
        self.holders.iter().map(|((_, ip), holders)| (*ip, holders.as_slice()))
    }

    /// Namespaces that could be read.
    pub(super) fn contents(&self) -> impl Iterator<Item = (usize, &'a Namespace, &'a Content)> {
        let all = self.host.namespaces.iter().enumerate();
        all.filter_map(|(at, namespace)| Some((at, namespace, namespace.content()?)))
    }

    pub(super) fn links(&self) -> impl Iterator<Item = (LinkAt, &'a Link)> + use<'a> {
        self.graph.links()
    }

    /// The link that stands for a broadcast domain.
    pub(super) fn domain(&self, at: LinkAt) -> LinkAt {
        self.domains.of_link(at)
    }

    /// The links of a broadcast domain.
    pub(super) fn members(&self, domain: LinkAt) -> impl Iterator<Item = (LinkAt, &'a Link)> {
        let members = self.domains.members(domain).iter();
        members.filter_map(|&at| Some((at, self.graph.link(at)?)))
    }

    /// Whether others may be in a broadcast domain who cannot be seen from here.
    pub(super) fn leads_outside(&self, domain: LinkAt) -> bool {
        self.domains.leads_outside(domain)
    }

    /// What a namespace is called.
    pub(super) fn name(&self, namespace: usize) -> String {
        self.host.namespaces.get(namespace).map(Namespace::name).unwrap_or_default()
    }

    /// A link in words.
    pub(super) fn called(&self, at: LinkAt) -> String {
        let name = self.graph.link(at).map_or("", |link| link.name.as_str());
        match self.graph.namespace(at) {
            Some(namespace) if !namespace.is_own => format!("{name} in {}", namespace.name()),
            _ => name.into(),
        }
    }

    /// A command as it is to be typed to have effect in a namespace.
    pub(super) fn command_in(&self, namespace: usize, words: &[&str]) -> String {
        shell::inside(self.host, namespace, &shell::command(words))
    }

    pub(super) fn inode(&self, namespace: usize) -> Option<u64> {
        self.host.namespaces.get(namespace).map(|one| one.identity.inode)
    }

    pub(super) fn content(&self, namespace: usize) -> Option<&'a Content> {
        self.host.namespaces.get(namespace)?.content()
    }

    /// The ways out of containers: the containers' link, the gateway, and the link that has the
    /// gateway's address in the same broadcast domain, if one has.
    fn find_ways_out(&self) -> Vec<WayOut> {
        let mut ways = Vec::new();
        for (namespace, found, content) in self.contents() {
            if found.is_own {
                continue;
            }
            let first = ways.len();
            let usable = |route: &&Route| route.kind == 1 && route.table == MAIN;
            let hops = content.routes.iter().filter(usable).flat_map(|route| &route.hops);
            for (index, gateway) in hops.filter_map(|hop| Some((hop.link?, hop.gateway?))) {
                let from = LinkAt { namespace, index };
                let way = WayOut { from, gateway, through: self.holder(from, gateway) };
                // Several routes may lead to the same gateway.
                if !ways[first..].contains(&way) {
                    ways.push(way);
                }
            }
        }
        ways
    }

    /// The link in another namespace of the same broadcast domain that has an address.
    fn holder(&self, from: LinkAt, ip: IpAddr) -> Option<LinkAt> {
        let holders = self.holders.get(&(self.domain(from), ip))?;
        holders.iter().find(|at| at.namespace != from.namespace).copied()
    }

    /// The addresses of a link.
    pub(super) fn addresses(&self, at: LinkAt) -> impl Iterator<Item = &'a Address> {
        let content = self.content(at.namespace);
        content.into_iter().flat_map(move |content| content.addresses_of(at.index))
    }
}

/// How a container reaches the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WayOut {
    /// The container's link.
    pub(super) from: LinkAt,
    /// Whom it sends to.
    pub(super) gateway: IpAddr,
    /// The link that has the gateway's address.
    pub(super) through: Option<LinkAt>,
}

/// Some names, joined, and how many more there are.
pub(super) fn listed(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<String>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Whether two ranges of addresses meet.
pub(super) fn overlap(one: Destination, other: Destination) -> bool {
    one.is_v6() == other.is_v6() && {
        let shorter = one.length.min(other.length);
        network(one.ip, shorter) == network(other.ip, shorter)
    }
}

/// Whether the first range holds the second.
pub(super) fn holds(one: Destination, other: Destination) -> bool {
    one.length <= other.length && overlap(one, other)
}

/// The first bits of an address.
pub(super) fn network(ip: IpAddr, length: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(length.into())).unwrap_or(0);
            IpAddr::V4((ip.to_bits() & mask).into())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(length.into())).unwrap_or(0);
            IpAddr::V6((ip.to_bits() & mask).into())
        }
    }
}
