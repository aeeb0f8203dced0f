//! Every file of the tree, read once.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::source::Source;

/// What is not part of the tree, at its top.
const OUTSIDE: [&str; 2] = ["target", ".git"];

/// What npm fetches, wherever it is.
const FETCHED: &str = "node_modules";

/// The files of the tree.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// Rust sources.
    pub(super) sources: Vec<Source>,
    /// Every other file that is text: path and content.
    pub(super) texts: Vec<(String, String)>,
}

impl Files {
    /// The content of a file that is not Rust source.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.texts.iter().find(|(name, _)| name == path).map(|(_, text)| text.as_str())
    }

    /// Path and content of the files that people read.
    pub(super) fn pages(&self) -> impl Iterator<Item = (&str, &str)> {
        let pages = self.texts.iter().filter(|(path, _)| has_extension(path, "md"));
        pages.map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Path and content of all files.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        let sources = self.sources.iter().map(|source| (source.path.as_str(), &*source.text));
        sources.chain(self.texts.iter().map(|(path, text)| (path.as_str(), text.as_str())))
    }
}

/// Whether the name of a file ends like this.
pub(super) fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found == extension)
}

/// Reads the tree below a directory, in the order of the paths.
pub(super) fn read(root: &Path) -> Result<Files, String> {
    let mut paths = Vec::new();
    for path in entries(root)? {
        let name = path.file_name().unwrap_or_default();
        if !OUTSIDE.iter().any(|outside| name == *outside) {
            collect(&path, &mut paths)?;
        }
    }
    paths.sort();
    let mut files = Files::default();
    for path in paths {
        // Whoever edits the tree meanwhile may have removed it; what is not text has no lines.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        if has_extension(&name, "rs") {
            files.sources.push(Source::new(name, text));
        } else {
            files.texts.push((name, text));
        }
    }
    Ok(files)
}

fn collect(path: &Path, paths: &mut Vec<PathBuf>) -> Result<(), String> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
    if path.file_name().is_some_and(|name| name == FETCHED) {
        return Ok(());
    }
    if metadata.is_dir() {
        return entries(path)?.iter().try_for_each(|entry| collect(entry, paths));
    }
    if metadata.is_file() {
        paths.push(path.to_owned());
    }
    Ok(())
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |error| format!("failed to list {}: {error}", directory.display());
    let entries = fs::read_dir(directory).map_err(failed)?;
    Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
}
