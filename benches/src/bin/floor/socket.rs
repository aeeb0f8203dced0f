//! A netlink socket: sends messages and reads what the kernel says to them.
//!
//! It must never dump: every question here has one answer.

use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
};

use crate::message::Messages;

/// The kind of message that carries an error, or 0 as acknowledgement.
const ERROR: u16 = 2;

/// Events of links, for [`Socket::events`].
const LINK_EVENTS: u32 = 1;

/// A socket of the network namespace that it was opened in.
pub(crate) struct Socket(OwnedFd);

/// A message of the kernel.
pub(crate) struct Reply {
    buffer: [u8; 8192],
    length: usize,
}

impl Socket {
    /// For links, addresses and routes.
    pub(crate) fn route() -> io::Result<Self> {
        Self::open(libc::NETLINK_ROUTE)
    }

    /// For packet filters.
    pub(crate) fn netfilter() -> io::Result<Self> {
        Self::open(libc::NETLINK_NETFILTER)
    }

    /// For links, with what happens to them.
    pub(crate) fn events() -> io::Result<Self> {
        let socket = Self::route()?;
        // SAFETY: a structure of numbers, for which zero is a value.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        address.nl_family = u16::try_from(libc::AF_NETLINK).unwrap_or_default();
        address.nl_groups = LINK_EVENTS;
        let length = libc::socklen_t::try_from(size_of_val(&address)).unwrap_or_default();
        // SAFETY: the address is a whole sockaddr_nl of the length that is given.
        let result = unsafe { libc::bind(socket.raw(), (&raw const address).cast(), length) };
        if result == 0 { Ok(socket) } else { Err(io::Error::last_os_error()) }
    }

    fn open(protocol: i32) -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: makes a descriptor out of numbers.
        let socket = unsafe { libc::socket(libc::AF_NETLINK, kind, protocol) };
        if socket < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else's.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(socket) }))
    }

    /// Sends messages and answers what the kernel says first: an error of any message, or to the
    /// last one its acknowledgement or answer.
    pub(crate) fn ask(&self, messages: &Messages) -> io::Result<Reply> {
        let bytes = messages.bytes();
        // SAFETY: the pointer and the length are those of a slice.
        let sent = unsafe { libc::send(self.raw(), bytes.as_ptr().cast(), bytes.len(), 0) };
        if sent < 0 {
            return Err(io::Error::last_os_error());
        }
        self.receive()
    }

    /// Reads the next message.
    pub(crate) fn receive(&self) -> io::Result<Reply> {
        let mut reply = Reply { buffer: [0; 8192], length: 0 };
        let (buffer, room) = (reply.buffer.as_mut_ptr().cast(), reply.buffer.len());
        // SAFETY: the buffer is as large as is said, and is ours.
        let length = unsafe { libc::recv(self.raw(), buffer, room, 0) };
        reply.length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
        match i32::from_ne_bytes(reply.array(16)) {
            code if reply.kind() == ERROR && code != 0 => Err(io::Error::from_raw_os_error(-code)),
            _ => Ok(reply),
        }
    }

    pub(crate) fn raw(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Reply {
    pub(crate) fn kind(&self) -> u16 {
        u16::from_ne_bytes(self.array(4))
    }

    /// The bytes at a place; zeros where the message has ended.
    pub(crate) fn array<const N: usize>(&self, offset: usize) -> [u8; N] {
        let bytes = self.buffer[..self.length].get(offset..offset + N);
        bytes.and_then(|bytes| bytes.try_into().ok()).unwrap_or([0; N])
    }

    /// The value of an attribute behind a family's header of this length.
    pub(crate) fn attribute(&self, header: usize, kind: u16) -> Option<&[u8]> {
        let mut rest = self.buffer[..self.length].get(16 + header..)?;
        while let [low, high, first, second, ..] = rest {
            let length = usize::from(u16::from_ne_bytes([*low, *high]));
            if u16::from_ne_bytes([*first, *second]) & 0x3fff == kind {
                return rest.get(4..length);
            }
            rest = rest.get(length.max(4).next_multiple_of(4)..)?;
        }
        None
    }

    /// The number in an attribute, 0 if there is none.
    pub(crate) fn number(&self, header: usize, kind: u16) -> u32 {
        let value = self.attribute(header, kind).and_then(|value| value.try_into().ok());
        u32::from_ne_bytes(value.unwrap_or_default())
    }
}
