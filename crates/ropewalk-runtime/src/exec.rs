//! Running one plugin: a process, its environment, its input and output.
//!
//! [`Execute`] is the seam between a chain and the world; [`Processes`] is the world. A plugin can
//! neither hang its caller (there is a deadline) nor fill its memory (output is bounded). It must
//! never interpret what a plugin said beyond success and failure.

use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use std::os::unix::process::ExitStatusExt;

use ropewalk_cni::{CniError, CniResult, ErrorCode, ExitKind, interpret, interpret_quiet, probe};
use ropewalk_linux::child::{self, Bounds};

/// More than this on standard output ends the plugin; more on standard error is dropped.
pub const OUTPUT_LIMIT_BYTES: usize = 8 << 20;

/// How long a plugin file that somebody is still writing is tried again.
const BUSY_PATIENCE: Duration = Duration::from_secs(5);

/// The time between two tries. The kernel tells nobody when a file stops being busy.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// One run of one plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// The executable.
    pub program: String,
    /// Variables on top of this process's own.
    pub variables: Vec<(&'static str, String)>,
    /// The configuration.
    pub stdin: String,
    /// How long it may take.
    pub deadline: Duration,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself, or it could not be started.
    Exit(ExitKind),
    /// It was killed at its deadline.
    DeadlinePassed(Duration),
    /// It was killed because it would not stop printing.
    TooMuchOutput,
    /// It was killed because it could not be watched, for this reason.
    Unwatchable(String),
}

/// What a run left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// How it ended.
    pub ending: Ending,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, up to [`OUTPUT_LIMIT_BYTES`].
    pub stderr: Vec<u8>,
}

/// Whoever can run plugins.
pub trait Execute {
    /// Whether a path is a regular file.
    fn is_file(&self, path: &str) -> bool;

    /// Runs a plugin to its end.
    fn execute(&self, invocation: &Invocation) -> Finished;
}

/// What becomes of the text that a successful plugin wrote to standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PluginStderr {
    /// It is written to this process's standard error, as libcni does.
    #[default]
    Forward,
    /// Nobody sees it.
    Discard,
}

/// Runs plugins as child processes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Processes {
    /// What becomes of what successful plugins wrote to standard error.
    pub stderr: PluginStderr,
}

impl Execute for Processes {
    fn is_file(&self, path: &str) -> bool {
        Path::new(path).is_file()
    }

    fn execute(&self, invocation: &Invocation) -> Finished {
        let deadline = Instant::now() + invocation.deadline;
        let child = match start(invocation, deadline) {
            Ok(child) => child,
            Err(error) => return Finished::not_started(invocation, &error),
        };
        let finished = attend(child, invocation, deadline);
        if self.stderr == PluginStderr::Forward && finished.is_success() {
            // A runtime without standard error must still work.
            let _ = io::Write::write_all(&mut io::stderr(), &finished.stderr);
        }
        finished
    }
}

fn start(invocation: &Invocation, deadline: Instant) -> io::Result<Child> {
    let mut command = Command::new(&invocation.program);
    command.envs(invocation.variables.iter().map(|(name, value)| (name, value)));
    command
        .stdin(child::input(invocation.stdin.as_bytes())?)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let give_up = deadline.min(Instant::now() + BUSY_PATIENCE);
    loop {
        match command.spawn() {
            Err(error) if is_busy(&error) && Instant::now() < give_up => thread::sleep(BUSY_PAUSE),
            other => return other,
        }
    }
}

fn is_busy(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ExecutableFileBusy
}

fn attend(child: Child, invocation: &Invocation, deadline: Instant) -> Finished {
    let bounds = Bounds { output: OUTPUT_LIMIT_BYTES, deadline };
    let finished = child::finish(child, bounds);
    let ending = match finished.ending {
        child::Ending::Exit(status) => Ending::Exit(exit_kind(status)),
        child::Ending::DeadlinePassed => Ending::DeadlinePassed(invocation.deadline),
        child::Ending::TooMuchOutput => Ending::TooMuchOutput,
        child::Ending::Unwatchable(error) => Ending::Unwatchable(error.to_string()),
    };
    Finished { ending, stdout: finished.stdout, stderr: finished.stderr }
}

fn exit_kind(status: ExitStatus) -> ExitKind {
    match (status.code(), status.signal()) {
        (Some(code), _) => ExitKind::Status(code),
        (None, Some(signal)) => ExitKind::Signal(signal),
        (None, None) => ExitKind::NotStarted(status.to_string()),
    }
}

impl Finished {
    /// A successful run that printed this; for fakes.
    pub fn success(stdout: impl Into<Vec<u8>>) -> Self {
        let ending = Ending::Exit(ExitKind::Status(0));
        Self { ending, stdout: stdout.into(), stderr: Vec::new() }
    }

    /// A failed run that printed this; for fakes.
    pub fn failure(stdout: impl Into<Vec<u8>>) -> Self {
        let ending = Ending::Exit(ExitKind::Status(1));
        Self { ending, stdout: stdout.into(), stderr: Vec::new() }
    }

    fn silent(ending: Ending) -> Self {
        Self { ending, stdout: Vec::new(), stderr: Vec::new() }
    }

    fn not_started(invocation: &Invocation, error: &io::Error) -> Self {
        let reason = reason(error);
        let reason = format!("fork/exec {}: {reason}", invocation.program);
        Self::silent(Ending::Exit(ExitKind::NotStarted(reason)))
    }

    fn is_success(&self) -> bool {
        self.ending == Ending::Exit(ExitKind::Status(0))
    }

    /// The result of ADD.
    pub(crate) fn result(&self, config_version: &str) -> Result<CniResult, CniError> {
        interpret(self.exit()?, &self.stdout, &self.stderr, config_version)
    }

    /// The answer to every command but ADD and VERSION.
    pub(crate) fn quiet(&self) -> Result<(), CniError> {
        interpret_quiet(self.exit()?, &self.stdout, &self.stderr)
    }

    /// The answer to VERSION.
    pub(crate) fn versions(&self) -> Result<Vec<String>, CniError> {
        probe::supported_versions(self.exit()?, &self.stdout, &self.stderr)
    }

    fn exit(&self) -> Result<&ExitKind, CniError> {
        let msg = match &self.ending {
            Ending::Exit(exit) => return Ok(exit),
            Ending::DeadlinePassed(deadline) => {
                format!("netplugin did not finish within {deadline:?} and was killed")
            }
            Ending::TooMuchOutput => {
                format!("netplugin printed more than {OUTPUT_LIMIT_BYTES} bytes and was killed")
            }
            Ending::Unwatchable(reason) => format!("netplugin could not be watched: {reason}"),
        };
        Err(CniError::new(ErrorCode::Unknown, msg))
    }
}

/// What the operating system says, in lower case and without the number.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let sentence = text.split(" (os error").next().unwrap_or_default();
    let mut characters = sentence.chars();
    let first = characters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(characters).collect()
}

#[cfg(test)]
mod tests;
