//! Chains and rules made with the `iptables` binaries, for hosts whose firewall is theirs.

use alloc::{string::String, vec::Vec};
use core::fmt;

use ropewalk_addr::Family;

use super::{Key, Mismatch};

/// A user-defined chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IptablesChain {
    /// `iptables` or `ip6tables`.
    pub family: Family,
    /// Table: `filter`, `nat`.
    pub table: String,
    /// Its name, at most 28 bytes.
    pub name: String,
    /// Chains whose rules may jump here. Deleting the chain deletes those rules first, whatever
    /// else they match, then all rules of the chain.
    pub referenced_from: Vec<String>,
}

impl IptablesChain {
    pub(crate) fn key(&self) -> Key {
        Key::IptablesChain(self.family, self.table.clone(), self.name.clone())
    }

    #[expect(clippy::unused_self, reason = "every kind has the same shape")]
    pub(crate) fn compare(&self, _: &Self) -> Vec<Mismatch> {
        Vec::new()
    }
}

impl fmt::Display for IptablesChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} chain {}", program(self.family), self.table, self.name)
    }
}

/// Where a new rule goes in its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Before all others.
    First,
    /// Behind all others.
    Last,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IptablesRule {
    /// `iptables` or `ip6tables`.
    pub family: Family,
    /// Table: `filter`, `nat`.
    pub table: String,
    /// The chain it is in.
    pub chain: String,
    /// Where it is inserted; not compared.
    pub position: Position,
    /// The specification, one argument each, as given to `iptables -A CHAIN`.
    pub specification: Vec<String>,
}

impl IptablesRule {
    pub(crate) fn key(&self) -> Key {
        Key::IptablesRule(
            self.family,
            self.table.clone(),
            self.chain.clone(),
            self.specification.clone(),
        )
    }

    #[expect(clippy::unused_self, reason = "every kind has the same shape")]
    pub(crate) fn compare(&self, _: &Self) -> Vec<Mismatch> {
        Vec::new()
    }
}

impl fmt::Display for IptablesRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (program, chain) = (program(self.family), &self.chain);
        write!(f, "{program} {} rule in {chain}: {}", self.table, self.specification.join(" "))
    }
}

/// The program that serves a family.
pub fn program(family: Family) -> &'static str {
    match family {
        Family::V4 => "iptables",
        Family::V6 => "ip6tables",
    }
}
