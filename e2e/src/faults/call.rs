//! The system calls of a plugin as strace tells them, and strace again to spoil one of them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::Kind;
use crate::{Lab, Plugin};

/// What strace recorded last, inside.
const RECORD: &str = "/run/lab/calls";

/// A system call: its name, and the how manieth of that name it is for its process.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call(pub String, pub usize);

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.0, self.1)
    }
}

impl FromStr for Call {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('#').and_then(|(name, number)| {
            number.parse().ok().map(|number| Self(name.to_owned(), number))
        });
        parts.ok_or_else(|| format!("{text:?} is not a call such as sendto#3"))
    }
}

/// Calls of one run.
#[derive(Debug)]
pub struct Trace(String);

impl Trace {
    /// The plugin, to be run by strace, which records all calls of it and of its children.
    pub fn recording<'lab>(plugin: &Plugin<'lab>) -> Plugin<'lab> {
        plugin.clone().by(&["/usr/bin/strace", "-f", "-qq", "-o", RECORD])
    }

    /// The plugin, to be run by strace, which lets one call fail or kills who makes it. Nothing
    /// else is stopped at.
    pub fn spoiling<'lab>(plugin: &Plugin<'lab>, call: &Call, kind: Kind) -> Plugin<'lab> {
        let Call(name, number) = call;
        let what = match kind {
            Kind::Kill => "signal=KILL".to_owned(),
            Kind::Error(errno) => format!("error={errno}"),
            Kind::ContainerEnds => "signal=STOP".to_owned(),
        };
        let (trace, inject) =
            (format!("trace={name}"), format!("inject={name}:{what}:when={number}"));
        let words = ["-e", &trace, "-e", &inject];
        let strace = ["/usr/bin/strace", "-f", "--seccomp-bpf", "-q", "-o", RECORD];
        plugin.clone().by(&[&strace[..], &words[..]].concat())
    }

    /// What was recorded last.
    pub fn last(lab: &Lab) -> Self {
        Self(lab.read(RECORD))
    }

    /// Forgets what was recorded last.
    pub fn forget(lab: &Lab) {
        // There may be none.
        let _ = std::fs::remove_file(lab.outside(RECORD));
    }

    /// The process that is held, if one is.
    pub fn held(lab: &Lab) -> Option<u32> {
        let text = std::fs::read_to_string(lab.outside(RECORD)).ok()?;
        let line = text.lines().find(|line| line.contains("--- stopped by SIGSTOP ---"))?;
        line.split(' ').next()?.parse().ok()
    }

    /// Whether a call was made to fail, or to be the last.
    pub fn has_spoiled(&self) -> bool {
        self.0.contains("(INJECTED)") || self.0.contains("+++ killed by SIGKILL")
    }

    /// The calls from the first look at standard input on, in order; those of children are counted
    /// for themselves. Ends are no calls: nothing can be wrong about them.
    pub fn calls(&self) -> Vec<Call> {
        let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        let mut calls = Vec::new();
        let mut has_begun = false;
        for line in self.0.lines() {
            let Some((process, call)) = line.split_once(' ') else { continue };
            let call = call.trim_start();
            let name = call.split('(').next().unwrap_or_default();
            let is_call = name.starts_with(|letter: char| letter.is_ascii_lowercase());
            if !is_call || is_begun_anew(call) {
                continue;
            }
            let count = counts.entry((process, name)).or_default();
            *count += 1;
            has_begun |= call.starts_with("read(0,");
            let call = Call(name.to_owned(), *count);
            if has_begun && !name.starts_with("exit") && !calls.contains(&call) {
                calls.push(call);
            }
        }
        assert!(!calls.is_empty(), "strace has recorded: {}", self.0);
        calls
    }
}

/// Whether the kernel gave this call up and began it anew by itself, as settings of IPv6 do as long
/// as somebody else has the lock of all links (`rtnl_trylock` in net/ipv6/addrconf.c): how often is
/// chance.
pub fn is_begun_anew(line: &str) -> bool {
    line.ends_with("= ? ERESTARTNOINTR (To be restarted)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_for_each_process_from_the_first_look_at_the_input() {
        let trace = Trace(
            "7 brk(NULL) = 1\n7 read(3, ..) = 1\n7 read(0, \"{}\", 9) = 2\n7 clone(..) = 8\n\
             8 close(3) = 0\n7 ppoll([{fd=7}], 1 <unfinished ...>\n8 sendto(7, ..) = 5\n\
             7 write(8, ..) = ? ERESTARTNOINTR (To be restarted)\n7 write(8, ..) = 1\n\
             7 <... ppoll resumed>) = 1\n7 close(7) = 0\n8 exit_group(0) = ?\n8 +++ exited +++\n"
                .to_owned(),
        );
        let calls: Vec<String> = trace.calls().iter().map(ToString::to_string).collect();
        assert_eq!(calls, ["read#2", "clone#1", "close#1", "ppoll#1", "sendto#1", "write#1"]);
        assert_eq!("sendto#3".parse(), Ok(Call("sendto".to_owned(), 3)));
        assert!("sendto".parse::<Call>().is_err());
    }
}
