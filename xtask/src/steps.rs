//! Steps with names: each is run whatever became of those before, and all are told at the end.

use std::time::{Duration, Instant};

use crate::console::say;

/// What became of one step.
struct Outcome {
    name: String,
    duration: Duration,
    result: Result<String, String>,
}

/// Steps that were run.
pub(crate) struct Steps {
    started: Instant,
    outcomes: Vec<Outcome>,
}

impl Steps {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), outcomes: Vec::new() }
    }

    /// Runs a step and says when it begins and how it ends.
    pub(crate) fn run(&mut self, name: &str, step: impl FnOnce() -> Result<String, String>) {
        say(&format!("\n==> {} {name}", clock(self.started.elapsed())));
        let begun = Instant::now();
        let outcome = Outcome { name: name.to_owned(), result: step(), duration: begun.elapsed() };
        say(&outcome.line());
        self.outcomes.push(outcome);
    }

    /// Says what became of every step; the answer is whether all worked.
    pub(crate) fn finish(self) -> bool {
        say(&format!("\n{}", self.summary()));
        self.outcomes.iter().all(|outcome| outcome.result.is_ok())
    }

    fn summary(&self) -> String {
        let lines = self.outcomes.iter().map(|outcome| outcome.line() + "\n");
        let failed = self.outcomes.iter().filter(|outcome| outcome.result.is_err()).count();
        let verdict = match failed {
            0 => "all steps ok".to_owned(),
            _ => format!("{failed} of {} steps FAILED", self.outcomes.len()),
        };
        format!("{}{verdict} in {}", lines.collect::<String>(), clock(self.started.elapsed()))
    }
}

impl Outcome {
    fn line(&self) -> String {
        let (word, text) = match &self.result {
            Ok(text) => ("ok", text),
            Err(text) => ("FAILED", text),
        };
        let line = format!("{word:6} {} {:20} {text}", clock(self.duration), self.name);
        line.trim_end().to_owned()
    }
}

/// Minutes and seconds.
fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs();
    format!("{:02}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_step_stops_nothing_and_fails_the_whole() {
        let mut steps = Steps::new();
        steps.run("first", || Err("it broke".to_owned()));
        steps.run("second", || Ok(String::new()));
        let expected = "\
FAILED 00:00 first                it broke
ok     00:00 second
1 of 2 steps FAILED in 00:00";
        assert_eq!(steps.summary(), expected);
        assert!(!steps.finish());
    }

    #[test]
    fn steps_that_work_are_all_ok() {
        let mut steps = Steps::new();
        steps.run("only", || Ok("done".to_owned()));
        assert!(steps.summary().ends_with("all steps ok in 00:00"));
        assert!(steps.finish());
    }
}
