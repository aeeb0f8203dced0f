//! Network namespaces: opened by path, entered for a moment, created and deleted by name.

use std::{
    fmt, fs, io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    path::Path,
    thread,
};

use rustix::{
    fs::{FlockOperation, Mode, OFlags},
    io::{Errno, retry_on_intr},
    mount::{MountFlags, MountPropagationFlags, UnmountFlags},
    thread::{LinkNameSpaceType, UnshareFlags},
};

use crate::error::errno_text;

/// The namespace of the calling thread.
const OWN: &str = "/proc/thread-self/ns/net";

/// Why a namespace could not be used. All texts but the last are the reference plugins'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetnsError {
    /// Nothing is at the path; runtimes delete namespaces before they call DEL.
    Missing {
        /// The path.
        path: String,
        /// Why, usually "no such file or directory".
        reason: String,
    },
    /// Nobody can tell what is at the path.
    Unreadable {
        /// The path.
        path: String,
        /// Why.
        reason: String,
    },
    /// Something else than a namespace is at the path.
    NotNamespace {
        /// The path.
        path: String,
        /// The magic number of the file system found.
        magic: u64,
    },
    /// The kernel refused.
    Refused {
        /// What was tried.
        action: String,
        /// Why it failed.
        reason: String,
    },
}

impl fmt::Display for NetnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { path, reason } | Self::Unreadable { path, reason } => {
                write!(f, "failed to Statfs {path:?}: {reason}")
            }
            Self::NotNamespace { path, magic } => {
                write!(f, "unknown FS magic on {path:?}: {magic:x}")
            }
            Self::Refused { action, reason } => write!(f, "failed to {action}: {reason}"),
        }
    }
}

impl std::error::Error for NetnsError {}

fn refused(action: &str) -> impl Fn(Errno) -> NetnsError + '_ {
    move |errno| NetnsError::Refused { action: action.into(), reason: errno_text(errno) }
}

fn refused_io(action: &str) -> impl Fn(io::Error) -> NetnsError + '_ {
    move |error| refused(action)(Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

/// A network namespace, kept alive by a file descriptor.
#[derive(Debug)]
pub struct Netns(OwnedFd);

impl Netns {
    /// Opens the namespace that is mounted or linked at a path.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, NetnsError> {
        let path = path.as_ref();
        let name = || path.display().to_string();
        let failed = |errno| match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG => {
                NetnsError::Missing { path: name(), reason: errno_text(errno) }
            }
            _ => NetnsError::Unreadable { path: name(), reason: errno_text(errno) },
        };
        let open = || rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let fd = retry_on_intr(open).map_err(failed)?;
        let magic = retry_on_intr(|| rustix::fs::fstatfs(&fd)).map_err(failed)?.f_type;
        // Kernels before 3.19 had namespaces in procfs; the reference plugins accept that too.
        if magic == libc::NSFS_MAGIC || magic == libc::PROC_SUPER_MAGIC {
            return Ok(Self(fd));
        }
        let magic = u64::try_from(magic).unwrap_or_default();
        Err(NetnsError::NotNamespace { path: name(), magic })
    }

    /// The namespace of the calling thread.
    pub fn current() -> Result<Self, NetnsError> {
        let fd = rustix::fs::open(OWN, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        fd.map(Self).map_err(refused("open the current network namespace"))
    }

    /// The namespace in which a socket was opened. Much cheaper than going through procfs.
    pub(crate) fn of_socket(socket: BorrowedFd<'_>) -> Result<Self, NetnsError> {
        const SIOCGSKNS: libc::Ioctl = 0x894c;
        // SAFETY: the descriptor is open for as long as it is borrowed; this request takes no
        // argument and returns a new descriptor or -1.
        let raw = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCGSKNS) };
        if raw < 0 {
            return Self::current();
        }
        // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(raw) }))
    }

    /// Locks the namespace in this way until this value is dropped, when others let it, or gives it
    /// up.
    pub(crate) fn lock(&self, way: FlockOperation) -> Result<(), NetnsError> {
        let lock = || rustix::fs::flock(&self.0, way);
        retry_on_intr(lock).map_err(refused("lock the network namespace"))
    }

    /// The number that tells it from the others that exist.
    pub(crate) fn inode(&self) -> Option<u64> {
        rustix::fs::fstat(&self.0).ok().map(|stat| stat.st_ino)
    }

    /// Whether two are the same namespace.
    pub fn is_same(&self, other: &Self) -> Result<bool, NetnsError> {
        let identity = |netns: &Self| {
            let stat = rustix::fs::fstat(&netns.0).map_err(refused("identify a namespace"))?;
            Ok((stat.st_dev, stat.st_ino))
        };
        Ok(identity(self)? == identity(other)?)
    }

    /// Whether this is the namespace of the calling thread.
    pub fn is_current(&self) -> Result<bool, NetnsError> {
        self.is_same(&Self::current()?)
    }

    /// Calls a function in this namespace and returns to the current one, even if it panics.
    pub fn within<T>(&self, act: impl FnOnce() -> T) -> Result<T, NetnsError> {
        self.within_from(&Self::current()?, act)
    }

    /// Like [`Self::within`] where the current namespace is at hand already.
    pub(crate) fn within_from<T>(
        &self,
        home: &Self,
        act: impl FnOnce() -> T,
    ) -> Result<T, NetnsError> {
        self.enter()?;
        let _way_back = WayBack(home);
        Ok(act())
    }

    /// Moves the calling thread into this namespace for good.
    pub fn enter(&self) -> Result<(), NetnsError> {
        rustix::thread::move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(refused("enter network namespace"))
    }

    /// Creates a namespace and mounts it at a path, like `ip netns add`. The caller stays where
    /// it is: another thread makes the namespace.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, NetnsError> {
        let path = path.as_ref();
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(refused_io("create namespace directory"))?;
        }
        let new = fs::OpenOptions::new().write(true).create_new(true).open(path);
        new.map_err(refused_io("create namespace file"))?;
        let made = thread::scope(|scope| {
            scope.spawn(|| make_and_mount(path)).join().unwrap_or(Err(Errno::IO))
        });
        if let Err(errno) = made {
            let _ = fs::remove_file(path);
            return Err(refused("create network namespace")(errno));
        }
        Self::open(path)
    }

    /// Unmounts a namespace and removes its file; absent is fine.
    pub fn delete(path: impl AsRef<Path>) -> Result<(), NetnsError> {
        let path = path.as_ref();
        match rustix::mount::unmount(path, UnmountFlags::DETACH) {
            Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
            Err(errno) => return Err(refused("unmount network namespace")(errno)),
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(refused_io("remove namespace file")(error))
            }
            _ => Ok(()),
        }
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// How often the way home is tried: the kernel needs memory for it.
const WAYS_HOME: usize = 100;

/// Brings a thread home, also one that panics. One that cannot go home must do nothing more: it
/// would do to the container what was meant for the host, and undo it there.
struct WayBack<'a>(&'a Netns);

impl Drop for WayBack<'_> {
    fn drop(&mut self) {
        let is_home = (0..WAYS_HOME).any(|_| self.0.enter().is_ok());
        assert!(is_home || thread::panicking(), "no way back from the container's namespace");
    }
}

fn unshare(flags: UnshareFlags) -> Result<(), Errno> {
    debug_assert!(!flags.contains(UnshareFlags::FILES));
    // SAFETY: only unsharing the file descriptor table is unsafe, and it is not among the flags.
    unsafe { rustix::thread::unshare_unsafe(flags) }
}

fn make_and_mount(path: &Path) -> Result<(), Errno> {
    unshare(UnshareFlags::NEWNET)?;
    rustix::mount::mount_bind(OWN, path)
}

/// Gives the calling thread a network and a mount namespace of its own, in which nothing reaches
/// the host and the given directories are empty and in memory. For tests and demonstrations;
/// threads and processes started afterwards are inside, those started before are not.
pub fn unshare_private_host(empty_directories: &[&Path]) -> Result<(), NetnsError> {
    // A mount namespace needs its own root and working directory: they are shared by threads.
    let flags = UnshareFlags::NEWNET | UnshareFlags::NEWNS | UnshareFlags::FS;
    unshare(flags).map_err(refused("create private namespaces"))?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private).map_err(refused("make mounts private"))?;
    for directory in empty_directories {
        fs::create_dir_all(directory).map_err(refused_io("create private directory"))?;
        rustix::mount::mount("tmpfs", *directory, "tmpfs", MountFlags::empty(), None)
            .map_err(refused("mount private directory"))?;
    }
    // Sysfs shows the network devices of the namespace in which it was mounted.
    let _ = rustix::mount::mount("sysfs", "/sys", "sysfs", MountFlags::empty(), None);
    Ok(())
}
