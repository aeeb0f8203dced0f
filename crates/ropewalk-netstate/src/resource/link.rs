//! Links: bridges, veth pairs, bridge ports, single attributes of links that exist.

use alloc::{string::String, vec::Vec};
use core::fmt;

use ropewalk_addr::{IfName, Mac};

use super::{Comparison, Key, Mismatch};
use crate::{desired::Place, owner::Tag};

/// A bridge. It is created up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridge {
    /// Its name.
    pub name: IfName,
    /// Initial MTU in bytes; an existing bridge keeps its own. Found: the current one.
    pub mtu: Option<u32>,
    /// Whether ports have VLANs. Wanting `false` accepts a bridge that has them on.
    pub vlan_filtering: bool,
    /// Whether the bridge device itself receives all frames.
    pub promiscuous: bool,
    /// Expected MAC. On creation, `None` pins a random one, so that it does not follow the ports.
    pub mac: Option<Mac>,
    /// Whether it is administratively up. Always wanted.
    pub up: bool,
}

impl Bridge {
    /// The alias of bridges that were made here, so that they may go when nobody uses them. It is
    /// no owner's mark: a bridge belongs to all of its ports.
    pub const MARK: &str = "ropewalk:shared";

    pub(crate) fn key(&self) -> Key {
        Key::Bridge(self.name.clone())
    }

    pub(crate) fn compare(&self, found: &Self) -> Vec<Mismatch> {
        Comparison::default()
            .wanted(
                "vlan_filtering",
                self.vlan_filtering.then_some(&true),
                Some(&found.vlan_filtering),
            )
            .field("promiscuous", &self.promiscuous, &found.promiscuous)
            .wanted("mac", self.mac.as_ref(), found.mac.as_ref())
            .field("up", &self.up, &found.up)
            .finish()
    }
}

impl fmt::Display for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bridge {}", self.name)
    }
}

/// The far end of a veth pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VethPeer {
    /// The namespace it is created in. Pairs are never moved: moving costs the kernel an RCU
    /// barrier under the RTNL lock.
    pub place: Place,
    /// Its name.
    pub name: IfName,
    /// Its MAC; `None` lets the kernel choose. Found: the current one.
    pub mac: Option<Mac>,
}

/// A veth pair: one resource with two ends. The near end is created up, with one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Veth {
    /// Name of the near end, the one at the item's place.
    pub name: IfName,
    /// Near end's MAC. Found: the current one.
    pub mac: Option<Mac>,
    /// The bridge the near end is a port of. Found: its master.
    pub bridge: Option<IfName>,
    /// The far end. Found: `None` if the peer has another name or lies elsewhere.
    pub peer: Option<VethPeer>,
    /// Initial MTU in bytes of both ends. Found: the near end's.
    pub mtu: Option<u32>,
    /// Whose it is, kept as the near end's alias.
    pub tag: Option<Tag>,
    /// Whether the near end is administratively up. Always wanted.
    pub up: bool,
}

impl Veth {
    pub(crate) fn key(&self) -> Key {
        Key::Veth(self.name.clone())
    }

    pub(crate) fn compare(&self, found: &Self) -> Vec<Mismatch> {
        let end = |peer: &VethPeer| (peer.place, peer.name.clone());
        let peer_mac = |veth: &Self| veth.peer.as_ref().and_then(|peer| peer.mac);
        Comparison::default()
            .wanted("bridge", self.bridge.as_ref(), found.bridge.as_ref())
            .wanted(
                "peer",
                self.peer.as_ref().map(end).as_ref(),
                found.peer.as_ref().map(end).as_ref(),
            )
            .wanted("peer_mac", peer_mac(self).as_ref(), peer_mac(found).as_ref())
            .wanted("mac", self.mac.as_ref(), found.mac.as_ref())
            .field("up", &self.up, &found.up)
            .finish()
    }
}

impl fmt::Display for Veth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "veth pair {}", self.name)?;
        if let Some(peer) = &self.peer {
            write!(f, " with peer {} {}", peer.name, peer.place)?;
        }
        if let Some(bridge) = &self.bridge {
            write!(f, " as a port of {bridge}")?;
        }
        Ok(())
    }
}

/// A link of whatever kind, by name: it can be found and deleted, not created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnyLink {
    /// Its name.
    pub name: IfName,
    /// Its MAC, if that matters.
    pub mac: Option<Mac>,
}

impl AnyLink {
    pub(crate) fn key(&self) -> Key {
        Key::AnyLink(self.name.clone())
    }

    pub(crate) fn compare(&self, found: &Self) -> Vec<Mismatch> {
        Comparison::default().wanted("mac", self.mac.as_ref(), found.mac.as_ref()).finish()
    }
}

impl fmt::Display for AnyLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link {}", self.name)
    }
}

/// VLAN ids `first` to `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VlanRange {
    /// Lowest id, 1 to 4094.
    pub first: u16,
    /// Highest id.
    pub last: u16,
}

/// The VLANs of a bridge port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortVlans {
    /// The VLAN of untagged frames, in both directions.
    pub untagged: Option<u16>,
    /// VLANs that pass tagged, ascending, not overlapping.
    pub tagged: Vec<VlanRange>,
    /// Whether the port keeps the bridge's default VLAN 1 besides.
    pub keep_default: bool,
}

/// Settings of a bridge port beyond being one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgePort {
    /// The port.
    pub link: IfName,
    /// Whether frames may leave through the port they came in; `None` leaves it as it is.
    pub hairpin: Option<bool>,
    /// Whether the port talks to non-isolated ports only; `None` leaves it as it is.
    pub isolated: Option<bool>,
    /// Its VLANs; `None` leaves the bridge's defaults.
    pub vlans: Option<PortVlans>,
}

impl BridgePort {
    pub(crate) fn key(&self) -> Key {
        Key::BridgePort(self.link.clone())
    }

    pub(crate) fn compare(&self, found: &Self) -> Vec<Mismatch> {
        Comparison::default()
            .wanted("hairpin", self.hairpin.as_ref(), found.hairpin.as_ref())
            .wanted("isolated", self.isolated.as_ref(), found.isolated.as_ref())
            .wanted("vlans", self.vlans.as_ref(), found.vlans.as_ref())
            .finish()
    }
}

impl fmt::Display for BridgePort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bridge port settings of {}", self.link)
    }
}

/// One attribute of a link and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// Administratively up. Its absence cannot be told from `false`; deleting it sets the link down.
    Up(bool),
    /// Hardware address.
    Mac(Mac),
    /// MTU in bytes.
    Mtu(u32),
    /// Receive all frames.
    Promiscuous(bool),
    /// Receive all multicast frames.
    AllMulticast(bool),
    /// Transmit queue length in packets.
    TxQueueLength(u32),
    /// Size in bytes up to which IPv4 segments go as one packet, sent and received. Found: the
    /// lesser of the two.
    PacketSize(u32),
}

impl Attribute {
    /// The attribute's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up(_) => "up",
            Self::Mac(_) => "mac",
            Self::Mtu(_) => "mtu",
            Self::Promiscuous(_) => "promisc",
            Self::AllMulticast(_) => "allmulti",
            Self::TxQueueLength(_) => "txQLen",
            Self::PacketSize(_) => "packet size",
        }
    }

    /// The value as text.
    pub fn value(self) -> String {
        match self {
            Self::Up(on) | Self::Promiscuous(on) | Self::AllMulticast(on) => alloc::format!("{on}"),
            Self::Mac(mac) => alloc::format!("{mac}"),
            Self::Mtu(n) | Self::TxQueueLength(n) | Self::PacketSize(n) => alloc::format!("{n}"),
        }
    }
}

/// An attribute of a link that exists. A kernel always finds it if the link is there, except
/// [`Attribute::Up`], which is found only while it is `true`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkAttribute {
    /// The link.
    pub link: IfName,
    /// The attribute and its value.
    pub attribute: Attribute,
}

impl LinkAttribute {
    pub(crate) fn key(&self) -> Key {
        Key::LinkAttribute(self.link.clone(), self.attribute.name())
    }

    pub(crate) fn compare(&self, found: &Self) -> Vec<Mismatch> {
        let mut mismatches = Comparison::default()
            .field(self.attribute.name(), &self.attribute, &found.attribute)
            .finish();
        for mismatch in &mut mismatches {
            mismatch.expected = self.attribute.value();
            mismatch.found = found.attribute.value();
        }
        mismatches
    }
}

impl fmt::Display for LinkAttribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} to {}", self.attribute.name(), self.link, self.attribute.value())
    }
}
