//! What files know of a host and its kernel does not: attachments on record, books of addresses,
//! what configured networks need.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::net::IpAddr;

use super::{Part, books::Books};
use crate::model::Destination;

/// What files say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Papers {
    /// Whether only some namespaces were read, so that what is not found may yet be there.
    pub is_partial: bool,
    /// What texts beside objects of the kernel and names of chains say: whose these are. What
    /// belongs to a whole network is not among them.
    pub marks: BTreeMap<String, Mark>,
    /// The alias of bridges that are ours.
    pub bridge_alias: &'static str,
    /// Whether there is no folder of records, so that all look as if nobody had them on record.
    pub is_unrecorded: bool,
    /// Attachments on record.
    pub records: Vec<Record>,
    /// Attachments that others have on record, who delete them themselves: they keep what is theirs,
    /// and are not judged.
    pub elsewhere: Vec<Record>,
    /// Names of records that cannot be read: network, container and interface, joined by `-`.
    pub damaged: Vec<String>,
    /// Books of addresses.
    pub books: Vec<Books>,
    /// The subnets that networks give addresses from.
    pub subnets: Vec<Subnet>,
    /// What this kernel lacks for networks that are configured.
    pub lacking: Vec<Lacking>,
}

/// A mark that tells an owner.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// The hash of the attachment; a name of a chain tells its beginning.
    pub attachment: String,
    /// The owner in words: network, container and interface, possibly cut.
    pub owner: String,
}

/// An attachment on record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The hash of the attachment.
    pub hash: String,
    /// The network's name.
    pub network: String,
    /// The container's id.
    pub container: String,
    /// The interface in the container.
    pub interface: String,
    /// The path of its namespace.
    pub path: String,
    /// The inode of its namespace, unless that is gone.
    pub namespace: Option<u64>,
    /// The addresses that it got.
    pub addresses: Vec<IpAddr>,
    /// The scheme of the books that its addresses must be in, if those are known.
    pub books: Option<&'static str>,
}

/// A network's addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// The network's name.
    pub network: String,
    /// The space of addresses: two networks of one space never give the same address.
    pub space: String,
    /// Which addresses.
    pub subnet: Destination,
    /// The first and the last that are given.
    pub ends: (IpAddr, IpAddr),
}

/// A part of the kernel that a plugin needs and that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// The network's name.
    pub network: String,
    /// The plugin.
    pub plugin: String,
    /// What it is.
    pub part: Part,
}
