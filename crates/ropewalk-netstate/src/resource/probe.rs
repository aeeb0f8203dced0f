//! Asking the neighbours of a link whether an address is free.

use alloc::vec::Vec;
use core::{fmt, net::Ipv4Addr};

use ropewalk_addr::IfName;

use super::{Key, Mismatch};

/// An IPv4 address is asked for before it is taken (RFC 5227, with shorter waits): it fails if
/// somebody has it. IPv6 addresses have duplicate address detection, see [`super::Address`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConflictProbe {
    /// The link to ask on, which must be up.
    pub link: IfName,
    /// The address.
    pub address: Ipv4Addr,
}

impl ConflictProbe {
    pub(crate) fn key(&self) -> Key {
        Key::ConflictProbe(self.link.clone(), self.address)
    }

    #[expect(clippy::unused_self, reason = "every kind has the same shape")]
    pub(crate) fn compare(&self, _: &Self) -> Vec<Mismatch> {
        Vec::new()
    }
}

impl fmt::Display for ConflictProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "that nobody on {} has {}", self.link, self.address)
    }
}
