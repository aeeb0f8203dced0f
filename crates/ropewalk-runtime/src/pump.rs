//! Moves bytes to and from one child process until it ends, on the caller's thread.
//!
//! One `poll` watches the three pipes and the process itself, so a plugin whose children keep its
//! pipes open cannot hold anybody up: when the process has ended, what is in the pipes is
//! everything it wrote. Needs `pidfd_open`, Linux 5.3. It must never block except in that `poll`.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// A process may go on writing while it is read; after so many buffers others get their turn.
const READS_AT_ONCE: usize = 256;

const BUFFER_BYTES: usize = 16 << 10;

/// Why the pump stopped.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The process has ended.
    Exited,
    /// The process still runs.
    DeadlinePassed,
    /// The process still runs and printed more than it may.
    TooMuchOutput,
    /// The pipes cannot be watched.
    Failed(io::Error),
}

/// The pipes of one child.
pub(crate) struct Pump<'i> {
    process: OwnedFd,
    stdin: Option<ChildStdin>,
    input: &'i [u8],
    stdout: Stream<ChildStdout>,
    stderr: Stream<ChildStderr>,
    limit: usize,
}

/// One pipe to read from; closed when there is nothing more to come.
struct Stream<R> {
    pipe: Option<R>,
    bytes: Vec<u8>,
}

impl<'i> Pump<'i> {
    /// Takes over the pipes of a child.
    pub(crate) fn new(child: &mut Child, input: &'i [u8], limit: usize) -> io::Result<Self> {
        let pump = Self {
            process: pidfd_open(Pid::from_child(child), PidfdFlags::empty())?,
            stdin: child.stdin.take(),
            input,
            stdout: Stream { pipe: child.stdout.take(), bytes: Vec::new() },
            stderr: Stream { pipe: child.stderr.take(), bytes: Vec::new() },
            limit,
        };
        for pipe in pump.pipes() {
            let flags = fcntl_getfl(pipe.0)?;
            fcntl_setfl(pipe.0, flags | OFlags::NONBLOCK)?;
        }
        Ok(pump)
    }

    fn pipes(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        let stdin = self.stdin.as_ref().map(|pipe| (pipe.as_fd(), PollFlags::OUT));
        let stdout = self.stdout.pipe.as_ref().map(|pipe| (pipe.as_fd(), PollFlags::IN));
        let stderr = self.stderr.pipe.as_ref().map(|pipe| (pipe.as_fd(), PollFlags::IN));
        [stdin, stdout, stderr].into_iter().flatten().collect()
    }

    /// Moves bytes until the process ends or must be ended.
    pub(crate) fn run(&mut self, deadline: Instant) -> Stop {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Stop::DeadlinePassed;
            }
            let ended = match self.wait(left) {
                Ok(ended) => ended,
                Err(error) => return Stop::Failed(error),
            };
            self.feed();
            if let Err(error) = self.stdout.drain(self.limit) {
                return Stop::Failed(error);
            }
            if let Err(error) = self.stderr.drain(self.limit) {
                return Stop::Failed(error);
            }
            if self.stdout.bytes.len() > self.limit {
                return Stop::TooMuchOutput;
            }
            if ended {
                return Stop::Exited;
            }
        }
    }

    /// Waits until a pipe is ready or the process has ended; whether the latter.
    fn wait(&self, time: Duration) -> io::Result<bool> {
        let mut descriptors = vec![PollFd::new(&self.process, PollFlags::IN)];
        let pipes = self.pipes();
        descriptors.extend(pipes.iter().map(|(pipe, flags)| PollFd::new(pipe, *flags)));
        match poll(&mut descriptors, Timespec::try_from(time).ok().as_ref()) {
            Ok(_) => Ok(!descriptors[0].revents().is_empty()),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the process ends within a time.
    pub(crate) fn ends_within(&self, time: Duration) -> bool {
        let mut descriptors = [PollFd::new(&self.process, PollFlags::IN)];
        matches!(poll(&mut descriptors, Timespec::try_from(time).ok().as_ref()), Ok(1..))
    }

    /// Writes what fits. A plugin need not read its input, so a closed pipe is no failure.
    fn feed(&mut self) {
        let Some(stdin) = &mut self.stdin else { return };
        while !self.input.is_empty() {
            match stdin.write(self.input) {
                Ok(count) => self.input = &self.input[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => break,
            }
        }
        self.stdin = None;
    }

    /// What was read from standard output and standard error.
    pub(crate) fn into_output(mut self) -> (Vec<u8>, Vec<u8>) {
        self.stderr.bytes.truncate(self.limit);
        (self.stdout.bytes, self.stderr.bytes)
    }
}

impl<R: Read> Stream<R> {
    /// Reads what is there. At most one byte beyond the limit is kept, as a sign of more.
    fn drain(&mut self, limit: usize) -> io::Result<()> {
        let Some(pipe) = &mut self.pipe else { return Ok(()) };
        let mut buffer = [0; BUFFER_BYTES];
        for _ in 0..READS_AT_ONCE {
            match pipe.read(&mut buffer) {
                Ok(0) => {
                    self.pipe = None;
                    return Ok(());
                }
                Ok(count) => {
                    let room = (limit + 1).saturating_sub(self.bytes.len());
                    self.bytes.extend_from_slice(&buffer[..count.min(room)]);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
