//! A netlink socket that matches every answer to its request.
//!
//! The kernel works off a request within the send call, so that answers never have to be waited
//! for, and none that is missing can keep us; a dump goes on while it is received.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use ropewalk_netstate::KernelError;
use rustix::{
    io::Errno,
    net::{
        AddressFamily, SendFlags, SocketFlags, SocketType, netlink,
        sockopt::set_socket_send_buffer_size_force,
    },
};

use super::{Message, Replies, Reply, ahead::Ahead, mailbox::Mailbox};
use crate::{
    error::{error, error_about, kernel_error},
    uapi::{NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK},
};

/// A dump that races with changes again and again is given up, like in libnl.
const DUMP_ATTEMPTS: usize = 16;

/// What fits into a socket's send buffer in any case, in bytes.
const ALWAYS_FITS: usize = 64 * 1024;

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
    mailbox: Mailbox,
    ahead: Ahead,
    is_strict: bool,
    /// The first call that failed.
    unanswered: Option<KernelError>,
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
        // Kernels that do not know it answer with fewer words.
        let _ = set_option(fd.as_fd(), NETLINK_EXT_ACK);
        let (mailbox, ahead) = (Mailbox::new(), Ahead::default());
        let (is_strict, unanswered) = (false, None);
        Ok(Self { fd, protocol, sequence: 0, mailbox, ahead, is_strict, unanswered })
    }

    /// Lets the kernel heed what a request for a list leaves out. Those that cannot list more.
    fn be_strict(&mut self) {
        if self.protocol == Protocol::Route && !self.is_strict {
            let _ = set_option(self.fd.as_fd(), NETLINK_GET_STRICT_CHK);
            self.is_strict = true;
        }
    }

    /// The first call that failed, apart from what the kernel itself had to say.
    pub(crate) fn unanswered(&self) -> Option<&KernelError> {
        self.unanswered.as_ref()
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
        let speaker = self.speaker();
        let known = messages.iter().map(|message| self.ahead.answer(message));
        if let Some(known) = known.collect::<Option<Vec<_>>>() {
            return Ok(known.into_iter().map(|answer| replay(answer, speaker, read)).collect());
        }
        let first = self.send(messages)?;
        let mut verdicts: Vec<Option<Result<(), KernelError>>> = vec![None; messages.len()];
        while verdicts.iter().any(Option::is_none) {
            self.receive()?;
            for reply in self.mailbox.datagrams().flat_map(Replies) {
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
        while !finished {
            match self.mailbox.receive(self.fd.as_fd()) {
                Ok(()) => {}
                Err(Errno::AGAIN) => break,
                // More failures than the receive buffer holds; the first ones are in it.
                Err(Errno::NOBUFS) => continue,
                Err(errno) => return Err((0, error_about(errno, "receive from kernel"))),
            }
            for reply in self.mailbox.datagrams().flat_map(Replies) {
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
        if let Some(answer) = self.ahead.answer(message) {
            let mut found = Vec::new();
            let verdict = replay(answer, self.speaker(), &mut |reply| found.extend(read(reply)));
            return verdict.map(|()| found);
        }
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
            self.receive()?;
            for reply in self.mailbox.datagrams().flat_map(Replies) {
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

    /// Asks questions in one system call, at most one of which is a dump. Until
    /// [`Self::forget_answers`] each is answered from memory when it is asked. What cannot be
    /// answered is asked again by whoever wants to know.
    pub(crate) fn ask_ahead(&mut self, mut questions: Vec<Message>) {
        // The kernel takes nothing more on before it has begun to hand out a dump.
        questions.sort_by_key(Message::is_dump);
        let asked = questions.clone();
        let Ok(answers) = self.answers(&mut questions) else { return };
        for (question, answer) in asked.into_iter().zip(answers) {
            if !answer.is_interrupted {
                self.ahead.keep(question, answer.bytes);
            }
        }
    }

    fn answers(&mut self, questions: &mut [Message]) -> Result<Vec<Answer>, KernelError> {
        let first = self.send(questions)?;
        let speaker = self.speaker();
        let mut answers = vec![Answer::default(); questions.len()];
        while !answers.iter().all(|answer| answer.is_whole) {
            self.receive()?;
            for datagram in self.mailbox.datagrams() {
                let Some(head) = Replies(datagram).next() else { continue };
                let Some(index) = index_of(head.sequence, first, questions.len()) else { continue };
                answers[index].add(datagram, questions[index].is_dump(), speaker);
            }
        }
        Ok(answers)
    }

    /// Whether a question was asked ahead and answered.
    pub(crate) fn knows(&self, question: &Message) -> bool {
        self.ahead.answer(question).is_some()
    }

    /// Forgets the answers to questions that were asked ahead.
    pub(crate) fn forget_answers(&mut self) {
        self.ahead.forget();
    }

    /// Numbers the messages and sends them; returns the first number.
    fn send(&mut self, messages: &mut [Message]) -> Result<u32, KernelError> {
        if messages.iter().any(Message::is_dump) {
            self.be_strict();
        }
        let first = self.sequence.wrapping_add(1);
        let mut bytes = Vec::new();
        for message in messages {
            if message.is_oversized() {
                return Err(kernel_error(Errno::MSGSIZE, None));
            }
            self.sequence = self.sequence.wrapping_add(1);
            bytes.extend_from_slice(message.finish(self.sequence));
        }
        if bytes.len() > ALWAYS_FITS {
            // Beyond the default send buffer a transaction needs a larger one (root may).
            let size = bytes.len().saturating_mul(2);
            let _ = set_socket_send_buffer_size_force(&self.fd, size);
        }
        let sent =
            rustix::io::retry_on_intr(|| rustix::net::send(&self.fd, &bytes, SendFlags::empty()));
        sent.map_err(|errno| self.note(errno, "send to kernel")).map(|_| first)
    }

    fn receive(&mut self) -> Result<(), KernelError> {
        let received = self.mailbox.receive(self.fd.as_fd());
        received.map_err(|errno| self.note(errno, "receive from kernel"))
    }

    fn note(&mut self, errno: Errno, what: &str) -> KernelError {
        let error = error_about(errno, what);
        self.unanswered.get_or_insert_with(|| error.clone());
        error
    }
}

/// What has come of an answer that is kept.
#[derive(Clone, Default)]
struct Answer {
    bytes: Vec<u8>,
    is_whole: bool,
    is_interrupted: bool,
}

impl Answer {
    /// A datagram belongs to one question; several make up the answer to a dump.
    fn add(&mut self, datagram: &[u8], to_dump: bool, speaker: &str) {
        self.bytes.extend_from_slice(datagram);
        self.is_whole = !to_dump;
        for reply in Replies(datagram) {
            self.is_interrupted |= reply.is_interrupted();
            self.is_whole |= reply.verdict(speaker).is_some();
        }
    }
}

/// Reads an answer that was kept.
fn replay(
    answer: &[u8],
    speaker: &str,
    read: &mut impl FnMut(&Reply<'_>),
) -> Result<(), KernelError> {
    for reply in Replies(answer) {
        match reply.verdict(speaker) {
            Some(verdict) => return verdict,
            None => read(&reply),
        }
    }
    Ok(())
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
pub(super) fn set_option(fd: BorrowedFd<'_>, option: i32) -> Result<(), Errno> {
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
