//! The question who has an address, and its answer: packets of their own, which rules can keep from
//! arriving. Nothing of them is told but how they fail.

use alloc::{boxed::Box, format};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    filter::{Hook, Place},
    flows::Tracking,
    packet::{Frame, ICMPV6, Kind, Packet, Port},
    routes::{self, kind},
    sources,
    trace::{End, Stop, Told},
    walk::{MOST_STEPS, Now, Walker},
};
use crate::graph::LinkAt;

impl Walker<'_> {
    /// Goes the way of the question and of its answer; an error if one does not arrive.
    pub(super) fn discover(&mut self, at: LinkAt, end: LinkAt, ip: IpAddr) -> Result<(), End> {
        let source = self.asks_from(at, ip);
        let question = Packet {
            source,
            destination: asked_group(ip),
            protocol: ICMPV6,
            source_port: Port::Number(0),
            destination_port: Port::Number(0),
            is_answer: false,
            kind: if ip.is_ipv6() { Kind::Discovery } else { Kind::Arp },
            mark: 0,
        };
        let answer = Packet { source: ip, ..question.answer() };
        let steps = core::mem::take(&mut self.steps);
        let kept = (
            self.packet.clone(),
            self.tracking.clone(),
            self.frame.clone(),
            self.was_shown,
            self.largest,
        );
        let done = self.call((at, end), question).and_then(|()| self.call((end, at), answer));
        self.steps = steps;
        (self.packet, self.tracking, self.frame, self.was_shown, self.largest) = kept;
        if done.is_ok()
            && let Some(mac) = self.graph.link(at).and_then(|link| link.mac.clone())
        {
            self.learned.push((end, source, mac));
        }
        let why = |stop: Box<Stop>| {
            let reason = format!("{ip} is not found, because {}", stop.reason);
            Box::new(Stop { reason, told: Told::Error, ..*stop })
        };
        done.map_err(|end| match end {
            End::Stopped(stop) => End::Stopped(why(stop)),
            End::Unknown(stop) => End::Unknown(why(stop)),
            other => other,
        })
    }

    /// The address from which a link asks: that of the packet, if it is an own one.
    fn asks_from(&self, at: LinkAt, to: IpAddr) -> IpAddr {
        let own = self.packet.source;
        let content = self.graph.namespace(at).and_then(|one| one.content());
        if let (IpAddr::V4(_), Some(content)) = (to, content) {
            let is_own = routes::kind_of(content, own, None) == Some(kind::LOCAL);
            let near = || sources::near_link(content, at.index, to);
            let found = if is_own && own.is_ipv4() { Some(own) } else { near() };
            return found.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
        }
        let mut addresses = content.into_iter().flat_map(|one| one.addresses_of(at.index));
        if addresses.any(|one| one.ip == own) {
            return own;
        }
        let mut addresses = content.into_iter().flat_map(|one| one.addresses_of(at.index));
        let found = addresses.find(|one| routes::is_of_link(one.ip));
        found.map_or(Ipv6Addr::UNSPECIFIED.into(), |one| one.ip)
    }

    /// One of the two, from one link to the other.
    fn call(&mut self, (from, to): (LinkAt, LinkAt), packet: Packet) -> Result<(), End> {
        let mac = |at: LinkAt| self.graph.link(at).and_then(|link| link.mac.clone());
        self.frame = Frame { source: mac(from), destination: mac(to) };
        let is_of_ip = packet.kind == Kind::Discovery;
        self.packet = packet;
        self.tracking = Tracking::Not;
        self.was_shown = false;
        if is_of_ip {
            let (content, link) = (self.content(from.namespace)?, self.link(from)?);
            for hook in [Hook::Output, Hook::Postrouting] {
                let scene = Self::scene(content, from.namespace, hook, (None, Some(link)));
                self.ask(&scene, Place::Whole)?;
            }
        }
        let mut now = Now::Emit { at: from };
        for _ in 0..MOST_STEPS {
            match self.go_on(now) {
                Ok(next) => now = next,
                Err(End::Delivered { .. } | End::Left { .. }) => return Ok(()),
                Err(end) => return Err(end),
            }
        }
        Ok(())
    }
}

/// Whom the question is sent to: of IPv6 all whose addresses end alike.
fn asked_group(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => {
            let [.., a, b, c] = ip.octets();
            let mut group = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0];
            (group[13], group[14], group[15]) = (a, b, c);
            IpAddr::from(group)
        }
    }
}
