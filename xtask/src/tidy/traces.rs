//! The tree speaks of the project alone: nothing in it tells on which machine it was made.

use super::{
    Violation,
    files::{Files, has_extension},
};
use crate::source::numbered;

/// Directories that exist on one machine and not on another. Written without the last slash, so
/// that this file keeps its own rule.
const PLACES: [&str; 3] = ["/work", "/root", "/home"];

/// Settings that name a registry of one's own.
const REGISTRIES: [&str; 4] = ["replace-with", "[registries", "[source.", "sparse+"];

/// Endings of host names that mean something on one network only.
const LOCAL_HOSTS: [&str; 4] = [".internal", ".corp", ".lan", ".intranet"];

/// Where all dependencies come from.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

pub(super) fn check(files: &Files) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (path, text) in files.all() {
        for (number, line) in numbered(text) {
            if let Some(advice) = trace(path, line) {
                violations.push(Violation::new(path, number, "trace", advice));
            }
        }
    }
    violations
}

fn trace(path: &str, line: &str) -> Option<String> {
    if let Some(place) = PLACES.iter().find(|place| names_place(line, place)) {
        return Some(format!("{place}/ exists on some machines only; take it out"));
    }
    if let Some(host) = hosts(line).find(|host| LOCAL_HOSTS.iter().any(|end| host.ends_with(end))) {
        return Some(format!("{host} exists on some networks only; take it out"));
    }
    if has_extension(path, "toml") && REGISTRIES.iter().any(|setting| line.contains(setting)) {
        return Some("registries are configured outside of the tree; take it out".to_owned());
    }
    let source = line.strip_prefix("source = \"").filter(|_| path == "Cargo.lock")?;
    let is_foreign = source.trim_end_matches('"') != REGISTRY;
    is_foreign.then(|| "dependencies come from crates.io alone".to_owned())
}

/// Whether a path below this directory stands in a line, as itself and not as part of another.
fn names_place(line: &str, place: &str) -> bool {
    let below = format!("{place}/");
    let is_inner = |character: char| character.is_alphanumeric() || "_.-*})>~".contains(character);
    line.match_indices(&below).any(|(start, _)| !line[..start].ends_with(is_inner))
}

/// The host names of all addresses in a line.
fn hosts(line: &str) -> impl Iterator<Item = &str> {
    let ends = |character: char| !character.is_alphanumeric() && !".-".contains(character);
    line.split("://").skip(1).filter_map(move |rest| rest.split(ends).next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_trace(path: &str, line: &str) -> bool {
        trace(path, line).is_some()
    }

    #[test]
    fn places_of_one_machine_are_noticed() {
        for place in PLACES {
            assert!(is_trace("a.rs", &format!("let path = \"{place}/x\";")), "{place}");
        }
        assert!(!is_trace("a.rs", "target/work/x and net/home/y"));
    }

    #[test]
    fn registries_and_local_hosts_are_noticed() {
        assert!(is_trace(".cargo/config.toml", "replace-with = \"mirror\""));
        assert!(!is_trace("README.md", "replace-with = \"mirror\""));
        let host = format!("see https://crates{}/x", ".internal");
        assert!(is_trace("README.md", &host));
        assert!(!is_trace("README.md", "see https://www.cni.dev/docs/spec/"));
        assert!(is_trace("Cargo.lock", "source = \"git+https://example.org/x\""));
        assert!(!is_trace("Cargo.lock", &format!("source = \"{REGISTRY}\"")));
    }
}
