//! One fault: which plugin, which verb, which call, what happens there, and what the runtime does
//! then. Its text is what tries it again.

use std::fmt;
use std::str::FromStr;

use super::Call;

/// What happens at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The process is killed on entering it.
    Kill,
    /// It fails with this error, and does nothing.
    Error(&'static str),
    /// The process is held behind it, and goes on when the container has ended.
    ContainerEnds,
}

impl Kind {
    /// All that may happen at any call.
    pub const ALL: [Self; 7] = [
        Self::Kill,
        Self::Error("ENOSPC"),
        Self::Error("EIO"),
        Self::Error("EINTR"),
        Self::Error("ENOMEM"),
        Self::Error("EEXIST"),
        Self::Error("EBUSY"),
    ];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill => f.write_str("KILL"),
            Self::Error(errno) => f.write_str(errno),
            Self::ContainerEnds => f.write_str("END"),
        }
    }
}

/// What the runtime does after a verb that did not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// DEL, with the result of the ADD if there is one.
    Del,
    /// DEL without a result.
    DelWithoutResult,
    /// GC in which the attachment is not valid; the container ends.
    Gc,
    /// The container ends, then DEL without a result.
    DelWithoutNamespace,
}

impl Answer {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::Del, Self::DelWithoutResult, Self::Gc, Self::DelWithoutNamespace];
}

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The plugin.
    pub plugin: String,
    /// The verb.
    pub verb: String,
    /// Where it happens.
    pub call: Call,
    /// What happens.
    pub kind: Kind,
    /// What the runtime does then.
    pub answer: Answer,
}

impl Fault {
    /// Whether this can happen at all: `brk` tells no errors, and what it answers instead is taken
    /// for memory.
    pub(super) fn is_possible(&self) -> bool {
        self.kind == Kind::Kill || self.call.0 != "brk"
    }

    /// Whether the kernel lets this call be interrupted by a signal, so that the plugin has to make
    /// it again.
    pub(super) fn is_interruption(&self) -> bool {
        let interruptible = ["read", "write", "flock", "ppoll", "poll", "sendto", "recvmmsg"];
        self.kind == Kind::Error("EINTR") && interruptible.contains(&self.call.0.as_str())
    }

    /// Whether a program without memory may give up in the middle, as if it were killed.
    pub(super) fn takes_memory(&self) -> bool {
        ["mmap", "mremap", "mprotect"].contains(&self.call.0.as_str())
    }

    /// Whether the answer itself could not be given.
    pub(super) fn stops_answer(&self) -> bool {
        self.call.0 == "write"
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { plugin, verb, call, kind, answer } = self;
        write!(f, "{plugin} {verb} {call} {kind} {answer:?}")
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let &[plugin, verb, call, kind, answer] = &words[..] else {
            return Err(format!("{text:?} is not a fault such as \"bridge ADD sendto#3 EIO Del\""));
        };
        let mut kinds = Kind::ALL.into_iter().chain([Kind::ContainerEnds]);
        let mut answers = Answer::ALL.into_iter();
        Ok(Self {
            plugin: plugin.to_owned(),
            verb: verb.to_owned(),
            call: call.parse()?,
            kind: kinds
                .find(|known| known.to_string() == kind)
                .ok_or_else(|| format!("{kind} is not one of {:?}", Kind::ALL))?,
            answer: answers
                .find(|known| format!("{known:?}") == answer)
                .ok_or_else(|| format!("{answer} is not one of {:?}", Answer::ALL))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_fault_is_called_is_the_fault() {
        let fault = Fault {
            plugin: "bridge".to_owned(),
            verb: "ADD".to_owned(),
            call: Call("sendto".to_owned(), 3),
            kind: Kind::Error("EBUSY"),
            answer: Answer::Gc,
        };
        assert_eq!(fault.to_string(), "bridge ADD sendto#3 EBUSY Gc");
        assert_eq!(fault.to_string().parse(), Ok(fault));
        assert!("bridge ADD sendto#3 EBUSY Never".parse::<Fault>().is_err());
    }
}
