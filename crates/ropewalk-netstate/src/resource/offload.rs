//! What a link does for the processor: segmentation, checksums and the like.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};
use core::fmt;

use ropewalk_addr::IfName;

use super::{Key, Mismatch};

/// Whether an offload is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offload {
    /// On or off.
    pub on: bool,
    /// Whether a link that does not have it, or cannot change it, is fine.
    pub optional: bool,
}

/// Offloads of a link that exists. They are set at once, because some need others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offloads {
    /// The link.
    pub link: IfName,
    /// By the kernel's name, such as `tx-tcp-segmentation`. Found: those that were asked for and
    /// are there, without optional ones that cannot be changed.
    pub offloads: BTreeMap<String, Offload>,
}

fn word(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

impl Offloads {
    pub(crate) fn key(&self) -> Key {
        Key::Offloads(self.link.clone())
    }

    pub(crate) fn compare(&self, found: &Self) -> Vec<Mismatch> {
        let mismatch = |(name, want): (&String, &Offload)| {
            let found = found.offloads.get(name);
            let is_fine = found.map_or(want.optional, |found| found.on == want.on);
            (!is_fine).then(|| Mismatch {
                field: "ethtool",
                expected: format!("{name} {}", word(want.on)),
                found: found.map_or("none", |found| word(found.on)).into(),
            })
        };
        self.offloads.iter().filter_map(mismatch).collect()
    }
}

impl fmt::Display for Offloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offloads of {}:", self.link)?;
        for (name, offload) in &self.offloads {
            write!(f, " {name} {}", word(offload.on))?;
        }
        Ok(())
    }
}
