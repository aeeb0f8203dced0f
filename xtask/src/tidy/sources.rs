//! The shape of Rust sources: how they open, how long they are, what they do without.

use super::Violation;
use crate::source::{Source, has_word, numbered};

/// Lines of a file and of a function.
const LONGEST_FILE: usize = 500;
const LONGEST_FUNCTION: usize = 120;

/// Files that may be longer, with the reason. Tables alone belong here.
const LONG_FILES: &[(&str, &str)] = &[];

/// Marks of unfinished work.
const MARKS: [&str; 3] = ["TODO", "FIXME", "XXX"];

pub(super) fn check(sources: &[Source]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for source in sources {
        violations.extend(check_opening(source));
        violations.extend(check_length(source));
        violations.extend(check_functions(source));
        violations.extend(check_allowances(source));
        violations.extend(check_marks(source));
        violations.extend(check_pauses(source));
    }
    violations
}

fn check_opening(source: &Source) -> Option<Violation> {
    let advice = "begin the file with `//!`: what it is for, and what it must never do";
    let is_open = source.text.starts_with("//! ");
    (!is_open).then(|| Violation::new(&source.path, 1, "opening", advice))
}

fn check_length(source: &Source) -> Option<Violation> {
    let lines = source.text.lines().count();
    let is_excepted = LONG_FILES.iter().any(|(path, _)| *path == source.path);
    let advice = || format!("{lines} lines, at most {LONGEST_FILE} are allowed; split it");
    let is_long = lines > LONGEST_FILE && !is_excepted;
    is_long.then(|| Violation::new(&source.path, LONGEST_FILE + 1, "file length", advice()))
}

/// rustfmt puts the brace that ends a function below the start of its first line.
fn check_functions(source: &Source) -> Vec<Violation> {
    let lines: Vec<&str> = source.code.lines().collect();
    let mut violations = Vec::new();
    for (start, line) in lines.iter().enumerate().filter(|(_, line)| is_function(line)) {
        let Some(head) = lines[start..].iter().position(|line| ends_head(line)) else { continue };
        if !lines[start + head].trim_end().ends_with('{') {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let end = format!("{}}}", &line[..indent]);
        let Some(length) = lines[start..].iter().position(|line| line.trim_end() == end) else {
            continue;
        };
        if length + 1 > LONGEST_FUNCTION {
            let count = length + 1;
            let advice =
                format!("{count} lines, at most {LONGEST_FUNCTION} are allowed; split it in two");
            violations.push(Violation::new(&source.path, start + 1, "function length", advice));
        }
    }
    violations
}

fn is_function(line: &str) -> bool {
    let before_name = line.trim_start().split("fn ").next().unwrap_or_default();
    let is_qualifier = |word: &str| {
        word.starts_with("pub") || ["const", "async", "unsafe", "extern", "in"].contains(&word)
    };
    has_word(line, "fn")
        && before_name.split_whitespace().all(|word| is_qualifier(word) || word.ends_with(')'))
}

fn ends_head(line: &str) -> bool {
    line.trim_end().ends_with(['{', ';', '}'])
}

fn check_allowances(source: &Source) -> Vec<Violation> {
    let is_allowance = |line: &str| line.contains("#[allow(") || line.contains("#![allow(");
    let lines = numbered(&source.code).filter(|(_, line)| is_allowance(line));
    let advice = "write `#[expect(…, reason = \"…\")]`, which tells when it is no longer needed";
    lines.map(|(line, _)| Violation::new(&source.path, line, "allow", advice)).collect()
}

fn check_marks(source: &Source) -> Vec<Violation> {
    let marked = |line: &str| MARKS.iter().any(|mark| has_word(line, mark));
    let lines = numbered(&source.comments).filter(|(_, line)| marked(line));
    let advice = "finish it, or open an issue and take the comment out";
    lines.map(|(line, _)| Violation::new(&source.path, line, "unfinished", advice)).collect()
}

fn check_pauses(source: &Source) -> Vec<Violation> {
    let pauses = |line: &str| line.contains("sleep(") && has_word(line, "sleep");
    let lines = source.test_lines().filter(|(_, line)| pauses(line));
    let advice = "tests do not sleep; wait for the event itself, with a deadline";
    lines.map(|(line, _)| Violation::new(&source.path, line, "sleep", advice)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<(usize, &'static str)> {
        let violations = check(&[Source::new(path, text)]);
        violations.iter().map(|violation| (violation.line, violation.rule)).collect()
    }

    #[test]
    fn files_say_what_they_are_for() {
        assert_eq!(rules("a.rs", "//! A.\n"), []);
        assert_eq!(rules("a.rs", "use std::fmt;\n"), [(1, "opening")]);
        assert_eq!(rules("a.rs", ""), [(1, "opening")]);
    }

    #[test]
    fn long_files_are_noticed() {
        let text = |lines: usize| format!("//! A.\n{}", "\n".repeat(lines - 1));
        assert_eq!(rules("a.rs", &text(500)), []);
        assert_eq!(rules("a.rs", &text(501)), [(501, "file length")]);
    }

    #[test]
    fn long_functions_are_noticed() {
        let text = |head: &str, lines: usize| {
            let body = "        call();\n".repeat(lines - 2);
            format!("//! A.\nimpl A {{\n    {head} {{\n{body}    }}\n}}\n")
        };
        let head = "pub(crate) const fn a(b: &str) -> C";
        assert_eq!(rules("a.rs", &text(head, 120)), []);
        assert_eq!(rules("a.rs", &text(head, 121)), [(3, "function length")]);
        let split = "fn a(\n        b: &str,\n    ) -> C";
        assert_eq!(rules("a.rs", &text(split, 121)), [(3, "function length")]);
        let declared = "//! A.\ntrait A {\n    fn a(&self);\n}\n";
        assert_eq!(rules("a.rs", declared), []);
        let argument = "//! A.\nstruct A {\n    act: fn(u8) -> u8,\n}\n";
        assert_eq!(rules("a.rs", argument), []);
    }

    #[test]
    fn allowances_marks_and_pauses_are_noticed() {
        assert_eq!(rules("a.rs", "//! A.\n#[allow(dead_code)]\n"), [(2, "allow")]);
        assert_eq!(rules("a.rs", "//! A.\nfields.allow(&[]);\n"), []);
        assert_eq!(rules("a.rs", "//! A.\n// TODO: later\n"), [(2, "unfinished")]);
        assert_eq!(rules("a.rs", "//! A.\nlet name = \"TODO\";\n"), []);
        let pause = "//! A.\nthread::sleep(SECOND);\n";
        assert_eq!(rules("e2e/tests/a.rs", pause), [(2, "sleep")]);
        assert_eq!(rules("crates/a/src/a.rs", pause), []);
    }
}
