//! Runs an address plugin of somebody else and waits for its end, but neither for ever nor for
//! whatever it may write: it is killed when it has had its time or has said too much.

use std::{
    env,
    io::{self, Read, Write},
    process::{Child, Output},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

/// What one may write to standard output, in bytes; of standard error the rest is dropped.
const MOST_OUTPUT: u64 = 8 * 1024 * 1024;

/// How long one may take: a DHCP client that gets no answer tries for 208 seconds.
const LONGEST: Duration = Duration::from_mins(4);

/// The variable that says otherwise, in seconds.
const LONGEST_VARIABLE: &str = "ROPEWALK_DELEGATE_SECONDS";

/// How often one that has closed its outputs is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Gives it its input and collects what it writes until it ends.
pub(super) fn finish(mut child: Child, input: &str) -> Result<Output, io::Error> {
    let seconds = env::var(LONGEST_VARIABLE).ok().and_then(|text| text.parse().ok());
    let longest = seconds.map_or(LONGEST, Duration::from_secs);
    let outcome = collect(&mut child, input, Instant::now() + longest);
    if outcome.is_err() {
        // It may have ended just now.
        let _ = child.kill();
        child.wait()?;
    }
    outcome
}

fn collect(child: &mut Child, input: &str, deadline: Instant) -> Result<Output, io::Error> {
    if let Some(mut stdin) = child.stdin.take() {
        let input = input.as_bytes().to_vec();
        // A plugin need not read its input (RELEASE may not care); its answer tells.
        thread::spawn(move || drop(stdin.write_all(&input)));
    }
    let stdout = reading(child.stdout.take());
    let stderr = reading(child.stderr.take());
    let wait_for = |pipe: &mpsc::Receiver<Vec<u8>>| match pipe
        .recv_timeout(deadline.saturating_duration_since(Instant::now()))
    {
        Ok(bytes) => Ok(bytes),
        Err(RecvTimeoutError::Timeout) => Err(too_late()),
        Err(RecvTimeoutError::Disconnected) => Err(io::ErrorKind::BrokenPipe.into()),
    };
    let stdout = wait_for(&stdout)?;
    if stdout.len() as u64 > MOST_OUTPUT {
        return Err(io::Error::other("it wrote more than 8 MiB to standard output"));
    }
    let stderr = wait_for(&stderr)?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Output { status, stdout, stderr });
        }
        if Instant::now() > deadline {
            return Err(too_late());
        }
        thread::park_timeout(LOOK_AGAIN);
    }
}

fn too_late() -> io::Error {
    io::Error::other(format!("it did not end in time; hint: {LONGEST_VARIABLE} gives it more"))
}

/// Reads a pipe beside everything else. One byte more than may be is enough to know.
fn reading(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before an error is what there is.
            let _ = pipe.by_ref().take(MOST_OUTPUT + 1).read_to_end(&mut bytes);
            let _ = sender.send(bytes);
            let _ = io::copy(&mut pipe, &mut io::sink());
        } else {
            let _ = sender.send(bytes);
        }
    });
    receiver
}
