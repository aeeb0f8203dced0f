//! What a test host is given to do, and what it tells while it does it.

use super::tasks::{Filter, Task};

/// The script but for its variables.
const LOOP: &str = include_str!("job.sh");

/// The status with which `timeout` ends for a program that was not done.
const TIMED_OUT: i32 = 124;

/// With this status test programs end whose tests failed: their report says so.
const TESTS_FAILED: i32 = 101;

/// No test program may take longer.
const PROGRAM_SECONDS: u32 = 600;

/// Two at a time: while one waits, the other has the processor.
const ARGUMENTS: &str = "--test-threads=2 --show-output --color=never";

/// Makes the script that waits for programs to run.
pub(super) fn script(variables: &[(&str, String)]) -> String {
    let export = |(name, value): &(&str, String)| format!("export {name}={}\n", quoted(value));
    variables.iter().map(export).collect::<String>() + LOOP
}

/// The line that has a program run.
pub(super) fn command(task: &Task) -> String {
    let program = &task.program;
    let name = quoted(&program.name);
    let directory = quoted(&program.directory.to_string_lossy());
    let executable = quoted(&program.executable.to_string_lossy());
    let filter = match &task.filter {
        Filter::Everything => String::new(),
        Filter::Containing(text) => quoted(text),
        Filter::Exactly(names) => {
            let names = names.iter().map(|name| quoted(name));
            std::iter::once("--exact".to_owned()).chain(names).collect::<Vec<_>>().join(" ")
        }
    };
    format!("run {name} {PROGRAM_SECONDS} {directory} {executable} {ARGUMENTS} {filter}")
}

/// The line that ends the job.
pub(super) const DONE: &str = "exit 0";

/// A text as one word of the shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// What a line of a host's output says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event<'line> {
    /// The job waits for a line.
    Ready,
    /// A program begins.
    Begins(&'line str),
    /// A program has ended with this status.
    Ended(&'line str, i32),
    /// A line of the program.
    Line(&'line str),
}

impl<'line> Event<'line> {
    pub(super) fn read(line: &'line str) -> Self {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["===", "ready"] => Self::Ready,
            ["===", name, "begins"] => Self::Begins(name),
            ["===", name, "ends", status] => Self::Ended(name, status.parse().unwrap_or(-1)),
            _ => Self::Line(line),
        }
    }
}

/// Why a program that ended with this status told less than it should have, if so.
pub(super) fn complaint(name: &str, status: i32) -> Option<String> {
    match status {
        0 | TESTS_FAILED => None,
        TIMED_OUT => Some(format!("{name} was not done after {PROGRAM_SECONDS} seconds")),
        _ => Some(format!("{name} ended with status {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::{host::Kind, programs::Program, tasks::Tasks};

    #[test]
    fn a_program_runs_where_cargo_would_run_it() {
        let programs = [Program::with_tests("bridge", &["br_1_works"])];
        let of_filter = |filter| {
            let task = Tasks::named(&programs, filter).next(Kind::Nftables, false);
            command(&task.expect("it is there"))
        };
        let whole = "run 'bridge' 600 '/a tree/e2e' '/a tree/target/bridge' --test-threads=2 \
                     --show-output --color=never ";
        assert_eq!(of_filter("bridge"), whole);
        assert_eq!(of_filter("br_1"), format!("{whole}'br_1'"));
    }

    #[test]
    fn values_of_variables_may_hold_anything() {
        let script = script(&[("WORDS", "it's 5".to_owned())]);
        assert_eq!(script.lines().next(), Some(r"export WORDS='it'\''s 5'"));
        assert!(script.ends_with(LOOP));
    }

    #[test]
    fn the_lines_of_a_job_are_told_from_those_of_programs() {
        assert_eq!(Event::read("=== ready"), Event::Ready);
        assert_eq!(Event::read("=== bridge begins"), Event::Begins("bridge"));
        assert_eq!(Event::read("=== bridge ends 101"), Event::Ended("bridge", 101));
        assert_eq!(Event::read("test a ... ok"), Event::Line("test a ... ok"));
    }

    #[test]
    fn programs_that_neither_pass_nor_fail_are_told() {
        assert_eq!(complaint("bridge", 0), None);
        assert_eq!(complaint("bridge", 101), None);
        assert!(complaint("bridge", 124).is_some_and(|text| text.contains("600 seconds")));
        assert!(complaint("bridge", 139).is_some_and(|text| text.contains("status 139")));
    }
}
