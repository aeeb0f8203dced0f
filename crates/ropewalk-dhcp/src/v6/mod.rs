//! DHCPv6 (RFC 8415), as far as a client needs it that leases one address (IA_NA) without relays
//! and without authentication.
//!
//! ```text
//!   SOLICIT ──► ADVERTISE ──► REQUEST ──► REPLY: the states of DHCPv4 under other names
//!   RENEW at T1, REBIND at T2 and after a restart, RELEASE at the end
//! ```

mod client;
mod lease;
mod message;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use core::net::Ipv6Addr;

use ropewalk_addr::Mac;

pub use client::{Client, Grant, Identity, Release};
pub use lease::Lease;
pub use message::{InvalidMessage, Kind, Message, Options, option};

/// Where clients listen.
pub const CLIENT_PORT: u16 = 546;

/// Where servers and relays listen.
pub const SERVER_PORT: u16 = 547;

/// All servers and relays of a link.
pub const SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

/// A client's identifier out of a UUID (RFC 6355).
pub fn duid_of_uuid(uuid: [u8; 16]) -> Vec<u8> {
    [&[0, 4], uuid.as_slice()].concat()
}

/// A client's identifier out of a hardware address of Ethernet (RFC 8415, section 11.4).
pub fn duid_of_hardware(hardware: Mac) -> Vec<u8> {
    [&[0, 3, 0, 1], hardware.0.as_slice()].concat()
}
