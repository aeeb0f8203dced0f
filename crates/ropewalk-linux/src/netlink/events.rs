//! Listens to changes of links and addresses until a deadline.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Instant,
};

use ropewalk_netstate::KernelError;
use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SocketFlags, SocketType, bind, netlink::SocketAddrNetlink, recv,
        socket_with,
    },
};

use super::{Replies, Reply};
use crate::{
    error::error_about,
    packet::wait_for_input,
    uapi::{RTNLGRP_IPV6_IFADDR, RTNLGRP_LINK},
};

/// A socket that tells that something changed; what it is now has to be asked for.
#[derive(Debug)]
pub(crate) struct EventSocket(OwnedFd);

impl EventSocket {
    /// Subscribes to link and IPv6 address events of the current network namespace.
    pub(crate) fn open() -> Result<Self, KernelError> {
        let open = || {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
            let groups = (1 << (RTNLGRP_LINK - 1)) | (1 << (RTNLGRP_IPV6_IFADDR - 1));
            bind(&fd, &SocketAddrNetlink::new(0, groups))?;
            Ok(Self(fd))
        };
        open().map_err(|errno| error_about(errno, "subscribe to kernel events"))
    }

    /// Waits for events and drops them; `false` if the deadline came first. Lost events are
    /// events too: the caller looks again in any case.
    pub(crate) fn wait(&self, deadline: Instant) -> Result<bool, KernelError> {
        let has_events = wait_for_any([self.0.as_fd()], deadline)?;
        self.read(|_| {});
        Ok(has_events)
    }

    /// Reads the events that are there; `false` if the kernel had to drop some.
    pub(crate) fn read(&self, mut see: impl FnMut(&Reply<'_>)) -> bool {
        let mut buffer = [0; 16 * 1024];
        let mut is_complete = true;
        loop {
            match recv(&self.0, &mut buffer, RecvFlags::DONTWAIT) {
                Ok((length, _)) => Replies(&buffer[..length]).for_each(|reply| see(&reply)),
                Err(Errno::INTR) => {}
                Err(Errno::NOBUFS) => is_complete = false,
                Err(_) => return is_complete,
            }
        }
    }
}

impl AsFd for EventSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Waits until there is something to read from one of these; `false` if the deadline came first.
pub(crate) fn wait_for_any<const N: usize>(
    sockets: [BorrowedFd<'_>; N],
    deadline: Instant,
) -> Result<bool, KernelError> {
    while let Some(left) = deadline.checked_duration_since(Instant::now()) {
        if wait_for_input(&sockets, Some(left))? {
            return Ok(true);
        }
    }
    Ok(false)
}
