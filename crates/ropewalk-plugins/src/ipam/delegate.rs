//! The IPAM plugin that a configuration names: ours runs in this process, any other is executed
//! as the CNI specification says (section 4, "Plugin Delegation").

use std::{
    cell::Cell,
    fs,
    io::{self, Write},
    os::unix::{fs::MetadataExt, process::ExitStatusExt},
    process::{Command as Process, Output, Stdio},
};

use ropewalk_cni::{
    CniError, CniResult, Command, ExitKind, Request, delegate::interpret_quiet, find_plugin,
    interpret,
};

use super::{IpamPlugin, execution};
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

    /// Whether it runs in this process.
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self, Self::InProcess(_))
    }

    pub(crate) fn claim(&self, request: &Request) -> Result<CniResult, CniError> {
        match self {
            Self::InProcess(plugin) => plugin.claim(request),
            Self::Executed(path) => {
                let output = execute(path, request, Command::Add)?;
                let exit = exit_kind(&output);
                let version = request.version.as_str();
                let result = interpret(&exit, &output.stdout, &output.stderr, version)?;
                // What the delegate had to say is for whoever reads our log; losing it is no
                // reason to fail.
                let _ = io::stderr().write_all(&output.stderr);
                Ok(result)
            }
        }
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
    let output = execute(path, request, command)?;
    interpret_quiet(&exit_kind(&output), &output.stdout, &output.stderr)
}

fn exit_kind(output: &Output) -> ExitKind {
    match (output.status.code(), output.status.signal()) {
        (Some(code), _) => ExitKind::Status(code),
        (None, signal) => ExitKind::Signal(signal.unwrap_or_default()),
    }
}

/// Runs the plugin with our environment but for the command, and our whole configuration.
fn execute(path: &str, request: &Request, command: Command) -> Result<Output, CniError> {
    let not_started = |error: &io::Error| {
        let reason = ropewalk_linux::io_reason(error);
        let exit = ExitKind::NotStarted(format!("fork/exec {path}: {reason}"));
        match interpret_quiet(&exit, b"", b"") {
            Err(error) => error,
            Ok(()) => CniError::internal(reason),
        }
    };
    let mut process = Process::new(path);
    process.env("CNI_COMMAND", command.as_str());
    process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = match process.spawn() {
        Err(error) if error.raw_os_error() == Some(TEXT_FILE_BUSY) => {
            return Err(CniError::new(
                ropewalk_cni::ErrorCode::TryAgainLater,
                format!("failed to execute {path}: text file busy"),
            ));
        }
        other => other.map_err(|error| not_started(&error))?,
    };
    execution::finish(child, &request.stdin)
        .map_err(|error| CniError::internal(format!("failed to run {path}: {error}")))
}
