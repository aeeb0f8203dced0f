//! The task `tidy`: rules of the tree that the compiler does not know.
//!
//! A rule is a function from what was read to violations. It must never change anything.

mod arrows;
mod cases;
mod files;
mod manifests;
mod pages;
mod purity;
mod sources;
mod traces;

use std::{fmt, path::Path};

use crate::{Workspace, console::say};

/// Something that has to be changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The file, relative to the root.
    pub file: String,
    /// The line; 1 for the file as a whole.
    pub line: usize,
    /// Which rule, as one word or two.
    pub rule: &'static str,
    /// What is wrong and what to do.
    pub advice: String,
}

impl Violation {
    fn new(file: &str, line: usize, rule: &'static str, advice: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, rule, advice: advice.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.file, self.line, self.rule, self.advice)
    }
}

/// Checks every rule on the tree below a directory.
pub fn check(root: &Path) -> Result<Vec<Violation>, String> {
    let files = files::read(root)?;
    let workspace = Workspace::read(root)?;
    let mut violations = arrows::check(&workspace);
    violations.extend(arrows::check_plugin_tree(&arrows::plugin_tree(root)?));
    violations.extend(manifests::check(&workspace, &files));
    violations.extend(purity::check(&files.sources));
    violations.extend(sources::check(&files.sources));
    violations.extend(pages::check(&files));
    violations.extend(cases::check(&files));
    violations.extend(traces::check(&files));
    violations.sort();
    Ok(violations)
}

/// The names of all plugins.
pub(crate) fn plugins(root: &Path) -> Result<Vec<String>, String> {
    let files = files::read(root)?;
    Ok(pages::plugins(&files).into_iter().map(|(_, plugin)| plugin.to_owned()).collect())
}

/// Checks and prints every violation.
pub(crate) fn check_and_tell(root: &Path) -> Result<String, String> {
    let violations = check(root)?;
    for violation in &violations {
        say(&violation.to_string());
    }
    match violations.len() {
        0 => Ok("every rule is kept".to_owned()),
        1 => Err("1 violation".to_owned()),
        count => Err(format!("{count} violations")),
    }
}

/// The task.
pub fn run() -> bool {
    let result = check_and_tell(&Workspace::root());
    say(&match &result {
        Ok(text) => format!("tidy: {text}"),
        Err(text) => format!("tidy: FAILED: {text}"),
    });
    result.is_ok()
}
