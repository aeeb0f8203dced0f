//! Links that exist in software only, alone or on a parent, and the membership of links in a
//! master.

use alloc::{string::String, vec::Vec};
use core::fmt;

use ropewalk_addr::{IfName, Mac};

use super::{Comparison, Key, Mismatch};
use crate::{desired::Place, owner::Tag};

/// How the macvlan links of one parent see each other (`macvlan_mode` in linux/if_link.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacvlanMode {
    /// Not at all.
    Private,
    /// Through the switch at the parent's other end.
    Vepa,
    /// Directly.
    Bridge,
    /// There is only one, which has the parent to itself.
    Passthru,
}

/// On which layer an ipvlan link is joined to its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpvlanMode {
    /// As a switch port.
    L2,
    /// As a router, without broadcasts.
    L3,
    /// As a router whose packets pass the host's netfilter hooks.
    L3s,
}

/// How the ipvlan links of one parent see each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpvlanFlag {
    /// Directly.
    Bridge,
    /// Not at all.
    Private,
    /// Through the switch at the parent's other end.
    Vepa,
}

/// A link whose other end is a program, such as a virtual machine monitor. It stays when the
/// program ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tap {
    /// Whether a program may open several queues.
    pub multi_queue: bool,
    /// The user who may open it; `None` leaves that to who may administer the network.
    pub owner: Option<u32>,
    /// The group whose members may open it; `None` leaves that as well.
    pub group: Option<u32>,
    /// Whether frames begin with a header about offloads. Not compared: every program that opens
    /// the link says it anew.
    pub offload_header: bool,
    /// Its SELinux context; `None` is the one of the process that makes it. Not compared: the
    /// kernel does not tell.
    pub context: Option<String>,
}

/// What a virtual link is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VirtualKind {
    /// It swallows what is sent.
    Dummy,
    /// What is sent to it is received by it: queues on it shape what another link receives.
    Ifb,
    /// A routing domain.
    Vrf {
        /// Its routing table.
        table: u32,
    },
    /// The near end of a program.
    Tap(Tap),
    /// A VLAN of its parent (IEEE 802.1Q).
    Vlan {
        /// The VLAN id, 0 to 4094.
        id: u16,
    },
    /// Another MAC on its parent.
    Macvlan {
        /// How it sees its siblings.
        mode: MacvlanMode,
        /// Length of the parent's queue for broadcasts, in packets; `None` leaves it as it is.
        broadcast_queue: Option<u32>,
    },
    /// Other addresses behind its parent's MAC.
    Ipvlan {
        /// On which layer it is joined.
        mode: IpvlanMode,
        /// How it sees its siblings.
        flag: IpvlanFlag,
    },
}

impl VirtualKind {
    /// The kernel's word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Dummy => "dummy",
            Self::Ifb => "ifb",
            Self::Vrf { .. } => "vrf",
            Self::Tap(_) => "tap",
            Self::Vlan { .. } => "vlan",
            Self::Macvlan { .. } => "macvlan",
            Self::Ipvlan { .. } => "ipvlan",
        }
    }

    fn compare(&self, found: &Self) -> Comparison {
        let comparison = Comparison::default();
        match (self, found) {
            (Self::Vlan { id }, Self::Vlan { id: found }) => comparison.field("id", id, found),
            (Self::Tap(tap), Self::Tap(found)) => comparison
                .field("multi-queue", &tap.multi_queue, &found.multi_queue)
                .wanted("owner", tap.owner.as_ref(), found.owner.as_ref())
                .wanted("group", tap.group.as_ref(), found.group.as_ref()),
            (
                Self::Macvlan { mode, broadcast_queue },
                Self::Macvlan { mode: found_mode, broadcast_queue: found_queue },
            ) => comparison.field("mode", mode, found_mode).wanted(
                "broadcast queue",
                broadcast_queue.as_ref(),
                found_queue.as_ref(),
            ),
            (Self::Ipvlan { mode, flag }, Self::Ipvlan { mode: found_mode, flag: found_flag }) => {
                comparison.field("mode", mode, found_mode).field("flag", flag, found_flag)
            }
            (wanted, found) => comparison.field("kind", wanted, found),
        }
    }
}

/// The link that another one stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Where it is.
    pub place: Place,
    /// Its name.
    pub name: IfName,
}

/// A link without hardware of its own. It is made down; see [`super::Attribute::Up`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualLink {
    /// Its name.
    pub name: IfName,
    /// What it is.
    pub kind: VirtualKind,
    /// What it stands on, if it does; `None` also where it is looked for only to be deleted.
    pub parent: Option<Parent>,
    /// Its MAC; `None` leaves the choice to the kernel.
    pub mac: Option<Mac>,
    /// Its MTU in bytes; `None` leaves the choice to the kernel.
    pub mtu: Option<u32>,
    /// Whose it is, for links on the host that garbage collection has to find.
    pub tag: Option<Tag>,
}

impl VirtualLink {
    /// A link that stands on nothing and leaves all choices to the kernel.
    pub fn new(name: IfName, kind: VirtualKind) -> Self {
        Self { name, kind, parent: None, mac: None, mtu: None, tag: None }
    }

    pub(crate) fn key(&self) -> Key {
        Key::VirtualLink(self.name.clone())
    }

    pub(crate) fn compare(&self, found: &Self) -> Vec<Mismatch> {
        self.kind
            .compare(&found.kind)
            .wanted("parent", self.parent.as_ref(), found.parent.as_ref())
            .wanted("mac", self.mac.as_ref(), found.mac.as_ref())
            .wanted("mtu", self.mtu.as_ref(), found.mtu.as_ref())
            .finish()
    }
}

impl fmt::Display for VirtualLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.name)?;
        match &self.parent {
            Some(parent) => write!(f, " on {} {}", parent.name, parent.place),
            None => Ok(()),
        }
    }
}

/// A link belongs to a master: a port to its bridge, a member to its VRF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The link.
    pub link: IfName,
    /// Its master.
    pub master: IfName,
}

impl Membership {
    pub(crate) fn key(&self) -> Key {
        Key::Membership(self.link.clone())
    }

    pub(crate) fn compare(&self, found: &Self) -> Vec<Mismatch> {
        Comparison::default().field("master", &self.master, &found.master).finish()
    }
}

impl fmt::Display for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "membership of {} in {}", self.link, self.master)
    }
}
