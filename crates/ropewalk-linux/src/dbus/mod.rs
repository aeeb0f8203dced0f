//! As much of D-Bus as it takes to ask firewalld: a blocking client of the system bus, calls with
//! text arguments, answers that are a truth value or a text.
//!
//! It must not trust what it reads: whatever comes, it answers with an error, in bounded time and
//! memory. Signals, file descriptors, properties and serving calls are not here.
//!
//! Rejected: `zbus`, which brings an async runtime; `dbus`, which needs the C library; `rustbus`,
//! which blocks as we do, and is eleven thousand lines on `nix` and procedural macros for the three
//! calls that are made here.

mod address;
mod client;
mod message;
#[cfg(test)]
mod tests;

pub(crate) use client::{Bus, CallError};
pub(crate) use message::{Activation, MethodCall, Reply};
