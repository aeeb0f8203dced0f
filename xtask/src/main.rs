//! The command `cargo xtask`: reads its arguments and runs one task.

use std::process::ExitCode;

use xtask::{bench, console, dist, docs, fuzz, suite, tidy, ui, vm};

const USAGE: &str = "\
usage: cargo xtask TASK

  test [--fast]  prepare the machine, build, and run every check and test (needs root);
                 --fast leaves out packages, release builds, black-box tests and budgets
  test --vm [NAME]
                 only the tests on test hosts, which are virtual machines; with a name only the
                 test program of this name, or the tests whose names contain it
  vm [--iptables-only] COMMAND...
                 run a command as root on a test host; its files are this machine's, read-only
                 below a layer in memory
  tidy           check the rules of the tree
  fuzz [TARGET] [--seconds N]
                 feed readers with bytes that nobody would write, each target for a minute or as
                 long as is said; the corpora are in fuzz/corpus
  docs           write the tables of keys in docs/plugins, and what the page knows of its server
  ui             make the page of `ropewalk ui`, which dist puts into the command (needs npm)
  bench [--quick|--full] [--rounds N] [--against DIR] [--counts] [--json] [--svg FILE] [WHAT...]
                 measure the plugins as built by dist against the reference plugins and against the
                 least that the kernel demands; see docs/guide/benchmarks.md (needs root)
  dist [--ebpf]  build the plugin binary, the page and the command, and say what they are; --ebpf with the
                 fast path of bridges, for which clang has to be there
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let worked = match words[..] {
        ["fuzz", ref words @ ..] => fuzz::run(words),
        ["test"] => suite::run(suite::Extent::Everything),
        ["test", "--fast"] => suite::run(suite::Extent::Fast),
        ["test", "--vm"] => vm::run(None),
        ["test", "--vm", name] => vm::run(Some(name)),
        ["vm", "--iptables-only", ref command @ ..] if !command.is_empty() => {
            vm::run_command(vm::Kind::IptablesOnly, command)
        }
        ["vm", ref command @ ..] if !command.is_empty() => {
            vm::run_command(vm::Kind::Nftables, command)
        }
        ["ui"] => ui::run(),
        ["tidy"] => tidy::run(),
        ["docs"] => docs::run(),
        ["bench", ref words @ ..] => bench::run(words),
        ["dist"] => dist::run(dist::Build::Ordinary),
        ["dist", "--ebpf"] => dist::run(dist::Build::WithEbpf),
        [] | ["help" | "--help" | "-h"] => {
            console::say(USAGE.trim_end());
            true
        }
        _ => {
            console::say(&format!("unknown task: {}\n\n{}", words.join(" "), USAGE.trim_end()));
            return ExitCode::from(2);
        }
    };
    if worked { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
