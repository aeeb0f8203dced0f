//! `ropewalk install`: puts every plugin into a folder, as a hard link to one binary, or to its own.
//!
//! Each name is replaced in one step, so a runtime that starts a plugin meanwhile gets the old one
//! or the new one. Files with other names are never touched.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use clap::Args;
use ropewalk_plugins::table::SEPARATE;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

/// Install every plugin into a folder, as hard links to one binary
///
/// Plugins of the same names are replaced; other files are not touched. The plugin sql comes with
/// a larger program, ropewalk-sql, and is installed if that is beside the binary. With
/// `--from ropewalk-sql` all plugins are that program, which spares sql a process of its own.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The folder, for example /opt/cni/bin; it is made if it is missing
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,

    /// Keep the files that are replaced in this folder, for `ropewalk uninstall`; what it has
    /// already stays
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,

    /// The binary with all plugins [default: ropewalk-plugins beside this program, else this
    /// program]
    #[arg(long, value_name = "BINARY")]
    from: Option<PathBuf>,
}

/// What becomes of each name.
type Plan = BTreeMap<&'static str, Action>;

/// What becomes of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Create,
    Replace,
    Keep,
}

impl Action {
    fn name(self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Replace => "replace",
            Action::Keep => "keep",
        }
    }
}

pub(crate) fn run(options: &Options, output: Output) -> Result<(), Failure> {
    let (binary, plan) = install(options)?;
    output.answer(|| as_text(options, &binary, &plan), || as_json(options, &binary, &plan))
}

/// Decides everything first, then does it; the answer is the binary and what became of each name.
fn install(options: &Options) -> Result<(PathBuf, Plan), Failure> {
    let binary = binary(options.from.as_ref())?;
    let directory = &options.directory;
    let mut plan = Plan::new();
    let mut sources = programs(&binary);
    for (name, program) in &sources {
        let target = directory.join(name);
        let action = action(program, &target).map_err(|error| failure(&target, &error))?;
        plan.insert(*name, action);
    }
    if options.dry_run {
        return Ok((binary, plan));
    }
    fs::create_dir_all(directory).map_err(|error| failure(directory, &error))?;
    let mut source = binary.clone();
    for (name, action) in plan.iter().filter(|(_, action)| **action != Action::Keep) {
        let own = sources.get_mut(name).filter(|program| **program != binary);
        let source = own.unwrap_or(&mut source);
        let target = directory.join(name);
        if let (Some(kept), Action::Replace) = (&options.keep, action) {
            keep(&target, kept, name).map_err(|error| failure(kept, &error))?;
        }
        replace(source, &target).map_err(|error| failure(&target, &error))?;
    }
    Ok((binary, plan))
}

/// Each plugin with its program: those that have one of their own, if it is beside the binary.
pub(super) fn programs(binary: &Path) -> BTreeMap<&'static str, PathBuf> {
    let all = ropewalk_plugins::names().map(|name| (name, binary.to_owned()));
    let separate = SEPARATE.iter();
    let separate = separate.map(|plugin| (plugin.name, binary.with_file_name(plugin.program)));
    all.chain(separate.filter(|(_, program)| program.is_file())).collect()
}

/// The binary to install, with every link followed: the links must outlive it.
pub(super) fn binary(from: Option<&PathBuf>) -> Result<PathBuf, Failure> {
    let path = match from {
        Some(path) => path.clone(),
        None => default_binary()
            .map_err(|error| Failure::failed(format!("failed to find this program: {error}")))?,
    };
    let found = fs::canonicalize(&path).map_err(|error| failure(&path, &error))?;
    let metadata = fs::metadata(&found).map_err(|error| failure(&found, &error))?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
        let message = format!("failed to install {}: not an executable file", path.display());
        return Err(Failure::failed(message));
    }
    Ok(found)
}

fn default_binary() -> io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let beside = program.with_file_name("ropewalk-plugins");
    Ok(if beside.is_file() { beside } else { program })
}

pub(super) fn failure(path: &Path, error: &io::Error) -> Failure {
    let message = format!("failed to install {}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            Failure::new(Exit::NotPermitted, message).with_hint("run this command as root")
        }
        _ => Failure::failed(message),
    }
}

fn action(binary: &Path, target: &Path) -> io::Result<Action> {
    let existing = match fs::symlink_metadata(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Action::Create),
        other => other?,
    };
    if existing.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let wanted = fs::metadata(binary)?;
    let is_same = (existing.dev(), existing.ino()) == (wanted.dev(), wanted.ino());
    Ok(if is_same { Action::Keep } else { Action::Replace })
}

/// Keeps a file under its name, unless one was kept before: that is the original.
fn keep(file: &Path, directory: &Path, name: &str) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let kept = directory.join(name);
    if kept.symlink_metadata().is_ok() {
        return Ok(());
    }
    replace(&mut file.to_owned(), &kept)
}

/// Puts a link in place of a name. Where a link is impossible the first name becomes a copy, and
/// the source of the links that follow.
pub(super) fn replace(source: &mut PathBuf, target: &Path) -> io::Result<()> {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let temporary = target.with_file_name(format!(".{name}.new"));
    remove_if_there(&temporary)?;
    let is_copy = fs::hard_link(&source, &temporary).is_err();
    let placed = if is_copy { copy(source, &temporary) } else { Ok(()) };
    if let Err(error) = placed.and_then(|()| fs::rename(&temporary, target)) {
        // The error that led here is the one to report.
        let _ = remove_if_there(&temporary);
        return Err(error);
    }
    if is_copy {
        target.clone_into(source);
    }
    Ok(())
}

fn copy(source: &Path, temporary: &Path) -> io::Result<()> {
    fs::copy(source, temporary)?;
    fs::set_permissions(temporary, fs::Permissions::from_mode(0o755))?;
    fs::File::open(temporary)?.sync_all()
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn as_text(options: &Options, binary: &Path, plan: &Plan) -> String {
    let line = |(name, action): (&&str, &Action)| {
        let target = options.directory.join(name);
        let target = target.display();
        match (action, options.dry_run) {
            (Action::Create, false) => format!("created {target}\n"),
            (Action::Create, true) => format!("would create {target}\n"),
            (Action::Replace, false) => format!("replaced {target}\n"),
            (Action::Replace, true) => format!("would replace {target}\n"),
            (Action::Keep, _) => format!("{target} is in place\n"),
        }
    };
    let lines: Vec<String> = plan.iter().map(line).collect();
    format!("{}all from {}\n", lines.concat(), binary.display())
}

fn as_json(options: &Options, binary: &Path, plan: &Plan) -> Value {
    let plugin =
        |(name, action): (&&str, &Action)| json!({ "name": name, "action": action.name() });
    json!({
        "directory": options.directory.display().to_string(),
        "binary": binary.display().to_string(),
        "dryRun": options.dry_run,
        "plugins": plan.iter().map(plugin).collect::<Vec<Value>>(),
    })
}

#[cfg(test)]
mod tests;
