//! Things to wait for, with a deadline on kernel events.

use alloc::vec::Vec;
use core::fmt;

use ropewalk_addr::IfName;

use super::{Key, Mismatch};

/// Something the kernel finishes on its own; it is awaited, never slept for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Await {
    /// The link that it is about.
    pub link: IfName,
    /// What is to happen.
    pub until: Until,
    /// How long to wait, in milliseconds, before it is an error.
    pub deadline_ms: u32,
}

/// What can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Until {
    /// The link has its carrier and is operationally up.
    LinkUp,
    /// No address of the link is tentative; one whose duplicate detection failed is an error.
    AddressesReady,
    /// The link has an IPv6 address that a router's advertisement led to, and it can be used.
    Autoconfigured,
    /// The link has an IPv6 address of its own, a link-local one, and it can be used.
    LinkLocal,
}

impl Await {
    /// Waits for a link.
    pub fn new(link: IfName, until: Until, deadline_ms: u32) -> Self {
        Self { link, until, deadline_ms }
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
        let link = &self.link;
        match self.until {
            Until::LinkUp => write!(f, "link {link} to be up"),
            Until::AddressesReady => write!(f, "addresses of {link} to be ready"),
            Until::Autoconfigured => write!(f, "a router to be heard on {link}"),
            Until::LinkLocal => write!(f, "a link-local address of {link}"),
        }
    }
}
