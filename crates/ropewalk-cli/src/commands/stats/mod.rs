//! `ropewalk stats`: what passed the interfaces of containers, and which links carry it.
//!
//! It only reads. What it serves is for this host alone unless somebody says otherwise.

mod json;
mod openmetrics;
mod rates;
mod serve;
pub(crate) mod switches;
mod text;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use ropewalk_linux::survey::{Depth, Selection, survey, why_no_connections};
use ropewalk_topology::model::Host;
use ropewalk_topology::traffic::{Sum, Traffic, summed, traffic};
use serde_json::Value;

use self::switches::Switches;
use crate::commands::topology::names;
use crate::failure::Failure;
use crate::http::Stop;
use crate::options::CacheOptions;
use crate::output::Output;

/// Show what passed the interfaces of containers, and which links of the host carry it
///
/// All is told as the container sees it: "received" is what came to the container, which the host's
/// end of a pair counts as sent. Uplinks are told as the host sees them. Of drops the larger count
/// of both ends is told, since the kernel counts some at both.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Add up by this
    #[arg(long, value_enum, default_value = "interface")]
    by: By,

    /// Count tracked connections too, of which there may be very many
    #[arg(long)]
    connections: bool,

    /// Show what passes in a second, every so many seconds until the command is stopped
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    interval: Option<u32>,

    /// Stop after so many intervals
    #[arg(long, value_name = "NUMBER", requires = "interval", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,

    /// Listen so many seconds for the switches at the other ends of uplinks (LLDP); they speak
    /// every 30 seconds
    #[arg(long, value_name = "SECONDS")]
    lldp: Option<u32>,

    /// Print OpenMetrics text
    #[arg(long, conflicts_with_all = ["json", "interval", "by"])]
    openmetrics: bool,

    /// Serve OpenMetrics text over HTTP, below /metrics, at an address and port of this host
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with_all = ["openmetrics", "interval", "by"])]
    serve: Option<SocketAddr>,

    /// Serve at an address that others reach, too
    #[arg(long, requires = "serve")]
    expose: bool,

    #[command(flatten)]
    cache: CacheOptions,
}

/// What is added up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    /// Each interface alone
    Interface,
    /// Containers
    Container,
    /// Networks
    Network,
    /// Namespaces in Kubernetes
    Namespace,
    /// Pods
    Pod,
    /// Who started it: containers' names, systemd units, commands
    Owner,
}

impl By {
    fn sum(self) -> Sum {
        match self {
            Self::Interface => Sum::Interface,
            Self::Container => Sum::Container,
            Self::Network => Sum::Network,
            Self::Namespace => Sum::Namespace,
            Self::Pod => Sum::Pod,
            Self::Owner => Sum::Owner,
        }
    }
}

/// What passed the interfaces of a host's containers.
pub(crate) fn document(host: &Host) -> Value {
    json::document(&traffic(host))
}

pub(crate) fn run(options: &Options, output: Output) -> Result<(), Failure> {
    if let Some(reason) = why_no_connections().filter(|_| options.connections) {
        output.warn(&format!("failed to list tracked connections: {reason}"));
    }
    if let Some(address) = options.serve {
        return serve::run(address, options, output);
    }
    // What does not wait is best ended by the signals themselves.
    let stop = match (options.lldp, options.interval) {
        (None, None) => Stop::new(),
        _ => Stop::at_signals(),
    };
    let stop = stop.map_err(|error| waiting_failed(&error))?;
    let switches = match options.lldp {
        Some(seconds) => switches::hear(&options.read(output, None)?, seconds, &stop)?,
        None => Switches::new(),
    };
    let first = options.read(output, Some(&switches))?;
    if options.openmetrics {
        return output.text(&openmetrics::text(&first));
    }
    let Some(interval) = options.interval else {
        return output.answer(|| text::report(&first), || json::document(&first));
    };
    repeat(options, Duration::from_secs(interval.into()), first, (&switches, &stop), output)
}

/// Shows rates again and again. Intervals are counted from the first look, so that they do not grow
/// by what looking takes.
fn repeat(
    options: &Options,
    interval: Duration,
    first: Traffic,
    (switches, stop): (&Switches, &Stop),
    output: Output,
) -> Result<(), Failure> {
    let (mut then, mut past) = (Instant::now(), first);
    let mut next = then + interval;
    let mut left = options.count;
    while left != Some(0) {
        let time = next.saturating_duration_since(Instant::now());
        if stop.is_told_within(time).map_err(|error| waiting_failed(&error))? {
            break;
        }
        let now = Instant::now();
        let current = options.read(output, Some(switches))?;
        let rates = rates::between(&past, &current, now.duration_since(then));
        if output.is_json() {
            output.line(&json::rates(&rates))?;
        } else {
            output.text(&format!("{}\n", text::rates(&rates)))?;
        }
        (past, then) = (current, now);
        next = (next + interval).max(Instant::now());
        left = left.map(|left| left - 1);
    }
    Ok(())
}

fn waiting_failed(error: &std::io::Error) -> Failure {
    Failure::failed(format!("failed to wait: {error}"))
}

impl Options {
    /// Looks at what has passed until now.
    fn read(&self, output: Output, switches: Option<&Switches>) -> Result<Traffic, Failure> {
        let depth = if self.connections { Depth::CountersAndConnections } else { Depth::Counters };
        let mut host = survey(depth, &Selection::All).host;
        if host.namespaces.is_empty() {
            let reason = "failed to find a network namespace: /proc is not mounted or not readable";
            return Err(Failure::failed(reason));
        }
        names::add(&mut host, &self.cache, output);
        if let Some(switches) = switches {
            switches::put(&mut host, switches);
        }
        let mut traffic = traffic(&host);
        traffic.rows = summed(&traffic.rows, self.by.sum());
        Ok(traffic)
    }
}
