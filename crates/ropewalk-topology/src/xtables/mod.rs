//! What the matches and targets of iptables mean: their structures, read as conditions and actions.
//! They are the same in the old iptables and in that which lives in nftables.
//!
//! It must never guess: what it does not know stays a name with bytes. As text, they are in the
//! words of `iptables-save`.

mod actions;
mod conditions;
mod info;
#[cfg(test)]
mod tests;
mod words;

use alloc::{boxed::Box, string::String, vec::Vec};
use core::net::IpAddr;

/// Something that must be so, or must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<T> {
    /// What.
    pub value: T,
    /// Whether it must not be so.
    pub is_inverted: bool,
}

/// Both ends counted.
pub type Ports = (u16, u16);

/// What a match asks of a packet. All that it names must be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing: `comment` is what somebody noted.
    Comment(String),
    /// `tcp` and `udp`.
    Transport(Transport),
    /// `icmp` and `icmp6`.
    Icmp(Asked<Icmp>),
    /// `multiport`.
    PortList(Asked<PortList>),
    /// `conntrack` and `state`.
    Connection(Box<Connection>),
    /// `mark`.
    Mark(Asked<Masked>),
    /// `connmark`: the mark of the connection.
    ConnectionMark(Asked<Masked>),
    /// `addrtype`.
    AddressType(AddressType),
    /// `set`.
    Set(Asked<Membership>),
    /// `physdev`.
    BridgePort(BridgePort),
    /// `limit`.
    Limit {
        /// Ten thousandths of a second for each packet.
        period: u32,
        /// How many packets may come at once.
        burst: u32,
    },
    /// `statistic`, at random: in so many of 2³¹ cases.
    Chance(Asked<u32>),
    /// `statistic`, counted.
    Nth(Asked<Nth>),
    /// `pkttype`: `PACKET_…`, 0 for this host, 1 for all, 2 for a group.
    PacketType(Asked<u32>),
    /// `mac`: the hardware address it came from.
    Mac(Asked<[u8; 6]>),
    /// `iprange`.
    Addresses {
        /// The source, first and last.
        source: Option<Asked<(IpAddr, IpAddr)>>,
        /// The destination, first and last.
        destination: Option<Asked<(IpAddr, IpAddr)>>,
    },
    /// `owner`: of the socket it comes from.
    Owner(Owner),
    /// `rpfilter`: whether an answer would leave by the link it came in on.
    ReversePath {
        /// `XT_RPFILTER_…`: 1 by whatever link, 2 heeds the mark, 4 lets own sources pass, 8 inverts.
        flags: u8,
    },
}

/// What is asked of ports and TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transport {
    /// The port from.
    pub source: Option<Asked<Ports>>,
    /// The port to.
    pub destination: Option<Asked<Ports>>,
    /// Which of TCP's flags count, and which of those must be set.
    pub flags: Option<Asked<(u8, u8)>>,
    /// An option of TCP that must be there.
    pub option: Option<Asked<u8>>,
}

/// A kind of ICMP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// Whether it is of ICMPv6.
    pub is_v6: bool,
    /// The type; nothing for all.
    pub kind: Option<u8>,
    /// The codes, both ends counted.
    pub codes: (u8, u8),
}

/// Which of a packet's two ends something is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Where it comes from.
    Source,
    /// Where it goes.
    Destination,
    /// One of the two.
    Either,
}

/// Ports, one of which must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortList {
    /// Whose.
    pub end: End,
    /// Which.
    pub ports: Vec<Ports>,
}

/// What is asked of the packet's connection. Bits are of the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// States, one of which must be: 1 invalid, 2 established, 4 related, 8 new, 64 and 128 with
    /// another source or destination than at first, 256 untracked.
    pub states: Option<Asked<u16>>,
    /// `IPS_…`, one of which must be; none for nothing of all.
    pub status: Option<Asked<u16>>,
    /// The protocol above IP.
    pub protocol: Option<Asked<u16>>,
    /// Whether the packet goes the way of the first one.
    pub is_original: Option<bool>,
    /// Addresses with masks: the first packet's source and destination, its answer's source and
    /// destination.
    pub addresses: [Option<Asked<(IpAddr, IpAddr)>>; 4],
    /// Ports, in the same order.
    pub ports: [Option<Asked<Ports>>; 4],
    /// In how many seconds it would be forgotten.
    pub expires: Option<Asked<(u32, u32)>>,
}

/// A value, of which only the bits of the mask count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Masked {
    /// The value.
    pub value: u32,
    /// Which bits count.
    pub mask: u32,
}

/// What routing says of a packet's addresses. Bit N is `RTN_…` N: 2 is unicast, 4 local.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressType {
    /// Of the source.
    pub source: Option<Asked<u16>>,
    /// Of the destination.
    pub destination: Option<Asked<u16>>,
    /// Whether only the link counts by which it came.
    pub of_input: bool,
    /// Whether only the link counts by which it leaves.
    pub of_output: bool,
}

/// Something of the packet that must be in a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The set's number.
    pub set: u16,
    /// Where each part of the key is taken from.
    pub ends: Vec<End>,
}

/// What is asked of the ports of bridges. Names may end in `+`, for all that begin so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BridgePort {
    /// The port it came in on.
    pub input: Option<Asked<String>>,
    /// The port it leaves through.
    pub output: Option<Asked<String>>,
    /// Whether it must have come in on one (not, if this is false).
    pub has_input: Option<bool>,
    /// Whether it must leave through one.
    pub has_output: Option<bool>,
    /// Whether it must be bridged and not routed.
    pub is_bridged: Option<bool>,
}

/// Every nth packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nth {
    /// Of how many.
    pub every: u32,
    /// Which, from 0.
    pub packet: u32,
}

/// Whose socket a packet comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The user, both ends counted.
    pub user: Option<Asked<(u32, u32)>>,
    /// The group, both ends counted.
    pub group: Option<Asked<(u32, u32)>>,
    /// Whether there must be one (not, if this is false).
    pub has_socket: Option<bool>,
}

/// What a target does with a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `SNAT`.
    TranslateSource(Translation),
    /// `DNAT`.
    TranslateDestination(Translation),
    /// `MASQUERADE`.
    Masquerade(Translation),
    /// `REDIRECT`.
    Redirect(Translation),
    /// `NETMAP`: the bits of the network change, the others stay.
    MapNetwork(Translation),
    /// `REJECT`: the packet is gone, and the sender is told in these words of iptables.
    Reject(&'static str),
    /// `MARK`: bits of the mask become 0, then those of the value turn.
    Mark(Masked),
    /// `CONNMARK`: the same with the mark of the connection.
    ConnectionMark(Masked),
    /// `CONNMARK`: the packet's mark becomes the connection's.
    SaveMark(MarkMasks),
    /// `CONNMARK`: the connection's mark becomes the packet's.
    RestoreMark(MarkMasks),
    /// `LOG`.
    Log {
        /// As of syslog.
        level: u8,
        /// `XT_LOG_…`.
        flags: u8,
        /// What comes first.
        prefix: String,
    },
    /// `NFLOG`: to a program.
    Report {
        /// Who listens here is told.
        group: u16,
        /// What comes first.
        prefix: String,
    },
    /// `TCPMSS`: to this size, or to what the route allows.
    SegmentSize(Option<u16>),
    /// `CT` without tracking.
    Untrack,
}

/// What addresses and ports become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// One of these, first and last.
    pub addresses: Option<(IpAddr, IpAddr)>,
    /// One of these, first and last.
    pub ports: Option<Ports>,
    /// The port that becomes the first of these.
    pub base: Option<u16>,
    /// `NF_NAT_RANGE_…`: 4 and 16 at random, 8 the same for the same host.
    pub flags: u32,
}

/// Which bits are taken of the connection's mark and of the packet's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkMasks {
    /// Of the connection's.
    pub connection: u32,
    /// Of the packet's.
    pub packet: u32,
}
