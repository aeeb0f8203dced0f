//! A host's network as it is, whoever made it: a model, who hangs on whom, its drawings, and where
//! a packet would go in it.
//!
//! `ropewalk-linux` fills the model. This crate is pure (`no_std`): it never asks a kernel, and it
//! never leaves out of the model what it cannot draw.

#![no_std]

extern crate alloc;

mod changes;
pub mod doctor;
pub mod draw;
pub mod explain;
mod graph;
pub mod lldp;
pub mod model;
#[cfg(test)]
mod samples;
pub mod shell;
pub mod terminal;
pub mod traffic;
#[cfg(test)]
mod traffic_tests;
mod uplinks;
pub mod xtables;

pub use changes::{Act, Change, Kind, changes};
pub use graph::{Graph, LinkAt, Relation};
pub use uplinks::uplinks;
