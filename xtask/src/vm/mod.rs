//! The virtual machine tier: tests on kernels that this machine does not have.
//!
//! It must never change the machine: a host sees the machine's files, and writes into its memory.

mod host;
mod image;
mod job;
mod kernel;
mod modules;
mod outcome;
mod programs;
mod tasks;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

pub use self::host::Kind;
use self::{image::Image, job::Event, outcome::Outcome, programs::Program, tasks::Tasks};
use crate::{Workspace, console::say, dist, packages, process, report::Report, target::Libc};

/// How much more time a test host takes than this machine, which has one processor in hardware:
/// tests multiply their deadlines by it.
const PATIENCE: u32 = 10;

/// As a step among others: after this time hosts begin only what is needed, tests that could not be
/// tried on this machine.
const ENOUGH: Duration = Duration::from_mins(7);

/// The task: builds what is tested, and runs the tests that the filter selects, all without one,
/// however long it takes.
pub fn run(filter: Option<&str>) -> bool {
    let root = Workspace::root();
    let result = packages::prepare()
        .and_then(|_| build_what_is_tested(&root))
        .and_then(|()| programs::build(&root))
        .and_then(|programs| match filter {
            Some(text) => test(&root, &Tasks::named(&programs, text), Duration::MAX),
            None => test_all(&root, &programs, &BTreeSet::new(), Duration::MAX),
        })
        .and_then(|outcome| outcome.verdict(&Report::default()));
    match &result {
        Ok(text) => say(&format!("ok: {text}")),
        Err(text) => say(&format!("FAILED: {text}")),
    }
    result.is_ok()
}

/// The task: runs a command on a test host.
pub fn run_command(kind: Kind, command: &[&str]) -> bool {
    let root = Workspace::root();
    let directory = directory(&root);
    let script = command.join(" ");
    let status = packages::prepare()
        .and_then(|_| Image::prepare(&directory.join("image")))
        .and_then(|image| {
            host::run(&image, kind, &directory, &script, |line| {
                say(line);
                None
            })
        });
    let log = host::log(&directory, kind);
    match status {
        Ok(0) => return true,
        Ok(status) => say(&format!("ended with {status}; see also {}", log.display())),
        Err(error) => say(&format!("FAILED: {error}: {}", log.display())),
    }
    false
}

/// Runs all tests that are meant for test hosts.
fn test_all(
    root: &Path,
    programs: &[Program],
    needed: &BTreeSet<String>,
    enough: Duration,
) -> Result<Outcome, String> {
    for (program, reason) in programs::left_out() {
        say(&format!("not run in virtual machines: {program}: {reason}"));
    }
    test(root, &Tasks::of(programs, needed), enough)
}

/// The step: everything that is meant for test hosts; and whatever could not be tried here, by the
/// report of the tests on this machine, must have been tried there.
pub(crate) fn check(root: &Path, here: &Report) -> Result<String, String> {
    let programs = programs::build(root)?;
    test_all(root, &programs, here.not_run(), ENOUGH)?.verdict(here)
}

/// Where images, jobs and logs are.
fn directory(root: &Path) -> PathBuf {
    dist::target_directory(root).join("vm")
}

/// Builds again what black-box tests choose: the release builds, where there are any.
fn build_what_is_tested(root: &Path) -> Result<(), String> {
    let libc = Libc::present();
    if dist::plugins_path(root, libc).exists() {
        let build = dist::Build::possible();
        dist::build_plugins(root, libc, build)?;
        dist::build_sql(root, libc)?;
        return dist::build_command(root, build).map(drop);
    }
    let packages =
        ["--package=ropewalk-plugins", "--package=ropewalk-sql", "--package=ropewalk-cli"];
    process::run(process::cargo(root).args(["build", "--quiet"]).args(packages))
}

/// What test hosts are started from, and when the first one was.
struct Setting {
    image: Image,
    directory: PathBuf,
    script: String,
    begun: Instant,
    enough: Duration,
}

/// The kinds of hosts that run one after the other, for each that run at once. Most programs are for
/// hosts with nftables.
const LANES: [&[Kind]; 2] = [&[Kind::Nftables], &[Kind::IptablesOnly, Kind::Nftables]];

/// Runs tests on hosts of all kinds.
fn test(root: &Path, tasks: &Tasks, enough: Duration) -> Result<Outcome, String> {
    if tasks.is_empty() {
        return Err("no test has this name".to_owned());
    }
    let directory = directory(root);
    let image = Image::prepare(&directory.join("image"))?;
    let script = job::script(&variables(root)?);
    let setting = Setting { image, directory, script, begun: Instant::now(), enough };
    let outcome = Mutex::new(Outcome::default());
    thread::scope(|scope| {
        for (number, kinds) in (1..).zip(LANES) {
            let (setting, outcome) = (&setting, &outcome);
            scope.spawn(move || {
                for &kind in kinds {
                    if !tasks.has_none_for(kind) {
                        let (report, complaints) = run_host(setting, kind, number, tasks);
                        let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
                        outcome.reports.push((kind, report));
                        outcome.complaints.extend(complaints);
                    }
                }
            });
        }
    });
    let mut outcome = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcome.left = tasks.left();
    Ok(outcome)
}

/// What tests are told through their environment.
fn variables(root: &Path) -> Result<Vec<(&'static str, String)>, String> {
    let mut variables = vec![("ROPEWALK_E2E_PATIENCE", PATIENCE.to_string())];
    if dist::plugins_path(root, Libc::present()).exists() {
        let plugins = dist::plugins_under_test(root)?;
        variables.extend(plugins.map(|path| ("ROPEWALK_E2E_PLUGINS", path.display().to_string())));
    }
    Ok(variables)
}

/// Runs programs on a host until there are no more; the answer is what they told, and what else is
/// to be said.
fn run_host(setting: &Setting, kind: Kind, number: usize, tasks: &Tasks) -> (Report, Vec<String>) {
    let begun = Instant::now();
    let host = format!("{} {number}", kind.name());
    let mut report = Report::default();
    let mut complaints = Vec::new();
    let mut program_begun = begun;
    let Setting { image, directory, script, .. } = setting;
    let status = host::run(image, kind, &directory.join(number.to_string()), script, |line| {
        match Event::read(line) {
            Event::Ready => {
                let task = tasks.next(kind, setting.begun.elapsed() > setting.enough);
                return Some(task.map_or_else(|| job::DONE.to_owned(), |task| job::command(&task)));
            }
            Event::Begins(_) => program_begun = Instant::now(),
            Event::Ended(name, status) => {
                let seconds = program_begun.elapsed().as_secs();
                say(&format!("{host:15} | {name} took {seconds} s"));
                complaints.extend(job::complaint(name, status));
            }
            Event::Line("") => {}
            Event::Line(line) => {
                if report.read(line) {
                    say(&format!("{host:15} | {line}"));
                }
            }
        }
        None
    });
    say(&format!("{host:15} | all took {} s", begun.elapsed().as_secs()));
    complaints.extend(match status {
        Ok(0) => None,
        Ok(status) => Some(format!("the job ended with {status}")),
        Err(error) => Some(error),
    });
    let log = host::log(&directory.join(number.to_string()), kind);
    let complain = |text| format!("{host}: {text} (log: {})", log.display());
    (report, complaints.into_iter().map(complain).collect())
}
