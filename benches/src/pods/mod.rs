//! The whole pod: with the plugins of each contestant, and without a network of its own, which is
//! what would be left if networking cost nothing.
//!
//! All state of the engines is on private mounts; their control groups are the machine's, below one
//! of this process's own, which is removed at the end.

mod containerd;
mod cri;
mod image;
mod podman;

use serde_json::{Map, Value, json};

use crate::{
    Outcome,
    call::Cost,
    contestant::Contestant,
    host::Machine,
    report::{cpu, wall},
    statistics::Summary,
};

/// What an engine did.
#[derive(Clone, Debug)]
pub struct Pods {
    /// What it was asked for.
    pub what: &'static str,
    /// For each contestant what it took in every round; in place of the floor without a network.
    pub of: Vec<(&'static str, Vec<Cost>)>,
}

/// Measures pods of each engine, the contestants in turn.
pub fn measure(machine: &Machine, contestants: &[Contestant], rounds: usize) -> Outcome<Vec<Pods>> {
    image::make()?;
    let measured = podman::measure(machine, contestants, rounds).and_then(|podman| {
        let mut all = containerd::measure(machine, contestants, rounds)?;
        all.insert(0, podman);
        Ok(all)
    });
    image::remove_groups();
    measured
}

impl Pods {
    fn new(what: &'static str, contestants: &[Contestant]) -> Self {
        let of = contestants.iter().map(|contestant| (contestant.name, Vec::new()));
        Self { what, of: of.collect() }
    }

    /// For machines.
    pub fn to_json(&self) -> Value {
        let contestants = self.of.iter().map(|(name, costs)| {
            let wall = Summary::of(costs.iter().map(wall)).to_json();
            let cpu = Summary::of(costs.iter().map(cpu)).to_json();
            ((*name).to_owned(), json!({ "wall_ms": wall, "cpu_ms": cpu }))
        });
        json!({ "what": self.what, "contestants": contestants.collect::<Map<_, _>>() })
    }
}
