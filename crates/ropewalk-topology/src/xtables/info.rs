//! The structure of a match or target: numbers at places, in the kernel's byte order unless said.

use alloc::string::String;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Asked;

#[derive(Clone, Copy)]
pub(super) struct Info<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) is_v6: bool,
}

impl Info<'_> {
    fn array<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.bytes.get(at..at.checked_add(N)?)?.try_into().ok()
    }

    pub(super) fn u8(self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    pub(super) fn u16(self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_ne_bytes)
    }

    pub(super) fn be16(self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_be_bytes)
    }

    pub(super) fn u32(self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_ne_bytes)
    }

    pub(super) fn mac(self, at: usize) -> Option<[u8; 6]> {
        self.array(at)
    }

    pub(super) fn ports(self, at: usize) -> Option<(u16, u16)> {
        Some((self.u16(at)?, self.u16(at + 2)?))
    }

    pub(super) fn ipv4(self, at: usize) -> Option<IpAddr> {
        self.array::<4>(at).map(|bytes| Ipv4Addr::from(bytes).into())
    }

    /// A `union nf_inet_addr`.
    pub(super) fn ip(self, at: usize) -> Option<IpAddr> {
        let bytes = self.array::<16>(at)?;
        if self.is_v6 { Some(Ipv6Addr::from(bytes).into()) } else { self.ipv4(at) }
    }

    /// Two addresses that follow each other.
    pub(super) fn ips(self, at: usize) -> Option<(IpAddr, IpAddr)> {
        Some((self.ip(at)?, self.ip(at + 16)?))
    }

    /// A text that ends with a zero or with its room.
    pub(super) fn text(self, at: usize, room: usize) -> Option<String> {
        let bytes = self.bytes.get(at..at.checked_add(room)?)?;
        let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        Some(String::from_utf8_lossy(text).into_owned())
    }
}

/// Something that is asked if a bit is set, and inverted if another one is.
pub(super) fn asked<T>(is_asked: bool, value: T, is_inverted: bool) -> Option<Asked<T>> {
    is_asked.then_some(Asked { value, is_inverted })
}
