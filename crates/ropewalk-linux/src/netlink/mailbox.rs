//! Where answers arrive: several datagrams with one system call. It never looks into them.

use std::{
    mem::{MaybeUninit, zeroed},
    os::fd::{AsRawFd, BorrowedFd},
};

use rustix::io::Errno;

/// More than the kernel says in one datagram: 32 KB in a dump, and about a link with 256 virtual
/// functions.
pub(super) const LONGEST: usize = 64 * 1024;

/// How many datagrams are received at once.
const AT_ONCE: usize = 8;

/// Room for datagrams; memory is only taken by what arrives.
#[derive(Debug)]
pub(super) struct Mailbox {
    room: Box<[MaybeUninit<u8>]>,
    /// How long the datagrams are that came last.
    lengths: Vec<usize>,
}

impl Mailbox {
    pub(super) fn new() -> Self {
        Self { room: Box::new_uninit_slice(LONGEST * AT_ONCE), lengths: Vec::new() }
    }

    /// Receives what is there, without waiting: at least one datagram, or an error.
    pub(super) fn receive(&mut self, socket: BorrowedFd<'_>) -> Result<(), Errno> {
        self.lengths.clear();
        let mut spaces: Vec<libc::iovec> = self
            .room
            .chunks_exact_mut(LONGEST)
            .map(|space| libc::iovec { iov_base: space.as_mut_ptr().cast(), iov_len: LONGEST })
            .collect();
        let mut headers: Vec<libc::mmsghdr> = spaces
            .iter_mut()
            .map(|space| {
                // SAFETY: all zero is a valid header, without name, space or control data; the
                // types of its fields and their padding differ from one C library to the other.
                let mut header: libc::mmsghdr = unsafe { zeroed() };
                header.msg_hdr.msg_iov = space;
                header.msg_hdr.msg_iovlen = 1;
                header
            })
            .collect();
        let count = rustix::io::retry_on_intr(|| receive(socket, &mut headers))?;
        for header in headers.iter().take(count) {
            if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
                return Err(Errno::MSGSIZE);
            }
            self.lengths.push(usize::try_from(header.msg_len).unwrap_or(LONGEST).min(LONGEST));
        }
        Ok(())
    }

    /// Whether there may be more than what came last.
    pub(super) fn is_full(&self) -> bool {
        self.lengths.len() == AT_ONCE
    }

    /// The datagrams that came last.
    pub(super) fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        self.room.chunks_exact(LONGEST).zip(&self.lengths).map(|(space, &length)| {
            // SAFETY: the kernel has written so many bytes to the beginning of this space.
            unsafe { std::slice::from_raw_parts(space.as_ptr().cast(), length) }
        })
    }
}

fn receive(socket: BorrowedFd<'_>, headers: &mut [libc::mmsghdr]) -> Result<usize, Errno> {
    let count = libc::c_uint::try_from(headers.len()).unwrap_or(0);
    // SAFETY: the descriptor is open for as long as it is borrowed; each header leads to one space
    // of its own, of the length that is written there, and all live until the call returns.
    let received = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            count,
            libc::MSG_DONTWAIT as _,
            std::ptr::null_mut(),
        )
    };
    usize::try_from(received)
        .map_err(|_| Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
}
