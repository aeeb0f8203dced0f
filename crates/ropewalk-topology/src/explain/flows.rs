//! Connections as they would be tracked: which addresses were changed, and how answers are changed
//! back. It must never look at connections that exist: the packet is the first of a new one.

use core::net::IpAddr;

use super::packet::{Packet, Port, UDP};

/// Bits of the state as rules see it (`NF_CT_STATE_BIT`).
pub(super) mod state {
    pub(in super::super) const INVALID: u32 = 1;
    pub(in super::super) const ESTABLISHED: u32 = 2;
    pub(in super::super) const NEW: u32 = 8;
    pub(in super::super) const UNTRACKED: u32 = 64;
}

/// Address and port.
pub(super) type Side = (IpAddr, Port);

/// One direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Direction {
    pub(super) source: Side,
    pub(super) destination: Side,
}

impl Direction {
    fn of(packet: &Packet) -> Self {
        Self {
            source: (packet.source, packet.source_port),
            destination: (packet.destination, packet.destination_port),
        }
    }

    fn back(self) -> Self {
        Self { source: self.destination, destination: self.source }
    }
}

/// A connection in a namespace.
#[expect(clippy::struct_excessive_bools, reason = "they are the kernel's, and of no other shape")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flow {
    pub(super) namespace: usize,
    pub(super) protocol: u8,
    /// As it began, before anything was changed.
    pub(super) original: Direction,
    /// As answers are expected.
    pub(super) reply: Direction,
    pub(super) mark: u32,
    /// Whether it was decided what the source becomes; of the destination.
    pub(super) is_source_decided: bool,
    pub(super) is_destination_decided: bool,
    pub(super) is_answered: bool,
    pub(super) is_confirmed: bool,
}

impl Flow {
    pub(super) fn is_source_changed(&self) -> bool {
        self.reply.destination != self.original.source
    }

    pub(super) fn is_destination_changed(&self) -> bool {
        self.reply.source != self.original.destination
    }

    /// `IPS_…`, as far as rules ask for it.
    pub(super) fn status(&self) -> u32 {
        let bits = [
            (self.is_answered, 2),
            (self.is_confirmed, 8),
            (self.is_source_changed(), 16),
            (self.is_destination_changed(), 32),
            (self.is_source_decided, 128),
            (self.is_destination_decided, 256),
        ];
        bits.iter().filter(|(is_set, _)| *is_set).map(|(_, bit)| bit).sum()
    }
}

/// Which connection a packet belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Tracking {
    /// Nobody has looked yet.
    #[default]
    Not,
    /// Somebody said not to look.
    Untracked,
    /// To none, and it cannot begin one.
    Invalid,
    /// To this one.
    Of {
        /// Its place among all.
        index: usize,
        flow: Flow,
        is_reply: bool,
    },
}

impl Tracking {
    pub(super) fn flow(&self) -> Option<&Flow> {
        match self {
            Self::Of { flow, .. } => Some(flow),
            Self::Not | Self::Untracked | Self::Invalid => None,
        }
    }

    pub(super) fn flow_mut(&mut self) -> Option<&mut Flow> {
        match self {
            Self::Of { flow, .. } => Some(flow),
            Self::Not | Self::Untracked | Self::Invalid => None,
        }
    }

    /// The state as rules see it.
    pub(super) fn state(&self) -> u32 {
        match self {
            Self::Not | Self::Invalid => state::INVALID,
            Self::Untracked => state::UNTRACKED,
            Self::Of { flow, .. } if flow.is_answered => state::ESTABLISHED,
            Self::Of { .. } => state::NEW,
        }
    }

    /// The state in a word, if it is tracked.
    pub(super) fn word(&self) -> Option<&'static str> {
        match self {
            Self::Not => None,
            Self::Untracked => Some("untracked"),
            Self::Invalid => Some("invalid"),
            Self::Of { flow, .. } if flow.is_answered => Some("established"),
            Self::Of { .. } => Some("new"),
        }
    }
}

/// All connections that came up on the way.
#[derive(Clone, Debug, Default)]
pub(super) struct Flows(pub(super) alloc::vec::Vec<Flow>);

impl Flows {
    /// Looks which connection a packet belongs to, and begins one if it can.
    pub(super) fn track(&mut self, namespace: usize, packet: &Packet) -> Tracking {
        let direction = Direction::of(packet);
        let is_here = |flow: &Flow| flow.namespace == namespace && flow.protocol == packet.protocol;
        for (index, flow) in self.0.iter_mut().enumerate().filter(|(_, flow)| is_here(flow)) {
            // An echo request and its reply have the same number and differ in their type.
            let is_reply = flow.reply == direction && (packet.has_ports() || packet.is_answer);
            if is_reply {
                flow.is_answered = true;
            }
            if is_reply || flow.original == direction && !packet.is_answer {
                return Tracking::Of { index, flow: flow.clone(), is_reply };
            }
        }
        // Half of a handshake, or a reply to nothing.
        if packet.is_answer && packet.protocol != UDP {
            return Tracking::Invalid;
        }
        let flow = Flow {
            namespace,
            protocol: packet.protocol,
            original: direction,
            reply: direction.back(),
            mark: 0,
            is_source_decided: false,
            is_destination_decided: false,
            is_answered: false,
            is_confirmed: false,
        };
        self.0.push(flow.clone());
        Tracking::Of { index: self.0.len() - 1, flow, is_reply: false }
    }

    /// Remembers what rules have changed of a connection.
    pub(super) fn keep(&mut self, tracking: &Tracking) {
        if let Tracking::Of { index, flow, .. } = tracking
            && let Some(kept) = self.0.get_mut(*index)
        {
            *kept = flow.clone();
        }
    }
}

/// Changes a packet as its connection says: sources where it leaves, destinations where it comes in.
pub(super) fn translate(packet: &mut Packet, tracking: &Tracking, of_source: bool) {
    let Tracking::Of { flow, is_reply, .. } = tracking else { return };
    let is_changed = if of_source == *is_reply {
        flow.is_destination_changed()
    } else {
        flow.is_source_changed()
    };
    if !is_changed {
        return;
    }
    let other = if *is_reply { flow.original } else { flow.reply };
    // What the other direction goes to is where this one comes from.
    if of_source {
        (packet.source, packet.source_port) = other.destination;
    } else {
        (packet.destination, packet.destination_port) = other.source;
    }
}
