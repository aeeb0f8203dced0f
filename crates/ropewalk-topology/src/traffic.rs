//! What passed the interfaces of containers, as the containers see it: what they receive is what
//! the host sends them.
//!
//! It must never count a packet twice: a row is an interface.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString},
    vec::Vec,
};

use crate::{
    Graph, LinkAt,
    model::{Counters, Host, Link, Namespace, Switch},
    uplinks,
};

/// What passed in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// Packets that were dropped on the way, at whatever end of a pair.
    pub dropped: u64,
    /// Packets that were damaged.
    pub errors: u64,
}

impl Passed {
    fn plus(self, other: Self) -> Self {
        Self {
            packets: self.packets.saturating_add(other.packets),
            bytes: self.bytes.saturating_add(other.bytes),
            dropped: self.dropped.saturating_add(other.dropped),
            errors: self.errors.saturating_add(other.errors),
        }
    }

    /// What has passed since then; all of it if the counters have begun anew.
    #[must_use]
    pub fn since(self, then: Self) -> Self {
        if self.packets < then.packets || self.bytes < then.bytes {
            return self;
        }
        Self {
            packets: self.packets - then.packets,
            bytes: self.bytes - then.bytes,
            dropped: self.dropped.saturating_sub(then.dropped),
            errors: self.errors.saturating_sub(then.errors),
        }
    }
}

/// Whose an interface is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// The network: its name, or the bridge's where there is no record.
    pub network: String,
    /// The container: its id, or what its namespace is called.
    pub container: String,
    /// The interface in it.
    pub interface: String,
    /// The pod's namespace in Kubernetes.
    pub namespace: String,
    /// The pod.
    pub pod: String,
    /// Who started it: the container's name, the systemd unit, or the process.
    pub owner: String,
}

/// An interface of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Whose it is.
    pub subject: Subject,
    /// What came to the container.
    pub received: Passed,
    /// What the container sent.
    pub sent: Passed,
    /// Tracked connections of its addresses, if they were read.
    pub connections: Option<u64>,
    /// The host's links that carry it to the world.
    pub uplinks: Vec<String>,
}

/// A link of the host to the world, as the host sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uplink {
    /// Its name.
    pub name: String,
    /// What came in.
    pub received: Passed,
    /// What went out.
    pub sent: Passed,
    /// The containers that it carries.
    pub containers: Vec<String>,
    /// What is at the other end, if somebody listened.
    pub switch: Option<Switch>,
}

/// The connections that a namespace tracks, and how many it may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// The namespace's name.
    pub namespace: String,
    /// How many there are.
    pub count: u64,
    /// How many there may be.
    pub most: u64,
}

/// What passed a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Interfaces of containers.
    pub rows: Vec<Row>,
    /// Links to the world that carry them.
    pub uplinks: Vec<Uplink>,
    /// Tables of connections.
    pub tracked: Vec<Tracked>,
}

/// What passed the links of containers, the links that carry them, and the tracked connections.
pub fn traffic(host: &Host) -> Traffic {
    let graph = Graph::of(host);
    let (mut rows, mut carried) = (Vec::new(), BTreeMap::<LinkAt, BTreeSet<String>>::new());
    let mut known = BTreeSet::new();
    let connections = connections(host);
    for (at, link) in graph.links() {
        let Some(namespace) = graph.namespace(at).filter(|one| is_attached(&graph, one, at, link))
        else {
            continue;
        };
        let mut subject = subject(&graph, namespace, at, link);
        // Two namespaces may be called the same.
        if !known.insert(subject.clone()) {
            subject.container = format!("{} {}", subject.container, namespace.identity);
            known.insert(subject.clone());
        }
        let ways = uplinks(&graph, at);
        for way in &ways {
            carried.entry(*way).or_default().insert(subject.container.clone());
        }
        let (received, sent) = both(&graph, at, link);
        let of_addresses = connections.as_ref().map(|all| {
            let content = namespace.content().into_iter();
            let addresses = content.flat_map(|content| content.addresses_of(at.index));
            addresses.filter_map(|address| all.get(&address.ip)).sum()
        });
        let names = ways.iter().filter_map(|way| graph.link(*way));
        rows.push(Row {
            subject,
            received,
            sent,
            connections: of_addresses,
            uplinks: names.map(|link| link.name.clone()).collect(),
        });
    }
    rows.sort_by(|one, other| one.subject.cmp(&other.subject));
    let uplinks = carried.into_iter().filter_map(|(at, containers)| {
        let link = graph.link(at)?;
        let (received, sent) = (incoming(&link.counters), outgoing(&link.counters));
        let containers = containers.into_iter().collect();
        let (name, switch) = (link.name.clone(), link.switch.clone());
        Some(Uplink { name, received, sent, containers, switch })
    });
    Traffic { uplinks: uplinks.collect(), tracked: tracked(host), rows }
}

/// Whether a link leads out of a namespace that is not the own one.
fn is_attached(graph: &Graph<'_>, namespace: &Namespace, at: LinkAt, link: &Link) -> bool {
    let is_on_record = namespace.attachments.iter().any(|one| one.interface == link.name);
    let leads_out = |target: LinkAt| target.namespace != at.namespace;
    let leads_out = graph.peer(at).is_some_and(leads_out) || graph.lower(at).is_some_and(leads_out);
    !namespace.is_own && !link.is_loopback() && (is_on_record || leads_out)
}

fn subject(graph: &Graph<'_>, namespace: &Namespace, at: LinkAt, link: &Link) -> Subject {
    let record = namespace.attachments.iter().find(|one| one.interface == link.name);
    let any = record.or(namespace.attachments.first());
    let container = namespace.container.as_ref();
    let owner = container
        .and_then(|one| one.name.clone())
        .or_else(|| namespace.unit.clone())
        .or_else(|| namespace.owner.as_ref().map(|owner| owner.command.clone()));
    let (id, named) = (any.map(|one| one.container.clone()), || namespace.name());
    let id = id.or_else(|| container.map(|one| one.id.clone())).unwrap_or_else(named);
    Subject {
        network: record
            .map(|one| one.network.clone())
            .or_else(|| wire(graph, at))
            .unwrap_or_default(),
        container: id,
        interface: link.name.clone(),
        namespace: any.and_then(|one| one.pod_namespace.clone()).unwrap_or_default(),
        pod: any.and_then(|one| one.pod.clone()).unwrap_or_default(),
        owner: owner.unwrap_or_default(),
    }
}

/// The bridge that the other end is on, or the link below.
fn wire(graph: &Graph<'_>, at: LinkAt) -> Option<String> {
    let Some(peer) = graph.peer(at) else {
        return graph.link(graph.lower(at)?).map(|link| link.name.clone());
    };
    let index = graph.link(peer)?.master?;
    graph.link(LinkAt { index, ..peer }).map(|link| link.name.clone())
}

fn incoming(counters: &Counters) -> Passed {
    Passed {
        packets: counters.rx_packets,
        bytes: counters.rx_bytes,
        dropped: counters.rx_dropped,
        errors: counters.rx_errors,
    }
}

fn outgoing(counters: &Counters) -> Passed {
    Passed {
        packets: counters.tx_packets,
        bytes: counters.tx_bytes,
        dropped: counters.tx_dropped,
        errors: counters.tx_errors,
    }
}

/// What was received and sent. Some drops are counted at one end of a pair, others at both, so that
/// the larger number is the better one.
fn both(graph: &Graph<'_>, at: LinkAt, link: &Link) -> (Passed, Passed) {
    let far = graph.peer(at).and_then(|peer| graph.link(peer)).map(|link| link.counters);
    let far = far.unwrap_or_default();
    let with_lost = |near: Passed, far: Passed| Passed {
        dropped: near.dropped.max(far.dropped),
        errors: near.errors.max(far.errors),
        ..near
    };
    (
        with_lost(incoming(&link.counters), outgoing(&far)),
        with_lost(outgoing(&link.counters), incoming(&far)),
    )
}

/// How many tracked connections the own namespace has of each address.
fn connections(host: &Host) -> Option<BTreeMap<core::net::IpAddr, u64>> {
    let own = host.namespaces.iter().find(|one| one.is_own)?;
    let all = own.content()?.connections.as_ref()?;
    let mut counts = BTreeMap::new();
    for connection in all {
        // Where addresses are translated, both directions tell different ones.
        let ends = [&connection.original, &connection.reply].map(|one| one.source);
        let ends: BTreeSet<core::net::IpAddr> = ends.into_iter().collect();
        for end in ends {
            *counts.entry(end).or_default() += 1;
        }
    }
    Some(counts)
}

fn tracked(host: &Host) -> Vec<Tracked> {
    let of = |namespace: &Namespace| {
        let content = namespace.content()?;
        let number = |name: &str| content.setting(name)?.parse().ok();
        Some(Tracked {
            namespace: namespace.name(),
            count: number("netfilter/nf_conntrack_count")?,
            most: number("netfilter/nf_conntrack_max")?,
        })
    };
    host.namespaces.iter().filter(|one| one.is_own).filter_map(of).collect()
}

/// What rows are added up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sum {
    /// Nothing: each interface has its row.
    Interface,
    /// All interfaces of a container.
    Container,
    /// All on a network.
    Network,
    /// All of a namespace in Kubernetes.
    Namespace,
    /// All of a pod.
    Pod,
    /// All of an owner.
    Owner,
}

/// Adds rows up: what they have not in common is left empty. Rows that do not have what is added up
/// by are together in one.
pub fn summed(rows: &[Row], sum: Sum) -> Vec<Row> {
    let mut sums: BTreeMap<Subject, Row> = BTreeMap::new();
    for row in rows {
        let of = &row.subject;
        let none = Subject::default();
        let subject = match sum {
            Sum::Interface => of.clone(),
            Sum::Container => Subject {
                container: of.container.clone(),
                namespace: of.namespace.clone(),
                pod: of.pod.clone(),
                owner: of.owner.clone(),
                ..none
            },
            Sum::Network => Subject { network: of.network.clone(), ..none },
            Sum::Namespace => Subject { namespace: of.namespace.clone(), ..none },
            Sum::Pod => Subject { namespace: of.namespace.clone(), pod: of.pod.clone(), ..none },
            Sum::Owner => Subject { owner: of.owner.clone(), ..none },
        };
        match sums.get_mut(&subject) {
            None => {
                sums.insert(subject.clone(), Row { subject, ..row.clone() });
            }
            Some(known) => {
                known.received = known.received.plus(row.received);
                known.sent = known.sent.plus(row.sent);
                known.connections = match (known.connections, row.connections) {
                    (Some(one), Some(other)) => Some(one.saturating_add(other)),
                    (one, other) => one.or(other),
                };
                let new = row.uplinks.iter().filter(|name| !known.uplinks.contains(name));
                let new: Vec<String> = new.map(ToString::to_string).collect();
                known.uplinks.extend(new);
            }
        }
    }
    sums.into_values().collect()
}
