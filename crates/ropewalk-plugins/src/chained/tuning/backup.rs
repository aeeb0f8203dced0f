//! What was there before: a file per attachment, in the format of the reference plugin with the
//! sysctls and the network's name added.

use std::{fs, io, path::Path};

use ropewalk_addr::IfName;
use ropewalk_cni::{AttachmentId, CniError};
use ropewalk_netstate::{
    Memory, MemoryError, Owner, Place, Resource,
    resource::{Attribute, LinkAttribute, Sysctl},
};
use ropewalk_store::{StateFile, StoreError};
use serde_json::{Map, Value};

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
                    if !object.get("sysctl").is_some_and(Value::is_object) {
                        object.insert("sysctl".into(), Map::new().into());
                    }
                    let sysctls = object.get_mut("sysctl").and_then(Value::as_object_mut);
                    if let Some(sysctls) = sysctls
                        && !sysctls.get(&sysctl.path).is_some_and(Value::is_string)
                    {
                        sysctls.insert(sysctl.path.clone(), sysctl.value.clone().into());
                    }
                }
                _ => {}
            }
        }
        let text = Value::Object(object).to_string();
        self.file.write(&text).map_err(|error| memory_error(&error))
    }

    fn recall(&mut self) -> Result<Vec<(Place, Resource)>, MemoryError> {
        let mut values = Vec::new();
        for (name, value) in read(&self.file).map_err(|error| memory_error(&error))? {
            if let Some(attribute) = from_json(&name, &value) {
                let attribute = LinkAttribute { link: self.ifname.clone(), attribute };
                values.push((Place::Sandbox, attribute.into()));
            }
            // A damaged file must not lead anywhere else.
            let sysctls = value.as_object().into_iter().flatten();
            for (path, value) in sysctls.filter(|(path, _)| sysctl_path(path, "").is_ok()) {
                let value = value.as_str().unwrap_or_default();
                values.push((Place::Sandbox, Sysctl::new(path, value).into()));
            }
        }
        Ok(values)
    }

    fn forget(&mut self) -> Result<(), MemoryError> {
        self.file.remove().map_err(|error| memory_error(&error))
    }
}

fn to_json(attribute: Attribute) -> Value {
    match attribute {
        Attribute::Up(on) | Attribute::Promiscuous(on) | Attribute::AllMulticast(on) => on.into(),
        Attribute::Mac(mac) => mac.to_string().into(),
        Attribute::Mtu(number) | Attribute::TxQueueLength(number) => number.into(),
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
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(CniError::internal(format!("open {}: {error}", directory.display())));
        }
    };
    let writer = Owner::network_hash(network);
    let valid: Vec<String> = valid
        .iter()
        .map(|id| file_name(&id.container_id, &id.ifname))
        .flat_map(|name| [StateFile::temporary_name(&name, &writer), name])
        .collect();
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    for name in names.filter(|name| !valid.contains(name)) {
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
