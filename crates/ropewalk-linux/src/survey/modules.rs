//! What the kernel has already. Asking it for what it has not would load a module.

use std::{fs, path::Path};

/// Which parts of netfilter may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Modules {
    pub(super) has_nftables: bool,
    /// Whether connections are tracked.
    pub(super) tracks_connections: bool,
    /// Whether they can be listed.
    pub(super) has_connections: bool,
}

impl Modules {
    pub(super) fn read() -> Self {
        // A kernel without modules cannot load any.
        let Ok(loaded) = fs::read_to_string("/proc/modules") else {
            return Self { has_nftables: true, tracks_connections: true, has_connections: true };
        };
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let built_in = format!("/lib/modules/{}/modules.builtin", release.trim());
        let built_in = fs::read_to_string(built_in).unwrap_or_default();
        let has = |name: &str| {
            is_loaded(&loaded, name)
                || is_built_in(&built_in, name)
                || Path::new("/sys/module").join(name).exists()
        };
        let has_netlink = has("nfnetlink");
        Self {
            has_nftables: has_netlink && has("nf_tables"),
            tracks_connections: has("nf_conntrack"),
            has_connections: has_netlink && has("nf_conntrack_netlink"),
        }
    }
}

const NO_LIST: &str = "the kernel's module nf_conntrack_netlink is not loaded, and a look loads \
     nothing; hint: modprobe nf_conntrack_netlink";

impl Modules {
    pub(super) fn why_no_connections(self) -> Option<&'static str> {
        (self.tracks_connections && !self.has_connections).then_some(NO_LIST)
    }
}

pub(super) fn is_loaded(modules: &str, name: &str) -> bool {
    modules.lines().any(|line| line.split(' ').next() == Some(name))
}

pub(super) fn is_built_in(files: &str, name: &str) -> bool {
    let file = |line: &str| line.rsplit('/').next().map(|file| file.replace('-', "_"));
    files.lines().any(|line| file(line).as_deref() == Some(&format!("{name}.ko")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_loaded_or_built_in() {
        let loaded = "nf_tables 303104 64 nft_ct, Live 0x0\nnfnetlink 20480 3 - Live 0x0\n";
        assert!(is_loaded(loaded, "nf_tables") && !is_loaded(loaded, "nf"));
        let files = "kernel/net/netfilter/nf_tables.ko\nkernel/net/x-y.ko\n";
        assert!(is_built_in(files, "nf_tables") && is_built_in(files, "x_y"));
        assert!(!is_built_in(files, "tables"));
    }
}
