//! Addresses on links, and the rule that a link has no others.

use alloc::vec::Vec;
use core::fmt;

use ropewalk_addr::{Family, IfName, Prefix};

use super::{Comparison, Key, Mismatch};

/// An address on a link, with the kernel's default scope and broadcast address.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "they have nothing to do with each other")]
pub struct Address {
    /// The link.
    pub link: IfName,
    /// Address and prefix length.
    pub prefix: Prefix,
    /// Whether IPv6 duplicate address detection runs; it costs one to two seconds until the
    /// address can be used. Not compared.
    pub detect_duplicates: bool,
    /// Whether, once it is added, the link's MAC is written back, so that a bridge that others
    /// made stops following its ports' MACs. Not compared.
    pub pins_mac: bool,
    /// Whether the kernel makes a route that says that the whole subnet is on the link. Wanting it
    /// accepts an address without one: somebody may have routes of their own.
    pub prefix_route: bool,
    /// Found: whether duplicate address detection failed. Always wanted `false`.
    pub duplicate: bool,
}

impl Address {
    /// An address that can be used at once.
    pub fn new(link: IfName, prefix: Prefix) -> Self {
        Self {
            link,
            prefix,
            detect_duplicates: false,
            pins_mac: false,
            prefix_route: true,
            duplicate: false,
        }
    }

    pub(crate) fn key(&self) -> Key {
        Key::Address(self.link.clone(), self.prefix)
    }

    pub(crate) fn compare(&self, found: &Self) -> Vec<Mismatch> {
        let without_route = (!self.prefix_route).then_some(&false);
        Comparison::default()
            .field("duplicate", &self.duplicate, &found.duplicate)
            .wanted("prefix_route", without_route, Some(&found.prefix_route))
            .finish()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "address {} on {}", self.prefix, self.link)
    }
}

/// Which other addresses of the same family conflict with ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflicting {
    /// Any other.
    Any,
    /// Those whose subnet overlaps.
    Overlapping,
}

/// The rule that a link has no addresses of a family that conflict with ours. Loopback addresses
/// never do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressGuard {
    /// The link.
    pub link: IfName,
    /// The family.
    pub family: Family,
    /// Addresses that do not conflict.
    pub keep: Vec<Prefix>,
    /// Which others conflict.
    pub conflicting: Conflicting,
    /// Whether conflicting addresses are replaced; else they are an error.
    pub replace: bool,
    /// Found: all addresses of the family on the link, but for link-local ones.
    pub present: Vec<Prefix>,
}

impl AddressGuard {
    pub(crate) fn key(&self) -> Key {
        Key::AddressGuard(self.link.clone(), self.family)
    }

    /// CHECK has nothing to compare: an operator may add addresses later.
    #[expect(clippy::unused_self, reason = "every kind has the same shape")]
    pub(crate) fn compare(&self, _: &Self) -> Vec<Mismatch> {
        Vec::new()
    }

    /// The addresses in `found` that conflict.
    pub fn conflicts(&self, found: &Self) -> Vec<Prefix> {
        let overlaps = |present: &Prefix| {
            self.keep.iter().any(|keep| keep.subnet().overlaps(present.subnet()))
        };
        found
            .present
            .iter()
            .filter(|present| !self.keep.contains(present))
            .filter(|present| !present.ip().is_loopback())
            .filter(|present| self.conflicting == Conflicting::Any || overlaps(present))
            .copied()
            .collect()
    }
}

impl fmt::Display for AddressGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no other {:?} addresses on {}", self.family, self.link)
    }
}
