//! Names and addresses that cannot be wrong: parsing is the only way to make one.
//!
//! This crate is pure (`no_std`): it never asks the system anything.

#![no_std]

extern crate alloc;

mod ifname;
mod mac;
mod prefix;

pub use ifname::{IfName, InvalidIfName};
pub use mac::{InvalidMac, Mac};
pub use prefix::{Family, InvalidPrefix, Prefix, Subnet};
