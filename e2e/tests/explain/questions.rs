//! Questions, their answers, and how many of them were as a real packet showed.

use std::fmt;

use ropewalk_e2e::{Lab, Random, Value, command_path, patience};

use super::world::suffix;

/// What is asked.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) source: String,
    pub(crate) destination: String,
    pub(crate) service: String,
}

/// A case that was not as explained.
#[derive(Debug)]
pub(crate) struct Finding {
    /// None for the host that plugins made.
    pub(crate) round: Option<usize>,
    pub(crate) question: Question,
    pub(crate) script: Vec<String>,
    pub(crate) said: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Question { source, destination, service } = &self.question;
        let round =
            self.round.map_or("with plugins".to_owned(), |round| format!("in round {round}"));
        writeln!(f, "DISAGREEMENT {round}: {source} {destination} {service}")?;
        for line in self.script.iter().flat_map(|script| script.lines()) {
            writeln!(f, "    # {line}")?;
        }
        write!(f, "{}", self.said)
    }
}

/// How many cases there were.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    all: usize,
    pub(crate) compared: usize,
    pub(crate) passed: usize,
    pub(crate) stopped: usize,
    differing: usize,
    untold: usize,
    left: usize,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.all += other.all;
        self.compared += other.compared;
        self.passed += other.passed;
        self.stopped += other.stopped;
        self.differing += other.differing;
        self.untold += other.untold;
        self.left += other.left;
    }

    /// Counts an answer; what is said of it if it is not as a packet showed.
    #[expect(clippy::print_stdout, reason = "what cannot be told is to be seen")]
    pub(crate) fn count(&mut self, question: &Question, answer: &Answer) -> Option<String> {
        self.all += 1;
        let document = match answer {
            Answer::Told(document) => document,
            Answer::Failed(text) => {
                self.differing += 1;
                return Some(format!("{question:?}: {text}"));
            }
        };
        match document["outcome"].as_str() {
            Some("passes") => self.passed += 1,
            Some("stopped" | "no answer") => self.stopped += 1,
            Some("leaves") => self.left += 1,
            _ => {
                self.untold += 1;
                let ends = [&document["way"]["end"], &document["back"]["end"]];
                let reason = ends.iter().find(|end| end["kind"] == "unknown");
                println!(
                    "cannot tell: {question:?}: {}",
                    reason.map_or(&Value::Null, |end| &end["reason"])
                );
            }
        }
        match document["probe"]["agrees"].as_bool() {
            None => None,
            Some(true) => {
                self.compared += 1;
                None
            }
            Some(false) => {
                self.compared += 1;
                self.differing += 1;
                Some(format!("{document:#}"))
            }
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { all, compared, passed, stopped, differing, untold, left } = self;
        write!(
            f,
            "{all} cases, {compared} compared with a real packet ({passed} pass, {stopped} do not), \
             {differing} disagree, {untold} cannot be told, {left} leave the host"
        )
    }
}

/// What the command said.
pub(crate) enum Answer {
    Told(Value),
    Failed(String),
}

/// Ends, as somebody would name them; `@` becomes the host's suffix.
const SOURCES: [&str; 10] =
    ["c1@", "c1@", "c2@", "c3@", "p1@", "out@", "out@", "host", "m1@", "10.1.0.12"];
const DESTINATIONS_V4: [&str; 14] = [
    "c1@",
    "c2@",
    "c2@",
    "c3@",
    "p1@",
    "out@",
    "out@",
    "192.0.2.1",
    "192.0.2.1",
    "10.1.0.1",
    "198.51.100.1",
    "m1@",
    "10.1.0.99",
    "10.9.9.9",
];
const DESTINATIONS_V6: [&str; 8] =
    ["-6 c1@", "-6 c2@", "-6 c2@", "-6 c3@", "-6 out@", "fd00:1::1", "2001:db8::1", "fd00:9::9"];
const SOURCES_V6: [&str; 6] = ["c1@", "c1@", "c2@", "c3@", "out@", "host"];
const SERVICES: [&str; 9] =
    ["80", "80", "81", "8080", "8080", "443/tcp", "53/udp", "5353/udp", "icmp"];

/// A question about the host made by hand.
pub(crate) fn choose(random: &mut Random, host: usize) -> Question {
    let is_v6 = random.below(3) == 0;
    let (source, destination) = if is_v6 {
        (random.choose(&SOURCES_V6), random.choose(&DESTINATIONS_V6))
    } else {
        (random.choose(&SOURCES), random.choose(&DESTINATIONS_V4))
    };
    let suffix = suffix(host);
    Question {
        source: source.replace('@', &suffix),
        destination: destination.replace('@', &suffix),
        service: (*random.choose(&SERVICES)).to_owned(),
    }
}

/// Asks, with a real packet. Where none came back in time it is given more time: a busy machine must
/// not look like a rule.
pub(crate) fn ask<T: AsRef<str>>(lab: &Lab, question: &Question, only: &[T]) -> Answer {
    match ask_for(lab, question, only, 0.25) {
        Answer::Told(document) if document["probe"]["agrees"] == false => {
            ask_for(lab, question, only, 2.5)
        }
        answer => answer,
    }
}

/// Asks, with a real packet that is given so long.
pub(crate) fn ask_for<T: AsRef<str>>(
    lab: &Lab,
    question: &Question,
    only: &[T],
    seconds: f64,
) -> Answer {
    let Question { source, destination, service } = question;
    let only: Vec<String> = only.iter().map(|name| format!("--only {}", name.as_ref())).collect();
    let deadline = patience(std::time::Duration::from_secs_f64(seconds)).as_secs_f64();
    let outcome = lab.try_sh(&format!(
        "{} --json explain {source} {destination} {service} --probe --deadline {deadline} {}",
        command_path().display(),
        only.join(" ")
    ));
    match serde_json_of(&outcome.stdout) {
        Some(document) => Answer::Told(document),
        None => Answer::Failed(outcome.to_string()),
    }
}

fn serde_json_of(text: &str) -> Option<Value> {
    text.parse().ok()
}
