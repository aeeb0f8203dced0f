//! What became of the tests on all test hosts.

use super::host::Kind;
use crate::report::Report;

/// What became of the tests on all hosts.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) reports: Vec<(Kind, Report)>,
    /// What went wrong beside tests.
    pub(super) complaints: Vec<String>,
    /// The programs for which there was no time.
    pub(super) left: Vec<String>,
}

impl Outcome {
    /// Adds everything up; `here` is what the same tests said on this machine.
    pub(super) fn verdict(&self, here: &Report) -> Result<String, String> {
        let mut complaints = self.complaints.clone();
        for name in here.not_run() {
            if !self.reports.iter().any(|(_, report)| report.has_tried(name)) {
                complaints.push(format!("{name} ran neither here nor in a virtual machine"));
            }
        }
        let mut lines: Vec<String> = self
            .reports
            .iter()
            .map(|(kind, report)| format!("{}: {report}", kind.name()))
            .collect();
        if !self.left.is_empty() {
            lines.push(format!("there was no time for {}", self.left.join(", ")));
        }
        lines.extend(complaints.iter().cloned());
        let text = lines.join("\n         ");
        let worked =
            complaints.is_empty() && self.reports.iter().all(|(_, report)| report.failed == 0);
        if worked { Ok(text) } else { Err(text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(lines: &[&str]) -> Report {
        let mut report = Report::default();
        for line in lines {
            report.read(line);
        }
        report
    }

    const NOT_RUN: [&str; 4] =
        ["test a ... ok", "successes:", "---- a stdout ----", "NOT RUN HERE: no VLANs"];

    #[test]
    fn what_could_not_be_tried_here_must_have_been_tried_there() {
        let here = report(&NOT_RUN);
        let mut outcome = Outcome::default();
        outcome.reports.push((Kind::Nftables, report(&NOT_RUN)));
        let text = outcome.verdict(&here).expect_err("nobody has tried it");
        assert!(text.contains("a ran neither here nor in a virtual machine"), "{text}");
        outcome.reports.push((Kind::IptablesOnly, report(&["test a ... ok"])));
        outcome.verdict(&here).expect("one has tried it");
    }

    #[test]
    fn a_failure_or_a_complaint_fails_the_step_and_want_of_time_does_not() {
        let here = Report::default();
        let outcome = Outcome { left: vec!["bridge (nftables)".to_owned()], ..Outcome::default() };
        let text = outcome.verdict(&here).expect("all is well");
        assert!(text.contains("no time for bridge"), "{text}");
        let complaints = vec!["nftables: bridge ended with status 139".to_owned()];
        Outcome { complaints, ..Outcome::default() }.verdict(&here).expect_err("it complains");
        let failing = report(&["test result: FAILED. 1 passed; 1 failed"]);
        let outcome = Outcome { reports: vec![(Kind::Nftables, failing)], ..Outcome::default() };
        outcome.verdict(&here).expect_err("a test failed");
    }
}
