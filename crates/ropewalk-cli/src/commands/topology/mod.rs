//! `ropewalk topology`: the host's whole network, whoever made it.
//!
//! It only reads. What cannot be read is said in its place.

mod json;
pub(crate) mod names;

use clap::Args;
use ropewalk_linux::survey::{Depth, Selection, Survey, survey};
use ropewalk_topology::draw;

use crate::commands::stats::switches;
use crate::failure::Failure;
use crate::http::Stop;
use crate::options::CacheOptions;
use crate::output::Output;

/// Show the network of this host: namespaces, bridges, pairs, and who is behind them
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Read only this namespace and these: names, paths, process or container numbers
    #[arg(value_name = "NAMESPACE")]
    namespaces: Vec<String>,

    /// Write a graph for Graphviz
    #[arg(long, conflicts_with_all = ["svg", "json"])]
    dot: bool,

    /// Write a picture
    #[arg(long, conflicts_with = "json")]
    svg: bool,

    /// Read tracked connections too, of which there may be very many; only JSON tells them
    #[arg(long)]
    connections: bool,

    /// Listen so many seconds for the switches at the other ends of wires (LLDP); they speak every
    /// 30 seconds
    #[arg(long, value_name = "SECONDS")]
    lldp: Option<u32>,

    #[command(flatten)]
    cache: CacheOptions,
}

pub(crate) fn run(options: &Options, output: Output) -> Result<(), Failure> {
    let depth = if options.connections { Depth::Everything } else { Depth::WithoutConnections };
    let selection = match options.namespaces.as_slice() {
        [] => Selection::All,
        names => Selection::Named(names.to_vec()),
    };
    let Survey { mut host, unknown } = survey(depth, &selection);
    for name in unknown {
        output.warn(&format!("no network namespace is called {name:?}"));
    }
    if host.namespaces.is_empty() {
        let reason = "failed to find a network namespace: /proc is not mounted or not readable";
        return Err(Failure::failed(reason));
    }
    names::add(&mut host, &options.cache, output);
    if let Some(seconds) = options.lldp {
        let failed = |error| Failure::failed(format!("failed to wait for signals: {error}"));
        let stop = Stop::at_signals().map_err(failed)?;
        let heard = switches::hear_of(&host, seconds, &stop)?;
        switches::put(&mut host, &heard);
    }
    if options.dot {
        return output.text(&draw::dot(&host));
    }
    if options.svg {
        return output.text(&draw::svg(&host));
    }
    output.answer(|| draw::tree(&host), || json::document(&host))
}
