//! `ropewalk uninstall`: takes the plugins out of a folder, and puts back what was there before.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::install::{binary, failure, programs, replace};
use crate::failure::Failure;
use crate::output::Output;

/// Take the plugins out of a folder, and put back what was there before
///
/// Containers that are attached stay so. Run `ropewalk handover --to reference` first, so that the
/// plugins that were there before can delete what Ropewalk's plugins made.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The folder, for example /opt/cni/bin
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// The folder that was given to `ropewalk install --keep`: its plugins return
    #[arg(long, value_name = "DIR")]
    kept: Option<PathBuf>,

    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,

    /// The binary with all plugins [default: as `ropewalk install` finds it]
    #[arg(long, value_name = "BINARY")]
    from: Option<PathBuf>,
}

/// What becomes of a name under which a plugin of ours is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    Return(PathBuf),
    Remove,
}

pub(crate) fn run(options: &Options, output: Output) -> Result<(), Failure> {
    let binary = binary(options.from.as_ref())?;
    let mut done = Vec::new();
    for (name, program) in programs(&binary) {
        let target = options.directory.join(name);
        if !is_ours(&program, &target).map_err(|error| failure(&target, &error))? {
            continue;
        }
        let kept = options.kept.as_ref().map(|kept| kept.join(name)).filter(|kept| kept.is_file());
        let action = kept.map_or(Action::Remove, Action::Return);
        if !options.dry_run {
            act(&action, &target).map_err(|error| failure(&target, &error))?;
        }
        done.push((name, action));
    }
    output.answer(|| text(options, &done), || document(options, &done))
}

/// Whether a file is the binary, or a copy of it.
fn is_ours(binary: &Path, target: &Path) -> io::Result<bool> {
    let there = match fs::metadata(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other?,
    };
    let ours = fs::metadata(binary)?;
    if (there.dev(), there.ino()) == (ours.dev(), ours.ino()) {
        return Ok(true);
    }
    Ok(there.is_file() && there.len() == ours.len() && fs::read(target)? == fs::read(binary)?)
}

fn act(action: &Action, target: &Path) -> io::Result<()> {
    match action {
        Action::Return(kept) => replace(&mut kept.clone(), target),
        Action::Remove => fs::remove_file(target),
    }
}

fn text(options: &Options, done: &[(&str, Action)]) -> String {
    let line = |(name, action): &(&str, Action)| {
        let target = options.directory.join(name);
        let verb = match (action, options.dry_run) {
            (Action::Return(_), false) => "returned",
            (Action::Return(_), true) => "would return",
            (Action::Remove, false) => "removed",
            (Action::Remove, true) => "would remove",
        };
        format!("{verb} {}\n", target.display())
    };
    match done {
        [] => format!("there is no plugin of Ropewalk in {}\n", options.directory.display()),
        _ => done.iter().map(line).collect(),
    }
}

fn document(options: &Options, done: &[(&str, Action)]) -> Value {
    let plugin = |(name, action): &(&str, Action)| {
        let action = match action {
            Action::Return(_) => "return",
            Action::Remove => "remove",
        };
        json!({ "name": name, "action": action })
    };
    json!({
        "directory": options.directory.display().to_string(),
        "dryRun": options.dry_run,
        "plugins": done.iter().map(plugin).collect::<Vec<Value>>(),
    })
}
