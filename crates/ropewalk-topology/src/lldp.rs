//! Reads what switches say of themselves (LLDP, IEEE 802.1AB).
//!
//! It must never trust a length: frames come from whoever is on the wire.

use alloc::string::{String, ToString};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{
    model::{HardwareAddress, Switch},
    terminal::is_shown,
};

/// The Ethernet type of LLDP.
const ETHERTYPE: [u8; 2] = [0x88, 0xcc];

/// Bytes before the description: two addresses and the type.
const HEADER: usize = 14;

/// What a frame with both addresses says; `None` if it is none of LLDP or breaks its rules: chassis,
/// port and time come first, in this order.
pub fn read(frame: &[u8]) -> Option<Switch> {
    if frame.get(12..HEADER)? != ETHERTYPE {
        return None;
    }
    let mut rest = frame.get(HEADER..)?;
    let mut switch = Switch::default();
    let mut number = 0;
    loop {
        let (kind, value, behind) = next(rest)?;
        match (number, kind) {
            (0, 1) => switch.chassis = identity(value, Subject::Chassis)?,
            (1, 2) => switch.port = identity(value, Subject::Port)?,
            (2, 3) => switch.seconds = u16::from_be_bytes(*value.first_chunk()?),
            (0..3, _) => return None,
            (_, 0) => return Some(switch),
            (_, 4) => switch.port_description = words(value),
            (_, 5) => switch.name = words(value),
            (_, 6) => switch.description = words(value),
            _ => {}
        }
        number += 1;
        rest = behind;
        // Some leave out the end.
        if rest.is_empty() && number > 2 {
            return Some(switch);
        }
    }
}

/// The next part: its kind, its value, and what is behind it.
fn next(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let head = u16::from_be_bytes(*bytes.first_chunk()?);
    let end = 2 + usize::from(head & 0x1ff);
    Some((bytes[0] >> 1, bytes.get(2..end)?, &bytes[end..]))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Subject {
    Chassis,
    Port,
}

/// The name of a chassis or port, of which there are several kinds.
fn identity(value: &[u8], subject: Subject) -> Option<String> {
    let (&kind, name) = value.split_first()?;
    let (of_mac, of_address) = match subject {
        Subject::Chassis => (4, 5),
        Subject::Port => (3, 4),
    };
    let found = if kind == of_mac && name.len() == 6 {
        HardwareAddress(name.to_vec()).to_string()
    } else if kind == of_address {
        address(name)?.to_string()
    } else {
        words(name)?
    };
    (!name.is_empty()).then_some(found)
}

/// An address with the number of its family before it.
fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes {
        [1, rest @ ..] => Some(Ipv4Addr::from(<[u8; 4]>::try_from(rest).ok()?).into()),
        [2, rest @ ..] => Some(Ipv6Addr::from(<[u8; 16]>::try_from(rest).ok()?).into()),
        _ => None,
    }
}

/// Words that a terminal can show: others may send anything.
fn words(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let clean: String = text
        .trim_matches('\0')
        .chars()
        .map(|letter| if is_shown(letter) { letter } else { ' ' })
        .collect();
    let clean = clean.trim();
    (!clean.is_empty()).then(|| clean.to_string())
}

#[cfg(test)]
mod tests {
    use alloc::{vec, vec::Vec};

    use super::*;

    fn part(kind: u8, value: &[u8]) -> Vec<u8> {
        let length = u8::try_from(value.len()).expect("short");
        [&[kind << 1, length], value].concat()
    }

    fn frame(parts: &[Vec<u8>]) -> Vec<u8> {
        let head = [0x01, 0x80, 0xc2, 0, 0, 0x0e, 2, 0, 0, 0, 0, 1, 0x88, 0xcc];
        [&head[..], &parts.concat()].concat()
    }

    fn usual() -> Vec<Vec<u8>> {
        vec![
            part(1, &[4, 2, 0, 0, 0, 0, 9]),
            part(2, b"\x05Gi0/1"),
            part(3, &[0, 120]),
            part(4, b"to the rack"),
            part(5, b"sw1\n\x1b[31m"),
            part(127, &[0, 0x12, 0x0f, 1]),
            part(0, &[]),
        ]
    }

    #[test]
    fn a_switch_describes_itself() {
        let switch = read(&frame(&usual())).expect("it is one");
        assert_eq!(switch.chassis, "02:00:00:00:00:09");
        assert_eq!((switch.port.as_str(), switch.seconds), ("Gi0/1", 120));
        assert_eq!(switch.port_description.as_deref(), Some("to the rack"));
        assert_eq!(switch.name.as_deref(), Some("sw1  [31m"), "nothing for terminals to obey");
        assert_eq!(switch.to_string(), "Gi0/1 of sw1  [31m");
        assert_eq!(
            read(&frame(&usual()[..3])),
            read(&frame(&usual()[..3])),
            "the end may be missing"
        );
        assert!(read(&frame(&usual()[..3])).is_some());
    }

    #[test]
    fn ports_that_are_told_by_hardware_addresses_have_other_names() {
        let mut parts = usual();
        parts[1] = part(2, &[3, 2, 0, 0, 0, 0, 7]);
        parts[4] = part(5, b"sw1");
        let switch = read(&frame(&parts)).expect("it is one");
        assert_eq!(switch.port, "02:00:00:00:00:07");
        assert_eq!(switch.to_string(), "to the rack of sw1");
    }

    #[test]
    fn what_comes_first_must_come_first() {
        for order in [[1, 0, 2], [0, 2, 1], [2, 1, 0]] {
            let parts: Vec<Vec<u8>> = order.iter().map(|at| usual()[*at].clone()).collect();
            assert_eq!(read(&frame(&parts)), None);
        }
        let whole = frame(&usual());
        for length in 0..35 {
            assert_eq!(read(&whole[..length]), None, "{length}");
        }
        let mut other = whole;
        other[13] = 0;
        assert_eq!(read(&other), None);
    }

    #[test]
    fn addresses_may_be_names() {
        let mut parts = usual();
        parts[0] = part(1, &[5, 1, 192, 0, 2, 7]);
        assert_eq!(read(&frame(&parts)).map(|switch| switch.chassis).as_deref(), Some("192.0.2.7"));
        parts[0] = part(1, &[5, 1, 192]);
        assert_eq!(read(&frame(&parts)), None);
        parts[0] = part(1, &[7]);
        assert_eq!(read(&frame(&parts)), None, "a name must not be empty");
    }
}
