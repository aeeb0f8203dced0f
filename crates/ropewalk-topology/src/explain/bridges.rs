//! What a bridge does with a frame: which port it goes out by, and which rules are asked on the
//! way, those of the bridge and, where `bridge-nf-call-iptables` is on, those of IP.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use super::{
    filter::{Hook, Layer, Place, Scene},
    neighbours::mac_words,
    packet::Kind,
    routes::{self, Ask, Found, kind},
    sources::{self, forwards},
    trace::{Bridged, End, Event, Told},
    walk::{Now, Walker},
};
use crate::{
    graph::LinkAt,
    model::{Content, Details, HardwareAddress, Link},
    shell::command,
};

/// `NUD_PERMANENT`: an address of the bridge itself.
const OWN: u16 = 0x80;
/// `NUD_NOARP`: somebody wrote it down.
const WRITTEN: u16 = 0x40;
/// `BR_STATE_FORWARDING`.
const FORWARDING: u8 = 3;
/// Where a bridge shows packets to the rules of IP: `NF_BR_PRI_BRNF`, and one before it where it
/// passes frames on.
const SHOWN: i32 = 1;
const SHOWN_FORWARD: i32 = -1;

/// Where a frame goes.
enum Way {
    /// To the host of the bridge.
    Up(String),
    Port(LinkAt, String),
}

/// The bridge that has a frame, and the port it came in by.
#[derive(Clone, Copy)]
struct Switch<'a> {
    at: LinkAt,
    link: &'a Link,
    content: &'a Content,
    from: Option<&'a Link>,
}

impl<'a> Switch<'a> {
    fn scene(&self, hook: Hook, to: Option<&'a Link>) -> Scene<'a> {
        let (input, output) = match hook {
            Hook::Prerouting | Hook::Input => (self.from, None),
            Hook::Forward => (self.from, to),
            _ => (None, to),
        };
        Scene {
            namespace: self.at.namespace,
            content: self.content,
            hook,
            layer: Layer::Bridge,
            input,
            output,
            next: None,
            ports: (None, None),
            frame: None,
        }
    }

    /// The same for the rules of IP, which see the bridge where others see the port.
    fn shown(&self, hook: Hook, to: Option<&'a Link>) -> Scene<'a> {
        let bridge = Some(self.link);
        let (input, output) = match hook {
            Hook::Prerouting => (bridge, None),
            Hook::Postrouting => (None, bridge),
            _ => (bridge, bridge),
        };
        let ports = (self.from, to);
        Scene { layer: Layer::Ip, input, output, ports, ..self.scene(hook, to) }
    }
}

impl<'a> Walker<'a> {
    /// Whether the bridges of a namespace show packets to the rules of IP.
    fn shows(&self, content: &Content) -> bool {
        if self.packet.kind == Kind::Arp {
            return false;
        }
        let name = if self.packet.is_v6() {
            "bridge/bridge-nf-call-ip6tables"
        } else {
            "bridge/bridge-nf-call-iptables"
        };
        content.setting(name).is_some_and(|value| value != "0")
    }

    /// A frame comes in by a port.
    pub(super) fn bridge_takes(&mut self, port: LinkAt, bridge: &'a Link) -> Result<Now, End> {
        let (content, from) = (self.content(port.namespace)?, self.link(port)?);
        let at = LinkAt { index: bridge.index, ..port };
        self.check_port(port, from, "takes")?;
        let switch = Switch { at, link: bridge, content, from: Some(from) };
        let shows = self.shows(content);
        self.ask(&switch.scene(Hook::Prerouting, None), Place::Below(SHOWN))?;
        if shows {
            let before = self.packet.destination;
            self.ask(&switch.shown(Hook::Prerouting, None), Place::Whole)?;
            self.was_shown = true;
            if before != self.packet.destination {
                self.follow_change(&switch)?;
            }
        }
        self.ask(&switch.scene(Hook::Prerouting, None), Place::From(SHOWN))?;
        match self.way(&switch)? {
            Way::Up(why) => {
                self.tell_bridged(&switch, None, why);
                self.ask(&switch.scene(Hook::Input, None), Place::Whole)?;
                self.check_up(at, bridge, Told::Nothing)?;
                Ok(Now::Receive { at })
            }
            Way::Port(to, why) => {
                let out = self.link(to)?;
                self.check_pair(&switch, to, out)?;
                self.check_port(to, out, "sends")?;
                self.tell_bridged(&switch, Some(to.index), why);
                let scene = switch.scene(Hook::Forward, Some(out));
                self.ask(&scene, Place::Below(SHOWN_FORWARD))?;
                if shows {
                    self.ask(&switch.shown(Hook::Forward, Some(out)), Place::Whole)?;
                }
                self.ask(&scene, Place::From(SHOWN_FORWARD))?;
                self.ask(&switch.scene(Hook::Postrouting, Some(out)), Place::Whole)?;
                if shows {
                    self.ask(&switch.shown(Hook::Postrouting, Some(out)), Place::Whole)?;
                }
                Ok(Now::Emit { at: to })
            }
        }
    }

    /// The host of a bridge sends a frame through it.
    pub(super) fn bridge_sends(&mut self, at: LinkAt) -> Result<Now, End> {
        let (content, link) = (self.content(at.namespace)?, self.link(at)?);
        let switch = Switch { at, link, content, from: None };
        let (to, why) = match self.way(&switch)? {
            Way::Port(to, why) => (to, why),
            Way::Up(_) => {
                let mac = mac_words(self.frame.destination.as_ref());
                let reason = format!("{mac} is {} itself", link.name);
                return Err(self.stop(at.namespace, &link.name, reason, Told::Nothing));
            }
        };
        let out = self.link(to)?;
        self.check_port(to, out, "sends")?;
        self.tell_bridged(&switch, Some(to.index), why);
        self.ask(&switch.scene(Hook::Output, Some(out)), Place::Whole)?;
        self.ask(&switch.scene(Hook::Postrouting, Some(out)), Place::Whole)?;
        Ok(Now::Emit { at: to })
    }

    fn tell_bridged(&mut self, switch: &Switch<'_>, to: Option<u32>, why: String) {
        let bridged =
            Bridged { bridge: switch.at.index, from: switch.from.map(|link| link.index), to, why };
        self.tell(switch.at.namespace, Event::Bridged(bridged));
    }

    /// A rule of IP has changed the destination while the bridge showed the packet.
    fn follow_change(&mut self, switch: &Switch<'a>) -> Result<(), End> {
        let ask = Ask::of(&self.packet, &switch.link.name);
        let found = match routes::look_up(switch.content, &ask) {
            Ok(found) => found,
            Err(why) => return Err(self.unknown(switch.at.namespace, "route", why)),
        };
        let own = switch.link.mac.clone();
        let out = routes::onward(&found);
        let Found::Route { route, .. } = found else {
            self.frame.destination = own;
            return Ok(());
        };
        let hop = route.hops.first();
        let is_here = hop.is_some_and(|hop| hop.link == Some(switch.at.index));
        // What the host would refuse goes up to it, to be refused there (Linux 6.18).
        let forwards = self.packet.is_v6() || forwards(switch.link);
        let is_believed =
            sources::disbelief(switch.content, &self.packet, (switch.link, out)).is_none();
        if route.kind == kind::UNICAST && is_here && forwards && is_believed {
            // It need not go up: the other one is on the same bridge.
            let next = hop.and_then(|hop| hop.gateway).unwrap_or(self.packet.destination);
            let (mac, _) = self.neighbour(switch.at, next)?;
            self.frame.destination = Some(mac);
            self.frame.source = own;
        } else {
            self.frame.destination = own;
        }
        Ok(())
    }

    /// Where a frame goes: as the forwarding database says, or to where its owner is.
    fn way(&self, switch: &Switch<'_>) -> Result<Way, End> {
        let (at, content) = (switch.at, switch.content);
        if let Details::Bridge { vlan_filtering: true, .. } = switch.link.details {
            self.check_vlan(switch)?;
        }
        let Some(mac) = &self.frame.destination else {
            let reason = "the frame has no hardware address".into();
            return Err(self.unknown(at.namespace, &switch.link.name, reason));
        };
        let of_bridge = |entry: &&crate::model::ForwardingEntry| {
            entry.mac == *mac && (entry.master == Some(at.index) || entry.link == at.index)
        };
        let entries: Vec<_> = content.forwarding.iter().filter(of_bridge).collect();
        let is_own = entries.iter().any(|entry| entry.state & OWN != 0);
        if is_own || switch.link.mac.as_ref() == Some(mac) {
            return Ok(Way::Up("the frame is for the bridge itself".into()));
        }
        let known = entries.iter().find(|entry| entry.link != at.index);
        if let Some(entry) = known {
            let how = if entry.state & WRITTEN != 0 { "is written down" } else { "was learned" };
            let why = format!("{mac} {how} there");
            return Ok(Way::Port(LinkAt { index: entry.link, ..at }, why));
        }
        self.port_of(switch, mac)
    }

    /// The port behind which a hardware address is that the database does not have: the frame goes
    /// out by all.
    fn port_of(&self, switch: &Switch<'_>, mac: &HardwareAddress) -> Result<Way, End> {
        let at = switch.at;
        let is_other = |port: &&LinkAt| switch.from.is_none_or(|from| from.index != port.index);
        let has =
            |end: &LinkAt| self.graph.link(*end).is_some_and(|link| link.mac.as_ref() == Some(mac));
        let mut open = Vec::new();
        for &port in self.graph.ports(at).iter().filter(is_other) {
            let domain = self.domain(port);
            if domain.ends.iter().any(has) {
                let floods = self.graph.link(port).and_then(|link| link.port);
                if floods.is_some_and(|port| !port.flood) {
                    let reason = format!("{mac} is not learned yet, and flooding is off");
                    return Err(self.stop(at.namespace, &switch.link.name, reason, Told::Nothing));
                }
                return Ok(Way::Port(port, format!("{mac} answers behind it")));
            }
            if domain.is_open {
                open.push(port);
            }
        }
        match open.as_slice() {
            [port] => Ok(Way::Port(*port, format!("{mac} can only be behind it"))),
            [] => {
                let reason = format!("nobody behind {} has {mac}", switch.link.name);
                let show = command(&["bridge", "fdb", "show", "br", &switch.link.name]);
                let commands = (Some(show), None);
                let name = &switch.link.name;
                Err(self.stopped(at.namespace, name, reason, Told::Nothing, commands))
            }
            several => {
                let reason = format!("{mac} may be behind {} ports", several.len());
                Err(self.unknown(at.namespace, &switch.link.name, reason))
            }
        }
    }

    /// Frames without a tag, as all are here, need a VLAN of the port's own.
    fn check_vlan(&self, switch: &Switch<'_>) -> Result<(), End> {
        let own = switch.from.unwrap_or(switch.link);
        if own.vlans.iter().any(|vlan| vlan.flags & 2 != 0) {
            return Ok(());
        }
        let reason = format!("{} has no VLAN for frames without a tag", own.name);
        let show = command(&["bridge", "vlan", "show", "dev", &own.name]);
        let add = ["bridge", "vlan", "add", "dev", &own.name, "vid", "1", "pvid", "untagged"];
        let change = command(&add);
        let commands = (Some(show), Some(change));
        Err(self.stopped(switch.at.namespace, &own.name, reason, Told::Nothing, commands))
    }

    /// Whether a frame may go from one port to another.
    fn check_pair(&self, switch: &Switch<'_>, to: LinkAt, out: &Link) -> Result<(), End> {
        let Some(from) = switch.from else { return Ok(()) };
        let show = Some(command(&["bridge", "-d", "link", "show", "dev", &out.name]));
        let refused = |reason, change: &[&str]| {
            let commands = (show.clone(), Some(command(change)));
            Err(self.stopped(to.namespace, &out.name, reason, Told::Nothing, commands))
        };
        let (Some(one), Some(other)) = (from.port, out.port) else { return Ok(()) };
        if from.index == out.index && !other.hairpin {
            let reason = format!("{} sends nothing back where it came from", out.name);
            let change = ["bridge", "link", "set", "dev", &out.name, "hairpin", "on"];
            return refused(reason, &change);
        }
        if one.isolated && other.isolated {
            let reason = format!("{} and {} are isolated from each other", from.name, out.name);
            let change = ["bridge", "link", "set", "dev", &out.name, "isolated", "off"];
            return refused(reason, &change);
        }
        let Details::Bridge { vlan_filtering: true, .. } = switch.link.details else {
            return Ok(());
        };
        let own = from.vlans.iter().find(|vlan| vlan.flags & 2 != 0);
        match own.and_then(|own| out.vlans.iter().find(|vlan| vlan.id == own.id)) {
            Some(vlan) if vlan.flags & 4 != 0 => Ok(()),
            Some(vlan) => {
                let reason = format!("{} sends VLAN {} with a tag", out.name, vlan.id);
                Err(self.unknown(to.namespace, &out.name, reason))
            }
            None => {
                let id = own.map_or(0, |own| own.id).to_string();
                let reason = format!("{} is not in VLAN {id}", out.name);
                let change = ["bridge", "vlan", "add", "dev", &out.name, "vid", &id, "untagged"];
                refused(reason, &change)
            }
        }
    }

    fn check_port(&self, at: LinkAt, link: &Link, does: &str) -> Result<(), End> {
        let Some(port) = link.port.filter(|port| port.state != FORWARDING) else { return Ok(()) };
        let word = match port.state {
            0 => "disabled",
            1 => "listening",
            2 => "learning",
            _ => "blocking",
        };
        let reason = format!("{} {does} nothing: its state is {word}", link.name);
        let show = Some(command(&["bridge", "-d", "link", "show", "dev", &link.name]));
        let change = Some(command(&["ip", "link", "set", "dev", &link.name, "up"]));
        let commands = (show, change.filter(|_| port.state == 0));
        Err(self.stopped(at.namespace, &link.name, reason, Told::Nothing, commands))
    }
}
