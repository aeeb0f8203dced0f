//! Whose a process is, told from its control group: runtimes write the container's number there.

use std::fs;

use ropewalk_topology::model::{Container, Runtime};

/// What the names of control groups begin with, as `docker-3f…`.
const PREFIXES: [(&str, Runtime); 5] = [
    ("docker-", Runtime::Docker),
    ("libpod-", Runtime::Podman),
    ("cri-containerd-", Runtime::Containerd),
    ("crio-", Runtime::CriO),
    ("nerdctl-", Runtime::Containerd),
];

/// The groups above, where the number stands alone.
const PARENTS: [(&str, Runtime); 3] = [
    ("docker", Runtime::Docker),
    ("libpod_parent", Runtime::Podman),
    ("k8s.io", Runtime::Containerd),
];

/// The command's name of a process.
pub(super) fn command(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

/// The container or the unit of the first process that has one.
pub(super) fn of(pids: impl Iterator<Item = u32>) -> (Option<Container>, Option<String>) {
    let mut unit = None;
    for pid in pids {
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        for path in groups.lines().filter_map(|line| line.splitn(3, ':').nth(2)) {
            if let Some(container) = container_in(path) {
                return (Some(container), None);
            }
            unit = unit.or_else(|| unit_in(path));
        }
    }
    (None, unit)
}

/// The container that a control group is for.
fn container_in(path: &str) -> Option<Container> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    for (position, part) in parts.iter().enumerate().rev() {
        let part = part.strip_suffix(".scope").unwrap_or(part);
        // `kubepods-…slice:cri-containerd:3f…`
        let part = part.rsplit(':').next().unwrap_or(part);
        let prefix = PREFIXES.iter().find_map(|(prefix, runtime)| {
            Some((*runtime, part.strip_prefix(prefix).filter(|id| is_id(id))?))
        });
        let alone = || {
            let above = position.checked_sub(1).and_then(|above| parts.get(above));
            let parent = PARENTS.iter().find(|(parent, _)| above == Some(parent));
            let runtime = parent.map_or(Runtime::Unknown, |(_, runtime)| *runtime);
            is_id(part).then_some((runtime, part))
        };
        if let Some((runtime, id)) = prefix.or_else(alone) {
            return Some(Container { runtime, id: id.to_owned(), name: None });
        }
    }
    None
}

/// The numbers of all runtimes are 64 hexadecimal digits.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The service that a control group is for.
fn unit_in(path: &str) -> Option<String> {
    let part = path.rsplit('/').find(|part| part.ends_with(".service"))?;
    Some(part.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str) -> Option<(Runtime, bool)> {
        let id = "3f".repeat(32);
        let container = container_in(&path.replace("ID", &id))?;
        Some((container.runtime, container.id == id))
    }

    #[test]
    fn containers_are_told_by_their_control_groups() {
        let cases = [
            ("/docker/ID", Runtime::Docker),
            ("/system.slice/docker-ID.scope", Runtime::Docker),
            ("/machine.slice/libpod-ID.scope/container", Runtime::Podman),
            ("/lab/libpod-ID", Runtime::Podman),
            ("/kubepods/besteffort/pod1/ID", Runtime::Unknown),
            ("/kubepods.slice/x.slice/cri-containerd-ID.scope", Runtime::Containerd),
            ("/system.slice/kubepods-a.slice:cri-containerd:ID", Runtime::Unknown),
            ("/k8s.io/ID", Runtime::Containerd),
            ("/kubepods.slice/crio-ID.scope", Runtime::CriO),
        ];
        for (path, runtime) in cases {
            assert_eq!(found(path), Some((runtime, true)), "{path}");
        }
        for path in ["/", "", "/user.slice/session-1.scope", "/docker/abc"] {
            assert_eq!(found(path), None, "{path}");
        }
        assert_eq!(unit_in("/system.slice/ssh.service").as_deref(), Some("ssh.service"));
    }
}
