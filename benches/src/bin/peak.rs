//! Runs a program and appends the most memory it had at once, in KiB, to a file:
//! `peak FILE PROGRAM`. It must stay small, because its own memory counts too.

use std::{env, fs::OpenOptions, io, io::Write, process::Command, process::ExitCode};

use ropewalk_bench::sys;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) | Err(_) => ExitCode::FAILURE,
    }
}

fn run() -> io::Result<bool> {
    let mut words = env::args_os().skip(1);
    let (Some(file), Some(program)) = (words.next(), words.next()) else { return Ok(false) };
    let status = Command::new(program).status()?;
    let mut file = OpenOptions::new().append(true).open(file)?;
    writeln!(file, "{}", sys::children_peak_kib()?)?;
    Ok(status.success())
}
