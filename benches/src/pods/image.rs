//! An image made on the spot, and the control group that all pods are below.

use std::{fs, path::Path, process};

use crate::{Outcome, host::run};

/// Where it is, as `docker save` writes it.
pub(super) const ARCHIVE: &str = "/run/bench/image/image.tar";
/// Its name. It holds `busybox` alone, and does nothing until it is ended.
pub(super) const IMAGE: &str = "localhost/box:1";

const GROUPS: &str = "/sys/fs/cgroup";

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
    format!("ropewalk-bench-{}", process::id())
}

/// Removes the control groups of pods in every hierarchy; engines leave the upper ones.
pub(super) fn remove_groups() {
    let hierarchies = fs::read_dir(GROUPS).into_iter().flatten().flatten();
    for hierarchy in hierarchies.map(|entry| entry.path()).chain([GROUPS.into()]) {
        remove_tree(&hierarchy.join(group()));
    }
}

fn remove_tree(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    // One that a process is still in cannot be removed, and nothing depends on it.
    let _ = fs::remove_dir(directory);
}
