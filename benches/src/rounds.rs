//! Rounds: every contestant adds, checks and deletes one container, one contestant after the other
//! and each time another first, so that whatever the machine does meanwhile meets all alike.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    Outcome,
    attachment::{self, Container, PORT},
    call::{Cost, Verb},
    console::tell,
    contestant::Contestant,
    counts::{self, Counts},
    host::{Host, Machine},
    scenario::Scenario,
};

/// Rounds at the beginning that are not counted.
const WARMING_UP: usize = 2;

/// How often a fixed amount of work is counted down: about a millisecond.
const WORK: u64 = 1_000_000;

/// What one contestant's verbs took in every round.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// Verb by verb, in the order of [`Verb::ALL`].
    pub costs: [Vec<Cost>; 3],
    /// What strace counted, in the same order.
    pub counts: Vec<Counts>,
    /// What CHECK found wrong, if it did.
    pub complaint: Option<String>,
}

/// What a scenario came to with so many containers existing.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Which.
    pub scenario: Scenario,
    /// How many containers there were.
    pub existing: u16,
    /// Contestants in the order of the tables.
    pub series: Vec<(&'static str, Series)>,
    /// What a fixed amount of work took, round by round.
    pub work: Vec<Duration>,
}

/// A contestant on its own host.
struct Stand {
    contestant: Contestant,
    plugins: Vec<Value>,
    host: Host,
    container: Container,
    existing: u16,
}

/// Measures a scenario with each of these numbers of existing containers, least first.
pub fn measure(
    machine: &Machine,
    scenario: Scenario,
    contestants: &[Contestant],
    sizes: &[u16],
    rounds: usize,
) -> Outcome<Vec<Measured>> {
    let stands = contestants.iter().map(|contestant| Stand::new(machine, scenario, contestant));
    let mut stands = stands.collect::<Outcome<Vec<Stand>>>()?;
    let mut all = Vec::new();
    for existing in sizes.iter().copied() {
        for stand in &mut stands {
            stand.fill(existing)?;
        }
        tell(&format!("{}: {existing} existing, counts and {rounds} rounds", scenario.name));
        let mut measured = measure_size(scenario, &mut stands, existing, rounds)?;
        for (stand, (_, series)) in stands.iter_mut().zip(&mut measured.series) {
            stand.host.enter()?;
            series.counts = counts::count(&mut stand.container)?;
        }
        all.push(measured);
    }
    for stand in stands {
        machine.remove(stand.host)?;
    }
    Ok(all)
}

fn measure_size(
    scenario: Scenario,
    stands: &mut [Stand],
    existing: u16,
    rounds: usize,
) -> Outcome<Measured> {
    let names = stands.iter().map(|stand| (stand.contestant.name, Series::default()));
    let mut measured =
        Measured { scenario, existing, series: names.collect(), work: Vec::with_capacity(rounds) };
    let all_rounds = if rounds == 0 { 0 } else { WARMING_UP + rounds };
    for round in 0..all_rounds {
        let work = fixed_work();
        if round >= WARMING_UP {
            measured.work.push(work);
        }
        for place in 0..stands.len() {
            let index = (round + place) % stands.len();
            stands[index].host.enter()?;
            for (verb, costs) in Verb::ALL.into_iter().zip(&mut measured.series[index].1.costs) {
                let cost = stands[index].container.run(verb)?;
                if round >= WARMING_UP {
                    costs.push(cost);
                }
            }
            let complaint = stands[index].container.complaint();
            measured.series[index].1.complaint = complaint.map(str::to_owned);
        }
    }
    Ok(measured)
}

impl Stand {
    fn new(machine: &Machine, scenario: Scenario, contestant: &Contestant) -> Outcome<Self> {
        let network = format!("{}-{}", scenario.name, contestant.name);
        let mut host = machine.host(&network, scenario.host)?;
        let plugins = scenario.plugins(&network);
        let name = format!("{network}-measured");
        let netns = host.container(&name)?;
        let container = Container::new(contestant, &plugins, (&name, netns), PORT);
        Ok(Self { contestant: contestant.clone(), plugins, host, container, existing: 0 })
    }

    /// Adds containers until there are so many.
    fn fill(&mut self, existing: u16) -> Outcome<()> {
        let numbers = self.existing..existing;
        self.existing = existing;
        attachment::fill(&mut self.host, &self.contestant, &self.plugins, numbers)
    }
}

/// The same work each time: what it takes tells how calm the machine is.
fn fixed_work() -> Duration {
    let begun = Instant::now();
    let mut number = 1_u64;
    for _ in 0..WORK {
        number = black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
    begun.elapsed()
}
