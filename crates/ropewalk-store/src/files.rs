//! The files of a lease directory, one by one: what is in them and what they are called.

use std::{
    fs::{self, File},
    net::IpAddr,
    os::{fd::OwnedFd, unix::fs::FileExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, StatxFlags},
    io::Errno,
};

use crate::{Holder, Lease, StateFile, StoreError};

/// Longer than what is in any file here, in bytes.
const LONGEST: usize = 4096;

pub(crate) fn boot_file(directory: &Path) -> StateFile {
    StateFile::new(directory, "boot_id", "host-local")
}

pub(crate) fn last_reserved_path(directory: &Path, range_set: usize) -> PathBuf {
    directory.join(format!("last_reserved_ip.{range_set}"))
}

/// The file that tells the address given last from a range set.
#[derive(Debug)]
pub(crate) struct LastReserved {
    file: OwnedFd,
    content: Vec<u8>,
}

impl LastReserved {
    /// Opens the file, for writing if that is allowed, and reads it.
    pub(crate) fn open(directory: &Path, range_set: usize) -> Result<Self, Errno> {
        let path = last_reserved_path(directory, range_set);
        let open =
            |how| rustix::fs::open(&path, how | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty());
        let file = match open(OFlags::RDWR) {
            Err(Errno::ACCESS | Errno::PERM | Errno::ROFS) => open(OFlags::RDONLY)?,
            file => file?,
        };
        let content = beginning(&file)?;
        Ok(Self { file, content })
    }

    pub(crate) fn create(directory: &Path, range_set: usize) -> Result<Self, Errno> {
        let path = last_reserved_path(directory, range_set);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?;
        Ok(Self { file, content: Vec::new() })
    }

    /// The address; `None` if the file tells none.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        str::from_utf8(&self.content).ok()?.trim().parse().ok()
    }

    /// Writes an address. In place: truncating first makes ext4 flush the file when it is closed,
    /// which costs more than all the rest of an ADD.
    pub(crate) fn write(&self, ip: IpAddr) -> Result<(), Errno> {
        let text = ip.to_string();
        rustix::io::retry_on_intr(|| rustix::io::pwrite(&self.file, text.as_bytes(), 0))?;
        if self.content.len() > text.len() {
            rustix::fs::ftruncate(&self.file, text.len() as u64)?;
        }
        Ok(())
    }
}

/// The beginning of a file, which is all that counts.
fn read(path: &Path) -> Result<Vec<u8>, Errno> {
    beginning(&rustix::fs::open(
        path,
        OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW,
        Mode::empty(),
    )?)
}

fn beginning(file: &OwnedFd) -> Result<Vec<u8>, Errno> {
    let mut bytes = [0; LONGEST];
    let length = rustix::io::retry_on_intr(|| rustix::io::read(file, &mut bytes))?;
    Ok(bytes[..length].to_vec())
}

/// The lease in a file; `None` if nobody has the address.
pub(crate) fn read_lease(path: &Path, ip: IpAddr) -> Result<Option<Lease>, StoreError> {
    match read(path) {
        Ok(content) => {
            Ok(Some(Lease { ip, holder: Holder::parse(&String::from_utf8_lossy(&content)) }))
        }
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(StoreError::new("open", path, error.into())),
    }
}

/// Writes a lease; `false` if there is one.
pub(crate) fn write_lease(
    directory: &Path,
    ip: IpAddr,
    holder: &Holder,
) -> Result<bool, StoreError> {
    let path = directory.join(ip.to_string());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = match rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => File::from(file),
        Err(Errno::EXIST) => return Ok(false),
        Err(error) => return Err(StoreError::new("open", &path, error.into())),
    };
    file.write_all_at(holder.text().as_bytes(), 0).map_err(|error| {
        // A reservation without its holder could never be released.
        let _ = fs::remove_file(&path);
        StoreError::new("write", &path, error)
    })?;
    Ok(true)
}

/// Whether nobody has written into a reservation since it was made. A file system that does not tell
/// when that was makes all of them so.
pub(crate) fn is_unwritten(path: &Path) -> bool {
    let wanted = StatxFlags::BTIME | StatxFlags::MTIME;
    let Ok(found) = rustix::fs::statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, wanted) else {
        return false;
    };
    let moment = |time: &rustix::fs::StatxTimestamp| (time.tv_sec, time.tv_nsec);
    let tells = StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::BTIME);
    !tells || moment(&found.stx_btime) == moment(&found.stx_mtime)
}

pub(crate) fn read_leases(directory: &Path) -> Result<Vec<Lease>, StoreError> {
    let failed = |error| StoreError::new("open", directory, error);
    let mut leases = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Some(ip) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        // It may have been released since, by one who does not lock.
        leases.extend(read_lease(&entry.path(), ip)?);
    }
    leases.sort_by_key(|lease| lease.ip);
    Ok(leases)
}
