//! GC: deleting what belongs to attachments that are not valid any more.
//!
//! Section "GC" of the specification. A caller who does not know what is valid must say so; that
//! is not the same as knowing that nothing is.

use ropewalk_cni::{AttachmentId, Command, NetworkList};

use crate::error::RuntimeError;
use crate::exec::Execute;
use crate::runtime::{Attachment, Runtime, reaches};

/// What the caller knows about the attachments of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValidSet {
    /// Nothing on record is valid any more. Plugins are told nothing, so they keep what was added
    /// without a record. This is what cnitool does.
    Unspecified,
    /// Exactly these are valid. Plugins remove everything else of the network.
    Exactly(Vec<AttachmentId>),
}

impl ValidSet {
    fn contains(&self, attachment: &AttachmentId) -> bool {
        self.told().is_some_and(|valid| valid.contains(attachment))
    }

    /// What plugins are told.
    fn told(&self) -> Option<&[AttachmentId]> {
        match self {
            Self::Unspecified => None,
            Self::Exactly(valid) => Some(valid),
        }
    }
}

impl<E: Execute> Runtime<E> {
    /// Deletes every attachment on record that is not valid, then asks every plugin to remove
    /// whatever else it has. Nothing stops it; all failures are reported. Lists older than 1.1.0
    /// have no GC, so only records count. The answer is what was deleted.
    pub fn gc(
        &self,
        list: &NetworkList,
        valid: &ValidSet,
    ) -> Result<Vec<AttachmentId>, RuntimeError> {
        if list.disable_gc {
            return Ok(Vec::new());
        }
        let mut failures = Vec::new();
        let mut deleted = Vec::new();
        for (id, attachment) in self.stale(list, valid)? {
            match self.del(list, &attachment) {
                Ok(()) => deleted.push(id),
                Err(reason) => {
                    let reason = Box::new(reason);
                    failures.push(RuntimeError::Stale { attachment: id, reason });
                }
            }
        }
        if reaches(list, "1.1.0")? {
            for plugin in &list.plugins {
                let collected = self.call(Command::Gc, list, plugin).gc(valid.told());
                failures.extend(collected.err().map(RuntimeError::Plugin));
            }
        }
        RuntimeError::collect(failures).map(|()| deleted)
    }

    /// The attachments of a network that are on record.
    pub fn recorded(&self, list: &NetworkList) -> Result<Vec<AttachmentId>, RuntimeError> {
        let all = self.stale(list, &ValidSet::Unspecified)?;
        Ok(all.into_iter().map(|(id, _)| id).collect())
    }

    fn stale(
        &self,
        list: &NetworkList,
        valid: &ValidSet,
    ) -> Result<Vec<(AttachmentId, Attachment)>, RuntimeError> {
        let records = self.cache.records().map_err(RuntimeError::Cache)?;
        let of_network =
            records.entries.into_iter().filter(|entry| entry.network_name == list.name);
        let identified = of_network.map(|entry| {
            let (container_id, ifname) = (entry.container_id.clone(), entry.if_name.clone());
            (AttachmentId { container_id, ifname }, Attachment::from(entry))
        });
        Ok(identified.filter(|(id, _)| !valid.contains(id)).collect())
    }
}
