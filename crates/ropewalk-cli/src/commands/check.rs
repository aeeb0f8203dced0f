//! `ropewalk check`: verifies that an attachment is as it was made.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::failure::Failure;
use crate::options::{AttachmentOptions, RuntimeOptions};
use crate::output::Output;

/// Verify that an attachment is still as it was made
///
/// Plugins get the arguments that are on record unless others are given.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Name of the network
    network: String,

    /// Path of the network namespace [default: what is on record for the container id]
    #[arg(required_unless_present = "container_id")]
    netns: Option<PathBuf>,

    #[command(flatten)]
    attachment: AttachmentOptions,

    #[command(flatten)]
    runtime: RuntimeOptions,
}

pub(crate) fn run(options: &Options, output: Output) -> Result<(), Failure> {
    let runtime = options.runtime.runtime();
    options.attachment.attachment(options.netns.as_deref())?;
    let network = options.runtime.config.network(&options.network, output)?;
    let netns = options.netns.as_deref();
    let attachment = options.attachment.recorded_attachment(netns, &network, &runtime)?;
    let (id, ifname) = (&attachment.container_id, &attachment.ifname);
    runtime.check(&network.list, &attachment).map_err(|error| {
        let action = format!("check {ifname} of {id} on network {:?}", options.network);
        Failure::of_runtime(&action, &error)
    })?;
    output.done(|| {
        json!({ "network": options.network, "containerID": id, "ifname": ifname, "checked": true })
    })
}
