//! Kernel parameters below `/proc/sys`.

use alloc::{string::String, vec::Vec};
use core::fmt;

use super::{Comparison, Key, Mismatch};

/// A kernel parameter and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sysctl {
    /// Path below `/proc/sys`, parts joined by `/`, as in `net/ipv4/ip_forward`. It has no empty
    /// part and no `..`.
    pub path: String,
    /// The value, without the final newline.
    pub value: String,
    /// Whether a kernel that lacks the parameter (one without IPv6) is fine. Not compared.
    pub optional: bool,
}

impl Sysctl {
    /// A parameter; the path must be a constant of ours or checked by the caller.
    pub fn new(path: impl Into<String>, value: impl Into<String>) -> Self {
        Self { path: path.into(), value: value.into(), optional: false }
    }

    /// A parameter that not every kernel has.
    pub fn optional(path: impl Into<String>, value: impl Into<String>) -> Self {
        Self { optional: true, ..Self::new(path, value) }
    }

    pub(crate) fn key(&self) -> Key {
        Key::Sysctl(self.path.clone())
    }

    pub(crate) fn compare(&self, found: &Self) -> Vec<Mismatch> {
        // The kernel separates several values by tabs; people write blanks.
        if self.value.split_whitespace().eq(found.value.split_whitespace()) {
            return Vec::new();
        }
        Comparison::default().field("value", &self.value, &found.value).finish()
    }
}

impl fmt::Display for Sysctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sysctl {} to {}", self.path, self.value)
    }
}
