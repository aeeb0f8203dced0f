//! What was there before: a file per attachment, in the format of the reference plugin with the
//! sysctls and the network's name added.

use std::{collections::BTreeMap, fs, io, path::Path};

use ropewalk_addr::IfName;
use ropewalk_cni::{AttachmentId, CniError};
use ropewalk_netstate::{
    Memory, MemoryError, Owner, Place, Resource,
    resource::{Attribute, LinkAttribute, Offload, Offloads, Sysctl},
};
use ropewalk_store::{StateFile, StoreError};
use serde_json::{Map, Value, json};

use super::config::sysctl_path;
use crate::{device::Attachment, texts::store_error};

/// The values borrowed by one attachment.
pub(crate) struct Backup {
    file: StateFile,
    network: String,
    ifname: IfName,
}

impl Backup {
    pub(crate) fn of(directory: &Path, attachment: &Attachment) -> Self {
        let network = &attachment.owner.network;
        let name = file_name(&attachment.owner.container, &attachment.ifname);
        Self {
            file: StateFile::new(directory, &name, &Owner::network_hash(network)),
            network: network.clone(),
            ifname: attachment.ifname.clone(),
        }
    }
}

/// A damaged file gives nothing back, and must not keep DEL from going on.
fn read(file: &StateFile) -> Result<Map<String, Value>, StoreError> {
    let value = file.read()?.and_then(|text| serde_json::from_str(&text).ok());
    Ok(match value {
        Some(Value::Object(object)) => object,
        _ => Map::new(),
    })
}

fn memory_error(error: &StoreError) -> MemoryError {
    MemoryError(error.to_string())
}

fn file_name(container: &str, ifname: &str) -> String {
    format!("{container}_{ifname}.json")
}

impl Memory for Backup {
    /// The first value counts: what a second ADD finds was set by the first.
    fn remember(&mut self, values: &[(Place, Resource)]) -> Result<(), MemoryError> {
        let mut object = read(&self.file).map_err(|error| memory_error(&error))?;
        object.insert("network".into(), self.network.clone().into());
        for (_, resource) in values {
            match resource {
                Resource::LinkAttribute(attribute) => {
                    let name = attribute.attribute.name();
                    let kept = object.get(name).and_then(|value| from_json(name, value));
                    if kept.is_none() {
                        object.insert(name.into(), to_json(attribute.attribute));
                    }
                }
                Resource::Sysctl(sysctl) => {
                    let mut kept = sysctls_of(&object);
                    if !kept.iter().any(|(path, _)| *path == sysctl.path) {
                        kept.push((sysctl.path.clone(), sysctl.value.clone()));
                    }
                    let pairs = kept.into_iter().map(|(path, value)| json!([path, value]));
                    object.insert("sysctl".into(), pairs.collect());
                }
                Resource::Offloads(found) => {
                    let mut kept = offloads_of(&object);
                    for (name, offload) in &found.offloads {
                        kept.entry(name.clone()).or_insert(*offload);
                    }
                    let pairs = kept.into_iter().map(|(name, offload)| (name, offload.on.into()));
                    object.insert("ethtool".into(), Value::Object(pairs.collect()));
                }
                _ => {}
            }
        }
        let text = Value::Object(object).to_string();
        self.file.write(&text).map_err(|error| memory_error(&error))
    }

    fn recall(&mut self) -> Result<Vec<(Place, Resource)>, MemoryError> {
        let mut values: Vec<Resource> = Vec::new();
        let object = read(&self.file).map_err(|error| memory_error(&error))?;
        let link = || self.ifname.clone();
        // A damaged file must not lead anywhere else.
        let sysctls = sysctls_of(&object).into_iter();
        let sysctls = sysctls.filter(|(path, _)| sysctl_path(path, "").is_ok());
        values.extend(sysctls.map(|(path, value)| Sysctl::new(path, value).into()));
        let attributes = object.iter().filter_map(|(name, value)| from_json(name, value));
        values.extend(attributes.map(|attribute| LinkAttribute { link: link(), attribute }.into()));
        let offloads = offloads_of(&object);
        if !offloads.is_empty() {
            values.push(Offloads { link: link(), offloads }.into());
        }
        Ok(values.into_iter().map(|value| (Place::Sandbox, value)).collect())
    }

    fn forget(&mut self) -> Result<(), MemoryError> {
        self.file.remove().map_err(|error| memory_error(&error))
    }
}

/// Pairs of path and value, in the order in which they were changed.
fn sysctls_of(object: &Map<String, Value>) -> Vec<(String, String)> {
    let pairs = object.get("sysctl").and_then(Value::as_array).into_iter().flatten();
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    pairs.filter_map(|pair| Some((text(pair.get(0))?, text(pair.get(1))?))).collect()
}

/// What cannot be given back any more is left.
fn offloads_of(object: &Map<String, Value>) -> BTreeMap<String, Offload> {
    let pairs = object.get("ethtool").and_then(Value::as_object).into_iter().flatten();
    let offload = |value: &Value| value.as_bool().map(|on| Offload { on, optional: true });
    pairs.filter_map(|(name, value)| Some((name.clone(), offload(value)?))).collect()
}

fn to_json(attribute: Attribute) -> Value {
    match attribute {
        Attribute::Up(on) | Attribute::Promiscuous(on) | Attribute::AllMulticast(on) => on.into(),
        Attribute::Mac(mac) => mac.to_string().into(),
        Attribute::Mtu(number)
        | Attribute::TxQueueLength(number)
        | Attribute::PacketSize(number) => number.into(),
    }
}

fn from_json(name: &str, value: &Value) -> Option<Attribute> {
    let number = || u32::try_from(value.as_u64()?).ok();
    match name {
        "mac" => value.as_str()?.parse().ok().map(Attribute::Mac),
        "promisc" => value.as_bool().map(Attribute::Promiscuous),
        "allmulti" => value.as_bool().map(Attribute::AllMulticast),
        "mtu" => number().map(Attribute::Mtu),
        "txQLen" => number().map(Attribute::TxQueueLength),
        _ => None,
    }
}

/// Removes the files of a network's attachments that are not valid. A file of the reference plugin
/// does not tell its network, and stays.
pub(crate) fn collect(
    directory: &Path,
    network: &str,
    valid: &[AttachmentId],
) -> Result<(), CniError> {
    let unreadable = |error| CniError::internal(format!("open {}: {error}", directory.display()));
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unreadable(error)),
    };
    let writer = Owner::network_hash(network);
    let valid: Vec<String> = valid
        .iter()
        .map(|id| file_name(&id.container_id, &id.ifname))
        .flat_map(|name| [StateFile::temporary_name(&name, &writer), name])
        .collect();
    for entry in entries {
        let name = entry.map_err(unreadable)?.file_name().into_string();
        let Some(name) = name.ok().filter(|name| !valid.contains(name)) else { continue };
        // What a writer of this network who was killed has left tells so by its name.
        let is_unfinished = name.ends_with(&format!(".{writer}.tmp"));
        let file = StateFile::new(directory, &name, &writer);
        let content = read(&file).map_err(|error| store_error(&error))?;
        if is_unfinished || content.get("network").and_then(Value::as_str) == Some(network) {
            file.remove().map_err(|error| store_error(&error))?;
        }
    }
    Ok(())
}
