//! The virtual machine tier: tests on kernels that this machine does not have.
//!
//! It must never change the machine: a host sees the machine's files, and writes into its memory.

mod host;
mod image;
mod job;
mod kernel;
mod modules;
mod programs;

use std::{
    path::{Path, PathBuf},
    thread,
    time::Instant,
};

pub use self::host::Kind;
use self::{image::Image, job::Event, programs::Program};
use crate::{Workspace, console::say, dist, packages, process, report::Report, target::Libc};

/// How much more time a test host takes than this machine, which has one processor in hardware:
/// tests multiply their deadlines by it.
const PATIENCE: u32 = 10;

/// Which tests are run.
#[derive(Clone, Copy, Debug)]
enum Selection<'text> {
    All,
    /// One program, or the tests whose names contain this.
    Filter(&'text str),
}

/// The task: builds what is tested, and runs the tests that the filter selects, all without one.
pub fn run(filter: Option<&str>) -> bool {
    let root = Workspace::root();
    let selection = filter.map_or(Selection::All, Selection::Filter);
    let result = packages::prepare()
        .and_then(|_| build_what_is_tested(&root))
        .and_then(|()| test(&root, selection))
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
        .and_then(|image| host::run(&image, kind, &directory, &script, say));
    let log = host::log(&directory, kind);
    match status {
        Ok(0) => return true,
        Ok(status) => say(&format!("ended with {status}; see also {}", log.display())),
        Err(error) => say(&format!("FAILED: {error}: {}", log.display())),
    }
    false
}

/// Where images, jobs and logs are.
fn directory(root: &Path) -> PathBuf {
    dist::target_directory(root).join("vm")
}

/// Builds again what black-box tests choose: the release builds, where there are any.
fn build_what_is_tested(root: &Path) -> Result<(), String> {
    let libc = Libc::present();
    if dist::plugins_path(root, libc).exists() {
        dist::build_plugins(root, libc)?;
        return dist::build_command(root).map(drop);
    }
    let packages = ["--package", "ropewalk-plugins", "--package", "ropewalk-cli"];
    process::run(process::cargo(root).args(["build", "--quiet"]).args(packages))
}

/// What became of the tests on all hosts.
#[derive(Debug, Default)]
struct Outcome {
    reports: Vec<(Kind, Report)>,
    complaints: Vec<String>,
}

impl Outcome {
    /// Adds everything up.
    fn verdict(&self, here: &Report) -> Result<String, String> {
        let mut complaints = self.complaints.clone();
        for name in here.not_run() {
            if !self.reports.iter().any(|(_, report)| report.has_tried(name)) {
                complaints.push(format!("{name} ran neither here nor in a virtual machine"));
            }
        }
        let lines = self.reports.iter().map(|(kind, report)| format!("{}: {report}", kind.name()));
        let text = lines.chain(complaints.iter().cloned()).collect::<Vec<_>>().join("\n         ");
        let worked =
            complaints.is_empty() && self.reports.iter().all(|(_, report)| report.failed == 0);
        if worked { Ok(text) } else { Err(text) }
    }
}

/// Runs the selected tests on a host of each kind, both at once.
fn test(root: &Path, selection: Selection<'_>) -> Result<Outcome, String> {
    let programs = programs::build(root)?;
    let chosen: Vec<(&Program, Option<&str>)> =
        programs.iter().filter_map(|program| choose(program, selection)).collect();
    if chosen.is_empty() {
        return Err("no test has this name".to_owned());
    }
    let directory = directory(root);
    let image = Image::prepare(&directory.join("image"))?;
    let mut variables = vec![("ROPEWALK_E2E_PATIENCE", PATIENCE.to_string())];
    if dist::plugins_path(root, Libc::present()).exists() {
        let plugins = dist::plugins_under_test(root)?;
        variables.extend(plugins.map(|path| ("ROPEWALK_E2E_PLUGINS", path.display().to_string())));
    }
    let script = job::script(&variables, &chosen);
    let mut outcome = Outcome::default();
    thread::scope(|scope| {
        let run = |kind| {
            let (image, directory, script) = (&image, &directory, &script);
            scope.spawn(move || run_host(image, kind, directory, script))
        };
        for (kind, thread) in Kind::ALL.map(|kind| (kind, run(kind))) {
            let gone = |_| (Report::default(), vec![format!("{}: the task broke", kind.name())]);
            let (report, complaints) = thread.join().unwrap_or_else(gone);
            outcome.reports.push((kind, report));
            outcome.complaints.extend(complaints);
        }
    });
    Ok(outcome)
}

/// Whether a program is to be run, and the filter for its tests.
fn choose<'text>(
    program: &'text Program,
    selection: Selection<'text>,
) -> Option<(&'text Program, Option<&'text str>)> {
    match selection {
        Selection::All => {
            let reason = program.reason_left_out();
            if let Some(reason) = reason {
                say(&format!("not run in virtual machines: {}: {reason}", program.name));
            }
            reason.is_none().then_some((program, None))
        }
        Selection::Filter(name) if program.name == name => Some((program, None)),
        Selection::Filter(text) => program.has_test(text).then_some((program, Some(text))),
    }
}

/// Runs a script on a host; the answer is what its programs told, and what else is to be said.
fn run_host(image: &Image, kind: Kind, directory: &Path, script: &str) -> (Report, Vec<String>) {
    let begun = Instant::now();
    let host = kind.name();
    let mut report = Report::default();
    let mut complaints = Vec::new();
    let mut program_begun = begun;
    let status = host::run(image, kind, directory, script, |line| match Event::read(line) {
        Event::Begins(_) => program_begun = Instant::now(),
        Event::Ended(name, status) => {
            let seconds = program_begun.elapsed().as_secs();
            say(&format!("{host:13} | {name} took {seconds} s"));
            complaints.extend(job::complaint(name, status));
        }
        Event::Line("") => {}
        Event::Line(line) => {
            if report.read(line) {
                say(&format!("{host:13} | {line}"));
            }
        }
    });
    say(&format!("{host:13} | all took {} s", begun.elapsed().as_secs()));
    complaints.extend(match status {
        Ok(0) => None,
        Ok(status) => Some(format!("the job ended with {status}")),
        Err(error) => Some(error),
    });
    let log = host::log(directory, kind);
    let complain = |text| format!("{host}: {text} (log: {})", log.display());
    (report, complaints.into_iter().map(complain).collect())
}
