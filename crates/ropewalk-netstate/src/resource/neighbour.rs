//! Permanent neighbour entries.

use alloc::vec::Vec;
use core::{fmt, net::IpAddr};

use ropewalk_addr::{IfName, Mac};

use super::{Comparison, Key, Mismatch};

/// A permanent neighbour (ARP or ND) entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The link.
    pub link: IfName,
    /// The neighbour's address.
    pub ip: IpAddr,
    /// The neighbour's hardware address.
    pub mac: Mac,
}

impl Neighbour {
    pub(crate) fn key(&self) -> Key {
        Key::Neighbour(self.link.clone(), self.ip)
    }

    pub(crate) fn compare(&self, found: &Self) -> Vec<Mismatch> {
        Comparison::default().field("mac", &self.mac, &found.mac).finish()
    }
}

impl fmt::Display for Neighbour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "neighbour {} at {} on {}", self.ip, self.mac, self.link)
    }
}
