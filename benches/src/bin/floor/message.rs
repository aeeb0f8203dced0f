//! Writes netlink messages, several in one buffer.
//!
//! It must never judge what it writes; the kernel does.

/// What every message asks for.
const REQUEST: u16 = 1;

/// Flags of messages, from `linux/netlink.h`.
pub(crate) const ACK: u16 = 4;
pub(crate) const ECHO: u16 = 8;
pub(crate) const EXCLUSIVE: u16 = 0x200;
pub(crate) const CREATE: u16 = 0x400;

const NESTED: u16 = 0x8000;

/// Room for the longest messages that are sent in one call.
const ROOM: usize = 1024;

/// Messages that are sent in one call. They do not lie on the heap, which would cost system calls.
pub(crate) struct Messages {
    bytes: [u8; ROOM],
    length: usize,
    /// Where the last message starts.
    start: usize,
}

impl Messages {
    pub(crate) fn new() -> Self {
        Self { bytes: [0; ROOM], length: 0, start: 0 }
    }

    /// Begins a message with the header of its family.
    pub(crate) fn begin(&mut self, kind: u16, flags: u16, header: &[u8]) -> &mut Self {
        self.start = self.length;
        let mut head = [0; 16];
        head[4..6].copy_from_slice(&kind.to_ne_bytes());
        head[6..8].copy_from_slice(&(flags | REQUEST).to_ne_bytes());
        self.raw(&head).raw(header)
    }

    /// Asks for an answer to the last message even if all is well.
    pub(crate) fn acknowledge(&mut self) -> &mut Self {
        self.bytes[self.start + 6] |= ACK.to_ne_bytes()[0];
        self
    }

    /// Appends bytes, and zeros up to the next border of four.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.append(bytes);
        // What follows is zero.
        self.length = self.length.next_multiple_of(4);
        let length = u32::try_from(self.length - self.start).unwrap_or(u32::MAX);
        self.bytes[self.start..self.start + 4].copy_from_slice(&length.to_ne_bytes());
        self
    }

    /// Appends an attribute.
    pub(crate) fn attribute(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.append(&length.to_ne_bytes());
        self.append(&kind.to_ne_bytes());
        self.raw(value)
    }

    fn append(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    /// Appends a number in the machine's order.
    pub(crate) fn number(&mut self, kind: u16, value: u32) -> &mut Self {
        self.attribute(kind, &value.to_ne_bytes())
    }

    /// Appends text with the zero that ends it.
    pub(crate) fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        let length = u16::try_from(value.len() + 5).unwrap_or(u16::MAX);
        self.append(&length.to_ne_bytes());
        self.append(&kind.to_ne_bytes());
        self.append(value.as_bytes());
        self.raw(&[0])
    }

    /// Appends an attribute that holds others.
    pub(crate) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let begin = self.length;
        self.attribute(kind | NESTED, &[]);
        fill(self);
        let length = u16::try_from(self.length - begin).unwrap_or(u16::MAX);
        self.bytes[begin..begin + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}
