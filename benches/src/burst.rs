//! Bursts: many plugins at once, as when a node starts. They go along with everything else on the
//! machine, because programs that go first would keep each other from the processors.

use std::{
    collections::BTreeMap,
    process::Child,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    Outcome,
    attachment::Container,
    call::{self, Verb},
    contestant::Contestant,
    failed,
    host::Machine,
    scenario::Scenario,
    statistics::{Summary, rounded},
    sys,
};

/// Verbs that come in bursts.
pub const VERBS: [Verb; 2] = [Verb::Add, Verb::Del];

/// Several bursts of one verb.
#[derive(Clone, Debug, Default)]
pub struct Burst {
    /// What each single call took, in milliseconds.
    latencies: Vec<f64>,
    /// How many calls ended in a second, burst by burst.
    rates: Vec<f64>,
    /// How many failed, and what the first one of them said.
    pub errors: usize,
    message: Option<String>,
}

impl Burst {
    /// Of single calls, in milliseconds.
    pub fn latency(&self) -> Summary {
        Summary::of(self.latencies.iter().copied())
    }

    /// Calls in a second.
    pub fn rate(&self) -> Summary {
        Summary::of(self.rates.iter().copied())
    }

    /// For machines.
    pub fn to_json(&self) -> Value {
        json!({
            "latency_ms": self.latency().to_json(),
            "per_second": rounded(self.rate().median),
            "errors": self.errors,
            "error": self.message,
        })
    }
}

/// A contestant's containers, all of which are attached at once.
struct Crowd {
    host: crate::host::Host,
    containers: Vec<Container>,
    bursts: Vec<Burst>,
}

/// Several bursts of so many containers for each contestant in turn; for each of them one
/// [`Burst`] for each verb of [`VERBS`]. The first plugin of the scenario alone takes part.
pub fn measure(
    machine: &Machine,
    scenario: Scenario,
    contestants: &[Contestant],
    (size, rounds): (usize, usize),
) -> Outcome<Vec<Vec<Burst>>> {
    let crowd = |contestant| Crowd::gather(machine, scenario, contestant, size);
    let mut crowds = contestants.iter().map(crowd).collect::<Outcome<Vec<Crowd>>>()?;
    for _ in 0..rounds {
        for crowd in &mut crowds {
            crowd.host.enter()?;
            for (verb, burst) in VERBS.into_iter().zip(&mut crowd.bursts) {
                run(&mut crowd.containers, verb, burst)?;
            }
        }
    }
    let mut all = Vec::new();
    for crowd in crowds {
        machine.remove(crowd.host)?;
        all.push(crowd.bursts);
    }
    Ok(all)
}

impl Crowd {
    fn gather(
        machine: &Machine,
        scenario: Scenario,
        contestant: &Contestant,
        size: usize,
    ) -> Outcome<Self> {
        let network = format!("burst-of-{size}-{}", contestant.name);
        let mut host = machine.host(&network, scenario.host)?;
        let plugins = scenario.plugins(&network);
        let mut containers = Vec::new();
        for number in 0..=size {
            let name = format!("{network}-{number}");
            let netns = host.container(&name)?;
            containers.push(Container::new(contestant, &plugins, (&name, netns), 0));
        }
        // One makes what all share, and stays.
        containers.swap_remove(0).run(Verb::Add)?;
        Ok(Self { host, containers, bursts: vec![Burst::default(); VERBS.len()] })
    }
}

/// A call that has begun.
struct Begun {
    index: usize,
    child: Child,
    at: Instant,
}

/// Starts all calls, then waits for all.
fn run(containers: &mut [Container], verb: Verb, burst: &mut Burst) -> Outcome<()> {
    let mut under_way = BTreeMap::new();
    let begun = Instant::now();
    for (index, container) in containers.iter().enumerate() {
        let (mut command, config) = container.first_call(verb);
        let at = Instant::now();
        let child = call::start(&mut command, &config)?;
        under_way.insert(child.id().cast_signed(), Begun { index, child, at });
    }
    let mut last = Duration::ZERO;
    let mut failures = 0;
    while !under_way.is_empty() {
        let ended = sys::wait_for_any().map_err(failed("wait"))?.ok_or("a plugin got lost")?;
        let Some(mut call) = under_way.remove(&ended.pid) else { continue };
        burst.latencies.push(call.at.elapsed().as_secs_f64() * 1e3);
        last = begun.elapsed();
        let text = call::read(&mut call.child)?;
        if !ended.is_success {
            failures += 1;
            burst.message.get_or_insert(text);
        } else if verb == Verb::Add {
            containers[call.index].answered(&text)?;
        }
    }
    burst.errors += failures;
    #[expect(clippy::cast_precision_loss, reason = "there are few")]
    burst.rates.push(containers.len() as f64 / last.as_secs_f64());
    call::settle().map(drop)
}
