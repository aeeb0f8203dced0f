//! Running other programs, with what went wrong as a sentence.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, ExitStatus, Stdio},
};

/// Runs a program to its end; it writes to our output.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|error| not_started(command, &error))?;
    verdict(command, status)
}

/// Runs a program to its end. The reader gets every line of its output as it comes.
pub(crate) fn run_reading(command: &mut Command, read: impl FnMut(&str)) -> Result<(), String> {
    let status = status_reading(command, read)?;
    verdict(command, status)
}

/// As [`run_reading`]; the answer is how the program ended.
pub(crate) fn status_reading(
    command: &mut Command,
    mut read: impl FnMut(&str),
) -> Result<ExitStatus, String> {
    command.stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|error| not_started(command, &error))?;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            read(&String::from_utf8_lossy(&line));
        }
    }
    child.wait().map_err(|error| not_started(command, &error))
}

/// What a program prints.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| not_started(command, &error))?;
    verdict(command, output.status)
        .map_err(|error| format!("{error}: {}", String::from_utf8_lossy(&output.stderr).trim()))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Cargo, in the directory of the workspace.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

fn verdict(command: &Command, status: ExitStatus) -> Result<(), String> {
    if status.success() { Ok(()) } else { Err(format!("{} ended with {status}", name(command))) }
}

fn not_started(command: &Command, error: &std::io::Error) -> String {
    format!("failed to run {}: {error}", name(command))
}

/// The command as one would type it.
pub(crate) fn name(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
