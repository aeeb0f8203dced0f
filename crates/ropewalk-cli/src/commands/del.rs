//! `ropewalk del`: detaches a container from a network.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::failure::Failure;
use crate::options::{AttachmentOptions, RuntimeOptions};
use crate::output::Output;

/// Detach a network namespace from a network
///
/// The namespace may be gone. Every plugin is asked even if one fails. Plugins get the arguments
/// that are on record unless others are given. Detaching twice is no failure.
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
    runtime.del(&network.list, &attachment).map_err(|error| {
        let action = format!("delete {ifname} of {id} from network {:?}", options.network);
        Failure::of_runtime(&action, &error)
    })?;
    output.done(|| {
        json!({ "network": options.network, "containerID": id, "ifname": ifname, "deleted": true })
    })
}
