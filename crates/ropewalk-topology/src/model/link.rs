//! Links: what the kernel says of each, and of what waits in their queues.

use alloc::{string::String, vec::Vec};
use core::{fmt, net::IpAddr};

/// A hardware address of any length.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct HardwareAddress(pub Vec<u8>);

impl fmt::Display for HardwareAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, byte) in self.0.iter().enumerate() {
            let colon = if position == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02x}")?;
        }
        Ok(())
    }
}

/// A link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Its number in its namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Other names it is found under.
    pub other_names: Vec<String>,
    /// A text that somebody left on it.
    pub alias: Option<String>,
    /// `ARPHRD_…`: 1 is Ethernet, 772 loopback.
    pub hardware_type: u16,
    /// Its kind as the kernel says (`veth`); `None` for hardware and loopback.
    pub kind: Option<String>,
    /// `IFF_…`.
    pub flags: u32,
    /// Its operational state.
    pub state: State,
    /// Its hardware address.
    pub mac: Option<HardwareAddress>,
    /// The largest packet in bytes.
    pub mtu: u32,
    /// How many packets wait before some are dropped.
    pub queue_length: u32,
    /// The index of the link that it is a part of: a bridge, a bond, a VRF.
    pub master: Option<u32>,
    /// The link it stands on; of a veth, the other end.
    pub lower: Option<Lower>,
    /// What is special about its kind.
    pub details: Details,
    /// What it is as a bridge's port.
    pub port: Option<Port>,
    /// The VLANs of a bridge or port.
    pub vlans: Vec<BridgeVlan>,
    /// What passed.
    pub counters: Counters,
    /// Its IPv4 sysctls, the value of number n (`IPV4_DEVCONF_…`) at n - 1.
    pub ipv4_settings: Vec<u32>,
    /// Its IPv6 sysctls, the value of number n (`DEVCONF_…`) at n.
    pub ipv6_settings: Vec<i32>,
    /// The number of an XDP program on it.
    pub xdp: Option<u32>,
    /// Whether it leaves checksums to others, where somebody minds: a program of XDP at the other
    /// end of a pair.
    pub leaves_checksums: Option<bool>,
    /// The switch at the other end of the wire, if somebody listened.
    pub switch: Option<Switch>,
}

/// A switch as it describes itself (LLDP), and the port of it that a wire is in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Switch {
    /// The switch itself: often a hardware address.
    pub chassis: String,
    /// Its port.
    pub port: String,
    /// For how many seconds this is true.
    pub seconds: u16,
    /// What somebody called the port.
    pub port_description: Option<String>,
    /// What somebody called the switch.
    pub name: Option<String>,
    /// What kind of switch it is.
    pub description: Option<String>,
}

impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Where ports are told by hardware addresses, people call them otherwise.
        let is_mac = self.port.len() == 17 && self.port.matches(':').count() == 5;
        let port = self.port_description.as_ref().filter(|_| is_mac).unwrap_or(&self.port);
        write!(f, "{port} of {}", self.name.as_ref().unwrap_or(&self.chassis))
    }
}

impl Link {
    /// Whether the kernel says it is of this kind.
    pub fn is(&self, kind: &str) -> bool {
        self.kind.as_deref() == Some(kind)
    }

    /// Whether it is administratively up.
    pub fn is_up(&self) -> bool {
        self.flags & 1 != 0
    }

    /// Whether it is the loopback.
    pub fn is_loopback(&self) -> bool {
        self.flags & 8 != 0
    }

    /// Its kind in a word.
    pub fn kind_name(&self) -> &str {
        match &self.kind {
            Some(kind) => kind,
            None if self.is_loopback() => "loopback",
            None => "device",
        }
    }
}

/// The operational state of a link (RFC 2863).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State(pub u8);

impl State {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self.0 {
            1 => "notpresent",
            2 => "down",
            3 => "lowerlayerdown",
            4 => "testing",
            5 => "dormant",
            6 => "up",
            _ => "unknown",
        }
    }
}

/// The link that another stands on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lower {
    /// Its index in its namespace; 0 if there is none (a tunnel over no link in particular).
    pub index: u32,
    /// The number of that namespace, if it is another one. It may have none any more.
    pub namespace: Option<i32>,
}

/// What is special about a kind of link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Details {
    /// Nothing.
    #[default]
    Plain,
    /// A bridge.
    Bridge {
        /// Whether frames are kept apart by VLAN.
        vlan_filtering: bool,
        /// Whether it speaks the spanning tree protocol.
        spanning_tree: bool,
        /// How long addresses are remembered, in hundredths of a second.
        ageing: u32,
    },
    /// A VLAN.
    Vlan {
        /// Its number.
        id: u16,
        /// The Ethernet type of its tags.
        protocol: u16,
    },
    /// VXLAN.
    Vxlan {
        /// The network's number.
        id: u32,
        /// The own address.
        local: Option<IpAddr>,
        /// The other end's, or the group's, address.
        remote: Option<IpAddr>,
        /// The port of the other end.
        port: u16,
        /// Whether it learns where addresses are.
        learning: bool,
    },
    /// Macvlan or macvtap.
    Macvlan {
        /// `MACVLAN_MODE_…`.
        mode: u32,
    },
    /// Ipvlan.
    Ipvlan {
        /// 0 l2, 1 l3, 2 l3s.
        mode: u16,
    },
    /// A routing domain.
    Vrf {
        /// Its table.
        table: u32,
    },
    /// An end in a program.
    Tun {
        /// Whether it carries frames (tap), not packets (tun).
        is_tap: bool,
        /// The user who may open it.
        owner: Option<u32>,
    },
    /// A tunnel of another kind, with its ends.
    Tunnel {
        /// The own address.
        local: Option<IpAddr>,
        /// The other end's address.
        remote: Option<IpAddr>,
    },
}

/// A bridge's port.
#[expect(clippy::struct_excessive_bools, reason = "they are the kernel's, and of no other shape")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Port {
    /// `BR_STATE_…`: 3 is forwarding.
    pub state: u8,
    /// Whether frames may go back where they came from.
    pub hairpin: bool,
    /// Whether it reaches no other such port.
    pub isolated: bool,
    /// Whether it learns addresses.
    pub learning: bool,
    /// Whether frames for unknown addresses go out.
    pub flood: bool,
}

/// A VLAN of a bridge or port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BridgeVlan {
    /// Its number.
    pub id: u16,
    /// `BRIDGE_VLAN_INFO_…`: 2 own, 4 untagged.
    pub flags: u16,
}

/// What passed a link or a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets in.
    pub rx_packets: u64,
    /// Packets out.
    pub tx_packets: u64,
    /// Bytes in.
    pub rx_bytes: u64,
    /// Bytes out.
    pub tx_bytes: u64,
    /// Bad packets in.
    pub rx_errors: u64,
    /// Bad packets out.
    pub tx_errors: u64,
    /// Packets in that nobody had room for.
    pub rx_dropped: u64,
    /// Packets out that nobody had room for.
    pub tx_dropped: u64,
}

/// A queue of a link, or a class of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Qdisc {
    /// The link's index.
    pub link: u32,
    /// Its kind (`tbf`).
    pub kind: String,
    /// Its number; of a class, that of the queue with the class's own in the lower half.
    pub handle: u32,
    /// Whose it is; 0xffff_ffff for the link itself.
    pub parent: u32,
    /// Its parameters, as the kernel encodes them for the kind.
    pub options: Vec<u8>,
    /// Bytes that passed.
    pub bytes: u64,
    /// Packets that passed.
    pub packets: u64,
    /// Packets that were dropped.
    pub drops: u64,
}

/// A filter of a queue: which class a packet is in, or what else becomes of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrafficFilter {
    /// The link's index.
    pub link: u32,
    /// The queue or class it belongs to.
    pub parent: u32,
    /// Its kind (`u32`, `bpf`).
    pub kind: String,
    /// The protocol it looks at: `ETH_P_…`, 3 for all.
    pub protocol: u16,
    /// The lowest is asked first.
    pub priority: u16,
    /// Its number; 0 tells of what all filters of this priority have in common.
    pub handle: u32,
    /// The chain it is in.
    pub chain: u32,
    /// Its parameters, as the kernel encodes them for the kind.
    pub options: Vec<u8>,
}

impl TrafficFilter {
    /// Whether it does something, and is no table of others.
    pub fn is_rule(&self) -> bool {
        // The lowest bits of one of kind u32 are its place in a table.
        self.handle != 0 && (self.kind != "u32" || self.handle & 0xfff != 0)
    }
}
