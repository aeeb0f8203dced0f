//! Telling the neighbours of a link where its addresses are now.

use alloc::vec::Vec;
use core::fmt;

use ropewalk_addr::IfName;

use super::{Key, Mismatch};

/// The addresses of a link are announced once, so that neighbours who remember them with another
/// hardware address forget that (gratuitous ARP, RFC 5227; unsolicited neighbour advertisement,
/// RFC 4861). The link's `arp_notify` and `ndisc_notify` must be on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The link.
    pub link: IfName,
}

impl Announcement {
    pub(crate) fn key(&self) -> Key {
        Key::Announcement(self.link.clone())
    }

    #[expect(clippy::unused_self, reason = "every kind has the same shape")]
    pub(crate) fn compare(&self, _: &Self) -> Vec<Mismatch> {
        Vec::new()
    }
}

impl fmt::Display for Announcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the addresses of {}", self.link)
    }
}
