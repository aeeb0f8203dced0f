//! Reads attributes without copying. Every length is checked: no answer of any kernel, and no
//! bytes at all, can make this panic.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ropewalk_addr::Mac;

use super::padded;
use crate::uapi::NLA_TYPE_MASK;

/// Attributes, one after the other. Ends at the first one whose length is impossible.
#[derive(Clone, Debug)]
pub(crate) struct Attributes<'a>(&'a [u8]);

/// One attribute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute<'a> {
    /// Its type without flags.
    pub(crate) kind: u16,
    /// Its value.
    pub(crate) payload: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// The attributes that start at `offset`, behind the family's header.
    pub(crate) fn behind(payload: &'a [u8], offset: usize) -> Self {
        Self(payload.get(offset..).unwrap_or_default())
    }

    /// The first attribute of a type.
    pub(crate) fn first(&self, kind: u16) -> Option<Attribute<'a>> {
        self.clone().find(|attribute| attribute.kind == kind)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let (header, _) = self.0.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let kind = u16::from_ne_bytes([header[2], header[3]]) & NLA_TYPE_MASK;
        let payload = self.0.get(4..length)?;
        self.0 = self.0.get(padded(length)..).unwrap_or_default();
        Some(Attribute { kind, payload })
    }
}

impl<'a> Attribute<'a> {
    fn array<const N: usize>(self) -> Option<[u8; N]> {
        self.payload.first_chunk::<N>().copied()
    }

    /// One byte.
    pub(crate) fn u8(self) -> Option<u8> {
        self.payload.first().copied()
    }

    /// 16 bits in the host's byte order.
    pub(crate) fn u16(self) -> Option<u16> {
        self.array().map(u16::from_ne_bytes)
    }

    /// 32 bits in the host's byte order.
    pub(crate) fn u32(self) -> Option<u32> {
        self.array().map(u32::from_ne_bytes)
    }

    /// 64 bits in the host's byte order.
    pub(crate) fn u64(self) -> Option<u64> {
        self.array().map(u64::from_ne_bytes)
    }

    /// 16 bits in network byte order.
    pub(crate) fn be16(self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// 32 bits in network byte order.
    pub(crate) fn be32(self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// 64 bits in network byte order.
    pub(crate) fn be64(self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// The text before the first NUL; `None` if it is not UTF-8.
    pub(crate) fn text(self) -> Option<&'a str> {
        let end = self.payload.iter().position(|&b| b == 0).unwrap_or(self.payload.len());
        std::str::from_utf8(&self.payload[..end]).ok()
    }

    /// An address; the family follows from the length.
    pub(crate) fn ip(self) -> Option<IpAddr> {
        match self.payload.len() {
            4 => self.array::<4>().map(|octets| Ipv4Addr::from(octets).into()),
            16 => self.array::<16>().map(|octets| Ipv6Addr::from(octets).into()),
            _ => None,
        }
    }

    /// A hardware address of six bytes.
    pub(crate) fn mac(self) -> Option<Mac> {
        (self.payload.len() == 6).then(|| self.array().map(Mac)).flatten()
    }

    /// The attributes inside.
    pub(crate) fn nested(self) -> Attributes<'a> {
        Attributes(self.payload)
    }

    /// The first attribute of a type inside.
    pub(crate) fn inner(self, kind: u16) -> Option<Attribute<'a>> {
        self.nested().first(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_lengths_end_the_list() {
        for bytes in [&[][..], &[4, 0, 1], &[3, 0, 1, 0], &[9, 0, 1, 0, 1, 2, 3, 4], &[0; 8]] {
            assert_eq!(Attributes::behind(bytes, 0).count(), 0, "{bytes:?}");
        }
        assert_eq!(Attributes::behind(&[5, 0, 1, 0, 7], 0).next().unwrap().u8(), Some(7));
        assert_eq!(Attributes::behind(&[1], 7).count(), 0);
    }

    #[test]
    fn short_values_are_no_values() {
        let short = Attribute { kind: 1, payload: &[1, 2, 3] };
        assert_eq!((short.u32(), short.be64(), short.ip(), short.mac()), (None, None, None, None));
        assert_eq!(Attribute { kind: 1, payload: &[0xff, 0] }.text(), None);
        assert_eq!(Attribute { kind: 1, payload: b"lo" }.text(), Some("lo"));
    }
}
