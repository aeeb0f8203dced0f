//! Names that only files know: attachments on record, and what Docker calls its containers.
//!
//! A file that is not there or not readable makes a name less, never a failure.

use std::fs;
use std::os::unix::fs::MetadataExt;

use ropewalk_topology::model::{Attachment, Host, Runtime};
use serde_json::Value;

use crate::options::CacheOptions;
use crate::output::Output;

/// Where Docker describes its containers.
const DOCKER: &str = "/var/lib/docker/containers";

pub(super) fn add(host: &mut Host, cache: &CacheOptions, output: Output) {
    // Without records there are no names; that is not worth a failure.
    for record in cache.records(output).unwrap_or_default() {
        let Ok(namespace) = fs::metadata(&record.netns) else { continue };
        let Some(position) = host.position(namespace.ino()) else { continue };
        host.namespaces[position].attachments.push(Attachment {
            network: record.network_name,
            container: record.container_id,
            interface: record.if_name,
        });
    }
    for namespace in &mut host.namespaces {
        let docker = namespace.container.as_mut();
        if let Some(container) = docker.filter(|one| one.runtime == Runtime::Docker) {
            container.name = docker_name(&container.id);
        }
    }
}

fn docker_name(id: &str) -> Option<String> {
    let text = fs::read_to_string(format!("{DOCKER}/{id}/config.v2.json")).ok()?;
    let description: Value = serde_json::from_str(&text).ok()?;
    Some(description["Name"].as_str()?.trim_start_matches('/').to_owned())
}
