//! `ropewalk add`: attaches a container to a network and prints the result.

use std::path::PathBuf;

use clap::Args;
use ropewalk_cni::{CniResult, NetworkList, Version};

use crate::failure::Failure;
use crate::options::{AttachmentOptions, RuntimeOptions, netns_hint};
use crate::output::Output;

/// Attach a network namespace to a network, and print the result
///
/// Nothing is left behind when a plugin fails, unless the attachment is on record already.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Name of the network
    network: String,

    /// Path of the network namespace
    netns: PathBuf,

    #[command(flatten)]
    attachment: AttachmentOptions,

    #[command(flatten)]
    runtime: RuntimeOptions,
}

pub(crate) fn run(options: &Options, output: Output) -> Result<(), Failure> {
    let attachment = options.attachment.attachment(Some(&options.netns))?;
    let network = options.runtime.config.network(&options.network, output)?;
    let result = options.runtime.runtime().add(&network.list, &attachment).map_err(|error| {
        let (id, ifname) = (&attachment.container_id, &attachment.ifname);
        let action = format!("add {ifname} of {id} to network {:?}", options.network);
        let failure = Failure::of_runtime(&action, &error);
        match netns_hint(&options.netns) {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    })?;
    output.raw(as_text(&network.list, &result)?.as_bytes())
}

/// The result as plugins print it: four blanks of indentation and no newline at the end.
fn as_text(list: &NetworkList, result: &CniResult) -> Result<String, Failure> {
    let version = Version::parse(&list.cni_version).unwrap_or(Version::NEWEST);
    result.to_json(version).map_err(|error| Failure::failed(format!("failed to print: {error}")))
}
