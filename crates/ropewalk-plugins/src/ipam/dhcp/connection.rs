//! One call of the daemon.

use ropewalk_linux::io_reason;
use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
};

use ropewalk_cni::CniError;
use ropewalk_dhcp::{
    gob::Value,
    rpc::{Arguments, Caller, HELLO, UNKNOWN_METHOD, WELCOME},
};

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CallError {
    /// The daemon does not have the method.
    UnknownMethod,
    /// Anything else, as it is told.
    Failed(String),
}

impl From<CallError> for CniError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::UnknownMethod => Self::internal("the DHCP daemon does not have the method"),
            CallError::Failed(message) => Self::internal(message),
        }
    }
}

/// A connection to the daemon.
pub(super) fn dial(socket: &Path) -> Result<UnixStream, CallError> {
    UnixStream::connect(socket).map_err(|error| {
        let (path, reason) = (socket.display(), io_reason(&error));
        CallError::Failed(format!("error dialing DHCP daemon: dial unix {path}: connect: {reason}"))
    })
}

/// Calls a method and answers its result.
pub(super) fn call(socket: &Path, method: &str, arguments: &Arguments) -> Result<Value, CallError> {
    let mut stream = dial(socket)?;
    let failed = |reason: &str| CallError::Failed(format!("error calling {method}: {reason}"));
    let mut exchange = || -> Result<[Value; 2], String> {
        let lost = |error: io::Error| io_reason(&error);
        stream.write_all(HELLO.as_bytes()).map_err(lost)?;
        read_welcome(&mut stream)?;
        let mut caller = Caller::default();
        stream.write_all(&caller.call(method, arguments)).map_err(lost)?;
        let mut next = || next_value(&mut stream, &mut caller);
        Ok([next()?, next()?])
    };
    let [response, result] = exchange().map_err(|reason| failed(&reason))?;
    match response.text("Error") {
        "" => Ok(result),
        error if error.starts_with(UNKNOWN_METHOD) => Err(CallError::UnknownMethod),
        error => Err(failed(error)),
    }
}

/// The daemon says nothing behind its welcome before it is called.
fn read_welcome(stream: &mut UnixStream) -> Result<(), String> {
    let mut welcome = vec![0; WELCOME.len()];
    stream.read_exact(&mut welcome).map_err(|error| io_reason(&error))?;
    if welcome == WELCOME.as_bytes() {
        return Ok(());
    }
    Err(format!("unexpected HTTP response: {}", String::from_utf8_lossy(&welcome).trim_end()))
}

fn next_value(stream: &mut UnixStream, caller: &mut Caller) -> Result<Value, String> {
    let mut buffer = [0; 4096];
    loop {
        if let Some(value) = caller.next_value().map_err(|error| error.to_string())? {
            return Ok(value);
        }
        match stream.read(&mut buffer) {
            Ok(0) => return Err("unexpected EOF".to_owned()),
            Ok(length) => caller.push(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(io_reason(&error)),
        }
    }
}
