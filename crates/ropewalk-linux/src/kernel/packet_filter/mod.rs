//! nftables: steps that follow each other at one place become one transaction, all or nothing.
//!
//! A transaction that fails costs the kernel a grace period (5 to 18 ms on Linux 6.18, and other
//! users of nftables wait as well), so nothing here relies on failing: what is deleted is looked
//! for first.

mod find;

use std::collections::BTreeMap;

pub(super) use find::{drops_by_default, find, has_chain, is_usable, owned};
use ropewalk_netstate::{
    KernelError, Place, Resource, Step,
    resource::{
        NftElements, NftSet,
        nft::{Datum, ElementData},
    },
};
use rustix::io::Errno;

use super::Linux;
use crate::{
    error::{error, error_with, is},
    netlink::Message,
    translate::nft::{chain, element, set, table, transaction},
};

/// How often a transaction is put together anew because something it deletes has just gone.
const ATTEMPTS: usize = 3;

/// Whether a step is part of a transaction.
pub(super) fn is_part(step: &Step) -> bool {
    matches!(
        step.resource(),
        Resource::NftTable(_)
            | Resource::NftSet(_)
            | Resource::NftChain(_)
            | Resource::NftElements(_)
            | Resource::NftTaggedRules(_)
    )
}

/// Applies steps as one transaction. On failure tells the step that failed; none took effect.
pub(super) fn apply(
    linux: &mut Linux,
    place: Place,
    steps: &[Step],
) -> Result<(), (usize, KernelError)> {
    let mut attempt = 1;
    loop {
        let (changes, owners) = changes(linux, place, steps)?;
        if changes.is_empty() {
            return Ok(());
        }
        let socket = linux.netfilter(place).map_err(|error| (0, error))?;
        let Err((message, error)) = socket.transact(transaction(changes)) else { return Ok(()) };
        // The message that begins the transaction comes first.
        let failed = message.checked_sub(1).and_then(|index| owners.get(index)).copied();
        let failed = failed.unwrap_or(0);
        let may_have_gone = is(&error, Errno::NOENT) && !matches!(steps[failed], Step::Create(..));
        if may_have_gone && attempt < ATTEMPTS {
            attempt += 1;
            continue;
        }
        return Err((failed, explain(linux, place, &steps[failed], error)));
    }
}

/// The messages of all steps, and for each message the step it belongs to.
fn changes(
    linux: &mut Linux,
    place: Place,
    steps: &[Step],
) -> Result<(Vec<Message>, Vec<usize>), (usize, KernelError)> {
    let mut changes = Vec::new();
    let mut owners = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let messages = messages(linux, place, step, number).map_err(|error| (index, error))?;
        owners.extend(messages.iter().map(|_| index));
        changes.extend(messages);
    }
    Ok((changes, owners))
}

fn messages(
    linux: &mut Linux,
    place: Place,
    step: &Step,
    number: u32,
) -> Result<Vec<Message>, KernelError> {
    match step {
        Step::Create(_, resource) => create(resource, number),
        Step::Delete(_, resource) => delete(linux, place, resource),
        Step::Change { from, to, .. } => change(from, to, number),
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
    let without =
        |these: &BTreeMap<Vec<Datum>, ElementData>, key, value| these.get(key) != Some(value);
    let old = from.elements.iter().filter(|(key, value)| without(&to.elements, *key, *value));
    let new = to.elements.iter().filter(|(key, value)| without(&from.elements, *key, *value));
    let old: Vec<_> = old.map(|(key, _)| key).collect();
    let new: Vec<_> = new.collect();
    let mut messages = element::delete(&from.set, &old);
    messages.extend(element::create(&to.set, &to.tag, &new));
    messages
}

/// Deletes what is still there.
fn delete(
    linux: &mut Linux,
    place: Place,
    resource: &Resource,
) -> Result<Vec<Message>, KernelError> {
    if let Resource::NftElements(there) = resource {
        let keys = linux.keys_of_owner(place, there)?;
        return Ok(element::delete(&there.set, &keys.iter().collect::<Vec<_>>()));
    }
    if let Resource::NftTaggedRules(there) = resource {
        let rules = linux.tagged_rules(place, there)?;
        let remove = |rule: find::Rule| chain::delete_rule(&there.table, &there.chain, rule.handle);
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

/// Names the key that is taken, and by whom.
fn explain(linux: &mut Linux, place: Place, step: &Step, error: KernelError) -> KernelError {
    let Resource::NftElements(wanted) = step.resource() else { return error };
    if !is(&error, Errno::EXIST) {
        return error;
    }
    let Ok(found) = linux.elements_with_keys(place, wanted) else { return error };
    let Some(taken) = found.into_iter().next() else { return error };
    let key: Vec<String> = taken.key.iter().map(ToString::to_string).collect();
    let key = key.join(".");
    let reason = match &taken.tag {
        Some(owner) => format!("{key} is already used by {owner}"),
        None => format!("{key} is already used in {}", wanted.set),
    };
    error_with(Errno::EXIST, reason)
}
