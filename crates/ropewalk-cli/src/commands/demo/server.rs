//! The process of a namespace: it tells everybody who connects who it is and whom it sees.

use std::io::Write;
use std::net::{Ipv6Addr, TcpListener};

use super::stage::PORT;
use crate::failure::Failure;
use crate::output::Output;

/// Serves until it is killed.
pub(crate) fn serve(name: &str, output: Output) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::failed(format!("failed to serve: {error}"));
    // The unspecified IPv6 address serves IPv4 too.
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, PORT)).map_err(failed)?;
    output.raw(b"ready\n")?;
    for connection in listener.incoming() {
        let mut connection = connection.map_err(failed)?;
        let peer = connection.peer_addr().map_err(failed)?.ip().to_canonical();
        // A client that does not wait for the answer has it no worse than we.
        let _ = connection.write_all(format!("{name} sees {peer}").as_bytes());
    }
    Ok(())
}
