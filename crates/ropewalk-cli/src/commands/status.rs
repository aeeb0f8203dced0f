//! `ropewalk status`: says whether a network could take another container.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::failure::Failure;
use crate::options::RuntimeOptions;
use crate::output::Output;

/// Say whether a network could take another container
///
/// Networks of a version older than 1.1.0 cannot be asked and count as ready.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Name of the network
    network: String,

    /// Ignored; cnitool wants it
    #[arg(hide = true)]
    netns: Option<PathBuf>,

    #[command(flatten)]
    runtime: RuntimeOptions,
}

pub(crate) fn run(options: &Options, output: Output) -> Result<(), Failure> {
    let network = options.runtime.config.network(&options.network, output)?;
    options.runtime.runtime().status(&network.list).map_err(|error| {
        Failure::of_runtime(&format!("get ready for network {:?}", options.network), &error)
    })?;
    output.done(|| json!({ "network": options.network, "ready": true }))
}
