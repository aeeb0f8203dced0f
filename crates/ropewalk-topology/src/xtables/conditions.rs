//! Reads matches, from the structures in `linux/netfilter/xt_….h`.

use alloc::{boxed::Box, string::String, vec::Vec};

use super::{
    AddressType, Asked, BridgePort, Condition, Connection, End, Icmp, Masked, Membership, Nth,
    Owner, PortList, Ports, Transport,
    info::{Info, asked},
};
use crate::model::FilterFamily;

const ALL_PORTS: Ports = (0, u16::MAX);

impl Condition {
    /// What a match means; nothing if it is not known.
    pub fn read(family: FilterFamily, name: &str, revision: u32, bytes: &[u8]) -> Option<Self> {
        let info = Info { bytes, is_v6: family == FilterFamily::Ip6 };
        match (name, revision) {
            ("comment", 0) => info.text(0, bytes.len().min(256)).map(Self::Comment),
            ("tcp", 0) => tcp(info),
            ("udp", 0) => udp(info),
            ("icmp", 0) => icmp(info, false),
            ("icmp6", 0) => icmp(info, true),
            ("multiport", 0 | 1) => multiport(info, revision),
            ("conntrack", 1..=3) => connection(info, revision),
            ("state", 0) => {
                let states = u16::try_from(info.u32(0)?).ok()?;
                // It had one bit for what is untracked, where others now have another meaning.
                let states = if states & 64 == 0 { states } else { states & !64 | 256 };
                let states = asked(true, states, false);
                Some(Self::Connection(Box::new(Connection { states, ..Connection::default() })))
            }
            ("mark", 1) => masked(info).map(Self::Mark),
            ("connmark", 1) => masked(info).map(Self::ConnectionMark),
            ("addrtype", 0 | 1) => address_type(info, revision).map(Self::AddressType),
            ("set", 1..=4) => set(info).map(Self::Set),
            ("physdev", 0) => bridge_port(info).map(Self::BridgePort),
            ("limit", 0) => Some(Self::Limit { period: info.u32(0)?, burst: info.u32(4)? }),
            ("statistic", 0) => statistic(info),
            ("pkttype", 0) => {
                let is_inverted = info.u32(4)? != 0;
                Some(Self::PacketType(Asked { value: info.u32(0)?, is_inverted }))
            }
            ("mac", 0) => {
                let is_inverted = info.u32(8)? != 0;
                Some(Self::Mac(Asked { value: info.mac(0)?, is_inverted }))
            }
            ("iprange", 1) => {
                let flags = info.u8(64)?;
                Some(Self::Addresses {
                    source: asked(flags & 1 != 0, info.ips(0)?, flags & 16 != 0),
                    destination: asked(flags & 2 != 0, info.ips(32)?, flags & 32 != 0),
                })
            }
            ("owner", 1) => owner(info).map(Self::Owner),
            ("rpfilter", 0) => Some(Self::ReversePath { flags: info.u8(0)? }),
            _ => None,
        }
    }
}

/// Ports, where something is asked of them.
fn ports(range: Ports, is_inverted: bool) -> Option<Asked<Ports>> {
    asked(range != ALL_PORTS || is_inverted, range, is_inverted)
}

fn tcp(info: Info<'_>) -> Option<Condition> {
    let (option, mask, set, inverted) = (info.u8(8)?, info.u8(9)?, info.u8(10)?, info.u8(11)?);
    Some(Condition::Transport(Transport {
        source: ports(info.ports(0)?, inverted & 1 != 0),
        destination: ports(info.ports(4)?, inverted & 2 != 0),
        flags: asked(mask != 0 || inverted & 4 != 0, (mask, set), inverted & 4 != 0),
        option: asked(option != 0, option, inverted & 8 != 0),
    }))
}

fn udp(info: Info<'_>) -> Option<Condition> {
    let inverted = info.u8(8)?;
    Some(Condition::Transport(Transport {
        source: ports(info.ports(0)?, inverted & 1 != 0),
        destination: ports(info.ports(4)?, inverted & 2 != 0),
        flags: None,
        option: None,
    }))
}

fn icmp(info: Info<'_>, is_v6: bool) -> Option<Condition> {
    let kind = Some(info.u8(0)?).filter(|kind| *kind != u8::MAX || is_v6);
    let value = Icmp { is_v6, kind, codes: (info.u8(1)?, info.u8(2)?) };
    Some(Condition::Icmp(Asked { value, is_inverted: info.u8(3)? & 1 != 0 }))
}

fn multiport(info: Info<'_>, revision: u32) -> Option<Condition> {
    let end = match info.u8(0)? {
        0 => End::Source,
        1 => End::Destination,
        _ => End::Either,
    };
    let count = usize::from(info.u8(1)?).min(15);
    let (mut all, mut first) = (Vec::new(), None);
    for at in 0..count {
        let port = info.u16(2 + 2 * at)?;
        let begins_range = revision == 1 && info.u8(32 + at)? != 0;
        if begins_range {
            first = Some(port);
        } else {
            all.push((first.take().unwrap_or(port), port));
        }
    }
    let is_inverted = revision == 1 && info.u8(47)? != 0;
    Some(Condition::PortList(Asked { value: PortList { end, ports: all }, is_inverted }))
}

/// Where the structure goes on behind eight addresses and two times.
const BEHIND_ADDRESSES: usize = 136;

fn connection(info: Info<'_>, revision: u32) -> Option<Condition> {
    let at = BEHIND_ADDRESSES;
    let (flags, inverted) = (info.u16(at + 10)?, info.u16(at + 12)?);
    let (states, conditions) = if revision == 1 {
        (info.u8(at + 14)?.into(), info.u8(at + 15)?.into())
    } else {
        (info.u16(at + 14)?, info.u16(at + 16)?)
    };
    let has = |bit: usize| flags >> bit & 1 != 0;
    let is_not = |bit: usize| inverted >> bit & 1 != 0;
    let mut addresses = [None; 4];
    let mut all_ports = [None; 4];
    for end in 0..4 {
        let (address_bit, port_bit) = (2 + end, 8 + end);
        addresses[end] = asked(has(address_bit), info.ips(32 * end)?, is_not(address_bit));
        let place = at + 2 + 2 * end;
        let range = if revision == 3 {
            (info.u16(place)?, info.u16(at + 18 + 2 * end)?)
        } else {
            (info.be16(place)?, info.be16(place)?)
        };
        all_ports[end] = asked(has(port_bit), range, is_not(port_bit));
    }
    Some(Condition::Connection(Box::new(Connection {
        states: asked(has(0), states, is_not(0)),
        protocol: asked(has(1), info.u16(at)?, is_not(1)),
        addresses,
        status: asked(has(6), conditions, is_not(6)),
        expires: asked(has(7), (info.u32(at - 8)?, info.u32(at - 4)?), is_not(7)),
        ports: all_ports,
        is_original: has(12).then_some(!is_not(12)),
    })))
}

fn masked(info: Info<'_>) -> Option<Asked<Masked>> {
    let value = Masked { value: info.u32(0)?, mask: info.u32(4)? };
    Some(Asked { value, is_inverted: info.u8(8)? != 0 })
}

fn address_type(info: Info<'_>, revision: u32) -> Option<AddressType> {
    let (source, destination) = (info.u16(0)?, info.u16(2)?);
    let flags = match revision {
        0 => u32::from(info.u32(4)? != 0) | u32::from(info.u32(8)? != 0) << 1,
        _ => info.u32(4)?,
    };
    Some(AddressType {
        source: asked(source != 0, source, flags & 1 != 0),
        destination: asked(destination != 0, destination, flags & 2 != 0),
        of_input: flags & 4 != 0,
        of_output: flags & 8 != 0,
    })
}

fn set(info: Info<'_>) -> Option<Asked<Membership>> {
    let (dimensions, flags) = (info.u8(2)?, info.u8(3)?);
    let end = |part| if flags >> part & 1 == 0 { End::Destination } else { End::Source };
    let ends = (1..=dimensions.min(6)).map(end).collect();
    Some(Asked { value: Membership { set: info.u16(0)?, ends }, is_inverted: flags & 1 != 0 })
}

/// The room for a link's name.
const NAME: usize = 16;

fn bridge_port(info: Info<'_>) -> Option<BridgePort> {
    let (inverted, asked_for) = (info.u8(4 * NAME)?, info.u8(4 * NAME + 1)?);
    let name = |at, bit| {
        let name = link_name(info.bytes.get(at..at + NAME)?, info.bytes.get(at + NAME..)?);
        asked(asked_for & bit != 0, name, inverted & bit != 0)
    };
    let must = |bit| (asked_for & bit != 0).then_some(inverted & bit == 0);
    Some(BridgePort {
        input: name(0, 1),
        output: name(2 * NAME, 2),
        is_bridged: must(4),
        has_input: must(8),
        has_output: must(16),
    })
}

/// A link's name, with a `+` where the mask ends before the name does.
fn link_name(name: &[u8], mask: &[u8]) -> String {
    let length = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    let asked = mask.iter().take(NAME).take_while(|byte| **byte != 0).count();
    let mut text = String::from_utf8_lossy(&name[..length.min(asked)]).into_owned();
    if asked <= length {
        text.push('+');
    }
    text
}

fn statistic(info: Info<'_>) -> Option<Condition> {
    let is_inverted = info.u16(2)? & 1 != 0;
    match info.u16(0)? {
        0 => Some(Condition::Chance(Asked { value: info.u32(4)?, is_inverted })),
        1 => {
            // The kernel keeps one less than is written.
            let value = Nth { every: info.u32(4)?.saturating_add(1), packet: info.u32(8)? };
            Some(Condition::Nth(Asked { value, is_inverted }))
        }
        _ => None,
    }
}

fn owner(info: Info<'_>) -> Option<Owner> {
    let (asked_for, inverted) = (info.u8(16)?, info.u8(17)?);
    let range = |at| Some((info.u32(at)?, info.u32(at + 4)?));
    Some(Owner {
        user: asked(asked_for & 1 != 0, range(0)?, inverted & 1 != 0),
        group: asked(asked_for & 2 != 0, range(8)?, inverted & 2 != 0),
        has_socket: (asked_for & 4 != 0).then_some(inverted & 4 == 0),
    })
}
