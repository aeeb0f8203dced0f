//! `ropewalk gc`: deletes what belongs to attachments that are not valid any more.

use std::path::PathBuf;

use clap::Args;
use ropewalk_cni::AttachmentId;
use ropewalk_runtime::ValidSet;
use serde_json::json;

use crate::failure::Failure;
use crate::options::RuntimeOptions;
use crate::output::Output;

/// Delete what belongs to attachments that are not valid any more
///
/// Without options, every attachment of the network that is on record is deleted, and plugins keep
/// what they made for attachments that are not on record. With --valid, --recorded or --none,
/// plugins also remove what belongs to nobody.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Name of the network
    network: String,

    /// Ignored; cnitool wants it
    #[arg(hide = true)]
    netns: Option<PathBuf>,

    /// An attachment that is valid; may be given several times
    #[arg(long, value_name = "ID/IFNAME", value_parser = attachment_id)]
    valid: Vec<AttachmentId>,

    /// Exactly the attachments on record are valid
    #[arg(long, conflicts_with_all = ["valid", "none"])]
    recorded: bool,

    /// No attachment is valid
    #[arg(long, conflicts_with = "valid")]
    none: bool,

    #[command(flatten)]
    runtime: RuntimeOptions,
}

pub(crate) fn run(options: Options, output: Output) -> Result<(), Failure> {
    let runtime = options.runtime.runtime();
    let network = options.runtime.config.network(&options.network, output)?;
    let failed = |error: &_| {
        Failure::of_runtime(&format!("collect garbage of network {:?}", options.network), error)
    };
    let valid = if options.recorded {
        ValidSet::Exactly(runtime.recorded(&network.list).map_err(|error| failed(&error))?)
    } else if options.none || !options.valid.is_empty() {
        ValidSet::Exactly(options.valid)
    } else {
        ValidSet::Unspecified
    };
    let deleted = runtime.gc(&network.list, &valid).map_err(|error| failed(&error))?;
    output.done(|| {
        let deleted: Vec<_> = deleted.iter().map(AttachmentId::to_value).collect();
        json!({ "network": options.network, "deleted": deleted })
    })
}

fn attachment_id(text: &str) -> Result<AttachmentId, String> {
    match text.split_once('/') {
        Some((id, ifname)) if !id.is_empty() && !ifname.is_empty() => {
            Ok(AttachmentId { container_id: id.to_owned(), ifname: ifname.to_owned() })
        }
        _ => Err("expected a container id, a slash, and an interface name".to_owned()),
    }
}
