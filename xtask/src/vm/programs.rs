//! The test programs that run on test hosts, as cargo tells them.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use serde_json::Value;

use crate::process;

/// A test program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) name: String,
    /// The directory of its package: cargo starts test programs there.
    pub(super) directory: PathBuf,
    pub(super) executable: PathBuf,
    /// The names of its tests, once somebody has asked.
    tests: OnceLock<BTreeSet<String>>,
}

/// The directories of the packages whose tests ask the kernel for something.
const ASK_THE_KERNEL: [&str; 2] = ["e2e", "crates/ropewalk-linux"];

/// On which test hosts a program is run. What comes first is most important.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Extent {
    /// On a host of each kind.
    EveryHost,
    /// On one with nftables.
    OneHost,
    /// On one with nftables, if there is time: no kernel has a say in what it tests.
    Spare,
    /// On none, for this reason.
    Nowhere(&'static str),
}

/// Programs that are not just run on one host. Every second here is one that all have
/// to wait: what the kinds of hosts differ in is tested on each, what no kernel has a say in comes
/// last.
const EXTENTS: &[(&str, Extent)] = &[
    ("args", Extent::Spare),
    ("bad_input", Extent::Nowhere("it starts plugins a thousand times, and no kernel matters")),
    ("bandwidth_traffic", Extent::Nowhere("it measures how fast something is")),
    ("bridge_masquerade", Extent::EveryHost),
    ("bridge_spoof", Extent::EveryHost),
    ("containerd", Extent::Nowhere("its images and shims take too long")),
    ("conversion", Extent::Spare),
    ("delegation", Extent::Spare),
    ("dhcp", Extent::Nowhere("its servers and clients live by the clock, and no kernel matters")),
    ("doctor", Extent::Spare),
    ("every_plugin", Extent::Nowhere("all of it takes a quarter of an hour there")),
    ("faults", Extent::Nowhere("it kills plugins a thousand times, and strace takes too long")),
    ("faults_everywhere", Extent::Nowhere("it starts plugins thousands of times under strace")),
    ("faults_state", Extent::Nowhere("it starts every plugin again and again")),
    ("firewall", Extent::EveryHost),
    ("firewalld", Extent::Nowhere("firewalld takes half a minute to start")),
    ("host_local", Extent::Spare),
    ("host_local_books", Extent::Spare),
    ("interchange", Extent::Spare),
    ("library", Extent::Nowhere("it compiles a program with Go")),
    ("live", Extent::EveryHost),
    ("packet_filters", Extent::EveryHost),
    ("podman", Extent::Nowhere("its images and containers take too long")),
    ("portmap_traffic", Extent::EveryHost),
    ("protocol", Extent::Nowhere("it starts plugins a thousand times, and no kernel matters")),
    ("protocol_verbs", Extent::Nowhere("it starts every plugin, and no kernel matters")),
    ("ptp", Extent::EveryHost),
    ("real_kernel", Extent::EveryHost),
    ("schema", Extent::Spare),
    ("security", Extent::Spare),
    ("sql", Extent::Nowhere("its servers take too long, and no kernel matters")),
    ("static_ipam", Extent::Spare),
    ("stats", Extent::Spare),
    ("storm", Extent::Nowhere("it starts hundreds of plugins at once, and no kernel matters")),
    ("switch", Extent::Nowhere("podman's images and containers take too long")),
    ("tool", Extent::Spare),
    ("topology_engines", Extent::Nowhere("images and containers take too long")),
    ("topology_scale", Extent::Nowhere("it measures how long something takes")),
    ("ui", Extent::Nowhere("a browser takes too long, and no kernel matters")),
    ("ui_scale", Extent::Nowhere("a browser takes too long, and it measures")),
    ("wishes_command", Extent::Spare),
    ("wishes_firewalld", Extent::Nowhere("firewalld takes half a minute to start")),
    ("wishes_leases", Extent::Spare),
    ("wishes_ports", Extent::Nowhere("it measures how long something takes")),
];

/// The programs that run on this machine alone, and why.
pub(super) fn left_out() -> impl Iterator<Item = (&'static str, &'static str)> {
    EXTENTS.iter().filter_map(|(name, extent)| match extent {
        Extent::Nowhere(reason) => Some((*name, *reason)),
        Extent::EveryHost | Extent::OneHost | Extent::Spare => None,
    })
}

/// Builds all test programs of the workspace, and answers those that ask the kernel.
pub(super) fn build(root: &Path) -> Result<Vec<Program>, String> {
    let mut cargo = process::cargo(root);
    // The same selection of packages as for all tests: another one would be built once more.
    cargo.args(["test", "--workspace", "--no-run", "--quiet", "--message-format=json"]);
    let messages = process::output(&mut cargo)?;
    let mut programs: Vec<Program> = messages.lines().filter_map(|line| read(root, line)).collect();
    programs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(programs)
}

/// Reads one of cargo's messages.
fn read(root: &Path, line: &str) -> Option<Program> {
    let message: Value = serde_json::from_str(line).ok()?;
    let executable =
        message["executable"].as_str().filter(|_| message["profile"]["test"] == true)?;
    let directory = Path::new(message["manifest_path"].as_str()?).parent()?;
    let is_wanted = ASK_THE_KERNEL.iter().any(|wanted| directory == root.join(wanted));
    is_wanted.then(|| Program {
        name: message["target"]["name"].as_str().unwrap_or_default().to_owned(),
        directory: directory.to_owned(),
        executable: PathBuf::from(executable),
        tests: OnceLock::new(),
    })
}

impl Program {
    /// On which test hosts it is run.
    pub(super) fn extent(&self) -> Extent {
        let named = EXTENTS.iter().find(|(name, _)| *name == self.name);
        named.map_or(Extent::OneHost, |(_, extent)| *extent)
    }

    /// The names of its tests.
    pub(super) fn tests(&self) -> &BTreeSet<String> {
        self.tests.get_or_init(|| {
            let mut list = Command::new(&self.executable);
            let printed = process::output(list.args(["--list", "--format=terse"]));
            tests(&printed.unwrap_or_default())
        })
    }

    /// Those of its tests that are among these.
    pub(super) fn tests_among(&self, names: &BTreeSet<String>) -> Vec<String> {
        self.tests().intersection(names).cloned().collect()
    }
}

/// Reads the list that a test program prints.
fn tests(printed: &str) -> BTreeSet<String> {
    printed.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect()
}

#[cfg(test)]
impl Program {
    /// A program that is nowhere.
    pub(super) fn with_tests(name: &str, tests: &[&str]) -> Self {
        let names: BTreeSet<String> = tests.iter().map(ToString::to_string).collect();
        Self {
            name: name.to_owned(),
            directory: PathBuf::from("/a tree/e2e"),
            executable: Path::new("/a tree/target").join(name),
            tests: OnceLock::from(names),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(directory: &str, test: bool) -> String {
        json!({
            "reason": "compiler-artifact",
            "manifest_path": format!("/tree/{directory}/Cargo.toml"),
            "target": { "name": "bridge" },
            "profile": { "test": test },
            "executable": "/tree/target/debug/deps/bridge-0123",
        })
        .to_string()
    }

    #[test]
    fn test_programs_of_packages_that_ask_the_kernel_are_read() {
        let root = Path::new("/tree");
        let program = read(root, &message("e2e", true)).expect("it is wanted");
        assert_eq!(program.name, "bridge");
        assert_eq!(program.directory, Path::new("/tree/e2e"));
        assert_eq!(program.executable, Path::new("/tree/target/debug/deps/bridge-0123"));
        assert_eq!(read(root, &message("e2e", false)), None, "it is no test");
        assert_eq!(read(root, &message("crates/ropewalk-addr", true)), None, "it is pure");
        assert_eq!(read(root, "{\"reason\":\"build-finished\",\"success\":true}"), None);
    }

    #[test]
    fn the_list_of_tests_is_read() {
        let names = tests("a::works: test\nb_works: test\nc: benchmark\n");
        assert_eq!(names, BTreeSet::from(["a::works".to_owned(), "b_works".to_owned()]));
    }

    #[test]
    fn no_program_has_two_extents() {
        assert!(EXTENTS.is_sorted_by(|(a, _), (b, _)| a < b));
    }
}
