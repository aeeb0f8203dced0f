//! Which crate may depend on which, and what must stay out of the plugin binary.

use std::{collections::BTreeSet, path::Path};

use super::Violation;
use crate::{Workspace, process, workspace::Package};

/// The crates, and what each may depend on. A new crate or arrow is a decision: it is written here
/// and in ARCHITECTURE.md.
const ARROWS: &[(&str, &[&str])] = &[
    ("ropewalk-addr", &[]),
    ("ropewalk-netstate", &["ropewalk-addr"]),
    ("ropewalk-cni", &["ropewalk-addr"]),
    ("ropewalk-dhcp", &["ropewalk-addr"]),
    ("ropewalk-store", &["ropewalk-addr"]),
    ("ropewalk-ledger", &["ropewalk-addr"]),
    ("ropewalk-topology", &["ropewalk-addr"]),
    ("ropewalk-linux", &["ropewalk-addr", "ropewalk-netstate", "ropewalk-topology"]),
    ("ropewalk-runtime", &["ropewalk-cni", "ropewalk-linux"]),
    (
        "ropewalk-plugins",
        &[
            "ropewalk-addr",
            "ropewalk-cni",
            "ropewalk-dhcp",
            "ropewalk-linux",
            "ropewalk-netstate",
            "ropewalk-store",
        ],
    ),
    // A larger program, so that no database is in the plugin binary.
    ("ropewalk-sql", &["ropewalk-cni", "ropewalk-ledger", "ropewalk-linux", "ropewalk-plugins"]),
    (
        "ropewalk-cli",
        &[
            "ropewalk-addr",
            "ropewalk-cni",
            "ropewalk-ledger",
            "ropewalk-linux",
            "ropewalk-netstate",
            "ropewalk-plugins",
            "ropewalk-runtime",
            "ropewalk-store",
            "ropewalk-topology",
        ],
    ),
    (TESTKIT, &["ropewalk-addr", "ropewalk-netstate"]),
    // Black-box tests would share the product's mistakes, and so would measurements; the tasks must
    // run while it is broken.
    ("ropewalk-e2e", &[]),
    ("ropewalk-bench", &[]),
    ("xtask", &[]),
];

const TESTKIT: &str = "ropewalk-testkit";

/// Dependencies that reach the system, and who may have them. Names that end in `-` are beginnings.
const SYSTEM: &[(&str, &[&str])] = &[
    ("libc", &["ropewalk-linux", "ropewalk-bench"]),
    (
        "rustix",
        &["ropewalk-linux", "ropewalk-store", "ropewalk-runtime", "ropewalk-cli", "ropewalk-e2e"],
    ),
    ("nix", &[]),
    ("socket2", &[]),
    ("rtnetlink", &["ropewalk-linux"]),
    ("netlink-", &["ropewalk-linux"]),
];

/// How many crates there may be below `crates/`, and in the longest chain of arrows.
const MOST_CRATES: usize = 14;
const DEEPEST: usize = 5;

/// What must not be in the plugin binary, and why.
const UNWANTED: &[(&str, &str)] = &[
    ("tokio", "a plugin runs once and waits for the kernel alone"),
    ("async-std", "a plugin runs once and waits for the kernel alone"),
    ("smol", "a plugin runs once and waits for the kernel alone"),
    ("clap", "a plugin has no command line; parsing one would cost every start"),
    ("regex", "regex-lite does the same in a tenth of the size"),
    ("tracing-subscriber", "a plugin writes nothing but the protocol"),
];

const PLUGINS_MANIFEST: &str = "crates/ropewalk-plugins/Cargo.toml";

/// Arrows, depth, number of crates, and who may reach the system.
pub(super) fn check(workspace: &Workspace) -> Vec<Violation> {
    let mut violations: Vec<Violation> = workspace.packages.iter().flat_map(of_package).collect();
    let crates: Vec<&Package> = workspace.crates().collect();
    if crates.len() > MOST_CRATES {
        let advice = format!(
            "{} crates, at most {MOST_CRATES} are allowed; make it a module: a crate exists to \
             forbid something or to be published",
            crates.len()
        );
        violations.push(Violation::new("Cargo.toml", 1, "number of crates", advice));
    }
    for package in crates {
        let depth = depth(workspace, &package.name, &mut BTreeSet::new());
        if depth > DEEPEST {
            let advice = format!("{depth} crates in a chain, at most {DEEPEST} are allowed");
            violations.push(Violation::new(&package.manifest(), 1, "depth", advice));
        }
    }
    violations
}

fn of_package(package: &Package) -> Vec<Violation> {
    let manifest = package.manifest();
    let violation = |rule, advice: String| Violation::new(&manifest, 1, rule, advice);
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == package.name) else {
        let advice = "no such crate in the table of arrows; add it to xtask/src/tidy/arrows.rs \
                      and to ARCHITECTURE.md";
        return vec![violation("arrow", advice.to_owned())];
    };
    let mut violations = Vec::new();
    for dependency in &package.dependencies {
        let name = dependency.name.as_str();
        let is_testkit = dependency.is_for_tests && name == TESTKIT;
        if dependency.is_ours && !is_testkit && !allowed.contains(&name) {
            let advice = format!(
                "{} must not depend on {name}; allowed: {}",
                package.name,
                if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(", ") }
            );
            violations.push(violation("arrow", advice));
        }
        let reaches =
            |pattern: &str| name == pattern || pattern.ends_with('-') && name.starts_with(pattern);
        if let Some((_, who)) = SYSTEM.iter().find(|(pattern, _)| reaches(pattern))
            && !who.contains(&package.name.as_str())
        {
            let advice = format!(
                "{} must not depend on {name}, which reaches the system; let ropewalk-linux do it",
                package.name
            );
            violations.push(violation("system", advice));
        }
    }
    violations
}

/// How many crates are in the longest chain that starts with this one.
fn depth(workspace: &Workspace, name: &str, above: &mut BTreeSet<String>) -> usize {
    if !above.insert(name.to_owned()) {
        return 0;
    }
    let package = workspace.packages.iter().find(|package| package.name == name);
    let below = package.into_iter().flat_map(Package::ours);
    let deepest = below.map(|below| depth(workspace, below, above)).max();
    above.remove(name);
    1 + deepest.unwrap_or(0)
}

/// The names of everything that the plugin binary is built from.
pub(super) fn plugin_tree(root: &Path) -> Result<BTreeSet<String>, String> {
    let mut cargo = process::cargo(root);
    cargo.args(["tree", "--package", "ropewalk-plugins", "--edges", "normal", "--prefix", "none"]);
    let text = process::output(&mut cargo)?;
    Ok(text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
}

/// What must not be in the plugin binary.
pub(super) fn check_plugin_tree(tree: &BTreeSet<String>) -> Vec<Violation> {
    let unwanted = UNWANTED.iter().filter(|(name, _)| tree.contains(*name));
    let violation = |(name, why): &(&str, &str)| {
        let advice = format!(
            "{name} is in the plugin binary, and must not be: {why}; `cargo tree -p \
             ropewalk-plugins -e normal -i {name}` says who brings it"
        );
        Violation::new(PLUGINS_MANIFEST, 1, "plugin binary", advice)
    };
    unwanted.map(violation).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn package(name: &str, dependencies: &[(&str, bool, bool)]) -> Package {
        let dependency = |(name, is_ours, is_for_tests): &(&str, bool, bool)| Dependency {
            name: (*name).to_owned(),
            is_ours: *is_ours,
            is_for_tests: *is_for_tests,
        };
        Package {
            name: name.to_owned(),
            directory: format!("crates/{name}"),
            dependencies: dependencies.iter().map(dependency).collect(),
        }
    }

    fn rules(packages: Vec<Package>) -> Vec<&'static str> {
        check(&Workspace { packages }).iter().map(|violation| violation.rule).collect()
    }

    #[test]
    fn arrows_outside_the_table_are_noticed() {
        let linux = ("ropewalk-linux", true, false);
        assert_eq!(rules(vec![package("ropewalk-plugins", &[linux])]), [] as [&str; 0]);
        assert_eq!(rules(vec![package("ropewalk-cni", &[linux])]), ["arrow"]);
        assert_eq!(rules(vec![package("ropewalk-new", &[])]), ["arrow"]);
    }

    #[test]
    fn the_testkit_is_for_tests_alone() {
        let test = |name| rules(vec![package(name, &[("ropewalk-testkit", true, true)])]);
        assert_eq!(test("ropewalk-plugins"), [] as [&str; 0]);
        let product = package("ropewalk-plugins", &[("ropewalk-testkit", true, false)]);
        assert_eq!(rules(vec![product]), ["arrow"]);
    }

    #[test]
    fn only_one_crate_reaches_the_network() {
        for name in ["libc", "rustix", "nix", "netlink-sys"] {
            let package = package("ropewalk-plugins", &[(name, false, false)]);
            assert_eq!(rules(vec![package]), ["system"], "{name}");
        }
        assert_eq!(rules(vec![package("ropewalk-linux", &[("libc", false, false)])]), [""; 0]);
    }

    #[test]
    fn long_chains_and_many_crates_are_noticed() {
        let names: Vec<String> = (0..15).map(|number| format!("c{number}")).collect();
        let packages = names.iter().enumerate().map(|(number, name)| {
            match names.get(number + 1).filter(|_| number < 5) {
                Some(next) => package(name, &[(next, true, false)]),
                None => package(name, &[]),
            }
        });
        let rules = rules(packages.collect());
        assert_eq!(rules.iter().filter(|rule| **rule == "depth").count(), 1);
        assert_eq!(rules.iter().filter(|rule| **rule == "number of crates").count(), 1);
    }

    #[test]
    fn a_runtime_in_the_plugin_binary_is_noticed() {
        let tree = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(check_plugin_tree(&tree(&["regex-lite", "serde_json"])), []);
        assert_eq!(check_plugin_tree(&tree(&["tokio", "clap", "serde_json"])).len(), 2);
    }
}
