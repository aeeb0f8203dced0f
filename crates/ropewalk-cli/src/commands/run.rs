//! `ropewalk run`: a command in a fresh namespace that is attached to a network while it runs.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode};
use std::thread;

use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::options::{AttachmentOptions, RuntimeOptions};
use crate::output::Output;
use crate::sandbox::{Sandbox, require_root};

/// Run a command in a fresh network namespace attached to a network
///
/// The namespace is detached and removed when the command ends. The exit code is the command's.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Name of the network
    network: String,

    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,

    #[command(flatten)]
    attachment: AttachmentOptions,

    #[command(flatten)]
    runtime: RuntimeOptions,
}

pub(crate) fn run(options: &Options, output: Output) -> Result<ExitCode, Failure> {
    require_root("run a command on a network")?;
    let network = options.runtime.config.network(&options.network, output)?;
    let runtime = options.runtime.runtime();
    let name = format!("ropewalk-run-{}", std::process::id());
    let sandbox = Sandbox::create(&name)?;
    let mut attachment = options.attachment.attachment(Some(sandbox.path()))?;
    if options.attachment.container_id.is_none() {
        attachment.container_id = name;
    }
    runtime.add(&network.list, &attachment).map_err(|error| {
        Failure::of_runtime(&format!("attach to network {:?}", options.network), &error)
    })?;
    let ended = execute(&sandbox, &options.command);
    let detached = runtime.del(&network.list, &attachment).map_err(|error| {
        Failure::of_runtime(&format!("detach from network {:?}", options.network), &error)
    });
    let code = ended?;
    detached?;
    Ok(code)
}

/// Runs the command to its end. Signals that would end us end it instead, so that we can detach.
fn execute(sandbox: &Sandbox, command: &[String]) -> Result<ExitCode, Failure> {
    let watch =
        |error: std::io::Error| Failure::failed(format!("failed to watch for signals: {error}"));
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).map_err(watch)?;
    let handle = signals.handle();
    let mut child = sandbox.spawn(Command::new(&command[0]).args(&command[1..]))?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let forwarder = thread::spawn(move || {
        for signal in signals.forever() {
            if let (Some(pid), Some(signal)) = (pid, Signal::from_named_raw(signal)) {
                // A child that has ended already needs no signal.
                let _ = kill_process(pid, signal);
            }
        }
    });
    let status = child.wait();
    handle.close();
    // The forwarder ends when its handle is closed; it cannot fail.
    let _ = forwarder.join();
    let status = status
        .map_err(|error| Failure::failed(format!("failed to wait for the command: {error}")))?;
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    Ok(ExitCode::from(
        code.and_then(|code| u8::try_from(code).ok()).unwrap_or(Exit::Failed.number()),
    ))
}
