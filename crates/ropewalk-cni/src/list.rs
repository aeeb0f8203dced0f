//! Network configuration lists, and what each plugin of a list receives.
//!
//! Sections "Network configuration format" and "Deriving execution configuration from
//! plugin configuration" of the CNI specification. It must never look for files; the
//! runtime brings their contents.

use crate::attachments::{
    ATTACHMENTS, AttachmentId, VALID_ATTACHMENTS, VALID_ATTACHMENTS_TIME, ValidAttachments,
};
use crate::error::CniError;
use crate::go_text::{kind_name, quote, type_name};
use crate::json::decode;
use crate::ordered::Node;
use crate::plugin::PluginConfig;
use crate::version::{Version, parse_numbers};
use serde_json::{Map, Value};

/// A network: a name, a version, and the plugins to run in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetworkList {
    /// The network's name, not checked yet.
    pub name: String,
    /// The version to speak, after `cniVersions` had its say; empty means 0.1.0.
    pub cni_version: String,
    /// CHECK succeeds without running anything.
    pub disable_check: bool,
    /// GC succeeds without running anything.
    pub disable_gc: bool,
    /// The folder named like the network adds no plugins.
    pub load_only_inlined_plugins: bool,
    /// The plugins.
    pub plugins: Vec<PluginConfig>,
    /// The text the list was read from, for the cache.
    pub bytes: Vec<u8>,
}

impl NetworkList {
    /// Reads a list. It may have no plugins yet, see [`NetworkList::append_plugin`].
    ///
    /// # Errors
    ///
    /// Code 7 `error parsing configuration list: …`, or `failed to parse plugin config
    /// N: …` for a plugin.
    pub fn parse(bytes: &[u8]) -> Result<NetworkList, CniError> {
        let value = decode(bytes).map_err(|reason| invalid(&reason))?;
        let Value::Object(list) = value else {
            let (kind, wanted) = (kind_name(&value), type_name(&Value::Object(Map::new())));
            let reason = format!("json: cannot unmarshal {kind} into Go value of type {wanted}");
            return Err(invalid(&reason));
        };
        let Some(name) = list.get("name") else {
            return Err(invalid("no name"));
        };
        let name = text(name, "name")?;
        let cni_version = list.get("cniVersion").map(|value| text(value, "cniVersion"));
        let cni_version = negotiate(&list, cni_version.transpose()?.unwrap_or_default())?;
        let load_only_inlined_plugins = switch(&list, "loadOnlyInlinedPlugins")?;
        Ok(NetworkList {
            name,
            cni_version,
            disable_check: switch(&list, "disableCheck")?,
            disable_gc: switch(&list, "disableGC")?,
            load_only_inlined_plugins,
            plugins: plugins(list.get("plugins"), load_only_inlined_plugins)?,
            bytes: bytes.to_vec(),
        })
    }

    /// Reads a file that configures a single plugin, and makes a list of it. Version and
    /// name of the list are the plugin's; its text is made up.
    ///
    /// # Errors
    ///
    /// As [`PluginConfig::parse`].
    pub fn parse_single(bytes: &[u8]) -> Result<NetworkList, CniError> {
        let plugin = PluginConfig::parse(bytes)?;
        let list = Node::Object(vec![
            ("cniVersion".to_owned(), Node::text(&plugin.cni_version)),
            ("name".to_owned(), Node::text(&plugin.name)),
            (
                "plugins".to_owned(),
                Node::Array(vec![Node::from(&Value::Object(plugin.raw.clone()))]),
            ),
        ]);
        Ok(NetworkList {
            name: plugin.name.clone(),
            cni_version: plugin.cni_version.clone(),
            plugins: vec![plugin],
            bytes: list.compact().into_bytes(),
            ..NetworkList::default()
        })
    }

    /// Appends a plugin from the folder named like the network.
    ///
    /// # Errors
    ///
    /// As [`PluginConfig::parse`].
    pub fn append_plugin(&mut self, bytes: &[u8]) -> Result<(), CniError> {
        self.plugins.push(PluginConfig::parse(bytes)?);
        Ok(())
    }

    /// Checks, after everything was loaded, that there is something to run.
    ///
    /// # Errors
    ///
    /// Code 7 `no plugin configs found`.
    pub fn require_plugins(&self) -> Result<(), CniError> {
        if self.plugins.is_empty() {
            return Err(CniError::invalid_config("no plugin configs found"));
        }
        Ok(())
    }

    /// What a plugin gets on standard input for ADD, CHECK, DEL and STATUS: its object on
    /// one line with sorted keys, with the list's name and version, the previous result
    /// if there is one, and those capability arguments it declares.
    ///
    /// `capabilities` stays in, although the specification says to remove it: plugins
    /// have come to read it.
    pub fn plugin_stdin(
        &self,
        plugin: &PluginConfig,
        prev_result: Option<&Value>,
        capability_args: &Map<String, Value>,
    ) -> String {
        let mut injected = self.identity();
        if let Some(result) = prev_result {
            injected.push(("prevResult".to_owned(), result.clone()));
        }
        let wanted = plugin.enabled_capabilities();
        let wanted = wanted.filter_map(|name| capability_args.get_key_value(name));
        let runtime: Map<String, Value> =
            wanted.map(|(name, value)| (name.clone(), value.clone())).collect();
        if !runtime.is_empty() {
            injected.push(("runtimeConfig".to_owned(), Value::Object(runtime)));
        }
        plugin.with(injected)
    }

    /// What a plugin gets on standard input for GC. The attachments appear under both
    /// spellings of their key, and not at all when nothing is known about them.
    pub fn gc_stdin(&self, plugin: &PluginConfig, valid: Option<&ValidAttachments>) -> String {
        let mut injected = self.identity();
        if let Some(valid) = valid {
            let list = Value::Array(valid.attachments.iter().map(AttachmentId::to_value).collect());
            injected.push((VALID_ATTACHMENTS.to_owned(), list.clone()));
            injected.push((ATTACHMENTS.to_owned(), list));
            let until = valid.until.and_then(|until| u64::try_from(until.as_millis()).ok());
            injected.extend(until.map(|ms| (VALID_ATTACHMENTS_TIME.to_owned(), ms.into())));
        }
        plugin.with(injected)
    }

    fn identity(&self) -> Vec<(String, Value)> {
        vec![
            ("name".to_owned(), Value::String(self.name.clone())),
            ("cniVersion".to_owned(), Value::String(self.cni_version.clone())),
        ]
    }
}

/// The error for a folder without any configuration.
pub fn no_configurations(directory: &str) -> CniError {
    CniError::invalid_config(format!("no net configurations found in {directory}"))
}

/// The error for a folder without the wanted network.
pub fn no_such_network(name: &str, directory: &str) -> CniError {
    let msg = format!("no net configuration with name \"{name}\" in {directory}");
    CniError::invalid_config(msg)
}

fn invalid(reason: &str) -> CniError {
    CniError::invalid_config(format!("error parsing configuration list: {reason}"))
}

fn text(value: &Value, key: &str) -> Result<String, CniError> {
    let wrong = || invalid(&format!("invalid {key} type {}", type_name(value)));
    value.as_str().map(str::to_owned).ok_or_else(wrong)
}

/// Reads a boolean that may also be written as a string.
fn switch(list: &Map<String, Value>, key: &str) -> Result<bool, CniError> {
    match list.get(key) {
        None => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(Value::String(text)) => match text.to_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(invalid(&format!("invalid value {} for {key}", quote(other)))),
        },
        Some(other) => Err(invalid(&format!("invalid type {} for {key}", type_name(other)))),
    }
}

/// Picks the newest version of `cniVersions` and `cniVersion` that is not newer than we
/// are; without any, what was written stays.
fn negotiate(list: &Map<String, Value>, written: String) -> Result<String, CniError> {
    let Some(entries) = list.get("cniVersions") else { return Ok(written) };
    let Some(entries) = entries.as_array() else {
        return Err(invalid(&format!("invalid type for cniVersions: {}", type_name(entries))));
    };
    let newest = parse_numbers(Version::NEWEST.as_str()).unwrap_or_default();
    let mut candidates = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let Some(entry) = entry.as_str() else {
            let kind = type_name(entry);
            return Err(invalid(&format!("invalid type for cniVersions index {index}: {kind}")));
        };
        let numbers = parse_numbers(entry).map_err(|reason| {
            invalid(&format!("invalid cniVersions entry {entry} at index {index}: {reason}"))
        })?;
        candidates.push((numbers, entry));
    }
    if !written.is_empty() {
        let numbers = parse_numbers(&written)
            .map_err(|reason| invalid(&format!("invalid cniVersion {written}: {reason}")))?;
        candidates.push((numbers, &written));
    }
    candidates.retain(|(numbers, _)| *numbers <= newest);
    let best = candidates.into_iter().max().map(|(_, version)| version.to_owned());
    Ok(best.unwrap_or(written))
}

fn plugins(value: Option<&Value>, only_inlined: bool) -> Result<Vec<PluginConfig>, CniError> {
    let elements = match value {
        None if only_inlined => {
            return Err(invalid("`loadOnlyInlinedPlugins` is true, and no 'plugins' key"));
        }
        None => return Ok(Vec::new()),
        Some(Value::Array(elements)) => elements,
        Some(other) => {
            let kind = type_name(other);
            return Err(invalid(&format!("invalid 'plugins' type {kind}: {other}")));
        }
    };
    if elements.is_empty() {
        return Err(invalid("no plugins in list"));
    }
    let parse = |(index, element)| {
        PluginConfig::from_value(element)
            .map_err(|error| error.prefixed(format_args!("failed to parse plugin config {index}")))
    };
    elements.iter().enumerate().map(parse).collect()
}

#[cfg(test)]
mod tests;
