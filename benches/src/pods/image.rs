//! An image made on the spot, and the control group that all pods are below.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{Outcome, host::run};

/// Where it is, as `docker save` writes it.
pub(super) const ARCHIVE: &str = "/run/bench/image/image.tar";
/// Its name. It holds `busybox` alone, and does nothing until it is ended.
pub(super) const IMAGE: &str = "localhost/box:1";

const GROUPS: &str = "/sys/fs/cgroup";
const GROUP: &str = "ropewalk-bench-";

/// Writes the image.
pub(super) fn make() -> Outcome<()> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    run(&format!(
        r#"mkdir -p "$(dirname {ARCHIVE})/root/bin"
        cd "$(dirname {ARCHIVE})"
        cp "$(command -v busybox)" root/bin/busybox
        tar -C root -cf layer.tar .
        sum=$(sha256sum layer.tar | cut -d' ' -f1)
        echo '{{"architecture":"{architecture}","os":"linux",
            "config":{{"Cmd":["/bin/busybox","sleep","1000"]}},
            "rootfs":{{"type":"layers","diff_ids":["sha256:'$sum'"]}}}}' >config.json
        echo '[{{"Config":"config.json","RepoTags":["{IMAGE}"],"Layers":["layer.tar"]}}]' \
            >manifest.json
        tar -cf {ARCHIVE} manifest.json config.json layer.tar"#
    ))
}

/// The control group that all pods are below.
pub(super) fn group() -> String {
    // Process ids begin anew in every PID namespace; namespaces have numbers of their own.
    let mounts = fs::read_link("/proc/thread-self/ns/mnt").unwrap_or_default();
    let number: String = mounts.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    format!("{GROUP}{number}")
}

/// Removes the control groups of pods in every hierarchy, also those of a run that was broken off.
/// One that a process is in cannot be removed.
pub(super) fn remove_groups() {
    for hierarchy in directories(Path::new(GROUPS)).chain([GROUPS.into()]) {
        for group in directories(&hierarchy) {
            let name = group.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with(GROUP) {
                remove_tree(&group);
            }
        }
    }
}

fn remove_tree(directory: &Path) {
    directories(directory).for_each(|inner| remove_tree(&inner));
    // What is in use stays, and nothing depends on it.
    let _ = fs::remove_dir(directory);
}

fn directories(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let inner = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    inner.map(|entry| entry.path())
}
