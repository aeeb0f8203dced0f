//! The task `ui`: the page of `ropewalk ui`, made of what is in the folder `ui`.
//!
//! It must never be needed to build the rest: who has no npm builds a command without the page.

use std::{fs, path::Path, process::Command};

use crate::{Workspace, console::say, packages, process};

/// What has to be there for it.
const NPM: &str = "npm";

/// Where the page is when it is made. The command holds these files, so the place is fixed.
const MADE: &str = "target/ui/page.js.gz";

/// Whether the page is there, to be put into the command.
pub(crate) fn is_made(root: &Path) -> bool {
    root.join(MADE).exists()
}

/// Makes the page.
pub fn build(root: &Path) -> Result<String, String> {
    packages::prepare_for(&["node", NPM])?;
    install(root)?;
    for script in ["check", "build"] {
        process::run(npm(root).args(["run", "--silent", script]))?;
    }
    let size = fs::metadata(root.join(MADE)).map_err(|error| format!("no {MADE}: {error}"))?.len();
    Ok(format!("{MADE}: {} KiB", size.div_ceil(1024)))
}

/// Fetches what the page is built with, if that is not the state of the list.
fn install(root: &Path) -> Result<(), String> {
    let written = |path: &str| fs::metadata(root.join(path)).and_then(|file| file.modified()).ok();
    let (list, installed) =
        (written("ui/package-lock.json"), written("ui/node_modules/.package-lock.json"));
    if installed.is_some() && installed >= list {
        return Ok(());
    }
    process::run(npm(root).args(["ci", "--loglevel=error"]))
}

fn npm(root: &Path) -> Command {
    let mut command = Command::new(NPM);
    // It may say nothing on standard output that is not of this task.
    command.current_dir(root.join("ui")).env("NO_UPDATE_NOTIFIER", "1");
    command
}

/// The task.
pub fn run() -> bool {
    let result = build(&Workspace::root());
    let worked = result.is_ok();
    say(&result.unwrap_or_else(|error| format!("FAILED: {error}")));
    worked
}
