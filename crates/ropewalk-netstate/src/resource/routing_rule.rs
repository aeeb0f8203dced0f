//! Rules of policy routing that ask a table for packets from some addresses.

use alloc::vec::Vec;
use core::fmt;

use ropewalk_addr::Subnet;

use super::{Comparison, Key, Mismatch};

/// A rule that looks up packets from a subnet in a table, whatever else they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutingRule {
    /// Where the packets come from.
    pub source: Subnet,
    /// The routing table that is asked.
    pub table: u32,
    /// Its place among the rules, lower first; `None` lets the kernel put it before those that
    /// somebody made. Found: always there.
    pub priority: Option<u32>,
}

impl RoutingRule {
    pub(crate) fn key(&self) -> Key {
        Key::RoutingRule(self.source, self.table)
    }

    pub(crate) fn compare(&self, found: &Self) -> Vec<Mismatch> {
        Comparison::default()
            .wanted("priority", self.priority.as_ref(), found.priority.as_ref())
            .finish()
    }
}

impl fmt::Display for RoutingRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule from {} lookup {}", self.source, self.table)
    }
}
