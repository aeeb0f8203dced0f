//! Every plugin has a page, and every link between pages leads somewhere.

use super::{Violation, files::Files};
use crate::source::numbered;

const TABLE: &str = "crates/ropewalk-plugins/src/table.rs";

pub(super) fn check(files: &Files) -> Vec<Violation> {
    let mut violations = check_plugins(files);
    let paths: Vec<&str> = files.all().map(|(path, _)| path).collect();
    for (path, text) in files.pages() {
        violations.extend(check_links(path, text, &paths));
    }
    violations
}

fn check_plugins(files: &Files) -> Vec<Violation> {
    let Some(table) = files.sources.iter().find(|source| source.path == TABLE) else {
        let advice = "the table of plugins is gone; tell xtask/src/tidy/pages.rs where it is";
        return vec![Violation::new(TABLE, 1, "page", advice)];
    };
    let mut violations = Vec::new();
    let mut plugins = 0;
    for (number, line) in numbered(&table.text) {
        let Some((_, rest)) = line.split_once("name: \"") else { continue };
        let Some((plugin, _)) = rest.split_once('"') else { continue };
        plugins += 1;
        let page = format!("docs/plugins/{plugin}.md");
        if files.text(&page).is_none() {
            let advice = format!("write {page}: what the plugin is for, its keys, an example");
            violations.push(Violation::new(TABLE, number, "page", advice));
        }
    }
    if plugins == 0 {
        let advice = "no plugin found in the table; adapt xtask/src/tidy/pages.rs to its form";
        violations.push(Violation::new(TABLE, 1, "page", advice));
    }
    violations
}

/// Links of the form `](path)` within the tree.
fn check_links(page: &str, text: &str, paths: &[&str]) -> Vec<Violation> {
    let directory = page.rsplit_once('/').map_or("", |(directory, _)| directory);
    let mut violations = Vec::new();
    for (number, line) in numbered(text) {
        for rest in line.split("](").skip(1) {
            let target = rest.split([')', '#']).next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let target = resolve(directory, target);
            let is_there =
                paths.iter().any(|path| *path == target || path.starts_with(&format!("{target}/")));
            if !is_there {
                let advice = format!("the link leads to {target}, which is not there");
                violations.push(Violation::new(page, number, "link", advice));
            }
        }
    }
    violations
}

/// A path relative to a directory, as one relative to the root.
fn resolve(directory: &str, target: &str) -> String {
    let mut parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;

    #[test]
    fn a_plugin_without_a_page_is_noticed() {
        let table =
            "Plugin { name: \"bridge\", kind: A },\nPlugin { name: \"static\", kind: B },\n";
        let mut files = Files {
            sources: vec![Source::new(TABLE, table)],
            texts: vec![("docs/plugins/bridge.md".to_owned(), String::new())],
        };
        let violations = check(&files);
        assert_eq!(violations.len(), 1);
        assert_eq!((violations[0].line, violations[0].rule), (2, "page"));
        files.sources.clear();
        assert_eq!(check(&files).len(), 1);
    }

    #[test]
    fn links_lead_somewhere() {
        let paths = ["README.md", "docs/guide/a.md"];
        let count = |text| check_links("docs/guide/b.md", text, &paths).len();
        assert_eq!(
            count("[a](a.md), [r](../../README.md#x), [w](https://x.org/), [d](../guide)"),
            0
        );
        assert_eq!(count("[a](c.md) and [b](../a.md)"), 2);
    }
}
