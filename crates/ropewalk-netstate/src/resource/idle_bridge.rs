//! A bridge that may go when nobody uses it any more.

use alloc::vec::Vec;
use core::fmt;

use ropewalk_addr::IfName;

use super::{Key, Mismatch};

/// A bridge to be removed if it is idle, as something to do: at DEL a kernel looks whether it is
/// in use, and lets nobody join in between. It removes the gateway of the VLAN if no other port is
/// in that VLAN; then the bridge, if it was made by us (see [`super::Bridge::MARK`]), has no port
/// and no link stands on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdleBridge {
    /// The bridge.
    pub bridge: IfName,
    /// The port that leads to the gateway of a VLAN, and that VLAN.
    pub gateway: Option<(IfName, u16)>,
}

impl IdleBridge {
    pub(crate) fn key(&self) -> Key {
        Key::IdleBridge(self.bridge.clone())
    }

    #[expect(clippy::unused_self, reason = "every kind has the same shape")]
    pub(crate) fn compare(&self, _: &Self) -> Vec<Mismatch> {
        Vec::new()
    }
}

impl fmt::Display for IdleBridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bridge {} if it is idle", self.bridge)
    }
}
