//! Faults: a plugin is killed at a system call, or the call fails; then the runtime does what it
//! does, and the host is as before.
//!
//! A fault is one line of text, and that line tries it again. It must never be left to chance what
//! is tried: a seed chooses.

mod call;
mod fault;
mod stage;

pub use call::{Call, Trace, is_begun_anew};
pub use fault::{Answer, Fault, Kind};
pub use stage::try_faults;
