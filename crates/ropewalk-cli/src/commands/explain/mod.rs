//! `ropewalk explain`: where a packet would go, and what would become of it.
//!
//! It only reads, unless a probe is asked for; a probe leaves nothing.

mod ends;
mod json;
mod probe;
mod text;

use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use ropewalk_linux::survey::{Depth, Selection, survey};
use ropewalk_topology::explain::{From, ICMP, ICMPV6, Outcome, Question, TCP, Trace, UDP, explain};
use ropewalk_topology::model::Host;
use serde_json::Value;

use crate::commands::topology;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::options::{CacheOptions, seconds};
use crate::output::Output;

use self::ends::{Place, Version};
pub(crate) use self::json::document;

/// Tell where a packet would go, hop by hop, and what would become of it
///
/// SRC and DST are containers (numbers or names), pods, attachments (NETWORK/CONTAINER), network
/// namespaces (names, paths or inodes), processes, addresses, or "host".
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Who sends
    #[arg(value_name = "SRC")]
    source: String,

    /// To whom
    #[arg(value_name = "DST")]
    destination: String,

    /// The port, as 80 or 53/udp; without one it is an echo request, as ping sends
    #[arg(value_name = "PORT/PROTO", value_parser = service)]
    service: Option<Service>,

    /// Use IPv4 where there is a choice
    #[arg(short = '4', long = "ipv4", conflicts_with = "six")]
    four: bool,

    /// Use IPv6 where there is a choice
    #[arg(short = '6', long = "ipv6")]
    six: bool,

    /// The port it comes from, if a rule asks for it
    #[arg(long, value_name = "PORT")]
    source_port: Option<u16>,

    /// Read only the own namespace and these, which is quicker: names, paths, process or container
    /// numbers
    #[arg(long, value_name = "NAMESPACE")]
    only: Vec<String>,

    /// Send a real packet too, and tell whether it fares the same
    #[arg(long)]
    probe: bool,

    /// How long the probe waits for an answer
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    deadline: Duration,

    #[command(flatten)]
    cache: CacheOptions,
}

/// A protocol and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Service {
    protocol: Protocol,
    port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Tcp,
    Udp,
    Echo,
}

impl Service {
    const ECHO: Self = Self { protocol: Protocol::Echo, port: 0 };

    fn number(self, is_v6: bool) -> u8 {
        match self.protocol {
            Protocol::Tcp => TCP,
            Protocol::Udp => UDP,
            Protocol::Echo if is_v6 => ICMPV6,
            Protocol::Echo => ICMP,
        }
    }
}

fn service(text: &str) -> Result<Service, String> {
    let (port, protocol) = match text.split_once('/') {
        None if matches!(text, "icmp" | "ping") => return Ok(Service::ECHO),
        None => (text, Protocol::Tcp),
        Some((port, "tcp")) => (port, Protocol::Tcp),
        Some((port, "udp")) => (port, Protocol::Udp),
        Some((_, other)) => return Err(format!("{other:?} is not tcp or udp")),
    };
    match port.parse() {
        Ok(port) if port > 0 => Ok(Service { protocol, port }),
        _ => Err(format!("{port:?} is not a port: a number from 1 to 65535, or icmp")),
    }
}

pub(crate) fn run(options: &Options, output: Output) -> Result<ExitCode, Failure> {
    let selection = match options.only.as_slice() {
        [] => Selection::All,
        names => Selection::Named(names.to_vec()),
    };
    let mut host = survey(Depth::WithoutConnections, &selection).host;
    if host.namespaces.is_empty() {
        let reason = "failed to find a network namespace: /proc is not mounted or not readable";
        return Err(Failure::failed(reason));
    }
    topology::names::add(&mut host, &options.cache, output);
    let ends = (options.source.as_str(), options.destination.as_str());
    let service = options.service.unwrap_or(Service::ECHO);
    let question = question(&host, ends, service, options.version())?;
    let question = Question { source_port: options.source_port, ..question };
    let trace = explain(&host, &question);
    let title = text::Title { source: &options.source, destination: &options.destination };
    let report = options.probe.then(|| probe::run(&host, &question, &trace, options.deadline));
    let report = report.transpose()?;
    output.coloured(
        |has_colours| text::render(&host, &trace, report.as_ref(), title, has_colours),
        || whole(&host, &trace, report.as_ref()),
    )?;
    Ok(exit(trace.outcome, report.as_ref()).into())
}

fn whole(host: &Host, trace: &Trace, report: Option<&probe::Report>) -> Value {
    let mut value = document(host, trace);
    if let Some(report) = report {
        value["probe"] = report.to_json(host);
    }
    value
}

fn exit(outcome: Outcome, report: Option<&probe::Report>) -> Exit {
    if report.and_then(probe::Report::agrees) == Some(false) {
        return Exit::ProbeDiffers;
    }
    match outcome {
        Outcome::Passes | Outcome::Leaves => Exit::Ok,
        Outcome::NoAnswer | Outcome::Stopped | Outcome::CannotTell => Exit::DoesNotPass,
    }
}

impl Options {
    fn version(&self) -> Version {
        match (self.four, self.six) {
            (true, _) => Version::Four,
            (_, true) => Version::Six,
            _ => Version::Any,
        }
    }
}

/// What becomes of a packet between two ends that somebody has named, for who asks otherwise than by
/// a command line. Without a port it is an echo request.
pub(crate) fn answer(host: &Host, ends: (&str, &str), port: &str) -> Result<Value, Failure> {
    let service = match port {
        "" => Service::ECHO,
        port => service(port).map_err(|reason| not_explained(&reason))?,
    };
    let question = question(host, ends, service, Version::Any)?;
    Ok(document(host, &explain(host, &question)))
}

/// What is asked, in the host's own terms.
fn question(
    host: &Host,
    (source, destination): (&str, &str),
    service: Service,
    version: Version,
) -> Result<Question, Failure> {
    let (source, destination) = (ends::find(host, source)?, ends::find(host, destination)?);
    let address = ends::destination(host, &source, &destination, version)
        .map_err(|reason| not_explained(&reason))?;
    Ok(Question {
        from: from(host, &source, address).map_err(|reason| not_explained(&reason))?,
        destination: address,
        protocol: service.number(address.is_ipv6()),
        port: service.port,
        source_port: None,
    })
}

fn not_explained(reason: &str) -> Failure {
    Failure::new(Exit::NotFound, format!("failed to explain: {reason}"))
}

/// Where the packet comes from.
fn from(host: &Host, source: &Place, to: IpAddr) -> Result<From, String> {
    match source {
        Place::Namespace { position, .. } => {
            Ok(From::Inside { namespace: *position, address: None })
        }
        Place::Address(ip) if ip.is_ipv6() != to.is_ipv6() => {
            Err(format!("{ip} and {to} are of two versions of IP"))
        }
        Place::Address(ip) => match ends::owner(host, *ip) {
            Some(namespace) => Ok(From::Inside { namespace, address: Some(*ip) }),
            None => match ropewalk_topology::explain::entry(host, 0, *ip) {
                Some(at) => Ok(From::Outside { at, address: *ip }),
                None => Err(format!("nobody here has {ip}, and no route leads there")),
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_ports_with_a_protocol() {
        let is = |protocol, port| Ok(Service { protocol, port });
        assert_eq!(service("80"), is(Protocol::Tcp, 80));
        assert_eq!(service("80/tcp"), is(Protocol::Tcp, 80));
        assert_eq!(service("53/udp"), is(Protocol::Udp, 53));
        assert_eq!(service("icmp"), Ok(Service::ECHO));
        for wrong in ["0", "65536", "80/sctp", "http", "", "/tcp", "-1"] {
            assert!(service(wrong).is_err(), "{wrong}");
        }
    }
}
