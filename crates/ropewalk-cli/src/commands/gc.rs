//! `ropewalk gc`: deletes what belongs to attachments that are not valid any more.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

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
/// plugins also remove what belongs to nobody. ADD and DEL of the network by this command wait
/// meanwhile; those by other runtimes do not, which is what --as-of is for.
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

    /// When the list of valid attachments was taken, in seconds since 1970; keep what is newer
    #[arg(long, value_name = "SECONDS", requires = "valid", value_parser = moment)]
    as_of: Option<SystemTime>,

    #[command(flatten)]
    runtime: RuntimeOptions,
}

pub(crate) fn run(options: Options, output: Output) -> Result<(), Failure> {
    let runtime = options.runtime.runtime();
    let network = options.runtime.config.network(&options.network, output)?;
    let valid = match options.as_of {
        Some(moment) => ValidSet::AsOf(options.valid, moment),
        None if options.recorded => ValidSet::Recorded,
        None if options.none || !options.valid.is_empty() => ValidSet::Exactly(options.valid),
        None => ValidSet::Unspecified,
    };
    let deleted = runtime.gc(&network.list, &valid).map_err(|error| {
        Failure::of_runtime(&format!("collect garbage of network {:?}", options.network), &error)
    })?;
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

fn moment(text: &str) -> Result<SystemTime, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    let since = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    SystemTime::UNIX_EPOCH.checked_add(since).ok_or_else(|| "too far away".to_owned())
}
