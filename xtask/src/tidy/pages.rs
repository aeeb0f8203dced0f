//! Every plugin has a page of the same shape, and every link between pages leads somewhere.

use super::{Violation, files::Files};
use crate::{docs, source::numbered};

const TABLE: &str = "crates/ropewalk-plugins/src/table.rs";

/// The headings of a plugin's page, in this order; others may stand between them.
const HEADINGS: [&str; 5] = [
    "## Example",
    "## Keys",
    "## What it makes",
    "## The other verbs",
    "## What is different from the reference plugin",
];

pub(super) fn check(files: &Files) -> Vec<Violation> {
    let mut violations = check_plugins(files);
    let paths: Vec<&str> = files.all().map(|(path, _)| path).collect();
    for (path, text) in files.pages() {
        violations.extend(check_links(path, text, &paths));
    }
    violations
}

/// The plugins of the table, each with its line.
pub(super) fn plugins(files: &Files) -> Vec<(usize, &str)> {
    let table = files.sources.iter().find(|source| source.path == TABLE);
    let text = table.map_or("", |table| &table.text);
    let names = numbered(text).filter_map(|(number, line)| {
        let (_, rest) = line.split_once("name: \"")?;
        Some((number, rest.split_once('"')?.0))
    });
    names.collect()
}

fn check_plugins(files: &Files) -> Vec<Violation> {
    let plugins = plugins(files);
    if plugins.is_empty() {
        let advice = "no table of plugins found; tell xtask/src/tidy/pages.rs where and how it is";
        return vec![Violation::new(TABLE, 1, "page", advice)];
    }
    let mut violations = Vec::new();
    for (number, plugin) in plugins {
        let page = format!("docs/plugins/{plugin}.md");
        if let Some(text) = files.text(&page) {
            violations.extend(check_page(&page, text));
        } else {
            let advice = format!("write {page} with the headings {}", HEADINGS.join(", "));
            violations.push(Violation::new(TABLE, number, "page", advice));
        }
    }
    violations
}

/// The headings of a page, and the place of its generated part.
fn check_page(page: &str, text: &str) -> Vec<Violation> {
    let violation = |line, advice: String| Violation::new(page, line, "page", advice);
    let mut wanted = HEADINGS.iter().peekable();
    let mut in_code = false;
    let mut last = 1;
    for (number, line) in numbered(text) {
        in_code ^= line.starts_with("```");
        if !in_code && wanted.peek().is_some_and(|heading| **heading == line) {
            wanted.next();
            last = number;
        }
    }
    let missing = wanted.next().map(|heading| {
        violation(last, format!("the heading {heading:?} is missing, or not in its place"))
    });
    let mut violations: Vec<Violation> = missing.into_iter().collect();
    let keys = text.find(HEADINGS[1]).zip(text.find(HEADINGS[2]));
    let is_in_place = docs::generated(text)
        .zip(keys)
        .is_some_and(|(range, (begin, end))| begin < range.start && range.end < end);
    if !is_in_place {
        let advice =
            format!("below {:?}, put {}, and run `cargo xtask docs`", HEADINGS[1], docs::MARKS);
        violations.push(violation(last, advice));
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

    /// A page with these headings, and a generated part below the second.
    fn page(headings: &[&str]) -> String {
        let part = |(index, heading): (usize, &&str)| {
            let generated = if index == 1 { docs::MARKS } else { "" };
            format!("{heading}\n\n{generated}\n")
        };
        headings.iter().enumerate().map(part).collect()
    }

    #[test]
    fn headings_have_their_order_and_keys_are_generated() {
        let count = |text: &str| check_page("a.md", text).len();
        assert_eq!(count(&page(&HEADINGS)), 0);
        let [example, keys, makes, verbs, different] = HEADINGS;
        assert_eq!(count(&page(&[example, keys, "## More", makes, verbs, different])), 0);
        assert_eq!(count(&page(&[example, keys, makes, different, verbs])), 1);
        assert_eq!(count(&page(&[example, keys, makes, verbs])), 1);
        assert_eq!(count(&page(&[keys, example, makes, verbs, different])), 1);
        assert_eq!(count(&page(&HEADINGS).replace(docs::MARKS, "")), 1);
        assert_eq!(count(&format!("```\n{}```\n", page(&HEADINGS))), 1);
    }

    #[test]
    fn a_plugin_without_a_page_is_noticed() {
        let table =
            "Plugin { name: \"bridge\", kind: A },\nPlugin { name: \"static\", kind: B },\n";
        let mut files = Files {
            sources: vec![Source::new(TABLE, table)],
            texts: vec![("docs/plugins/bridge.md".to_owned(), page(&HEADINGS))],
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
