//! Where a packet would go, hop by hop, and what would become of it, computed from what was read.
//!
//! It asks no kernel and sends nothing. What cannot be told from the model ends the way with
//! [`End::Unknown`]; it is never guessed.

mod bridges;
mod checks;
mod discovery;
mod filter;
mod flows;
mod neighbours;
mod packet;
mod remedies;
mod routes;
mod sources;
mod trace;
mod walk;
mod wire;
mod words;

#[cfg(test)]
mod tests;

use core::net::IpAddr;

pub(crate) use filter::{Certain, Passage, forwarded};
pub(crate) use neighbours::answers;
pub(crate) use sources::{of_link_or_all, setting};

pub use packet::{ICMP, ICMPV6, Kind, Packet, Port, TCP, UDP};
pub use trace::{
    Asked, Bridged, Deed, End, Event, Journey, Outcome, Resolved, Routed, RuleAt, Step, Stop, Told,
    Trace,
};

pub use words::rule_words;

use crate::{
    graph::LinkAt,
    model::{Content, Host, Link},
};
use walk::{Now, Walker};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Where it comes from.
    pub from: From,
    /// To whom.
    pub destination: IpAddr,
    /// The protocol above IP; of ICMP it is an echo request.
    pub protocol: u8,
    /// The port to; 0 where there are none.
    pub port: u16,
    /// The port from, if it is not left to the kernel.
    pub source_port: Option<u16>,
}

/// Where a packet comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// A socket in a namespace, with this address or the one that routing gives it.
    Inside {
        /// The position of the namespace.
        namespace: usize,
        /// The own address to use.
        address: Option<IpAddr>,
    },
    /// Somebody who was not read: it comes in by a link.
    Outside {
        /// The link.
        at: LinkAt,
        /// Its address.
        address: IpAddr,
    },
}

impl Question {
    fn packet(&self) -> Packet {
        let given = match self.from {
            From::Inside { address, .. } => address,
            From::Outside { address, .. } => Some(address),
        };
        let none: IpAddr = if self.destination.is_ipv6() {
            core::net::Ipv6Addr::UNSPECIFIED.into()
        } else {
            core::net::Ipv4Addr::UNSPECIFIED.into()
        };
        let has_ports = matches!(self.protocol, TCP | UDP);
        let source_port = match self.source_port {
            _ if !has_ports => Port::Number(0),
            Some(port) => Port::Number(port),
            None => Port::Chosen,
        };
        Packet {
            source: given.unwrap_or(none),
            destination: self.destination,
            protocol: self.protocol,
            source_port,
            destination_port: Port::Number(if has_ports { self.port } else { 0 }),
            is_answer: false,
            kind: Kind::Plain,
            mark: 0,
        }
    }
}

/// Where a packet would go, and its answer.
pub fn explain(host: &Host, question: &Question) -> Trace {
    let packet = question.packet();
    let mut walker = Walker::new(host, packet.clone());
    let start = match question.from {
        From::Inside { namespace, .. } => Now::Send { namespace },
        From::Outside { at, .. } => {
            let entered = Event::Entered { link: at.index };
            walker.tell(at.namespace, entered);
            Now::Arrive { at }
        }
    };
    let way = walker.travel(start, packet.clone());
    let sent = Packet { source: chosen(&way, packet.source), ..packet };
    let back = match way.end {
        End::Delivered { at } => {
            let answer = way.last.answer();
            let namespace = at.namespace;
            let mut back = walker.travel(Now::Send { namespace }, answer);
            check_answer(&walker, question, &sent, &mut back);
            Some(back)
        }
        End::Left { .. } | End::Stopped(_) | End::Unknown(_) => None,
    };
    let outcome = outcome(question, &way, back.as_ref());
    Trace { sent, way, back, outcome }
}

/// The link of a namespace by which packets from somebody outside come in, if answers to them go out
/// there.
pub fn entry(host: &Host, namespace: usize, address: IpAddr) -> Option<LinkAt> {
    let content = host.namespaces.get(namespace)?.content()?;
    let packet = bare(address, address);
    let index = routes::way_back(content, (address, &packet), 0, None).ok()??;
    Some(LinkAt { namespace, index })
}

/// Whether answers to what comes in by a link leave through it, as a strict reverse path filter
/// asks for packets with a mark; nothing if that cannot be told.
pub(crate) fn returns(
    content: &Content,
    link: &Link,
    (source, destination): (IpAddr, IpAddr),
    mark: u32,
) -> Option<bool> {
    let packet = bare(source, destination);
    let way = routes::way_back(content, (source, &packet), mark, Some(link));
    way.ok().map(|way| way.is_some())
}

/// A packet of which only the ends matter.
fn bare(source: IpAddr, destination: IpAddr) -> Packet {
    Packet {
        source,
        destination,
        protocol: 0,
        source_port: Port::Number(0),
        destination_port: Port::Number(0),
        is_answer: false,
        kind: Kind::Plain,
        mark: 0,
    }
}

/// The source that routing gave the packet.
fn chosen(way: &Journey, given: IpAddr) -> IpAddr {
    let routed = way.steps.iter().find_map(|step| match &step.event {
        Event::Routed(routed) => Some(routed.as_ref()),
        _ => None,
    });
    let source = routed.and_then(|routed| routed.source);
    source.map_or(given, |(source, _)| source)
}

/// An answer must come to who asked, and from whom was asked.
fn check_answer(walker: &Walker<'_>, question: &Question, sent: &Packet, back: &mut Journey) {
    let (End::Delivered { at }, From::Inside { namespace, .. }) = (&back.end, question.from) else {
        return;
    };
    let (wanted, got) = (sent.answer(), Packet { mark: 0, ..back.last.clone() });
    if at.namespace != namespace {
        let reason = alloc::format!("the answer ({got}) is taken by another");
        back.end = walker.stop(at.namespace, "input", reason, Told::Nothing);
    } else if wanted != got {
        let reason = alloc::format!("the answer is {got}; what is waited for is {wanted}");
        back.end = walker.stop(at.namespace, "input", reason, Told::Nothing);
    }
}

fn outcome(question: &Question, way: &Journey, back: Option<&Journey>) -> Outcome {
    match (&way.end, back.map(|back| &back.end)) {
        (End::Unknown(_), _) | (_, Some(End::Unknown(_))) => Outcome::CannotTell,
        (End::Stopped(_), _) => Outcome::Stopped,
        (End::Left { .. }, _) => Outcome::Leaves,
        (End::Delivered { .. }, Some(End::Delivered { .. })) => Outcome::Passes,
        (End::Delivered { .. }, Some(End::Left { .. })) => match question.from {
            From::Outside { .. } => Outcome::Passes,
            From::Inside { .. } => Outcome::Leaves,
        },
        (End::Delivered { .. }, _) => Outcome::NoAnswer,
    }
}
