//! Ethernet, IPv4 and UDP around a message: a client without an address cannot leave them to the
//! kernel.

use alloc::vec::Vec;
use core::net::Ipv4Addr;

use ropewalk_addr::Mac;

/// The port of clients.
pub const CLIENT_PORT: u16 = 68;
/// The port of servers and relays.
pub const SERVER_PORT: u16 = 67;

const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
const ETHERNET_HEADER: usize = 14;
const IPV4_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
const UDP: u8 = 17;
const HOPS: u8 = 64;

/// Where a datagram of a client goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To everybody on the link.
    Everybody,
    /// To a server, through the station that its last answer came from: itself or a router.
    Server {
        /// The server's address.
        address: Ipv4Addr,
        /// The station's hardware address.
        station: Mac,
    },
}

/// A datagram, out of its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// The hardware address of the station that sent the frame.
    pub station: Mac,
    /// What it carries.
    pub payload: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// The datagram to the port of clients that a frame carries.
    ///
    /// The checksum of UDP is not looked at: between two virtual interfaces it is not computed at
    /// all, since nothing can be damaged there.
    pub fn parse(frame: &'a [u8]) -> Option<Self> {
        let (ethernet, packet) = frame.split_at_checked(ETHERNET_HEADER)?;
        let station = Mac(ethernet.get(6..12)?.try_into().ok()?);
        let first = *packet.first()?;
        let header_length = usize::from(first & 0xf) * 4;
        if ethernet[12..] != ETHERTYPE_IPV4 || first >> 4 != 4 || header_length < IPV4_HEADER {
            return None;
        }
        let total = usize::from(u16_at(packet, 2)?);
        let (header, datagram) = packet.get(..total)?.split_at_checked(header_length)?;
        let is_fragment = u16_at(header, 6)? & 0x3fff != 0;
        if header[9] != UDP || is_fragment || checksum(&[header]) != 0 {
            return None;
        }
        let length = usize::from(u16_at(datagram, 4)?);
        let payload = datagram.get(UDP_HEADER..length)?;
        (u16_at(datagram, 2)? == CLIENT_PORT).then_some(Self { station, payload })
    }
}

/// The frame with a client's message.
pub(crate) fn to_server(
    hardware: Mac,
    address: Ipv4Addr,
    destination: Destination,
    message: &[u8],
) -> Vec<u8> {
    let (target, station) = match destination {
        Destination::Everybody => (Ipv4Addr::BROADCAST, Mac([0xff; 6])),
        Destination::Server { address, station } => (address, station),
    };
    let length =
        |more: usize| u16::try_from(message.len() + more).unwrap_or(u16::MAX).to_be_bytes();
    let mut ip = [0; IPV4_HEADER];
    ip[0] = 0x45;
    ip[2..4].copy_from_slice(&length(IPV4_HEADER + UDP_HEADER));
    ip[8] = HOPS;
    ip[9] = UDP;
    ip[12..16].copy_from_slice(&address.octets());
    ip[16..20].copy_from_slice(&target.octets());
    let sum = checksum(&[&ip]);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut udp = [0; UDP_HEADER];
    udp[0..2].copy_from_slice(&CLIENT_PORT.to_be_bytes());
    udp[2..4].copy_from_slice(&SERVER_PORT.to_be_bytes());
    udp[4..6].copy_from_slice(&length(UDP_HEADER));
    let pseudo = [0, UDP, udp[4], udp[5]];
    let sum = match checksum(&[&ip[12..20], &pseudo, &udp, message]) {
        // Zero means that there is no checksum (RFC 768).
        0 => 0xffff,
        sum => sum,
    };
    udp[6..8].copy_from_slice(&sum.to_be_bytes());
    let parts: [&[u8]; 6] = [&station.0, &hardware.0, &ETHERTYPE_IPV4, &ip, &udp, message];
    parts.concat()
}

/// The checksum of the internet (RFC 1071). All parts but the last have an even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let word = |pair: &[u8]| {
        u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or_default()]))
    };
    let mut sum: u64 = words.map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

fn u16_at(bytes: &[u8], start: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(start..start + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    const HARDWARE: Mac = Mac([2, 0, 0, 0, 0, 1]);

    fn frame() -> Vec<u8> {
        let station = Mac([2, 0, 0, 0, 0, 9]);
        let destination = Destination::Server { address: Ipv4Addr::new(10, 1, 0, 1), station };
        to_server(HARDWARE, Ipv4Addr::new(10, 1, 0, 5), destination, b"message")
    }

    #[test]
    fn checksums_add_up_to_nothing() {
        let frame = frame();
        let (header, datagram) = frame[ETHERNET_HEADER..].split_at(IPV4_HEADER);
        assert_eq!(checksum(&[header]), 0);
        let length = u8::try_from(datagram.len()).unwrap();
        assert_eq!(checksum(&[&header[12..20], &[0, UDP, 0, length], datagram]), 0);
        // The example of RFC 1071.
        let example = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(checksum(&[&example]), !0xddf2);
    }

    /// A frame of ours with the ports of an answer.
    fn answer() -> Vec<u8> {
        let mut frame = frame();
        let port = ETHERNET_HEADER + IPV4_HEADER + 2;
        frame[port..port + 2].copy_from_slice(&CLIENT_PORT.to_be_bytes());
        frame
    }

    #[test]
    fn answers_are_taken_out_of_their_frames() {
        let mut frame = answer();
        // Short frames are padded.
        frame.extend([0; 9]);
        let datagram = Datagram::parse(&frame).unwrap();
        assert_eq!(datagram, Datagram { station: HARDWARE, payload: b"message" });
        assert_eq!(Datagram::parse(&self::frame()), None, "a message to the server");
    }

    #[test]
    fn damaged_and_foreign_frames_are_dropped() {
        for position in [12, 13, 14, 16, 17, 20, 21, 22, 23, 24, 26, 30, 36, 37] {
            let mut frame = answer();
            frame[position] ^= 0x11;
            assert_eq!(Datagram::parse(&frame), None, "byte {position}");
        }
        let whole = answer();
        for length in 0..whole.len() {
            assert_eq!(Datagram::parse(&whole[..length]), None, "{length} bytes");
        }
        let mut random = Random(2);
        for _ in 0..20_000 {
            let mut frame = whole.clone();
            let position = random.below(frame.len());
            frame[position] = random.u32().to_be_bytes()[0];
            let _ = Datagram::parse(&frame);
        }
    }
}
