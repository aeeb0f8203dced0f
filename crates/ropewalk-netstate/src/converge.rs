//! The CNI verbs over a kernel: observe, compare, apply, undo.

use alloc::{boxed::Box, string::String, vec::Vec};
use core::fmt;

use crate::{
    desired::{Desired, Item, Lifetime, Place},
    kernel::{Kernel, KernelError, Memory, MemoryError, Observed, Partial, Probe, Scope},
    plan::{Conflict, Finding, Plan, Planned, plan_add, plan_check, plan_completion, plan_del},
    step::Step,
};

/// Why a verb failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConvergeError {
    /// The state found does not allow it; nothing was changed.
    Conflict(Box<Conflict>),
    /// The kernel could not be asked; nothing was changed.
    Observe(KernelError),
    /// A step failed; at an ADD, everything but shared things was taken back.
    Step {
        /// The step.
        step: Box<Step>,
        /// Why it failed.
        error: KernelError,
        /// Steps that could not be taken back, and why.
        left: Vec<(Step, KernelError)>,
    },
    /// What is borrowed could not be remembered or recalled.
    Memory(MemoryError),
}

impl fmt::Display for ConvergeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict(conflict) => conflict.fmt(f),
            Self::Observe(error) => write!(f, "failed to read network state: {error}"),
            Self::Step { step, error, left } => {
                write!(f, "failed to {step}: {error}")?;
                for (step, error) in left {
                    write!(f, "; and then failed to {step}: {error}")?;
                }
                Ok(())
            }
            Self::Memory(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ConvergeError {}

impl From<MemoryError> for ConvergeError {
    fn from(error: MemoryError) -> Self {
        Self::Memory(error)
    }
}

/// What an ADD would do, without doing it.
pub fn preview(kernel: &mut dyn Kernel, desired: &Desired) -> Result<Plan, ConvergeError> {
    let observed = kernel.observe(&probes_of_wanted(desired)).map_err(ConvergeError::Observe)?;
    plan_add(desired, &observed).map_err(ConvergeError::Conflict)
}

/// What [`add`] has done.
#[derive(Clone, Debug)]
pub struct Done(Plan);

/// ADD: makes the desired state. On failure nothing is left but shared things.
pub fn add(
    kernel: &mut dyn Kernel,
    memory: &mut dyn Memory,
    desired: &Desired,
) -> Result<Done, ConvergeError> {
    let plan = preview(kernel, desired)?;
    if !plan.borrowed.is_empty() {
        memory.remember(&plan.borrowed)?;
    }
    let Err(Partial { done, failed, error }) = apply_all(kernel, &plan.steps) else {
        return Ok(Done(plan));
    };
    let left = take_back(kernel, memory, &plan, &done)?;
    let step = Box::new(plan.steps[failed].step.clone());
    Err(ConvergeError::Step { step, error, left })
}

/// Takes back what an ADD has done, because something behind it failed. Nothing is left but shared
/// things.
pub fn undo(
    kernel: &mut dyn Kernel,
    memory: &mut dyn Memory,
    Done(plan): &Done,
) -> Result<(), ConvergeError> {
    let all: Vec<usize> = (0..plan.steps.len()).collect();
    let mut left = take_back(kernel, memory, plan, &all)?.into_iter();
    let Some((step, error)) = left.next() else { return Ok(()) };
    Err(ConvergeError::Step { step: Box::new(step), error, left: left.collect() })
}

/// Applies all steps. A shared thing that another ADD has made in the meantime is as good as ours.
fn apply_all(kernel: &mut dyn Kernel, planned: &[Planned]) -> Result<(), Partial> {
    let mut pending: Vec<usize> = (0..planned.len()).collect();
    let mut all_done = Vec::new();
    loop {
        let steps: Vec<Step> = pending.iter().map(|&index| planned[index].step.clone()).collect();
        let Err(Partial { done, failed, error }) = kernel.apply(&steps) else {
            return Ok(());
        };
        all_done.extend(done.iter().map(|&index| pending[index]));
        let failed = pending[failed];
        if !was_made_by_another(kernel, &planned[failed], &error) {
            return Err(Partial { done: all_done, failed, error });
        }
        pending.retain(|index| *index != failed && !all_done.contains(index));
    }
}

/// Whether a step failed only because another ADD was faster.
fn was_made_by_another(kernel: &mut dyn Kernel, planned: &Planned, error: &KernelError) -> bool {
    const EEXIST: i32 = 17;
    let (Lifetime::Shared, Step::Create(place, resource)) = (planned.lifetime, &planned.step)
    else {
        return false;
    };
    let probe = Probe { place: *place, resource };
    error.errno == EEXIST
        && kernel.observe(&[probe]).is_ok_and(|observed| {
            let found = observed.find(*place, &resource.key());
            found.is_some_and(|found| resource.compare(found).is_empty())
        })
}

/// Undoes the steps done, last first, one by one so that one failure does not stop the others.
/// Answers what could not be undone; if all could, what was borrowed is given back.
fn take_back(
    kernel: &mut dyn Kernel,
    memory: &mut dyn Memory,
    plan: &Plan,
    done: &[usize],
) -> Result<Vec<(Step, KernelError)>, MemoryError> {
    let own = done.iter().rev().filter_map(|&index| plan.steps.get(index)).filter(|planned| {
        planned.lifetime != Lifetime::Shared && !planned.step.resource().is_passing()
    });
    let mut left = Vec::new();
    for planned in own {
        let undo = planned.step.undo();
        if let Err(partial) = kernel.apply(core::slice::from_ref(&undo)) {
            left.push((undo, partial.error));
        }
    }
    if left.is_empty() && !plan.borrowed.is_empty() {
        memory.forget()?;
    }
    Ok(left)
}

/// CHECK: what is not as ADD left it; empty if all is well.
pub fn check(kernel: &mut dyn Kernel, desired: &Desired) -> Result<Vec<Finding>, ConvergeError> {
    let observed = kernel.observe(&probes_of_wanted(desired)).map_err(ConvergeError::Observe)?;
    Ok(plan_check(desired, &observed))
}

/// DEL: takes away what the attachment owns and gives back what it borrowed. Absent is fine.
///
/// What the reference plugins would have made is looked for only where nothing of ours is found.
pub fn del(
    kernel: &mut dyn Kernel,
    memory: &mut dyn Memory,
    desired: &Desired,
) -> Result<(), ConvergeError> {
    let remembered = memory.recall()?;
    let mut probes = probes_of_owned(desired);
    probes.extend(remembered.iter().map(|(place, resource)| Probe { place: *place, resource }));
    let mut observed = kernel.observe(&probes).map_err(ConvergeError::Observe)?;
    if !owns_something(desired, &observed) {
        let older = predecessors(desired);
        if !older.is_empty() {
            let found = kernel.observe(&older).map_err(ConvergeError::Observe)?;
            for (place, resource) in found.iter() {
                observed.insert(place, resource.key(), resource.clone());
            }
        }
    }
    delete(kernel, &plan_del(desired, &observed, &remembered))?;
    Ok(memory.forget()?)
}

/// The steps from one form of an attachment's things to another: first what is missing of the
/// wanted form is made, then what is owned of the other form goes.
pub fn preview_exchange(
    kernel: &mut dyn Kernel,
    wanted: &Desired,
    other: &Desired,
) -> Result<Vec<Step>, ConvergeError> {
    let there = kernel.observe(&probes_of_wanted(wanted)).map_err(ConvergeError::Observe)?;
    let owned = kernel.observe(&probes_of_owned(other)).map_err(ConvergeError::Observe)?;
    let mut steps = plan_completion(wanted, &there);
    steps.extend(plan_del(other, &owned, &[]));
    Ok(steps)
}

/// Does what [`preview_exchange`] tells. Nothing is taken back if a step fails, since nothing was
/// taken away before all was made; doing it again goes on.
pub fn exchange(
    kernel: &mut dyn Kernel,
    wanted: &Desired,
    other: &Desired,
) -> Result<Vec<Step>, ConvergeError> {
    let steps = preview_exchange(kernel, wanted, other)?;
    match kernel.apply(&steps) {
        Ok(()) => Ok(steps),
        Err(Partial { failed, error, .. }) => {
            let step = Box::new(steps[failed].clone());
            Err(ConvergeError::Step { step, error, left: Vec::new() })
        }
    }
}

/// GC: deletes what lies in the scopes, belongs to the network and whose owner is not valid.
/// `network` and `valid` are hashes, see [`crate::Owner`]; for things that tell a container alone,
/// `valid` has the hashes with [`crate::Owner::ANY_INTERFACE`] too.
pub fn gc(
    kernel: &mut dyn Kernel,
    scopes: &[Scope],
    network: &str,
    valid: &[String],
) -> Result<Vec<Step>, ConvergeError> {
    let mut steps = Vec::new();
    for scope in scopes {
        let owned = kernel.owned(scope).map_err(ConvergeError::Observe)?;
        let stale = owned.into_iter().filter(|owned| {
            let attachment = owned.tag.attachment();
            let is_shared = attachment.bytes().all(|byte| byte == b'0');
            // The name of a chain tells the starts of the hashes.
            let is_valid = valid.iter().any(|valid| valid.starts_with(attachment));
            network.starts_with(owned.tag.network()) && !is_shared && !is_valid
        });
        steps.extend(stale.map(|owned| Step::Delete(Place::Host, owned.resource)));
    }
    delete(kernel, &steps)?;
    Ok(steps)
}

/// Deletes what lies in the scopes and belongs to one attachment, named by its hash. The name of a
/// chain tells the start of it, and so may the caller who knows no more.
pub fn forget(
    kernel: &mut dyn Kernel,
    scopes: &[Scope],
    attachment: &str,
) -> Result<Vec<Step>, ConvergeError> {
    let mut steps = Vec::new();
    for scope in scopes {
        let owned = kernel.owned(scope).map_err(ConvergeError::Observe)?;
        let owned = owned.into_iter().filter(|owned| {
            let found = owned.tag.attachment();
            !found.is_empty() && attachment.starts_with(found)
        });
        steps.extend(owned.map(|owned| Step::Delete(Place::Host, owned.resource)));
    }
    delete(kernel, &steps)?;
    Ok(steps)
}

/// Deletes as much as possible: a failing step does not keep the others from being tried.
fn delete(kernel: &mut dyn Kernel, steps: &[Step]) -> Result<(), ConvergeError> {
    let mut rest = steps;
    let mut first_error = None;
    while !rest.is_empty() {
        match kernel.apply(rest) {
            Ok(()) => break,
            Err(Partial { failed, error, .. }) => {
                let step = Box::new(rest[failed].clone());
                rest = &rest[failed + 1..];
                first_error.get_or_insert(ConvergeError::Step { step, error, left: Vec::new() });
            }
        }
    }
    first_error.map_or(Ok(()), Err)
}

fn probes_of_wanted(desired: &Desired) -> Vec<Probe<'_>> {
    probes(desired, |item| {
        item.lifetime != Lifetime::Predecessor
            && !item.resource.is_action()
            && !item.resource.is_empty()
    })
}

fn probes_of_owned(desired: &Desired) -> Vec<Probe<'_>> {
    probes(desired, |item| item.lifetime == Lifetime::Attachment && !item.resource.is_action())
}

fn predecessors(desired: &Desired) -> Vec<Probe<'_>> {
    probes(desired, |item| item.lifetime == Lifetime::Predecessor)
}

fn probes(desired: &Desired, wanted: impl Fn(&Item) -> bool) -> Vec<Probe<'_>> {
    let items = desired.items().iter().filter(|item| wanted(item));
    items.map(|item| Probe { place: item.place, resource: &item.resource }).collect()
}

fn owns_something(desired: &Desired, observed: &Observed) -> bool {
    desired.items().iter().any(|item| {
        let found = observed.find(item.place, &item.resource.key());
        item.lifetime == Lifetime::Attachment
            && item.resource.is_ours_alone()
            && found.is_some_and(|found| !found.is_empty())
    })
}
