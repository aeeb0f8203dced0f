//! Findings for people: what, where, why it matters, what to do.

use std::fmt::Write as _;

use ropewalk_topology::doctor::{Finding, Severity};
use ropewalk_topology::terminal::line;

use super::Look;

/// How wide a line may be before it is folded.
const WIDTH: usize = 100;

/// Where the second column begins.
const INDENT: usize = 12;

pub(super) fn report(look: &Look) -> String {
    let mut text = String::new();
    for finding in &look.findings {
        text.push_str(&block(finding));
        text.push('\n');
    }
    for unread in &look.unread {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "not read: {}", line(unread));
    }
    let fixable = look.findings.iter().filter(|finding| finding.mend.is_some()).count();
    // As above.
    let _ = match fixable {
        0 => writeln!(text, "{}", summary(look)),
        _ => writeln!(text, "{}; \"--fix\" mends {fixable}", summary(look)),
    };
    text
}

fn block(finding: &Finding) -> String {
    let check = finding.check;
    let mut text =
        format!("{:<INDENT$}{}  {}\n", check.severity.name(), check.name, line(&finding.object));
    for (label, words) in
        [("read", finding.evidence.as_str()), ("so", check.consequence), ("do", &finding.command)]
    {
        // A command is copied, and must stay in one line.
        let words = line(words);
        let lines = if label == "do" { vec![words.into_owned()] } else { folded(&words) };
        for (number, one) in lines.iter().enumerate() {
            let label = if number == 0 { label } else { "" };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {label:<width$}{one}", width = INDENT - 2);
        }
    }
    text
}

/// Words in lines.
fn folded(words: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words.split(' ') {
        let is_full = lines.last().is_some_and(|line| {
            !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH - INDENT
        });
        if is_full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

fn summary(look: &Look) -> String {
    let count = |severity: Severity| {
        look.findings.iter().filter(|finding| finding.check.severity == severity).count()
    };
    let namespaces = plural(look.namespaces, "namespace");
    if look.findings.is_empty() {
        return format!("nothing found in {namespaces}");
    }
    let counts =
        [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "note")];
    let counts = counts.map(|(severity, word)| (count(severity), word));
    let parts: Vec<String> = counts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| plural(count, word))
        .collect();
    format!("{} in {namespaces}", parts.join(", "))
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}
