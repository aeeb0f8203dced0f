//! Desired network state, observed network state, and the steps between them.
//!
//! A plugin says what should be ([`Desired`]); a [`Kernel`] says what is ([`Observed`]); the
//! functions in [`converge`] turn the difference into the CNI verbs. This crate is pure
//! (`no_std`): it never talks to a kernel itself and never touches a file.

#![no_std]

extern crate alloc;

pub mod converge;
mod desired;
mod kernel;
mod owner;
mod plan;
pub mod resource;
mod step;

pub use desired::{Desired, Item, Lifetime, Place};
pub use kernel::{
    IptablesNames, Kernel, KernelError, Memory, MemoryError, Observed, Owned, Partial, Probe, Scope,
};
pub use owner::{Owner, Tag};
pub use plan::{Conflict, Finding, Plan, Planned, plan_add, plan_check, plan_del};
pub use resource::{Key, Mismatch, Resource};
pub use step::Step;
