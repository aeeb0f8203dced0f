//! One call of one plugin, from before its start to its end, as a runtime makes it.

use std::{
    io::{Read, Write},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{Outcome, failed, sys};

/// What a plugin is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Make it.
    Add,
    /// Look whether it is as it was made.
    Check,
    /// Take it away.
    Del,
}

impl Verb {
    /// All of them, in the order of a container's life.
    pub const ALL: [Self; 3] = [Self::Add, Self::Check, Self::Del];

    /// As the protocol writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Check => "CHECK",
            Self::Del => "DEL",
        }
    }
}

/// Everything about a call but the program and the configuration.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// `CNI_PATH`.
    pub path: String,
    /// `CNI_CONTAINERID`.
    pub container: String,
    /// `CNI_NETNS`.
    pub netns: String,
}

/// What a call took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// From before the start of the program to when its end was known.
    pub wall: Duration,
    /// Processor time, with that of every process it left behind.
    pub cpu: Duration,
}

impl Cost {
    /// One after the other.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { wall: self.wall + other.wall, cpu: self.cpu + other.cpu }
    }
}

/// Where plugins find `iptables` and `nft`.
const SYSTEM_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// A command that calls a plugin; `words` are the program and what stands before it.
pub fn command(words: &[&str], verb: Verb, attachment: &Attachment) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env_clear();
    command.env("PATH", SYSTEM_PATH).env("CNI_PATH", &attachment.path);
    command.env("CNI_COMMAND", verb.name()).env("CNI_IFNAME", "eth0");
    command.env("CNI_CONTAINERID", &attachment.container).env("CNI_NETNS", &attachment.netns);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// Starts a command and gives it its configuration.
pub fn start(command: &mut Command, config: &str) -> Outcome<Child> {
    let mut child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(config.as_bytes()).map_err(failed("the plugin does not read"))?;
    }
    Ok(child)
}

/// Reads what a child prints, until nobody can print any more.
pub fn read(child: &mut Child) -> Outcome<String> {
    let mut text = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut text).map_err(failed("the plugin's output"))?;
    }
    Ok(text)
}

/// What became of a call.
#[derive(Clone, Debug)]
pub struct Called {
    /// What it printed.
    pub text: String,
    /// Whether it ended with code 0.
    pub is_success: bool,
    /// What it took.
    pub cost: Cost,
}

/// Runs a command to its end.
pub fn run(command: &mut Command, config: &str) -> Outcome<Called> {
    let begun = Instant::now();
    let mut child = start(command, config)?;
    let text = read(&mut child)?;
    let ended = sys::wait_for(&child).map_err(failed("wait"))?;
    let wall = begun.elapsed();
    let cpu = ended.cpu + settle()?;
    Ok(Called { text, is_success: ended.is_success, cost: Cost { wall, cpu } })
}

/// Waits for processes that plugins have left behind, so that nobody disturbs the next; answers
/// the processor time they took.
pub fn settle() -> Outcome<Duration> {
    let mut cpu = Duration::ZERO;
    while let Some(ended) = sys::wait_for_any().map_err(failed("wait"))? {
        cpu += ended.cpu;
    }
    Ok(cpu)
}
