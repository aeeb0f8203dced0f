//! The task `test`: everything that has to hold, step by step.

use std::{os::unix::fs::MetadataExt, path::Path, process::Command};

use crate::{
    Workspace,
    console::say,
    dist, packages, process,
    steps::Steps,
    target::{self, Libc},
    tidy,
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
        steps.run("build plugins", || dist::build_plugins(&root, libc));
        steps.run("build command", || dist::build_command(&root));
    }
    steps.run("format", || quiet(process::cargo(&root).args(["fmt", "--all", "--check"])));
    let clippy = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
    steps.run("clippy", || quiet(process::cargo(&root).args(clippy)));
    steps.run("tidy", || tidy::check_and_tell(&root));
    steps.run("tests", || tests(&root, extent));
    steps.finish()
}

/// The effective user of this process owns its entry in procfs.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn quiet(command: &mut Command) -> Result<String, String> {
    process::run(command).map(|()| String::new())
}

fn tests(root: &Path, extent: Extent) -> Result<String, String> {
    let mut cargo = process::cargo(root);
    cargo.args(["test", "--workspace", "--no-fail-fast"]);
    if extent == Extent::Fast {
        for name in BLACK_BOX {
            cargo.args(["--exclude", name]);
        }
    } else {
        name_plugins(root, &mut cargo)?;
    }
    // The output of tests that pass tells what could not be tried on this kernel.
    cargo.args(["--", "--show-output"]);
    let mut report = Report::default();
    let result = process::run_reading(&mut cargo, |line| report.read(line));
    match result {
        Ok(()) => Ok(report.to_string()),
        Err(error) => Err(format!("{report}\n         {error}")),
    }
}

/// Black-box tests find the musl build for this architecture by themselves; any other is shown to
/// them as a directory with every plugin in it.
fn name_plugins(root: &Path, cargo: &mut Command) -> Result<(), String> {
    let libc = Libc::present();
    if libc == Libc::Musl && cfg!(target_arch = "x86_64") {
        return Ok(());
    }
    let directory = dist::target_directory(root).join("plugins-under-test");
    let plugins = dist::plugins_path(root, libc);
    let mut install = Command::new(dist::command_path(root));
    install.arg("install").arg(&directory).arg("--from").arg(&plugins);
    process::output(&mut install)?;
    // The binary under its own name tells that these are not somebody else's plugins.
    std::fs::copy(&plugins, directory.join("ropewalk-plugins"))
        .map_err(|error| format!("failed to copy {}: {error}", plugins.display()))?;
    cargo.env("ROPEWALK_E2E_PLUGINS", directory);
    Ok(())
}

/// What a test prints that this kernel cannot serve.
const NOT_RUN: &str = "NOT RUN HERE";

/// What the test programs say about themselves, added up.
#[derive(Debug, Default, PartialEq, Eq)]
struct Report {
    passed: u64,
    failed: u64,
    ignored: u64,
    not_run: u64,
    failing: Vec<String>,
    in_successes: bool,
}

impl Report {
    /// Reads a line; the answer is whether to show it. What tests print that pass is not shown,
    /// but for what they could not try.
    fn read(&mut self, line: &str) -> bool {
        match line {
            "successes:" => self.in_successes = true,
            "failures:" => self.in_successes = false,
            _ => {}
        }
        if let Some(result) = line.strip_prefix("test result: ") {
            self.in_successes = false;
            self.count(result);
        }
        let name = line.strip_prefix("test ").and_then(|line| line.strip_suffix(" ... FAILED"));
        self.failing.extend(name.map(str::to_owned));
        let is_not_run = line.starts_with(NOT_RUN);
        self.not_run += u64::from(is_not_run);
        is_not_run || !self.in_successes
    }

    /// Reads a result such as `ok. 12 passed; 0 failed; 1 ignored; …`.
    fn count(&mut self, result: &str) {
        let counts = result.split_once(". ").map_or("", |(_, counts)| counts);
        for part in counts.split("; ") {
            let Some((number, word)) = part.split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match word {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed, {} ignored", self.passed, self.failed, self.ignored)?;
        if self.not_run > 0 {
            write!(f, "; {} could not be tried, see {NOT_RUN} above", self.not_run)?;
        }
        self.failing.iter().try_for_each(|name| write!(f, "\n         {name} FAILED"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_test_programs_are_added_up() {
        let mut report = Report::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out",
            "test a::b ... ok",
            "test a::c ... FAILED",
            "test result: FAILED. 1 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out",
        ] {
            assert!(report.read(line));
        }
        let expected = "4 passed, 2 failed, 1 ignored\n         a::c FAILED";
        assert_eq!(report.to_string(), expected);
    }

    #[test]
    fn of_tests_that_pass_only_what_they_could_not_try_is_shown() {
        let mut report = Report::default();
        let lines = [
            ("successes:", false),
            ("---- a stdout ----", false),
            ("NOT RUN HERE: no VLANs", true),
            ("a measurement", false),
            ("failures:", true),
            ("---- b stdout ----", true),
            ("test result: FAILED. 1 passed; 1 failed; 0 ignored", true),
        ];
        for (line, shown) in lines {
            assert_eq!(report.read(line), shown, "{line}");
        }
        assert_eq!((report.passed, report.failed, report.not_run), (1, 1, 1));
    }
}
