//! Which test program runs on which test host, and when.
//!
//! Hosts take from one queue, so that all have work until everything is done, however long programs
//! take.

use std::{collections::BTreeSet, sync::Mutex};

use super::{
    host::Kind,
    programs::{Extent, Program},
};

/// How many tests are picked out of a program at once: few enough for the time a program has, and
/// so that all hosts share them.
const TOGETHER: usize = 8;

/// A program to be run once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) program: Program,
    pub(super) filter: Filter,
    kind: Kind,
    /// Whether it has tests that could not be tried anywhere else.
    is_needed: bool,
}

/// Which of a program's tests are run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    /// All.
    Everything,
    /// Those whose names contain this.
    Containing(String),
    /// Those of these names.
    Exactly(Vec<String>),
}

/// What is still to be run.
#[derive(Debug)]
pub(super) struct Tasks(Mutex<Vec<Task>>);

impl Tasks {
    /// Every program on each kind of host that it is meant for; of those that are meant for none,
    /// the tests that are needed. What is needed comes first, and then what is most important.
    pub(super) fn of(programs: &[Program], needed: &BTreeSet<String>) -> Self {
        let mut tasks = Vec::new();
        for program in programs {
            let of_these = if needed.is_empty() { Vec::new() } else { program.tests_among(needed) };
            let is_needed = !of_these.is_empty();
            let task = |kind, filter| Task { program: program.clone(), filter, kind, is_needed };
            match program.extent() {
                Extent::EveryHost => {
                    tasks.extend(Kind::ALL.map(|kind| task(kind, Filter::Everything)));
                }
                Extent::OneHost | Extent::Spare => {
                    tasks.push(task(Kind::Nftables, Filter::Everything));
                }
                Extent::Nowhere(_) => {
                    let parts = of_these.chunks(TOGETHER).map(|part| Filter::Exactly(part.into()));
                    tasks.extend(parts.map(|part| task(Kind::Nftables, part)));
                }
            }
        }
        tasks.sort_by_key(|task| (!task.is_needed, task.program.extent()));
        Self(Mutex::new(tasks))
    }

    /// The program of this name, or the tests whose names contain the text, on every kind of host.
    pub(super) fn named(programs: &[Program], text: &str) -> Self {
        let mut tasks = Vec::new();
        for program in programs {
            let (filter, is_meant) = if program.name == text {
                (Filter::Everything, true)
            } else {
                let is_meant = program.tests().iter().any(|test| test.contains(text));
                (Filter::Containing(text.to_owned()), is_meant)
            };
            if is_meant {
                let task = |kind| Task {
                    program: program.clone(),
                    filter: filter.clone(),
                    kind,
                    is_needed: true,
                };
                tasks.extend(Kind::ALL.map(task));
            }
        }
        Self(Mutex::new(tasks))
    }

    /// Takes what a host of this kind is to do next. When time is up, only what is needed.
    pub(super) fn next(&self, kind: Kind, time_is_up: bool) -> Option<Task> {
        let mut tasks = self.lock();
        let is_fit = |task: &Task| task.kind == kind && (task.is_needed || !time_is_up);
        tasks.iter().position(is_fit).map(|position| tasks.remove(position))
    }

    /// The names of the programs that nobody has taken, with their kinds of hosts.
    pub(super) fn left(&self) -> Vec<String> {
        let name = |task: &Task| format!("{} ({})", task.program.name, task.kind.name());
        self.lock().iter().map(name).collect()
    }

    /// Whether there is nothing to do for hosts of this kind.
    pub(super) fn has_none_for(&self, kind: Kind) -> bool {
        self.lock().iter().all(|task| task.kind != kind)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Task>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `firewall` and `ptp` run everywhere, `vlan` once, `host_local` too, `podman` not at all.
    fn programs() -> Vec<Program> {
        let names = ["firewall", "host_local", "podman", "ptp", "vlan"];
        names.map(|name| Program::with_tests(name, &[&format!("{name}_works")])).into()
    }

    fn drain(tasks: &Tasks, kind: Kind, time_is_up: bool) -> Vec<String> {
        std::iter::from_fn(|| tasks.next(kind, time_is_up)).map(|task| task.program.name).collect()
    }

    #[test]
    fn what_is_more_important_is_taken_first() {
        let tasks = Tasks::of(&programs(), &BTreeSet::new());
        let taken = drain(&tasks, Kind::Nftables, false);
        assert_eq!(taken, ["firewall", "ptp", "vlan", "host_local"]);
        assert!(tasks.has_none_for(Kind::Nftables));
        assert_eq!(drain(&tasks, Kind::IptablesOnly, false), ["firewall", "ptp"]);
        assert!(tasks.is_empty());
    }

    #[test]
    fn when_time_is_up_only_what_is_needed_is_run() {
        let needed = BTreeSet::from(["host_local_works".to_owned()]);
        let tasks = Tasks::of(&programs(), &needed);
        assert_eq!(drain(&tasks, Kind::Nftables, true), ["host_local"]);
        let left = ["firewall (nftables)", "firewall (iptables-only)", "ptp (nftables)"];
        assert_eq!(tasks.left()[..3], left);
    }

    #[test]
    fn of_what_is_left_out_needed_tests_are_run_alone() {
        let needed = BTreeSet::from(["podman_works".to_owned()]);
        let tasks = Tasks::of(&programs(), &needed);
        let task = tasks.next(Kind::Nftables, true).expect("it is needed");
        assert_eq!(task.filter, Filter::Exactly(vec!["podman_works".to_owned()]));
        assert_eq!(tasks.next(Kind::Nftables, true), None);
    }

    #[test]
    fn what_is_named_runs_on_every_host_even_if_it_is_left_out_otherwise() {
        let tasks = Tasks::named(&programs(), "podman");
        let task = tasks.next(Kind::Nftables, true).expect("it is named");
        assert_eq!((task.program.name.as_str(), task.filter), ("podman", Filter::Everything));
        assert_eq!(tasks.left(), ["podman (iptables-only)"]);
        let tasks = Tasks::named(&programs(), "firewall_w");
        let task = tasks.next(Kind::Nftables, true).expect("a test has this name");
        assert_eq!(task.filter, Filter::Containing("firewall_w".to_owned()));
        assert!(Tasks::named(&programs(), "no such test").is_empty());
    }
}
