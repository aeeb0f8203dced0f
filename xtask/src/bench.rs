//! The task `bench`: builds what measures and what is measured, and starts it. What it measures is
//! told in `docs/guide/benchmarks.md`.
//!
//! It must never write to standard output: that belongs to the answer, which may be JSON.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{
    Workspace,
    console::tell,
    dist, packages,
    process::{self, cargo},
    target::Libc,
};

/// Where Debian puts the reference plugins.
const PACKAGED: &str = "/usr/lib/cni";

/// What is run, as the table of packages names it.
const PROGRAMS: [&str; 12] = [
    packages::POSTGRES,
    "/usr/lib/cni/bridge",
    "ip",
    "iptables",
    "nft",
    "strace",
    "podman",
    "containerd",
    "curl",
    "runc",
    "conmon",
    "busybox",
];

/// The package that measures, and the programs of it that are built as plugins are.
const PACKAGE: &str = "ropewalk-bench";
const SMALL: [&str; 4] = ["--bin", "floor", "--bin", "peak"];

/// Runs the task with the words behind its name; the answer is whether everything worked.
pub fn run(words: &[&str]) -> bool {
    let result = against(words).and_then(|(reference, words)| {
        let mut bench = prepare()?;
        process::run(bench.arg("--reference").arg(reference).args(words))
    });
    result.inspect_err(|error| tell(error)).is_ok()
}

/// Measures against Debian's plugins, and answers the benchmark's JSON.
pub fn measure(words: &[&str]) -> Result<Value, String> {
    answer(prepare()?.args(["--reference", PACKAGED]).args(words))
}

/// What strace counts of every verb of ours and of the floor: a list of objects with `scenario`,
/// `existing`, `contestant`, `verb` and `counts`.
pub fn counts() -> Result<Value, String> {
    let mut report = answer(prepare()?.args(["--quick", "--counts"]))?;
    Ok(report["counts"].take())
}

fn answer(bench: &mut Command) -> Result<Value, String> {
    let text = process::output(bench.arg("--json"))?;
    serde_json::from_str(&text)
        .map_err(|error| format!("the benchmark answers something else: {error}"))
}

/// The command that measures ours and the floor, with everything there that it needs.
fn prepare() -> Result<Command, String> {
    packages::prepare_for(&PROGRAMS)?;
    let root = Workspace::root();
    let libc = Libc::present();
    let plugins = dist::plugins_path(&root, libc);
    if !plugins.is_file() {
        return Err(format!("{} is missing; run `cargo xtask dist`", plugins.display()));
    }
    build(&root, libc)?;
    let bench = dist::target_directory(&root).join("release").join(PACKAGE);
    // Whatever it starts, daemons and pods too, ends with it, however it ends.
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc"]).arg(bench);
    command.arg("--ours").arg(&plugins);
    command.arg("--floor").arg(plugins.with_file_name("floor"));
    command.arg("--peak").arg(plugins.with_file_name("peak"));
    Ok(command)
}

/// The least possible plugin is built as ours is; what measures, as any program of this machine.
fn build(root: &Path, libc: Libc) -> Result<(), String> {
    let build = ["build", "--quiet", "--release", "--package", PACKAGE];
    process::run(cargo(root).args(build).args(["--bin", PACKAGE]))?;
    let mut small = cargo(root);
    small.args(build).args(SMALL).args(["--target", &libc.triple()]);
    if let Some(flags) = libc.rustflags() {
        small.env("RUSTFLAGS", flags);
    }
    process::run(&mut small)
}

/// The plugins to measure against, and the words that the benchmark itself reads.
fn against<'a>(words: &[&'a str]) -> Result<(PathBuf, Vec<&'a str>), String> {
    let mut words = words.to_vec();
    let Some(place) = words.iter().position(|word| *word == "--against") else {
        return Ok((PACKAGED.into(), words));
    };
    let directory = words.get(place + 1).ok_or("--against needs a directory")?;
    let directory = Path::new(directory)
        .canonicalize()
        .map_err(|error| format!("failed to find {directory}: {error}"))?;
    words.drain(place..place + 2);
    Ok((directory, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_plugins_are_named_by_a_directory() {
        let (packaged, words) = against(&["--quick"]).unwrap();
        assert_eq!((packaged.to_str(), words), (Some(PACKAGED), vec!["--quick"]));
        let (other, words) = against(&["--json", "--against", "/", "bridge"]).unwrap();
        assert_eq!((other.to_str(), words), (Some("/"), vec!["--json", "bridge"]));
        assert!(against(&["--against"]).is_err());
        assert!(against(&["--against", "/no/such/directory"]).is_err());
    }
}
