//! Statistics over HTTP, for those who collect them.
//!
//! It must never listen where others reach it unless somebody has said so: what it tells is who
//! runs here, and how busy they are.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::switches::{self, Switches};
use super::{Options, openmetrics, waiting_failed};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::http::{Request, Response, Server, Stop};
use crate::output::Output;

/// How long switches are believed before they are listened for again.
const BELIEVED: Duration = Duration::from_mins(1);

pub(super) fn run(address: SocketAddr, options: &Options, output: Output) -> Result<(), Failure> {
    if !address.ip().is_loopback() && !options.expose {
        let text = format!(
            "failed to serve at {address}: whoever reaches it could read which containers there \
             are, whose they are, and how busy, without a password"
        );
        let failure = Failure::new(Exit::Usage, text);
        return Err(failure.with_hint("use 127.0.0.1 or [::1], or give --expose"));
    }
    let failed = |error| Failure::failed(format!("failed to serve at {address}: {error}"));
    let stop = Stop::at_signals().map_err(|error| waiting_failed(&error))?;
    let server = Server::bind(address).map_err(failed)?;
    let address = server.address().map_err(failed)?;
    output.progress(&format!("http://{address}/metrics"))?;
    // Looks wait for each other, so that no number of readers makes the host busy.
    let switches = Mutex::new(Switches::new());
    let answer = |request: &Request| answer(request, options, &switches, output);
    std::thread::scope(|scope| {
        if let Some(seconds) = options.lldp {
            let (switches, stop) = (&switches, &stop);
            scope.spawn(move || listen(seconds, options, switches, stop, output));
        }
        server.serve(&stop, &answer).map_err(failed)
    })
}

fn answer(
    request: &Request,
    options: &Options,
    switches: &Mutex<Switches>,
    output: Output,
) -> Response {
    if request.path != "/metrics" {
        return Response::refusal(404, "statistics are at /metrics");
    }
    let switches = switches.lock().unwrap_or_else(PoisonError::into_inner);
    match options.read(output, Some(&switches)) {
        Ok(traffic) => Response::new(openmetrics::TYPE, openmetrics::text(&traffic).into_bytes()),
        Err(failure) => {
            output.warn(&failure.to_string());
            Response::error(500)
        }
    }
}

/// Listens for switches from time to time, until the command is stopped.
fn listen(seconds: u32, options: &Options, known: &Mutex<Switches>, stop: &Stop, output: Output) {
    loop {
        let heard = options.read(output, None).and_then(|all| switches::hear(&all, seconds, stop));
        match heard {
            Ok(heard) => *known.lock().unwrap_or_else(PoisonError::into_inner) = heard,
            Err(failure) => output.warn(&failure.to_string()),
        }
        // If waiting fails, nothing is learned any more; what is known stays.
        if stop.is_told_within(BELIEVED).unwrap_or(true) {
            return;
        }
    }
}
