//! From desired and observed state to steps: pure functions, one per CNI verb.

use alloc::{boxed::Box, format, vec::Vec};
use core::fmt;

use crate::{
    desired::{Desired, Item, Lifetime, Place},
    kernel::Observed,
    resource::{Address, Mismatch, NftElements, Resource},
    step::Step,
};

/// A step and whose it is, which decides whether a failing ADD takes it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Whose it is.
    pub lifetime: Lifetime,
    /// What to do.
    pub step: Step,
}

/// Steps in order, and the values that are borrowed on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Planned>,
    /// What was found under the keys of borrowed items, to be remembered before the first step.
    pub borrowed: Vec<(Place, Resource)>,
}

/// Why an ADD cannot start. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// Something of this attachment exists already.
    AlreadyThere(Place, Resource),
    /// A key in a set belongs to another owner, or a link to another master. First what was wanted,
    /// then what was found.
    Taken(Resource, Resource),
    /// A link has an address that conflicts. First what was wanted, then what was found.
    OtherAddress(Resource, Resource),
    /// Something of another kind has the name. First what was wanted, then what was found.
    OtherKind(Resource, Resource),
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyThere(place, resource) => write!(f, "{resource} already exists {place}"),
            Self::Taken(wanted, found) => match found {
                Resource::NftElements(found) => write!(f, "{}", Taken(found)),
                Resource::Membership(found) => {
                    write!(f, "{wanted} cannot be made: it is a port of {}", found.master)
                }
                _ => write!(f, "{wanted} is taken"),
            },
            Self::OtherAddress(wanted, _) => match wanted {
                Resource::AddressGuard(guard) => write!(
                    f,
                    "{:?} already has an IP address different from {}",
                    guard.link,
                    guard.keep.first().map_or_else(Default::default, |keep| format!("{keep}")),
                ),
                other => write!(f, "{other} conflicts"),
            },
            Self::OtherKind(wanted, found) => {
                write!(f, "{wanted} cannot be made: {found} is of another kind")
            }
        }
    }
}

impl core::error::Error for Conflict {}

struct Taken<'a>(&'a NftElements);

impl fmt::Display for Taken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (key, owner)) in self.0.taken.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            for (part, datum) in key.iter().enumerate() {
                write!(f, "{}{datum}", if part > 0 { "." } else { "" })?;
            }
            match owner {
                Some(owner) => write!(f, " is already used by {owner}")?,
                None => write!(f, " is already used in {}", self.0.set)?,
            }
        }
        Ok(())
    }
}

/// What CHECK found wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What should be.
    pub item: Item,
    /// The fields that differ; empty if the whole is missing.
    pub mismatches: Vec<Mismatch>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (resource, place) = (&self.item.resource, self.item.place);
        if self.mismatches.is_empty() {
            return write!(f, "{resource} is missing {place}");
        }
        write!(f, "{resource} {place} is not as it was made: ")?;
        for (index, mismatch) in self.mismatches.iter().enumerate() {
            write!(f, "{}{mismatch}", if index > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

/// The steps of an ADD.
pub fn plan_add(desired: &Desired, observed: &Observed) -> Result<Plan, Box<Conflict>> {
    let mut plan = Plan::default();
    for item in desired.items() {
        let found = observed.find(item.place, &item.resource.key());
        add_item(&mut plan, item, found)?;
    }
    Ok(plan)
}

fn add_item(plan: &mut Plan, item: &Item, found: Option<&Resource>) -> Result<(), Box<Conflict>> {
    let Item { place, lifetime, resource } = item;
    if *lifetime == Lifetime::Predecessor || resource.is_empty() {
        return Ok(());
    }
    if resource.is_action() {
        plan.push(*lifetime, Step::Create(*place, resource.clone()));
        return Ok(());
    }
    if let Resource::AddressGuard(_) = resource {
        return guard_addresses(plan, item, found);
    }
    if let (Resource::NftElements(wanted), Some(Resource::NftElements(found))) = (resource, found) {
        take_over(plan, item, wanted, found)?;
    }
    let found = found.filter(|found| !found.is_empty());
    if let Some(found) = found.filter(|found| found.kind() != resource.kind()) {
        return Err(Box::new(Conflict::OtherKind(resource.clone(), found.clone())));
    }
    match (lifetime, found) {
        // A link of the host that somebody put elsewhere is not for us to take.
        (Lifetime::Shared, Some(found @ Resource::Membership(_)))
            if !resource.compare(found).is_empty() =>
        {
            return Err(Box::new(Conflict::Taken(resource.clone(), found.clone())));
        }
        (Lifetime::Attachment, Some(_)) if resource.tells_owner() => {
            return Err(Box::new(Conflict::AlreadyThere(*place, resource.clone())));
        }
        (_, None) => plan.push(*lifetime, Step::Create(*place, resource.clone())),
        (_, Some(found)) if resource.compare(found).is_empty() && !is_always_set(item) => {}
        (_, Some(found)) => {
            if *lifetime == Lifetime::Borrowed {
                plan.borrowed.push((*place, found.clone()));
            }
            let (from, to) = (found.clone(), resource.clone());
            plan.push(*lifetime, Step::Change { place: *place, from, to });
        }
    }
    Ok(())
}

/// Whether it is set even if it is as wanted now: setting one sysctl may set another, as that of
/// forwarding does, so that what is as wanted before the first step need not be so after it.
fn is_always_set(item: &Item) -> bool {
    item.lifetime == Lifetime::Borrowed && matches!(item.resource, Resource::Sysctl(_))
}

/// Elements that another owner has under wanted keys go, or are a conflict.
fn take_over(
    plan: &mut Plan,
    item: &Item,
    wanted: &NftElements,
    found: &NftElements,
) -> Result<(), Box<Conflict>> {
    if !wanted.replaces && !found.taken.is_empty() {
        let (wanted, found) = (wanted.clone().into(), found.clone().into());
        return Err(Box::new(Conflict::Taken(wanted, found)));
    }
    for (key, owner) in &found.taken {
        let owner = owner.clone().unwrap_or_else(|| wanted.tag.clone());
        let stale = NftElements::new(wanted.set.clone(), owner)
            .with(key.clone(), wanted.elements[key].clone());
        plan.push(Lifetime::Shared, Step::Delete(item.place, stale.into()));
    }
    Ok(())
}

fn guard_addresses(
    plan: &mut Plan,
    item: &Item,
    found: Option<&Resource>,
) -> Result<(), Box<Conflict>> {
    let (Resource::AddressGuard(guard), Some(Resource::AddressGuard(present))) =
        (&item.resource, found)
    else {
        return Ok(());
    };
    let conflicts = guard.conflicts(present);
    if conflicts.is_empty() {
        return Ok(());
    }
    if !guard.replace {
        return Err(Box::new(Conflict::OtherAddress(guard.clone().into(), present.clone().into())));
    }
    for prefix in conflicts {
        let address = Address::new(guard.link.clone(), prefix);
        plan.push(item.lifetime, Step::Delete(item.place, address.into()));
    }
    Ok(())
}

impl Plan {
    fn push(&mut self, lifetime: Lifetime, step: Step) {
        self.steps.push(Planned { lifetime, step });
    }
}

/// The steps that make what is missing of a state; what is there stays as it is.
pub(crate) fn plan_completion(desired: &Desired, observed: &Observed) -> Vec<Step> {
    let is_missing = |item: &&Item| {
        let found = observed.find(item.place, &item.resource.key());
        item.lifetime != Lifetime::Predecessor
            && !item.resource.is_action()
            && !item.resource.is_empty()
            && found.is_none_or(Resource::is_empty)
    };
    let missing = desired.items().iter().filter(is_missing);
    missing.map(|item| Step::Create(item.place, item.resource.clone())).collect()
}

/// What is not as ADD left it.
pub fn plan_check(desired: &Desired, observed: &Observed) -> Vec<Finding> {
    let checked = |item: &&Item| {
        !matches!(item.lifetime, Lifetime::Predecessor | Lifetime::Initial)
            && !item.resource.is_action()
            && !item.resource.is_empty()
            && !matches!(item.resource, Resource::AddressGuard(_))
    };
    let finding = |item: &Item| {
        let found =
            observed.find(item.place, &item.resource.key()).filter(|found| !found.is_empty());
        let mismatches = found.map(|found| item.resource.compare(found));
        match mismatches {
            Some(mismatches) if mismatches.is_empty() => None,
            None if item.resource.is_optional() => None,
            other => Some(Finding { item: item.clone(), mismatches: other.unwrap_or_default() }),
        }
    };
    desired.items().iter().filter(checked).filter_map(finding).collect()
}

/// The steps of a DEL: what is owned and there goes, in reverse order; what was borrowed returns.
pub fn plan_del(
    desired: &Desired,
    observed: &Observed,
    remembered: &[(Place, Resource)],
) -> Vec<Step> {
    let gone = |item: &Item| {
        let found =
            observed.find(item.place, &item.resource.key()).filter(|found| !found.is_empty());
        match item.lifetime {
            Lifetime::Attachment if item.resource.is_action() => {
                Some(Step::Delete(item.place, item.resource.clone()))
            }
            // What has our name and is of another kind is not ours.
            Lifetime::Attachment | Lifetime::Predecessor => found
                .filter(|found| found.kind() == item.resource.kind())
                .map(|found| Step::Delete(item.place, found.clone())),
            Lifetime::Borrowed | Lifetime::Shared | Lifetime::Dependent | Lifetime::Initial => None,
        }
    };
    let returned = |(place, value): &(Place, Resource)| {
        let found = observed.find(*place, &value.key())?;
        let differs = !value.compare(found).is_empty();
        differs.then(|| Step::Change { place: *place, from: found.clone(), to: value.clone() })
    };
    let given_back = remembered.iter().rev().filter_map(returned);
    given_back.chain(desired.items().iter().rev().filter_map(gone)).collect()
}
