//! A connection to the system bus on which one call at a time is made.

use std::{
    env,
    io::{self, Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    path::Path,
    time::{Duration, Instant},
};

use ropewalk_netstate::KernelError;
use rustix::{
    io::Errno,
    net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType,
        sockopt::{self, Timeout},
    },
};

use super::{
    address,
    message::{self, Activation, FIXED, Incoming, MethodCall, Reply},
};
use crate::error::{error, error_about, error_with, io_error, is};

/// How long the bus may take to let us in.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest line that is read in an authentication, which is `OK` and 32 digits, and the
/// longest that is quoted of an error.
const LONGEST_LINE: usize = 512;

/// Why a call brought no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallError {
    /// There is no bus, or it has gone.
    Gone(KernelError),
    /// No answer in time, or one that makes no sense.
    Failed(KernelError),
    /// The answer is an error.
    Refused {
        /// Its name, as in `org.freedesktop.DBus.Error.ServiceUnknown`.
        name: String,
        /// What is said about it.
        text: String,
    },
}

impl From<CallError> for KernelError {
    fn from(failure: CallError) -> Self {
        match failure {
            CallError::Gone(error) | CallError::Failed(error) => error,
            // What follows the first line is for programmers: rule sets, stack traces.
            CallError::Refused { name, text } => {
                let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or(&name);
                error(line.chars().take(LONGEST_LINE).collect::<String>())
            }
        }
    }
}

/// A connection. After anything but an answer it is of no use any more.
#[derive(Debug)]
pub(crate) struct Bus {
    stream: UnixStream,
    serial: u32,
}

impl Bus {
    /// Connects to the system bus as the user that this process runs as.
    pub(crate) fn connect() -> Result<Self, CallError> {
        let mut first = None;
        let variable = env::var_os("DBUS_SYSTEM_BUS_ADDRESS");
        for socket in address::sockets(variable.as_deref()) {
            match dial(&socket) {
                Ok(stream) => return Self::enter(stream, PATIENCE),
                Err(failure) => drop(first.get_or_insert(failure)),
            }
        }
        Err(CallError::Gone(first.unwrap_or_else(|| {
            let address = variable.unwrap_or_default();
            error(format!("DBUS_SYSTEM_BUS_ADDRESS names no socket: {}", address.display()))
        })))
    }

    /// Says who we are and asks for a name of our own, without which a bus passes nothing on.
    pub(super) fn enter(stream: UnixStream, patience: Duration) -> Result<Self, CallError> {
        let mut bus = Self { stream, serial: 0 };
        let deadline = Instant::now() + patience;
        // The number of the user, its decimal digits in hexadecimal.
        let user = rustix::process::geteuid().as_raw().to_string();
        let user: String = user.chars().flat_map(|digit| ['3', digit]).collect();
        bus.send(format!("\0AUTH EXTERNAL {user}\r\n").as_bytes(), deadline)?;
        let answer = bus.line(deadline)?;
        if !answer.starts_with("OK ") {
            let text = format!("the system bus refused the authentication: {answer:?}");
            return Err(CallError::Failed(error_with(Errno::ACCESS, text)));
        }
        bus.send(b"BEGIN\r\n", deadline)?;
        let hello = MethodCall {
            destination: "org.freedesktop.DBus",
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            member: "Hello",
            arguments: &[],
            activation: Activation::Leave,
        };
        bus.call(&hello, patience)?;
        Ok(bus)
    }

    /// Makes a call and waits for its answer.
    pub(crate) fn call(
        &mut self,
        call: &MethodCall<'_>,
        patience: Duration,
    ) -> Result<Reply, CallError> {
        if !call.is_sendable() {
            let text = format!("{}: an argument is no text that D-Bus can carry", call.member);
            return Err(CallError::Failed(error_with(Errno::INVAL, text)));
        }
        let deadline = Instant::now() + patience;
        self.serial += 1;
        let own = self.serial;
        self.send(&call.encode(own), deadline)?;
        loop {
            match self.receive(deadline)? {
                Incoming::Returned { serial, reply } if serial == own => return Ok(reply),
                Incoming::Refused { serial, name, text } if serial == own => {
                    return Err(CallError::Refused { name, text });
                }
                // Signals, and answers to calls that were given up.
                Incoming::Returned { .. } | Incoming::Refused { .. } | Incoming::Other => {}
            }
        }
    }

    fn receive(&mut self, deadline: Instant) -> Result<Incoming, CallError> {
        let nonsense = || CallError::Failed(error("the system bus sent a malformed message"));
        let mut fixed = [0; FIXED];
        self.fill(&mut fixed, deadline)?;
        let length = message::length(&fixed).ok_or_else(nonsense)?;
        let mut whole = vec![0; length];
        whole[..FIXED].copy_from_slice(&fixed);
        self.fill(&mut whole[FIXED..], deadline)?;
        message::decode(&whole).ok_or_else(nonsense)
    }

    /// A line of the authentication; the other side says nothing behind it before we do.
    fn line(&mut self, deadline: Instant) -> Result<String, CallError> {
        let mut line = Vec::new();
        while line.len() < LONGEST_LINE {
            let mut byte = [0];
            self.fill(&mut byte, deadline)?;
            if byte == *b"\n" {
                break;
            }
            line.extend(byte);
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    fn fill(&mut self, mut buffer: &mut [u8], deadline: Instant) -> Result<(), CallError> {
        while !buffer.is_empty() {
            self.stream.set_read_timeout(Some(left(deadline)?)).map_err(|e| broken(&e))?;
            match self.stream.read(buffer) {
                Ok(0) => {
                    return Err(CallError::Gone(error("the system bus closed the connection")));
                }
                Ok(count) => buffer = &mut buffer[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(broken(&error)),
            }
        }
        Ok(())
    }

    fn send(&mut self, mut bytes: &[u8], deadline: Instant) -> Result<(), CallError> {
        while !bytes.is_empty() {
            self.stream.set_write_timeout(Some(left(deadline)?)).map_err(|e| broken(&e))?;
            match self.stream.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(broken(&error)),
            }
        }
        Ok(())
    }
}

/// Connects to a socket; a bus that accepts nobody any more does not hold us up.
fn dial(socket: &Path) -> Result<UnixStream, KernelError> {
    let about = |errno| error_about(errno, &format!("dial unix {}: connect", socket.display()));
    let flags = SocketFlags::CLOEXEC;
    let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .map_err(about)?;
    sockopt::set_socket_timeout(fd.as_fd(), Timeout::Send, Some(PATIENCE)).map_err(about)?;
    let address = SocketAddrUnix::new(socket).map_err(about)?;
    rustix::net::connect(&fd, &address).map_err(about)?;
    Ok(fd.into())
}

/// The time until a deadline.
fn left(deadline: Instant) -> Result<Duration, CallError> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(late()) } else { Ok(left.max(Duration::from_millis(1))) }
}

fn late() -> CallError {
    CallError::Failed(error_with(Errno::TIMEDOUT, "no answer on the system bus in time"))
}

fn broken(failure: &io::Error) -> CallError {
    let failure = io_error(failure, "system bus");
    let is_any = |errnos: &[Errno]| errnos.iter().any(|errno| is(&failure, *errno));
    if is_any(&[Errno::AGAIN]) {
        return late();
    }
    if is_any(&[Errno::PIPE, Errno::CONNRESET, Errno::NOTCONN]) {
        return CallError::Gone(failure);
    }
    CallError::Failed(failure)
}
