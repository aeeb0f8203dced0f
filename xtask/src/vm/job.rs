//! What a test host is given to do, and what it tells while it does it.

use std::fmt::Write;

use super::programs::Program;

/// The functions that the script uses.
const FUNCTIONS: &str = include_str!("job.sh");

/// The status with which `timeout` ends for a program that was not done.
const TIMED_OUT: i32 = 124;

/// With this status test programs end whose tests failed: their report says so.
const TESTS_FAILED: i32 = 101;

/// No test program may take longer.
const PROGRAM_SECONDS: u32 = 600;

/// Two at a time: while one waits, the other has the processor.
const ARGUMENTS: &str = "--test-threads=2 --show-output --color=never";

/// Makes the script that runs programs, each with the filter that belongs to it.
pub(super) fn script(
    variables: &[(&str, String)],
    programs: &[(&Program, Option<&str>)],
) -> String {
    let mut script = FUNCTIONS.to_owned();
    for (name, value) in variables {
        let _ = writeln!(script, "export {name}={}", quoted(value));
    }
    for (program, filter) in programs {
        let name = quoted(&program.name);
        let directory = quoted(&program.directory.to_string_lossy());
        let executable = quoted(&program.executable.to_string_lossy());
        let filter = filter.map(quoted).unwrap_or_default();
        let _ = writeln!(
            script,
            "run {name} {PROGRAM_SECONDS} {directory} {executable} {ARGUMENTS} {filter}"
        );
    }
    script
}

/// A text as one word of the shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// What a line of a host's output says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event<'line> {
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
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn the_script_runs_each_program_where_cargo_would() {
        let program = Program {
            name: "bridge".to_owned(),
            directory: PathBuf::from("/a tree/e2e"),
            executable: PathBuf::from("/a tree/target/bridge"),
        };
        let variables = [("FACTOR", "it's 5".to_owned())];
        let script = script(&variables, &[(&program, None), (&program, Some("br_1"))]);
        let expected = "\
export FACTOR='it'\\''s 5'
run 'bridge' 600 '/a tree/e2e' '/a tree/target/bridge' --test-threads=2 --show-output --color=never \n\
run 'bridge' 600 '/a tree/e2e' '/a tree/target/bridge' --test-threads=2 --show-output --color=never 'br_1'
";
        assert_eq!(script, format!("{FUNCTIONS}{expected}"));
    }

    #[test]
    fn the_lines_of_a_job_are_told_from_those_of_programs() {
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
