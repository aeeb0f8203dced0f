//! The order of a drawing: which link stands below which, and which namespaces get a section.
//!
//! A namespace whose links all hang on others is told there, on their lines.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use crate::{
    Graph, LinkAt,
    model::{Link, Namespace},
};

/// A whole drawing.
#[derive(Debug)]
pub(super) struct Outline {
    pub(super) sections: Vec<Section>,
    /// Namespaces with nothing but loopback.
    pub(super) idle: Vec<usize>,
    /// Namespaces that could not be read.
    pub(super) unreadable: Vec<usize>,
}

/// A namespace with links of its own to tell.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) namespace: usize,
    pub(super) nodes: Vec<Node>,
}

/// A link with what hangs on it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: LinkAt,
    /// The other end of the pair.
    pub(super) far: Option<LinkAt>,
    pub(super) children: Vec<Node>,
}

impl Outline {
    pub(super) fn of(graph: &Graph<'_>) -> Self {
        let mut outline = Self { sections: Vec::new(), idle: Vec::new(), unreadable: Vec::new() };
        let mut by_namespace: BTreeMap<usize, Vec<(LinkAt, &Link)>> = BTreeMap::new();
        for (at, link) in graph.links() {
            if !is_idle(graph, at, link) {
                by_namespace.entry(at.namespace).or_default().push((at, link));
            }
        }
        let mut told = BTreeSet::new();
        for (position, namespace) in graph.host().namespaces.iter().enumerate() {
            let links = by_namespace.get(&position).map(Vec::as_slice).unwrap_or_default();
            if namespace.content().is_none() {
                outline.unreadable.push(position);
            } else if links.is_empty() && !namespace.is_own {
                outline.idle.push(position);
            } else if !is_leaf(graph, links, namespace, &told) {
                let tops = links.iter().filter(|(at, _)| is_top(graph, *at));
                let nodes: Vec<Node> = tops.map(|(at, _)| node(graph, *at, &mut told)).collect();
                outline.sections.push(Section { namespace: position, nodes });
            }
        }
        outline
    }
}

/// Whether there is nothing to say of a link: a loopback as all have one, or one of the tunnels
/// that every namespace has from the start.
fn is_idle(graph: &Graph<'_>, at: LinkAt, link: &Link) -> bool {
    let Some(content) = graph.namespace(at).and_then(Namespace::content) else { return true };
    if !graph.uppers(at).is_empty() || !graph.ports(at).is_empty() || link.master.is_some() {
        return false;
    }
    let mut addresses = content.addresses_of(at.index);
    if link.is_loopback() {
        return addresses.all(|address| address.ip.is_loopback());
    }
    let is_given = [
        "tunl0", "gre0", "gretap0", "erspan0", "sit0", "ip6tnl0", "ip6gre0", "ip_vti0", "ip6_vti0",
    ];
    !link.is_up() && is_given.contains(&link.name.as_str()) && addresses.next().is_none()
}

/// Whether all links of a namespace hang on links that were told, and nothing hangs on them.
fn is_leaf(
    graph: &Graph<'_>,
    links: &[(LinkAt, &Link)],
    namespace: &Namespace,
    told: &BTreeSet<LinkAt>,
) -> bool {
    let is_told = |(at, _): &(LinkAt, &Link)| {
        told.contains(at) && graph.ports(*at).is_empty() && graph.uppers(*at).is_empty()
    };
    !namespace.is_own && links.iter().all(is_told)
}

/// Whether a link hangs on no other one of its namespace.
fn is_top(graph: &Graph<'_>, at: LinkAt) -> bool {
    let Some(link) = graph.link(at) else { return false };
    let has_master = link.master.is_some_and(|index| graph.link(LinkAt { index, ..at }).is_some());
    let below = graph.lower(at).filter(|lower| lower.namespace == at.namespace);
    !has_master && (link.is("veth") || below.is_none())
}

fn node(graph: &Graph<'_>, at: LinkAt, told: &mut BTreeSet<LinkAt>) -> Node {
    told.insert(at);
    let far = graph.peer(at);
    told.extend(far);
    let has_master = |upper: &LinkAt| graph.link(*upper).is_some_and(|link| link.master.is_some());
    let uppers = graph.uppers(at).iter().filter(|upper| !has_master(upper));
    let below: Vec<LinkAt> = graph.ports(at).iter().chain(uppers).copied().collect();
    let mut children = Vec::new();
    for child in below {
        // A broken model may go round in circles.
        if !told.contains(&child) || graph.peer(child).is_some() && child != at {
            children.push(node(graph, child, told));
        }
    }
    Node { at, far, children }
}
