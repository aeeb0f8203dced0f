//! Listens to changes of links and addresses until a deadline.

use std::{
    os::fd::OwnedFd,
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

    /// Waits for events and drops them; `false` if the deadline came first. Lost events
    /// (`ENOBUFS`) are events too: the caller looks again in any case.
    pub(crate) fn wait(&self, deadline: Instant) -> Result<bool, KernelError> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&timespec(left))) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => {
                    self.drain();
                    return Ok(true);
                }
                Err(errno) => return Err(error_about(errno, "wait for kernel events")),
            }
        }
    }

    fn drain(&self) {
        let mut buffer = [0; 4096];
        loop {
            match recv(&self.0, &mut buffer, RecvFlags::DONTWAIT) {
                Ok(_) | Err(Errno::NOBUFS | Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
