//! A packet that nobody has sent: what is known of its bytes, and what is not. It must never make
//! up a byte that only the kernel chooses.

use alloc::{format, string::String, vec::Vec};
use core::{fmt, net::IpAddr};

use crate::model::HardwareAddress;

/// `IPPROTO_ICMP`.
pub const ICMP: u8 = 1;
/// `IPPROTO_TCP`.
pub const TCP: u8 = 6;
/// `IPPROTO_UDP`.
pub const UDP: u8 = 17;
/// `IPPROTO_ICMPV6`.
pub const ICMPV6: u8 = 58;

/// The ports among which the kernel chooses (`ip_local_port_range`).
const CHOSEN: (u16, u16) = (32768, 60999);

/// A port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// This one.
    Number(u16),
    /// One that the kernel chooses for the sender.
    Chosen,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Chosen => f.write_str("*"),
        }
    }
}

/// What kind of packet it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The first packet of a connection, or its answer.
    Plain,
    /// A question of IPv6 who has an address, or its answer.
    Discovery,
    /// The same of IPv4, which is no packet of IP.
    Arp,
    /// The first packet of any connection: only its source is known, and the family of its
    /// destination.
    Any,
}

/// The first packet of a connection, or its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// From.
    pub source: IpAddr,
    /// To.
    pub destination: IpAddr,
    /// The protocol above IP.
    pub protocol: u8,
    /// The port from; 0 where there are no ports.
    pub source_port: Port,
    /// The port to; 0 where there are no ports.
    pub destination_port: Port,
    /// Whether it answers another.
    pub is_answer: bool,
    /// What kind of packet it is.
    pub kind: Kind,
    /// The mark of the packet, which no wire carries.
    pub mark: u32,
}

impl Packet {
    /// Whether it is of IPv6.
    pub fn is_v6(&self) -> bool {
        self.destination.is_ipv6()
    }

    /// Whether its protocol has ports.
    pub fn has_ports(&self) -> bool {
        matches!(self.protocol, TCP | UDP)
    }

    /// The protocol in a word.
    pub fn protocol_name(&self) -> String {
        match self.protocol {
            TCP => "tcp".into(),
            UDP => "udp".into(),
            ICMP => "icmp".into(),
            ICMPV6 => "icmpv6".into(),
            other => format!("protocol {other}"),
        }
    }

    /// The answer to it.
    #[must_use]
    pub fn answer(&self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            protocol: self.protocol,
            source_port: self.destination_port,
            destination_port: self.source_port,
            is_answer: true,
            kind: self.kind,
            mark: 0,
        }
    }

    /// What it is on an Ethernet.
    pub(super) fn ethernet_type(&self) -> [u8; 2] {
        match self.kind {
            Kind::Arp => [0x08, 0x06],
            _ if self.is_v6() => [0x86, 0xdd],
            Kind::Plain | Kind::Discovery | Kind::Any => [0x08, 0x00],
        }
    }

    /// Type and code of ICMP: an echo request or its reply.
    pub(super) fn icmp(&self) -> Option<(u8, u8)> {
        match (self.protocol, self.is_answer) {
            (ICMPV6, false) if self.kind == Kind::Discovery => Some((135, 0)),
            (ICMPV6, true) if self.kind == Kind::Discovery => Some((136, 0)),
            (ICMP, false) => Some((8, 0)),
            (ICMP, true) => Some((0, 0)),
            (ICMPV6, false) => Some((128, 0)),
            (ICMPV6, true) => Some((129, 0)),
            _ => None,
        }
    }

    /// The header of IP.
    pub(super) fn network_header(&self) -> Vec<Cell> {
        let mut header = Vec::new();
        match (self.source, self.destination) {
            _ if self.kind == Kind::Any => {
                header.resize(if self.is_v6() { 8 } else { 12 }, Cell::Unknown);
                header.extend(ip_cells(self.source));
            }
            (IpAddr::V4(source), IpAddr::V4(destination)) if self.kind == Kind::Arp => {
                let code = if self.is_answer { 2 } else { 1 };
                header.extend(bytes(&[0, 1, 8, 0, 6, 4, 0, code]));
                header.extend([Cell::Unknown; 6]);
                header.extend(bytes(&source.octets()));
                header.extend([Cell::Unknown; 6]);
                header.extend(bytes(&destination.octets()));
            }
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                header.extend(bytes(&[0x45, 0]));
                // Length and number; then not to be cut into pieces.
                header.extend([Cell::Unknown; 4]);
                header.extend(bytes(&[0x40, 0]));
                header.push(Cell::Unknown);
                header.extend(bytes(&[self.protocol]));
                header.extend([Cell::Unknown; 2]);
                header.extend(bytes(&source.octets()));
                header.extend(bytes(&destination.octets()));
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                header.extend(bytes(&[0x60]));
                header.extend([Cell::Unknown; 5]);
                header.extend(bytes(&[self.protocol]));
                header.push(Cell::Unknown);
                header.extend(bytes(&source.octets()));
                header.extend(bytes(&destination.octets()));
            }
            // Nobody can send such a packet.
            _ => {}
        }
        header
    }

    /// The header of what is above IP.
    pub(super) fn transport_header(&self) -> Vec<Cell> {
        let mut header = Vec::new();
        if let Some((kind, code)) = self.icmp() {
            header.extend(bytes(&[kind, code]));
            header.extend([Cell::Unknown; 6]);
            return header;
        }
        if !self.has_ports() {
            header.extend([Cell::Unknown; 8]);
            return header;
        }
        header.extend(port(self.source_port));
        header.extend(port(self.destination_port));
        if self.protocol == UDP {
            header.extend([Cell::Unknown; 4]);
            return header;
        }
        header.extend([Cell::Unknown; 8]);
        // With options; SYN, and of an answer ACK too.
        header.extend(bytes(&[0xa0, if self.is_answer { 0x12 } else { 0x02 }]));
        header.extend([Cell::Unknown; 6]);
        header
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = |ip: IpAddr, port: Port| match ip {
            _ if !self.has_ports() => format!("{ip}"),
            IpAddr::V4(ip) => format!("{ip}:{port}"),
            IpAddr::V6(ip) => format!("[{ip}]:{port}"),
        };
        let from = end(self.source, self.source_port);
        write!(f, "{from} → {}", end(self.destination, self.destination_port))
    }
}

/// The ends of a packet on an Ethernet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) source: Option<HardwareAddress>,
    /// Nothing if the link has no such addresses.
    pub(super) destination: Option<HardwareAddress>,
}

impl Frame {
    /// The header of Ethernet.
    pub(super) fn header(&self, packet: &Packet) -> Vec<Cell> {
        let mut header = Vec::new();
        for mac in [&self.destination, &self.source] {
            match mac {
                Some(mac) => header.extend(bytes(&mac.0)),
                None => header.extend([Cell::Unknown; 6]),
            }
        }
        header.extend(bytes(&packet.ethernet_type()));
        header
    }
}

/// A byte, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Byte(u8),
    /// The first or second byte of a port that the kernel chooses.
    Chosen(bool),
    Unknown,
}

pub(super) fn bytes(bytes: &[u8]) -> impl Iterator<Item = Cell> + '_ {
    bytes.iter().map(|&byte| Cell::Byte(byte))
}

fn port(port: Port) -> [Cell; 2] {
    match port {
        Port::Number(number) => number.to_be_bytes().map(Cell::Byte),
        Port::Chosen => [Cell::Chosen(true), Cell::Chosen(false)],
    }
}

/// The address as cells.
pub(super) fn ip_cells(ip: IpAddr) -> Vec<Cell> {
    match ip {
        IpAddr::V4(ip) => bytes(&ip.octets()).collect(),
        IpAddr::V6(ip) => bytes(&ip.octets()).collect(),
    }
}

/// The port as cells.
pub(super) fn port_cells(one: Port) -> Vec<Cell> {
    port(one).to_vec()
}

/// What is known for certain, if all is.
pub(super) fn known(cells: &[Cell]) -> Option<Vec<u8>> {
    let byte = |cell: &Cell| match cell {
        Cell::Byte(byte) => Some(*byte),
        Cell::Chosen(_) | Cell::Unknown => None,
    };
    cells.iter().map(byte).collect()
}

/// The least and the greatest that the cells can be, as numbers with the first byte first.
pub(super) fn bounds(cells: &[Cell]) -> (Vec<u8>, Vec<u8>) {
    let ends = |cell: &Cell| match cell {
        Cell::Byte(byte) => (*byte, *byte),
        Cell::Chosen(true) => (CHOSEN.0.to_be_bytes()[0], CHOSEN.1.to_be_bytes()[0]),
        Cell::Chosen(false) => (CHOSEN.0.to_be_bytes()[1], CHOSEN.1.to_be_bytes()[1]),
        Cell::Unknown => (0, u8::MAX),
    };
    cells.iter().map(ends).unzip()
}

/// Whether the cells are these bytes; nothing if nobody can tell.
pub(super) fn equal(cells: &[Cell], value: &[u8]) -> Option<bool> {
    if cells.len() < value.len() {
        return None;
    }
    let cells = &cells[..value.len()];
    let differs = |(cell, byte): (&Cell, &u8)| matches!(cell, Cell::Byte(own) if own != byte);
    if cells.iter().zip(value).any(differs) {
        return Some(false);
    }
    let (least, greatest) = bounds(cells);
    if value < least.as_slice() || value > greatest.as_slice() {
        return Some(false);
    }
    (least == greatest).then_some(true)
}

/// Whether the cells are at least these bytes; nothing if nobody can tell.
pub(super) fn at_least(cells: &[Cell], value: &[u8]) -> Option<bool> {
    if cells.len() < value.len() {
        return None;
    }
    let (least, greatest) = bounds(&cells[..value.len()]);
    if least.as_slice() >= value {
        Some(true)
    } else if greatest.as_slice() < value {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_compared() {
        let chosen = port(Port::Chosen);
        assert_eq!(equal(&chosen, &[0, 80]), Some(false));
        assert_eq!(equal(&chosen, &40000_u16.to_be_bytes()), None);
        assert_eq!(at_least(&chosen, &1024_u16.to_be_bytes()), Some(true));
        assert_eq!(at_least(&chosen, &61000_u16.to_be_bytes()), Some(false));
        assert_eq!(equal(&[Cell::Byte(1), Cell::Unknown], &[2, 0]), Some(false));
        assert_eq!(equal(&[Cell::Byte(1), Cell::Unknown], &[1, 0]), None);
        assert_eq!(equal(&[Cell::Byte(1)], &[1]), Some(true));
        assert_eq!(equal(&[], &[1]), None);
    }
}
