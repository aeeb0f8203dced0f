//! Traffic control: queueing disciplines, the classes of one, and filters that sort packets into
//! classes or send them to another link.

use alloc::{string::String, vec::Vec};
use core::fmt;

use ropewalk_addr::{IfName, Subnet};

use super::{Comparison, Key, Mismatch};

/// How fast, on average and at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Bytes a second.
    pub bytes_per_second: u64,
    /// How many bytes may pass at once after a pause.
    pub burst_bytes: u32,
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes/s, {} bytes at once", self.bytes_per_second, self.burst_bytes)
    }
}

/// Where at a link packets are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hook {
    /// What the link sends.
    Root,
    /// What the link receives.
    Ingress,
}

/// What is done with packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Discipline {
    /// All packets together keep to a rate: `tbf`.
    TokenBucket {
        /// The rate.
        rate: Rate,
        /// How many bytes may wait.
        limit_bytes: u32,
    },
    /// Packets keep to the rate of their class: `htb`.
    Classes {
        /// The class of packets that no filter sorts; 0 lets them pass at once.
        default_class: u16,
    },
    /// Nothing by itself, but filters can be put there: `ingress`.
    Ingress,
    /// Found only: one of another kind.
    Other(String),
}

/// The queueing discipline of a link. What the kernel gives to every link by itself is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qdisc {
    /// The link.
    pub link: IfName,
    /// Where.
    pub hook: Hook,
    /// What it does.
    pub discipline: Discipline,
}

impl Qdisc {
    /// What a link sends keeps to a rate, or to the rates of its classes.
    pub fn root(link: IfName, discipline: Discipline) -> Self {
        Self { link, hook: Hook::Root, discipline }
    }

    /// A place for filters on what a link receives.
    pub fn ingress(link: IfName) -> Self {
        Self { link, hook: Hook::Ingress, discipline: Discipline::Ingress }
    }

    pub(crate) fn key(&self) -> Key {
        Key::Qdisc(self.link.clone(), self.hook)
    }

    pub(crate) fn compare(&self, found: &Self) -> Vec<Mismatch> {
        match (&self.discipline, &found.discipline) {
            (
                Discipline::TokenBucket { rate: want, limit_bytes: want_limit },
                Discipline::TokenBucket { rate, limit_bytes },
            ) => Comparison::default()
                .field("rate", &want.bytes_per_second, &rate.bytes_per_second)
                .field("limit", want_limit, limit_bytes)
                .field("burst", &want.burst_bytes, &rate.burst_bytes)
                .finish(),
            (want, found) => Comparison::default().field("discipline", want, found).finish(),
        }
    }
}

impl fmt::Display for Qdisc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.discipline {
            Discipline::TokenBucket { rate, .. } => write!(f, "rate limit ({rate})")?,
            Discipline::Classes { .. } => f.write_str("traffic classes")?,
            Discipline::Ingress => f.write_str("ingress hook")?,
            Discipline::Other(kind) => write!(f, "qdisc {kind}")?,
        }
        write!(f, " of {}", self.link)
    }
}

/// A class of [`Discipline::Classes`] with a rate of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrafficClass {
    /// The link.
    pub link: IfName,
    /// Its number, not 0.
    pub number: u16,
    /// Its rate, which it can neither lend nor exceed.
    pub rate: Rate,
}

impl TrafficClass {
    pub(crate) fn key(&self) -> Key {
        Key::TrafficClass(self.link.clone(), self.number)
    }

    pub(crate) fn compare(&self, found: &Self) -> Vec<Mismatch> {
        Comparison::default()
            .field("rate", &self.rate.bytes_per_second, &found.rate.bytes_per_second)
            .field("burst", &self.rate.burst_bytes, &found.rate.burst_bytes)
            .finish()
    }
}

impl fmt::Display for TrafficClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "traffic class {} ({}) of {}", self.number, self.rate, self.link)
    }
}

/// Which packets a filter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selector {
    /// All.
    All,
    /// Those from a subnet.
    From(Subnet),
    /// Those to a subnet.
    To(Subnet),
}

/// What becomes of the packets of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They pass through what another link sends, and come back if they were received.
    Redirect(IfName),
    /// They belong to a class; 0 lets them pass at once.
    Class(u16),
    /// Found only: something else.
    Other,
}

/// A filter at a queueing discipline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrafficFilter {
    /// The link.
    pub link: IfName,
    /// Where.
    pub hook: Hook,
    /// Its place in the order, from 1; no two filters of ours at a hook share one.
    pub priority: u16,
    /// Which packets.
    pub selector: Selector,
    /// What becomes of them.
    pub verdict: Verdict,
}

impl TrafficFilter {
    pub(crate) fn key(&self) -> Key {
        Key::TrafficFilter(self.link.clone(), self.hook, self.priority)
    }

    pub(crate) fn compare(&self, found: &Self) -> Vec<Mismatch> {
        Comparison::default()
            .field("selector", &self.selector, &found.selector)
            .field("verdict", &self.verdict, &found.verdict)
            .finish()
    }
}

impl fmt::Display for TrafficFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("filter of ")?;
        match self.selector {
            Selector::All => f.write_str("everything")?,
            Selector::From(subnet) => write!(f, "what comes from {subnet}")?,
            Selector::To(subnet) => write!(f, "what goes to {subnet}")?,
        }
        match &self.verdict {
            Verdict::Redirect(link) => write!(f, " through {link}")?,
            Verdict::Class(0) => f.write_str(" past the classes")?,
            Verdict::Class(number) => write!(f, " into class {number}")?,
            Verdict::Other => {}
        }
        write!(f, " of {}", self.link)
    }
}
