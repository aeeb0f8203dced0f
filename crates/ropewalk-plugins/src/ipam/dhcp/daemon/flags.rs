//! The daemon's command line, in the syntax of Go programs: one dash or two, values behind `=` or
//! as the next word.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use ropewalk_dhcp::Pace;

use super::super::config::DEFAULT_SOCKET;

/// Flags, their defaults, and what they are for.
const FLAGS: &[(&str, &str, &str)] = &[
    ("pidfile", "", "write the process id to this file"),
    ("hostprefix", "", "where the host's files are, for a daemon in a container"),
    ("socketpath", DEFAULT_SOCKET, "listen here"),
    ("leasedir", DEFAULT_LEASES, "keep leases here"),
    ("broadcast", "false", "ask servers to broadcast their answers"),
    ("timeout", "10s", "how long to wait for a server's answer before looking for another server"),
    ("resendmax", "1m2s", "the longest pause between two attempts"),
    ("resendtimeout", "3m28s", "how long to look for an address"),
];

/// Where leases are kept.
const DEFAULT_LEASES: &str = "/var/lib/cni/dhcp";

/// How the daemon was asked to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    /// The file for the process id.
    pub(super) pid_file: Option<PathBuf>,
    /// What stands before all paths.
    pub(super) host_prefix: PathBuf,
    /// Where to listen.
    pub(super) socket: PathBuf,
    /// Where leases are kept.
    pub(super) leases: PathBuf,
    /// Whether servers are asked to broadcast their answers.
    pub(super) broadcast: bool,
    /// How often and how long servers are asked.
    pub(super) pace: Pace,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            pid_file: None,
            host_prefix: PathBuf::new(),
            socket: DEFAULT_SOCKET.into(),
            leases: DEFAULT_LEASES.into(),
            broadcast: false,
            pace: Pace::default(),
        }
    }
}

/// Why there are no options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mistake {
    /// Somebody wants to know which there are.
    Help,
    /// A flag is unknown or its value makes no sense.
    Wrong(String),
}

impl Options {
    /// Reads the words behind `daemon`.
    pub(super) fn parse(words: impl Iterator<Item = OsString>) -> Result<Self, Mistake> {
        let mut options = Self::default();
        let mut words = words.map(|word| word.to_string_lossy().into_owned());
        while let Some(word) = words.next() {
            let Some(flag) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
                return Err(Mistake::Wrong(format!("unexpected argument: {word}")));
            };
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (flag, None),
            };
            if matches!(name, "h" | "help") {
                return Err(Mistake::Help);
            }
            if !FLAGS.iter().any(|(known, ..)| *known == name) {
                let message = format!("flag provided but not defined: -{name}");
                return Err(Mistake::Wrong(message));
            }
            let value = match (value, name) {
                (Some(value), _) => value,
                (None, "broadcast") => "true".to_owned(),
                (None, _) => words
                    .next()
                    .ok_or_else(|| Mistake::Wrong(format!("flag needs an argument: -{name}")))?,
            };
            options.set(name, &value).ok_or_else(|| {
                Mistake::Wrong(format!("invalid value {value:?} for flag -{name}: parse error"))
            })?;
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "pidfile" => self.pid_file = Some(value).filter(|v| !v.is_empty()).map(PathBuf::from),
            "hostprefix" => self.host_prefix = value.into(),
            "socketpath" => self.socket = value.into(),
            "leasedir" => self.leases = value.into(),
            "broadcast" => self.broadcast = boolean(value)?,
            "timeout" => self.pace.patience = duration(value)?,
            "resendmax" => self.pace.longest = duration(value)?,
            "resendtimeout" => self.pace.limit = duration(value)?,
            _ => return None,
        }
        Some(())
    }

    /// A path behind the prefix for the host's files.
    pub(super) fn below_prefix(&self, path: &Path) -> PathBuf {
        below(&self.host_prefix, path)
    }
}

/// A path of the host, where its files are found behind a prefix.
pub(super) fn below(prefix: &Path, path: &Path) -> PathBuf {
    if prefix.as_os_str().is_empty() {
        return path.to_owned();
    }
    prefix.join(path.strip_prefix("/").unwrap_or(path))
}

/// The flags, for people.
pub(super) fn help() -> String {
    let line = |(name, default, meaning): &(&str, &str, &str)| {
        let default = if default.is_empty() { String::new() } else { format!(" [{default}]") };
        format!("  -{name}{default}\n        {meaning}")
    };
    let lines: Vec<String> = FLAGS.iter().map(line).collect();
    format!("Usage of daemon:\n{}", lines.join("\n"))
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// A duration such as `1m2.5s`. Negative ones make no sense here.
fn duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, f64); 7] = [
        ("ns", 1e-9),
        ("us", 1e-6),
        ("µs", 1e-6),
        ("ms", 1e-3),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3600.0),
    ];
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        let (number, behind) = rest.split_at(rest.find(|c| !is_number(c))?);
        let (unit, behind) = behind.split_at(behind.find(is_number).unwrap_or(behind.len()));
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        seconds += number.parse::<f64>().ok()? * factor;
        rest = behind;
    }
    Duration::try_from_secs_f64(seconds).ok().filter(|_| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<Options, Mistake> {
        Options::parse(words.split_whitespace().map(OsString::from))
    }

    #[test]
    fn flags_are_written_as_for_go_programs() {
        let options = parse(
            "-pidfile /p --socketpath=/s -broadcast -timeout 1m2.5s --resendmax=100ms \
             -hostprefix /host -leasedir /l",
        )
        .unwrap();
        assert_eq!(options.pid_file, Some("/p".into()));
        assert!(options.broadcast);
        assert_eq!(options.pace.patience, Duration::from_millis(62_500));
        assert_eq!(options.pace.longest, Duration::from_millis(100));
        assert_eq!(options.below_prefix(&options.socket), PathBuf::from("/host/s"));
        assert_eq!(options.below_prefix(&options.leases), PathBuf::from("/host/l"));
        assert!(!parse("-broadcast=false").unwrap().broadcast);
        assert_eq!(parse("").unwrap(), Options::default());
    }

    #[test]
    fn mistakes_are_told() {
        let wrong = |words: &str| match parse(words) {
            Err(Mistake::Wrong(message)) => message,
            other => panic!("{other:?}"),
        };
        assert_eq!(wrong("-x"), "flag provided but not defined: -x");
        assert_eq!(wrong("-timeout"), "flag needs an argument: -timeout");
        for value in ["", "5", "s", "-1s", "1x", "1.2.3s"] {
            let message = wrong(&format!("-timeout={value}"));
            assert_eq!(message, format!("invalid value {value:?} for flag -timeout: parse error"));
        }
        assert_eq!(wrong("now"), "unexpected argument: now");
        assert_eq!(parse("--help"), Err(Mistake::Help));
    }
}
