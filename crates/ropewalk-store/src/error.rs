//! Why a file could not be used.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// A file operation that failed. Displays as `open /some/file: no such file or directory`.
#[derive(Debug)]
pub struct StoreError {
    /// What was tried: `open`, `write`, `lock`.
    pub operation: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// Why it failed.
    pub source: io::Error,
}

impl StoreError {
    pub(crate) fn new(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self { operation, path: path.to_owned(), source }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = self.source.to_string();
        let reason = reason.split(" (os error").next().unwrap_or_default().to_lowercase();
        write!(f, "{} {}: {reason}", self.operation, self.path.display())?;
        match self.source.kind() {
            io::ErrorKind::StorageFull => f.write_str("; hint: free space on that file system"),
            io::ErrorKind::ReadOnlyFilesystem => {
                f.write_str("; hint: mount it writable, or set dataDir to a writable directory")
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
