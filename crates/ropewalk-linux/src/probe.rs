//! One real packet from a namespace to see whether it passes, and listeners that see it arrive.
//! Everything is gone when the probe is over; it never waits longer than it is told.

use std::{
    io,
    mem::MaybeUninit,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketAddrAny, SocketFlags, SocketType,
        acceptfrom_with, bind, connect, ipproto, listen, recv, recvfrom, send, sendto, socket_with,
        sockopt,
    },
};

use crate::{error::errno_text, netns::Netns};

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    /// The beginning of a TCP connection, which is reset when it is there.
    Tcp,
    /// A datagram, which a listener sends back.
    Udp,
    /// An echo request.
    Echo,
}

/// What is tried.
#[derive(Debug)]
pub struct Probe<'a> {
    /// What is sent.
    pub kind: ProbeKind,
    /// From where.
    pub from: &'a Netns,
    /// From which address and port; 0 leaves it to the kernel.
    pub source: SocketAddr,
    /// To whom; of an echo request the port does not count.
    pub to: SocketAddr,
    /// Where to listen for it, if nobody does.
    pub listeners: Vec<(&'a Netns, SocketAddr)>,
    /// How long to wait for an answer.
    pub patience: Duration,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// Nothing if it was answered; else what the sender saw.
    pub refusal: Option<String>,
    /// Which listener saw it, and from whom it seemed to come.
    pub arrived: Option<(usize, SocketAddr)>,
    /// How long it took.
    pub took: Duration,
}

/// What the datagrams and echo requests carry.
const TOKEN: &[u8; 8] = b"ropewalk";
/// How long a listener may take to see what has arrived already.
const SETTLING: Duration = Duration::from_millis(100);
/// Length of the header of ICMP.
const ICMP_HEADER: usize = 8;

impl Probe<'_> {
    /// Sends it and waits for what becomes of it.
    pub fn run(&self) -> io::Result<Probed> {
        let mut listeners = Vec::new();
        for (position, (netns, address)) in self.listeners.iter().enumerate() {
            // Where somebody listens already, or nobody can, the answer alone must tell.
            if let Ok(socket) = within(netns, || self.listen(*address)) {
                listeners.push((position, socket));
            }
        }
        let begun = Instant::now();
        let mut arrived = None;
        let number = number();
        let sent = within(self.from, || self.send(number));
        let refusal = match sent {
            Ok(sender) => self.wait(&sender, number, &listeners, &mut arrived),
            Err(error) => Some(crate::error::io_reason(&error)),
        };
        Ok(Probed { refusal, arrived, took: begun.elapsed() })
    }

    fn socket(&self, kind: SocketType, of_icmp: bool) -> Result<OwnedFd, Errno> {
        let (family, icmp) = match self.to {
            SocketAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP),
            SocketAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6),
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        socket_with(family, kind, flags, of_icmp.then_some(icmp))
    }

    fn listen(&self, address: SocketAddr) -> Result<OwnedFd, Errno> {
        let kind = match self.kind {
            ProbeKind::Tcp => SocketType::STREAM,
            ProbeKind::Udp => SocketType::DGRAM,
            // The kernel answers echo requests.
            ProbeKind::Echo => return Err(Errno::OPNOTSUPP),
        };
        let socket = self.socket(kind, false)?;
        bind(&socket, &address)?;
        if kind == SocketType::STREAM {
            listen(&socket, 8)?;
        }
        Ok(socket)
    }

    /// Opens the sender's socket and sends.
    fn send(&self, number: u16) -> Result<OwnedFd, Errno> {
        let kind = match self.kind {
            ProbeKind::Tcp => SocketType::STREAM,
            ProbeKind::Udp => SocketType::DGRAM,
            ProbeKind::Echo => SocketType::RAW,
        };
        let socket = self.socket(kind, self.kind == ProbeKind::Echo)?;
        if !self.source.ip().is_unspecified() || self.source.port() != 0 {
            bind(&socket, &self.source)?;
        }
        match self.kind {
            ProbeKind::Tcp => {
                // Closing is a reset, after which nothing is remembered.
                sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
                match connect(&socket, &self.to) {
                    Ok(()) | Err(Errno::INPROGRESS) => {}
                    Err(errno) => return Err(errno),
                }
            }
            ProbeKind::Udp => {
                connect(&socket, &self.to)?;
                send(&socket, TOKEN, SendFlags::empty())?;
            }
            ProbeKind::Echo => {
                connect(&socket, &SocketAddr::new(self.to.ip(), 0))?;
                send(&socket, &echo_request(self.to.ip(), number), SendFlags::empty())?;
            }
        }
        Ok(socket)
    }

    /// Waits until the sender knows; nothing if it was answered.
    fn wait(
        &self,
        sender: &OwnedFd,
        number: u16,
        listeners: &[(usize, OwnedFd)],
        arrived: &mut Option<(usize, SocketAddr)>,
    ) -> Option<String> {
        let mut accepted = Vec::new();
        let mut deadline = Instant::now() + self.patience;
        let mut outcome = None;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let wants = if self.kind == ProbeKind::Tcp { PollFlags::OUT } else { PollFlags::IN };
            let is_open = outcome.is_none();
            let mut waiting: Vec<PollFd<'_>> =
                listeners.iter().map(|(_, one)| PollFd::new(one, PollFlags::IN)).collect();
            waiting.extend(is_open.then(|| PollFd::new(sender, wants)));
            let timeout = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 0, tv_nsec: 0 });
            let ready = match poll(&mut waiting, Some(&timeout)) {
                Err(Errno::INTR) => continue,
                Err(errno) => return Some(errno_text(errno)),
                Ok(ready) => ready,
            };
            for (position, socket) in listeners {
                if let Some(from) = self.take(socket, &mut accepted) {
                    *arrived = Some((*position, from));
                }
            }
            if is_open {
                outcome = self.answer(sender, number);
                if outcome.is_some() {
                    // What arrived is seen at once, if it is seen at all.
                    deadline = Instant::now() + SETTLING;
                }
            }
            match &outcome {
                Some(Ok(())) if arrived.is_some() || listeners.is_empty() => return None,
                Some(Err(reason)) => return Some(reason.clone()),
                _ if ready == 0 => {
                    return match outcome {
                        Some(Ok(())) => None,
                        _ => Some("no answer in time".into()),
                    };
                }
                _ => {}
            }
        }
    }

    /// What a listener has got, which is answered.
    fn take(&self, socket: &OwnedFd, accepted: &mut Vec<OwnedFd>) -> Option<SocketAddr> {
        if self.kind == ProbeKind::Tcp {
            let (connection, from) = acceptfrom_with(socket, SocketFlags::CLOEXEC).ok()?;
            // Failing leaves what times out by itself.
            let _ = sockopt::set_socket_linger(&connection, Some(Duration::ZERO));
            accepted.push(connection);
            return from.and_then(ip_end);
        }
        let mut bytes = [0; TOKEN.len()];
        let (_, length, from) = recvfrom(socket, &mut bytes[..], RecvFlags::empty()).ok()?;
        let from = from.and_then(ip_end).filter(|_| length == TOKEN.len() && bytes == *TOKEN)?;
        // Whether the answer arrives is what the sender waits for.
        let _ = sendto(socket, TOKEN, SendFlags::empty(), &from);
        Some(from)
    }

    /// What the sender knows by now.
    fn answer(&self, sender: &OwnedFd, number: u16) -> Option<Result<(), String>> {
        if self.kind == ProbeKind::Tcp {
            let mut one = [PollFd::new(sender, PollFlags::OUT)];
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            if poll(&mut one, Some(&now)) != Ok(1) {
                return None;
            }
            return Some(match sockopt::socket_error(sender) {
                Ok(Ok(())) => Ok(()),
                Ok(Err(errno)) | Err(errno) => Err(errno_text(errno)),
            });
        }
        let mut bytes = [MaybeUninit::<u8>::uninit(); 256];
        loop {
            match recv(sender, &mut bytes, RecvFlags::empty()) {
                Ok(((got, _), _)) => {
                    if self.kind == ProbeKind::Udp || is_reply(self.to.ip(), got, number) {
                        return Some(Ok(()));
                    }
                }
                Err(Errno::AGAIN) => return None,
                Err(Errno::INTR) => {}
                Err(errno) => return Some(Err(errno_text(errno))),
            }
        }
    }
}

fn within<T>(netns: &Netns, act: impl FnOnce() -> Result<T, Errno>) -> io::Result<T> {
    let done = netns.within(act).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(done?)
}

fn ip_end(address: SocketAddrAny) -> Option<SocketAddr> {
    SocketAddr::try_from(address).ok()
}

/// A number that tells this echo request from others.
fn number() -> u16 {
    let mut bytes = [0; 2];
    // Without randomness it is told by who asks.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    u16::from_ne_bytes(bytes)
}

fn echo_request(to: IpAddr, number: u16) -> Vec<u8> {
    let kind = if to.is_ipv6() { 128 } else { 8 };
    let mut message = vec![kind, 0, 0, 0];
    message.extend(number.to_be_bytes());
    message.extend([0, 1]);
    message.extend(TOKEN);
    // Of IPv6 the kernel does it.
    if to.is_ipv4() {
        let sum = checksum(&message).to_be_bytes();
        message[2..4].copy_from_slice(&sum);
    }
    message
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| {
        u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or_default()]))
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

/// Whether these bytes are the reply; those of IPv4 come with the header of IP.
fn is_reply(to: IpAddr, bytes: &[u8], number: u16) -> bool {
    let (start, kind) = match (to, bytes.first()) {
        (IpAddr::V4(_), Some(first)) => (usize::from(first & 0xf) * 4, 0),
        _ => (0, 129),
    };
    let Some(message) = bytes.get(start..start + ICMP_HEADER) else { return false };
    message[0] == kind && message[4..6] == number.to_be_bytes()
}

/// Any address and port of a version of IP.
pub fn any_end(is_v6: bool) -> SocketAddr {
    let any: IpAddr =
        if is_v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    SocketAddr::new(any, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(kind: ProbeKind, to: SocketAddr) -> Probed {
        let netns = Netns::current().unwrap();
        let probe = Probe {
            kind,
            from: &netns,
            source: any_end(to.is_ipv6()),
            to,
            listeners: vec![(&netns, to)],
            patience: Duration::from_secs(5),
        };
        probe.run().unwrap()
    }

    #[test]
    fn what_arrives_is_answered_and_seen() {
        for kind in [ProbeKind::Tcp, ProbeKind::Udp] {
            let to: SocketAddr = "127.0.0.1:47123".parse().unwrap();
            let probed = probe(kind, to);
            assert_eq!(probed.refusal, None, "{kind:?}");
            let (listener, from) = probed.arrived.unwrap();
            assert_eq!((listener, from.ip()), (0, to.ip()), "{kind:?}");
        }
    }

    #[test]
    fn the_checksum_is_that_of_the_rfc() {
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        assert!(is_reply("10.0.0.1".parse().unwrap(), &reply(7), 7));
        assert!(!is_reply("10.0.0.1".parse().unwrap(), &reply(7), 8));
        assert!(!is_reply("10.0.0.1".parse().unwrap(), &[0x4f], 8));
    }

    fn reply(number: u8) -> Vec<u8> {
        let mut bytes = vec![0; 28];
        bytes[0] = 0x45;
        bytes[25] = number;
        bytes
    }
}
