//! What has to stand in every `Cargo.toml`: the workspace's lints, and only dependencies whose
//! reason is written down.

use super::{Violation, files::Files};
use crate::{
    Workspace,
    source::numbered,
    workspace::{Dependency, Package},
};

/// The page that gives each dependency a line: its name, who has it, why.
const PAGE: &str = "docs/decisions/dependencies.md";

/// The crates with lints of their own, because they hold unsafe code.
const OWN_LINTS: [&str; 2] = ["ropewalk-linux", "ropewalk-bench"];

/// The lint they do without.
const LEFT_OUT: &str = "unsafe_code";

pub(super) fn check(workspace: &Workspace, files: &Files) -> Vec<Violation> {
    let lints = lines_below(files.text("Cargo.toml").unwrap_or_default(), "[workspace.lints.");
    let page = files.text(PAGE).unwrap_or_default();
    let mut violations = Vec::new();
    for package in &workspace.packages {
        let manifest = package.manifest();
        let text = files.text(&manifest).unwrap_or_default();
        violations.extend(check_lints(package, text, &lints));
        for dependency in package.dependencies.iter().filter(|d| !d.is_ours) {
            violations.extend(check_reason(package, dependency, page));
        }
    }
    violations
}

fn check_lints(package: &Package, text: &str, workspace: &[&str]) -> Vec<Violation> {
    let manifest = package.manifest();
    if !OWN_LINTS.contains(&package.name.as_str()) {
        let inherited = lines_below(text, "[lints]") == ["workspace = true"];
        let advice = "put `[lints]` and `workspace = true` into it";
        let violation = || Violation::new(&manifest, 1, "lints", advice);
        return (!inherited).then(violation).into_iter().collect();
    }
    let own = lines_below(text, "[lints.");
    let missing =
        workspace.iter().filter(|line| !own.contains(line) && !line.starts_with(LEFT_OUT));
    let advice = |line| format!("it has lints of its own, but lacks the workspace's `{line}`");
    missing.map(|line| Violation::new(&manifest, 1, "lints", advice(line))).collect()
}

fn check_reason(package: &Package, dependency: &Dependency, page: &str) -> Option<Violation> {
    let cell = format!("| `{}` |", dependency.name);
    let rows: Vec<(usize, &str)> =
        numbered(page).filter(|(_, line)| line.starts_with(&cell)).collect();
    let Some((line, row)) = rows.first() else {
        let advice = format!(
            "give {} a line in {PAGE}: its name, who has it, why it and not something else",
            dependency.name
        );
        return Some(Violation::new(&package.manifest(), 1, "dependency", advice));
    };
    let users = row.split('|').nth(2).unwrap_or_default();
    let name = package.name.trim_start_matches("ropewalk-");
    let is_named = users.split(',').any(|user| user.trim() == name);
    let advice = || format!("name {name} among those who have {}", dependency.name);
    (!is_named && !dependency.is_for_tests)
        .then(|| Violation::new(PAGE, *line, "dependency", advice()))
}

/// The settings in all sections whose heading starts like this.
fn lines_below<'a>(text: &'a str, heading: &str) -> Vec<&'a str> {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with('[') {
            inside = line.starts_with(heading);
        } else if inside && !line.starts_with('#') {
            lines.push(line);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str) -> Package {
        let directory = format!("crates/{name}");
        Package { name: name.to_owned(), directory, dependencies: Vec::new() }
    }

    #[test]
    fn lints_are_inherited_or_repeated() {
        let workspace = ["unsafe_code = \"forbid\"", "todo = \"deny\""];
        let count = |name, text| check_lints(&package(name), text, &workspace).len();
        assert_eq!(count("ropewalk-cni", "[lints]\nworkspace = true\n"), 0);
        assert_eq!(count("ropewalk-cni", "[dependencies]\nworkspace = true\n"), 1);
        assert_eq!(count("ropewalk-linux", "[lints.clippy]\ntodo = \"deny\"\n"), 0);
        assert_eq!(count("ropewalk-linux", "[lints.clippy]\n"), 1);
    }

    #[test]
    fn a_dependency_without_a_reason_is_noticed() {
        let page = "| what | who | why |\n| `sha2` | netstate, cli | names are digests |\n";
        let check = |who: &str, name: &str, is_for_tests| {
            let dependency = Dependency { name: name.to_owned(), is_ours: false, is_for_tests };
            check_reason(&package(who), &dependency, page).map(|violation| violation.file)
        };
        assert_eq!(check("ropewalk-cli", "sha2", false), None);
        assert_eq!(check("ropewalk-cni", "sha2", false).as_deref(), Some(PAGE));
        assert_eq!(check("ropewalk-cni", "sha2", true), None);
        let manifest = "crates/ropewalk-cni/Cargo.toml";
        assert_eq!(check("ropewalk-cni", "rand", true).as_deref(), Some(manifest));
    }
}
