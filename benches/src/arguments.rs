//! The command line.

use std::path::PathBuf;

use crate::{
    Outcome,
    scenario::{ALL, Scenario},
};

/// What is measured beside lists of plugins: starts of programs, bursts, what packets cost, pods.
pub const START: &str = "start";
/// See [`START`].
pub const BURSTS: &str = "bursts";
/// See [`START`].
pub const TRAFFIC: &str = "traffic";
/// See [`START`].
pub const PODS: &str = "pods";
/// See [`START`].
pub const SQL: &str = "sql";
const PARTS: [&str; 5] = [START, BURSTS, TRAFFIC, PODS, SQL];

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Under a minute: for tests.
    Quick,
    /// What says most for its time.
    Usual,
    /// With hundreds of existing containers, which the reference plugins take minutes to add.
    Full,
}

/// What to measure.
#[derive(Clone, Debug)]
pub struct Arguments {
    /// Our multi-call program or a directory with our plugins.
    pub ours: PathBuf,
    /// A directory with the reference plugins, if they take part.
    pub reference: Option<PathBuf>,
    /// The program that does the least possible.
    pub floor: PathBuf,
    /// The program that watches memory.
    pub peak: PathBuf,
    /// How much.
    pub extent: Extent,
    rounds: Option<usize>,
    /// Answer in JSON.
    pub is_json: bool,
    /// Where to draw a picture.
    pub svg: Option<PathBuf>,
    /// Nothing but what strace counts.
    pub is_counts_only: bool,
    /// Lists and [`PARTS`] that were asked for; none means all that belong to the extent.
    wanted: Vec<String>,
}

impl Arguments {
    /// Reads the words behind the program's name.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Outcome<Self> {
        let mut arguments = Self {
            ours: PathBuf::new(),
            reference: None,
            floor: PathBuf::new(),
            peak: PathBuf::new(),
            extent: Extent::Usual,
            rounds: None,
            is_json: false,
            svg: None,
            is_counts_only: false,
            wanted: Vec::new(),
        };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--ours" => arguments.ours = value()?.into(),
                "--reference" => arguments.reference = Some(value()?.into()),
                "--floor" => arguments.floor = value()?.into(),
                "--peak" => arguments.peak = value()?.into(),
                "--svg" => arguments.svg = Some(value()?.into()),
                "--rounds" => {
                    let rounds = value()?.parse().map_err(|_| "--rounds needs a number")?;
                    arguments.rounds = Some(rounds);
                }
                "--full" => arguments.extent = Extent::Full,
                "--quick" => arguments.extent = Extent::Quick,
                "--json" => arguments.is_json = true,
                "--counts" => arguments.is_counts_only = true,
                name if Scenario::find(name).is_some() || PARTS.contains(&name) => {
                    arguments.wanted.push(word);
                }
                name => {
                    let known: Vec<&str> = ALL.iter().map(|list| list.name).chain(PARTS).collect();
                    let known = known.join(", ");
                    return Err(format!("there is nothing called {name:?}; known are {known}"));
                }
            }
        }
        Ok(arguments)
    }

    /// The lists of plugins to measure.
    pub fn scenarios(&self) -> impl Iterator<Item = Scenario> {
        let is_quick = |name| ["bridge", "masquerade", "chain"].contains(&name);
        let is_meant = move |name| self.extent != Extent::Quick || is_quick(name);
        ALL.into_iter().filter(move |list| self.wants(list.name, is_meant(list.name)))
    }

    /// Whether a part is to be measured.
    pub fn has(&self, part: &str) -> bool {
        let is_quick = ![TRAFFIC, PODS, SQL].contains(&part);
        !self.is_counts_only && self.wants(part, self.extent != Extent::Quick || is_quick)
    }

    fn wants(&self, name: &str, is_meant: bool) -> bool {
        let is_named = self.wanted.iter().any(|wanted| wanted == name);
        is_named || self.wanted.is_empty() && is_meant
    }

    /// How many rounds of a scenario; none if only counts are wanted.
    pub fn rounds(&self) -> usize {
        if self.is_counts_only {
            return 0;
        }
        self.rounds.unwrap_or(match self.extent {
            Extent::Quick => 12,
            Extent::Usual => 40,
            Extent::Full => 60,
        })
    }

    /// How many containers exist.
    pub fn sizes(&self) -> &'static [u16] {
        match self.extent {
            Extent::Quick => &[1],
            Extent::Usual => &[1, 100],
            Extent::Full => &[1, 100, 500, 1000],
        }
    }

    /// How many containers there are beside those that speak, and how often they speak.
    pub fn traffic(&self) -> (&'static [u16], usize) {
        match self.extent {
            Extent::Quick => (&[0], 3),
            Extent::Usual => (&[0, 100], 10),
            Extent::Full => (&[0, 100, 500], 20),
        }
    }

    /// How many pods.
    pub fn pods(&self) -> usize {
        match self.extent {
            Extent::Quick => 5,
            Extent::Usual => 15,
            Extent::Full => 40,
        }
    }

    /// How many containers come at once, and how often.
    pub fn bursts(&self) -> (&'static [usize], usize) {
        match self.extent {
            Extent::Quick => (&[16], 2),
            Extent::Usual => (&[8, 32, 64], 3),
            Extent::Full => (&[8, 32, 64], 6),
        }
    }

    /// How often programs are started for VERSION.
    pub fn starts(&self) -> usize {
        self.rounds() * 5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Outcome<Arguments> {
        Arguments::parse(line.split_whitespace().map(str::to_owned))
    }

    fn lists(arguments: &Arguments) -> Vec<&str> {
        arguments.scenarios().map(|list| list.name).collect()
    }

    #[test]
    fn all_that_belongs_to_an_extent_is_measured_unless_parts_are_named() {
        let usual = parse("").expect("no words are needed");
        assert_eq!(lists(&usual).len(), ALL.len());
        assert!(usual.has(BURSTS) && usual.has(TRAFFIC));
        let quick = parse("--quick").expect("it is known");
        assert_eq!(lists(&quick), ["bridge", "masquerade", "chain"]);
        assert!(quick.has(START) && !quick.has(TRAFFIC));
        let named = parse("--quick ptp traffic").expect("they are known");
        assert_eq!(lists(&named), ["ptp"]);
        assert!(named.has(TRAFFIC) && !named.has(BURSTS));
    }

    #[test]
    fn counts_need_no_rounds() {
        let counts = parse("--counts --rounds 7").expect("it is known");
        assert_eq!((counts.rounds(), counts.has(START)), (0, false));
    }

    #[test]
    fn mistakes_are_told() {
        let error = parse("brigde").expect_err("it is unknown");
        assert!(error.contains("bridge, masquerade"), "{error}");
        assert_eq!(parse("--svg").err().as_deref(), Some("--svg needs a value"));
        assert!(parse("--rounds many").is_err());
    }
}
