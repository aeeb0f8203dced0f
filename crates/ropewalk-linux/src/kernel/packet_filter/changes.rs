//! From steps to the messages of a transaction.

use std::collections::BTreeMap;

use ropewalk_netstate::{
    KernelError, Place, Resource, Step,
    resource::{
        NftElements, NftSet,
        nft::{Datum, ElementData, SetRef},
    },
};

use super::find::{Rule, find};
use crate::{
    error::error,
    kernel::{Linux, questions},
    netlink::Message,
    translate::nft::{chain, element, element::FoundElement, set, table},
};

/// A transaction.
#[derive(Default)]
pub(super) struct Changes {
    pub(super) messages: Vec<Message>,
    /// For each message the step it belongs to.
    pub(super) owners: Vec<usize>,
    /// Elements that expire, and the steps that let them.
    pub(super) expiring: Vec<(usize, NftElements)>,
}

/// Puts a transaction together. Whether elements that are to go are still there is asked for once
/// more, and together, if they have not just been seen: a long list may be old when its end is
/// reached.
pub(super) fn changes(
    linux: &mut Linux,
    place: Place,
    steps: &[Step],
) -> Result<Changes, (usize, KernelError)> {
    let going = steps.iter().filter_map(|step| match step {
        Step::Delete(_, there @ Resource::NftElements(elements)) => {
            linux.seen(place, elements).is_none().then_some(there)
        }
        _ => None,
    });
    let going: Vec<&Resource> = going.collect();
    questions::ask_about_filters(linux, place, &going);
    let changes = put_together(linux, place, steps);
    questions::forget_answers(linux);
    changes
}

fn put_together(
    linux: &mut Linux,
    place: Place,
    steps: &[Step],
) -> Result<Changes, (usize, KernelError)> {
    let mut changes = Changes::default();
    for (index, step) in steps.iter().enumerate() {
        let messages = match step {
            Step::Create(_, resource) => {
                create(resource, u32::try_from(index + 1).unwrap_or(u32::MAX))
            }
            Step::Change { from, to, .. } => {
                change(from, to, u32::try_from(index + 1).unwrap_or(u32::MAX))
            }
            Step::Delete(_, Resource::NftElements(there)) => {
                let is_reused = is_reused(there, &steps[index + 1..]);
                delete_elements(linux, place, there, is_reused).map(|(messages, expires)| {
                    changes.expiring.extend(expires.then(|| (index, there.clone())));
                    messages
                })
            }
            Step::Delete(_, resource) => delete(linux, place, resource),
        };
        let messages = messages.map_err(|error| (index, error))?;
        changes.owners.extend(messages.iter().map(|_| index));
        changes.messages.extend(messages);
    }
    Ok(changes)
}

impl Linux {
    /// Whether elements can expire, if they were just seen.
    fn seen(&self, place: Place, there: &NftElements) -> Option<bool> {
        let mut seen = self.seen_elements.iter();
        let seen = seen.find(|seen| seen.place == place && seen.elements == *there)?;
        Some(seen.can_expire)
    }
}

fn create(resource: &Resource, number: u32) -> Result<Vec<Message>, KernelError> {
    Ok(match resource {
        Resource::NftTable(wanted) => vec![table::create(&wanted.table)],
        Resource::NftSet(wanted) => vec![set::create(wanted, number)],
        Resource::NftChain(wanted) => chain::create(wanted),
        Resource::NftElements(wanted) => {
            let all: Vec<_> = wanted.elements.iter().collect();
            element::create(&wanted.set, &wanted.tag, &all)
        }
        other => return Err(error(format!("{} cannot be created", other.kind()))),
    })
}

fn change(from: &Resource, to: &Resource, number: u32) -> Result<Vec<Message>, KernelError> {
    Ok(match (from, to) {
        (Resource::NftChain(_), Resource::NftChain(to)) => chain::create(to),
        (Resource::NftSet(from), Resource::NftSet(to)) => {
            vec![set::delete(&from.set), set::create(to, number)]
        }
        (Resource::NftElements(from), Resource::NftElements(to)) => change_elements(from, to),
        (from, to) => return Err(error(format!("{} cannot become {}", from.kind(), to.kind()))),
    })
}

/// Replaces what differs and leaves the rest alone.
fn change_elements(from: &NftElements, to: &NftElements) -> Vec<Message> {
    let differs =
        |these: &BTreeMap<Vec<Datum>, ElementData>, key, value| these.get(key) != Some(value);
    let old = from.elements.iter().filter(|(key, value)| differs(&to.elements, *key, *value));
    let new = to.elements.iter().filter(|(key, value)| differs(&from.elements, *key, *value));
    let old: Vec<_> = old.map(|(key, _)| key).collect();
    let new: Vec<_> = new.collect();
    let mut messages = element::delete(&from.set, &old);
    messages.extend(element::create(&to.set, &to.tag, &new));
    messages
}

/// Whether one of these steps makes an element with the same key: then the old one has to go
/// within the transaction.
fn is_reused(there: &NftElements, later: &[Step]) -> bool {
    later.iter().any(|step| match step {
        Step::Create(_, Resource::NftElements(new)) => {
            new.set == there.set && new.elements.keys().any(|key| there.elements.contains_key(key))
        }
        _ => false,
    })
}

/// Takes elements away that are still there and still the owner's; whether they expire.
fn delete_elements(
    linux: &mut Linux,
    place: Place,
    there: &NftElements,
    is_reused: bool,
) -> Result<(Vec<Message>, bool), KernelError> {
    if let Some(can_expire) = linux.seen(place, there) {
        let all: Vec<_> = there.elements.iter().collect();
        return Ok(end_elements(&there.set, &all, can_expire && !is_reused));
    }
    let found = linux.elements_of_owner(place, there)?;
    if found.is_empty() {
        return Ok((Vec::new(), false));
    }
    let can_expire = linux.set(place, &there.set)?.is_some_and(|set| set.expires);
    let all: Vec<_> = found.iter().map(|element| (&element.key, &element.data)).collect();
    Ok(end_elements(&there.set, &all, can_expire && !is_reused))
}

fn end_elements(
    set: &SetRef,
    elements: &[(&Vec<Datum>, &ElementData)],
    expire: bool,
) -> (Vec<Message>, bool) {
    if expire {
        return (element::expire(set, elements), true);
    }
    let keys: Vec<_> = elements.iter().map(|(key, _)| *key).collect();
    (element::delete(set, &keys), false)
}

/// Deletes elements in the sense of the kernel.
pub(super) fn delete_at_once(set: &SetRef, elements: &[FoundElement]) -> Vec<Message> {
    let keys: Vec<_> = elements.iter().map(|element| &element.key).collect();
    element::delete(set, &keys)
}

/// Deletes what is still there.
fn delete(
    linux: &mut Linux,
    place: Place,
    resource: &Resource,
) -> Result<Vec<Message>, KernelError> {
    if let Resource::NftTaggedRules(there) = resource {
        let rules = linux.tagged_rules(place, there)?;
        let remove = |rule: Rule| chain::delete_rule(&there.table, &there.chain, rule.handle);
        return Ok(rules.into_iter().map(remove).collect());
    }
    if find(linux, place, resource)?.is_none() {
        return Ok(Vec::new());
    }
    Ok(match resource {
        Resource::NftTable(there) => vec![table::delete(&there.table)],
        Resource::NftSet(NftSet { set, .. }) => vec![set::delete(set)],
        Resource::NftChain(there) => chain::delete(there),
        other => return Err(error(format!("{} cannot be deleted", other.kind()))),
    })
}
