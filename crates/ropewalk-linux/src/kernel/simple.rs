//! Steps that are one rtnetlink message each and need nothing from each other's answers:
//! addresses, routes, rules, neighbours, traffic control, link attributes. Those that follow each
//! other are sent at once.

use ropewalk_netstate::{
    KernelError, Place, Resource, Step,
    resource::{
        Address, Attribute, LinkAttribute, Route,
        traffic::{Discipline, Verdict},
    },
};
use rustix::io::Errno;

use super::{Linux, sysctl::cannot_write};
use crate::{
    error::is,
    netlink::Message,
    translate::{address, link, neighbour, route, routing_rule, sysctl, traffic},
};

/// Whether a step takes a route away. These go apart from the others, because what is sent with a
/// step that fails is done all the same, and not every route can be put back.
pub(super) fn is_removal(step: &Step) -> bool {
    matches!(step, Step::Create(_, Resource::RouteAbsence(_)))
}

/// Whether a step is one of these.
pub(super) fn is_simple(step: &Step) -> bool {
    match step {
        Step::Create(_, Resource::Address(address)) if address.pins_mac => false,
        Step::Create(_, Resource::RouteAbsence(_)) => false,
        Step::Create(_, Resource::Sysctl(wanted))
        | Step::Change { to: Resource::Sysctl(wanted), .. } => {
            sysctl::link_by_message(wanted).is_some()
        }
        Step::Create(_, resource) | Step::Delete(_, resource) => matches!(
            resource,
            Resource::Address(_)
                | Resource::Route(_)
                | Resource::RouteAbsence(_)
                | Resource::RoutingRule(_)
                | Resource::Neighbour(_)
                | Resource::Qdisc(_)
                | Resource::TrafficClass(_)
                | Resource::TrafficFilter(_)
                | Resource::LinkAttribute(_)
        ),
        Step::Change { to, .. } => {
            matches!(
                to,
                Resource::Neighbour(_) | Resource::TrafficClass(_) | Resource::LinkAttribute(_)
            )
        }
    }
}

/// Sends steps at one place together. Returns what became of each; steps behind one whose link is
/// missing are not tried and have no verdict.
pub(super) fn apply(
    linux: &mut Linux,
    place: Place,
    steps: &[Step],
) -> Result<Vec<Result<(), KernelError>>, KernelError> {
    let mut messages = Vec::new();
    let mut sent = Vec::new();
    let mut failure = None;
    for step in steps {
        match message(linux, place, step) {
            Ok(Some(message)) => {
                messages.push(message);
                sent.push(true);
            }
            Ok(None) => sent.push(false),
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    messages.extend(questions(linux, place, steps));
    let answers = linux.exchange_about_links(place, messages)?;
    for step in steps {
        // What was told of a link may be older than this change of its MAC.
        if let Resource::LinkAttribute(changed) = step.resource()
            && !matches!(changed.attribute, Attribute::Up(_) | Attribute::PacketSize(_))
        {
            linux.sockets(place).told.remove(&*changed.link);
        }
    }
    let mut answers = answers.into_iter();
    let mut verdicts = Vec::new();
    for (step, was_sent) in steps.iter().zip(sent) {
        let answer = if was_sent { answers.next().unwrap_or(Ok(())) } else { Ok(()) };
        verdicts.push(settle(linux, place, step, answer));
    }
    verdicts.extend(failure.map(Err));
    Ok(verdicts)
}

/// A link that has come up is asked for at once: its MAC is of interest next.
fn questions(linux: &mut Linux, place: Place, steps: &[Step]) -> Vec<Message> {
    let mut questions = Vec::new();
    for step in steps {
        if let Step::Create(_, Resource::LinkAttribute(set)) = step
            && set.attribute == Attribute::Up(true)
            && let Ok(index) = linux.index_of(place, &set.link)
        {
            questions.push(link::find_by_index(index));
        }
    }
    questions
}

/// Adds an address and writes the link's MAC back, which makes it the link's own: a bridge then
/// stops following the MACs of its ports (`br_stp_recalculate_bridge_id` in net/bridge/br_stp_if.c).
pub(super) fn create_pinning(
    linux: &mut Linux,
    place: Place,
    address: &Address,
) -> Result<(), KernelError> {
    let link = address.link.clone();
    let plain = Address { pins_mac: false, ..address.clone() };
    let mut steps = vec![Step::Create(place, plain.into())];
    if let Some(mac) = linux.link_state(place, &link)?.and_then(|state| state.mac) {
        let attribute = Attribute::Mac(mac);
        steps.push(Step::Create(place, LinkAttribute { link, attribute }.into()));
    }
    apply(linux, place, &steps)?.into_iter().collect()
}

/// The message of a step; `None` if there is nothing to do.
fn message(linux: &mut Linux, place: Place, step: &Step) -> Result<Option<Message>, KernelError> {
    if let Resource::RoutingRule(rule) = step.resource() {
        let is_deleted = matches!(step, Step::Delete(..));
        let message =
            if is_deleted { routing_rule::delete(rule) } else { routing_rule::create(rule) };
        return Ok(Some(message));
    }
    if let Resource::Sysctl(wanted) = step.resource() {
        let Some(name) = sysctl::link_by_message(wanted) else { return Ok(None) };
        return match linux.index_of(place, &name) {
            Err(error) if !is(&error, Errno::NODEV) => Err(error),
            Err(_) if wanted.optional => Ok(None),
            Err(_) => Err(cannot_write(wanted, Errno::NOENT)),
            Ok(index) => Ok(Some(sysctl::set(wanted, index))),
        };
    }
    let index = match step.resource().link() {
        Some(name) => linux.index_of(place, name),
        None => return Ok(None),
    };
    if matches!(step, Step::Delete(..))
        && let Err(error) = &index
        && is(error, Errno::NODEV)
    {
        return Ok(None);
    }
    let index = index?;
    Ok(match step {
        Step::Create(_, resource) | Step::Change { to: resource, .. } => match resource {
            Resource::Address(wanted) => Some(address::create(wanted, index)),
            Resource::Route(wanted) => Some(route::create(wanted, index)),
            Resource::RouteAbsence(unwanted) => Some(route::delete(&unwanted.0, index)),
            Resource::Neighbour(wanted) => Some(neighbour::create(wanted, index)),
            Resource::Qdisc(wanted) => traffic::create_qdisc(wanted, index),
            Resource::TrafficClass(wanted) => Some(traffic::set_class(wanted, index)),
            Resource::TrafficFilter(wanted) => {
                let target = match &wanted.verdict {
                    Verdict::Redirect(target) => linux.index_of(place, target)?,
                    Verdict::Class(_) | Verdict::Other => 0,
                };
                traffic::create_filter(wanted, index, target)
            }
            Resource::LinkAttribute(wanted) => Some(link::set_attribute(index, wanted.attribute)),
            _ => None,
        },
        Step::Delete(_, resource) => match resource {
            Resource::Address(there) => Some(address::delete(there.prefix, index)),
            Resource::Route(there) => Some(route::delete(there, index)),
            Resource::RouteAbsence(missing) => Some(route::create(&missing.0, index)),
            Resource::Neighbour(there) => Some(neighbour::delete(there.ip, index)),
            // Of another kind it is not ours.
            Resource::Qdisc(there) => match there.discipline {
                Discipline::Other(_) => None,
                _ => Some(traffic::delete_qdisc(there.hook, index)),
            },
            Resource::TrafficClass(there) => Some(traffic::delete_class(there.number, index)),
            Resource::TrafficFilter(there) => {
                Some(traffic::delete_filter(there.hook, there.priority, index))
            }
            Resource::LinkAttribute(there) if there.attribute == Attribute::Up(true) => {
                Some(link::set_attribute(index, Attribute::Up(false)))
            }
            _ => None,
        },
    })
}

/// Takes the wanted state for success, whoever brought it about.
fn settle(
    linux: &mut Linux,
    place: Place,
    step: &Step,
    answer: Result<(), KernelError>,
) -> Result<(), KernelError> {
    let Err(error) = answer else { return Ok(()) };
    let is_as_wanted = match step {
        Step::Delete(_, Resource::RouteAbsence(missing)) if is(&error, Errno::EXIST) => {
            has_route(linux, place, &missing.0)?
        }
        Step::Create(_, Resource::RouteAbsence(_)) | Step::Delete(..) => is_absence(&error),
        Step::Create(_, Resource::Address(wanted)) if is(&error, Errno::EXIST) => {
            has_address(linux, place, wanted)?
        }
        Step::Create(_, Resource::Route(wanted)) if is(&error, Errno::EXIST) => {
            has_route(linux, place, wanted)?
        }
        Step::Create(..) | Step::Change { .. } => false,
    };
    if is_as_wanted { Ok(()) } else { Err(error) }
}

fn is_absence(error: &KernelError) -> bool {
    [Errno::NODEV, Errno::NOENT, Errno::SRCH, Errno::ADDRNOTAVAIL].iter().any(|&e| is(error, e))
}

fn has_address(linux: &mut Linux, place: Place, wanted: &Address) -> Result<bool, KernelError> {
    let index = linux.index_of(place, &wanted.link)?;
    let all = linux.addresses(place, Some(wanted.prefix.family()), index)?;
    Ok(all.iter().any(|found| found.prefix == wanted.prefix && !found.is_duplicate()))
}

fn has_route(linux: &mut Linux, place: Place, wanted: &Route) -> Result<bool, KernelError> {
    let index = linux.index_of(place, &wanted.link)?;
    let found = linux.find_route(place, wanted, index)?;
    let wanted = Resource::Route(wanted.clone());
    Ok(found.is_some_and(|found| wanted.compare(&Resource::Route(found)).is_empty()))
}
