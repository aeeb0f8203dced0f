//! Addresses, routes, neighbours, and connections.

use alloc::{string::String, vec::Vec};
use core::{fmt, net::IpAddr};

use super::HardwareAddress;

/// An address of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The link's index.
    pub link: u32,
    /// The address.
    pub ip: IpAddr,
    /// How much of it is the network.
    pub length: u8,
    /// The address of the other end, if it is another one.
    pub peer: Option<IpAddr>,
    /// `RT_SCOPE_…`: 0 everywhere, 253 the link, 254 the host.
    pub scope: u8,
    /// `IFA_F_…`.
    pub flags: u32,
    /// Its label.
    pub label: Option<String>,
    /// For how many seconds it is valid; `None` for ever.
    pub valid_seconds: Option<u32>,
}

impl Address {
    /// Whether it is meant for everywhere, and not for its link or host alone.
    pub fn is_global(&self) -> bool {
        self.scope == 0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.length)
    }
}

/// The addresses that a route or rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Destination {
    /// The first one.
    pub ip: IpAddr,
    /// How many leading bits count.
    pub length: u8,
}

impl Destination {
    /// Whether it is every address.
    pub fn is_default(&self) -> bool {
        self.length == 0
    }

    /// Whether it is of IPv6.
    pub fn is_v6(&self) -> bool {
        self.ip.is_ipv6()
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let full = if self.is_v6() { 128 } else { 32 };
        if self.is_default() {
            f.write_str("default")
        } else if self.length == full {
            write!(f, "{}", self.ip)
        } else {
            write!(f, "{}/{}", self.ip, self.length)
        }
    }
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where to.
    pub destination: Destination,
    /// From where only, with IPv6.
    pub source: Option<Destination>,
    /// Its table.
    pub table: u32,
    /// Among several the lowest counts.
    pub priority: u32,
    /// `RTN_…`: 1 unicast, 2 local, 3 broadcast, 7 unreachable.
    pub kind: u8,
    /// `RTPROT_…`: who made it.
    pub protocol: u8,
    /// `RT_SCOPE_…`.
    pub scope: u8,
    /// `RTM_F_…` and `RTNH_F_…`.
    pub flags: u32,
    /// The type of service it is for.
    pub tos: u8,
    /// Ways to go; several share the load.
    pub hops: Vec<Hop>,
    /// The own address to use.
    pub preferred_source: Option<IpAddr>,
    /// The number of a next hop object.
    pub next_hop: Option<u32>,
    /// `RTAX_…` with values.
    pub metrics: Vec<(u16, u32)>,
}

/// One way of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hop {
    /// The index of the link to send through.
    pub link: Option<u32>,
    /// Whom to send to.
    pub gateway: Option<IpAddr>,
    /// Its share, less one.
    pub weight: u8,
    /// `RTNH_F_…`.
    pub flags: u8,
    /// `LWTUNNEL_ENCAP_…`, with the kernel's encoding of the rest.
    pub encapsulation: Option<(u16, Vec<u8>)>,
}

/// A way that routes refer to by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// Its number.
    pub id: u32,
    /// What it is.
    pub kind: NextHopKind,
    /// `RTPROT_…`: who made it.
    pub protocol: u8,
    /// `RT_SCOPE_…`.
    pub scope: u8,
    /// `RTNH_F_…`.
    pub flags: u32,
    /// Whether it is for forwarding databases, not for routes.
    pub is_for_frames: bool,
}

/// What a next hop is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextHopKind {
    /// One way.
    Hop(Hop),
    /// Several ways: their numbers, with their shares less one.
    Group(Vec<(u32, u16)>),
    /// Packets end here.
    Blackhole,
}

/// A rule that says which table is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoutingRule {
    /// Whether it is for IPv6.
    pub is_v6: bool,
    /// The lowest is asked first.
    pub priority: u32,
    /// `FR_ACT_…`: 1 asks the table.
    pub action: u8,
    /// The table.
    pub table: u32,
    /// Whether it is for all packets but those described.
    pub is_inverted: bool,
    /// Source addresses.
    pub source: Option<Destination>,
    /// Destination addresses.
    pub destination: Option<Destination>,
    /// Mark and mask.
    pub mark: Option<(u32, u32)>,
    /// The link packets came in on.
    pub input: Option<String>,
    /// The link sockets are bound to.
    pub output: Option<String>,
    /// The type of service.
    pub tos: u8,
    /// The protocol above IP.
    pub ip_protocol: Option<u8>,
    /// Source ports, both ends counted.
    pub source_ports: Option<(u16, u16)>,
    /// Destination ports, both ends counted.
    pub destination_ports: Option<(u16, u16)>,
    /// Users, both ends counted.
    pub users: Option<(u32, u32)>,
    /// Routes with prefixes of at most this length are passed over.
    pub suppressed_length: Option<u32>,
    /// Whether it asks the table of the link's routing domain.
    pub by_domain: bool,
    /// The priority where it goes on.
    pub goto: Option<u32>,
    /// `RTPROT_…`.
    pub protocol: u8,
}

/// Who is at which hardware address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The link's index.
    pub link: u32,
    /// Who.
    pub ip: IpAddr,
    /// Where.
    pub mac: Option<HardwareAddress>,
    /// `NUD_…`.
    pub state: u16,
    /// `NTF_…`: 8 for an address that is answered for.
    pub flags: u8,
}

/// Where a bridge or VXLAN sends frames.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForwardingEntry {
    /// The index of the port, or of the bridge itself, or of the VXLAN link.
    pub link: u32,
    /// The index of the bridge.
    pub master: Option<u32>,
    /// For which address.
    pub mac: HardwareAddress,
    /// In which VLAN.
    pub vlan: Option<u16>,
    /// `NUD_…`.
    pub state: u16,
    /// `NTF_…`.
    pub flags: u8,
    /// The host behind a VXLAN.
    pub remote: Option<IpAddr>,
    /// The VXLAN's number there.
    pub remote_id: Option<u32>,
    /// The port there.
    pub remote_port: Option<u16>,
}

/// One direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple {
    /// From.
    pub source: IpAddr,
    /// To.
    pub destination: IpAddr,
    /// The port from, or of ICMP its number.
    pub source_port: u16,
    /// The port to; of ICMP type and code.
    pub destination_port: u16,
    /// How many packets.
    pub packets: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// A tracked connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The protocol above IP.
    pub protocol: u8,
    /// As it began.
    pub original: Tuple,
    /// As answers come.
    pub reply: Tuple,
    /// Its mark.
    pub mark: u32,
    /// `IPS_…`.
    pub status: u32,
    /// Its zone.
    pub zone: u16,
    /// In how many seconds it is forgotten.
    pub timeout: u32,
}
