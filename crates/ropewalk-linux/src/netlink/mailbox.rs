//! Where answers arrive: several datagrams with one system call. It never looks into them.

use std::{
    mem::{MaybeUninit, zeroed},
    os::fd::{AsRawFd, BorrowedFd},
};

use rustix::io::Errno;

/// More than the kernel says in one datagram: 32 KB in a dump, and about a link with 256 virtual
/// functions.
const LONGEST: usize = 64 * 1024;

/// What most datagrams fit into. These places lie side by side, so that few pages are touched.
const ORDINARY: usize = 2048;

/// How many datagrams are received at once.
const AT_ONCE: usize = 8;

/// How long the first datagram is waited for.
#[derive(Clone, Copy)]
enum Patience {
    None,
    /// As long as the socket's timeout says.
    OfSocket,
}

/// Room for datagrams; memory is only taken by what arrives.
#[derive(Debug)]
pub(super) struct Mailbox {
    /// Places for the beginnings of datagrams, then those for the rest of them.
    room: Box<[MaybeUninit<u8>]>,
    /// How long the datagrams are that came last.
    lengths: Vec<usize>,
    /// Those of them that are long, in one piece, with their numbers.
    long: Vec<(usize, Vec<u8>)>,
}

impl Mailbox {
    pub(super) fn new() -> Self {
        let room = Box::new_uninit_slice(LONGEST * AT_ONCE);
        Self { room, lengths: Vec::new(), long: Vec::new() }
    }

    /// Receives what is there, without waiting: at least one datagram, or an error.
    pub(super) fn receive(&mut self, socket: BorrowedFd<'_>) -> Result<(), Errno> {
        self.take(socket, Patience::None)
    }

    /// Waits until there is something, as long as the socket's timeout says, and receives it.
    pub(super) fn wait(&mut self, socket: BorrowedFd<'_>) -> Result<(), Errno> {
        self.take(socket, Patience::OfSocket)
    }

    fn take(&mut self, socket: BorrowedFd<'_>, patience: Patience) -> Result<(), Errno> {
        self.lengths.clear();
        self.long.clear();
        let (beginnings, rests) = self.room.split_at_mut(ORDINARY * AT_ONCE);
        let beginnings = beginnings.chunks_exact_mut(ORDINARY);
        let rests = rests.chunks_exact_mut(LONGEST - ORDINARY);
        let mut places: Vec<[libc::iovec; 2]> = beginnings
            .zip(rests)
            .map(|(beginning, rest)| [space(beginning), space(rest)])
            .collect();
        let mut headers: Vec<libc::mmsghdr> = places.iter_mut().map(header).collect();
        let count = rustix::io::retry_on_intr(|| receive(socket, &mut headers, patience))?;
        for header in headers.iter().take(count) {
            if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
                return Err(Errno::MSGSIZE);
            }
            self.lengths.push(usize::try_from(header.msg_len).unwrap_or(LONGEST).min(LONGEST));
        }
        for (number, &length) in self.lengths.iter().enumerate() {
            if length > ORDINARY {
                let start = ORDINARY * AT_ONCE + (LONGEST - ORDINARY) * number;
                let beginning = self.filled(ORDINARY * number, ORDINARY);
                let whole = [beginning, self.filled(start, length - ORDINARY)].concat();
                self.long.push((number, whole));
            }
        }
        Ok(())
    }

    /// Whether there may be more than what came last.
    pub(super) fn is_full(&self) -> bool {
        self.lengths.len() == AT_ONCE
    }

    /// The datagrams that came last.
    pub(super) fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        self.lengths.iter().enumerate().map(|(number, &length)| {
            let long = self.long.iter().find(|(long, _)| *long == number);
            long.map_or_else(|| self.filled(ORDINARY * number, length), |(_, whole)| whole)
        })
    }

    /// A part of the room into which the kernel has written.
    fn filled(&self, start: usize, length: usize) -> &[u8] {
        let part = &self.room[start..start + length];
        // SAFETY: these are the bytes that a call has returned as received, all of them.
        unsafe { std::slice::from_raw_parts(part.as_ptr().cast(), part.len()) }
    }
}

fn space(room: &mut [MaybeUninit<u8>]) -> libc::iovec {
    libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() }
}

fn header(places: &mut [libc::iovec; 2]) -> libc::mmsghdr {
    // SAFETY: all zero is a valid header, without name, space or control data; the types of its
    // fields and their padding differ from one C library to the other.
    let mut header: libc::mmsghdr = unsafe { zeroed() };
    header.msg_hdr.msg_iov = places.as_mut_ptr();
    header.msg_hdr.msg_iovlen = 2;
    header
}

fn receive(
    socket: BorrowedFd<'_>,
    headers: &mut [libc::mmsghdr],
    patience: Patience,
) -> Result<usize, Errno> {
    let count = libc::c_uint::try_from(headers.len()).unwrap_or(0);
    // SAFETY: the descriptor is open for as long as it is borrowed; each header leads to
    // places of its own, of the lengths that are written there, and all live until the call returns.
    let received = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            count,
            match patience {
                Patience::None => libc::MSG_DONTWAIT as _,
                Patience::OfSocket => libc::MSG_WAITFORONE as _,
            },
            std::ptr::null_mut(),
        )
    };
    usize::try_from(received)
        .map_err(|_| Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
}

#[cfg(test)]
mod tests {
    use std::os::{fd::AsFd, unix::net::UnixDatagram};

    use super::*;

    #[test]
    fn datagrams_of_any_length_come_whole_and_in_order() {
        let (sender, receiver) = UnixDatagram::pair().unwrap();
        let mut mailbox = Mailbox::new();
        assert_eq!(mailbox.receive(receiver.as_fd()), Err(Errno::AGAIN));
        for lengths in [vec![1, ORDINARY, ORDINARY + 1, LONGEST, 7], vec![9000], vec![3; AT_ONCE]] {
            let sent: Vec<Vec<u8>> =
                lengths.iter().map(|&length| (0..=250).cycle().take(length).collect()).collect();
            for datagram in &sent {
                sender.send(datagram).unwrap();
            }
            mailbox.receive(receiver.as_fd()).unwrap();
            assert!(mailbox.datagrams().eq(sent.iter().map(Vec::as_slice)));
            assert_eq!(mailbox.is_full(), lengths.len() == AT_ONCE);
        }
        sender.send(&vec![0; LONGEST + 1]).unwrap();
        assert_eq!(mailbox.receive(receiver.as_fd()), Err(Errno::MSGSIZE));
    }
}
