//! `ropewalk del`: detaches a container from a network.

use clap::Args;
use serde_json::json;

use crate::failure::Failure;
use crate::options::RecordedOptions;
use crate::output::Output;

/// Detach a network namespace from a network
///
/// The namespace may be gone. Every plugin is asked even if one fails. Plugins get the arguments
/// that are on record unless others are given. Detaching twice is no failure.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    recorded: RecordedOptions,
}

pub(crate) fn run(options: &Options, output: Output) -> Result<(), Failure> {
    let (runtime, network, attachment) = options.recorded.find(output)?;
    let (id, ifname) = (&attachment.container_id, &attachment.ifname);
    let name = &options.recorded.network;
    runtime.del(&network.list, &attachment).map_err(|error| {
        let action = format!("delete {ifname} of {id} from network {name:?}");
        Failure::of_runtime(&action, &error)
    })?;
    output.done(|| json!({ "network": name, "containerID": id, "ifname": ifname, "deleted": true }))
}
