//! `ropewalk check`: verifies that an attachment is as it was made.

use clap::Args;
use serde_json::json;

use crate::failure::Failure;
use crate::options::RecordedOptions;
use crate::output::Output;

/// Verify that an attachment is still as it was made
///
/// Plugins get the arguments that are on record unless others are given.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    recorded: RecordedOptions,
}

pub(crate) fn run(options: &Options, output: Output) -> Result<(), Failure> {
    let (runtime, network, attachment) = options.recorded.find(output)?;
    let (id, ifname) = (&attachment.container_id, &attachment.ifname);
    let name = &options.recorded.network;
    runtime.check(&network.list, &attachment).map_err(|error| {
        let action = format!("check {ifname} of {id} on network {name:?}");
        Failure::of_runtime(&action, &error)
    })?;
    output.done(|| json!({ "network": name, "containerID": id, "ifname": ifname, "checked": true }))
}
