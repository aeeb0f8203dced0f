//! Running other programs, with what went wrong as a sentence.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

/// Runs a program to its end; it writes to our output.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|error| not_started(command, &error))?;
    verdict(command, status)
}

/// Runs a program to its end. The reader gets every line of its output as it comes.
pub(crate) fn run_reading(command: &mut Command, read: impl FnMut(&str)) -> Result<(), String> {
    let mut child = start(command.stdout(Stdio::piped()))?;
    lines(&mut child, read);
    let status = child.wait().map_err(|error| not_started(command, &error))?;
    verdict(command, status)
}

/// Runs a program to its end. Whoever answers gets every line of its output as it comes; the answer,
/// if there is one, is written to its standard input. The result is how the program ended.
pub(crate) fn converse(
    command: &mut Command,
    mut answer: impl FnMut(&str) -> Option<String>,
) -> Result<ExitStatus, String> {
    let mut child = start(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
    let mut stdin = child.stdin.take();
    lines(&mut child, |line| {
        if let (Some(answer), Some(stdin)) = (answer(line), &mut stdin) {
            // A program that has ended reads no answer, and its status tells why.
            let _ = writeln!(stdin, "{answer}");
        }
    });
    child.wait().map_err(|error| not_started(command, &error))
}

fn start(command: &mut Command) -> Result<Child, String> {
    command.spawn().map_err(|error| not_started(command, &error))
}

/// Reads what a program prints until it closes its output.
fn lines(child: &mut Child, mut read: impl FnMut(&str)) {
    let Some(stdout) = child.stdout.take() else { return };
    for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
        read(&String::from_utf8_lossy(&line));
    }
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
