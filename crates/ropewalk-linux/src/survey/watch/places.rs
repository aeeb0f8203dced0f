//! Tells when names of namespaces come and go: by what is mounted, and by links in `/run/netns`.
//!
//! It never tells which; that is looked up.

use std::{
    cell::Cell,
    fs::File,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    event::{PollFd, PollFlags},
    fs::inotify::{self, CreateFlags, WatchFlags},
};

/// The mounts of this process; the kernel says when there are others.
const MOUNTS: &str = "/proc/thread-self/mountinfo";

/// Where `ip netns` keeps names. What is in `/run` is watched until it is there.
const NAMED: &str = "/run/netns";
const ABOVE: &str = "/run";

/// Where a change can be seen. A source that cannot be had makes changes come later, with others.
#[derive(Debug)]
pub(super) struct Places {
    mounts: Option<File>,
    names: Option<OwnedFd>,
    /// The kernel tells of mounts once.
    is_noted: Cell<bool>,
}

impl Places {
    pub(super) fn watch() -> Self {
        let names = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok();
        let places = Self { mounts: File::open(MOUNTS).ok(), names, is_noted: Cell::new(false) };
        places.watch_names();
        places
    }

    /// Asking for it twice is asking once.
    fn watch_names(&self) {
        let Some(names) = &self.names else { return };
        let events = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE;
        if inotify::add_watch(names, NAMED, events).is_err() {
            // Without either, mounts tell of what is not a symbolic link.
            let _ = inotify::add_watch(names, ABOVE, WatchFlags::CREATE);
        }
    }

    /// What to wait for.
    pub(super) fn sources(&self) -> impl Iterator<Item = PollFd<'_>> {
        let mounts = self.mounts.iter().map(|file| PollFd::new(file, PollFlags::PRI));
        mounts.chain(self.names.iter().map(|names| PollFd::new(names, PollFlags::IN)))
    }

    /// Mounts have changed.
    pub(super) fn note(&self) {
        self.is_noted.set(true);
    }

    /// Whether something has changed since this was asked.
    pub(super) fn have_changed(&self) -> bool {
        let mut has_changed = self.is_noted.replace(false);
        let mut buffer = [0; 4096];
        while let Some(names) = &self.names
            && rustix::io::read(names.as_fd(), &mut buffer).is_ok_and(|count| count > 0)
        {
            has_changed = true;
        }
        if has_changed {
            self.watch_names();
        }
        has_changed
    }
}
