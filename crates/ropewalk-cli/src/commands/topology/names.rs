//! Names that only files know: attachments on record, and what Docker calls its containers.
//!
//! A file that is not there or not readable makes a name less, never a failure.

use std::fs;
use std::os::unix::fs::MetadataExt;

use ropewalk_cni::CacheEntry;
use ropewalk_topology::model::{Attachment, Host, Runtime};
use serde_json::Value;

use crate::options::CacheOptions;
use crate::output::Output;

/// Where Docker describes its containers.
const DOCKER: &str = "/var/lib/docker/containers";

/// Adds names to a host, which may have some already.
pub(crate) fn add(host: &mut Host, cache: &CacheOptions, output: Output) {
    for namespace in &mut host.namespaces {
        namespace.attachments.clear();
    }
    // Without records there are no names; that is not worth a failure.
    for record in cache.records(output).unwrap_or_default() {
        let Some(position) = sandbox(host, &record) else { continue };
        let namespace = &mut host.namespaces[position];
        let (pod, pod_namespace) = pod(&record);
        if let Some(container) = &mut namespace.container {
            let name = match (&pod_namespace, &pod) {
                (Some(namespace), Some(pod)) => Some(format!("{namespace}/{pod}")),
                _ => pod.clone(),
            };
            container.name = container.name.take().or(name);
        }
        namespace.attachments.push(Attachment {
            network: record.network_name,
            container: record.container_id,
            interface: record.if_name,
            pod,
            pod_namespace,
        });
    }
    for namespace in &mut host.namespaces {
        let docker = namespace.container.as_mut();
        if let Some(container) = docker.filter(|one| one.runtime == Runtime::Docker) {
            container.name = container.name.take().or_else(|| docker_name(&container.id));
        }
    }
}

/// The namespace that a record is of. Runtimes with an older library tell it in the result alone.
pub(crate) fn sandbox(host: &Host, record: &CacheEntry) -> Option<usize> {
    let result = record.decoded_result().ok().flatten().unwrap_or_default();
    let told = result.interfaces.into_iter().map(|interface| interface.sandbox);
    let paths = std::iter::once(record.netns.clone()).chain(told);
    let mut files = paths.filter_map(|path| fs::metadata(path).ok());
    files.find_map(|file| host.position(file.ino()))
}

/// What podman and Kubernetes call the container, and its namespace in Kubernetes. Podman has none,
/// and gives the name twice.
fn pod(record: &CacheEntry) -> (Option<String>, Option<String>) {
    let argument = |key: &str| {
        let found = record.cni_args.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
    };
    let name = argument("K8S_POD_NAME");
    let namespace = argument("K8S_POD_NAMESPACE").filter(|_| name.is_some());
    let namespace = namespace.filter(|namespace| name.as_ref() != Some(namespace));
    (name, namespace)
}

fn docker_name(id: &str) -> Option<String> {
    let text = fs::read_to_string(format!("{DOCKER}/{id}/config.v2.json")).ok()?;
    let description: Value = serde_json::from_str(&text).ok()?;
    Some(description["Name"].as_str()?.trim_start_matches('/').to_owned())
}
