//! Listens to changes of links and addresses until a deadline.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use ropewalk_netstate::KernelError;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SocketFlags, SocketType, bind, netlink::SocketAddrNetlink, recv,
        socket_with,
    },
};

use super::{Replies, Reply};
use crate::{
    error::error_about,
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
    let mut waiting = sockets.map(|socket| PollFd::from_borrowed_fd(socket, PollFlags::IN));
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        match poll(&mut waiting, Some(&timespec(left))) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(true),
            Err(errno) => return Err(error_about(errno, "wait for kernel events")),
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
