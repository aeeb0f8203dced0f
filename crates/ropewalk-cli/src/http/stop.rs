//! The wish that a program ends: signals, and whoever asks for it in this process.
//!
//! It must never be taken back: what waits for it is told, however late it begins to wait.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

/// Can be waited for by many threads, together with other things.
#[derive(Debug)]
pub(crate) struct Stop {
    /// Has something to read from then on, which nobody reads.
    told: UnixStream,
    teller: UnixStream,
}

impl Stop {
    /// Nobody wishes it yet.
    pub(crate) fn new() -> io::Result<Self> {
        let (told, teller) = UnixStream::pair()?;
        // Many signals must not block the one who sends them.
        teller.set_nonblocking(true)?;
        Ok(Self { told, teller })
    }

    /// The same; signals that ask a program to end are a wish.
    pub(crate) fn at_signals() -> io::Result<Self> {
        let stop = Self::new()?;
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            pipe::register(signal, stop.teller.try_clone()?)?;
        }
        Ok(stop)
    }

    /// Wishes it.
    pub(crate) fn tell(&self) {
        // If there is no room, it was wished very often before.
        let _ = (&self.teller).write(&[0]);
    }

    /// Whether it was wished.
    pub(crate) fn is_told(&self) -> bool {
        let mut waiting = [PollFd::new(&self.told, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut waiting, Some(&now)).is_ok_and(|count| count > 0)
    }

    /// Waits for it for a while; `true` if it was wished.
    pub(crate) fn is_told_within(&self, time: Duration) -> io::Result<bool> {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            // Longer than anybody waits.
            let tv_sec = i64::try_from(left.as_secs()).unwrap_or(i64::MAX);
            let left = Timespec { tv_sec, tv_nsec: left.subsec_nanos().into() };
            match poll(&mut [PollFd::new(&self.told, PollFlags::IN)], Some(&left)) {
                // A signal may come before what it writes.
                Err(error) if error == rustix::io::Errno::INTR => {}
                answer => return Ok(answer? > 0),
            }
        }
    }

    /// Waits for something to read from another source; `false` if this is to end.
    pub(crate) fn wait_beside(&self, other: &impl AsFd) -> io::Result<bool> {
        let sources = [self.told.as_fd(), other.as_fd()];
        let mut both = sources.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        rustix::io::retry_on_intr(|| poll(&mut both, None))?;
        Ok(both[0].revents().is_empty())
    }
}

/// Readable from then on.
impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.told.as_fd()
    }
}
