//! What the plugin binary may cost: see BUDGETS.md. It is tested as `cargo xtask dist` builds it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use xtask::{
    Workspace, dist,
    elf::{Linkage, linkage},
    target::Libc,
};

/// A C library of its own takes room: static glibc more than musl.
fn largest_bytes() -> u64 {
    match Libc::present() {
        Libc::Musl => 2 << 20,
        Libc::Glibc => 3 << 20,
    }
}

/// How often each program is started, and how much longer the plugin may take than a program that
/// does nothing.
const ROUNDS: usize = 300;
const SLOWEST_RATIO: f64 = 1.5;

/// Tests of this file run at once; those that measure do so one after the other.
static STOPWATCH: Mutex<()> = Mutex::new(());

fn plugins() -> PathBuf {
    let path = dist::plugins_path(&Workspace::root(), Libc::present());
    assert!(path.is_file(), "{} is missing; run `cargo xtask dist`", path.display());
    path
}

#[test]
fn the_plugin_binary_needs_no_loader_and_no_library() {
    assert_eq!(linkage(&fs::read(plugins()).unwrap()), Ok(Linkage::Static));
}

#[test]
fn a_dynamic_program_would_be_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("main.rs");
    fs::write(&source, "fn main() {}").unwrap();
    let program = directory.path().join("program");
    let rustc = Command::new("rustc").arg(&source).arg("-o").arg(&program).status().unwrap();
    assert!(rustc.success());
    assert_eq!(linkage(&fs::read(program).unwrap()), Ok(Linkage::Dynamic));
}

#[test]
fn the_plugin_binary_is_small() {
    let bytes = fs::metadata(plugins()).unwrap().len();
    let largest = largest_bytes();
    assert!(bytes <= largest, "{bytes} bytes, at most {largest} are allowed");
}

#[test]
fn a_plugin_starts_nearly_as_fast_as_a_program_that_does_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let empty = compile(directory.path(), "fn main() {}");
    let plugins = plugins();
    let measure = || ratio(&|| version_of(&plugins), &|| Command::new(&empty));
    let first = measure();
    // Another program may have had the processors; what is slow by itself is slow twice.
    let lowest = if first <= SLOWEST_RATIO { first } else { measure().min(first) };
    println!("VERSION takes {lowest:.2} times as long as an empty program");
    assert!(
        lowest <= SLOWEST_RATIO,
        "VERSION takes {lowest:.2} times as long as an empty program, at most {SLOWEST_RATIO} is \
         allowed"
    );
}

#[test]
fn a_slow_start_would_be_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let empty = compile(directory.path(), "fn main() {}");
    let busy = "fn main() {
        let begun = std::time::Instant::now();
        while begun.elapsed() < std::time::Duration::from_millis(2) {}
    }";
    let slow = compile(directory.path(), busy);
    let ratio = ratio(&|| Command::new(&slow), &|| Command::new(&empty));
    assert!(ratio > SLOWEST_RATIO, "{ratio:.2}");
}

/// A program that is linked as the plugin binary is.
fn compile(directory: &Path, text: &str) -> PathBuf {
    let libc = Libc::present();
    let name = format!("program{}", text.len());
    let source = directory.join(&name).with_extension("rs");
    fs::write(&source, text).expect("the directory can be written");
    let program = directory.join(name);
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition", "2024", "-O", "-C", "panic=abort", "-C", "strip=symbols"]);
    rustc.args(["-C", "relocation-model=static", "-C", "target-feature=+crt-static"]);
    rustc.args(["--target", &libc.triple()]).arg(&source).arg("-o").arg(&program);
    assert!(rustc.status().expect("there is a compiler").success());
    let file = fs::read(&program).expect("the compiler has made it");
    assert_eq!(linkage(&file), Ok(Linkage::Static));
    program
}

/// A plugin that is asked for its versions.
fn version_of(plugins: &Path) -> Command {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(plugins);
    command.arg0("bridge").env_clear().env("CNI_COMMAND", "VERSION");
    command
}

/// The median over many rounds of how much longer one program takes than another. Each round runs
/// both, so that what the machine does meanwhile meets both.
fn ratio(slower: &dyn Fn() -> Command, faster: &dyn Fn() -> Command) -> f64 {
    let _alone = STOPWATCH.lock();
    let round = |_| wall_time(slower()).as_secs_f64() / wall_time(faster()).as_secs_f64();
    let mut ratios: Vec<f64> = (0..ROUNDS).map(round).collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

fn wall_time(mut command: Command) -> Duration {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begun = Instant::now();
    let status = command.status().expect("the program starts");
    let taken = begun.elapsed();
    assert!(status.success(), "{command:?}: {status}");
    taken
}
