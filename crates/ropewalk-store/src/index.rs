//! Who holds which address of a lease directory, in one small file elsewhere, so that nobody has to
//! read all leases. It is a help and never the truth: what it says is looked up in the lease, and
//! it only counts while its stamp is the directory's time of change. Whoever else writes there, the
//! reference plugin or a hand, changes that time, unless it writes into a file that is there; then
//! the leases are read, and the next change of ours writes the index anew. A file that is lost is
//! no loss.
//!
//! The file: a header (seconds as i64, nanoseconds as u32, a number of the format as u32) and
//! records (a hash of the holder as u64, the address as an IPv6 one), all little endian but for
//! addresses. A record of zeros is free.

use std::{
    fs::{DirBuilder, File},
    io,
    net::IpAddr,
    os::unix::fs::{DirBuilderExt, FileExt},
    path::{Path, PathBuf},
    time::SystemTime,
};

use rustix::{
    buffer::spare_capacity,
    fs::{AtFlags, CWD, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_OMIT},
    io::Errno,
};

use crate::{Holder, leases::Lease};

const FORMAT: u32 = 1;
const HEADER: usize = 16;
const RECORD: usize = 24;

/// How much is read at once: a thousand records and more.
const PIECE: usize = 32 * 1024;

/// A record: the hash of a holder, and the address that it has.
type Record = (u64, [u8; 16]);

const FREE: Record = (0, [0; 16]);

/// An index of a directory that nobody else changes meanwhile.
#[derive(Debug)]
pub(crate) struct Index {
    directory: PathBuf,
    path: PathBuf,
    /// The file, if it is as these records say.
    file: Option<File>,
    records: Vec<Record>,
}

impl Index {
    /// The index of a lease directory, if there is one that counts.
    pub(crate) fn open(directory: &Path, indices: &Path) -> Option<Self> {
        let stat = rustix::fs::stat(directory).ok()?;
        let path = indices.join(name(&stat));
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = File::from(rustix::fs::open(&path, flags, Mode::empty()).ok()?);
        let bytes = read_all(&file).ok()?;
        let nanoseconds = i64::try_from(stat.st_mtime_nsec).ok()?;
        let changed = Timespec { tv_sec: stat.st_mtime, tv_nsec: nanoseconds };
        let (found, records) = bytes.split_at_checked(HEADER)?;
        let records = records.chunks_exact(RECORD).map(read).collect();
        let counts = found == header(changed)?;
        counts.then(|| Self { directory: directory.to_owned(), path, file: Some(file), records })
    }

    /// An index of these leases, which are all there are; nothing is written yet.
    pub(crate) fn of(directory: &Path, indices: &Path, leases: &[Lease]) -> Option<Self> {
        let path = indices.join(name(&rustix::fs::stat(directory).ok()?));
        let records = leases.iter().map(|lease| (hash(&lease.holder), octets(lease.ip))).collect();
        Some(Self { directory: directory.to_owned(), path, file: None, records })
    }

    /// The addresses that a holder may have, and no others.
    pub(crate) fn candidates(&self, holder: &Holder) -> Vec<IpAddr> {
        let wanted = hash(holder);
        let own = self.records.iter().filter(|record| record.0 == wanted && **record != FREE);
        own.map(|record| std::net::Ipv6Addr::from(record.1).to_canonical()).collect()
    }

    /// Tells of a lease that was just written.
    pub(crate) fn add(&mut self, ip: IpAddr, holder: &Holder) {
        let record = (hash(holder), octets(ip));
        let slot = self.records.iter().position(|record| *record == FREE);
        let slot = slot.unwrap_or(self.records.len());
        self.records.resize(self.records.len().max(slot + 1), FREE);
        self.put(slot, record);
    }

    /// Tells of a lease that was just dropped.
    pub(crate) fn remove(&mut self, ip: IpAddr) {
        let wanted = octets(ip);
        if let Some(slot) = self.records.iter().position(|record| record.1 == wanted) {
            self.put(slot, FREE);
        }
    }

    /// Tells of a change that was none of a lease.
    pub(crate) fn confirm(&mut self) {
        if self.stamp().is_err() {
            self.file = None;
        }
    }

    /// Changes a record. An index that cannot be written does not count from now on.
    fn put(&mut self, slot: usize, record: Record) {
        self.records[slot] = record;
        let written = match &self.file {
            Some(file) => write(file, slot, &[record]),
            None => self.create(),
        };
        match written {
            Ok(()) => self.confirm(),
            Err(_) => self.file = None,
        }
    }

    fn create(&mut self) -> io::Result<()> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let open = || rustix::fs::open(&self.path, flags, Mode::RUSR | Mode::WUSR);
        let file = match open() {
            Err(Errno::NOENT) => {
                let indices = self.path.parent().unwrap_or(Path::new("/"));
                DirBuilder::new().recursive(true).mode(0o700).create(indices)?;
                open()?
            }
            opened => opened?,
        };
        let file = File::from(file);
        write(&file, 0, &self.records)?;
        file.set_len((HEADER + self.records.len() * RECORD) as u64)?;
        self.file = Some(file);
        Ok(())
    }

    /// Gives the header and the directory the same time. It is not one that the kernel would write
    /// for another change: its clock for files goes in steps, this one does not.
    fn stamp(&self) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = Timespec {
            tv_sec: i64::try_from(now.as_secs()).unwrap_or_default(),
            tv_nsec: now.subsec_nanos().into(),
        };
        let header = header(now).ok_or(io::ErrorKind::InvalidInput)?;
        file.write_all_at(&header, 0)?;
        let unchanged = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        let times = Timestamps { last_access: unchanged, last_modification: now };
        Ok(rustix::fs::utimensat(CWD, &self.directory, &times, AtFlags::empty())?)
    }
}

/// A directory has one name for its index, whatever path leads to it.
fn name(directory: &Stat) -> String {
    format!("{:x}-{:x}", directory.st_dev, directory.st_ino)
}

/// A piece that does not fill its room is the last one.
fn read_all(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        bytes.reserve(PIECE);
        rustix::io::read(file, spare_capacity(&mut bytes))?;
        if bytes.len() < bytes.capacity() {
            return Ok(bytes);
        }
    }
}

fn header(changed: Timespec) -> Option<[u8; HEADER]> {
    let mut bytes = [0; HEADER];
    bytes[..8].copy_from_slice(&changed.tv_sec.to_le_bytes());
    bytes[8..12].copy_from_slice(&u32::try_from(changed.tv_nsec).ok()?.to_le_bytes());
    bytes[12..].copy_from_slice(&FORMAT.to_le_bytes());
    Some(bytes)
}

fn read(bytes: &[u8]) -> Record {
    let mut record = FREE;
    if let Some((hash, address)) = bytes.split_first_chunk() {
        record.0 = u64::from_le_bytes(*hash);
        record.1.copy_from_slice(address);
    }
    record
}

fn write(file: &File, slot: usize, records: &[Record]) -> io::Result<()> {
    let bytes =
        records.iter().flat_map(|(hash, address)| [&hash.to_le_bytes()[..], address].concat());
    file.write_all_at(&bytes.collect::<Vec<u8>>(), (HEADER + slot * RECORD) as u64)
}

/// An IPv4 address as an IPv6 one.
fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

/// FNV-1a. Two holders with one hash cost a look into a lease, no more.
fn hash(holder: &Holder) -> u64 {
    let interface = holder.interface.as_deref().unwrap_or_default();
    let bytes = holder.container.bytes().chain([0]).chain(interface.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_counts_until_somebody_else_changes_the_directory() {
        let root = tempfile::tempdir().unwrap();
        let (directory, indices) = (root.path().join("lan"), root.path().join("indices"));
        std::fs::create_dir(&directory).unwrap();
        let open = || Index::open(&directory, &indices);
        let [one, two] = ["c1", "c2"].map(|container| Holder::new(container, "eth0"));
        let [first, second] = ["10.0.0.2", "fd00::3"].map(|ip| ip.parse::<IpAddr>().unwrap());
        assert!(open().is_none());
        let mut index = Index::of(&directory, &indices, &[]).unwrap();
        index.add(first, &one);
        index.add(second, &one);
        let mut index = open().unwrap();
        assert_eq!(index.candidates(&one), [first, second]);
        assert_eq!(index.candidates(&two), [] as [IpAddr; 0]);
        index.remove(first);
        index.add(first, &two);
        let index = open().unwrap();
        assert_eq!(index.records.len(), 2, "a free record is used again");
        assert_eq!((index.candidates(&one), index.candidates(&two)), (vec![second], vec![first]));
        std::fs::write(directory.join("10.0.0.9"), "c9\r\neth0").unwrap();
        assert!(open().is_none());
    }
}
