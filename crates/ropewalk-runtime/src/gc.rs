//! GC: deleting what belongs to attachments that are not valid any more.
//!
//! Section "GC" of the specification. A caller who does not know what is valid must say so; that
//! is not the same as knowing that nothing is.

use std::time::{Duration, SystemTime};

use ropewalk_cni::{AttachmentId, Command, NetworkList, ValidAttachments};

use crate::error::RuntimeError;
use crate::exec::Execute;
use crate::runtime::{Attachment, Runtime, reaches};

/// Records are dated by a clock that lags behind by up to 10 ms, and in whole seconds on some
/// disks.
const LAG: Duration = Duration::from_secs(1);

/// What the caller knows about the attachments of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValidSet {
    /// Nothing on record is valid any more. Plugins are told nothing, so they keep what was added
    /// without a record. This is what cnitool does.
    Unspecified,
    /// Exactly those on record are valid. Plugins remove everything else of the network.
    Recorded,
    /// Exactly these are valid. Plugins remove everything else of the network.
    Exactly(Vec<AttachmentId>),
    /// These were valid at a moment; what was begun then or later is kept. It is for a caller who
    /// attaches containers while it lists those it has.
    AsOf(Vec<AttachmentId>, SystemTime),
}

impl<E: Execute> Runtime<E> {
    /// Deletes every attachment on record that is not valid, then asks every plugin to remove
    /// whatever else it has. Nothing stops it; all failures are reported. Lists older than 1.1.0
    /// have no GC, so only records count. The answer is what was deleted.
    ///
    /// It waits until no ADD or DEL of the network is under way, and none begins before it ends.
    pub fn gc(
        &self,
        list: &NetworkList,
        valid: &ValidSet,
    ) -> Result<Vec<AttachmentId>, RuntimeError> {
        if list.disable_gc {
            return Ok(Vec::new());
        }
        let _lock = self.cache.lock_alone(&list.name).map_err(RuntimeError::Cache)?;
        let valid = self.told(list, valid)?;
        let mut failures = Vec::new();
        let mut deleted = Vec::new();
        for (id, attachment) in self.stale(list, valid.as_ref())? {
            match self.detach(list, &attachment) {
                Ok(()) => deleted.push(id),
                Err(reason) => {
                    let reason = Box::new(reason);
                    failures.push(RuntimeError::Stale { attachment: id, reason });
                }
            }
        }
        if reaches(list, "1.1.0")? {
            for plugin in &list.plugins {
                let collected = self.call(Command::Gc, list, plugin).gc(valid.as_ref());
                failures.extend(collected.err().map(RuntimeError::Plugin));
            }
        }
        RuntimeError::collect(failures).map(|()| deleted)
    }

    /// The attachments of a network that are on record.
    pub fn recorded(&self, list: &NetworkList) -> Result<Vec<AttachmentId>, RuntimeError> {
        let all = self.stale(list, None)?;
        Ok(all.into_iter().map(|(id, _)| id).collect())
    }

    /// What plugins are told. A record that is newer than the caller's list is of an attachment
    /// that the caller could not know.
    fn told(
        &self,
        list: &NetworkList,
        valid: &ValidSet,
    ) -> Result<Option<ValidAttachments>, RuntimeError> {
        let all = |attachments| ValidAttachments { attachments, until: None };
        Ok(match valid {
            ValidSet::Unspecified => None,
            ValidSet::Recorded => Some(all([self.recorded(list)?, self.illegible(list)?].concat())),
            ValidSet::Exactly(valid) => Some(all(valid.clone())),
            ValidSet::AsOf(valid, moment) => {
                let is_newer = |id: &AttachmentId| {
                    let written = self.cache.written(&list.name, &id.container_id, &id.ifname);
                    written.is_some_and(|written| written + LAG >= *moment)
                };
                let mut newer = self.recorded(list)?;
                newer.retain(|id| is_newer(id) && !valid.contains(id));
                let attachments = [&valid[..], &newer].concat();
                let until = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                Some(ValidAttachments { attachments, until: Some(until) })
            }
        })
    }

    /// Whose the records could be that cannot be read: every way to take apart their names.
    fn illegible(&self, list: &NetworkList) -> Result<Vec<AttachmentId>, RuntimeError> {
        let records = self.cache.records().map_err(RuntimeError::Cache)?;
        let mut ids = Vec::new();
        for (path, _) in records.unreadable {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let of_network = name.strip_prefix(&*list.name).and_then(|rest| rest.strip_prefix('-'));
            let rest = of_network.unwrap_or_default();
            ids.extend(rest.match_indices('-').map(|(dash, _)| AttachmentId {
                container_id: rest[..dash].to_owned(),
                ifname: rest[dash + 1..].to_owned(),
            }));
        }
        ids.retain(|id| !id.container_id.is_empty() && !id.ifname.is_empty());
        Ok(ids)
    }

    fn stale(
        &self,
        list: &NetworkList,
        valid: Option<&ValidAttachments>,
    ) -> Result<Vec<(AttachmentId, Attachment)>, RuntimeError> {
        let records = self.cache.records().map_err(RuntimeError::Cache)?;
        let of_network =
            records.entries.into_iter().filter(|entry| entry.network_name == list.name);
        let identified = of_network.map(|entry| {
            let (container_id, ifname) = (entry.container_id.clone(), entry.if_name.clone());
            (AttachmentId { container_id, ifname }, Attachment::from(entry))
        });
        let is_valid =
            |id: &AttachmentId| valid.is_some_and(|valid| valid.attachments.contains(id));
        Ok(identified.filter(|(id, _)| !is_valid(id)).collect())
    }
}
