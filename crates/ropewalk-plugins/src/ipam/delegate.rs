//! The IPAM plugin that a configuration names: ours runs in this process, any other is executed
//! as the CNI specification says (section 4, "Plugin Delegation").

use std::{
    cell::Cell,
    fs,
    io::{self, Write},
    os::unix::{fs::MetadataExt, process::ExitStatusExt},
    process::{Child, Command as Process, Output, Stdio},
    sync::mpsc::{Receiver, channel},
    thread::{Builder, Scope},
};

use ropewalk_cni::{
    CniError, CniResult, Command, ExitKind, Request, delegate::interpret_quiet, find_plugin,
    interpret,
};
use ropewalk_linux::child;

use super::{Gate, IpamPlugin, SlowIpam, execution};
use crate::table::{self, Kind};

/// An IPAM plugin, found.
pub(crate) enum Ipam {
    InProcess(&'static dyn IpamPlugin),
    Executed(String),
}

/// `ETXTBSY`: the file is still open for writing, as happens while plugins are being installed.
const TEXT_FILE_BUSY: i32 = 26;

impl Ipam {
    /// Finds the plugin of this type on the request's `CNI_PATH`.
    pub(crate) fn find(name: &str, request: &Request) -> Result<Self, CniError> {
        let found = Cell::new(None);
        let path = find_plugin(name, &request.path, |path| {
            let file = fs::metadata(path).ok().filter(fs::Metadata::is_file);
            let is_there = file.is_some();
            found.set(file);
            is_there
        })?;
        let ours = table::find(name).filter(|_| found.take().as_ref().is_some_and(is_this_program));
        Ok(match ours.map(|plugin| &plugin.kind) {
            Some(Kind::Ipam(plugin)) => Self::InProcess(*plugin),
            _ => Self::Executed(path),
        })
    }

    /// Leases addresses.
    pub(crate) fn claim(&self, request: &Request) -> Result<CniResult, CniError> {
        match self {
            Self::InProcess(plugin) => plugin.claim(request),
            Self::Executed(path) => start(path, request, Command::Add)?.result(request),
        }
    }

    /// Begins the claim of somebody else's plugin.
    pub(crate) fn start(&self, request: &Request) -> Result<Option<Claim>, CniError> {
        match self {
            Self::InProcess(_) => Ok(None),
            Self::Executed(path) => {
                start(path, request, Command::Add).map(Claim::Running).map(Some)
            }
        }
    }

    /// The plugin of this type, if it is a slow one that runs in this process.
    pub(crate) fn find_slow(
        name: &str,
        request: &Request,
    ) -> Option<(Self, &'static dyn SlowIpam)> {
        let Kind::Ipam(plugin) = table::find(name)?.kind else { return None };
        let slow = plugin.slow()?;
        let found = Self::find(name, request).ok();
        found.filter(|ipam| matches!(ipam, Self::InProcess(_))).map(|ipam| (ipam, slow))
    }

    pub(crate) fn confirm(&self, request: &Request) -> Result<(), CniError> {
        match self {
            Self::InProcess(plugin) => plugin.confirm(request),
            Self::Executed(path) => execute_quietly(path, request, Command::Check),
        }
    }

    pub(crate) fn release(&self, request: &Request) -> Result<(), CniError> {
        match self {
            Self::InProcess(plugin) => plugin.release(request),
            Self::Executed(path) => execute_quietly(path, request, Command::Del),
        }
    }

    pub(crate) fn collect(&self, request: &Request) -> Result<(), CniError> {
        match self {
            Self::InProcess(plugin) => plugin.collect(request),
            Self::Executed(path) => execute_quietly(path, request, Command::Gc),
        }
    }

    pub(crate) fn status(&self, request: &Request) -> Result<(), CniError> {
        match self {
            Self::InProcess(plugin) => plugin.status(request),
            Self::Executed(path) => execute_quietly(path, request, Command::Status),
        }
    }
}

/// A claim that has begun.
pub(crate) enum Claim {
    /// Its end is told by the thread, which is not waited for: the system has to clear it away.
    OnThread(Receiver<Result<CniResult, CniError>>),
    Running(Started),
}

impl Claim {
    /// Begins a claim on a thread, up to the gate.
    pub(crate) fn on_thread<'s>(
        plugin: &'static dyn SlowIpam,
        gate: Gate,
        scope: &'s Scope<'s, '_>,
        request: &'s Request,
    ) -> Result<Self, CniError> {
        let (sender, receiver) = channel();
        let claim = move || {
            // Whoever does not listen has failed, and the gate has not been opened.
            let _ = sender.send(plugin.claim_behind(&gate, request));
        };
        let thread = Builder::new().spawn_scoped(scope, claim);
        let failed = |error| CniError::internal(format!("failed to start a thread: {error}"));
        thread.map(|_| Self::OnThread(receiver)).map_err(failed)
    }

    /// What was leased, as soon as it is known.
    pub(crate) fn end(self, request: &Request) -> Result<CniResult, CniError> {
        match self {
            Self::OnThread(result) => result.recv().unwrap_or_else(|_| {
                Err(CniError::internal("internal error of the address plugin"))
            }),
            Self::Running(started) => started.result(request),
        }
    }
}

/// What a claim of the plugin of this type would give. One of our names is taken for ours, also
/// where another file would be executed: whose `host-local` it is, the leases are the same.
pub(crate) fn preview(name: &str, request: &Request) -> Result<CniResult, CniError> {
    match table::find(name).map(|plugin| &plugin.kind) {
        Some(Kind::Ipam(plugin)) => plugin.preview(request),
        _ => Err(CniError::internal(format!("cannot foresee which addresses {name} would give"))),
    }
}

/// Hard links to one file share device and inode; a symbolic link is followed.
fn is_this_program(file: &fs::Metadata) -> bool {
    let this = fs::metadata("/proc/self/exe");
    this.is_ok_and(|this| (this.dev(), this.ino()) == (file.dev(), file.ino()))
}

fn execute_quietly(path: &str, request: &Request, command: Command) -> Result<(), CniError> {
    let output = start(path, request, command)?.finish()?;
    interpret_quiet(&exit_kind(&output), &output.stdout, &output.stderr)
}

fn exit_kind(output: &Output) -> ExitKind {
    match (output.status.code(), output.status.signal()) {
        (Some(code), _) => ExitKind::Status(code),
        (None, signal) => ExitKind::Signal(signal.unwrap_or_default()),
    }
}

/// A plugin that runs.
pub(crate) struct Started {
    path: String,
    child: Child,
}

/// Starts the plugin with our environment but for the command, and our whole configuration.
fn start(path: &str, request: &Request, command: Command) -> Result<Started, CniError> {
    let not_started = |error: &io::Error| {
        let reason = ropewalk_linux::io_reason(error);
        let exit = ExitKind::NotStarted(format!("fork/exec {path}: {reason}"));
        match interpret_quiet(&exit, b"", b"") {
            Err(error) => error,
            Ok(()) => CniError::internal(reason),
        }
    };
    let input = child::input(request.stdin.as_bytes()).map_err(|error| not_started(&error))?;
    let mut process = Process::new(path);
    process.env("CNI_COMMAND", command.as_str());
    process.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = match process.spawn() {
        Err(error) if error.raw_os_error() == Some(TEXT_FILE_BUSY) => {
            return Err(CniError::new(
                ropewalk_cni::ErrorCode::TryAgainLater,
                format!("failed to execute {path}: text file busy"),
            ));
        }
        other => other.map_err(|error| not_started(&error))?,
    };
    Ok(Started { path: path.to_owned(), child })
}

impl Started {
    /// The result of an ADD, as soon as it is there.
    fn result(self, request: &Request) -> Result<CniResult, CniError> {
        let output = self.finish()?;
        let version = request.version.as_str();
        let result = interpret(&exit_kind(&output), &output.stdout, &output.stderr, version)?;
        // What the delegate had to say is for whoever reads our log; losing it is no reason to
        // fail.
        let _ = io::stderr().write_all(&output.stderr);
        Ok(result)
    }

    /// Waits for its end.
    fn finish(self) -> Result<Output, CniError> {
        execution::finish(self.child)
            .map_err(|error| CniError::internal(format!("failed to run {}: {error}", self.path)))
    }
}
