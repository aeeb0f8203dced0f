//! Making again what somebody else has removed: a firewall that was reloaded, a table that was
//! flushed. It must never take an interface from a running container.

use ropewalk_cni::{Command, NetworkList};

use crate::error::RuntimeError;
use crate::exec::Execute;
use crate::runtime::{Attachment, Runtime};

impl<E: Execute> Runtime<E> {
    /// Asks every plugin of an attachment on record whether all is there. Those that miss something
    /// get DEL and then ADD, with the recorded result; the answer is which they were. The first
    /// plugin makes the interface, which cannot be replaced under a container: that it misses
    /// something is an error.
    pub fn repair(
        &self,
        list: &NetworkList,
        attachment: &Attachment,
    ) -> Result<Vec<String>, RuntimeError> {
        let _lock = self.cache.lock_shared(&list.name).map_err(RuntimeError::Cache)?;
        let previous = self.recorded_result(list, attachment)?;
        let mut repaired = Vec::new();
        let mut failures = Vec::new();
        for (index, plugin) in list.plugins.iter().enumerate() {
            let call = |verb| self.call(verb, list, plugin);
            let Err(failure) = call(Command::Check).quiet(attachment, previous.as_ref()) else {
                continue;
            };
            if index == 0 {
                failures.push(RuntimeError::Plugin(failure));
                continue;
            }
            // What is left of it may stand in the way; that DEL failed, the ADD will tell.
            let _ = call(Command::Del).quiet(attachment, previous.as_ref());
            match call(Command::Add).add(attachment, previous.as_ref()) {
                Ok(_) => repaired.push(plugin.plugin_type.clone()),
                Err(failure) => failures.push(RuntimeError::Plugin(failure)),
            }
        }
        RuntimeError::collect(failures).map(|()| repaired)
    }
}
