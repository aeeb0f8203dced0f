//! Connection tracking entries that must not outlive a port mapping.

use alloc::vec::Vec;
use core::fmt;

use ropewalk_addr::Family;

use super::{Key, Mismatch};

/// Tracked connections whose original destination is this port. Flushing them makes clients that
/// keep sending reach the container that has the port now. An action: flushed at ADD and at DEL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleFlows {
    /// The family.
    pub family: Family,
    /// IP protocol number; 17 is UDP.
    pub protocol: u8,
    /// Original destination port.
    pub port: u16,
}

impl StaleFlows {
    pub(crate) fn key(&self) -> Key {
        Key::StaleFlows(self.family, self.protocol, self.port)
    }

    #[expect(clippy::unused_self, reason = "every kind has the same shape")]
    pub(crate) fn compare(&self, _: &Self) -> Vec<Mismatch> {
        Vec::new()
    }
}

impl fmt::Display for StaleFlows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} flows of protocol {} to port {}", self.family, self.protocol, self.port)
    }
}
