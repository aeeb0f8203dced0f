//! Constants and their types: set keys, map data, right sides of comparisons.
//!
//! A single value has its own length; in a concatenation every part is padded to four bytes,
//! the size of a register.

use std::net::IpAddr;

use ropewalk_addr::Mac;
use ropewalk_netstate::resource::nft::{DataType, Datum, ElementData, Verdict};

use crate::{
    netlink::{Attribute, Message, padded},
    uapi::{
        NF_ACCEPT, NF_DROP, NFT_GOTO, NFT_JUMP, NFT_RETURN, NFTA_DATA_VALUE, NFTA_DATA_VERDICT,
        NFTA_VERDICT_CHAIN, NFTA_VERDICT_CODE,
    },
};

/// Length of an interface name with its NUL.
const IFNAMSIZ: usize = 16;

/// The number of bits of a type's number in the number of a concatenation.
const TYPE_BITS: u32 = 6;

/// The types this crate knows, with the numbers that `nft` gives them and their lengths.
const TYPES: [(DataType, u32, usize); 6] = [
    (DataType::Ip4, 7, 4),
    (DataType::Ip6, 8, 16),
    (DataType::Mac, 9, 6),
    (DataType::Protocol, 12, 1),
    (DataType::Port, 13, 2),
    (DataType::Interface, 41, IFNAMSIZ),
];

fn number_of(data_type: DataType) -> u32 {
    TYPES.iter().find(|known| known.0 == data_type).map_or(0, |known| known.1)
}

/// The length of a value of a type.
pub(super) fn length_of(data_type: DataType) -> usize {
    TYPES.iter().find(|known| known.0 == data_type).map_or(0, |known| known.2)
}

/// The number of a type or a concatenation of types. To the kernel it is just a number that it
/// keeps for us and for `nft`.
pub(super) fn number_of_all(types: &[DataType]) -> u32 {
    types.iter().fold(0, |number, &part| (number << TYPE_BITS) | number_of(part))
}

/// The types in such a number; `None` if one is unknown here.
pub(super) fn types_of(mut number: u32) -> Option<Vec<DataType>> {
    let mut types = Vec::new();
    while number != 0 {
        let part = number & ((1 << TYPE_BITS) - 1);
        types.push(TYPES.iter().find(|known| known.1 == part)?.0);
        number >>= TYPE_BITS;
    }
    types.reverse();
    Some(types)
}

/// The length of a value or a concatenation.
pub(super) fn length_of_all(types: &[DataType]) -> usize {
    match types {
        [single] => length_of(*single),
        parts => parts.iter().map(|&part| padded(length_of(part))).sum(),
    }
}

/// A value as the kernel keeps it in a register: network byte order, unpadded.
pub(super) fn bytes_of(datum: &Datum) -> Vec<u8> {
    match datum {
        Datum::Ip(IpAddr::V4(ip)) => ip.octets().into(),
        Datum::Ip(IpAddr::V6(ip)) => ip.octets().into(),
        Datum::Mac(mac) => mac.0.into(),
        Datum::Protocol(number) => vec![*number],
        Datum::Port(port) => port.to_be_bytes().into(),
        Datum::Interface(name) => {
            let mut bytes = name.as_bytes().to_vec();
            bytes.resize(IFNAMSIZ, 0);
            bytes
        }
    }
}

/// A value or a concatenation.
pub(super) fn bytes_of_all(parts: &[Datum]) -> Vec<u8> {
    if let [single] = parts {
        return bytes_of(single);
    }
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend(bytes_of(part));
        bytes.resize(padded(bytes.len()), 0);
    }
    bytes
}

/// Reads a value or a concatenation of these types.
pub(super) fn read(types: &[DataType], mut bytes: &[u8]) -> Option<Vec<Datum>> {
    let mut parts = Vec::new();
    for &part in types {
        let length = length_of(part);
        parts.push(read_one(part, bytes.get(..length)?)?);
        bytes = bytes.get(padded(length)..).unwrap_or_default();
    }
    Some(parts)
}

fn read_one(data_type: DataType, bytes: &[u8]) -> Option<Datum> {
    let value = Attribute { kind: 0, payload: bytes };
    Some(match data_type {
        DataType::Ip4 | DataType::Ip6 => Datum::Ip(value.ip()?),
        DataType::Mac => Datum::Mac(Mac(*bytes.first_chunk()?)),
        DataType::Protocol => Datum::Protocol(value.u8()?),
        DataType::Port => Datum::Port(value.be16()?),
        DataType::Interface => Datum::Interface(value.text()?.parse().ok()?),
    })
}

/// Appends a value in its wrapping.
pub(super) fn put_value(message: &mut Message, kind: u16, bytes: &[u8]) {
    message.nest(kind, |data| {
        data.bytes(NFTA_DATA_VALUE, bytes);
    });
}

/// Appends a verdict in its wrapping.
pub(super) fn put_verdict(message: &mut Message, kind: u16, verdict: &Verdict) {
    let (code, chain) = match verdict {
        Verdict::Accept => (NF_ACCEPT, None),
        Verdict::Drop => (NF_DROP, None),
        Verdict::Return => (NFT_RETURN.cast_unsigned(), None),
        Verdict::Jump(chain) => (NFT_JUMP.cast_unsigned(), Some(chain)),
        Verdict::Goto(chain) => (NFT_GOTO.cast_unsigned(), Some(chain)),
    };
    message.nest(kind, |data| {
        data.nest(NFTA_DATA_VERDICT, |verdict| {
            verdict.be32(NFTA_VERDICT_CODE, code);
            if let Some(chain) = chain {
                verdict.text(NFTA_VERDICT_CHAIN, chain);
            }
        });
    });
}

/// Reads what a map's element maps to.
pub(super) fn read_element_data(types: &[DataType], data: Attribute<'_>) -> Option<ElementData> {
    if let Some(verdict) = data.inner(NFTA_DATA_VERDICT) {
        return read_verdict(verdict).map(ElementData::Verdict);
    }
    let value = data.inner(NFTA_DATA_VALUE)?;
    read(types, value.payload).map(ElementData::Values)
}

fn read_verdict(verdict: Attribute<'_>) -> Option<Verdict> {
    let code = verdict.inner(NFTA_VERDICT_CODE)?.be32()?;
    let chain = || verdict.inner(NFTA_VERDICT_CHAIN)?.text().map(Into::into);
    match code {
        NF_ACCEPT => Some(Verdict::Accept),
        NF_DROP => Some(Verdict::Drop),
        other => match other.cast_signed() {
            NFT_RETURN => Some(Verdict::Return),
            NFT_JUMP => chain().map(Verdict::Jump),
            NFT_GOTO => chain().map(Verdict::Goto),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_survive_the_way_through_their_number() {
        let types = [DataType::Protocol, DataType::Interface, DataType::Ip6, DataType::Port];
        assert_eq!(types_of(number_of_all(&types)).unwrap(), types);
        assert_eq!(number_of_all(&[DataType::Ip4, DataType::Port]), (7 << 6) + 13);
        assert_eq!(types_of(5), None);
    }

    #[test]
    fn parts_are_padded_only_where_there_are_several() {
        let port = Datum::Port(0x1234);
        assert_eq!(bytes_of_all(std::slice::from_ref(&port)), [0x12, 0x34]);
        let both = [Datum::Protocol(6), port];
        assert_eq!(bytes_of_all(&both), [6, 0, 0, 0, 0x12, 0x34, 0, 0]);
        let types = [DataType::Protocol, DataType::Port];
        assert_eq!(length_of_all(&types), 8);
        assert_eq!(read(&types, &bytes_of_all(&both)).unwrap(), both);
        assert_eq!(read(&types, &[6, 0, 0, 0, 1]), None);
    }
}
