//! Broadcast domains: which links hear each other's broadcasts, and which of these may also be
//! heard by somebody who cannot be seen from here.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use crate::{
    Graph, LinkAt,
    model::{Details, Link},
};

/// `BRIDGE_VLAN_INFO_…`: untagged frames that come in are in it; its frames go out untagged.
const OWN: u16 = 2;
const UNTAGGED: u16 = 4;

/// The links of each broadcast domain; its first link stands for it.
#[derive(Debug)]
pub(super) struct Domains {
    firsts: BTreeMap<LinkAt, LinkAt>,
    members: BTreeMap<LinkAt, Vec<LinkAt>>,
    open: BTreeSet<LinkAt>,
}

/// Frames that a link carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Frames {
    Untagged,
    /// Those of a VLAN.
    Tagged(u16),
    /// Those of a VLAN within a bridge that keeps VLANs apart.
    Within(u16),
}

type Wire = (LinkAt, Frames);

impl Domains {
    pub(super) fn of(graph: &Graph<'_>) -> Self {
        let mut wires = Wires::default();
        let vlans = vlans_with_ends(graph);
        for (at, link) in graph.links() {
            wires.add(graph, at, link, &vlans);
        }
        // What stands on VLANs of the same number on the same wire may carry VLANs itself.
        let mut firsts = BTreeMap::new();
        for (at, link) in graph.links() {
            let Some((lower, id)) = vlan_of(graph, at, link) else { continue };
            let wire = wires.first((lower, Frames::Tagged(id)));
            wires.join_all(at, *firsts.entry(wire).or_insert(at), &vlans);
        }
        wires.domains(graph)
    }

    /// The link that stands for the broadcast domain of another.
    pub(super) fn of_link(&self, at: LinkAt) -> LinkAt {
        self.firsts.get(&at).copied().unwrap_or(at)
    }

    pub(super) fn members(&self, domain: LinkAt) -> &[LinkAt] {
        self.members.get(&domain).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether others may be in it who cannot be seen from here.
    pub(super) fn leads_outside(&self, domain: LinkAt) -> bool {
        self.open.contains(&domain)
    }
}

fn filters(link: &Link) -> bool {
    matches!(link.details, Details::Bridge { vlan_filtering: true, .. })
}

/// The link that a VLAN stands on, and its number.
fn vlan_of(graph: &Graph<'_>, at: LinkAt, link: &Link) -> Option<(LinkAt, u16)> {
    let Details::Vlan { id, .. } = link.details else { return None };
    Some((graph.lower(at)?, id))
}

/// The VLANs whose frames somebody may get untagged. Trunks carry thousands that nobody gets.
fn vlans_with_ends(graph: &Graph<'_>) -> BTreeSet<u16> {
    let mut vlans = BTreeSet::new();
    for (at, link) in graph.links() {
        vlans.extend(vlan_of(graph, at, link).map(|(_, id)| id));
        vlans.extend(link.vlans.iter().filter(|vlan| vlan.flags & OWN != 0).map(|vlan| vlan.id));
    }
    vlans
}

/// Frames of links, joined where they are the same.
#[derive(Default)]
struct Wires {
    all: BTreeSet<Wire>,
    firsts: BTreeMap<Wire, Wire>,
    /// Those that somebody hears whose own broadcasts go elsewhere.
    heard: BTreeSet<Wire>,
}

impl Wires {
    fn add(&mut self, graph: &Graph<'_>, at: LinkAt, link: &Link, vlans: &BTreeSet<u16>) {
        self.all.insert((at, Frames::Untagged));
        if let Some(peer) = graph.peer(at) {
            self.join_all(at, peer, vlans);
        }
        if filters(link) {
            self.enter(at, at, link, vlans);
        }
        let master = link.master.map(|index| LinkAt { index, ..at });
        match master.and_then(|at| Some((at, graph.link(at)?))) {
            // The parts of a routing domain are apart.
            Some((_, master)) if matches!(master.details, Details::Vrf { .. }) => {}
            Some((bridge, master)) if filters(master) => self.enter(bridge, at, link, vlans),
            Some((master, _)) => self.join_all(at, master, vlans),
            None => {}
        }
        let is_on = matches!(link.details, Details::Macvlan { .. } | Details::Ipvlan { mode: 0 });
        if let Some(lower) = graph.lower(at).filter(|_| is_on) {
            self.join_all(at, lower, vlans);
        }
        if let Some((lower, id)) = vlan_of(graph, at, link) {
            self.join((at, Frames::Untagged), (lower, Frames::Tagged(id)));
        }
    }

    /// Joins a port, or the bridge's own interface, to the VLANs within a bridge.
    fn enter(&mut self, bridge: LinkAt, at: LinkAt, link: &Link, vlans: &BTreeSet<u16>) {
        for vlan in link.vlans.iter().filter(|vlan| vlans.contains(&vlan.id)) {
            let within = (bridge, Frames::Within(vlan.id));
            match (vlan.flags & OWN != 0, vlan.flags & UNTAGGED != 0) {
                (true, _) => self.join((at, Frames::Untagged), within),
                (false, true) => {
                    self.heard.insert(within);
                }
                (false, false) => self.join((at, Frames::Tagged(vlan.id)), within),
            }
        }
    }

    /// Joins links that pass on everything to each other.
    fn join_all(&mut self, one: LinkAt, other: LinkAt, vlans: &BTreeSet<u16>) {
        self.join((one, Frames::Untagged), (other, Frames::Untagged));
        for &id in vlans {
            self.join((one, Frames::Tagged(id)), (other, Frames::Tagged(id)));
        }
    }

    fn join(&mut self, one: Wire, other: Wire) {
        self.all.extend([one, other]);
        let (one, other) = (self.first(one), self.first(other));
        if one != other {
            self.firsts.insert(one.max(other), one.min(other));
        }
    }

    fn first(&self, mut wire: Wire) -> Wire {
        while let Some(&next) = self.firsts.get(&wire) {
            wire = next;
        }
        wire
    }

    /// Whether a link may bring frames to somebody who cannot be seen from here.
    fn leads_outside(&self, graph: &Graph<'_>, (at, frames): Wire) -> bool {
        let Some(link) = graph.link(at) else { return true };
        match link.kind_name() {
            "bridge" | "dummy" | "bond" | "ifb" => false,
            "veth" => graph.peer(at).is_none(),
            "vlan" => graph.lower(at).is_none(),
            // Modes that pass nothing on but packets, and what is not known.
            "macvlan" | "ipvlan" => graph
                .lower(at)
                .is_none_or(|lower| self.first((lower, frames)) != self.first((at, frames))),
            _ => true,
        }
    }

    fn domains(&self, graph: &Graph<'_>) -> Domains {
        let open = self.all.iter().filter(|wire| self.leads_outside(graph, **wire));
        let open: BTreeSet<Wire> = open.chain(&self.heard).map(|wire| self.first(*wire)).collect();
        let (firsts, members) = (BTreeMap::new(), BTreeMap::new());
        let mut domains = Domains { firsts, members, open: BTreeSet::new() };
        let mut known: BTreeMap<Wire, LinkAt> = BTreeMap::new();
        for (at, _) in graph.links() {
            let wire = self.first((at, Frames::Untagged));
            let first = *known.entry(wire).or_insert(at);
            domains.firsts.insert(at, first);
            domains.members.entry(first).or_default().push(at);
            if open.contains(&wire) {
                domains.open.insert(first);
            }
        }
        domains
    }
}
