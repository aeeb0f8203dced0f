//! nftables: steps that follow each other at one place become one transaction, all or nothing.
//!
//! A transaction that fails costs the kernel a grace period (5 to 18 ms on Linux 6.18, and other
//! users of nftables wait as well), and so does one that deletes. So nothing here relies on
//! failing: what is deleted is looked for first, and elements expire instead of being deleted.

mod changes;
mod find;

use std::time::{Duration, Instant};

pub(super) use find::{
    SeenElements, ask_for_policies, drops_by_default, find, has_chain, is_usable, is_usable_for,
    owned,
};
use ropewalk_netstate::{KernelError, Place, Resource, Step, resource::NftElements};
use rustix::io::Errno;

use self::changes::{Changes, changes, delete_at_once};
use super::{Linux, release};
use crate::{
    error::{error_with, is},
    netlink::Message,
    translate::nft::transaction,
};

/// How long a transaction is put together anew because something it deletes has just gone, or
/// something that has the key of a new element is about to expire.
const PATIENCE: Duration = Duration::from_millis(200);

/// So often it is done at least: on a busy machine one that fails may take longer than that.
const LEAST_ATTEMPTS: u32 = 3;

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
    let deadline = Instant::now() + PATIENCE;
    let mut attempts = 0;
    loop {
        attempts += 1;
        let Changes { messages, owners, expiring } = changes(linux, place, steps)?;
        let Err((message, error)) = transact(linux, place, messages) else {
            if !expiring.is_empty() {
                linux.expired_at = Some(Instant::now());
            }
            return confirm_expiry(linux, place, expiring);
        };
        let failed = message.and_then(|index| owners.get(index)).copied().unwrap_or(0);
        let verdict = judge(linux, place, &steps[failed], error);
        match verdict {
            Verdict::TryAgain(_) if attempts < LEAST_ATTEMPTS || Instant::now() < deadline => {
                linux.seen_elements.clear();
            }
            Verdict::TryAgain(error) | Verdict::Final(error) => return Err((failed, error)),
        }
    }
}

/// Sends changes, if there are any. On failure tells the message that failed, if it was one.
fn transact(
    linux: &mut Linux,
    place: Place,
    messages: Vec<Message>,
) -> Result<(), (Option<usize>, KernelError)> {
    if messages.is_empty() {
        return Ok(());
    }
    let socket = linux.netfilter(place).map_err(|error| (None, error))?;
    // The message that begins the transaction comes first.
    socket.transact(transaction(messages)).map_err(|(index, error)| (index.checked_sub(1), error))
}

/// Kernels before 6.12 cannot shorten the life of an element: there it is deleted after all.
fn confirm_expiry(
    linux: &mut Linux,
    place: Place,
    expiring: Vec<(usize, NftElements)>,
) -> Result<(), (usize, KernelError)> {
    if expiring.is_empty() || release::is_at_least((6, 12)) {
        return Ok(());
    }
    for (step, elements) in expiring {
        let alive = linux.elements_of_owner(place, &elements).map_err(|error| (step, error))?;
        let messages = delete_at_once(&elements.set, &alive);
        transact(linux, place, messages).map_err(|(_, error)| (step, error))?;
    }
    Ok(())
}

/// What a failed transaction means.
enum Verdict {
    Final(KernelError),
    TryAgain(KernelError),
}

fn judge(linux: &mut Linux, place: Place, step: &Step, error: KernelError) -> Verdict {
    // What is to go has gone, or somebody else has its key by now.
    let has_gone = match step {
        Step::Create(..) => false,
        Step::Change { .. } => is(&error, Errno::NOENT),
        Step::Delete(..) => is(&error, Errno::NOENT) || is(&error, Errno::EXIST),
    };
    if has_gone {
        return Verdict::TryAgain(error);
    }
    match step.resource() {
        Resource::NftElements(wanted) if is(&error, Errno::EXIST) => {
            explain_taken(linux, place, wanted, error)
        }
        _ => Verdict::Final(error),
    }
}

/// Names the key that is taken, and by whom. If none is, the element that had it is expiring.
fn explain_taken(
    linux: &mut Linux,
    place: Place,
    wanted: &NftElements,
    error: KernelError,
) -> Verdict {
    let Ok(found) = linux.elements_with_keys(place, wanted) else { return Verdict::Final(error) };
    let Some(taken) = found.into_iter().next() else { return Verdict::TryAgain(error) };
    let key: Vec<String> = taken.key.iter().map(ToString::to_string).collect();
    let key = key.join(".");
    let reason = match &taken.tag {
        Some(owner) => format!("{key} is already used by {owner}"),
        None => format!("{key} is already used in {}", wanted.set),
    };
    Verdict::Final(error_with(Errno::EXIST, reason))
}
