//! Every numbered case of docs/conformance.md has a black-box test that carries its number, or
//! stands in the page's section of those that have none.

use super::{Violation, files::Files};
use crate::source::{Source, numbered};

const PAGE: &str = "docs/conformance.md";
const TESTS: &str = "e2e/tests/";
/// The section of the cases without a test.
const UNTESTED: &str = "## Not tested";
/// How many cases there are.
const COUNT: u32 = 328;

/// A line of the table of groups, as `| BR | 114–157 | bridge |`.
struct Group {
    line: usize,
    name: String,
    first: u32,
    last: u32,
}

pub(super) fn check(files: &Files) -> Vec<Violation> {
    let Some(page) = files.text(PAGE) else {
        return vec![violation(1, "there is no such page".to_owned())];
    };
    let groups: Vec<Group> = numbered(page).filter_map(group).collect();
    let untested = page.split_once(UNTESTED).map_or("", |(_, section)| section);
    let mut violations = check_order(&groups);
    for group in &groups {
        for number in group.first..=group.last {
            let listed = format!("{} {number}", group.name);
            if !is_tested(&files.sources, &group.name, number) && !untested.contains(&listed) {
                let prefix = group.name.to_lowercase();
                violations.push(violation(
                    group.line,
                    format!("case {listed} has no test: write `fn {prefix}_{number}_…` in {TESTS}"),
                ));
            }
        }
    }
    violations
}

fn violation(line: usize, advice: String) -> Violation {
    Violation::new(PAGE, line, "case", advice)
}

fn group((line, text): (usize, &str)) -> Option<Group> {
    let mut cells = text.strip_prefix("| ")?.split(" | ");
    let (name, range) = (cells.next()?, cells.next()?);
    let (first, last) = range.split_once('–')?;
    let is_name = name.bytes().all(|byte| byte.is_ascii_uppercase());
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    is_name.then(|| Group { line, name: name.to_owned(), first, last })
}

/// The groups follow each other without a gap, from the first case to the last.
fn check_order(groups: &[Group]) -> Vec<Violation> {
    let mut next = 1;
    let mut violations = Vec::new();
    for group in groups {
        if group.first != next {
            let advice = format!("group {} begins with {}, not {next}", group.name, group.first);
            violations.push(violation(group.line, advice));
        }
        next = group.last + 1;
    }
    if next != COUNT + 1 {
        violations.push(violation(1, format!("the groups end with {}, not {COUNT}", next - 1)));
    }
    violations
}

fn is_tested(sources: &[Source], group: &str, number: u32) -> bool {
    let start = format!("fn {}_{number}_", group.to_lowercase());
    let tests = sources.iter().filter(|source| source.path.starts_with(TESTS));
    tests.into_iter().any(|source| source.text.contains(&start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(page: &str, tests: &str) -> Vec<String> {
        let files = Files {
            sources: vec![Source::new("e2e/tests/a.rs", tests.to_owned())],
            texts: vec![(PAGE.into(), page.into())],
        };
        check(&files).into_iter().map(|violation| violation.advice).collect()
    }

    #[test]
    fn a_case_without_a_test_is_told_unless_the_page_says_why() {
        let page =
            "| Group | Numbers | About |\n|---|---|---|\n| P | 1–3 | x |\n| BR | 4–328 | y |\n";
        let others = (4..=328).map(|number| format!("fn br_{number}_x() {{}}"));
        let first = ["p_1_x", "p_3_y"].map(|name| format!("fn {name}() {{}}"));
        let tests = first.into_iter().chain(others).collect::<Vec<_>>().join("\n");
        let missing = "case P 2 has no test: write `fn p_2_…` in e2e/tests/";
        assert_eq!(advice(page, &tests), [missing]);
        assert!(advice(&format!("{page}\n## Not tested\n\n| P 2 | why |\n"), &tests).is_empty());
    }

    #[test]
    fn groups_have_no_gap() {
        let found = advice("| P | 1–3 | x |\n| BR | 5–6 | y |\n", "");
        assert!(found.contains(&"group BR begins with 5, not 4".to_owned()), "{found:?}");
        assert!(found.contains(&"the groups end with 6, not 328".to_owned()), "{found:?}");
    }
}
