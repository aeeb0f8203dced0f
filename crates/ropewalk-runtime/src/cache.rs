//! The records of attachments: one file for each, where libcni keeps them.
//!
//! A record is replaced as a whole (a temporary file, flushed, renamed), so a crash leaves the old
//! one or the new one. Names that would lead out of the folder are never turned into paths. It must
//! never know what a plugin is.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ropewalk_cni::cache::file_name;
use ropewalk_cni::{CacheEntry, CniError};

use crate::exec::reason;

/// Where records are unless somebody says otherwise.
pub const DEFAULT_CACHE_DIR: &str = "/var/lib/cni";

/// A record that could not be read, written or removed.
#[derive(Debug)]
pub struct CacheError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl CacheError {
    /// Whether this user may not do that.
    pub fn is_permission_denied(&self) -> bool {
        self.source.kind() == io::ErrorKind::PermissionDenied
    }
}

impl fmt::Display for CacheError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (action, path) = (self.action, self.path.display());
        write!(formatter, "failed to {action} {path}: {}", reason(&self.source))
    }
}

impl std::error::Error for CacheError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Every record that could be read, and those that could not.
#[derive(Debug, Default)]
pub struct Records {
    /// In the order of their file names.
    pub entries: Vec<CacheEntry>,
    /// Files that are no records of this format, with the reason.
    pub unreadable: Vec<(PathBuf, CniError)>,
}

/// A folder of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    results: PathBuf,
    locks: PathBuf,
}

impl Default for Cache {
    fn default() -> Self {
        Self::new(DEFAULT_CACHE_DIR)
    }
}

impl Cache {
    /// The records below a folder, in its sub-folder `results`; `locks` has a file for each
    /// network.
    pub fn new(directory: impl AsRef<Path>) -> Self {
        let directory = directory.as_ref();
        Self { results: directory.join("results"), locks: directory.join("locks") }
    }

    /// The folder with the files.
    pub fn results_directory(&self) -> &Path {
        &self.results
    }

    /// The file of an attachment; `None` when a name cannot be part of a file name.
    pub fn path(&self, network: &str, container_id: &str, ifname: &str) -> Option<PathBuf> {
        let is_name = |part: &str| !part.is_empty() && !part.contains(['/', '\0']);
        let is_safe = [network, container_id, ifname].into_iter().all(is_name);
        is_safe.then(|| self.results.join(file_name(network, container_id, ifname)))
    }

    /// The text of a record; `None` when there is none.
    pub fn read(
        &self,
        network: &str,
        container_id: &str,
        ifname: &str,
    ) -> Result<Option<Vec<u8>>, CacheError> {
        let Some(path) = self.path(network, container_id, ifname) else { return Ok(None) };
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(CacheError { action: "read record", path, source }),
        }
    }

    /// Writes a record in place of the one before.
    pub fn write(&self, entry: &CacheEntry) -> Result<(), CacheError> {
        let path = self.path(&entry.network_name, &entry.container_id, &entry.if_name);
        let path = path.ok_or_else(|| CacheError {
            action: "write record in",
            path: self.results.clone(),
            source: io::ErrorKind::InvalidFilename.into(),
        })?;
        self.replace(&path, entry.to_json().as_bytes()).map_err(|source| CacheError {
            action: "write record",
            path,
            source,
        })
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.results)?;
        let temporary = temporary_name(path);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        // Whoever may write into the folder must not lead us out of it.
        options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
        let mut file = options.open(&temporary)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_data());
        let renamed = written.and_then(|()| fs::rename(&temporary, path));
        if renamed.is_err() {
            // The error that led here is the one to report.
            let _ = fs::remove_file(&temporary);
        }
        renamed?;
        File::open(&self.results)?.sync_all()
    }

    /// Removes a record; one that is not there is fine.
    pub fn remove(
        &self,
        network: &str,
        container_id: &str,
        ifname: &str,
    ) -> Result<(), CacheError> {
        let Some(path) = self.path(network, container_id, ifname) else { return Ok(()) };
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(CacheError { action: "remove record", path, source })
            }
            _ => Ok(()),
        }
    }

    /// When a record was written; `None` if there is none.
    pub(crate) fn written(
        &self,
        network: &str,
        container_id: &str,
        ifname: &str,
    ) -> Option<SystemTime> {
        let path = self.path(network, container_id, ifname)?;
        fs::metadata(path).and_then(|file| file.modified()).ok()
    }

    /// For ADD and DEL: waits until no GC of the network is under way, and keeps any from beginning
    /// until the answer is dropped.
    pub(crate) fn lock_shared(&self, network: &str) -> Result<Option<File>, CacheError> {
        self.lock(network, File::lock_shared)
    }

    /// For GC: waits until no other verb of the network is under way, and keeps any from beginning
    /// until the answer is dropped.
    pub(crate) fn lock_alone(&self, network: &str) -> Result<Option<File>, CacheError> {
        self.lock(network, File::lock)
    }

    /// Where the file cannot be made nothing is locked: neither can a record, so that ADD fails
    /// anyway, and DEL has to go as far as it can. A network's name that is no file name is refused
    /// elsewhere.
    fn lock(
        &self,
        network: &str,
        lock: fn(&File) -> io::Result<()>,
    ) -> Result<Option<File>, CacheError> {
        if network.is_empty() || network.contains(['/', '\0']) {
            return Ok(None);
        }
        let path = self.locks.join(format!("{network}.lock"));
        // Why there is no folder is what opening the file will say.
        let _ = DirBuilder::new().recursive(true).mode(0o700).create(&self.locks);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600);
        let Ok(file) = options.open(&path) else { return Ok(None) };
        lock(&file).map_err(|source| CacheError { action: "lock", path, source })?;
        Ok(Some(file))
    }

    /// All records. A folder that does not exist has none.
    pub fn records(&self) -> Result<Records, CacheError> {
        let failed =
            |source| CacheError { action: "list records in", path: self.results.clone(), source };
        let mut records = Records::default();
        for path in files_of(&self.results).map_err(failed)? {
            match read_entry(&path) {
                Ok(entry) => records.entries.push(entry),
                Err(error) => records.unreadable.push((path, error)),
            }
        }
        Ok(records)
    }
}

/// Names that begin with a dot are not records: no network's name does.
fn temporary_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.new"))
}

/// The files of a folder by name, without hidden ones and sub-folders.
fn files_of(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry?;
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if !is_hidden && !entry.file_type()?.is_dir() {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn read_entry(path: &Path) -> Result<CacheEntry, CniError> {
    let bytes = fs::read(path).map_err(|error| CniError::internal(reason(&error)))?;
    let entry = CacheEntry::from_json("", &bytes)?;
    let is_complete = [&entry.network_name, &entry.container_id, &entry.if_name]
        .into_iter()
        .all(|part| !part.is_empty());
    if is_complete { Ok(entry) } else { Err(CniError::internal("incomplete record")) }
}

#[cfg(test)]
mod tests;
