//! What packet filters do with a packet: the chains of a hook in their order, rule by rule. It
//! must never guess: what it does not understand makes the answer "cannot tell", unless it makes
//! no difference.

mod certain;
mod chains;
mod expressions;
mod hooks;
mod matches;
mod nat;
mod registers;
mod sets;
mod targets;

use alloc::{string::String, vec::Vec};
use core::net::IpAddr;

pub(crate) use certain::{Certain, Passage, forwarded};
pub(super) use hooks::{Place, run};

use super::{
    flows::Tracking,
    packet::{Frame, Packet},
    trace::{Deed, RuleAt, Told},
};
use crate::model::{Content, FilterFamily, Link};

/// Where rules are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    Prerouting,
    Input,
    Forward,
    Output,
    Postrouting,
    Ingress,
    Egress,
}

impl Hook {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }
}

/// Whose rules are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    /// Those for packets of IP.
    Ip,
    /// Those for frames that a bridge passes on.
    Bridge,
    /// Those of links.
    Link,
}

/// What rules can ask for besides the packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene<'a> {
    pub(super) namespace: usize,
    pub(super) content: &'a Content,
    pub(super) hook: Hook,
    pub(super) layer: Layer,
    pub(super) input: Option<&'a Link>,
    pub(super) output: Option<&'a Link>,
    /// Who it is handed to, where a route said so.
    pub(super) next: Option<IpAddr>,
    /// The ports of a bridge, where a bridge shows packets to the rules of IP.
    pub(super) ports: (Option<&'a Link>, Option<&'a Link>),
    pub(super) frame: Option<&'a Frame>,
}

impl Scene<'_> {
    /// The family that rules see.
    fn family(&self, packet: &Packet) -> FilterFamily {
        match self.layer {
            Layer::Bridge => FilterFamily::Bridge,
            Layer::Link => FilterFamily::Netdev,
            Layer::Ip if packet.is_v6() => FilterFamily::Ip6,
            Layer::Ip => FilterFamily::Ip,
        }
    }
}

/// What rules can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) packet: Packet,
    pub(super) tracking: Tracking,
}

/// What became of the packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Goes,
    Ends { told: Told, rule: RuleAt, action: String },
    Unknown { why: String, rule: RuleAt },
}

/// What the chains of a hook said.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) fate: Fate,
    pub(super) chains: usize,
    pub(super) deeds: Vec<Deed>,
    /// Whether a rule asks for another route.
    pub(super) is_rerouted: bool,
}
