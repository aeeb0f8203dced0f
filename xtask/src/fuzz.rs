//! The task `fuzz`: the tests that feed readers with bytes nobody would write, for longer than the
//! second that they take among the others.

use crate::{Workspace, console::say, process};

/// How long each target is tried if nobody says.
const SECONDS: &str = "60";

/// The task; `words` are a part of the tests' names and `--seconds N`, both optional.
pub fn run(words: &[&str]) -> bool {
    let (target, seconds) = match words {
        [] => ("", SECONDS),
        ["--seconds", seconds] => ("", *seconds),
        [target] => (*target, SECONDS),
        [target, "--seconds", seconds] => (*target, *seconds),
        _ => {
            say("fuzz: expected [TARGET] [--seconds N]");
            return false;
        }
    };
    let mut cargo = process::cargo(&Workspace::root());
    cargo.args(["test", "--workspace", "--lib", "--test", "fuzz", "--no-fail-fast"]);
    cargo.args(["--", "--show-output", &format!("fuzz_{target}")]);
    cargo.env("ROPEWALK_FUZZ_SECONDS", seconds);
    match process::run(&mut cargo) {
        Ok(()) => true,
        Err(error) => {
            say(&format!("fuzz: FAILED: {error}"));
            false
        }
    }
}
