//! A device of the host that a sandbox has for a while.

use alloc::vec::Vec;
use core::fmt;

use ropewalk_addr::{IfName, Mac};

use super::{Comparison, Key, Mismatch};

/// A link of the host that was moved to where the item is, under another name. It remembers its
/// name on the host as its alias, so that whoever finds it knows what to give back. It is down
/// when it arrives; taking it away gives it back to the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedDevice {
    /// Its name now.
    pub name: IfName,
    /// Its name on the host. Found: what its alias says. Wanted `None` accepts any.
    pub original: Option<IfName>,
    /// Expected MAC; a device keeps its own.
    pub mac: Option<Mac>,
    /// Whether it is to be up when it is given back. Found: `false`, since nobody remembers; so it
    /// is told only to those who take back what they have just done. Not compared.
    pub was_up: bool,
}

impl MovedDevice {
    pub(crate) fn key(&self) -> Key {
        Key::MovedDevice(self.name.clone())
    }

    pub(crate) fn compare(&self, found: &Self) -> Vec<Mismatch> {
        Comparison::default()
            .wanted("original", self.original.as_ref(), found.original.as_ref())
            .wanted("mac", self.mac.as_ref(), found.mac.as_ref())
            .finish()
    }
}

impl fmt::Display for MovedDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.original {
            Some(original) => write!(f, "host device {original} to {}", self.name),
            None => write!(f, "host device {}", self.name),
        }
    }
}
