//! One small file that is replaced as a whole or not at all.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use crate::StoreError;

/// A file, mode 0600, in a directory, mode 0700, that is made when first needed.
#[derive(Clone, Debug)]
pub struct StateFile {
    path: PathBuf,
    temporary: PathBuf,
}

impl StateFile {
    /// The file of this name in this directory. `writer` is part of the name of the file in which
    /// a new content is written before it replaces the old one, so that what a killed writer
    /// leaves can be told from others', see [`StateFile::temporary_name`]. Neither contains `/`.
    pub fn new(directory: &Path, name: &str, writer: &str) -> Self {
        debug_assert!(!name.contains('/'), "{name:?} would leave the directory");
        let temporary = directory.join(Self::temporary_name(name, writer));
        Self { path: directory.join(name), temporary }
    }

    /// The name of the file that a writer makes for a file of this name.
    pub fn temporary_name(name: &str, writer: &str) -> String {
        format!(".{name}.{writer}.tmp")
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its content; `None` if it does not exist.
    pub fn read(&self) -> Result<Option<String>, StoreError> {
        match fs::read_to_string(&self.path) {
            Ok(text) => Ok(Some(text)),
            // Under a name that is too long for the disk there was never a file.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::InvalidFilename
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(StoreError::new("open", &self.path, error)),
        }
    }

    /// Replaces its content: readers see the old one or the new one, also after a crash.
    pub fn write(&self, content: &str) -> Result<(), StoreError> {
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|error| StoreError::new("mkdir", directory, error))?;
        let temporary = &self.temporary;
        let written =
            write_new(temporary, content).and_then(|()| fs::rename(temporary, &self.path));
        written.map_err(|error| {
            // The error that counts is the first one; a temporary file that cannot be removed
            // is never read.
            let _ = fs::remove_file(temporary);
            StoreError::new("write", &self.path, error)
        })
    }

    /// Removes it, and what a writer who was killed has left of it; absent is fine.
    pub fn remove(&self) -> Result<(), StoreError> {
        for path in [&self.temporary, &self.path] {
            // On a read-only disk the kernel refuses before it looks.
            if let Err(error) = fs::remove_file(path)
                && fs::symlink_metadata(path).is_ok()
            {
                return Err(StoreError::new("remove", path, error));
            }
        }
        Ok(())
    }
}

fn write_new(path: &Path, content: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file: File = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(content.as_bytes())?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_nothing_under_a_name_that_is_too_long() {
        let file = StateFile::new(&std::env::temp_dir(), &"a".repeat(256), "x");
        assert_eq!(file.read().unwrap(), None);
        file.remove().unwrap();
        file.write("content").unwrap_err();
    }
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_state_file_is_private_replaced_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        let file = StateFile::new(&directory.path().join("state"), "c1_eth0.json", "lan");
        assert_eq!(file.read().unwrap(), None);
        file.write("first, and longer").unwrap();
        file.write("second").unwrap();
        assert_eq!(file.read().unwrap().as_deref(), Some("second"));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(file.path()), 0o600);
        assert_eq!(mode(file.path().parent().unwrap()), 0o700);
        file.remove().unwrap();
        file.remove().unwrap();
        assert_eq!(fs::read_dir(file.path().parent().unwrap()).unwrap().count(), 0);
    }
}
