//! What is wrong with a host's network, or will be: findings with evidence, consequence and cure.
//!
//! Judgement only: it must never ask a kernel or a file, and it must never mend anything. What is
//! not known for sure is no finding: a check that cries wolf is switched off by everybody.

mod addresses;
pub mod books;
mod bridges;
mod checks;
mod checksums;
mod domains;
mod features;
mod forwarding;
mod ipv6;
mod leaks;
mod limits;
mod mtu;
mod owners;
mod papers;
mod reverse_path;
#[cfg(test)]
mod tests;
mod view;

pub use checks::{CHECKS, Check};
pub use features::{Part, needs};
pub use papers::{Lacking, Mark, Papers, Record, Subnet};

use crate::model::Host;
use alloc::{string::String, vec::Vec};
use view::View;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something does not work.
    Error,
    /// Something will not work, or not always.
    Warning,
    /// Something is untidy.
    Note,
}

impl Severity {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked for.
    pub check: &'static Check,
    /// The inode of the namespace it is in.
    pub namespace: Option<u64>,
    /// The index of the link it is about.
    pub link: Option<u32>,
    /// What it is about, in words.
    pub object: String,
    /// What was read.
    pub evidence: String,
    /// What mends it, as a command.
    pub command: String,
    /// What mends it without harm, if something does.
    pub mend: Option<Mend>,
}

/// Something that may be done without asking, since its effect is bounded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mend {
    /// Delete what belongs to an owner who is gone: the hash of the attachment, or its beginning.
    Forget {
        /// The hash.
        attachment: String,
        /// The owner in words.
        owner: String,
    },
    /// Give an address back to the books, if it is still the same lease.
    Release(books::Lease),
    /// Set a sysctl of the own namespace, named from `net` on.
    Set {
        /// The sysctl, as `net/ipv4/ip_forward`.
        name: String,
        /// The value.
        value: String,
    },
}

/// Everything that is wrong with a host; the worst comes first.
pub fn examine(host: &Host, papers: &Papers) -> Vec<Finding> {
    let view = View::of(host, papers);
    let mut findings: Vec<Finding> = CHECKS.iter().flat_map(|check| check.look(&view)).collect();
    findings.sort_by_key(|finding| finding.check.severity);
    findings
}
