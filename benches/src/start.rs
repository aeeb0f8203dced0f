//! What a program costs before it does anything: its start, its memory, its size.

use std::{fs, process::Command};

use crate::{
    Outcome,
    attachment::Container,
    call::{self, Cost, Verb},
    contestant::{Contestant, NAMES},
    failed,
    host::Machine,
    scenario::Scenario,
};

/// Where the program that watches memory writes.
const PEAK: &str = "/run/bench/peak";

/// The time of VERSION of each contestant's `bridge`, in turn.
pub fn versions(contestants: &[Contestant], rounds: usize) -> Outcome<Vec<Vec<Cost>>> {
    let mut all = vec![Vec::new(); contestants.len()];
    for round in 0..rounds {
        for place in 0..contestants.len() {
            let index = (round + place) % contestants.len();
            let mut command = Command::new(contestants[index].program("bridge"));
            command.env_clear().env("CNI_COMMAND", "VERSION");
            command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped());
            all[index].push(call::run(&mut command, "")?.cost);
        }
    }
    Ok(all)
}

/// The memory of a verb's most greedy process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The most at once, with pages of files, in KiB.
    pub peak_kib: u64,
    /// Of its own at the end, in KiB.
    pub own_kib: u64,
}

/// The memory of ADD, CHECK and DEL. A small program, `peak`, starts the plugins, because the
/// kernel also counts what the starting program had.
pub fn memory(
    machine: &Machine,
    scenario: Scenario,
    contestant: &Contestant,
    peak: &str,
) -> Outcome<Vec<Memory>> {
    let network = format!("{}-{}-watched", scenario.name, contestant.name);
    let mut host = machine.host(&network, scenario.host)?;
    let netns = host.container(&format!("{network}-0"))?;
    let plugins = scenario.plugins(&network);
    let mut container = Container::new(contestant, &plugins, (&network, netns), 20_000);
    let mut all = Vec::new();
    // The first container finds nothing there, and makes more than others.
    for verb in [Verb::Add, Verb::Del] {
        container.run(verb)?;
    }
    for verb in Verb::ALL {
        fs::write(PEAK, "").map_err(failed(PEAK))?;
        container.run_with(verb, &[peak, PEAK])?;
        let text = fs::read_to_string(PEAK).map_err(failed(PEAK))?;
        let most = text.lines().filter_map(memory_of).max_by_key(|memory| memory.peak_kib);
        all.push(most.ok_or("peak says nothing")?);
    }
    machine.remove(host)?;
    Ok(all)
}

/// A line that `peak` wrote.
fn memory_of(line: &str) -> Option<Memory> {
    let (peak, own) = line.split_once(' ')?;
    Some(Memory { peak_kib: peak.parse().ok()?, own_kib: own.parse().ok()? })
}

/// The bytes of all the plugins that are compared, each file counted once.
pub fn size(contestant: &Contestant) -> Outcome<u64> {
    let mut files = Vec::new();
    for plugin in NAMES {
        let program = contestant.program(plugin);
        files.push(fs::canonicalize(&program).map_err(failed(&program))?);
    }
    files.sort();
    files.dedup();
    let sizes = files.iter().map(|file| fs::metadata(file).map(|metadata| metadata.len()));
    sizes.sum::<std::io::Result<u64>>().map_err(failed("size"))
}
