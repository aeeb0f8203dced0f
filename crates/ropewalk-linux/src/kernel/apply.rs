//! Applying steps: in order, in groups that the kernel takes at once.

use std::ops::Range;

use ropewalk_netstate::{
    KernelError, Partial, Place, Resource, Step,
    resource::{Announcement, Await, Until},
};

use super::{
    Linux, conflicts, fast_path, firewalld, flows, iptables, offloads, packet_filter, simple,
    sysctl, wait,
};
use crate::error::error;

/// Steps that go to the kernel together.
enum Group {
    /// rtnetlink messages that are executed one by one even if one fails.
    Simple,
    /// An nftables transaction: all or nothing.
    Transaction,
    /// The end of an ADD: a link of the host is waited for, and then announced.
    Arrival,
    /// A step by itself.
    Single,
}

/// Applies steps until one fails.
pub(super) fn apply(linux: &mut Linux, steps: &[Step]) -> Result<(), Partial> {
    linux.forget_links();
    let mut progress = Progress::default();
    let mut next = 0;
    while next < steps.len() && progress.failure.is_none() {
        let (group, end) = group_at(steps, next);
        apply_group(linux, steps, &group, next..end, &mut progress);
        next = end;
    }
    match progress.failure {
        None => Ok(()),
        Some((failed, error)) => Err(Partial { done: progress.done, failed, error }),
    }
}

#[derive(Default)]
struct Progress {
    done: Vec<usize>,
    failure: Option<(usize, KernelError)>,
}

impl Progress {
    fn record(&mut self, index: usize, result: Result<(), KernelError>) {
        match result {
            Ok(()) => self.done.push(index),
            Err(error) => {
                self.failure.get_or_insert((index, error));
            }
        }
    }
}

/// The longest group that starts at a step: all its steps are at one place.
fn group_at(steps: &[Step], start: usize) -> (Group, usize) {
    let place = steps[start].place();
    let run = |belongs: fn(&Step) -> bool| {
        let others =
            steps[start..].iter().take_while(|step| step.place() == place && belongs(step));
        start + others.count()
    };
    if simple::is_simple(&steps[start]) {
        return (Group::Simple, run(simple::is_simple));
    }
    if simple::is_removal(&steps[start]) {
        return (Group::Simple, run(simple::is_removal));
    }
    if packet_filter::is_part(&steps[start]) {
        return (Group::Transaction, run(packet_filter::is_part));
    }
    if arrival(&steps[start..]).is_some() {
        return (Group::Arrival, start + 2);
    }
    (Group::Single, start + 1)
}

/// The two steps with which an ADD ends where packets have to pass a port of the host.
fn arrival(steps: &[Step]) -> Option<(&Await, &Announcement)> {
    match steps {
        [
            Step::Create(Place::Host, Resource::Await(wanted)),
            Step::Create(Place::Sandbox, Resource::Announcement(announcement)),
            ..,
        ] if wanted.until == Until::LinkUp => Some((wanted, announcement)),
        _ => None,
    }
}

fn apply_group(
    linux: &mut Linux,
    steps: &[Step],
    group: &Group,
    range: Range<usize>,
    progress: &mut Progress,
) {
    let place = steps[range.start].place();
    match linux.is_there(place) {
        Ok(true) => {}
        Ok(false) => return apply_nowhere(steps, range, progress),
        Err(error) => return progress.record(range.start, Err(error)),
    }
    if !matches!(group, Group::Transaction) {
        linux.seen_elements.clear();
    }
    match group {
        Group::Simple => match simple::apply(linux, place, &steps[range.clone()]) {
            Ok(verdicts) => {
                range.zip(verdicts).for_each(|(index, verdict)| progress.record(index, verdict));
            }
            Err(error) => progress.record(range.start, Err(error)),
        },
        Group::Transaction => match packet_filter::apply(linux, place, &steps[range.clone()]) {
            Ok(()) => range.for_each(|index| progress.record(index, Ok(()))),
            Err((failed, error)) => progress.record(range.start + failed, Err(error)),
        },
        Group::Arrival => {
            let Some((wanted, announcement)) = arrival(&steps[range.clone()]) else { return };
            match wait::wait_and_announce(linux, wanted, announcement) {
                Ok(()) => range.for_each(|index| progress.record(index, Ok(()))),
                Err((failed, error)) => progress.record(range.start + failed, Err(error)),
            }
        }
        Group::Single => progress.record(range.start, apply_one(linux, &steps[range.start])),
    }
}

/// In a namespace that is gone there is nothing to delete, and nothing can be made.
fn apply_nowhere(steps: &[Step], range: Range<usize>, progress: &mut Progress) {
    for index in range {
        match &steps[index] {
            Step::Delete(..) => progress.record(index, Ok(())),
            Step::Create(..) | Step::Change { .. } => {
                return progress.record(index, Err(error("the network namespace is gone")));
            }
        }
    }
}

fn apply_one(linux: &mut Linux, step: &Step) -> Result<(), KernelError> {
    match step {
        Step::Create(place, resource) => create(linux, *place, resource),
        Step::Change { place, from, to } => change(linux, *place, from, to),
        Step::Delete(place, resource) => delete(linux, *place, resource),
    }
}

fn create(linux: &mut Linux, place: Place, resource: &Resource) -> Result<(), KernelError> {
    match resource {
        Resource::Bridge(bridge) => linux.create_bridge(place, bridge),
        Resource::Veth(veth) => linux.create_veth(place, veth),
        Resource::MovedDevice(device) => linux.move_device(place, device),
        Resource::AnyLink(_) => Err(error("a link of unknown kind cannot be created")),
        Resource::VirtualLink(link) => linux.create_virtual_link(place, link),
        Resource::Membership(membership) => linux.set_membership(place, membership),
        Resource::BridgePort(port) => linux.set_bridge_port(place, port),
        Resource::FastPath(wanted) => fast_path::create(linux, place, wanted),
        Resource::AddressGuard(_) | Resource::IdleBridge(_) => Ok(()),
        Resource::Address(address) => simple::create_pinning(linux, place, address),
        Resource::Offloads(wanted) => offloads::set(linux, place, wanted),
        Resource::Sysctl(wanted) => sysctl::set(linux, place, wanted),
        Resource::Await(wanted) => wait::wait(linux, place, wanted),
        Resource::IptablesChain(chain) => iptables::create_chain(linux, place, chain),
        Resource::IptablesRule(rule) => iptables::create_rule(linux, place, rule),
        Resource::FirewalldSource(source) => firewalld::create(linux, source),
        Resource::StaleFlows(stale) => flows::flush(linux, place, stale),
        Resource::ConflictProbe(probe) => conflicts::probe(linux, place, probe),
        Resource::Announcement(announcement) => linux.announce(place, announcement),
        grouped => misplaced(grouped),
    }
}

fn change(
    linux: &mut Linux,
    place: Place,
    from: &Resource,
    to: &Resource,
) -> Result<(), KernelError> {
    match (from, to) {
        (Resource::Bridge(_), Resource::Bridge(to)) => linux.change_bridge(place, to),
        (Resource::Veth(from), Resource::Veth(to)) => linux.change_veth(place, from, to),
        (Resource::Membership(_), Resource::Membership(to)) => linux.set_membership(place, to),
        (Resource::BridgePort(_), Resource::BridgePort(to)) => linux.set_bridge_port(place, to),
        (Resource::FastPath(_), Resource::FastPath(to)) => fast_path::create(linux, place, to),
        (Resource::Offloads(_), Resource::Offloads(to)) => offloads::set(linux, place, to),
        (Resource::Sysctl(_), Resource::Sysctl(to)) => sysctl::set(linux, place, to),
        (Resource::Address(_), Resource::Address(_))
        | (Resource::Route(_), Resource::Route(_))
        | (Resource::RoutingRule(_), Resource::RoutingRule(_))
        | (Resource::Qdisc(_), Resource::Qdisc(_))
        | (Resource::TrafficFilter(_), Resource::TrafficFilter(_)) => {
            let steps = [Step::Delete(place, from.clone()), Step::Create(place, to.clone())];
            simple::apply(linux, place, &steps)?.into_iter().collect()
        }
        // Equal keys are equal in every field that counts.
        (Resource::IptablesChain(_), Resource::IptablesChain(_))
        | (Resource::IptablesRule(_), Resource::IptablesRule(_))
        | (Resource::FirewalldSource(_), Resource::FirewalldSource(_)) => Ok(()),
        (from, to) => Err(error(format!("{} found where {} is wanted", from.kind(), to.kind()))),
    }
}

fn delete(linux: &mut Linux, place: Place, resource: &Resource) -> Result<(), KernelError> {
    match resource {
        Resource::Bridge(bridge) => linux.delete_link(place, &bridge.name),
        Resource::IdleBridge(idle) => linux.remove_idle_bridge(idle),
        Resource::Veth(veth) => linux.delete_link(place, &veth.name),
        Resource::MovedDevice(device) => linux.give_device_back(place, device),
        Resource::AnyLink(any) => linux.delete_link(place, &any.name),
        Resource::VirtualLink(link) => linux.delete_link(place, &link.name),
        Resource::Membership(membership) => linux.end_membership(place, membership),
        // These go with their link, or are not things that can be away.
        Resource::BridgePort(_)
        | Resource::FastPath(_)
        | Resource::AddressGuard(_)
        | Resource::Offloads(_)
        | Resource::Sysctl(_)
        | Resource::Await(_)
        | Resource::ConflictProbe(_)
        | Resource::Announcement(_) => Ok(()),
        Resource::IptablesChain(chain) => iptables::delete_chain(linux, place, chain),
        Resource::IptablesRule(rule) => iptables::delete_rule(linux, place, rule),
        Resource::FirewalldSource(source) => firewalld::delete(linux, source),
        Resource::StaleFlows(stale) => flows::flush(linux, place, stale),
        grouped => misplaced(grouped),
    }
}

/// Kinds that go to the kernel in groups never come here.
fn misplaced(resource: &Resource) -> Result<(), KernelError> {
    Err(error(format!("{} does not go alone", resource.kind())))
}
