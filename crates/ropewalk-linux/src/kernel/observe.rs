//! Finding out what exists, one function per kind. A link that several probes stand on is asked
//! for once.

use std::collections::BTreeMap;

use ropewalk_addr::{Family, IfName};
use ropewalk_netstate::{
    KernelError, Observed, Owned, Place, Probe, Resource, Scope,
    resource::{
        Address, AddressGuard, AnyLink, Bridge, BridgePort, LinkAttribute, Membership, Neighbour,
        Qdisc, Route, RouteAbsence, RoutingRule, Sysctl, TrafficClass, TrafficFilter, Veth,
        VethPeer, VirtualLink, traffic::Verdict,
    },
};
use rustix::io::Errno;

use super::{
    Linux, fast_path, firewalld, iptables,
    known::{self, Links},
    offloads, packet_filter, questions, sysctl,
};
use crate::{
    error::is,
    translate::{
        address::FoundAddress, bridge_port, link, link::Link, moved_device, neighbour,
        routing_rule, traffic, virtual_link,
    },
};

/// Answers probes, with the links that were looked for in advance.
pub(super) fn observe(linux: &mut Linux, probes: &[Probe<'_>]) -> Result<Observed, KernelError> {
    let known = std::mem::take(&mut linux.links_in_advance);
    observe_but(linux, probes, known)
}

/// Answers probes for links that were just made, see [`known::made`].
pub(super) fn observe_made(
    linux: &mut Linux,
    probes: &[Probe<'_>],
) -> Result<Observed, KernelError> {
    let known = known::made(linux);
    observe_but(linux, probes, known)
}

/// Looks for the links of probes, which the next observation then takes for known.
pub(super) fn links_in_advance(linux: &mut Linux, probes: &[Probe<'_>]) -> Result<(), KernelError> {
    questions::ask_about_links(linux, probes);
    let mut survey = Survey { linux, links: Links::new(), addresses: BTreeMap::new() };
    let result = survey.links_of(probes);
    let mut found = survey.links;
    questions::forget_answers_about_links(linux);
    known::presume_absent(probes, &mut found);
    linux.links_in_advance = found;
    result
}

fn observe_but(
    linux: &mut Linux,
    probes: &[Probe<'_>],
    known: Links,
) -> Result<Observed, KernelError> {
    linux.seen_elements.clear();
    for place in [Place::Host, Place::Sandbox] {
        linux.sockets(place).observed = known::indices(&known, place);
    }
    questions::ask_ahead(linux, probes, &known);
    let observed = survey(linux, probes, known);
    questions::forget_answers(linux);
    observed
}

fn survey(linux: &mut Linux, probes: &[Probe<'_>], links: Links) -> Result<Observed, KernelError> {
    let mut observed = Observed::new();
    let mut survey = Survey { linux, links, addresses: BTreeMap::new() };
    for probe in probes {
        if !survey.linux.is_there(probe.place)? {
            continue;
        }
        if let Some(found) = survey.find(probe.place, probe.resource)? {
            observed.insert(probe.place, probe.resource.key(), found);
        }
    }
    Ok(observed)
}

/// Lists what has owners.
pub(super) fn owned(linux: &mut Linux, scope: &Scope) -> Result<Vec<Owned>, KernelError> {
    match scope {
        Scope::TaggedLinks => linux.route(Place::Host)?.dump(&link::list(), |reply| {
            let found = link::read(reply)?;
            let name: IfName = found.name.parse().ok()?;
            Some(Owned { tag: found.tag()?, resource: link::found_any(&name, &found) })
        }),
        Scope::Elements(set) => packet_filter::owned(linux, Place::Host, set),
        Scope::IptablesChains(names) => iptables::owned_by_name(linux, Place::Host, names),
        Scope::IptablesJumps(from) => iptables::owned(linux, Place::Host, from),
    }
}

/// One observation, with what it learnt so far.
struct Survey<'a> {
    linux: &'a mut Linux,
    links: Links,
    addresses: BTreeMap<(Place, u32), Vec<FoundAddress>>,
}

impl Survey<'_> {
    fn links_of(&mut self, probes: &[Probe<'_>]) -> Result<(), KernelError> {
        for probe in probes {
            if self.linux.is_there(probe.place)? {
                for name in questions::links_of(probe.resource) {
                    self.link(probe.place, name)?;
                }
            }
        }
        Ok(())
    }

    fn find(&mut self, at: Place, wanted: &Resource) -> Result<Option<Resource>, KernelError> {
        match wanted {
            Resource::Bridge(bridge) => self.bridge(at, bridge),
            Resource::Veth(veth) => self.veth(at, veth),
            Resource::MovedDevice(device) => {
                let found = self.link(at, &device.name)?;
                Ok(found.map(|found| moved_device::found(&device.name, &found).into()))
            }
            Resource::AnyLink(any) => self.any_link(at, any),
            Resource::VirtualLink(link) => self.virtual_link(at, link),
            Resource::Membership(membership) => self.membership(at, membership),
            Resource::BridgePort(port) => self.bridge_port(at, port),
            Resource::FastPath(wanted) => {
                let Some(link) = self.link(at, &wanted.link)? else { return Ok(None) };
                let Some(bridge) = self.link(at, &wanted.bridge)? else { return Ok(None) };
                let indices = (link.index, bridge.index);
                let found = fast_path::find(self.linux, at, wanted, indices)?;
                Ok(found.map(Resource::FastPath))
            }
            Resource::LinkAttribute(attribute) => self.attribute(at, attribute),
            Resource::Address(address) => self.address(at, address),
            Resource::AddressGuard(guard) => self.address_guard(at, guard),
            Resource::Route(route) => self.route(at, route),
            Resource::RouteAbsence(absence) => self.route_absence(at, absence),
            Resource::RoutingRule(rule) => self.routing_rule(at, rule),
            Resource::Neighbour(neighbour) => self.neighbour(at, neighbour),
            Resource::Qdisc(wanted) => self.qdisc(at, wanted),
            Resource::TrafficClass(wanted) => self.traffic_class(at, wanted),
            Resource::TrafficFilter(wanted) => self.traffic_filter(at, wanted),
            Resource::Offloads(wanted) => {
                Ok(offloads::find(self.linux, at, wanted)?.map(Resource::Offloads))
            }
            Resource::Sysctl(wanted) => self.sysctl(at, wanted),
            Resource::NftTable(_)
            | Resource::NftSet(_)
            | Resource::NftChain(_)
            | Resource::NftElements(_)
            | Resource::NftTaggedRules(_) => packet_filter::find(self.linux, at, wanted),
            Resource::IptablesChain(_) | Resource::IptablesRule(_) => {
                iptables::find(self.linux, at, wanted)
            }
            Resource::FirewalldSource(wanted) => {
                Ok(firewalld::find(self.linux, wanted)?.map(Resource::FirewalldSource))
            }
            // Actions are never there.
            Resource::StaleFlows(_)
            | Resource::IdleBridge(_)
            | Resource::Await(_)
            | Resource::ConflictProbe(_)
            | Resource::Announcement(_) => Ok(None),
        }
    }

    /// A link that is not there has no parameters: its directory need not be looked for.
    fn sysctl(&mut self, at: Place, wanted: &Sysctl) -> Result<Option<Resource>, KernelError> {
        if let Some(name) = sysctl::link_of(&wanted.path) {
            let Some(link) = self.link(at, &name)? else { return Ok(None) };
            if let Some(value) = link.parameters.value(&wanted.path) {
                return Ok(Some(Resource::Sysctl(Sysctl { value, ..wanted.clone() })));
            }
        }
        Ok(sysctl::find(self.linux, at, wanted)?.map(Resource::Sysctl))
    }

    fn link(&mut self, place: Place, name: &IfName) -> Result<Option<Link>, KernelError> {
        let key = (place, name.clone());
        if let Some(known) = self.links.get(&key) {
            return Ok(known.clone());
        }
        let found = self.linux.find_link(place, name)?;
        if let Some(found) = &found {
            self.linux.sockets(place).observed.insert(found.name.clone(), found.index);
        }
        self.links.insert(key, found.clone());
        Ok(found)
    }

    fn bridge(&mut self, at: Place, wanted: &Bridge) -> Result<Option<Resource>, KernelError> {
        let found = self.link(at, &wanted.name)?;
        Ok(found.map(|found| link::found_bridge(&wanted.name, &found)))
    }

    fn any_link(&mut self, at: Place, wanted: &AnyLink) -> Result<Option<Resource>, KernelError> {
        let found = self.link(at, &wanted.name)?;
        Ok(found.map(|found| link::found_any(&wanted.name, &found)))
    }

    fn virtual_link(
        &mut self,
        at: Place,
        wanted: &VirtualLink,
    ) -> Result<Option<Resource>, KernelError> {
        let Some(found) = self.link(at, &wanted.name)? else { return Ok(None) };
        let mut parent = None;
        if let Some(wanted) = &wanted.parent
            && found.peer_is_elsewhere() == (wanted.place != at)
            && let Some(candidate) = self.link(wanted.place, &wanted.name)?
            && Some(candidate.index) == found.peer
        {
            parent = Some(wanted.clone());
        }
        Ok(Some(virtual_link::found(&wanted.name, &found, parent)))
    }

    fn membership(
        &mut self,
        at: Place,
        wanted: &Membership,
    ) -> Result<Option<Resource>, KernelError> {
        let Some(found) = self.link(at, &wanted.link)? else { return Ok(None) };
        let master = self.master(at, &found, Some(&wanted.master))?;
        Ok(master
            .map(|master| Resource::Membership(Membership { link: wanted.link.clone(), master })))
    }

    fn veth(&mut self, at: Place, wanted: &Veth) -> Result<Option<Resource>, KernelError> {
        let Some(near) = self.link(at, &wanted.name)? else { return Ok(None) };
        if !near.is("veth") {
            return Ok(Some(link::found_any(&wanted.name, &near)));
        }
        let peer = match &wanted.peer {
            Some(peer) => self.peer(at, &near, peer)?,
            None => None,
        };
        Ok(Some(Resource::Veth(Veth {
            name: wanted.name.clone(),
            mac: near.mac,
            bridge: self.master(at, &near, wanted.bridge.as_ref())?,
            peer,
            mtu: near.mtu,
            tag: near.tag(),
            up: near.is_up(),
        })))
    }

    /// The peer as wanted, if the far end is really there and belongs to this near end.
    fn peer(
        &mut self,
        at: Place,
        near: &Link,
        wanted: &VethPeer,
    ) -> Result<Option<VethPeer>, KernelError> {
        if !self.linux.is_there(wanted.place)? {
            return Ok(None);
        }
        let Some(far) = self.link(wanted.place, &wanted.name)? else { return Ok(None) };
        let is_pair = link::are_ends_of_one_pair((at, near), (wanted.place, &far));
        Ok(is_pair.then(|| VethPeer { mac: far.mac, ..wanted.clone() }))
    }

    /// The name of the bridge a link is a port of. The wanted one is looked up first: others ask
    /// for it anyway.
    fn master(
        &mut self,
        at: Place,
        port: &Link,
        wanted: Option<&IfName>,
    ) -> Result<Option<IfName>, KernelError> {
        let Some(master) = port.master else { return Ok(None) };
        if let Some(wanted) = wanted
            && let Some(bridge) = self.link(at, wanted)?
            && bridge.index == master
        {
            return Ok(Some(wanted.clone()));
        }
        let socket = self.linux.route(at)?;
        let found = socket.get(link::find_by_index(master), link::read);
        Ok(absent_is_none(found)?.and_then(|bridge| bridge.name.parse().ok()))
    }

    fn bridge_port(
        &mut self,
        at: Place,
        wanted: &BridgePort,
    ) -> Result<Option<Resource>, KernelError> {
        let Some(found) = self.link(at, &wanted.link)? else { return Ok(None) };
        let Some(port) = found.port.filter(|_| found.master.is_some()) else { return Ok(None) };
        let vlans = match &wanted.vlans {
            Some(vlans) => {
                let present = self.linux.port_vlans(at, found.index)?;
                Some(bridge_port::found_vlans(vlans, &present))
            }
            None => None,
        };
        let (hairpin, isolated) = (Some(port.hairpin), Some(port.isolated));
        Ok(Some(Resource::BridgePort(BridgePort {
            link: wanted.link.clone(),
            hairpin,
            isolated,
            vlans,
        })))
    }

    fn attribute(
        &mut self,
        at: Place,
        wanted: &LinkAttribute,
    ) -> Result<Option<Resource>, KernelError> {
        let found = self.link(at, &wanted.link)?;
        Ok(found.and_then(|found| link::found_attribute(wanted, &found)))
    }

    fn addresses(
        &mut self,
        at: Place,
        name: &IfName,
        family: Family,
    ) -> Result<Vec<FoundAddress>, KernelError> {
        let Some(found) = self.link(at, name)? else { return Ok(Vec::new()) };
        let key = (at, found.index);
        if !self.addresses.contains_key(&key) {
            let all = self.linux.addresses(at, None, found.index)?;
            self.addresses.insert(key, all);
        }
        let all = self.addresses.get(&key).map(Vec::as_slice).unwrap_or_default();
        Ok(all.iter().filter(|a| a.prefix.family() == family).copied().collect())
    }

    fn address(&mut self, at: Place, wanted: &Address) -> Result<Option<Resource>, KernelError> {
        let all = self.addresses(at, &wanted.link, wanted.prefix.family())?;
        let found = all.into_iter().find(|found| found.prefix == wanted.prefix);
        Ok(found.map(|found| {
            let (duplicate, prefix_route) = (found.is_duplicate(), found.has_prefix_route());
            Resource::Address(Address { duplicate, prefix_route, ..wanted.clone() })
        }))
    }

    fn address_guard(
        &mut self,
        at: Place,
        wanted: &AddressGuard,
    ) -> Result<Option<Resource>, KernelError> {
        if self.link(at, &wanted.link)?.is_none() {
            return Ok(None);
        }
        let all = self.addresses(at, &wanted.link, wanted.family)?;
        let others = all.into_iter().filter(|found| !found.is_link_local());
        let present = others.map(|found| found.prefix).collect();
        Ok(Some(Resource::AddressGuard(AddressGuard { present, ..wanted.clone() })))
    }

    fn route(&mut self, at: Place, wanted: &Route) -> Result<Option<Resource>, KernelError> {
        let link = self.link(at, &wanted.link)?;
        let index = link.map(|link| link.index);
        if let Some(index) = index
            && let Some(found) = self.linux.find_route(at, wanted, index)?
        {
            return Ok(Some(Resource::Route(found)));
        }
        let is_served = wanted.yields && self.linux.has_other_route(at, wanted, index)?;
        Ok(is_served.then(|| Resource::Route(wanted.clone())))
    }

    fn route_absence(
        &mut self,
        at: Place,
        wanted: &RouteAbsence,
    ) -> Result<Option<Resource>, KernelError> {
        let is_absent = self.route(at, &wanted.0)?.is_none();
        Ok(is_absent.then(|| Resource::RouteAbsence(wanted.clone())))
    }

    fn routing_rule(
        &mut self,
        at: Place,
        wanted: &RoutingRule,
    ) -> Result<Option<Resource>, KernelError> {
        let question = routing_rule::list(wanted.source.family());
        let found = self.linux.route(at)?.dump(&question, |reply| {
            let found = routing_rule::read(reply)?.resource()?;
            let is_it = (found.source, found.table) == (wanted.source, wanted.table);
            is_it.then_some(found)
        })?;
        Ok(found.into_iter().next().map(Resource::RoutingRule))
    }

    fn neighbour(
        &mut self,
        at: Place,
        wanted: &Neighbour,
    ) -> Result<Option<Resource>, KernelError> {
        let Some(found) = self.link(at, &wanted.link)? else { return Ok(None) };
        let question = neighbour::find(wanted.ip, found.index);
        let mac = absent_is_none(self.linux.route(at)?.get(question, neighbour::read))?;
        Ok(mac.map(|mac| Resource::Neighbour(Neighbour { mac, ..wanted.clone() })))
    }

    fn qdisc(&mut self, at: Place, wanted: &Qdisc) -> Result<Option<Resource>, KernelError> {
        let Some(found) = self.link(at, &wanted.link)? else { return Ok(None) };
        let question = traffic::find_qdisc(wanted.hook, found.index);
        let socket = self.linux.route(at)?;
        let qdisc =
            absent_is_none(socket.get(question, |reply| traffic::read_qdisc(reply, wanted)))?;
        Ok(qdisc.map(Resource::Qdisc))
    }

    fn traffic_class(
        &mut self,
        at: Place,
        wanted: &TrafficClass,
    ) -> Result<Option<Resource>, KernelError> {
        let Some(found) = self.link(at, &wanted.link)? else { return Ok(None) };
        let socket = self.linux.route(at)?;
        let question = traffic::list_classes(found.index);
        let classes = socket.dump(&question, |reply| traffic::read_class(reply, wanted))?;
        Ok(classes.into_iter().next().map(Resource::TrafficClass))
    }

    fn traffic_filter(
        &mut self,
        at: Place,
        wanted: &TrafficFilter,
    ) -> Result<Option<Resource>, KernelError> {
        let Some(found) = self.link(at, &wanted.link)? else { return Ok(None) };
        let target = match &wanted.verdict {
            Verdict::Redirect(target) => self.link(at, target)?.map(|target| target.index),
            Verdict::Class(_) | Verdict::Other => None,
        };
        let socket = self.linux.route(at)?;
        let question = traffic::list_filters(wanted.hook, found.index);
        let filters = socket.dump(&question, |reply| traffic::read_filter(reply, wanted, target));
        // Without a queueing discipline there is nowhere to look.
        let filters = match filters {
            Err(error) if is(&error, Errno::INVAL) => Vec::new(),
            filters => filters?,
        };
        Ok(filters.into_iter().next().map(Resource::TrafficFilter))
    }
}

/// An object, or the table that it would be in, that does not exist is not an error here.
pub(super) fn absent_is_none<T>(
    found: Result<Option<T>, KernelError>,
) -> Result<Option<T>, KernelError> {
    match found {
        Err(error) if is(&error, Errno::NOENT) || is(&error, Errno::NODEV) => Ok(None),
        other => other,
    }
}
