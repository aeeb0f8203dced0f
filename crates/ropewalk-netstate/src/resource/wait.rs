//! Things to wait for, with a deadline on kernel events.

use alloc::vec::Vec;
use core::fmt;

use ropewalk_addr::IfName;

use super::{Key, Mismatch};

/// Something the kernel finishes on its own; it is awaited, never slept for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Await {
    /// The link has its carrier and is operationally up.
    LinkUp {
        /// The link.
        link: IfName,
        /// How long to wait, in milliseconds, before it is an error.
        deadline_ms: u32,
    },
    /// No address of the link is tentative; one whose duplicate detection failed is an error.
    AddressesReady {
        /// The link.
        link: IfName,
        /// How long to wait, in milliseconds, before it is an error.
        deadline_ms: u32,
    },
    /// The link has an IPv6 address that a router's advertisement led to, and it can be used.
    Autoconfigured {
        /// The link.
        link: IfName,
        /// How long to wait, in milliseconds, before it is an error.
        deadline_ms: u32,
    },
    /// The link has an IPv6 address of its own, a link-local one, and it can be used.
    LinkLocal {
        /// The link.
        link: IfName,
        /// How long to wait, in milliseconds, before it is an error.
        deadline_ms: u32,
    },
}

impl Await {
    /// The link waited for.
    pub fn link(&self) -> &IfName {
        match self {
            Self::LinkUp { link, .. }
            | Self::AddressesReady { link, .. }
            | Self::Autoconfigured { link, .. }
            | Self::LinkLocal { link, .. } => link,
        }
    }

    pub(crate) fn key(&self) -> Key {
        Key::Await(self.clone())
    }

    #[expect(clippy::unused_self, reason = "every kind has the same shape")]
    pub(crate) fn compare(&self, _: &Self) -> Vec<Mismatch> {
        Vec::new()
    }
}

impl fmt::Display for Await {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LinkUp { link, .. } => write!(f, "link {link} to be up"),
            Self::AddressesReady { link, .. } => write!(f, "addresses of {link} to be ready"),
            Self::Autoconfigured { link, .. } => write!(f, "a router to be heard on {link}"),
            Self::LinkLocal { link, .. } => write!(f, "a link-local address of {link}"),
        }
    }
}
