//! What the engine needs from the world: a kernel that observes and applies, and a memory for
//! what was borrowed.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::fmt;

#[expect(unused_imports, reason = "the documentation links to it")]
use crate::owner::Owner;
use ropewalk_addr::Family;

use crate::{
    desired::Place,
    owner::Tag,
    resource::{IptablesChain, Key, Resource, nft::SetRef},
    step::Step,
};

/// What was found: for each key that exists, the resource as the kernel reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed(BTreeMap<(Place, Key), Resource>);

impl Observed {
    /// Nothing was found.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what another observation has found.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Records what was found under the key that was asked for.
    pub fn insert(&mut self, place: Place, key: Key, resource: Resource) {
        self.0.insert((place, key), resource);
    }

    /// What was found under a key.
    pub fn find(&self, place: Place, key: &Key) -> Option<&Resource> {
        self.0.get(&(place, key.clone()))
    }

    /// All that was found.
    pub fn iter(&self) -> impl Iterator<Item = (Place, &Resource)> {
        self.0.iter().map(|((place, _), resource)| (*place, resource))
    }
}

/// A question to the kernel: is there something under the key of this resource? The values of
/// `resource` tell where to look first (the keys of set elements) but do not limit the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe<'a> {
    /// Where to look.
    pub place: Place,
    /// What to look for.
    pub resource: &'a Resource,
}

/// A kernel call that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelError {
    /// The error number, positive (`EEXIST` is 17); 0 where there is none.
    pub errno: i32,
    /// What the kernel or the tool said, lower case.
    pub reason: String,
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl core::error::Error for KernelError {}

/// Some steps were applied, then one failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partial {
    /// Indices of the steps that took effect; not necessarily a prefix, since steps sent to the
    /// kernel in one batch are executed even when an earlier one failed.
    pub done: Vec<usize>,
    /// Index of the first step that failed.
    pub failed: usize,
    /// Why it failed.
    pub error: KernelError,
}

/// A place where owned things can be listed, for garbage collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Host links whose alias is an owner's tag.
    TaggedLinks,
    /// Elements of a set or map whose comment is an owner's tag.
    Elements(SetRef),
    /// Chains made with iptables whose name is a prefix and the owner's hashes, see
    /// [`Owner::chain_name`].
    IptablesChains(IptablesNames),
    /// Chains made with iptables to which a commented rule of this chain jumps. The comment is an
    /// owner's tag, or names a network and a container as the reference plugins do; then the
    /// owner's interface is [`Owner::ANY_INTERFACE`].
    IptablesJumps(IptablesChain),
}

/// Chains of a table whose names tell their owners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IptablesNames {
    /// `iptables` or `ip6tables`.
    pub family: Family,
    /// Table: `filter`, `nat`.
    pub table: String,
    /// What the names start with.
    pub prefix: String,
    /// Chains whose rules may jump there.
    pub referenced_from: Vec<String>,
}

/// An owned thing and its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// Whose it is.
    pub tag: Tag,
    /// What it is; deleting it at [`Place::Host`] takes it away.
    pub resource: Resource,
}

/// A kernel, real or fake. Missing namespaces hold nothing: observing in a sandbox that is gone
/// finds nothing and deleting there succeeds.
pub trait Kernel {
    /// Finds out what exists.
    fn observe(&mut self, probes: &[Probe<'_>]) -> Result<Observed, KernelError>;

    /// Applies steps in order. Deleting what is absent succeeds.
    fn apply(&mut self, steps: &[Step]) -> Result<(), Partial>;

    /// Lists owned things on the host.
    fn owned(&mut self, scope: &Scope) -> Result<Vec<Owned>, KernelError>;
}

/// Why something could not be remembered or recalled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryError(pub String);

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for MemoryError {}

/// Where borrowed values are kept until they are given back. It outlives the process.
pub trait Memory {
    /// Keeps the values of an attachment, before they are changed.
    fn remember(&mut self, values: &[(Place, Resource)]) -> Result<(), MemoryError>;

    /// The values kept for the attachment; none is not an error.
    fn recall(&mut self) -> Result<Vec<(Place, Resource)>, MemoryError>;

    /// Drops the values kept for the attachment.
    fn forget(&mut self) -> Result<(), MemoryError>;
}

/// The memory of plugins that borrow nothing.
impl Memory for () {
    fn remember(&mut self, _: &[(Place, Resource)]) -> Result<(), MemoryError> {
        Ok(())
    }

    fn recall(&mut self) -> Result<Vec<(Place, Resource)>, MemoryError> {
        Ok(Vec::new())
    }

    fn forget(&mut self) -> Result<(), MemoryError> {
        Ok(())
    }
}
