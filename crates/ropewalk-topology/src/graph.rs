//! Who hangs on whom, across namespaces.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use crate::model::{Host, Link, Namespace};

/// A link of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkAt {
    /// The position of its namespace in the host.
    pub namespace: usize,
    /// Its index there.
    pub index: u32,
}

/// How two links belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relation {
    /// They are the ends of a pair.
    Peer,
    /// The first is a part of the second: a bridge, a bond, a routing domain.
    Port,
    /// The first stands on the second: a VLAN, a macvlan, a tunnel.
    Upper,
}

/// Links and what holds them together.
#[derive(Debug)]
pub struct Graph<'a> {
    host: &'a Host,
    peers: BTreeMap<LinkAt, LinkAt>,
    ports: BTreeMap<LinkAt, Vec<LinkAt>>,
    uppers: BTreeMap<LinkAt, Vec<LinkAt>>,
}

impl<'a> Graph<'a> {
    /// Finds out what holds the links of a host together.
    pub fn of(host: &'a Host) -> Self {
        let mut graph =
            Self { host, peers: BTreeMap::new(), ports: BTreeMap::new(), uppers: BTreeMap::new() };
        for (at, link) in graph.links() {
            if let Some(index) = link.master {
                graph.ports.entry(LinkAt { index, ..at }).or_default().push(at);
            }
            let Some(target) = graph.below(at, link) else { continue };
            if !link.is("veth") {
                graph.uppers.entry(target).or_default().push(at);
            } else if graph.names(target, at) {
                graph.peers.insert(at, target);
            }
        }
        graph
    }

    /// The host.
    pub fn host(&self) -> &'a Host {
        self.host
    }

    /// All links, namespace by namespace.
    pub fn links(&self) -> impl Iterator<Item = (LinkAt, &'a Link)> + use<'a> {
        self.host.namespaces.iter().enumerate().flat_map(|(position, namespace)| {
            let links = namespace.content().into_iter().flat_map(|content| &content.links);
            links.map(move |link| (LinkAt { namespace: position, index: link.index }, link))
        })
    }

    /// A link's namespace.
    pub fn namespace(&self, at: LinkAt) -> Option<&'a Namespace> {
        self.host.namespaces.get(at.namespace)
    }

    /// A link.
    pub fn link(&self, at: LinkAt) -> Option<&'a Link> {
        self.namespace(at)?.link(at.index)
    }

    /// The other end of a pair.
    pub fn peer(&self, at: LinkAt) -> Option<LinkAt> {
        self.peers.get(&at).copied()
    }

    /// The parts of a bridge and the like.
    pub fn ports(&self, at: LinkAt) -> &[LinkAt] {
        self.ports.get(&at).map(Vec::as_slice).unwrap_or_default()
    }

    /// The links that stand on another, in whatever namespace.
    pub fn uppers(&self, at: LinkAt) -> &[LinkAt] {
        self.uppers.get(&at).map(Vec::as_slice).unwrap_or_default()
    }

    /// The link that another stands on, or the other end, if it was found.
    pub fn lower(&self, at: LinkAt) -> Option<LinkAt> {
        self.below(at, self.link(at)?)
    }

    /// Everything that holds two links together; a pair is told once.
    pub fn relations(&self) -> Vec<(LinkAt, Relation, LinkAt)> {
        let mut all = BTreeSet::new();
        for (&one, &other) in &self.peers {
            all.insert((one.min(other), Relation::Peer, one.max(other)));
        }
        for (relation, lists) in [(Relation::Port, &self.ports), (Relation::Upper, &self.uppers)] {
            for (&to, parts) in lists {
                all.extend(parts.iter().map(|&part| (part, relation, to)));
            }
        }
        all.into_iter().collect()
    }

    fn below(&self, at: LinkAt, link: &Link) -> Option<LinkAt> {
        let lower = link.lower.filter(|lower| lower.index != 0)?;
        let namespace = match lower.namespace {
            None => at.namespace,
            Some(number) => {
                let number = u32::try_from(number).ok()?;
                *self.namespace(at)?.numbers.get(&number)?
            }
        };
        let target = LinkAt { namespace, index: lower.index };
        self.link(target).map(|_| target)
    }

    fn names(&self, at: LinkAt, other: LinkAt) -> bool {
        self.link(at).is_some_and(|link| link.is("veth") && self.below(at, link) == Some(other))
    }
}
