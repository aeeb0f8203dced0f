//! The kinds of things a kernel can hold for us: one kind, one file.
//!
//! A resource is what one kernel call creates. Its key says which one it is; comparing a wanted
//! resource with a found one lists the fields that differ. `None` in a wanted field means "any".

mod address;
mod announcement;
mod fast_path;
mod firewalld;
mod flow;
mod idle_bridge;
pub mod iptables;
mod link;
mod moved_device;
mod neighbour;
pub mod nft;
mod offload;
mod probe;
mod route;
mod route_absence;
mod routing_rule;
mod sysctl;
pub mod traffic;
mod virtual_link;
mod wait;

use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

pub use address::{Address, AddressGuard, Conflicting};
pub use announcement::Announcement;
pub use fast_path::FastPath;
pub use firewalld::FirewalldSource;
pub use flow::StaleFlows;
pub use idle_bridge::IdleBridge;
pub use iptables::{IptablesChain, IptablesRule};
pub use link::{
    AnyLink, Attribute, Bridge, BridgePort, LinkAttribute, PortVlans, Veth, VethPeer, VlanRange,
};
pub use moved_device::MovedDevice;
pub use neighbour::Neighbour;
pub use nft::{NftChain, NftElements, NftSet, NftTable, NftTaggedRules};
pub use offload::{Offload, Offloads};
pub use probe::ConflictProbe;
use ropewalk_addr::{Family, IfName, Prefix, Subnet};
pub use route::{Hop, Route, RouteScope};
pub use route_absence::RouteAbsence;
pub use routing_rule::RoutingRule;
pub use sysctl::Sysctl;
pub use traffic::{Qdisc, TrafficClass, TrafficFilter};
pub use virtual_link::{
    IpvlanFlag, IpvlanMode, MacvlanMode, Membership, Parent, Tap, VirtualKind, VirtualLink,
};
pub use wait::{Await, Until};

/// A field that is not as wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The field's name.
    pub field: &'static str,
    /// What was wanted.
    pub expected: String,
    /// What was found.
    pub found: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}, expected {}", self.field, self.found, self.expected)
    }
}

/// Collects the fields that differ.
#[derive(Debug, Default)]
pub(crate) struct Comparison(Vec<Mismatch>);

impl Comparison {
    /// Compares a field that matters always.
    fn field<T: PartialEq + fmt::Debug>(self, field: &'static str, want: &T, found: &T) -> Self {
        self.wanted(field, Some(want), Some(found))
    }

    /// Compares a field that matters only where a value is wanted.
    fn wanted<T: PartialEq + fmt::Debug>(
        mut self,
        field: &'static str,
        want: Option<&T>,
        found: Option<&T>,
    ) -> Self {
        if let Some(want) = want
            && Some(want) != found
        {
            let text = |value: &T| alloc::format!("{value:?}");
            self.0.push(Mismatch {
                field,
                expected: text(want),
                found: found.map_or_else(|| "none".to_string(), text),
            });
        }
        self
    }

    fn finish(self) -> Vec<Mismatch> {
        self.0
    }
}

/// Which resource: unique within a place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A bridge, by name.
    Bridge(IfName),
    /// A bridge that may go when it is idle.
    IdleBridge(IfName),
    /// A veth pair, by the name of the end that lies at the item's place.
    Veth(IfName),
    /// A device of the host that was moved, by its name where it is now.
    MovedDevice(IfName),
    /// Any link, by name.
    AnyLink(IfName),
    /// A virtual link, by name.
    VirtualLink(IfName),
    /// The membership of a link in a master.
    Membership(IfName),
    /// The bridge port settings of a link.
    BridgePort(IfName),
    /// The fast path of a port.
    FastPath(IfName),
    /// One attribute of a link.
    LinkAttribute(IfName, &'static str),
    /// An address on a link.
    Address(IfName, Prefix),
    /// The rule that a link has no other addresses of a family.
    AddressGuard(IfName, Family),
    /// A route: destination, table, priority, gateway, link.
    Route(Subnet, u32, u32, Option<core::net::IpAddr>, IfName),
    /// The absence of a route, told as a route is.
    RouteAbsence(Subnet, u32, u32, Option<core::net::IpAddr>, IfName),
    /// A rule of policy routing: source, table.
    RoutingRule(Subnet, u32),
    /// A permanent neighbour entry.
    Neighbour(IfName, core::net::IpAddr),
    /// A queueing discipline, by link and place there.
    Qdisc(IfName, traffic::Hook),
    /// A traffic class, by link and number.
    TrafficClass(IfName, u16),
    /// A traffic filter, by link, place there and priority.
    TrafficFilter(IfName, traffic::Hook, u16),
    /// Offloads of a link.
    Offloads(IfName),
    /// A sysctl, by path below `/proc/sys`.
    Sysctl(String),
    /// An nftables table.
    NftTable(nft::TableRef),
    /// An nftables set or map.
    NftSet(nft::SetRef),
    /// An nftables chain with its rules.
    NftChain(nft::TableRef, String),
    /// The elements of one owner in an nftables set or map.
    NftElements(nft::SetRef, String),
    /// Rules found by the start of their comment.
    NftTaggedRules(nft::TableRef, String, String),
    /// A chain made with iptables.
    IptablesChain(Family, String, String),
    /// A rule made with iptables.
    IptablesRule(Family, String, String, Vec<String>),
    /// An address in a zone of firewalld.
    FirewalldSource(String, Prefix),
    /// Connection tracking entries toward a port.
    StaleFlows(Family, u8, (u16, u16), Option<core::net::IpAddr>),
    /// Something to wait for.
    Await(Await),
    /// The question whether an address is free.
    ConflictProbe(IfName, core::net::Ipv4Addr),
    /// The announcement of a link's addresses.
    Announcement(IfName),
}

macro_rules! kinds {
    ($($kind:ident),* $(,)?) => {
        /// Anything a kernel can hold for us.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Resource {
            $(#[doc = concat!("See [`", stringify!($kind), "`].")] $kind($kind),)*
        }

        impl Resource {
            /// Which one it is.
            pub fn key(&self) -> Key {
                match self { $(Self::$kind(resource) => resource.key(),)* }
            }

            /// The fields in which `found` is not as this resource wants it. A found resource of
            /// another kind differs as a whole.
            pub fn compare(&self, found: &Self) -> Vec<Mismatch> {
                match (self, found) {
                    $((Self::$kind(want), Self::$kind(found)) => want.compare(found),)*
                    (want, found) => alloc::vec![Mismatch {
                        field: "kind",
                        expected: want.kind().into(),
                        found: found.kind().into(),
                    }],
                }
            }

            /// The name of the kind.
            pub fn kind(&self) -> &'static str {
                match self { $(Self::$kind(_) => stringify!($kind),)* }
            }
        }

        impl fmt::Display for Resource {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $(Self::$kind(resource) => fmt::Display::fmt(resource, f),)* }
            }
        }

        $(impl From<$kind> for Resource {
            fn from(resource: $kind) -> Self { Self::$kind(resource) }
        })*
    };
}

kinds!(
    Bridge,
    IdleBridge,
    Veth,
    MovedDevice,
    AnyLink,
    VirtualLink,
    Membership,
    BridgePort,
    FastPath,
    LinkAttribute,
    Address,
    AddressGuard,
    Route,
    RouteAbsence,
    RoutingRule,
    Neighbour,
    Qdisc,
    TrafficClass,
    TrafficFilter,
    Offloads,
    Sysctl,
    NftTable,
    NftSet,
    NftChain,
    NftElements,
    NftTaggedRules,
    IptablesChain,
    IptablesRule,
    FirewalldSource,
    StaleFlows,
    Await,
    ConflictProbe,
    Announcement,
);

impl Resource {
    /// Whether this is something to do rather than something to have: it is done at every ADD
    /// (and, if owned, at every DEL), and CHECK has nothing to compare.
    pub fn is_action(&self) -> bool {
        matches!(self, Self::StaleFlows(_) | Self::IdleBridge(_)) || self.is_passing()
    }

    /// Whether it leaves nothing that could be taken back.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Await(_) | Self::ConflictProbe(_) | Self::Announcement(_))
    }

    /// Whether nothing is wanted: elements without a key, which only DEL looks for.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::NftElements(group) if group.elements.is_empty())
    }

    /// Whether its key tells its owner. An iptables rule and a source of firewalld tell an address
    /// only, so that one that is there already may have been left by somebody else; a link that is
    /// up may have been so.
    pub fn tells_owner(&self) -> bool {
        !matches!(self, Self::IptablesRule(_) | Self::FirewalldSource(_) | Self::LinkAttribute(_))
    }

    /// Whether nobody but us makes it. What iptables and firewalld hold for an attachment, and the
    /// queueing disciplines of its links, may be the reference plugins', under the same names.
    pub fn is_ours_alone(&self) -> bool {
        !matches!(
            self,
            Self::Qdisc(_)
                | Self::IptablesChain(_)
                | Self::IptablesRule(_)
                | Self::FirewalldSource(_)
        )
    }

    /// Whether it is part of a packet filter.
    pub fn is_packet_filter(&self) -> bool {
        matches!(
            self,
            Self::NftTable(_)
                | Self::NftSet(_)
                | Self::NftChain(_)
                | Self::NftElements(_)
                | Self::NftTaggedRules(_)
                | Self::IptablesChain(_)
                | Self::IptablesRule(_)
        )
    }

    /// Whether a kernel that cannot have it is fine.
    pub fn is_optional(&self) -> bool {
        matches!(self, Self::Sysctl(sysctl) if sysctl.optional)
    }

    /// What creating it is called.
    pub fn creation_verb(&self) -> &'static str {
        match self {
            Self::StaleFlows(_) => "flush",
            Self::Await(_) => "wait for",
            Self::ConflictProbe(_) => "make sure",
            Self::Announcement(_) => "announce",
            Self::LinkAttribute(_)
            | Self::Offloads(_)
            | Self::Sysctl(_)
            | Self::BridgePort(_)
            | Self::Membership(_) => "set",
            Self::AddressGuard(_) | Self::RouteAbsence(_) => "ensure",
            Self::MovedDevice(_) => "move",
            _ => "create",
        }
    }

    /// The interface name this resource stands on, so that what dies with a link can be told.
    pub fn link(&self) -> Option<&IfName> {
        match self {
            Self::Bridge(bridge) => Some(&bridge.name),
            Self::IdleBridge(idle) => Some(&idle.bridge),
            Self::Veth(veth) => Some(&veth.name),
            Self::MovedDevice(device) => Some(&device.name),
            Self::AnyLink(link) => Some(&link.name),
            Self::VirtualLink(link) => Some(&link.name),
            Self::Membership(membership) => Some(&membership.link),
            Self::BridgePort(port) => Some(&port.link),
            Self::FastPath(path) => Some(&path.link),
            Self::LinkAttribute(attribute) => Some(&attribute.link),
            Self::Address(address) => Some(&address.link),
            Self::AddressGuard(guard) => Some(&guard.link),
            Self::Route(route) => Some(&route.link),
            Self::RouteAbsence(absence) => Some(&absence.0.link),
            Self::Neighbour(neighbour) => Some(&neighbour.link),
            Self::Qdisc(qdisc) => Some(&qdisc.link),
            Self::TrafficClass(class) => Some(&class.link),
            Self::TrafficFilter(filter) => Some(&filter.link),
            Self::Offloads(offloads) => Some(&offloads.link),
            Self::Await(wait) => Some(&wait.link),
            Self::ConflictProbe(probe) => Some(&probe.link),
            Self::Announcement(announcement) => Some(&announcement.link),
            Self::RoutingRule(_)
            | Self::Sysctl(_)
            | Self::NftTable(_)
            | Self::NftSet(_)
            | Self::NftChain(_)
            | Self::NftElements(_)
            | Self::NftTaggedRules(_)
            | Self::IptablesChain(_)
            | Self::IptablesRule(_)
            | Self::FirewalldSource(_)
            | Self::StaleFlows(_) => None,
        }
    }
}
