//! A small HTTP/1.1 server for pages and numbers of this host: GET alone, one request for each
//! connection, threads instead of an async runtime.
//!
//! It must never wait for a client without a bound: a head has a size and a deadline, connections
//! are counted, and whoever does not read is hung up on. What is answered is for the caller to say.

mod request;
mod response;
mod stop;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustls::{ServerConfig, ServerConnection, StreamOwned};

pub(crate) use self::request::Request;
pub(crate) use self::response::{Response, Turn};
pub(crate) use self::stop::Stop;

/// How many clients are served at once; a page that is open needs one all the time. As many more
/// are told that there are too many, and all others hung up on.
const MOST_CONNECTIONS: usize = 64;

/// How long a client may take for its request, and how long it may read nothing of an answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// A socket that listens.
#[derive(Debug)]
pub(crate) struct Server {
    listener: TcpListener,
    encryption: Option<Arc<ServerConfig>>,
}

impl Server {
    /// Listens at an address; with port 0 the kernel chooses one.
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, encryption: None })
    }

    /// Serves through TLS.
    pub(crate) fn with_tls(self, encryption: Arc<ServerConfig>) -> Self {
        Self { encryption: Some(encryption), ..self }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers requests, each in a thread of its own, until it is told to stop; what is being
    /// answered then is finished. Whoever sends events has to end them.
    pub(crate) fn serve(
        &self,
        stop: &Stop,
        answer: &(impl Fn(&Request) -> Response + Sync),
    ) -> io::Result<()> {
        let clients = Clients::default();
        thread::scope(|scope| {
            while stop.wait_beside(&self.listener)? {
                let socket = match self.listener.accept() {
                    Ok((socket, _)) => socket,
                    Err(error) if is_passing(&error) => continue,
                    Err(error) => {
                        clients.hang_up();
                        return Err(error);
                    }
                };
                let Some(place) = clients.enter(&socket) else { continue };
                scope.spawn(move || {
                    // The whole place, not the flag alone.
                    let place = place;
                    // A client that went away needs no answer, and nobody else misses it.
                    let _ = self.converse(socket, |request| {
                        if place.is_spare { Response::error(503) } else { answer(request) }
                    });
                });
            }
            clients.hang_up();
            Ok(())
        })
    }
}

impl Server {
    fn converse(&self, socket: TcpStream, answer: impl Fn(&Request) -> Response) -> io::Result<()> {
        socket.set_write_timeout(Some(DEADLINE))?;
        socket.set_nodelay(true)?;
        let client = Impatient { deadline: Instant::now() + DEADLINE, socket };
        let Some(encryption) = &self.encryption else { return exchange(client, answer) };
        let session = ServerConnection::new(encryption.clone()).map_err(io::Error::other)?;
        let mut client = StreamOwned::new(session, client);
        exchange(&mut client, answer)?;
        // Otherwise the client cannot know that this was all.
        client.conn.send_close_notify();
        client.flush()
    }
}

/// Whether an error is of one client, or of this moment.
fn is_passing(error: &io::Error) -> bool {
    let passing = [ErrorKind::WouldBlock, ErrorKind::Interrupted, ErrorKind::ConnectionAborted];
    passing.contains(&error.kind())
}

fn exchange(
    mut client: impl Read + Write,
    answer: impl Fn(&Request) -> Response,
) -> io::Result<()> {
    match Request::read(&mut client) {
        Ok(request) => answer(&request).send(&mut client, &request),
        Err(status) => Response::error(status).send(&mut client, &Request::default()),
    }
}

/// A client that has to have said everything at a deadline.
#[derive(Debug)]
struct Impatient {
    deadline: Instant,
    socket: TcpStream,
}

impl Read for Impatient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        self.socket.set_read_timeout(Some(left))?;
        self.socket.read(buffer)
    }
}

impl Write for Impatient {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.socket.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// Everybody who is connected.
#[derive(Debug, Default)]
struct Clients(Mutex<Connected>);

#[derive(Debug, Default)]
struct Connected {
    sockets: BTreeMap<u64, TcpStream>,
    next: u64,
}

/// A place among those who are served; free again when it is dropped.
#[derive(Debug)]
struct Place<'a> {
    clients: &'a Clients,
    number: u64,
    /// Whether there are enough others already.
    is_spare: bool,
}

impl Clients {
    fn lock(&self) -> MutexGuard<'_, Connected> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` if there are too many, or no descriptor is left.
    fn enter(&self, socket: &TcpStream) -> Option<Place<'_>> {
        let mut connected = self.lock();
        let is_spare = connected.sockets.len() >= MOST_CONNECTIONS;
        if connected.sockets.len() >= 2 * MOST_CONNECTIONS {
            return None;
        }
        let socket = socket.try_clone().ok()?;
        let number = connected.next;
        connected.next += 1;
        connected.sockets.insert(number, socket);
        Some(Place { clients: self, number, is_spare })
    }

    /// Nobody is listened to any more; answers still go out.
    fn hang_up(&self) {
        for socket in self.lock().sockets.values() {
            // It may have gone already.
            let _ = socket.shutdown(Shutdown::Read);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.clients.lock().sockets.remove(&self.number);
    }
}
