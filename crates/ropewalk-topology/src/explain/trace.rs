//! What an explanation says: steps, and how they end. Plain data; what to say of it is for those
//! who draw.

use alloc::{boxed::Box, string::String, vec::Vec};
use core::net::IpAddr;

use super::packet::Packet;
use crate::{
    graph::LinkAt,
    model::{FilterFamily, HardwareAddress},
};

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The packet as it was sent.
    pub sent: Packet,
    /// How it goes.
    pub way: Journey,
    /// How the answer goes, if there is one.
    pub back: Option<Journey>,
    /// What becomes of it, in a word.
    pub outcome: Outcome,
}

/// What becomes of a packet and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It arrives, and the answer too.
    Passes,
    /// It leaves what is known.
    Leaves,
    /// It arrives; the answer does not.
    NoAnswer,
    /// It does not arrive.
    Stopped,
    /// Nobody can tell from what was read.
    CannotTell,
}

impl Outcome {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passes => "passes",
            Self::Leaves => "leaves",
            Self::NoAnswer => "no answer",
            Self::Stopped => "stopped",
            Self::CannotTell => "cannot tell",
        }
    }
}

/// The way of one packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journey {
    /// What happens on the way.
    pub steps: Vec<Step>,
    /// Where it ends.
    pub end: End,
    /// The packet as it is at the end.
    pub last: Packet,
    /// The largest packet that passes whole, and the link that allows no larger one.
    pub largest: Option<(u32, LinkAt)>,
}

/// Something that happens on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The position of the namespace.
    pub namespace: usize,
    /// What happens.
    pub event: Event,
}

/// Something that happens to a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It comes in from outside.
    Entered {
        /// Through this link.
        link: u32,
    },
    /// A route was found.
    Routed(Box<Routed>),
    /// Rules were asked.
    Asked(Box<Asked>),
    /// Who has the next address was found out.
    Resolved(Resolved),
    /// A bridge passed it on.
    Bridged(Bridged),
    /// It went from one link to another.
    Crossed {
        /// From.
        from: LinkAt,
        /// To.
        to: LinkAt,
    },
    /// Something worth knowing.
    Noted(String),
}

/// Why a packet goes where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routed {
    /// Whether it is for the namespace itself.
    pub is_local: bool,
    /// The routing rule, as `0: from all lookup local`.
    pub rule: String,
    /// The route, as `ip` would write it.
    pub route: String,
    /// The link.
    pub link: Option<u32>,
    /// Whom it is sent to, if not to its destination.
    pub gateway: Option<IpAddr>,
    /// The source address, if it was chosen here, and why this one.
    pub source: Option<(IpAddr, &'static str)>,
    /// Other routes that would do, and why this one was taken.
    pub instead_of: Vec<String>,
}

/// What the rules at one place said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The place: `prerouting`; `bridge forward` for the rules of bridges; `bridge-nf forward` for those
    /// of IP that a bridge shows its packets.
    pub hook: String,
    /// How many chains were asked.
    pub chains: usize,
    /// What rules did.
    pub deeds: Vec<Deed>,
    /// The state of the connection as rules see it, in a word.
    pub state: Option<&'static str>,
    /// The packet afterwards, if it is another one.
    pub becomes: Option<Packet>,
}

/// What a rule did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// The rule.
    pub rule: RuleAt,
    /// What it did: `accept`, `dnat to 10.1.0.2:80`.
    pub action: String,
}

/// A rule, or the policy of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleAt {
    /// The position of the namespace.
    pub namespace: usize,
    /// The table's family.
    pub family: FilterFamily,
    /// The table.
    pub table: String,
    /// The chain.
    pub chain: String,
    /// The rule's number; none for the policy.
    pub handle: Option<u64>,
    /// Its place in the chain, counted from 1.
    pub position: usize,
    /// The rule in words close to those of `nft`.
    pub text: String,
    /// What somebody noted.
    pub comment: Option<String>,
    /// The chains that led here, the first one first.
    pub through: Vec<String>,
    /// Whether iptables made it.
    pub is_iptables: bool,
    /// Whether the old iptables made it, which is no part of nftables.
    pub is_legacy: bool,
}

/// Who has an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The link that asks.
    pub link: u32,
    /// The address.
    pub address: IpAddr,
    /// Where it is.
    pub mac: Option<HardwareAddress>,
    /// How that is known.
    pub how: String,
}

/// What a bridge did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridged {
    /// The bridge.
    pub bridge: u32,
    /// The port it came in by; none if the host itself sent it.
    pub from: Option<u32>,
    /// The port it goes out by; none if it is for the host itself.
    pub to: Option<u32>,
    /// Why.
    pub why: String,
}

/// Where a way ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Whoever listens in a namespace gets it.
    Delivered {
        /// The link it came in by.
        at: LinkAt,
    },
    /// It goes out by a link whose other end was not read.
    Left {
        /// The link.
        at: LinkAt,
        /// What is behind it.
        to: String,
    },
    /// It goes no further.
    Stopped(Box<Stop>),
    /// What is known does not say.
    Unknown(Box<Stop>),
}

/// Why a packet goes no further, or why nobody can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The position of the namespace.
    pub namespace: usize,
    /// Where in it: `forward`, `route`, `eth0`.
    pub place: String,
    /// Why, in a sentence.
    pub reason: String,
    /// What the sender sees of it.
    pub told: Told,
    /// The rule that decides.
    pub rule: Option<RuleAt>,
    /// The command that shows it.
    pub shown_by: Option<String>,
    /// The command that changes it.
    pub changed_by: Option<String>,
}

/// What the sender sees of it when a packet goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Nothing: it waits in vain.
    Nothing,
    /// An error of the system call, or a message.
    Error,
    /// A reset of the connection.
    Reset,
}

impl Told {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Nothing => "hears nothing and waits",
            Self::Error => "gets an error",
            Self::Reset => "is refused at once",
        }
    }
}
