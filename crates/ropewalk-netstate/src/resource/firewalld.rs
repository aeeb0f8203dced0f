//! Addresses that belong to a zone of firewalld, for hosts whose firewall that is.

use alloc::{string::String, vec::Vec};
use core::fmt;

use ropewalk_addr::Prefix;

use super::{Key, Mismatch};

/// A source of a zone: what comes from the address is treated as the zone says. It lasts until
/// firewalld is reloaded or ends, and lies on the host whatever the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirewalldSource {
    /// The zone's name, `trusted` for one.
    pub zone: String,
    /// The address.
    pub address: Prefix,
}

impl FirewalldSource {
    pub(crate) fn key(&self) -> Key {
        Key::FirewalldSource(self.zone.clone(), self.address)
    }

    #[expect(clippy::unused_self, reason = "every kind has the same shape")]
    pub(crate) fn compare(&self, _: &Self) -> Vec<Mismatch> {
        Vec::new()
    }
}

impl fmt::Display for FirewalldSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "source {} of firewalld's zone {:?}", self.address, self.zone)
    }
}
