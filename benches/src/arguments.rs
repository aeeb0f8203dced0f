//! The command line.

use std::path::PathBuf;

use crate::{
    Outcome,
    scenario::{ALL, Scenario},
};

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
    scenarios: Vec<Scenario>,
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
            scenarios: Vec::new(),
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
                name => {
                    let names = || ALL.map(|scenario| scenario.name).join(", ");
                    let unknown =
                        || format!("there is no scenario {name:?}; known are {}", names());
                    arguments.scenarios.push(Scenario::find(name).ok_or_else(unknown)?);
                }
            }
        }
        Ok(arguments)
    }

    /// The scenarios that were asked for, or those that belong to the extent.
    pub fn scenarios(&self) -> Vec<Scenario> {
        if !self.scenarios.is_empty() {
            return self.scenarios.clone();
        }
        let is_quick =
            |scenario: &Scenario| ["bridge", "masquerade", "chain"].contains(&scenario.name);
        ALL.into_iter()
            .filter(|scenario| self.extent != Extent::Quick || is_quick(scenario))
            .collect()
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
    pub fn sizes(&self) -> &'static [usize] {
        match self.extent {
            Extent::Quick => &[1],
            Extent::Usual => &[1, 100],
            Extent::Full => &[1, 100, 500, 1000],
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
