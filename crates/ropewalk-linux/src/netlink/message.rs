//! Builds one netlink message: header, family header, attributes, nests.

use std::net::IpAddr;

use crate::uapi::{NLA_F_NESTED, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST};

const HEADER: usize = 16;

/// A netlink request under construction. An attribute that is longer than its 16-bit length field
/// can say makes the message invalid instead of wrong: sending it is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    bytes: Vec<u8>,
    oversized: bool,
}

impl Message {
    /// A request of this type whose success is acknowledged.
    pub(crate) fn acknowledged(kind: u16, flags: u16) -> Self {
        Self::with_flags(kind, NLM_F_REQUEST | NLM_F_ACK | flags)
    }

    /// A request for one object: the answer is the object itself.
    pub(crate) fn get(kind: u16) -> Self {
        Self::with_flags(kind, NLM_F_REQUEST)
    }

    /// A request for many objects.
    pub(crate) fn dump(kind: u16) -> Self {
        Self::with_flags(kind, NLM_F_REQUEST | NLM_F_DUMP)
    }

    /// A request of this type with just these flags.
    pub(crate) fn with_flags(kind: u16, flags: u16) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        Self { bytes, oversized: false }
    }

    /// Appends raw bytes: the header of the message's family. Padded to four bytes.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self.pad()
    }

    /// Appends an attribute.
    pub(crate) fn bytes(&mut self, kind: u16, payload: &[u8]) -> &mut Self {
        let start = self.open(kind);
        self.bytes.extend_from_slice(payload);
        self.close(start);
        self
    }

    /// Appends an attribute of one byte.
    pub(crate) fn u8(&mut self, kind: u16, value: u8) -> &mut Self {
        self.bytes(kind, &[value])
    }

    /// Appends a 16-bit attribute in the host's byte order.
    pub(crate) fn u16(&mut self, kind: u16, value: u16) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Appends a 32-bit attribute in the host's byte order.
    pub(crate) fn u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Appends a 64-bit attribute in the host's byte order.
    pub(crate) fn u64(&mut self, kind: u16, value: u64) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Appends a 16-bit attribute in network byte order.
    pub(crate) fn be16(&mut self, kind: u16, value: u16) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// Appends a 32-bit attribute in network byte order.
    pub(crate) fn be32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// Appends a 64-bit attribute in network byte order.
    pub(crate) fn be64(&mut self, kind: u16, value: u64) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// Appends a text with its final NUL.
    pub(crate) fn text(&mut self, kind: u16, text: &str) -> &mut Self {
        let start = self.open(kind);
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
        self.close(start);
        self
    }

    /// Appends an address of either family.
    pub(crate) fn ip(&mut self, kind: u16, ip: IpAddr) -> &mut Self {
        match ip {
            IpAddr::V4(ip) => self.bytes(kind, &ip.octets()),
            IpAddr::V6(ip) => self.bytes(kind, &ip.octets()),
        }
    }

    /// Appends attributes inside an attribute, marked as such.
    pub(crate) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        self.nest_unmarked(kind | NLA_F_NESTED, fill)
    }

    /// Appends attributes inside an attribute that the kernel does not want marked, because it
    /// starts with a header of its own.
    pub(crate) fn nest_unmarked(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.open(kind);
        fill(self);
        self.close(start);
        self
    }

    fn open(&mut self, kind: u16) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0, 0]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        start
    }

    fn close(&mut self, start: usize) {
        match u16::try_from(self.bytes.len() - start) {
            Ok(length) => self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes()),
            Err(_) => self.oversized = true,
        }
        self.pad();
    }

    fn pad(&mut self) -> &mut Self {
        self.bytes.resize(padded(self.bytes.len()), 0);
        self
    }

    /// Whether a part is too long for the wire.
    pub(crate) fn is_oversized(&self) -> bool {
        self.oversized
    }

    /// Whether the kernel acknowledges success.
    pub(crate) fn is_acknowledged(&self) -> bool {
        u16::from_ne_bytes([self.bytes[6], self.bytes[7]]) & NLM_F_ACK != 0
    }

    /// Whether the answer is a list.
    pub(crate) fn is_dump(&self) -> bool {
        u16::from_ne_bytes([self.bytes[6], self.bytes[7]]) & NLM_F_DUMP == NLM_F_DUMP
    }

    /// Has the kernel acknowledge success.
    pub(crate) fn want_acknowledgement(&mut self) {
        let flags = u16::from_ne_bytes([self.bytes[6], self.bytes[7]]) | NLM_F_ACK;
        self.bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
    }

    /// The message as it goes over the wire, with this sequence number.
    pub(crate) fn finish(&mut self, sequence: u32) -> &[u8] {
        let length = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.bytes[0..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        &self.bytes
    }

    /// The family header and the attributes, for golden tests.
    #[cfg(test)]
    pub(crate) fn payload(&self) -> &[u8] {
        &self.bytes[HEADER..]
    }
}

/// A length rounded up to the four bytes to which netlink aligns everything.
pub(crate) fn padded(length: usize) -> usize {
    length.next_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_nests_know_their_length() {
        let mut message = Message::get(18);
        message.raw(&[1, 2]).nest(5, |inner| {
            inner.text(3, "eth0").u8(4, 7);
        });
        let bytes = message.finish(9).to_vec();
        assert_eq!(bytes[0..4], 44u32.to_ne_bytes());
        assert_eq!(bytes[8..12], 9u32.to_ne_bytes());
        assert_eq!(bytes[16..20], [1, 2, 0, 0]);
        assert_eq!(bytes[20..22], 24u16.to_ne_bytes());
        assert_eq!(bytes[22..24], (5 | NLA_F_NESTED).to_ne_bytes());
        assert_eq!(&bytes[28..36], b"eth0\0\0\0\0");
        assert!(!message.is_oversized());
    }

    #[test]
    fn what_does_not_fit_its_length_field_is_noticed() {
        let mut message = Message::get(18);
        message.bytes(1, &vec![0; 70_000]);
        assert!(message.is_oversized());
    }
}
