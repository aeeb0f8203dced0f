//! Building what goes onto a node: the plugin binary, the plugin `sql` and the `ropewalk` command.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    console::say,
    elf::{self, Linkage},
    packages, process,
    target::{self, Libc},
    ui,
};

/// Where cargo puts what it builds.
pub fn target_directory(root: &Path) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir))
}

/// Where the plugin binary is after a build.
pub fn plugins_path(root: &Path, libc: Libc) -> PathBuf {
    target_directory(root).join(libc.triple()).join("release/ropewalk-plugins")
}

/// Where the plugin `sql` is after a build.
pub fn sql_path(root: &Path, libc: Libc) -> PathBuf {
    plugins_path(root, libc).with_file_name("ropewalk-sql")
}

/// Where the command is after a build.
pub fn command_path(root: &Path) -> PathBuf {
    target_directory(root).join("release/ropewalk")
}

/// What is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// What needs nothing but Rust.
    Ordinary,
    /// With the fast path of bridges, for which clang is needed.
    WithEbpf,
}

impl Build {
    /// The most that this machine can build.
    pub(crate) fn possible() -> Self {
        if packages::is_there(COMPILER) { Self::WithEbpf } else { Self::Ordinary }
    }

    /// The words for cargo.
    pub(crate) fn features(self, package: &str) -> Vec<String> {
        let mut names = match self {
            Self::Ordinary => Vec::new(),
            Self::WithEbpf => vec![format!("{package}/ebpf")],
        };
        if package == COMMAND && ui::is_made(&crate::Workspace::root()) {
            names.push(format!("{package}/page"));
        }
        if names.is_empty() {
            return Vec::new();
        }
        vec!["--features".to_owned(), names.join(",")]
    }
}

/// The package of the command.
const COMMAND: &str = "ropewalk-cli";

/// What compiles eBPF programs.
const COMPILER: &str = "clang";

/// Builds the plugin binary, static and optimised.
pub fn build_plugins(root: &Path, libc: Libc, build: Build) -> Result<String, String> {
    let features = build.features("ropewalk-plugins");
    build_static(root, libc, "ropewalk-plugins", &features)?;
    describe_static(root, &plugins_path(root, libc))
}

/// Builds the plugin `sql`, static and optimised. SQLite is written in C: musl needs its compiler.
pub fn build_sql(root: &Path, libc: Libc) -> Result<String, String> {
    if libc == Libc::Musl {
        packages::prepare_for(&[packages::MUSL_GCC])?;
    }
    build_static(root, libc, "ropewalk-sql", &[])?;
    describe_static(root, &sql_path(root, libc))
}

fn build_static(root: &Path, libc: Libc, package: &str, words: &[String]) -> Result<(), String> {
    let mut cargo = process::cargo(root);
    cargo.args(["build", "--release", "--package", package, "--target"]);
    cargo.arg(libc.triple()).args(words);
    if let Some(flags) = libc.rustflags() {
        cargo.env("RUSTFLAGS", flags);
    }
    process::run(&mut cargo)
}

fn describe_static(root: &Path, path: &Path) -> Result<String, String> {
    match describe(root, path)? {
        (Linkage::Static, text) => Ok(text),
        (Linkage::Dynamic, text) => Err(format!("{text}, but it has to be static")),
    }
}

/// Builds the command.
pub fn build_command(root: &Path, build: Build) -> Result<String, String> {
    let mut cargo = process::cargo(root);
    cargo.args(["build", "--release", "--package", COMMAND]);
    process::run(cargo.args(build.features(COMMAND)))?;
    describe(root, &command_path(root)).map(|(_, text)| text)
}

/// The directory of plugins that black-box tests have to be shown, if any: they find the musl build
/// for this architecture by themselves; of any other a directory is made with every plugin in it.
pub(crate) fn plugins_under_test(root: &Path) -> Result<Option<PathBuf>, String> {
    let libc = Libc::present();
    if libc == Libc::Musl && cfg!(target_arch = "x86_64") {
        return Ok(None);
    }
    let directory = target_directory(root).join("plugins-under-test");
    let plugins = plugins_path(root, libc);
    let mut install = Command::new(command_path(root));
    install.arg("install").arg(&directory).arg("--from").arg(&plugins);
    process::output(&mut install)?;
    // The binary under its own name tells that these are not somebody else's plugins.
    for (from, name) in [(plugins, "ropewalk-plugins"), (sql_path(root, libc), "sql")] {
        fs::copy(&from, directory.join(name))
            .map_err(|error| format!("failed to copy {}: {error}", from.display()))?;
    }
    Ok(Some(directory))
}

/// Size and kind of a program.
fn describe(root: &Path, path: &Path) -> Result<(Linkage, String), String> {
    let shown = path.strip_prefix(root).unwrap_or(path).display();
    let file = fs::read(path).map_err(|error| format!("failed to read {shown}: {error}"))?;
    let linkage = elf::linkage(&file).map_err(|error| format!("{shown}: {error}"))?;
    let kind = match linkage {
        Linkage::Static => "static",
        Linkage::Dynamic => "dynamic",
    };
    Ok((linkage, format!("{shown}: {} KiB, {kind}", file.len().div_ceil(1024))))
}

/// The task: builds all and says what they are.
pub fn run(build: Build) -> bool {
    if build == Build::WithEbpf && Build::possible() == Build::Ordinary {
        say("eBPF programs are compiled with clang, which is missing; hint: apt-get install clang");
        return false;
    }
    let root = crate::Workspace::root();
    let (libc, text) = target::prepare();
    say(&text);
    let mut worked = true;
    match ui::build(&root) {
        Ok(text) => say(&text),
        // Where npm cannot be had, the command is built as it was, or without the page.
        Err(error) => say(&format!("NOTE: the page of `ropewalk ui` was not made: {error}")),
    }
    let programs =
        [build_plugins(&root, libc, build), build_sql(&root, libc), build_command(&root, build)];
    for program in programs {
        worked &= program.is_ok();
        say(&program.unwrap_or_else(|error| format!("FAILED: {error}")));
    }
    worked
}
