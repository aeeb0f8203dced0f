//! Runs an address plugin of somebody else and waits for its end, but neither for ever nor for
//! whatever it may write: it is killed when it has had its time or has said too much.

use std::{
    env,
    io::{self, ErrorKind},
    process::{Child, Output},
    time::{Duration, Instant},
};

use ropewalk_linux::{Bounds, finish_child};

/// What one may write to standard output, in bytes; of standard error the rest is dropped.
const MOST_OUTPUT: usize = 8 * 1024 * 1024;

/// How long one may take: a DHCP client that gets no answer tries for 208 seconds.
const LONGEST: Duration = Duration::from_mins(4);

/// The variable that says otherwise, in seconds.
const LONGEST_VARIABLE: &str = "ROPEWALK_DELEGATE_SECONDS";

/// Gives it its input and collects what it writes until it ends.
pub(super) fn finish(child: Child, input: &str) -> Result<Output, io::Error> {
    let seconds = env::var(LONGEST_VARIABLE).ok().and_then(|text| text.parse().ok());
    let longest = seconds.map_or(LONGEST, Duration::from_secs);
    let bounds = Bounds { output: MOST_OUTPUT, deadline: Instant::now() + longest };
    finish_child(child, input.as_bytes(), bounds).map_err(|error| match error.kind() {
        ErrorKind::TimedOut => io::Error::other(format!(
            "it did not end in time; hint: {LONGEST_VARIABLE} gives it more"
        )),
        ErrorKind::FileTooLarge => io::Error::other("it wrote more than 8 MiB to standard output"),
        _ => error,
    })
}
