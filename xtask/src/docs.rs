//! The task `docs`: what the pages of the plugins say about keys is written by the command itself.
//!
//! The rest of a page is written by hand, and never touched.

use std::{fs, path::Path};

use crate::{Workspace, console::say, process, tidy};

/// The folder of the pages.
const FOLDER: &str = "docs/plugins";

/// The types of the page.
const TYPES: &str = "ui/src/api.ts";

/// What stands before and behind that which is written here.
const BEGIN: &str = "<!-- generated: cargo xtask docs -->";
const END: &str = "<!-- end of generated -->";

/// Both, as they stand on a page that is new.
pub(crate) const MARKS: &str = "<!-- generated: cargo xtask docs --><!-- end of generated -->";

/// The task: writes all pages and says which have changed.
pub fn run() -> bool {
    match write(&Workspace::root()) {
        Ok(text) => {
            say(&text);
            true
        }
        Err(error) => {
            say(&format!("docs: FAILED: {error}"));
            false
        }
    }
}

fn write(root: &Path) -> Result<String, String> {
    let mut changed = Vec::new();
    let plugins = tidy::plugins(root)?;
    let pages = plugins.iter().map(|plugin| (plugin.as_str(), vec![plugin.as_str()]));
    for (page, words) in pages.chain([("README", Vec::new())]) {
        let path = format!("{FOLDER}/{page}.md");
        let text = fs::read_to_string(root.join(&path))
            .map_err(|error| format!("failed to read {path}: {error}"))?;
        let run = ["run", "--quiet", "--package", "ropewalk-cli", "--", "schema", "--markdown"];
        let generated = process::output(process::cargo(root).args(run).args(words))?;
        let new = replace(&text, &generated)
            .ok_or_else(|| format!("{path} must have the lines {BEGIN} and {END}"))?;
        if new != text {
            fs::write(root.join(&path), new)
                .map_err(|error| format!("failed to write {path}: {error}"))?;
            changed.push(path);
        }
    }
    if write_types(root)? {
        changed.push(TYPES.to_owned());
    }
    if changed.is_empty() {
        return Ok("every page was up to date".to_owned());
    }
    Ok(format!("written: {}", changed.join(", ")))
}

/// What the page knows of the documents of its server; whether that has changed.
fn write_types(root: &Path) -> Result<bool, String> {
    let run = ["run", "--quiet", "--package", "ropewalk-cli", "--", "ui", "--types"];
    let types = process::output(process::cargo(root).args(run))?;
    let is_new = fs::read_to_string(root.join(TYPES)).ok().as_ref() != Some(&types);
    if is_new {
        fs::write(root.join(TYPES), types)
            .map_err(|error| format!("failed to write {TYPES}: {error}"))?;
    }
    Ok(is_new)
}

/// Where the generated part of a page is, marks excluded; `None` if it is not there once.
pub(crate) fn generated(page: &str) -> Option<std::ops::Range<usize>> {
    let once = |mark| page.find(mark).filter(|_| page.matches(mark).count() == 1);
    let (begin, end) = (once(BEGIN)? + BEGIN.len(), once(END)?);
    (begin <= end).then_some(begin..end)
}

fn replace(page: &str, with: &str) -> Option<String> {
    let range = generated(page)?;
    Some(format!("{}\n\n{}\n\n{}", &page[..range.start], with.trim(), &page[range.end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let page = format!("a\n\n{BEGIN}\nold\n{END}\n\nb\n");
        let new = replace(&page, "new\n").unwrap();
        assert_eq!(new, format!("a\n\n{BEGIN}\n\nnew\n\n{END}\n\nb\n"));
        assert_eq!(replace(&new, "new\n").unwrap(), new);
    }

    #[test]
    fn a_page_without_marks_or_with_two_is_refused() {
        for page in [String::new(), format!("{END} {BEGIN}"), format!("{BEGIN} {BEGIN} {END}")] {
            assert_eq!(replace(&page, "new"), None, "{page}");
        }
    }
}
