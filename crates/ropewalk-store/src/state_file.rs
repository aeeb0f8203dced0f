//! One small file that is replaced as a whole or not at all.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::{fs::OFlags, io::Errno};

use crate::StoreError;

/// No file of ours is as long, in bytes; what is behind it is not read.
const LONGEST: u64 = 1024 * 1024;

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

    /// Its content; `None` if it does not exist. What is no text is damaged, and read as if it were.
    /// A symbolic link is none of ours and is not followed.
    pub fn read(&self) -> Result<Option<String>, StoreError> {
        let read = || {
            let file = not_following(&mut File::options()).read(true).open(&self.path)?;
            let mut bytes = Vec::new();
            file.take(LONGEST).read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        match read() {
            Ok(text) => Ok(Some(text)),
            Err(error) if Errno::from_io_error(&error) == Some(Errno::LOOP) => Ok(None),
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

/// Whoever may write into the directory must not lead us out of it.
fn not_following(options: &mut OpenOptions) -> &mut OpenOptions {
    options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
}

fn write_new(path: &Path, content: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file: File = not_following(&mut options).open(path)?;
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

    #[test]
    fn a_symbolic_link_leads_nowhere_and_what_is_no_text_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let victim = directory.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        let file = StateFile::new(&directory.path().join("state"), "c1.json", "lan");
        file.write("first").unwrap();
        file.remove().unwrap();
        std::os::unix::fs::symlink(&victim, file.path()).unwrap();
        assert_eq!(file.read().unwrap(), None);
        file.write("second").unwrap();
        assert_eq!(file.read().unwrap().as_deref(), Some("second"));
        let temporary = file.path().with_file_name(StateFile::temporary_name("c1.json", "lan"));
        std::os::unix::fs::symlink(&victim, &temporary).unwrap();
        file.write("third").unwrap_err();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        file.write("third").unwrap();
        fs::write(file.path(), [0xff, b'x']).unwrap();
        assert_eq!(file.read().unwrap().as_deref(), Some("\u{fffd}x"));
        file.remove().unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    }
}
