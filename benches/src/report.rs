//! Everything that was measured, and the same for machines.
//!
//! It must never round away what a test may want to compare.

use std::{fs, time::Duration};

use serde_json::{Map, Value, json};

use crate::{
    Outcome,
    books::Books,
    burst::{self, Burst},
    call::{Cost, Verb},
    console::tell,
    contestant::{Contestant, FLOOR, OURS, REFERENCE},
    counts::Counts,
    pods::Pods,
    rounds::{Measured, Series},
    start::Memory,
    statistics::{Summary, rounded},
    targets::{self, Target},
    traffic::Traffic,
};

/// Everything that was measured.
#[derive(Clone, Debug)]
pub struct Report {
    contestants: Vec<Contestant>,
    /// Why the measured programs could not go before all others, if they could not.
    pub priority: Option<String>,
    /// Parts that failed, and why.
    pub failures: Vec<String>,
    /// Costs and counts of verbs.
    pub measured: Vec<Measured>,
    /// Traffic.
    pub traffic: Vec<Traffic>,
    /// What options of ours do to packets.
    pub options: Vec<Traffic>,
    /// Books of addresses.
    pub books: Vec<Books>,
    /// Whole pods.
    pub pods: Vec<Pods>,
    /// Bursts.
    pub bursts: Vec<Bursts>,
    /// Starts, memory, size.
    pub starts: Vec<Start>,
}

/// Bursts of so many calls; for each contestant in the order of [`burst::VERBS`].
#[derive(Clone, Debug)]
pub struct Bursts {
    /// How many at once.
    pub size: usize,
    /// Of each contestant.
    pub of: Vec<(&'static str, Vec<Burst>)>,
}

/// What a contestant costs before it does anything.
#[derive(Clone, Debug)]
pub struct Start {
    /// Whose.
    pub contestant: &'static str,
    /// Each VERSION.
    pub versions: Vec<Cost>,
    /// In the order of [`Verb::ALL`].
    pub memory: Vec<Memory>,
    /// Of all programs.
    pub bytes: u64,
}

/// Which contestants are compared: how many times the first is the second.
pub const PAIRS: [(&str, &str); 2] = [(REFERENCE, OURS), (OURS, FLOOR)];

impl Report {
    /// A report of nothing yet.
    pub fn new(contestants: &[Contestant]) -> Self {
        Self {
            contestants: contestants.to_vec(),
            priority: None,
            failures: Vec::new(),
            measured: Vec::new(),
            traffic: Vec::new(),
            options: Vec::new(),
            books: Vec::new(),
            pods: Vec::new(),
            bursts: Vec::new(),
            starts: Vec::new(),
        }
    }

    /// What a part came to; nothing if it failed, which is told and remembered.
    pub fn kept<T>(&mut self, part: &str, result: Outcome<Vec<T>>) -> Vec<T> {
        result.unwrap_or_else(|error| {
            let failure = format!("{part} failed: {error}");
            tell(&failure);
            self.failures.push(failure);
            Vec::new()
        })
    }

    /// The contestants' names in the order of the tables.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.contestants.iter().map(|contestant| contestant.name)
    }

    /// What the fixed amount of work took, in milliseconds.
    pub fn noise(&self) -> Summary {
        let work = self.measured.iter().flat_map(|measured| &measured.work);
        Summary::of(work.map(|work| ms(*work)))
    }

    /// For machines.
    pub fn to_json(&self) -> Value {
        json!({
            "machine": machine(),
            "failures": self.failures,
            "is_first": self.priority.is_none(),
            "noise": { "work_ms": self.noise().to_json(), "spread": rounded(self.noise().spread()) },
            "starts": self.starts.iter().map(Start::to_json).collect::<Vec<_>>(),
            "costs": self.measured.iter().filter(|of| of.is_timed()).flat_map(costs).collect::<Vec<_>>(),
            "traffic": self.traffic.iter().map(Traffic::to_json).collect::<Vec<_>>(),
            "options": self.options.iter().map(Traffic::to_json).collect::<Vec<_>>(),
            "books": self.books.iter().map(Books::to_json).collect::<Vec<_>>(),
            "pods": self.pods.iter().map(Pods::to_json).collect::<Vec<_>>(),
            "bursts": self.bursts.iter().flat_map(bursts).collect::<Vec<_>>(),
            "targets": targets::of(self).iter().map(Target::to_json).collect::<Vec<_>>(),
            "counts": self.measured.iter().flat_map(counts).collect::<Vec<_>>(),
        })
    }
}

/// Milliseconds.
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// What the machine is.
pub fn machine() -> Value {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    // What a distribution calls its build is of no interest.
    let release = read("/proc/sys/kernel/osrelease");
    let information = read("/proc/cpuinfo");
    let model = information.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("", |rest| rest.trim_start_matches([' ', '\t', ':']));
    json!({
        "kernel": release.split(['-', '\n']).next(),
        "processor": model,
        "processors": std::thread::available_parallelism().map_or(1, usize::from),
    })
}

impl Measured {
    /// Whether there were rounds.
    pub fn is_timed(&self) -> bool {
        !self.work.is_empty()
    }

    /// The costs of one contestant's verb, number by number.
    fn of(&self, contestant: &str, verb: Verb) -> Option<&[Cost]> {
        let (_, series) = self.series.iter().find(|(name, _)| *name == contestant)?;
        series.costs.get(verb as usize).map(Vec::as_slice)
    }

    /// What a verb takes, in milliseconds by the clock.
    pub fn wall(&self, contestant: &str, verb: Verb) -> Option<Summary> {
        Some(Summary::of(self.of(contestant, verb)?.iter().map(|cost| ms(cost.wall))))
    }

    /// What a verb takes, in milliseconds of processors.
    pub fn cpu(&self, contestant: &str, verb: Verb) -> Option<Summary> {
        Some(Summary::of(self.of(contestant, verb)?.iter().map(|cost| ms(cost.cpu))))
    }

    /// How many times one contestant's verb takes what another's takes in the same round.
    pub fn ratio(&self, pair: (&str, &str), verb: Verb, of: fn(&Cost) -> f64) -> Option<Summary> {
        let (first, second) = (self.of(pair.0, verb)?, self.of(pair.1, verb)?);
        Some(ratio(first, second, of))
    }
}

/// How many times the first takes what the second takes, round by round.
pub fn ratio(first: &[Cost], second: &[Cost], of: fn(&Cost) -> f64) -> Summary {
    Summary::of(first.iter().zip(second).map(|(first, second)| of(first) / of(second)))
}

/// Time by the clock.
pub fn wall(cost: &Cost) -> f64 {
    ms(cost.wall)
}

/// Time of processors.
pub fn cpu(cost: &Cost) -> f64 {
    ms(cost.cpu)
}

fn costs(measured: &Measured) -> Vec<Value> {
    let of_verb = |verb: Verb| {
        let contestants = measured.series.iter().map(|(name, series)| {
            let complaint = series.complaint.as_ref().filter(|_| verb == Verb::Check);
            let json = |summary: Option<Summary>| summary.map(|summary| summary.to_json());
            let (wall, cpu) = (measured.wall(name, verb), measured.cpu(name, verb));
            (
                (*name).to_owned(),
                json!({ "wall_ms": json(wall), "cpu_ms": json(cpu), "error": complaint }),
            )
        });
        let ratios = PAIRS.into_iter().filter_map(|pair| {
            let [wall, cpu] = [wall, cpu].map(|of| measured.ratio(pair, verb, of));
            let value = json!({ "wall": wall?.to_json(), "cpu": cpu?.to_json() });
            Some((format!("{}/{}", pair.0, pair.1), value))
        });
        json!({
            "scenario": measured.scenario.name,
            "existing": measured.existing,
            "verb": verb.name(),
            "contestants": contestants.collect::<Map<_, _>>(),
            "ratios": ratios.collect::<Map<_, _>>(),
        })
    };
    Verb::ALL.into_iter().map(of_verb).collect()
}

fn bursts(bursts: &Bursts) -> Vec<Value> {
    let of_verb = |(index, verb): (usize, &Verb)| {
        let contestants =
            bursts.of.iter().map(|(name, all)| ((*name).to_owned(), all[index].to_json()));
        let contestants: Map<_, _> = contestants.collect();
        json!({ "at_once": bursts.size, "verb": verb.name(), "contestants": contestants })
    };
    burst::VERBS.iter().enumerate().map(of_verb).collect()
}

fn counts(measured: &Measured) -> Vec<Value> {
    let of_series = |(name, series): &(&str, Series)| {
        let of_verb = |(verb, counts): (Verb, &Counts)| {
            json!({
                "scenario": measured.scenario.name,
                "existing": measured.existing,
                "contestant": name,
                "verb": verb.name(),
                "counts": counts.to_json(),
            })
        };
        Verb::ALL.into_iter().zip(&series.counts).map(of_verb).collect::<Vec<Value>>()
    };
    measured.series.iter().flat_map(of_series).collect()
}

/// The greatest of some numbers of KiB.
fn kib(numbers: impl IntoIterator<Item = u64>) -> f64 {
    let most = numbers.into_iter().max().unwrap_or_default();
    u32::try_from(most).map_or(f64::INFINITY, f64::from)
}

impl Start {
    /// VERSION in milliseconds.
    pub fn version(&self) -> Summary {
        Summary::of(self.versions.iter().map(wall))
    }

    /// The most memory of any verb, in KiB.
    pub fn peak(&self) -> f64 {
        kib(self.memory.iter().map(|memory| memory.peak_kib))
    }

    /// The most memory of its own of any verb, in KiB.
    pub fn own(&self) -> f64 {
        kib(self.memory.iter().map(|memory| memory.own_kib))
    }

    /// The size of all programs, in KiB.
    pub fn kib(&self) -> f64 {
        kib([self.bytes.div_ceil(1024)])
    }

    fn to_json(&self) -> Value {
        let verbs = Verb::ALL.into_iter().map(|verb| verb.name().to_owned());
        let memory = self
            .memory
            .iter()
            .map(|memory| json!({ "peak_kib": memory.peak_kib, "own_kib": memory.own_kib }));
        json!({
            "contestant": self.contestant,
            "version_ms": self.version().to_json(),
            "memory": verbs.zip(memory).collect::<Map<_, _>>(),
            "bytes": self.bytes,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::scenario::Scenario;

    /// What takes so many tenths of a millisecond, each time.
    fn series(tenths: u64) -> Series {
        let cost = |verb: u64| {
            let wall = Duration::from_micros(100 * tenths * verb);
            vec![Cost { wall, cpu: wall * 2 }; 4]
        };
        let counts = Counts { programs: 0, children: 1, calls: 60, netlink: 5 };
        Series { costs: [1, 2, 3].map(cost), counts: vec![counts; 3], complaint: None }
    }

    /// A list that was measured with 1 and 1000 existing containers.
    pub(crate) fn sample() -> Report {
        let contestant = |name| Contestant { name, directory: String::new() };
        let mut report = Report::new(&[REFERENCE, OURS, FLOOR].map(contestant));
        let scenario = Scenario::find("masquerade").expect("it is one");
        for (existing, tenths) in [(1, [150, 10, 8]), (1000, [750, 30, 16])] {
            let series = [REFERENCE, OURS, FLOOR].into_iter().zip(tenths.map(series)).collect();
            let work = vec![Duration::from_millis(1); 4];
            report.measured.push(Measured { scenario, existing, series, work });
        }
        report
    }

    #[test]
    fn machines_get_every_number() {
        let json = sample().to_json();
        assert_eq!(json["costs"].as_array().map(Vec::len), Some(6));
        let add = &json["costs"][3];
        assert_eq!((&add["existing"], &add["verb"]), (&json!(1000), &json!("ADD")));
        assert_eq!(add["contestants"][OURS]["wall_ms"]["median"], 3.0);
        assert_eq!(add["contestants"][OURS]["cpu_ms"]["median"], 6.0);
        assert_eq!(add["ratios"]["reference/ropewalk"]["wall"]["median"], 25.0);
        assert_eq!(json["counts"][0]["counts"]["calls"], 60);
    }

    #[test]
    fn a_part_that_fails_is_remembered() {
        let mut report = sample();
        assert!(report.kept::<u8>("pods", Err("no podman".to_owned())).is_empty());
        assert_eq!(report.failures, ["pods failed: no podman"]);
    }
}
