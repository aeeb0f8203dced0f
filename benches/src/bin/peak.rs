//! Runs a program and appends to a file what memory it had, in KiB: `peak FILE PROGRAM`. The first
//! number is the most that it or a program it started had at once, the second what it had of its
//! own at its end, without pages of files, which all processes share.
//!
//! It must stay small, because its own memory counts in the first number.

use std::{
    env,
    fs::{self, OpenOptions},
    io::{self, Write},
    process::{Command, ExitCode},
};

use ropewalk_bench::sys;

/// How the kernel calls memory that is no file's.
const OWN: &str = "RssAnon:";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) | Err(_) => ExitCode::FAILURE,
    }
}

fn run() -> io::Result<bool> {
    let mut words = env::args_os().skip(1);
    let (Some(file), Some(program)) = (words.next(), words.next()) else { return Ok(false) };
    let mut own_kib = 0;
    let is_success = sys::run_watched(&mut Command::new(program), |pid| own_kib = own(pid))?;
    let mut file = OpenOptions::new().append(true).open(file)?;
    writeln!(file, "{} {own_kib}", sys::children_peak_kib()?)?;
    Ok(is_success)
}

/// What a process has of its own, in KiB.
fn own(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(OWN)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or_default()
}
