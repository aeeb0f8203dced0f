//! A directory with one file per leased address, as the reference plugin `host-local` keeps it:
//! `<dataDir>/<network>/<address>` holds `<container id>\r\n<interface>`; `lock` is locked with
//! flock(2); `last_reserved_ip.<n>` holds the address given last from range set n. `boot_id` is
//! ours, see [`LockedLeases::forget_earlier_boot`].

use std::{
    cell::RefCell,
    collections::HashSet,
    fs::{self, DirBuilder, File},
    io,
    net::IpAddr,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use rustix::{
    fs::{FlockOperation, Mode, OFlags},
    io::Errno,
};

use crate::{
    Holder, StoreError,
    files::{
        LastReserved, boot_file, is_unwritten, last_reserved_path, read_lease, read_leases,
        write_lease,
    },
    index::Index,
};

/// A leased address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub ip: IpAddr,
    /// Who has it.
    pub holder: Holder,
}

/// The leases of one network.
#[derive(Clone, Debug)]
pub struct LeaseDirectory {
    path: PathBuf,
    indices: Option<PathBuf>,
}

impl LeaseDirectory {
    /// The default data directory, shared with the reference plugin.
    pub const DEFAULT: &'static str = "/var/lib/cni/networks";

    /// Where indices are kept; they are made anew after a boot.
    pub const INDICES: &'static str = "/run/ropewalk/leases";

    /// The leases of `network`, a valid CNI network name, below a data directory.
    pub fn new(data_directory: &Path, network: &str) -> Self {
        debug_assert!(!network.contains('/'), "{network:?} would leave the directory");
        Self { path: data_directory.join(network), indices: None }
    }

    /// Keeps an index of this directory among those in another one, so that looking for what
    /// somebody holds does not take longer with every lease.
    #[must_use]
    pub fn indexed_in(self, indices: &Path) -> Self {
        Self { indices: Some(indices.to_owned()), ..self }
    }

    /// All leases, without locking: for showing. A missing directory has none.
    pub fn leases(&self) -> Result<Vec<Lease>, StoreError> {
        if !self.path.exists() {
            return Ok(Vec::new());
        }
        read_leases(&self.path)
    }

    /// Who holds leases that were written at this moment or later, without locking.
    pub fn holders_since(&self, moment: SystemTime) -> Result<Vec<Holder>, StoreError> {
        let mut holders = Vec::new();
        for lease in self.leases()? {
            let path = self.path.join(lease.ip.to_string());
            match fs::metadata(&path).and_then(|file| file.modified()) {
                Ok(written) if written >= moment => holders.push(lease.holder),
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(StoreError::new("stat", &path, error));
                }
                _ => {}
            }
        }
        // Whoever began a reservation and did not come to write the holder has none.
        holders.retain(|holder| !holder.container.is_empty());
        Ok(holders)
    }

    /// Whether the leases were given in another boot than this one and are to be forgotten.
    pub fn is_of_earlier_boot(&self, boot: &str) -> Result<bool, StoreError> {
        Ok(boot_file(&self.path).read()?.is_some_and(|known| known != boot))
    }

    /// The address given last from a range set, without locking: for showing.
    pub fn last_reserved(&self, range_set: usize) -> Option<IpAddr> {
        LastReserved::open(&self.path, range_set).ok()?.ip()
    }

    /// Waits for the lock and holds it until the answer is dropped. Makes the directory.
    pub fn lock(&self) -> Result<LockedLeases, StoreError> {
        let path = self.path.join("lock");
        let failed = |operation| {
            let path = path.clone();
            move |error: Errno| StoreError::new(operation, &path, error.into())
        };
        let lock = match open_lock(&path) {
            Err(Errno::NOENT) => {
                let mut builder = DirBuilder::new();
                builder.recursive(true).mode(0o755);
                let made = builder.create(&self.path);
                made.map_err(|error| StoreError::new("mkdir", &self.path, error))?;
                open_lock(&path)
            }
            lock => lock,
        };
        let lock = lock.map_err(failed("open"))?;
        rustix::io::retry_on_intr(|| rustix::fs::flock(&lock, FlockOperation::LockExclusive))
            .map_err(failed("lock"))?;
        let indices = self.indices.clone();
        Ok(LockedLeases {
            path: self.path.clone(),
            indices,
            index: RefCell::new(None),
            last: RefCell::new(None),
            _lock: lock,
        })
    }
}

fn open_lock(path: &Path) -> Result<File, Errno> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let lock = rustix::fs::open(path, flags, Mode::from_raw_mode(0o750));
    // Releasing and checking need no write access to the lock itself.
    let read = |error| {
        rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())
            .map_err(|_| error)
    };
    lock.or_else(read).map(File::from)
}

/// The leases of one network, with the lock held.
#[derive(Debug)]
pub struct LockedLeases {
    path: PathBuf,
    indices: Option<PathBuf>,
    /// What is known of the index; nothing before somebody asks.
    index: RefCell<Option<Index>>,
    /// What was read last, and for which range set.
    last: RefCell<Option<(usize, LastReserved)>>,
    _lock: File,
}

impl LockedLeases {
    /// All leases, ascending by address. Other files, damaged names among them, are passed over.
    pub fn leases(&self) -> Result<Vec<Lease>, StoreError> {
        read_leases(&self.path)
    }

    /// The addresses that this holder has.
    pub fn held_by(&self, holder: &Holder) -> Result<Vec<IpAddr>, StoreError> {
        Ok(self.leases_of(holder)?.into_iter().map(|lease| lease.ip).collect())
    }

    /// The reservations of a holder, and those that name its container only.
    fn leases_of(&self, holder: &Holder) -> Result<Vec<Lease>, StoreError> {
        let mut index = self.index.borrow_mut();
        self.open(&mut index);
        let Some(known) = &*index else {
            let all = self.leases()?;
            let indices = self.indices.as_ref();
            *index = indices.and_then(|indices| Index::of(&self.path, indices, &all));
            return Ok(all.into_iter().filter(|lease| lease.holder.is(holder)).collect());
        };
        let of_container = Holder { interface: None, ..holder.clone() };
        let mut candidates = known.candidates(holder);
        if *holder != of_container {
            candidates.extend(known.candidates(&of_container));
        }
        let mut leases = Vec::new();
        for ip in candidates {
            let lease = read_lease(&self.path.join(ip.to_string()), ip)?;
            leases.extend(lease.filter(|lease| lease.holder.is(holder)));
        }
        leases.sort_by_key(|lease| lease.ip);
        Ok(leases)
    }

    fn open(&self, index: &mut Option<Index>) {
        if let (None, Some(indices)) = (&index, &self.indices) {
            *index = Index::open(&self.path, indices);
        }
    }

    /// Does what changes the directory, and tells the index if it counted before.
    fn change<T>(
        &self,
        act: impl FnOnce() -> Result<T, StoreError>,
        tell: impl FnOnce(&mut Index, &T),
    ) -> Result<T, StoreError> {
        let mut index = self.index.borrow_mut();
        self.open(&mut index);
        let done = act()?;
        if let Some(index) = &mut *index {
            tell(index, &done);
        }
        Ok(done)
    }

    /// Reserves an address; `false` if somebody has it. The file itself is the reservation.
    pub fn reserve(&self, ip: IpAddr, holder: &Holder) -> Result<bool, StoreError> {
        let reserve = || write_lease(&self.path, ip, holder);
        self.change(reserve, |index, &is_new| {
            if is_new {
                index.add(ip, holder);
            }
        })
    }

    /// Drops one address; absent is fine.
    pub fn release(&self, ip: IpAddr) -> Result<(), StoreError> {
        let path = self.path.join(ip.to_string());
        let release = || match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::new("remove", &path, error))
            }
            _ => Ok(()),
        };
        self.change(release, |index, ()| index.remove(ip))
    }

    /// Drops what the holder has: its own reservations, else those that name its container only.
    /// Reservations into which no holder was ever written go too: whoever made one was killed in the
    /// middle, since the lock is ours now.
    pub fn release_all(&self, holder: &Holder) -> Result<Vec<IpAddr>, StoreError> {
        for empty in self.leases_of(&Holder { container: String::new(), interface: None })? {
            if self.is_unwritten(&empty) {
                self.release(empty.ip)?;
            }
        }
        let mut leases = self.leases_of(holder)?;
        if leases.is_empty() {
            // Who wrote into a lease by hand has changed no directory: the index cannot know.
            leases = self.leases()?;
            leases.retain(|lease| lease.holder.is(holder));
        }
        let exact = leases.iter().any(|lease| lease.holder == *holder);
        let mut released = Vec::new();
        for lease in leases.iter().filter(|lease| !exact || lease.holder == *holder) {
            self.release(lease.ip)?;
            released.push(lease.ip);
        }
        Ok(released)
    }

    /// Whether a reservation is one into which no holder was ever written.
    fn is_unwritten(&self, lease: &Lease) -> bool {
        lease.holder.text().is_empty() && is_unwritten(&self.path.join(lease.ip.to_string()))
    }

    /// Drops every reservation whose holder is not valid. One that names a container only stays
    /// while any interface of that container is valid. A damaged one stays while it may be that of a
    /// valid holder who has none of its family: an address that is in use must not be given again.
    pub fn retain(&self, valid: &HashSet<Holder>) -> Result<Vec<Lease>, StoreError> {
        let leases = self.leases()?;
        let is_of = |lease: &Lease, holder: &Holder| lease.holder.is(holder);
        let keep = |lease: &Lease| {
            let has_one = |holder: &Holder| {
                let mut others = leases.iter();
                others.any(|one| one.ip.is_ipv4() == lease.ip.is_ipv4() && is_of(one, holder))
            };
            let lost = |holder: &Holder| lease.holder.may_have_been(holder) && !has_one(holder);
            valid.iter().any(|holder| is_of(lease, holder))
                || (!self.is_unwritten(lease) && valid.iter().any(lost))
        };
        let mut dropped = Vec::new();
        for lease in leases.iter().filter(|lease| !keep(lease)).cloned() {
            self.release(lease.ip)?;
            dropped.push(lease);
        }
        Ok(dropped)
    }

    /// Drops all leases if they were given in another boot, and remembers this one. Without a
    /// memory of any boot the leases may be of this one, and stay.
    pub fn forget_earlier_boot(&self, boot: &str) -> Result<(), StoreError> {
        let file = boot_file(&self.path);
        let known = file.read()?;
        if known.as_deref() == Some(boot) {
            return Ok(());
        }
        if known.is_some() {
            self.retain(&HashSet::new())?;
        }
        // Remembered last: whoever is killed before has to begin again.
        file.write(boot)
    }

    /// The address given last from a range set; `None` if there is none or it cannot be read.
    pub fn last_reserved(&self, range_set: usize) -> Option<IpAddr> {
        let file = LastReserved::open(&self.path, range_set).ok()?;
        let ip = file.ip();
        // The next one is most often written next.
        self.last.replace(Some((range_set, file)));
        ip
    }

    /// Records the address given last from a range set.
    pub fn set_last_reserved(&self, range_set: usize, ip: IpAddr) -> Result<(), StoreError> {
        let failed = |errno: Errno| {
            StoreError::new("write", &last_reserved_path(&self.path, range_set), errno.into())
        };
        let kept = self.last.take().filter(|(set, _)| *set == range_set).map(|(_, file)| file);
        let file = match kept.map_or_else(|| LastReserved::open(&self.path, range_set), Ok) {
            // A file that is new changes the directory.
            Err(Errno::NOENT) => {
                let create = || LastReserved::create(&self.path, range_set).map_err(failed);
                self.change(create, |index, _| index.confirm())?
            }
            file => file.map_err(failed)?,
        };
        file.write(ip).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    fn directory() -> (tempfile::TempDir, LockedLeases) {
        let directory = tempfile::tempdir().unwrap();
        let leases = LeaseDirectory::new(directory.path(), "lan").lock().unwrap();
        (directory, leases)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_reserved_once_and_in_the_format_of_the_reference_plugin() {
        let (root, leases) = directory();
        let holder = Holder::new("c1", "eth0");
        assert!(leases.reserve(ip("10.0.0.2"), &holder).unwrap());
        assert!(!leases.reserve(ip("10.0.0.2"), &Holder::new("c2", "eth0")).unwrap());
        let file = root.path().join("lan/10.0.0.2");
        assert_eq!(fs::read_to_string(file).unwrap(), "c1\r\neth0");
        assert_eq!(leases.held_by(&holder).unwrap(), [ip("10.0.0.2")]);
        assert_eq!(leases.held_by(&Holder::new("c1", "eth1")).unwrap(), [] as [IpAddr; 0]);
    }

    #[test]
    fn release_prefers_exact_reservations_to_those_of_the_container() {
        let (root, leases) = directory();
        let holder = Holder::new("c1", "eth0");
        leases.reserve(ip("10.0.0.2"), &holder).unwrap();
        fs::write(root.path().join("lan/10.0.0.3"), "c1").unwrap();
        assert_eq!(leases.release_all(&holder).unwrap(), [ip("10.0.0.2")]);
        assert_eq!(leases.release_all(&holder).unwrap(), [ip("10.0.0.3")]);
        assert_eq!(leases.release_all(&holder).unwrap(), [] as [IpAddr; 0]);
    }

    #[test]
    fn a_lease_that_was_edited_by_hand_is_released_by_whom_it_names() {
        let root = tempfile::tempdir().unwrap();
        let directory = LeaseDirectory::new(root.path(), "lan").indexed_in(&root.path().join("i"));
        let leases = || directory.lock().unwrap();
        assert_eq!(leases().held_by(&Holder::new("c1", "eth0")).unwrap(), [] as [IpAddr; 0]);
        for (address, container) in [("10.0.0.2", "c1"), ("10.0.0.3", "c2")] {
            let (leases, holder) = (leases(), Holder::new(container, "eth0"));
            leases.held_by(&holder).unwrap();
            assert!(leases.reserve(ip(address), &holder).unwrap());
        }
        let edited = root.path().join("lan/10.0.0.3");
        File::options().write(true).open(edited).unwrap().write_all_at(b"c9", 0).unwrap();
        let indexed = leases().held_by(&Holder::new("c9", "eth0")).unwrap();
        assert_eq!(indexed, [] as [IpAddr; 0], "the index is in use");
        let released = leases().release_all(&Holder::new("c9", "eth0")).unwrap();
        assert_eq!(released, [ip("10.0.0.3")]);
    }

    #[test]
    fn the_last_address_may_become_shorter() {
        let (_root, leases) = directory();
        assert_eq!(leases.last_reserved(0), None);
        leases.set_last_reserved(0, ip("10.0.0.254")).unwrap();
        leases.set_last_reserved(0, ip("10.0.0.2")).unwrap();
        assert_eq!(leases.last_reserved(0), Some(ip("10.0.0.2")));
    }

    #[test]
    fn retain_spares_the_lock_the_last_address_and_the_valid() {
        let (root, leases) = directory();
        let valid = Holder::new("c1", "eth0");
        leases.reserve(ip("10.0.0.2"), &valid).unwrap();
        leases.reserve(ip("10.0.0.3"), &Holder::new("c2", "eth0")).unwrap();
        leases.reserve(ip("fd00::3"), &Holder::new("c1", "eth1")).unwrap();
        leases.set_last_reserved(0, ip("10.0.0.3")).unwrap();
        let dropped = leases.retain(&HashSet::from([valid])).unwrap();
        assert_eq!(dropped.len(), 2);
        assert_eq!(fs::read_dir(root.path().join("lan")).unwrap().count(), 3);
    }

    #[test]
    fn an_address_in_use_is_not_given_again_because_its_file_is_damaged() {
        let (root, leases) = directory();
        let (c1, c2) = (Holder::new("c1", "eth0"), Holder::new("c2", "eth0"));
        let file = |address: &str| root.path().join("lan").join(address);
        for damaged in ["", "c", "c1\r\net", "\u{fffd}\u{1}"] {
            leases.reserve(ip("10.0.0.2"), &c1).unwrap();
            leases.reserve(ip("10.0.0.3"), &c2).unwrap();
            // The file system's clock goes in steps.
            let written = fs::metadata(file("10.0.0.2")).unwrap().modified().unwrap();
            fs::write(file("10.0.0.2"), damaged).unwrap();
            let later = written + std::time::Duration::from_secs(1);
            let open = File::options().write(true).open(file("10.0.0.2")).unwrap();
            open.set_modified(later).unwrap();
            leases.release_all(&c2).unwrap();
            leases.retain(&HashSet::from([c1.clone()])).unwrap();
            assert!(file("10.0.0.2").exists(), "{damaged:?}");
            leases.retain(&HashSet::new()).unwrap();
            assert!(!file("10.0.0.2").exists(), "{damaged:?}");
        }
        fs::write(file("10.0.0.4"), "").unwrap();
        leases.release_all(&c2).unwrap();
        assert!(!file("10.0.0.4").exists(), "nobody ever had it");
    }

    #[test]
    fn leases_of_another_boot_are_forgotten_once() {
        let (root, leases) = directory();
        let of_boot = |boot| LeaseDirectory::new(root.path(), "lan").is_of_earlier_boot(boot);
        let holder = Holder::new("c1", "eth0");
        leases.reserve(ip("10.0.0.2"), &holder).unwrap();
        assert!(!of_boot("one").unwrap());
        leases.forget_earlier_boot("one").unwrap();
        leases.forget_earlier_boot("one").unwrap();
        assert_eq!(leases.held_by(&holder).unwrap(), [ip("10.0.0.2")]);
        assert!(of_boot("two").unwrap());
        leases.forget_earlier_boot("two").unwrap();
        assert_eq!(leases.held_by(&holder).unwrap(), [] as [IpAddr; 0]);
        leases.reserve(ip("10.0.0.2"), &holder).unwrap();
        leases.forget_earlier_boot("two").unwrap();
        assert_eq!(leases.held_by(&holder).unwrap(), [ip("10.0.0.2")]);
    }

    #[test]
    fn holders_are_told_by_the_age_of_their_leases() {
        let (root, leases) = directory();
        let directory = LeaseDirectory::new(root.path(), "lan");
        leases.reserve(ip("10.0.0.2"), &Holder::new("c1", "eth0")).unwrap();
        leases.reserve(ip("10.0.0.3"), &Holder::new("c2", "eth0")).unwrap();
        fs::write(root.path().join("lan/10.0.0.4"), "").unwrap();
        let moment = SystemTime::now() - std::time::Duration::from_hours(1);
        let old = File::options().write(true).open(root.path().join("lan/10.0.0.2")).unwrap();
        old.set_modified(moment - std::time::Duration::from_secs(1)).unwrap();
        assert_eq!(directory.holders_since(moment).unwrap(), [Holder::new("c2", "eth0")]);
    }

    #[test]
    fn a_damaged_reservation_belongs_to_nobody_and_stops_nothing() {
        let (root, leases) = directory();
        fs::write(root.path().join("lan/10.0.0.9"), [0xff, 0xfe]).unwrap();
        fs::write(root.path().join("lan/10.0.0.10"), "").unwrap();
        assert_eq!(leases.leases().unwrap().len(), 2);
        assert_eq!(leases.held_by(&Holder::new("c1", "eth0")).unwrap(), [] as [IpAddr; 0]);
        assert!(!leases.reserve(ip("10.0.0.9"), &Holder::new("c1", "eth0")).unwrap());
    }
}
