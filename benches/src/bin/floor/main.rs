//! The least that a container costs: a stand-in for the plugins `bridge`, `ptp`, `macvlan`,
//! `portmap`, `firewall` and `tuning` that sends only the messages the work needs. The benchmarks
//! measure plugins against it.
//!
//! It is no plugin to use: it believes its input, knows IPv4 alone, undoes nothing, and answers
//! in one version. It must never send a message that the container would work without.

mod bridge;
mod chained;
mod interface;
mod leases;
mod link;
mod macvlan;
mod message;
mod nft;
mod ptp;
mod request;
mod sandbox;
mod socket;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use request::{Request, Verb};

/// What went wrong, for the person who reads the benchmark's errors.
type Outcome<T> = Result<T, String>;

/// Completes an error of the system with what was tried.
fn failed<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> String {
    move |error| format!("{what}: {error}")
}

fn main() -> ExitCode {
    let (answer, code) = match Request::read().and_then(|request| run(&request)) {
        Ok(answer) => (answer, ExitCode::SUCCESS),
        Err(message) => {
            let answer = format!(r#"{{"cniVersion":"1.0.0","code":100,"msg":{message:?}}}"#);
            (answer, ExitCode::FAILURE)
        }
    };
    // A reader that has gone misses nothing.
    let _ = io::stdout().write_all(answer.as_bytes());
    code
}

/// Runs a verb; the answer is what to print.
fn run(request: &Request) -> Outcome<String> {
    if request.verb == Verb::Version {
        return Ok(r#"{"cniVersion":"1.0.0","supportedVersions":["1.0.0"]}"#.to_owned());
    }
    match request.plugin.as_str() {
        "bridge" => interface::run(request, bridge::add, bridge::check),
        "ptp" => interface::run(request, ptp::add, ptp::check),
        "macvlan" => interface::run(request, macvlan::add, |_, _| Ok(())),
        "portmap" => chained::portmap(request),
        "firewall" => chained::firewall(request),
        "tuning" => chained::tuning(request),
        other => Err(format!("there is no floor for {other}")),
    }
}
