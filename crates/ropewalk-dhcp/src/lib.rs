//! DHCPv4 (RFC 2131) and DHCPv6 (RFC 8415, [`v6`]) as functions of bytes and time: messages,
//! options, the frames around them and the states of a client; besides, the encoding in which the
//! reference plugin and its daemon talk.
//!
//! It never sends, waits or looks at a clock: who calls brings the bytes and the time, and takes
//! away what has to be sent and when to come back. Whatever bytes it is given, it never panics.

#![no_std]

extern crate alloc;

pub mod arp;
mod client;
mod course;
mod frame;
pub mod gob;
mod lease;
mod message;
mod names;
pub mod option;
mod options;
mod random;
pub mod rpc;
pub mod v6;

pub use client::{Client, Grant, Identity, Release};
pub use course::{Event, Pace, State, Transmission};
pub use frame::{CLIENT_PORT, Datagram, Destination, SERVER_PORT};
pub use lease::{Lease, StaticRoute};
pub use message::{InvalidMessage, Kind, Message};
pub use options::Options;
