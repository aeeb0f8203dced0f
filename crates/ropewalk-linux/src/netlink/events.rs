//! Listens to changes of links and addresses until a deadline.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use ropewalk_netstate::KernelError;
use rustix::{
    io::Errno,
    net::{
        AddressFamily, SocketFlags, SocketType, bind,
        netlink::SocketAddrNetlink,
        socket_with,
        sockopt::{Timeout, set_socket_timeout},
    },
};

use super::{Replies, Reply, mailbox::Mailbox};
use crate::{
    error::error_about,
    packet::wait_until_input,
    uapi::{RTNLGRP_IPV6_IFADDR, RTNLGRP_LINK},
};

/// A socket that tells that something changed; what it is now has to be asked for.
#[derive(Debug)]
pub(crate) struct EventSocket {
    fd: OwnedFd,
    mailbox: Mailbox,
}

impl EventSocket {
    /// Subscribes to link and IPv6 address events of the current network namespace.
    pub(crate) fn open() -> Result<Self, KernelError> {
        Self::subscribe(&[RTNLGRP_LINK, RTNLGRP_IPV6_IFADDR])
    }

    /// Subscribes to link events of the current network namespace.
    ///
    /// [`Self::receive`] waits so long for each.
    pub(crate) fn of_links(patience: Duration) -> Result<Self, KernelError> {
        let socket = Self::subscribe(&[RTNLGRP_LINK])?;
        set_socket_timeout(&socket.fd, Timeout::Recv, Some(patience))
            .map_err(|errno| error_about(errno, "subscribe to kernel events"))?;
        Ok(socket)
    }

    fn subscribe(groups: &[u32]) -> Result<Self, KernelError> {
        let open = || {
            let flags = SocketFlags::CLOEXEC;
            let fd = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
            let groups = groups.iter().fold(0, |all, group| all | (1 << (group - 1)));
            bind(&fd, &SocketAddrNetlink::new(0, groups))?;
            Ok(Self { fd, mailbox: Mailbox::new() })
        };
        open().map_err(|errno| error_about(errno, "subscribe to kernel events"))
    }

    /// Waits for events and drops them; `false` if the deadline came first. Lost events are
    /// events too: the caller looks again in any case.
    pub(crate) fn wait(&mut self, deadline: Instant) -> Result<bool, KernelError> {
        let has_events = self.wait_for_more(deadline)?;
        self.read(|_| {});
        Ok(has_events)
    }

    /// Waits until there is something to read; `false` if the deadline came first.
    pub(crate) fn wait_for_more(&self, deadline: Instant) -> Result<bool, KernelError> {
        wait_until_input(&[self.fd.as_fd()], deadline)
    }

    /// Waits for events and reads them; `false` if the kernel had to drop some.
    pub(crate) fn receive(&mut self, mut see: impl FnMut(&Reply<'_>)) -> Result<bool, KernelError> {
        match self.mailbox.wait(self.fd.as_fd()) {
            Ok(()) => {
                self.mailbox.datagrams().flat_map(Replies).for_each(|reply| see(&reply));
                Ok(true)
            }
            Err(Errno::NOBUFS) => Ok(false),
            Err(Errno::AGAIN) => Err(error_about(Errno::TIMEDOUT, "wait for kernel events")),
            Err(errno) => Err(error_about(errno, "receive from kernel")),
        }
    }

    /// Reads the events that are there; `false` if the kernel had to drop some.
    pub(crate) fn read(&mut self, mut see: impl FnMut(&Reply<'_>)) -> bool {
        let mut is_complete = true;
        loop {
            match self.mailbox.receive(self.fd.as_fd()) {
                Ok(()) => {
                    self.mailbox.datagrams().flat_map(Replies).for_each(|reply| see(&reply));
                    if !self.mailbox.is_full() {
                        return is_complete;
                    }
                }
                Err(Errno::NOBUFS) => is_complete = false,
                Err(Errno::AGAIN) => return is_complete,
                Err(_) => return false,
            }
        }
    }
}

impl AsFd for EventSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
