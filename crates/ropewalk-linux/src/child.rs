//! A program that is started: its input, what it writes and its end, both waited for at once. It
//! must never wait for anything but one `poll`, nor for others to whom the program has handed its
//! pipes on.

use std::{
    fs::File,
    io::{self, ErrorKind, Seek, Write},
    os::fd::OwnedFd,
    process::{Child, ExitStatus},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{MemfdFlags, memfd_create},
    process::{Pid, PidfdFlags, pidfd_open},
};

/// The input of a program as a file without a name, so that nobody has to feed it while it runs. It
/// is gone with its last reader, and nobody else can open it: it may hold secrets.
pub fn input(bytes: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create(c"input", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

/// How far a program may go.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How many bytes it may write to standard output; of standard error the rest is dropped.
    pub output: usize,
    /// Until when it may run.
    pub deadline: Instant,
}

/// How a program ended.
#[derive(Debug)]
pub enum Ending {
    /// By itself.
    Exit(ExitStatus),
    /// It was killed at its deadline.
    DeadlinePassed,
    /// It was killed because it would not stop printing.
    TooMuchOutput,
    /// It was killed because it could not be watched.
    Unwatchable(io::Error),
}

/// What a program left behind.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub ending: Ending,
    /// What it wrote to standard output, also if it was killed.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, as far as that was kept.
    pub stderr: Vec<u8>,
}

/// Collects what a program writes until it ends. One that goes too far is killed.
pub fn finish(mut child: Child, bounds: Bounds) -> Finished {
    let mut watch = Watch::of(&mut child);
    let ending = match watch.go_on(bounds) {
        Ok(Stop::Ended) => child.wait().map_or_else(Ending::Unwatchable, Ending::Exit),
        Ok(Stop::DeadlinePassed) => watch.kill(&mut child, Ending::DeadlinePassed),
        Ok(Stop::TooMuchOutput) => watch.kill(&mut child, Ending::TooMuchOutput),
        Err(error) => watch.kill(&mut child, Ending::Unwatchable(error)),
    };
    let [stdout, stderr] = watch.outputs.map(|output| output.bytes);
    Finished { ending, stdout, stderr }
}

/// Why a watch is over.
enum Stop {
    Ended,
    DeadlinePassed,
    TooMuchOutput,
}

/// How long one that was killed may take to die. One that hangs inside the kernel does not die at
/// once; waiting for it would be the hang that the deadline is there to prevent.
const DEATH: Duration = Duration::from_secs(2);

/// More than is in a pipe at once, in bytes (`pipe-max-size`). Who never stops writing must not keep
/// us from looking at the clock.
const FULL_PIPE: usize = 2 * 1024 * 1024;

struct Watch {
    outputs: [Collected; 2],
    /// Ready to be read when the program has ended; kernels before 5.3 have no such thing.
    process: Option<OwnedFd>,
}

/// What is collected of one of the outputs.
struct Collected {
    pipe: Option<OwnedFd>,
    bytes: Vec<u8>,
}

impl Watch {
    fn of(child: &mut Child) -> Self {
        let pipes =
            [child.stdout.take().map(OwnedFd::from), child.stderr.take().map(OwnedFd::from)];
        Self {
            outputs: pipes.map(|pipe| Collected { pipe, bytes: Vec::new() }),
            process: pidfd_open(Pid::from_child(child), PidfdFlags::empty()).ok(),
        }
    }

    /// Until it has ended: what it wrote before that is in the pipes.
    fn go_on(&mut self, bounds: Bounds) -> io::Result<Stop> {
        for pipe in self.outputs.iter().filter_map(|output| output.pipe.as_ref()) {
            rustix::io::ioctl_fionbio(pipe, true)?;
        }
        loop {
            let left = bounds.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Stop::DeadlinePassed);
            }
            let has_ended = self.wait(left)?;
            let [stdout, stderr] = &mut self.outputs;
            stdout.read(bounds.output + 1)?;
            stderr.read(bounds.output)?;
            if stdout.bytes.len() > bounds.output {
                return Ok(Stop::TooMuchOutput);
            }
            let is_silent = stdout.pipe.is_none() && stderr.pipe.is_none();
            if has_ended || (self.process.is_none() && is_silent) {
                return Ok(Stop::Ended);
            }
        }
    }

    /// Kills exactly this program: it has not been waited for, so its number is still its own. Its
    /// children are not ours to kill.
    fn kill(&self, child: &mut Child, ending: Ending) -> Ending {
        // Killing fails only for one that is gone already.
        let _ = child.kill();
        let ended = |process| poll_for(&mut [PollFd::new(process, PollFlags::IN)], DEATH);
        if self.process.as_ref().is_none_or(|process| matches!(ended(process), Ok(1..))) {
            // How it ended is known: it was killed.
            let _ = child.wait();
        }
        ending
    }

    /// Waits until something can be done; whether the program has ended.
    fn wait(&self, longest: Duration) -> io::Result<bool> {
        let process = self.process.iter().map(|fd| PollFd::new(fd, PollFlags::IN));
        let outputs = self.outputs.iter().filter_map(|output| output.pipe.as_ref());
        let outputs = outputs.map(|fd| PollFd::new(fd, PollFlags::IN));
        let mut files: Vec<PollFd<'_>> = process.chain(outputs).collect();
        poll_for(&mut files, longest)?;
        Ok(self.process.is_some() && files.first().is_some_and(|file| !file.revents().is_empty()))
    }
}

/// How many of these files are ready, within this time.
fn poll_for(files: &mut [PollFd<'_>], longest: Duration) -> io::Result<usize> {
    let longest = Timespec::try_from(longest).map_err(|_| ErrorKind::InvalidInput)?;
    Ok(rustix::io::retry_on_intr(|| poll(files, Some(&longest)))?)
}

impl Collected {
    /// Reads what is there; what is beyond `most` is dropped.
    fn read(&mut self, most: usize) -> io::Result<()> {
        let mut piece = [0; 8192];
        for _ in 0..FULL_PIPE / piece.len() {
            let Some(pipe) = &self.pipe else { break };
            match rustix::io::read(pipe, &mut piece) {
                Ok(0) => self.pipe = None,
                Ok(length) => {
                    let room = most.saturating_sub(self.bytes.len()).min(length);
                    self.bytes.extend_from_slice(&piece[..room]);
                }
                Err(rustix::io::Errno::AGAIN) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        process::{Command, Stdio},
        time::Duration,
    };

    use super::*;

    fn run(script: &str, bytes: &[u8], output: usize, time: Duration) -> Finished {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command.stdin(input(bytes).unwrap()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let bounds = Bounds { output, deadline: Instant::now() + time };
        finish(command.spawn().unwrap(), bounds)
    }

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn what_goes_in_comes_out_however_much_it_is() {
        let input: Vec<u8> = (0..=250).cycle().take(1 << 20).collect();
        let output = run("cat; echo no >&2; exit 3", &input, 1 << 20, LONG);
        assert!(matches!(output.ending, Ending::Exit(status) if status.code() == Some(3)));
        assert_eq!(output.stdout, input);
        assert_eq!(output.stderr, b"no\n");
    }

    #[test]
    fn input_that_nobody_reads_and_pipes_that_others_hold_keep_nobody() {
        let input = vec![b' '; 1 << 20];
        let output = run("sleep 60 & echo $!", &input, 100, LONG);
        let pid: u32 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
        let pid = Pid::from_raw(pid.cast_signed()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }

    #[test]
    fn who_goes_too_far_is_killed() {
        let end = |script, time| run(script, b"", 1000, time).ending;
        let short = Duration::from_millis(50);
        assert!(matches!(end("exec sleep 60", short), Ending::DeadlinePassed));
        assert!(matches!(end("exec yes", LONG), Ending::TooMuchOutput));
        assert!(matches!(end("exec yes >&2", short), Ending::DeadlinePassed));
        let output = run("head -c 5000 /dev/zero >&2; echo yes", b"", 1000, LONG);
        assert_eq!((&output.stdout[..], output.stderr.len()), (&b"yes\n"[..], 1000));
    }
}
