//! The connection's bytes: TCP or a Unix socket, with a deadline for everything.

use std::{
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    os::unix::net::UnixStream,
    path::Path,
    time::{Duration, Instant},
};

use postgres_protocol::message::backend::Message;

/// How much is read at once.
const PIECE: usize = 16 * 1024;

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection to a server.
#[derive(Debug)]
pub(super) struct Stream {
    socket: Socket,
    deadline: Instant,
    received: bytes::BytesMut,
}

impl Stream {
    /// Connects to a host; a path is the directory of a Unix socket.
    pub(super) fn connect(host: &str, port: u16, deadline: Instant) -> io::Result<Self> {
        let socket = if host.starts_with('/') {
            let path = Path::new(host).join(format!(".s.PGSQL.{port}"));
            Socket::Unix(UnixStream::connect(path)?)
        } else {
            Socket::Tcp(connect(host, port, deadline)?)
        };
        Ok(Self { socket, deadline, received: bytes::BytesMut::new() })
    }

    /// From now on everything has to be over by then.
    pub(super) fn finish_by(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// Sends all of it.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let left = left(self.deadline)?;
        match &mut self.socket {
            Socket::Tcp(socket) => {
                socket.set_write_timeout(Some(left))?;
                socket.write_all(bytes)
            }
            Socket::Unix(socket) => {
                socket.set_write_timeout(Some(left))?;
                socket.write_all(bytes)
            }
        }
        .map_err(late)
    }

    /// The next message.
    pub(super) fn receive(&mut self) -> io::Result<Message> {
        loop {
            if let Some(message) = Message::parse(&mut self.received)? {
                return Ok(message);
            }
            let begun = self.received.len();
            self.received.resize(begun + PIECE, 0);
            let count = self.read(begun);
            self.received.truncate(begun + *count.as_ref().unwrap_or(&0));
            if count? == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the server closed the connection",
                ));
            }
        }
    }

    fn read(&mut self, from: usize) -> io::Result<usize> {
        let left = left(self.deadline)?;
        let room = &mut self.received[from..];
        match &mut self.socket {
            Socket::Tcp(socket) => {
                socket.set_read_timeout(Some(left))?;
                socket.read(room)
            }
            Socket::Unix(socket) => {
                socket.set_read_timeout(Some(left))?;
                socket.read(room)
            }
        }
        .map_err(late)
    }
}

/// Tries every address of a name.
fn connect(host: &str, port: u16, deadline: Instant) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left(deadline)?) {
            Ok(socket) => {
                socket.set_nodelay(true)?;
                return Ok(socket);
            }
            Err(error) => failure = late(error),
        }
    }
    Err(failure)
}

/// What is left until the deadline.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(too_late()) } else { Ok(left) }
}

fn too_late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer within the deadline")
}

/// Sockets say that they would block when their time is over.
fn late(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => too_late(),
        _ => error,
    }
}
