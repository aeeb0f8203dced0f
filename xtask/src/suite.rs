//! The task `test`: everything that has to hold, step by step.

use std::{os::unix::fs::MetadataExt, path::Path, process::Command};

use crate::{
    Workspace,
    console::say,
    dist, packages, process,
    report::Report,
    steps::Steps,
    target::{self, Libc},
    tidy, ui, vm,
};

/// How much is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Everything,
    /// What needs no preparation and no release build: for the minute before a commit.
    Fast,
}

/// The crates that test release builds; they are left out of the fast extent.
const BLACK_BOX: [&str; 2] = ["ropewalk-e2e", "xtask"];

/// Runs the task; the answer is whether everything worked.
pub fn run(extent: Extent) -> bool {
    if !is_root() {
        say("the tests make network namespaces and need root; run them as root or with sudo");
        return false;
    }
    let root = Workspace::root();
    let mut steps = Steps::new();
    if extent == Extent::Everything {
        steps.run("packages", packages::prepare);
        let mut libc = Libc::present();
        steps.run("target", || {
            let (prepared, text) = target::prepare();
            libc = prepared;
            Ok(text)
        });
        // All that can be tested is in it; an ordinary build is what the crates' own tests use.
        let build = dist::Build::possible();
        steps.run("build plugins", || dist::build_plugins(&root, libc, build));
        steps.run("build sql", || dist::build_sql(&root, libc));
        steps.run("build page", || ui::build(&root));
        steps.run("build command", || dist::build_command(&root, build));
    }
    steps.run("format", || quiet(process::cargo(&root).args(["fmt", "--all", "--check"])));
    steps.run("clippy", || {
        let mut clippy = process::cargo(&root);
        clippy.args(["clippy", "--workspace", "--all-targets", "--quiet"]);
        clippy.args(dist::Build::possible().features("ropewalk-cli"));
        quiet(clippy.args(["--", "-D", "warnings"]))
    });
    steps.run("tidy", || tidy::check_and_tell(&root));
    let mut report = Report::default();
    steps.run("tests", || tests(&root, extent, &mut report));
    if extent == Extent::Everything {
        steps.run("virtual machines", || vm::check(&root, &report));
    }
    steps.finish()
}

/// The effective user of this process owns its entry in procfs.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn quiet(command: &mut Command) -> Result<String, String> {
    process::run(command).map(|()| String::new())
}

fn tests(root: &Path, extent: Extent, report: &mut Report) -> Result<String, String> {
    let mut cargo = process::cargo(root);
    cargo.args(["test", "--workspace", "--no-fail-fast"]);
    if extent == Extent::Fast {
        for name in BLACK_BOX {
            cargo.args(["--exclude", name]);
        }
    } else if let Some(directory) = dist::plugins_under_test(root)? {
        cargo.env("ROPEWALK_E2E_PLUGINS", directory);
    }
    // The output of tests that pass tells what could not be tried on this kernel.
    cargo.args(["--", "--show-output"]);
    let result = process::run_reading(&mut cargo, |line| {
        if report.read(line) {
            say(line);
        }
    });
    let enough = if extent == Extent::Fast { Ok(()) } else { report.check_faults() };
    match result.and(enough) {
        Ok(()) => Ok(report.to_string()),
        Err(error) => Err(format!("{report}\n         {error}")),
    }
}
