//! The way of a frame: out of a link, into the link at the other end, to who stands on it. What is
//! behind hardware and in programs is not known here and never guessed.

use alloc::{format, string::ToString};
use core::net::IpAddr;

use super::{
    filter::{Hook, Layer, Place, Scene},
    flows::Tracking,
    packet::Frame,
    trace::{End, Event, Resolved, Told},
    walk::{Now, Walker},
};
use crate::{
    graph::LinkAt,
    model::{Details, HardwareAddress, Link},
    shell::command,
};

/// `IFF_NOARP`.
const NO_ARP: u32 = 0x80;
/// `ARPHRD_ETHER`.
const ETHERNET: u16 = 1;
/// `MACVLAN_MODE_BRIDGE`.
pub(super) const MACVLAN_BRIDGE: u32 = 4;

/// Whether frames on a link have hardware addresses that are asked for.
pub(super) fn has_neighbours(link: &Link) -> bool {
    link.hardware_type == ETHERNET && link.flags & NO_ARP == 0
}

impl Walker<'_> {
    pub(super) fn transmit(&mut self, at: LinkAt, next: IpAddr) -> Result<Now, End> {
        let link = self.link(at)?;
        self.check_up(at, link, Told::Error)?;
        if link.is_loopback() {
            self.frame = Frame::default();
            return Ok(Now::Receive { at });
        }
        let destination = if has_neighbours(link) {
            let (mac, how) = self.neighbour(at, next)?;
            let resolved = Resolved { link: at.index, address: next, mac: Some(mac.clone()), how };
            self.tell(at.namespace, Event::Resolved(resolved));
            Some(mac)
        } else {
            None
        };
        self.frame = Frame { source: link.mac.clone(), destination };
        Ok(Now::Emit { at })
    }

    pub(super) fn check_up(&self, at: LinkAt, link: &Link, told: Told) -> Result<(), End> {
        if link.is_up() {
            return Ok(());
        }
        let show = command(&["ip", "link", "show", "dev", &link.name]);
        let change = command(&["ip", "link", "set", "dev", &link.name, "up"]);
        let reason = format!("{} is down", link.name);
        let commands = (Some(show), Some(change));
        Err(self.stopped(at.namespace, &link.name, reason, told, commands))
    }

    /// Asks the rules of a link, where there are any.
    fn ask_link(&mut self, at: LinkAt, hook: Hook) -> Result<(), End> {
        let (content, link) = (self.content(at.namespace)?, self.link(at)?);
        let (input, output) =
            if hook == Hook::Egress { (None, Some(link)) } else { (Some(link), None) };
        let scene = Scene {
            namespace: at.namespace,
            content,
            hook,
            layer: Layer::Link,
            input,
            output,
            next: None,
            ports: (None, None),
            frame: None,
        };
        self.ask(&scene, Place::Whole)?;
        Ok(())
    }

    pub(super) fn emit(&mut self, at: LinkAt) -> Result<Now, End> {
        let link = self.link(at)?;
        self.check_up(at, link, Told::Nothing)?;
        self.limit(at, link, None);
        self.ask_link(at, Hook::Egress)?;
        match (link.kind_name(), &link.details) {
            ("veth", _) => match self.graph.peer(at) {
                Some(peer) => Ok(self.cross(at, peer)),
                None => Err(left(at, "the other end of the pair was not read")),
            },
            ("bridge", _) => self.bridge_sends(at),
            ("macvlan" | "macvtap", Details::Macvlan { mode }) => {
                let mode = *mode;
                let is_wanted = |one: &Link| {
                    matches!(one.details, Details::Macvlan { mode: MACVLAN_BRIDGE })
                        && mode == MACVLAN_BRIDGE
                        && one.mac == self.frame.destination
                };
                let sibling = self.sibling(at, is_wanted);
                self.cross_or_go_below(at, sibling)
            }
            ("ipvlan" | "ipvtap", Details::Ipvlan { mode: 0 }) => {
                let to = self.packet.destination;
                let sibling = self.siblings(at).find(|sibling| self.has_address(*sibling, to));
                self.cross_or_go_below(at, sibling)
            }
            ("vlan", _) => match self.graph.lower(at) {
                Some(lower) => self.tagged(at, lower),
                None => Err(left(at, "the link below was not read")),
            },
            ("dummy", _) => {
                let reason = format!("{} is a dummy, which swallows all packets", link.name);
                Err(self.stop(at.namespace, &link.name, reason, Told::Nothing))
            }
            ("tun", _) => Err(left(at, "a program holds the other end")),
            ("device", _) => Err(left(at, "the wire")),
            (
                _,
                Details::Vxlan { remote: Some(remote), .. }
                | Details::Tunnel { remote: Some(remote), .. },
            ) => Err(left(at, &format!("a tunnel to {remote}"))),
            (kind, _) => Err(left(at, &format!("a link of kind {kind}"))),
        }
    }

    /// From one link to another; what only this kernel knows of the packet does not pass a wire.
    fn cross(&mut self, from: LinkAt, to: LinkAt) -> Now {
        self.tell(from.namespace, Event::Crossed { from, to });
        self.tracking = Tracking::Not;
        self.was_shown = false;
        if from.namespace != to.namespace {
            self.packet.mark = 0;
        }
        Now::Arrive { at: to }
    }

    /// The others on the same link.
    pub(super) fn siblings(&self, at: LinkAt) -> impl Iterator<Item = LinkAt> + '_ {
        let lower = self.graph.lower(at);
        let uppers = lower.map(|lower| self.graph.uppers(lower)).unwrap_or_default();
        uppers.iter().copied().filter(move |upper| *upper != at)
    }

    fn sibling(&self, at: LinkAt, is_wanted: impl Fn(&Link) -> bool) -> Option<LinkAt> {
        self.siblings(at).find(|sibling| self.graph.link(*sibling).is_some_and(&is_wanted))
    }

    fn has_address(&self, at: LinkAt, ip: IpAddr) -> bool {
        let content = self.graph.namespace(at).and_then(|namespace| namespace.content());
        content.is_some_and(|content| content.addresses_of(at.index).any(|one| one.ip == ip))
    }

    fn cross_or_go_below(&mut self, at: LinkAt, sibling: Option<LinkAt>) -> Result<Now, End> {
        if let Some(sibling) = sibling {
            return Ok(self.cross(at, sibling));
        }
        let Some(lower) = self.graph.lower(at) else {
            return Err(left(at, "the link below was not read"));
        };
        self.tell(at.namespace, Event::Crossed { from: at, to: lower });
        Ok(Now::Emit { at: lower })
    }

    /// Out of a link with a tag, and to who has the same tag at the other end.
    fn tagged(&mut self, at: LinkAt, lower: LinkAt) -> Result<Now, End> {
        let link = self.link(lower)?;
        self.check_up(lower, link, Told::Nothing)?;
        if !link.is("veth") {
            return Err(left(lower, &format!("{} with a tag", link.kind_name())));
        }
        let end = self.graph.peer(lower).and_then(|peer| self.same_tag(at, peer));
        match end {
            Some(end) => Ok(self.cross(at, end)),
            None => Err(left(lower, "nobody who was read takes the tag")),
        }
    }

    /// The VLAN on a link that has the same number.
    pub(super) fn same_tag(&self, at: LinkAt, on: LinkAt) -> Option<LinkAt> {
        let tag = |at: LinkAt| match self.graph.link(at)?.details {
            Details::Vlan { id, protocol } => Some((id, protocol)),
            _ => None,
        };
        let wanted = tag(at)?;
        self.graph.uppers(on).iter().copied().find(|upper| tag(*upper) == Some(wanted))
    }

    pub(super) fn arrive(&mut self, at: LinkAt) -> Result<Now, End> {
        let (content, link) = (self.content(at.namespace)?, self.link(at)?);
        self.check_up(at, link, Told::Nothing)?;
        if let Some(program) = link.xdp {
            let reason = format!("program {program} (XDP) on {} decides first", link.name);
            return Err(self.unknown(at.namespace, &link.name, reason));
        }
        self.ask_link(at, Hook::Ingress)?;
        let master = link.master.and_then(|index| content.link(index));
        match master {
            Some(master) if master.is("bridge") => return self.bridge_takes(at, master),
            Some(master) if !master.is("vrf") => {
                let at = LinkAt { index: master.index, ..at };
                return Ok(Now::Arrive { at });
            }
            _ => {}
        }
        if let Some(upper) = self.upper_for(at) {
            return Ok(self.cross(at, upper));
        }
        if !is_for(link, self.frame.destination.as_ref()) {
            let mac = self.frame.destination.as_ref().map(ToString::to_string);
            let reason = format!(
                "the frame is for {}, and {} is another",
                mac.unwrap_or_default(),
                link.name
            );
            return Err(self.stop(at.namespace, &link.name, reason, Told::Nothing));
        }
        Ok(Now::Receive { at })
    }

    /// Who stands on a link and gets the frame in its place.
    fn upper_for(&self, at: LinkAt) -> Option<LinkAt> {
        let is_wanted = |upper: &LinkAt| {
            self.graph.link(*upper).is_some_and(|link| match link.details {
                Details::Macvlan { .. } => link.mac == self.frame.destination,
                Details::Ipvlan { .. } => self.has_address(*upper, self.packet.destination),
                _ => false,
            })
        };
        self.graph.uppers(at).iter().copied().find(|upper| is_wanted(upper))
    }
}

/// It goes where nobody has read.
pub(super) fn left(at: LinkAt, to: &str) -> End {
    End::Left { at, to: to.to_string() }
}

/// Whether a link takes frames for this hardware address.
fn is_for(link: &Link, mac: Option<&HardwareAddress>) -> bool {
    let (Some(own), Some(mac)) = (link.mac.as_ref(), mac) else { return true };
    // Who listens to everything still does not take what is for others.
    own == mac || mac.0.first().is_some_and(|byte| byte & 1 != 0)
}
