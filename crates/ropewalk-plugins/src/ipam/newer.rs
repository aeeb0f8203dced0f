//! Attachments that are newer than the list of valid ones that a runtime sends with GC: their
//! addresses were leased after it was taken. The kernel tells the age of nothing that we make, so
//! a lease is what tells the age of all that belongs to its attachment.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use ropewalk_cni::{AttachmentId, CniError, Fields, Request, ValidAttachments};
use ropewalk_store::{Holder, LeaseDirectory};

use super::Ipam;
use crate::{config, texts::store_error};

/// Files are dated by a clock that lags behind by up to 10 ms, and in whole seconds on some disks.
const LAG: Duration = Duration::from_secs(1);

/// The attachments of the request's network whose leases are newer than the list: by the address
/// plugin of this type, if it runs in this process and keeps books of its own, else by leases of
/// `host-local`, without which there are none that we could tell.
pub(crate) fn newer_attachments(
    ipam: Option<&str>,
    request: &Request,
    valid: &ValidAttachments,
) -> Result<Vec<AttachmentId>, CniError> {
    let slow = ipam.and_then(|name| Ipam::find_slow(name, request));
    if let Some((_, plugin)) = slow {
        return valid.until.map_or(Ok(Vec::new()), |until| plugin.since(request, until));
    }
    let directory = LeaseDirectory::new(&data_directory(request), &request.network);
    let attachment = |holder: Holder| {
        holder.interface.map(|ifname| AttachmentId { container_id: holder.container, ifname })
    };
    Ok(newer_holders(&directory, valid)?.into_iter().filter_map(attachment).collect())
}

/// Who has leased an address in this directory since the list was taken.
pub(super) fn newer_holders(
    directory: &LeaseDirectory,
    valid: &ValidAttachments,
) -> Result<Vec<Holder>, CniError> {
    let Some(until) = valid.until else {
        return Ok(Vec::new());
    };
    let moment = SystemTime::UNIX_EPOCH + until.saturating_sub(LAG);
    directory.holders_since(moment).map_err(|error| store_error(&error))
}

/// Where the plugin's own IPAM keeps leases; that of a plugin without IPAM is not known to it.
fn data_directory(request: &Request) -> PathBuf {
    let fields = Fields::new(&request.raw, "");
    let is_ours = config::ipam_type(&fields).is_some_and(|name| name == "host-local");
    let ipam = fields.object("ipam").filter(|_| is_ours);
    ipam.and_then(|ipam| ipam.text("dataDir"))
        .map_or_else(|| Path::new(LeaseDirectory::DEFAULT).to_owned(), PathBuf::from)
}
