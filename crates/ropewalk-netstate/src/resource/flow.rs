//! Connection tracking entries that must not outlive a port mapping.

use alloc::vec::Vec;
use core::{fmt, net::IpAddr};

use ropewalk_addr::Family;

use super::{Key, Mismatch};

/// Tracked connections whose original destination is one of these ports. Flushing them makes clients that
/// keep sending reach the container that has the port now. An action: flushed at ADD and at DEL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleFlows {
    /// The family.
    pub family: Family,
    /// IP protocol number; 17 is UDP.
    pub protocol: u8,
    /// First and last original destination port.
    pub ports: (u16, u16),
    /// Original destination; `None` for any.
    pub destination: Option<IpAddr>,
}

impl StaleFlows {
    pub(crate) fn key(&self) -> Key {
        Key::StaleFlows(self.family, self.protocol, self.ports, self.destination)
    }

    #[expect(clippy::unused_self, reason = "every kind has the same shape")]
    pub(crate) fn compare(&self, _: &Self) -> Vec<Mismatch> {
        Vec::new()
    }
}

impl fmt::Display for StaleFlows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} flows of protocol {} to port ", self.family, self.protocol)?;
        match self.ports {
            (first, last) if first == last => write!(f, "{first}")?,
            (first, last) => write!(f, "{first} to {last}")?,
        }
        self.destination.map_or(Ok(()), |ip| write!(f, " of {ip}"))
    }
}
