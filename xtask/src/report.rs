//! What test programs say about themselves, added up.

use std::{collections::BTreeSet, fmt};

/// What a test prints that this kernel cannot serve.
const NOT_RUN: &str = "NOT RUN HERE";

/// What a test prints before the number of faults that it tried.
const FAULTS: &str = "FAULTS TRIED: ";

/// Fewer tell too little.
const FEWEST_FAULTS: u64 = 2_000;

/// What the test programs say about themselves, added up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    ignored: u64,
    /// The tests that passed, those among them that could not be tried, and those that failed.
    passing: BTreeSet<String>,
    not_run: BTreeSet<String>,
    failing: Vec<String>,
    faults: u64,
    in_successes: bool,
    /// The test whose output is being read.
    current: String,
}

impl Report {
    /// Reads a line; the answer is whether to show it. What tests print that pass is not shown,
    /// but for what they could not try.
    pub(crate) fn read(&mut self, line: &str) -> bool {
        match line {
            "successes:" => self.in_successes = true,
            "failures:" => self.in_successes = false,
            _ => {}
        }
        if let Some(result) = line.strip_prefix("test result: ") {
            self.in_successes = false;
            self.count(result);
        }
        if let Some((name, result)) =
            line.strip_prefix("test ").and_then(|line| line.rsplit_once(" ... "))
        {
            match result {
                "ok" => drop(self.passing.insert(name.to_owned())),
                "FAILED" => self.failing.push(name.to_owned()),
                _ => {}
            }
        }
        if let Some(name) = line.strip_prefix("---- ").and_then(|l| l.strip_suffix(" stdout ----"))
        {
            name.clone_into(&mut self.current);
        }
        let is_not_run = line.starts_with(NOT_RUN);
        if is_not_run {
            self.not_run.insert(self.current.clone());
        }
        let faults = line.strip_prefix(FAULTS).and_then(|rest| rest.split(' ').next());
        self.faults += faults.and_then(|number| number.parse::<u64>().ok()).unwrap_or(0);
        is_not_run || !self.in_successes
    }

    /// Whether enough faults were tried for a run of everything.
    pub(crate) fn check_faults(&self) -> Result<(), String> {
        if self.faults >= FEWEST_FAULTS {
            return Ok(());
        }
        Err(format!("only {} faults were tried, and {FEWEST_FAULTS} should be", self.faults))
    }

    /// Reads a result such as `ok. 12 passed; 0 failed; 1 ignored; …`.
    fn count(&mut self, result: &str) {
        let counts = result.split_once(". ").map_or("", |(_, counts)| counts);
        for part in counts.split("; ") {
            let Some((number, word)) = part.split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match word {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }

    /// The tests that could not be tried.
    pub(crate) fn not_run(&self) -> &BTreeSet<String> {
        &self.not_run
    }

    /// Whether a test was tried and passed.
    pub(crate) fn has_tried(&self, name: &str) -> bool {
        self.passing.contains(name) && !self.not_run.contains(name)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} ignored", self.passed, self.failed, self.ignored)?;
        if !self.not_run.is_empty() {
            write!(f, "; {} could not be tried, see {NOT_RUN} above", self.not_run.len())?;
        }
        if self.faults > 0 {
            write!(f, "; {} faults tried", self.faults)?;
        }
        self.failing.iter().try_for_each(|name| write!(f, "\n         {name} FAILED"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_test_programs_are_added_up() {
        let mut report = Report::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out",
            "test a::b ... ok",
            "test a::c ... FAILED",
            "test result: FAILED. 1 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out",
        ] {
            assert!(report.read(line));
        }
        let expected = "4 passed, 2 failed, 1 ignored\n         a::c FAILED";
        assert_eq!(report.to_string(), expected);
        assert!(report.has_tried("a::b"));
        assert!(!report.has_tried("a::c"));
    }

    #[test]
    fn of_tests_that_pass_only_what_they_could_not_try_is_shown() {
        let mut report = Report::default();
        let lines = [
            ("test a ... ok", true),
            ("successes:", false),
            ("---- a stdout ----", false),
            ("NOT RUN HERE: no VLANs", true),
            ("a measurement", false),
            ("FAULTS TRIED: 140 of bridge, seed 1", false),
            ("FAULTS TRIED: 60 of ptp, seed 1", false),
            ("failures:", true),
            ("---- b stdout ----", true),
            ("test result: FAILED. 1 passed; 1 failed; 0 ignored", true),
        ];
        for (line, shown) in lines {
            assert_eq!(report.read(line), shown, "{line}");
        }
        assert_eq!((report.passed, report.failed, report.faults), (1, 1, 200));
        assert!(report.to_string().contains("; 200 faults tried"));
        report.check_faults().unwrap_err();
        assert_eq!(report.not_run().iter().collect::<Vec<_>>(), ["a"]);
        assert!(!report.has_tried("a"));
    }
}
