//! Packets from one namespace to a server in another: does it hear the client, and from where?
//!
//! Client and server are opened by one thread that enters their namespaces; nothing runs on.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use crate::{Lab, patience};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How long an answer may take on a busy machine.
const ANSWER: Duration = Duration::from_secs(5);
/// How long a request may take to be sent twice.
const REQUEST: Duration = Duration::from_millis(1200);
/// How long nothing has to be heard to say that nothing comes.
const SILENCE: Duration = Duration::from_millis(700);

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Everything on a port, in the family of the destination.
fn any(destination: SocketAddr, port: u16) -> SocketAddr {
    let ip = if destination.is_ipv4() { "0.0.0.0" } else { "::" };
    SocketAddr::new(ip.parse().expect("an address"), port)
}

/// A server's namespace and port.
#[derive(Clone, Copy)]
pub struct Server<'a>(pub &'a str, pub u16);

/// Opens a server's socket. Another test that starts a process holds copies of our closed sockets
/// for a moment, until that process executes its program.
pub(crate) fn open<T: Send>(lab: &Lab, netns: &str, bind: impl Fn() -> io::Result<T> + Sync) -> T {
    let deadline = Instant::now() + patience(ANSWER);
    loop {
        match lab.inside(netns, &bind) {
            Ok(socket) => return socket,
            Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < deadline => {}
            Err(error) => panic!("cannot listen in {netns}: {error}"),
        }
    }
}

/// The source that the TCP server sees when `from` connects to `destination` and both say
/// something; nothing if somebody else or nobody answers.
pub fn tcp_source(lab: &Lab, from: &str, destination: &str, server: Server<'_>) -> Option<IpAddr> {
    connect(lab, from, destination, server, patience(ANSWER))
}

/// The same where nothing is expected: a first request is sent at once, so a shorter wait tells.
pub fn unexpected_tcp_source(
    lab: &Lab,
    from: &str,
    destination: &str,
    server: Server<'_>,
) -> Option<IpAddr> {
    connect(lab, from, destination, server, REQUEST)
}

/// Asserts whether `from` reaches the TCP server at this address.
#[track_caller]
pub fn passes(lab: &Lab, from: &str, destination: &str, to: Server<'_>, expected: bool) {
    let ask = if expected { tcp_source } else { unexpected_tcp_source };
    let source = ask(lab, from, destination, to);
    assert_eq!(source.is_some(), expected, "from {from} to {destination}: {source:?}");
}

fn connect(
    lab: &Lab,
    from: &str,
    destination: &str,
    Server(netns, port): Server<'_>,
    wait: Duration,
) -> Option<IpAddr> {
    let destination = address(destination);
    let listener = open(lab, netns, || TcpListener::bind(any(destination, port)));
    let mut client = lab.inside(from, || TcpStream::connect_timeout(&destination, wait)).ok()?;
    if !is_readable(&listener, SILENCE) {
        return None;
    }
    let (mut accepted, peer) = listener.accept().expect("a connection waits");
    client.set_read_timeout(Some(patience(ANSWER))).expect("a socket has a timeout");
    accepted.write_all(b"hello").expect("the connection was made");
    let mut heard = [0; 5];
    client.read_exact(&mut heard).ok()?;
    Some(peer.ip())
}

/// Whether a UDP server heard a client and the client its answer; the source that the server saw.
pub fn udp_source(lab: &Lab, from: &str, destination: &str, server: Server<'_>) -> Option<IpAddr> {
    let client = UdpClient::open(lab, from, destination);
    client.source(lab, server)
}

/// A client that keeps its port, so that connection tracking knows its packets.
pub struct UdpClient {
    socket: UdpSocket,
    destination: SocketAddr,
}

impl UdpClient {
    /// A client in a namespace that sends to this address.
    pub fn open(lab: &Lab, from: &str, destination: &str) -> Self {
        let destination = address(destination);
        let client = || {
            let socket = UdpSocket::bind(any(destination, 0))?;
            socket.connect(destination)?;
            Ok::<_, std::io::Error>(socket)
        };
        let socket = lab
            .inside(from, client)
            .unwrap_or_else(|error| panic!("{from} to {destination}: {error}"));
        socket.set_read_timeout(Some(SILENCE)).expect("a socket has a timeout");
        Self { socket, destination }
    }

    /// Sends one packet. That an earlier one was refused is told at the next call, so it is asked
    /// twice.
    pub fn send(&self) {
        if self.socket.send(b"hello").is_err() {
            self.socket.send(b"hello").expect("a packet can be sent");
        }
    }

    /// Sends one packet and waits for what comes back: an answer, a refusal or nothing.
    pub fn is_refused(&self) -> bool {
        self.send();
        let answer = self.socket.recv(&mut [0; 16]);
        answer.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    }

    /// The source that the server sees; nothing if it hears nothing or is not heard.
    ///
    /// A packet may be lost while an address is being looked up, so it is sent again.
    pub fn source(&self, lab: &Lab, server: Server<'_>) -> Option<IpAddr> {
        let Server(netns, port) = server;
        let socket = open(lab, netns, || UdpSocket::bind(any(self.destination, port)));
        let deadline = Instant::now() + patience(ANSWER);
        while Instant::now() < deadline {
            self.send();
            if !is_readable(&socket, SILENCE) {
                continue;
            }
            let (_, peer) = socket.recv_from(&mut [0; 16]).expect("a packet waits");
            socket.send_to(b"answer", peer).expect("a packet can be sent");
            // A refusal of an earlier packet may come first.
            let mut buffer = [0; 16];
            let answer = self.socket.recv(&mut buffer).or_else(|_| self.socket.recv(&mut buffer));
            if answer.is_ok() {
                return Some(peer.ip());
            }
        }
        None
    }
}

fn is_readable(socket: &impl AsFd, wait: Duration) -> bool {
    let mut sockets = [PollFd::new(socket, PollFlags::IN)];
    let wait = Timespec::try_from(wait).expect("a short time");
    poll(&mut sockets, Some(&wait)).expect("a socket can be waited for") > 0
}
