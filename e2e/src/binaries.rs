//! Finds the plugins under test.
//!
//! It must never build anything: `xtask` builds the binary before the tests run.

use std::env;
use std::path::{Path, PathBuf};

/// The name of our multi-call binary.
const MULTI_CALL: &str = "ropewalk-plugins";

/// Gives a macro every plugin: the name of a module for its tests, and its own name.
#[macro_export]
macro_rules! for_every_plugin {
    ($macro:ident) => {
        $macro! {
            bandwidth: "bandwidth",
            bridge: "bridge",
            dhcp: "dhcp",
            dummy: "dummy",
            firewall: "firewall",
            host_device: "host-device",
            host_local: "host-local",
            ipvlan: "ipvlan",
            loopback: "loopback",
            macvlan: "macvlan",
            portmap: "portmap",
            ptp: "ptp",
            sbr: "sbr",
            r#static: "static",
            tap: "tap",
            tuning: "tuning",
            vlan: "vlan",
            vrf: "vrf",
        }
    };
}

macro_rules! names {
    ($($module:ident: $plugin:literal,)*) => {
        /// Every name under which the multi-call binary is linked in a laboratory.
        pub const PLUGIN_NAMES: &[&str] = &[$($plugin),*];
    };
}

for_every_plugin!(names);

/// Plugins that are programs of their own, with the programs' names.
pub(crate) const SEPARATE: &[(&str, &str)] = &[("sql", "ropewalk-sql")];

/// The best build of a program of ours that is a plugin.
pub(crate) fn separate(program: &str) -> Option<PathBuf> {
    builds(&target_directory(), program).into_iter().find(|path| path.is_file())
}

/// Where the plugins under test come from.
#[derive(Debug, Clone)]
pub(crate) enum Plugins {
    /// A directory with one binary for each plugin.
    Directory(PathBuf),
    /// Our binary, to be linked under each plugin's name.
    MultiCall(PathBuf),
}

impl Plugins {
    /// The plugins that `ROPEWALK_E2E_PLUGINS` names, else the newest kind of build of ours.
    pub(crate) fn find() -> Self {
        if let Some(directory) = env::var_os("ROPEWALK_E2E_PLUGINS") {
            let directory = PathBuf::from(directory);
            assert!(
                directory.is_dir(),
                "ROPEWALK_E2E_PLUGINS is not a directory: {}",
                directory.display()
            );
            return Self::Directory(directory);
        }
        let candidates = multi_call_candidates(&target_directory());
        match candidates.iter().find(|path| path.is_file()) {
            Some(path) => Self::MultiCall(path.clone()),
            None => panic!(
                "no plugins to test: none of {candidates:?} exists; build it with \
                 `cargo build -p ropewalk-plugins` or set ROPEWALK_E2E_PLUGINS to a directory"
            ),
        }
    }
}

/// Whether the plugins under test are somebody else's (the reference plugins).
///
/// Tests use it to accept what the reference does differently.
pub fn reference() -> bool {
    match Plugins::find() {
        Plugins::Directory(directory) => !directory.join(MULTI_CALL).exists(),
        Plugins::MultiCall(_) => false,
    }
}

/// The `ropewalk` command under test: what `ROPEWALK_E2E_COMMAND` names, else the best build.
pub fn command_path() -> PathBuf {
    if let Some(path) = env::var_os("ROPEWALK_E2E_COMMAND") {
        return PathBuf::from(path);
    }
    let candidates = builds(&target_directory(), "ropewalk");
    let found = candidates.iter().find(|path| path.is_file()).cloned();
    found.unwrap_or_else(|| panic!("none of {candidates:?}: run `cargo build -p ropewalk-cli`"))
}

fn multi_call_candidates(target: &Path) -> Vec<PathBuf> {
    builds(target, MULTI_CALL)
}

/// Where a program of ours may be, the best build first.
fn builds(target: &Path, name: &str) -> Vec<PathBuf> {
    let profiles = ["x86_64-unknown-linux-musl/release", "release", "debug"];
    profiles.iter().map(|profile| target.join(profile).join(name)).collect()
}

fn target_directory() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("e2e is in a workspace");
    match env::var_os("CARGO_TARGET_DIR") {
        Some(target) => workspace.join(target),
        None => workspace.join("target"),
    }
}
