//! A netlink socket that matches every answer to its request.
//!
//! The kernel works off a request within the send call, so that answers never have to be waited
//! for; a dump goes on while it is received.

use std::{
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use ropewalk_netstate::KernelError;
use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink,
        sockopt::{Timeout, set_socket_send_buffer_size_force, set_socket_timeout},
    },
};

use super::{Message, Replies, Reply};
use crate::{
    error::{error, error_about, kernel_error},
    uapi::{NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK},
};

/// A dump of the kernel fills at most 32 KB at once; larger buffers bring nothing.
pub(crate) const RECEIVE_BUFFER: usize = 64 * 1024;

/// A dump that races with changes again and again is given up, like in libnl.
const DUMP_ATTEMPTS: usize = 16;

/// Longer than any answer takes, even behind a long queue for the RTNL lock.
const LONGEST_ANSWER: Duration = Duration::from_mins(1);

/// How many requests are sent at once: their answers must fit into the receive buffer.
const AT_ONCE: usize = 64;

/// Which part of the kernel listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Links, addresses, routes.
    Route,
    /// nftables, connection tracking.
    Netfilter,
    /// Families that have no number of their own: ethtool.
    Generic,
}

/// A netlink socket of the network namespace in which it was opened, whatever namespace the
/// thread enters later.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    protocol: Protocol,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens a socket in the current network namespace.
    pub(crate) fn open(protocol: Protocol) -> Result<Self, KernelError> {
        let number = match protocol {
            Protocol::Route => None,
            Protocol::Netfilter => Some(netlink::NETFILTER),
            Protocol::Generic => Some(netlink::GENERIC),
        };
        let flags = SocketFlags::CLOEXEC;
        let fd = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, number)
            .map_err(|errno| error_about(errno, "open netlink socket"))?;
        // Kernels that lack one of these answer with fewer words or check less; both is bearable.
        let _ = set_option(fd.as_fd(), NETLINK_EXT_ACK);
        let _ = set_option(fd.as_fd(), NETLINK_CAP_ACK);
        if protocol == Protocol::Route {
            let _ = set_option(fd.as_fd(), NETLINK_GET_STRICT_CHK);
        }
        // The kernel always answers. Should we ever misunderstand it, an error beats waiting for
        // ever.
        let _ = set_socket_timeout(&fd, Timeout::Recv, Some(LONGEST_ANSWER));
        Ok(Self { fd, protocol, sequence: 0, buffer: vec![0; RECEIVE_BUFFER] })
    }

    fn speaker(&self) -> &'static str {
        match self.protocol {
            Protocol::Route => "RTNETLINK",
            Protocol::Netfilter => "NFNETLINK",
            Protocol::Generic => "GENETLINK",
        }
    }

    /// Sends one request and waits for its verdict.
    pub(crate) fn request(&mut self, message: Message) -> Result<(), KernelError> {
        self.exchange(vec![message])?.into_iter().next().unwrap_or(Ok(()))
    }

    /// Sends requests in one system call and waits for the verdict on each: the kernel carries
    /// out later ones even if an earlier one fails.
    pub(crate) fn exchange(
        &mut self,
        messages: Vec<Message>,
    ) -> Result<Vec<Result<(), KernelError>>, KernelError> {
        self.exchange_reading(messages, |_| {})
    }

    /// Sends one request for one object and reads the answer.
    pub(crate) fn get<T>(
        &mut self,
        message: Message,
        read: impl Fn(&Reply<'_>) -> Option<T>,
    ) -> Result<Option<T>, KernelError> {
        let mut found = None;
        let verdicts = self.exchange_reading(vec![message], |reply| {
            if found.is_none() {
                found = read(reply);
            }
        })?;
        verdicts.into_iter().next().unwrap_or(Ok(()))?;
        Ok(found)
    }

    /// Like [`Self::exchange`]; everything that is not a verdict is shown to `read`.
    pub(crate) fn exchange_reading(
        &mut self,
        mut messages: Vec<Message>,
        mut read: impl FnMut(&Reply<'_>),
    ) -> Result<Vec<Result<(), KernelError>>, KernelError> {
        let mut verdicts = Vec::new();
        for chunk in messages.chunks_mut(AT_ONCE) {
            verdicts.extend(self.exchange_once(chunk, &mut read)?);
        }
        Ok(verdicts)
    }

    fn exchange_once(
        &mut self,
        messages: &mut [Message],
        read: &mut impl FnMut(&Reply<'_>),
    ) -> Result<Vec<Result<(), KernelError>>, KernelError> {
        let first = self.send(messages)?;
        let speaker = self.speaker();
        let mut verdicts: Vec<Option<Result<(), KernelError>>> = vec![None; messages.len()];
        while verdicts.iter().any(Option::is_none) {
            let received = self.receive()?;
            for reply in Replies(&self.buffer[..received]) {
                let Some(index) = index_of(reply.sequence, first, messages.len()) else {
                    continue;
                };
                if let Some(verdict) = reply.verdict(speaker) {
                    verdicts[index] = Some(verdict);
                    continue;
                }
                read(&reply);
                if !messages[index].is_acknowledged() {
                    verdicts[index] = Some(Ok(()));
                }
            }
        }
        Ok(verdicts.into_iter().flatten().collect())
    }

    /// Sends a transaction: all messages in one system call. The first verdict that is an error
    /// is returned with the index of its message.
    pub(crate) fn transact(
        &mut self,
        mut messages: Vec<Message>,
    ) -> Result<(), (usize, KernelError)> {
        let first = self.send(&mut messages).map_err(|error| (0, error))?;
        let speaker = self.speaker();
        let last = messages.iter().rposition(Message::is_acknowledged);
        let mut failure: Option<(usize, KernelError)> = None;
        let mut finished = false;
        // All verdicts are there when sending returns; which ones, depends on the failure.
        loop {
            let received = match self.receive_with(RecvFlags::DONTWAIT) {
                Ok(received) => received,
                Err(Errno::AGAIN) => break,
                // More failures than the receive buffer holds; the first ones are in it.
                Err(Errno::NOBUFS) => continue,
                Err(errno) => return Err((0, error_about(errno, "receive from kernel"))),
            };
            for reply in Replies(&self.buffer[..received]) {
                let Some(index) = index_of(reply.sequence, first, messages.len()) else {
                    continue;
                };
                match reply.verdict(speaker) {
                    Some(Err(error)) => {
                        failure.get_or_insert((index, error));
                    }
                    Some(Ok(())) => finished |= Some(index) == last,
                    None => {}
                }
            }
        }
        match failure {
            Some(failure) => Err(failure),
            None if finished => Ok(()),
            None => Err((0, error("the kernel did not confirm the transaction"))),
        }
    }

    /// Sends a request for many objects and reads each; repeats it if it raced with a change.
    pub(crate) fn dump<T>(
        &mut self,
        message: &Message,
        mut read: impl FnMut(&Reply<'_>) -> Option<T>,
    ) -> Result<Vec<T>, KernelError> {
        for _ in 0..DUMP_ATTEMPTS {
            let mut found = Vec::new();
            let consistent = self.dump_once(message.clone(), |reply| found.extend(read(reply)))?;
            if consistent {
                return Ok(found);
            }
        }
        Err(kernel_error(Errno::INTR, Some("the list changed while it was read")))
    }

    fn dump_once(
        &mut self,
        message: Message,
        mut read: impl FnMut(&Reply<'_>),
    ) -> Result<bool, KernelError> {
        let first = self.send(&mut [message])?;
        let speaker = self.speaker();
        let mut consistent = true;
        loop {
            let received = self.receive()?;
            for reply in Replies(&self.buffer[..received]) {
                if reply.sequence != first {
                    continue;
                }
                consistent &= !reply.is_interrupted();
                match reply.verdict(speaker) {
                    Some(verdict) => return verdict.map(|()| consistent),
                    None => read(&reply),
                }
            }
        }
    }

    /// Numbers a message that somebody else sends over this socket.
    pub(crate) fn number<'a>(&mut self, message: &'a mut Message) -> &'a [u8] {
        self.sequence = self.sequence.wrapping_add(1);
        message.finish(self.sequence)
    }

    /// The verdict on the last message numbered, if it has come.
    pub(crate) fn verdict_at_hand(
        &mut self,
    ) -> Result<Option<Result<(), KernelError>>, KernelError> {
        let received = match self.receive_with(RecvFlags::DONTWAIT) {
            Ok(received) => received,
            Err(Errno::AGAIN) => return Ok(None),
            Err(errno) => return Err(error_about(errno, "receive from kernel")),
        };
        let speaker = self.speaker();
        let mut replies = Replies(&self.buffer[..received]);
        let answer = replies.find(|reply| reply.sequence == self.sequence);
        Ok(answer.and_then(|reply| reply.verdict(speaker)))
    }

    /// Numbers the messages and sends them; returns the first number.
    fn send(&mut self, messages: &mut [Message]) -> Result<u32, KernelError> {
        let first = self.sequence.wrapping_add(1);
        let mut bytes = Vec::new();
        for message in messages {
            if message.is_oversized() {
                return Err(kernel_error(Errno::MSGSIZE, None));
            }
            self.sequence = self.sequence.wrapping_add(1);
            bytes.extend_from_slice(message.finish(self.sequence));
        }
        if bytes.len() > RECEIVE_BUFFER {
            // Beyond the default send buffer a transaction needs a larger one (root may).
            let size = bytes.len().saturating_mul(2);
            let _ = set_socket_send_buffer_size_force(&self.fd, size);
        }
        let sent =
            rustix::io::retry_on_intr(|| rustix::net::send(&self.fd, &bytes, SendFlags::empty()));
        sent.map_err(|errno| error_about(errno, "send to kernel")).map(|_| first)
    }

    fn receive(&mut self) -> Result<usize, KernelError> {
        self.receive_with(RecvFlags::empty())
            .map_err(|errno| error_about(errno, "receive from kernel"))
    }

    fn receive_with(&mut self, flags: RecvFlags) -> Result<usize, Errno> {
        let received = rustix::io::retry_on_intr(|| {
            rustix::net::recv(&self.fd, &mut self.buffer[..], flags | RecvFlags::TRUNC)
        });
        let (filled, length) = received?;
        if filled < length { Err(Errno::MSGSIZE) } else { Ok(filled) }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Which of `count` messages numbered from `first` has this number.
fn index_of(sequence: u32, first: u32, count: usize) -> Option<usize> {
    usize::try_from(sequence.wrapping_sub(first)).ok().filter(|&index| index < count)
}

/// Turns on a netlink socket option; rustix does not know these.
fn set_option(fd: BorrowedFd<'_>, option: i32) -> Result<(), Errno> {
    let on: libc::c_int = 1;
    let size = libc::socklen_t::try_from(size_of::<libc::c_int>()).unwrap_or_default();
    // SAFETY: the descriptor is open for as long as it is borrowed, and the kernel reads `size`
    // bytes from `on`, which lives until the call returns.
    let result = unsafe {
        libc::setsockopt(fd.as_raw_fd(), libc::SOL_NETLINK, option, (&raw const on).cast(), size)
    };
    if result == 0 { Ok(()) } else { Err(Errno::from_io_error(&last_error()).unwrap_or(Errno::IO)) }
}

fn last_error() -> std::io::Error {
    std::io::Error::last_os_error()
}
