//! What is wanted, and how far it is reached: ratios against the reference plugins and the floor,
//! and counts. A table; a wish that must never be broken is in BUDGETS.md, with a test.

use serde_json::{Value, json};

use crate::{
    books::Books,
    burst,
    call::{Cost, Verb},
    contestant::{FLOOR, OURS, REFERENCE},
    options,
    report::{Report, Start, cpu, ratio, wall},
    rounds::Measured,
    statistics::rounded,
    traffic::{QUANTITIES, Traffic},
};

/// A number that is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// What of, for people.
    pub what: String,
    /// The limit.
    pub wanted: Limit,
    /// What was measured.
    pub measured: f64,
}

/// On which side of a number it is good.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// At least.
    Least(f64),
    /// At most.
    Most(f64),
}

impl Target {
    /// Whether it is reached.
    pub fn is_met(&self) -> bool {
        match self.wanted {
            Limit::Least(least) => self.measured >= least,
            Limit::Most(most) => self.measured <= most,
        }
    }

    /// For machines.
    pub fn to_json(&self) -> Value {
        let (side, limit) = match self.wanted {
            Limit::Least(least) => ("at_least", least),
            Limit::Most(most) => ("at_most", most),
        };
        json!({
            "what": self.what,
            side: limit,
            "measured": rounded(self.measured),
            "is_met": self.is_met(),
        })
    }
}

/// A target for the ratio of two contestants' costs.
struct Ratio {
    list: &'static str,
    existing: u16,
    verb: Verb,
    pair: (&'static str, &'static str),
    of: fn(&Cost) -> f64,
    limit: Limit,
}

const fn against_reference(list: &'static str, existing: u16, verb: Verb, least: f64) -> Ratio {
    let limit = Limit::Least(least);
    Ratio { list, existing, verb, pair: (REFERENCE, OURS), of: wall, limit }
}

const fn against_floor(list: &'static str, existing: u16, verb: Verb, most: f64) -> Ratio {
    let limit = Limit::Most(most);
    Ratio { list, existing, verb, pair: (OURS, FLOOR), of: wall, limit }
}

const fn of_processors(ratio: &Ratio) -> Ratio {
    Ratio { of: cpu, ..*ratio }
}

const RATIOS: [Ratio; 22] = [
    against_reference("bridge", 1, Verb::Add, 5.0),
    against_reference("masquerade", 1, Verb::Add, 12.0),
    against_reference("ports", 1, Verb::Add, 20.0),
    against_reference("ports", 1000, Verb::Add, 40.0),
    against_reference("ports", 1000, Verb::Del, 40.0),
    against_reference("masquerade", 1, Verb::Check, 10.0),
    against_reference("masquerade", 1000, Verb::Check, 25.0),
    against_reference("bridge", 1, Verb::Del, 12.0),
    against_reference("masquerade", 1, Verb::Del, 45.0),
    against_reference("ports", 1, Verb::Del, 60.0),
    of_processors(&against_reference("masquerade", 1, Verb::Add, 15.0)),
    of_processors(&against_reference("masquerade", 1, Verb::Del, 18.0)),
    against_floor("bridge", 1, Verb::Add, 1.25),
    against_floor("masquerade", 1, Verb::Add, 1.25),
    against_floor("ports", 1, Verb::Add, 1.3),
    against_floor("ports", 1000, Verb::Add, 1.3),
    against_floor("ports", 1000, Verb::Del, 1.3),
    against_floor("masquerade", 1, Verb::Check, 1.3),
    against_floor("masquerade", 1000, Verb::Check, 1.3),
    against_floor("bridge", 1, Verb::Del, 1.3),
    against_floor("masquerade", 1, Verb::Del, 1.3),
    against_floor("ports", 1, Verb::Del, 1.3),
];

/// VERSION, memory and size.
const START_AGAINST_REFERENCE: f64 = 6.0;
const START_AGAINST_FLOOR: f64 = 1.3;
const MEMORY_AGAINST_REFERENCE: f64 = 8.0;
const MOST_KIB: f64 = 2048.0;

/// How many calls at once, how many more of each verb end in a second than of the reference, and
/// how many more of the floor.
const AT_ONCE: usize = 64;
const RATES: [f64; 2] = [8.0, 15.0];
const RATE_OF_FLOOR: f64 = 1.5;

/// What an ADD with SQLite may take against host-local; how many milliseconds more one with
/// PostgreSQL; and what a claim among a million leases may take against one among a thousand.
const SQLITE: f64 = 1.3;
const POSTGRESQL_MS: f64 = 6.0;
const MILLION: f64 = 3.0;

/// What options are worth: how many times one's quantity is another's.
const OPTIONS: [((&str, &str), usize, Limit); 2] = [
    ((options::BIG, options::PLAIN), 2, Limit::Least(1.5)),
    ((options::FAST, options::DIRECT), 0, Limit::Most(1.08)),
];

/// What the verbs of these lists may do, in the order of [`Verb::ALL`].
const COUNTED: [&str; 2] = ["bridge", "masquerade"];
const MOST_CALLS: [Option<usize>; 3] = [Some(80), None, Some(60)];
const MOST_NETLINK: [Option<usize>; 3] = [Some(8), None, None];

/// To how many existing containers growth is measured, and how much more than the floor's it may be.
const GROWN: u16 = 1000;
const GROWTH: f64 = 1.25;

/// Every target that something was measured for.
pub fn of(report: &Report) -> Vec<Target> {
    let mut targets = of_starts(&report.starts);
    targets.extend(RATIOS.iter().filter_map(|ratio| ratio.target(report)));
    targets.extend(of_growth(&report.measured));
    targets.extend(of_bursts(report));
    targets.extend(of_options(&report.options));
    targets.extend(of_counts(&report.measured));
    targets.extend(of_books(&report.books));
    targets
}

impl Ratio {
    fn target(&self, report: &Report) -> Option<Target> {
        let is_it = |of: &&Measured| of.scenario.name == self.list && of.existing == self.existing;
        let measured = report.measured.iter().find(is_it).filter(|of| of.is_timed())?;
        let ratio = measured.ratio(self.pair, self.verb, self.of)?;
        let (list, existing, verb) = (self.list, self.existing, self.verb.name());
        let kind =
            if std::ptr::fn_addr_eq(self.of, cpu as fn(&Cost) -> f64) { ", cpu" } else { "" };
        let what = format!("{list} {verb}, {existing} existing{kind}: {}", of_pair(self.pair));
        Some(Target { what, wanted: self.limit, measured: ratio.median })
    }
}

fn of_pair((first, second): (&str, &str)) -> String {
    format!("{first}/{second}")
}

fn of_starts(starts: &[Start]) -> Vec<Target> {
    let find = |name| starts.iter().find(|start| start.contestant == name);
    let Some(ours) = find(OURS) else { return Vec::new() };
    let mut targets = Vec::new();
    let mut add = |what: String, wanted, measured| targets.push(Target { what, wanted, measured });
    if let Some(reference) = find(REFERENCE) {
        let pair = of_pair((REFERENCE, OURS));
        let version = ratio(&reference.versions, &ours.versions, wall).median;
        add(format!("VERSION: {pair}"), Limit::Least(START_AGAINST_REFERENCE), version);
        let limit = Limit::Least(MEMORY_AGAINST_REFERENCE);
        add(format!("peak memory: {pair}"), limit, reference.peak() / ours.peak());
    }
    if let Some(floor) = find(FLOOR) {
        let version = ratio(&ours.versions, &floor.versions, wall).median;
        let what = format!("VERSION: {}", of_pair((OURS, FLOOR)));
        add(what, Limit::Most(START_AGAINST_FLOOR), version);
    }
    add("size, KiB".to_owned(), Limit::Most(MOST_KIB), ours.kib());
    targets
}

/// How often the cost of one container among many is that of one beside another, against how often
/// it is so with the floor.
fn of_growth(all: &[Measured]) -> Vec<Target> {
    let mut targets = Vec::new();
    for many in all.iter().filter(|of| of.existing == GROWN && of.is_timed()) {
        let is_start = |of: &&Measured| of.scenario.name == many.scenario.name && of.existing == 1;
        let Some(one) = all.iter().find(is_start) else { continue };
        for verb in Verb::ALL {
            let grown = |name| Some(many.wall(name, verb)?.median / one.wall(name, verb)?.median);
            let Some((ours, floor)) = grown(OURS).zip(grown(FLOOR)) else { continue };
            let (list, verb) = (many.scenario.name, verb.name());
            let what = format!("{list} {verb}, growth to {GROWN}: {}", of_pair((OURS, FLOOR)));
            targets.push(Target { what, wanted: Limit::Most(GROWTH), measured: ours / floor });
        }
    }
    targets
}

fn of_bursts(report: &Report) -> Vec<Target> {
    let mut targets = Vec::new();
    for bursts in &report.bursts {
        let find = |name| bursts.of.iter().find(|(contestant, _)| *contestant == name);
        let Some((_, ours)) = find(OURS) else { continue };
        for (index, verb) in burst::VERBS.into_iter().enumerate() {
            let what = format!("{} {} at once", bursts.size, verb.name());
            let errors = count(ours[index].errors);
            targets.push(Target {
                what: format!("{what}: errors"),
                wanted: Limit::Most(0.0),
                measured: errors,
            });
            if bursts.size != AT_ONCE {
                continue;
            }
            let wishes = [
                ((OURS, REFERENCE), Limit::Least(RATES[index])),
                ((FLOOR, OURS), Limit::Most(RATE_OF_FLOOR)),
            ];
            for (pair, wanted) in wishes {
                let rate = |name| find(name).map(|(_, of)| of[index].rate().median);
                let Some((more, less)) = rate(pair.0).zip(rate(pair.1)) else { continue };
                let what = format!("{what}, in a second: {}", of_pair(pair));
                targets.push(Target { what, wanted, measured: more / less });
            }
        }
    }
    targets
}

fn of_options(all: &[Traffic]) -> Vec<Target> {
    let target = |(pair, quantity, wanted)| {
        let measured = all.first()?.ratio(pair, quantity)?.median;
        let what = format!("{}: {}", QUANTITIES[quantity], of_pair(pair));
        Some(Target { what, wanted, measured })
    };
    OPTIONS.into_iter().filter_map(target).collect()
}

fn of_counts(all: &[Measured]) -> Vec<Target> {
    let series = all.iter().flat_map(|measured| {
        let ours = measured.series.iter().filter(|(name, _)| *name == OURS);
        ours.map(move |(_, series)| (measured, &series.counts))
    });
    let Some(programs) = series.clone().flat_map(|(_, of)| of).map(|of| of.programs).max() else {
        return Vec::new();
    };
    let what = "programs started by any verb".to_owned();
    let mut targets = vec![Target { what, wanted: Limit::Most(0.0), measured: count(programs) }];
    for (measured, counts) in
        series.filter(|(measured, _)| COUNTED.contains(&measured.scenario.name))
    {
        for (index, (verb, counts)) in Verb::ALL.into_iter().zip(counts).enumerate() {
            let mut add = |what, most: Option<usize>, found| {
                let Some(most) = most else { return };
                let (verb, existing) = (verb.name(), measured.existing);
                let name = measured.scenario.name;
                let what = format!("{name} {verb}, {existing} existing: {what}");
                let wanted = Limit::Most(count(most));
                targets.push(Target { what, wanted, measured: count(found) });
            };
            add("system calls", MOST_CALLS[index], counts.calls);
            add("netlink sends", MOST_NETLINK[index], counts.netlink);
        }
    }
    targets
}

/// Of both tables, in the order in which they were measured.
fn of_books(books: &[Books]) -> Vec<Target> {
    let [bridges, pools] = books else { return Vec::new() };
    let against_first = |books: &Books, kind: usize| books.kinds[kind].against(&books.kinds[0]);
    let [sqlite, postgresql] = [1, 2].map(|kind| against_first(bridges, kind));
    let target = |what: &str, most, measured| Target {
        what: what.to_owned(),
        wanted: Limit::Most(most),
        measured,
    };
    vec![
        target("bridge ADD, SQLite/host-local", SQLITE, sqlite[0]),
        target("bridge ADD, PostgreSQL over host-local, ms", POSTGRESQL_MS, postgresql[1]),
        target("sql ADD, 1000000/1000 leases", MILLION, against_first(pools, 1)[0]),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "a count is far below 2^52")]
fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::books::Kind;

    #[test]
    fn targets_are_those_that_something_was_measured_for() {
        let found = |what: &str| {
            let targets = of(&crate::report::tests::sample());
            let target = targets.iter().find(|target| target.what == what);
            target.map(|target| (target.measured, target.is_met()))
        };
        let add = found("masquerade ADD, 1 existing: reference/ropewalk");
        assert_eq!(add, Some((15.0, true)));
        let floor = found("masquerade ADD, 1 existing: ropewalk/floor");
        assert_eq!(floor, Some((1.25, true)));
        let growth = found("masquerade ADD, growth to 1000: ropewalk/floor");
        assert_eq!(growth, Some((1.5, false)));
        let calls = found("masquerade DEL, 1000 existing: system calls");
        assert_eq!(calls, Some((60.0, true)));
        assert_eq!(found("bridge ADD, 1 existing: reference/ropewalk"), None);
    }

    #[test]
    fn books_are_held_against_the_first_kind() {
        let kind = |ms: u64| {
            let costs = [vec![Duration::from_millis(ms); 3], Vec::new()];
            Kind { name: String::new(), costs }
        };
        let books = |times: &[u64]| Books {
            about: "Kinds",
            kinds: times.iter().copied().map(kind).collect(),
        };
        let targets = of_books(&[books(&[10, 12, 17]), books(&[10, 31])]);
        let found = targets.iter().map(|target| (target.measured, target.is_met()));
        assert_eq!(found.collect::<Vec<_>>(), [(1.2, true), (7.0, false), (3.1, false)]);
    }

    #[test]
    fn a_limit_is_on_one_side() {
        let target = |wanted, measured| Target { what: String::new(), wanted, measured };
        assert!(target(Limit::Least(5.0), 5.0).is_met());
        assert!(!target(Limit::Least(5.0), 4.9).is_met());
        assert!(target(Limit::Most(1.25), 1.25).is_met());
        assert!(!target(Limit::Most(1.25), f64::NAN).is_met());
    }
}
