//! A program that was started: its input, what it writes and its end, all waited for at once.

use std::{
    io::{self, ErrorKind, Write},
    os::fd::{AsFd, OwnedFd},
    process::{Child, ChildStdin, Output},
    time::Instant,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};

/// How far a program may go.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How many bytes it may write to standard output; of standard error the rest is dropped.
    pub output: usize,
    /// Until when it may run.
    pub deadline: Instant,
}

/// Gives a program its input and collects what it writes until it ends. One that goes too far is
/// killed: the error is [`ErrorKind::TimedOut`] or [`ErrorKind::FileTooLarge`].
pub fn finish_child(mut child: Child, input: &[u8], bounds: Bounds) -> io::Result<Output> {
    let mut talk = match Talk::with(&mut child, input) {
        Ok(talk) => talk,
        Err(error) => return Err(end(&mut child, error)),
    };
    match talk.go_on(bounds) {
        Ok(()) => {
            let status = child.wait()?;
            let [stdout, stderr] = talk.outputs.map(|output| output.bytes);
            Ok(Output { status, stdout, stderr })
        }
        Err(error) => Err(end(&mut child, error)),
    }
}

/// Kills a program, and waits until it has ended.
fn end(child: &mut Child, error: io::Error) -> io::Error {
    // It may have ended just now.
    let _ = child.kill();
    let _ = child.wait();
    error
}

/// More than is in a pipe at once, in bytes (`pipe-max-size`). Who never stops writing must not keep
/// us from looking at the clock.
const FULL_PIPE: usize = 2 * 1024 * 1024;

struct Talk<'a> {
    input: &'a [u8],
    stdin: Option<ChildStdin>,
    outputs: [Collected; 2],
    /// Ready to be read when the program has ended; kernels before 5.3 have no such thing.
    process: Option<OwnedFd>,
}

/// What is collected of one of the outputs.
struct Collected {
    pipe: Option<OwnedFd>,
    bytes: Vec<u8>,
}

impl<'a> Talk<'a> {
    fn with(child: &mut Child, input: &'a [u8]) -> io::Result<Self> {
        let stdin = child.stdin.take();
        let pipes =
            [child.stdout.take().map(OwnedFd::from), child.stderr.take().map(OwnedFd::from)];
        let all = stdin.as_ref().map(AsFd::as_fd).into_iter();
        for pipe in all.chain(pipes.iter().flatten().map(AsFd::as_fd)) {
            rustix::io::ioctl_fionbio(pipe, true)?;
        }
        let process = Pid::from_raw(child.id().cast_signed());
        let process = process.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        let outputs = pipes.map(|pipe| Collected { pipe, bytes: Vec::new() });
        Ok(Self { input, stdin, outputs, process })
    }

    /// Until it has ended: what it wrote before that is in the pipes. Others to whom it has handed
    /// them on are not waited for.
    fn go_on(&mut self, bounds: Bounds) -> io::Result<()> {
        loop {
            self.write();
            let has_ended = self.wait(bounds.deadline)?;
            let [stdout, stderr] = &mut self.outputs;
            stdout.read(bounds.output + 1)?;
            stderr.read(bounds.output)?;
            if stdout.bytes.len() > bounds.output {
                return Err(ErrorKind::FileTooLarge.into());
            }
            let is_silent = stdout.pipe.is_none() && stderr.pipe.is_none();
            if has_ended || (self.process.is_none() && is_silent) {
                return Ok(());
            }
        }
    }

    /// Writes as much input as there is room for. A program need not read it; its answer tells.
    fn write(&mut self) {
        while let Some(stdin) = &mut self.stdin {
            match stdin.write(self.input) {
                Ok(written) if written < self.input.len() => self.input = &self.input[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => self.stdin = None,
            }
        }
    }

    /// Waits until something can be done; whether the program has ended.
    fn wait(&self, deadline: Instant) -> io::Result<bool> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        let left = Timespec::try_from(left).map_err(|_| ErrorKind::InvalidInput)?;
        let process = self.process.iter().map(|fd| PollFd::new(fd, PollFlags::IN));
        let outputs = self.outputs.iter().filter_map(|output| output.pipe.as_ref());
        let outputs = outputs.map(|fd| PollFd::new(fd, PollFlags::IN));
        let input = self.stdin.iter().map(|stdin| PollFd::new(stdin, PollFlags::OUT));
        let mut files: Vec<PollFd<'_>> = process.chain(outputs).chain(input).collect();
        if rustix::io::retry_on_intr(|| poll(&mut files, Some(&left)))? == 0 {
            return Err(ErrorKind::TimedOut.into());
        }
        Ok(self.process.is_some() && files.first().is_some_and(|file| !file.revents().is_empty()))
    }
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

    fn run(script: &str, input: &[u8], output: usize, time: Duration) -> io::Result<Output> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let bounds = Bounds { output, deadline: Instant::now() + time };
        finish_child(command.spawn().unwrap(), input, bounds)
    }

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn what_goes_in_comes_out_however_much_it_is() {
        let input: Vec<u8> = (0..=250).cycle().take(1 << 20).collect();
        let output = run("cat; echo no >&2; exit 3", &input, 1 << 20, LONG).unwrap();
        assert_eq!((output.status.code(), output.stdout == input), (Some(3), true));
        assert_eq!(output.stderr, b"no\n");
    }

    #[test]
    fn input_that_nobody_reads_and_pipes_that_others_hold_keep_nobody() {
        let input = vec![b' '; 1 << 20];
        let output = run("sleep 60 & echo $!", &input, 100, LONG).unwrap();
        let pid: u32 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
        let pid = Pid::from_raw(pid.cast_signed()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }

    #[test]
    fn who_goes_too_far_is_killed() {
        let kind = |script, time| run(script, b"", 1000, time).unwrap_err().kind();
        assert_eq!(kind("exec sleep 60", Duration::from_millis(20)), ErrorKind::TimedOut);
        assert_eq!(kind("exec yes", LONG), ErrorKind::FileTooLarge);
        assert_eq!(kind("exec yes >&2", Duration::from_millis(50)), ErrorKind::TimedOut);
        let output = run("head -c 5000 /dev/zero >&2; echo yes", b"", 1000, LONG).unwrap();
        assert_eq!((&output.stdout[..], output.stderr.len()), (&b"yes\n"[..], 1000));
    }
}
