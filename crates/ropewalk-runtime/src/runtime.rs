//! The verbs for one network: ADD, CHECK, DEL, STATUS and the validation of a list.
//!
//! Section "CNI Operations" of the specification, seen from the runtime. GC is next door. It must
//! never look for configuration; the caller brings the list.

use std::collections::BTreeSet;
use std::time::Duration;

use ropewalk_cni::cache::cached_result;
use ropewalk_cni::version::at_least;
use ropewalk_cni::{
    CacheEntry, CniError, CniResult, Command, ErrorCode, NetworkList, PluginConfig, Version,
};
use serde_json::{Map, Value};

use crate::cache::Cache;
use crate::chain::Call;
use crate::error::{PluginFailure, Rollback, RuntimeError};
use crate::exec::{Execute, Processes};

/// How long one plugin may take unless somebody says otherwise: longer than a DHCP client gives up.
pub const DEFAULT_DEADLINE: Duration = Duration::from_mins(2);

/// One container's interface on one network, and what the runtime has to say about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attachment {
    /// The container's id.
    pub container_id: String,
    /// Path of its network namespace; empty when it is gone.
    pub netns: String,
    /// The interface's name inside.
    pub ifname: String,
    /// The pairs of `CNI_ARGS`.
    pub args: Vec<(String, String)>,
    /// Values for the capabilities that plugins declare.
    pub capability_args: Map<String, Value>,
}

impl Attachment {
    /// An attachment without arguments.
    pub fn new(container_id: &str, netns: &str, ifname: &str) -> Self {
        Self {
            container_id: container_id.to_owned(),
            netns: netns.to_owned(),
            ifname: ifname.to_owned(),
            ..Self::default()
        }
    }
}

impl From<CacheEntry> for Attachment {
    fn from(entry: CacheEntry) -> Self {
        Self {
            container_id: entry.container_id,
            netns: entry.netns,
            ifname: entry.if_name,
            args: entry.cni_args,
            capability_args: entry.capability_args,
        }
    }
}

/// Runs the plugins of networks.
#[derive(Clone, Debug)]
pub struct Runtime<E = Processes> {
    /// The folders with plugins, in the order they are searched.
    pub paths: Vec<String>,
    /// What is known about attachments.
    pub cache: Cache,
    /// How long one plugin may take.
    pub deadline: Duration,
    /// Who runs plugins.
    pub execute: E,
}

impl Runtime {
    /// A runtime that starts processes and waits [`DEFAULT_DEADLINE`] for each.
    pub fn new(paths: Vec<String>, cache: Cache) -> Self {
        Self { paths, cache, deadline: DEFAULT_DEADLINE, execute: Processes::default() }
    }
}

impl<E: Execute> Runtime<E> {
    /// Attaches a container: runs all plugins in order, each with the result of the one before,
    /// and keeps a record.
    ///
    /// Nothing runs unless every plugin is there. When a plugin fails, it and those before it get
    /// DEL in reverse order, unless there was a record before: then a working attachment may be
    /// what stood in the way.
    pub fn add(
        &self,
        list: &NetworkList,
        attachment: &Attachment,
    ) -> Result<CniResult, RuntimeError> {
        list.require_plugins().map_err(RuntimeError::Refused)?;
        let _lock = self.cache.lock_shared(&list.name).map_err(RuntimeError::Cache)?;
        for plugin in &list.plugins {
            let ready = self.call(Command::Add, list, plugin).require_ready(attachment);
            let rollback = Rollback::Complete;
            ready.map_err(|failure| RuntimeError::Add { failure, rollback })?;
        }
        let mut added = None;
        for (index, plugin) in list.plugins.iter().enumerate() {
            let call = self.call(Command::Add, list, plugin);
            let previous = added.as_ref().map(|(_, value)| value);
            match call.add(attachment, previous) {
                Ok(result) => added = Some(result),
                Err(failure) => {
                    let ran = list.plugins.get(..=index).unwrap_or_default();
                    let rollback = self.roll_back(list, ran, attachment, previous);
                    return Err(RuntimeError::Add { failure, rollback });
                }
            }
        }
        let (result, value) = added.unwrap_or_default();
        if let Err(reason) = self.cache.write(&record(list, attachment, value.clone())) {
            let rollback = self.roll_back(list, &list.plugins, attachment, Some(&value));
            return Err(RuntimeError::Unrecorded { reason, rollback });
        }
        Ok(result)
    }

    /// Verifies that what ADD did is still there.
    pub fn check(&self, list: &NetworkList, attachment: &Attachment) -> Result<(), RuntimeError> {
        if !reaches(list, "0.4.0")? {
            let version = shown_version(list);
            return Err(RuntimeError::Refused(CniError::new(
                ErrorCode::IncompatibleVersion,
                format!("configuration version {version:?} does not support the CHECK command"),
            )));
        }
        if list.disable_check {
            return Ok(());
        }
        let previous = self.recorded_result(list, attachment)?;
        for plugin in &list.plugins {
            let call = self.call(Command::Check, list, plugin);
            call.quiet(attachment, previous.as_ref()).map_err(RuntimeError::Plugin)?;
        }
        Ok(())
    }

    /// Detaches a container: runs all plugins in reverse order, whatever fails, and removes the
    /// record if nothing did. A container that is not attached is fine.
    pub fn del(&self, list: &NetworkList, attachment: &Attachment) -> Result<(), RuntimeError> {
        let _lock = self.cache.lock_shared(&list.name).map_err(RuntimeError::Cache)?;
        self.detach(list, attachment)
    }

    /// DEL for a caller who has the lock.
    pub(crate) fn detach(
        &self,
        list: &NetworkList,
        attachment: &Attachment,
    ) -> Result<(), RuntimeError> {
        let previous = if reaches(list, "0.4.0").unwrap_or(false) {
            // A record that cannot be read must not stop anybody from cleaning up.
            self.recorded_result(list, attachment).ok().flatten()
        } else {
            None
        };
        let failures = self.delete(list, &list.plugins, attachment, previous.as_ref());
        if failures.is_empty() {
            let Attachment { container_id, ifname, .. } = attachment;
            let removed = self.cache.remove(&list.name, container_id, ifname);
            return removed.map_err(RuntimeError::Cache);
        }
        RuntimeError::collect(
            failures.into_iter().map(Box::new).map(RuntimeError::Plugin).collect(),
        )
    }

    /// Asks whether an ADD could be served. Lists older than 1.1.0 cannot be asked.
    pub fn status(&self, list: &NetworkList) -> Result<(), RuntimeError> {
        if !reaches(list, "1.1.0")? {
            return Ok(());
        }
        for plugin in &list.plugins {
            let call = self.call(Command::Status, list, plugin);
            call.quiet(&Attachment::default(), None).map_err(RuntimeError::Plugin)?;
        }
        Ok(())
    }

    /// Checks that every plugin is there and speaks the list's version, and answers the
    /// capabilities they declare.
    pub fn validate(&self, list: &NetworkList) -> Result<BTreeSet<String>, RuntimeError> {
        let wanted = shown_version(list);
        let mut capabilities = BTreeSet::new();
        let mut failures = Vec::new();
        for plugin in &list.plugins {
            let kind = &plugin.plugin_type;
            match self.call(Command::Version, list, plugin).versions() {
                Ok(versions) if versions.iter().any(|version| *version == wanted) => {
                    capabilities.extend(plugin.enabled_capabilities().map(str::to_owned));
                }
                Ok(_) => failures.push(RuntimeError::Refused(CniError::new(
                    ErrorCode::IncompatibleVersion,
                    format!("plugin {kind} does not support config version {wanted:?}"),
                ))),
                Err(failure) => failures.push(RuntimeError::Plugin(failure)),
            }
        }
        RuntimeError::collect(failures).map(|()| capabilities)
    }

    /// What is on record about an attachment; `None` when there is nothing or nothing legible.
    pub fn record(&self, list: &NetworkList, attachment: &Attachment) -> Option<CacheEntry> {
        let Attachment { container_id, ifname, .. } = attachment;
        let bytes = self.cache.read(&list.name, container_id, ifname).ok()??;
        CacheEntry::from_json(&list.name, &bytes).ok()
    }

    pub(crate) fn call<'a>(
        &'a self,
        verb: Command,
        list: &'a NetworkList,
        plugin: &'a PluginConfig,
    ) -> Call<'a, E> {
        Call {
            execute: &self.execute,
            paths: &self.paths,
            deadline: self.deadline,
            verb,
            list,
            plugin,
        }
    }

    /// The recorded result in the list's version.
    pub(crate) fn recorded_result(
        &self,
        list: &NetworkList,
        attachment: &Attachment,
    ) -> Result<Option<Value>, RuntimeError> {
        let Attachment { container_id, ifname, .. } = attachment;
        let bytes = self.cache.read(&list.name, container_id, ifname);
        let Some(bytes) = bytes.map_err(RuntimeError::Cache)? else { return Ok(None) };
        let name = &list.name;
        let refused = |error: CniError| {
            let prefix = format!("failed to get network {name:?} cached result");
            RuntimeError::Refused(error.prefixed(prefix))
        };
        let Some(result) = cached_result(&bytes).map_err(refused)? else { return Ok(None) };
        let version = shown_version(list);
        let converted = in_list_version(list, &result).map_err(|error| {
            error.prefixed(format!("failed to convert cached result to config version {version:?}"))
        });
        converted.map(Some).map_err(refused)
    }

    fn roll_back(
        &self,
        list: &NetworkList,
        ran: &[PluginConfig],
        attachment: &Attachment,
        previous: Option<&Value>,
    ) -> Rollback {
        let Attachment { container_id, ifname, .. } = attachment;
        let path = self.cache.path(&list.name, container_id, ifname);
        if path.is_some_and(|path| path.exists()) {
            return Rollback::AttachedBefore;
        }
        let previous = previous.filter(|_| reaches(list, "0.4.0").unwrap_or(false));
        let failures = self.delete(list, ran, attachment, previous);
        if failures.is_empty() { Rollback::Complete } else { Rollback::Incomplete(failures) }
    }

    /// Runs DEL on plugins from the last to the first, whatever fails.
    fn delete(
        &self,
        list: &NetworkList,
        plugins: &[PluginConfig],
        attachment: &Attachment,
        previous: Option<&Value>,
    ) -> Vec<PluginFailure> {
        let delete = |plugin| self.call(Command::Del, list, plugin).quiet(attachment, previous);
        plugins
            .iter()
            .rev()
            .filter_map(|plugin| delete(plugin).err().map(|failure| *failure))
            .collect()
    }
}

/// A result as it stands in the list's version.
pub(crate) fn in_list_version(list: &NetworkList, result: &CniResult) -> Result<Value, CniError> {
    result.to_value(shown_version(list).parse::<Version>()?)
}

/// Whether the list's version is at least this one.
pub(crate) fn reaches(list: &NetworkList, floor: &str) -> Result<bool, RuntimeError> {
    at_least(&list.cni_version, floor).map_err(RuntimeError::Refused)
}

fn shown_version(list: &NetworkList) -> &str {
    if list.cni_version.is_empty() { "0.1.0" } else { &list.cni_version }
}

fn record(list: &NetworkList, attachment: &Attachment, result: Value) -> CacheEntry {
    CacheEntry {
        container_id: attachment.container_id.clone(),
        config: list.bytes.clone(),
        if_name: attachment.ifname.clone(),
        network_name: list.name.clone(),
        netns: attachment.netns.clone(),
        cni_args: attachment.args.clone(),
        capability_args: attachment.capability_args.clone(),
        result: Some(result),
    }
}

#[cfg(test)]
mod tests;
