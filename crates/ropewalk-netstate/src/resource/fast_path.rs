//! A way around a bridge for what its ports send to each other.

use alloc::vec::Vec;
use core::fmt;

use ropewalk_addr::{IfName, Mac};

use super::{Comparison, Key, Mismatch};

/// The fast path of a port: what it receives for the MAC of another port with a fast path goes
/// there without the bridge. It stands on the link, and goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FastPath {
    /// The port, the host's end of a pair.
    pub link: IfName,
    /// The bridge, which holds what all of its fast paths share.
    pub bridge: IfName,
    /// The last bytes of the MAC that leads to the port; the first are [`FastPath::PREFIX`].
    pub key: [u8; 4],
    /// Whether the port's frames take it. Always wanted.
    pub is_attached: bool,
    /// Whether other ports' frames take it. Always wanted.
    pub is_listed: bool,
}

impl FastPath {
    /// How the MAC of a container with a fast path begins: locally administered, unicast.
    pub const PREFIX: [u8; 2] = [0x0e, 0x72];

    /// One that is to be.
    pub fn new(link: IfName, bridge: IfName, key: [u8; 4]) -> Self {
        Self { link, bridge, key, is_attached: true, is_listed: true }
    }

    /// The MAC with these last bytes.
    pub fn mac(key: [u8; 4]) -> Mac {
        let mut bytes = [0; 6];
        bytes[..2].copy_from_slice(&Self::PREFIX);
        bytes[2..].copy_from_slice(&key);
        Mac(bytes)
    }

    pub(crate) fn key(&self) -> Key {
        Key::FastPath(self.link.clone())
    }

    pub(crate) fn compare(&self, found: &Self) -> Vec<Mismatch> {
        Comparison::default()
            .field("attached", &self.is_attached, &found.is_attached)
            .field("listed", &self.is_listed, &found.is_listed)
            .finish()
    }
}

impl fmt::Display for FastPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fast path of {} past {}", self.link, self.bridge)
    }
}
