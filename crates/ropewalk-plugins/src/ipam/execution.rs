//! Runs an address plugin of somebody else and waits for its end, but neither for ever nor for
//! whatever it may write: it is killed when it has had its time or has said too much.

use std::{
    env, io,
    process::{Child, Output},
    time::{Duration, Instant},
};

use ropewalk_linux::child::{self, Bounds, Ending};

/// What one may write to standard output, in bytes; of standard error the rest is dropped.
const MOST_OUTPUT: usize = 8 * 1024 * 1024;

/// How long one may take: a DHCP client that gets no answer tries for 208 seconds.
const LONGEST: Duration = Duration::from_mins(4);

/// The variable that says otherwise, in seconds.
const LONGEST_VARIABLE: &str = "ROPEWALK_DELEGATE_SECONDS";

/// Collects what it writes until it ends.
pub(super) fn finish(child: Child) -> Result<Output, io::Error> {
    let seconds = env::var(LONGEST_VARIABLE).ok().and_then(|text| text.parse().ok());
    let longest = seconds.map_or(LONGEST, Duration::from_secs);
    let bounds = Bounds { output: MOST_OUTPUT, deadline: Instant::now() + longest };
    let finished = child::finish(child, bounds);
    match finished.ending {
        Ending::Exit(status) => {
            Ok(Output { status, stdout: finished.stdout, stderr: finished.stderr })
        }
        Ending::DeadlinePassed => Err(io::Error::other(format!(
            "it did not end in time; hint: {LONGEST_VARIABLE} gives it more"
        ))),
        Ending::TooMuchOutput => {
            Err(io::Error::other("it wrote more than 8 MiB to standard output"))
        }
        Ending::Unwatchable(error) => Err(error),
    }
}
