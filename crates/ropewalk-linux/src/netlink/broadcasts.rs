//! Hears what changes in every network namespace that has a number in this one, with one socket.
//!
//! A socket in each namespace would keep all of them alive, beyond their containers; this one keeps
//! none. It never says what has changed, only where and of what type the message was.

use std::{
    mem::zeroed,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use ropewalk_netstate::KernelError;
use rustix::{
    io::Errno,
    net::{
        AddressFamily, SocketFlags, SocketType, bind,
        netlink::{self, SocketAddrNetlink},
        socket_with,
        sockopt::set_socket_recv_buffer_size_force,
    },
};

use super::{Replies, Reply, socket::set_option};
use crate::{error::error_about, uapi::NETLINK_LISTEN_ALL_NSID};

/// Room for the messages of a burst, in bytes; the kernel's default holds some hundred.
const BURST: usize = 8 << 20;

/// More than the kernel says in one datagram of an event.
const LONGEST: usize = 64 * 1024;

/// What the kernel tells beside a datagram: one number, with room for more.
const BESIDE: usize = 64;

/// A socket that hears groups of messages of all namespaces.
#[derive(Debug)]
pub(crate) struct BroadcastSocket {
    fd: OwnedFd,
    room: Vec<u8>,
}

impl BroadcastSocket {
    /// Hears groups of rtnetlink.
    pub(crate) fn of_routes(groups: &[u32]) -> Result<Self, KernelError> {
        Self::open(None, groups)
    }

    /// Hears groups of netfilter.
    pub(crate) fn of_netfilter(groups: &[u32]) -> Result<Self, KernelError> {
        Self::open(Some(netlink::NETFILTER), groups)
    }

    fn open(protocol: Option<rustix::net::Protocol>, groups: &[u32]) -> Result<Self, KernelError> {
        let open = || {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol)?;
            set_option(fd.as_fd(), NETLINK_LISTEN_ALL_NSID)?;
            // With less room more is lost, which is noticed.
            let _ = set_socket_recv_buffer_size_force(&fd, BURST);
            let groups = groups.iter().fold(0, |all, group| all | (1 << (group - 1)));
            bind(&fd, &SocketAddrNetlink::new(0, groups))?;
            Ok(Self { fd, room: vec![0; LONGEST] })
        };
        open().map_err(|errno| error_about(errno, "subscribe to kernel events"))
    }

    /// Reads what is there: each message with the number of its namespace, which the own one has
    /// not. `false` if the kernel had to drop some.
    pub(crate) fn read(
        &mut self,
        mut see: impl FnMut(Option<u32>, &Reply<'_>),
    ) -> Result<bool, KernelError> {
        let mut is_complete = true;
        loop {
            match self.receive() {
                Ok((length, number)) => {
                    Replies(&self.room[..length]).for_each(|reply| see(number, &reply));
                }
                Err(Errno::AGAIN) => return Ok(is_complete),
                Err(Errno::INTR) => {}
                Err(Errno::NOBUFS) => is_complete = false,
                Err(errno) => return Err(error_about(errno, "receive from kernel")),
            }
        }
    }

    /// One datagram: its length, and the number that the kernel told beside it.
    fn receive(&mut self) -> Result<(usize, Option<u32>), Errno> {
        let mut beside = [0_u64; BESIDE / 8];
        let mut place =
            libc::iovec { iov_base: self.room.as_mut_ptr().cast(), iov_len: self.room.len() };
        // SAFETY: all zero is a valid header, without name, space or control data; the types of its
        // fields and their padding differ from one C library to the other.
        let mut header: libc::msghdr = unsafe { zeroed() };
        header.msg_iov = &raw mut place;
        header.msg_iovlen = 1;
        header.msg_control = beside.as_mut_ptr().cast();
        header.msg_controllen = BESIDE as _;
        // SAFETY: the descriptor is open for as long as it is borrowed; the header leads to places
        // of the lengths that are written there, and all live until the call returns.
        let received = unsafe { libc::recvmsg(self.fd.as_raw_fd(), &raw mut header, 0) };
        let length = usize::try_from(received).map_err(|_| {
            Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
        })?;
        let length = length.min(self.room.len());
        // SAFETY: the kernel has filled the header and what it leads to; both still live.
        let first = unsafe { libc::CMSG_FIRSTHDR(&raw const header) };
        if first.is_null() {
            return Ok((length, None));
        }
        // SAFETY: a header that is there is whole, and its data is as long as it says.
        let number = unsafe {
            let is_number = (*first).cmsg_level == libc::SOL_NETLINK
                && (*first).cmsg_type == NETLINK_LISTEN_ALL_NSID;
            is_number.then(|| libc::CMSG_DATA(first).cast::<libc::c_int>().read_unaligned())
        };
        Ok((length, number.and_then(|number| u32::try_from(number).ok())))
    }
}

impl AsFd for BroadcastSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
