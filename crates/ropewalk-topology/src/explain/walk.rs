//! The way of one packet through namespaces: what happens above the links. It must never send
//! anything, and never go on from what is not known.

use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::net::IpAddr;

use super::{
    filter::{self, Fate, Hook, Layer, Place, Scene, State},
    flows::{Flows, Tracking},
    packet::{Frame, Kind, Packet},
    remedies,
    routes::{self, Ask, Found, LOOPBACK, kind},
    sources,
    trace::{Asked, End, Event, Journey, Routed, RuleAt, Step, Stop, Told},
};
use crate::{
    graph::{Graph, LinkAt},
    model::{Content, Gap, HardwareAddress, Host, Link, Route},
    shell,
};

/// A way that takes more steps than this goes in circles.
pub(super) const MOST_STEPS: usize = 80;
/// `RTAX_MTU`.
const ROUTE_MTU: u16 = 2;

/// Where a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Now {
    /// A socket of this namespace sends it.
    Send { namespace: usize },
    /// It goes out by a link, to whoever has this address.
    Transmit { at: LinkAt, next: IpAddr },
    /// Its frame leaves a link.
    Emit { at: LinkAt },
    /// Its frame comes in by a link.
    Arrive { at: LinkAt },
    /// The link hands it on to IP.
    Receive { at: LinkAt },
}

/// Walks with one packet after the other; connections are remembered between them.
#[derive(Debug)]
pub(super) struct Walker<'a> {
    pub(super) host: &'a Host,
    pub(super) graph: Graph<'a>,
    pub(super) flows: Flows,
    pub(super) steps: Vec<Step>,
    pub(super) packet: Packet,
    pub(super) tracking: Tracking,
    pub(super) frame: Frame,
    /// Whether a bridge has shown it to the rules of IP already.
    pub(super) was_shown: bool,
    /// Who has learned from a question where the asker is: by which link, and which address.
    pub(super) learned: Vec<(LinkAt, IpAddr, HardwareAddress)>,
    pub(super) largest: Option<(u32, LinkAt)>,
}

impl<'a> Walker<'a> {
    pub(super) fn new(host: &'a Host, packet: Packet) -> Self {
        Self {
            host,
            graph: Graph::of(host),
            flows: Flows::default(),
            steps: Vec::new(),
            packet,
            tracking: Tracking::Not,
            frame: Frame::default(),
            was_shown: false,
            learned: Vec::new(),
            largest: None,
        }
    }

    /// Goes with a packet until it ends somewhere.
    pub(super) fn travel(&mut self, start: Now, packet: Packet) -> Journey {
        self.packet = packet;
        self.tracking = Tracking::Not;
        self.frame = Frame::default();
        self.was_shown = false;
        self.largest = None;
        let mut now = start;
        let end = loop {
            if self.steps.len() > MOST_STEPS {
                let at = place_of(now);
                break self.stop(at, "route", "it goes in circles".into(), Told::Error);
            }
            match self.go_on(now) {
                Ok(next) => now = next,
                Err(end) => break end,
            }
        };
        Journey {
            steps: core::mem::take(&mut self.steps),
            end,
            last: self.packet.clone(),
            largest: self.largest,
        }
    }

    pub(super) fn go_on(&mut self, now: Now) -> Result<Now, End> {
        match now {
            Now::Send { namespace } => self.send(namespace),
            Now::Transmit { at, next } => self.transmit(at, next),
            Now::Emit { at } => self.emit(at),
            Now::Arrive { at } => self.arrive(at),
            Now::Receive { at } => self.receive(at),
        }
    }

    /// What was read in a namespace.
    pub(super) fn content(&self, namespace: usize) -> Result<&'a Content, End> {
        let one = self.host.namespaces.get(namespace);
        let content = one.map(|one| one.content.as_ref());
        match content {
            Some(Ok(content)) => match content.gaps.iter().find(|gap| matters(&gap.what)) {
                None => Ok(content),
                Some(Gap { what, reason }) => {
                    let reason = format!("{what} could not be read: {reason}");
                    Err(self.unknown(namespace, "namespace", reason))
                }
            },
            Some(Err(reason)) => {
                Err(self.unknown(namespace, "namespace", format!("it was not read: {reason}")))
            }
            None => Err(self.unknown(namespace, "namespace", "it was not read".into())),
        }
    }

    pub(super) fn link(&self, at: LinkAt) -> Result<&'a Link, End> {
        self.content(at.namespace)?.link(at.index).ok_or_else(|| {
            self.unknown(at.namespace, "link", format!("link {} was not read", at.index))
        })
    }

    pub(super) fn tell(&mut self, namespace: usize, event: Event) {
        self.steps.push(Step { namespace, event });
    }

    pub(super) fn stop(&self, namespace: usize, place: &str, reason: String, told: Told) -> End {
        self.stopped(namespace, place, reason, told, (None, None))
    }

    pub(super) fn stopped(
        &self,
        namespace: usize,
        place: &str,
        reason: String,
        told: Told,
        (show, change): (Option<String>, Option<String>),
    ) -> End {
        let inside = |command: String| shell::inside(self.host, namespace, &command);
        End::Stopped(Box::new(Stop {
            namespace,
            place: place.into(),
            reason,
            told,
            rule: None,
            shown_by: show.map(inside),
            changed_by: change.map(inside),
        }))
    }

    pub(super) fn unknown(&self, namespace: usize, place: &str, reason: String) -> End {
        match self.stop(namespace, place, reason, Told::Nothing) {
            End::Stopped(stop) => End::Unknown(stop),
            other => other,
        }
    }

    fn ruled(&self, hook: &str, rule: &RuleAt, reason: String, told: Told) -> Stop {
        let (show, change) = remedies::of_rule(self.host, rule);
        Stop {
            namespace: rule.namespace,
            place: hook.into(),
            reason,
            told,
            rule: Some(rule.clone()),
            shown_by: Some(show),
            changed_by: change,
        }
    }

    /// Asks the rules of a hook; whether another route is asked for.
    pub(super) fn ask(&mut self, scene: &Scene<'a>, place: Place) -> Result<bool, End> {
        let before = self.packet.clone();
        let mut state = State { packet: before.clone(), tracking: self.tracking.clone() };
        let frame = self.frame.clone();
        let scene = Scene { frame: Some(&frame), ..*scene };
        let answer = filter::run(&scene, place, &mut state, &mut self.flows);
        self.packet = state.packet;
        self.tracking = state.tracking;
        let hook = match scene.layer {
            Layer::Ip if scene.ports.0.is_some() => format!("bridge-nf {}", scene.hook.name()),
            Layer::Ip => scene.hook.name().to_string(),
            Layer::Bridge => format!("bridge {}", scene.hook.name()),
            Layer::Link => format!("link {}", scene.hook.name()),
        };
        let is_other = self.packet != before;
        if answer.chains > 0 || is_other {
            let asked = Asked {
                hook: hook.clone(),
                chains: answer.chains,
                deeds: answer.deeds,
                state: self.tracking.word(),
                becomes: is_other.then(|| self.packet.clone()),
            };
            self.tell(scene.namespace, Event::Asked(Box::new(asked)));
        }
        match answer.fate {
            Fate::Goes => Ok(answer.is_rerouted),
            Fate::Ends { told, rule, action } => {
                let place = format!("{} {} {}", rule.family.name(), rule.table, rule.chain);
                let mut reason = match rule.handle {
                    None => format!("the policy of {place} is drop"),
                    Some(_) => format!("rule {} of {place} says {action}", rule.position),
                };
                if scene.ports.0.is_some() {
                    reason.push_str(", which the bridge asks (bridge-nf-call-iptables)");
                }
                Err(End::Stopped(Box::new(self.ruled(&hook, &rule, reason, told))))
            }
            Fate::Unknown { why, rule } => {
                Err(End::Unknown(Box::new(self.ruled(&hook, &rule, why, Told::Nothing))))
            }
        }
    }

    pub(super) fn scene(
        content: &'a Content,
        namespace: usize,
        hook: Hook,
        (input, output): (Option<&'a Link>, Option<&'a Link>),
    ) -> Scene<'a> {
        let (layer, next, ports, frame) = (Layer::Ip, None, (None, None), None);
        Scene { namespace, content, hook, layer, input, output, next, ports, frame }
    }

    fn send(&mut self, namespace: usize) -> Result<Now, End> {
        let content = self.content(namespace)?;
        let is_new = self.packet.source.is_unspecified();
        let (mut link, mut next) = self.route_out(namespace, is_new)?;
        let before = (self.packet.source, self.packet.destination, self.packet.mark);
        let scene = Self::scene(content, namespace, Hook::Output, (None, Some(link)));
        let is_rerouted = self.ask(&scene, Place::Whole)?;
        if is_rerouted || (self.packet.source, self.packet.destination) != (before.0, before.1) {
            (link, next) = self.route_out(namespace, false)?;
        }
        let scene = Self::scene(content, namespace, Hook::Postrouting, (None, Some(link)));
        let scene = Scene { next: Some(next), ..scene };
        self.ask(&scene, Place::Whole)?;
        Ok(Now::Transmit { at: LinkAt { namespace, index: link.index }, next })
    }

    /// Finds the way of a packet that is sent here, and its source if it has none.
    fn route_out(&mut self, namespace: usize, is_new: bool) -> Result<(&'a Link, IpAddr), End> {
        let content = self.content(namespace)?;
        let mut ask = Ask::of(&self.packet, LOOPBACK);
        let mut chosen = None;
        if is_new {
            ask.source = None;
            let (_, route, _) = self.found(content, namespace, &ask, None)?;
            chosen = sources::choose(content, route, self.packet.destination);
            let Some((source, _)) = chosen else {
                let family = if self.packet.is_v6() { "IPv6" } else { "IPv4" };
                let reason = format!("there is no own {family} address to send from");
                let show = Some("ip address".to_string());
                return Err(self.stopped(namespace, "route", reason, Told::Error, (show, None)));
            };
            self.packet.source = source;
            ask.source = Some(source);
        }
        let (rule, route, losers) = self.found(content, namespace, &ask, None)?;
        let (link, next) = self.hop(content, namespace, route)?;
        let is_local = matches!(route.kind, kind::LOCAL | kind::ANYCAST);
        let link = if is_local { loopback(content).unwrap_or(link) } else { link };
        self.limit(LinkAt { namespace, index: link.index }, link, Some(route));
        let routed = Routed {
            is_local,
            rule: routes::rule_words(rule),
            route: routes::route_words(content, route),
            link: Some(link.index),
            gateway: (next != self.packet.destination).then_some(next),
            source: chosen,
            instead_of: beaten(content, route, &losers),
        };
        self.tell(namespace, Event::Routed(Box::new(routed)));
        self.check_source(content, LinkAt { namespace, index: link.index }, link)?;
        Ok((link, next))
    }

    /// The route that a packet takes, which was sent here or came in by a link; where there is none,
    /// that is its end.
    fn found(
        &self,
        content: &'a Content,
        namespace: usize,
        ask: &Ask<'_>,
        by: Option<&Link>,
    ) -> Result<(&'a crate::model::RoutingRule, &'a Route, Vec<&'a Route>), End> {
        let to = self.packet.destination;
        if routes::is_of_link(to) && ask.output.is_none() {
            let reason = format!("which link {to} is on is not said");
            return Err(self.unknown(namespace, "route", reason));
        }
        let family = if to.is_ipv6() { "ip -6" } else { "ip" };
        let show = Some(format!("{family} route get {to}"));
        let stop = |kind, reason, change| {
            let told = self.told(kind, by);
            self.stopped(namespace, "route", reason, told, (show.clone(), change))
        };
        match routes::look_up(content, ask) {
            Err(why) => Err(self.unknown(namespace, "route", why)),
            Ok(Found::Nothing) => {
                let change = format!("{family} route add {to} via GATEWAY");
                Err(stop(kind::UNREACHABLE, format!("there is no route to {to}"), Some(change)))
            }
            Ok(Found::Refused(rule)) => {
                let change = format!("{family} rule del pref {}", rule.priority);
                let words = routes::rule_words(rule);
                let reason = format!("the routing rule \"{words}\" refuses it");
                Err(stop(rule.action, reason, Some(change)))
            }
            Ok(Found::Route { route, .. })
                if matches!(route.kind, kind::BLACKHOLE | kind::UNREACHABLE | kind::PROHIBIT) =>
            {
                let words = routes::route_words(content, route);
                let parts: Vec<&str> = words.split(' ').collect();
                let change = format!("{family} route del {}", shell::command(&parts));
                Err(stop(route.kind, format!("the route \"{words}\" refuses it"), Some(change)))
            }
            Ok(Found::Route { route, .. })
                if matches!(route.kind, kind::BROADCAST | kind::MULTICAST) =>
            {
                let reason = format!("{to} is for many; ways to one are told here");
                Err(self.unknown(namespace, "route", reason))
            }
            Ok(Found::Route { rule, route, losers }) => Ok((rule, route, losers)),
        }
    }

    /// The link of a route and the address that the packet is handed to.
    fn hop(
        &self,
        content: &'a Content,
        namespace: usize,
        route: &Route,
    ) -> Result<(&'a Link, IpAddr), End> {
        let to = self.packet.destination;
        let one = match route.hops.as_slice() {
            [one] => one,
            [] if route.kind == kind::LOCAL => {
                let link = loopback(content);
                return link.map(|link| (link, to)).ok_or_else(|| {
                    self.unknown(namespace, "route", "the loopback was not read".into())
                });
            }
            [] => {
                let reason = "the route names no link".into();
                return Err(self.unknown(namespace, "route", reason));
            }
            several => {
                let words = routes::route_words(content, route);
                let reason = format!("{} ways share the load: {words}", several.len());
                return Err(self.unknown(namespace, "route", reason));
            }
        };
        if one.encapsulation.is_some() {
            let reason = "the route wraps packets into others".into();
            return Err(self.unknown(namespace, "route", reason));
        }
        let link = one.link.and_then(|index| content.link(index));
        let link = link.ok_or_else(|| {
            self.unknown(namespace, "route", "the link of the route was not read".into())
        })?;
        Ok((link, one.gateway.unwrap_or(to)))
    }

    /// Notes what the largest packet can be.
    pub(super) fn limit(&mut self, at: LinkAt, link: &Link, route: Option<&Route>) {
        let metric = route.and_then(|route| {
            route.metrics.iter().find(|(kind, _)| *kind == ROUTE_MTU).map(|(_, mtu)| *mtu)
        });
        let mtu = metric.filter(|mtu| *mtu != 0).map_or(link.mtu, |mtu| mtu.min(link.mtu));
        if mtu != 0 && self.largest.is_none_or(|(least, _)| mtu < least) {
            self.largest = Some((mtu, at));
        }
    }

    fn receive(&mut self, at: LinkAt) -> Result<Now, End> {
        let (content, link) = (self.content(at.namespace)?, self.link(at)?);
        if self.packet.kind == Kind::Arp {
            // Whoever is not believed gets no answer.
            let ask = Ask::of(&self.packet, &link.name);
            let out = routes::look_up(content, &ask).ok().and_then(|found| routes::onward(&found));
            let disbelief = sources::disbelief(content, &self.packet, (link, out));
            let is_asked = !self.packet.is_answer && !self.packet.source.is_unspecified();
            return Err(match disbelief.filter(|_| is_asked) {
                Some(disbelief) => self.disbelieved(at, link, disbelief),
                None => End::Delivered { at },
            });
        }
        self.check_address_family(at, link)?;
        let master = link.master.and_then(|index| content.link(index));
        let input = master.filter(|_| routes::domain_of(content, link).is_some()).unwrap_or(link);
        let was_shown = core::mem::take(&mut self.was_shown);
        if !was_shown {
            let scene = Self::scene(content, at.namespace, Hook::Prerouting, (Some(input), None));
            self.ask(&scene, Place::Whole)?;
        }
        if self.packet.kind == Kind::Discovery {
            return self.deliver(content, at, input);
        }
        let domain = routes::domain_of(content, link);
        let ask = Ask { domain, ..Ask::of(&self.packet, &input.name) };
        let is_loop = link.is_loopback()
            && routes::kind_of(content, self.packet.destination, None) == Some(kind::LOCAL);
        if is_loop {
            return self.deliver(content, at, input);
        }
        let (rule, route, losers) = self.found(content, at.namespace, &ask, Some(link))?;
        let is_local = matches!(route.kind, kind::LOCAL | kind::ANYCAST);
        let out = if is_local { None } else { Some(self.hop(content, at.namespace, route)?) };
        let ways = (link, out.map(|(to, _)| to.index));
        if let Some(disbelief) = sources::disbelief(content, &self.packet, ways) {
            return Err(self.disbelieved(at, link, disbelief));
        }
        let routed = Routed {
            is_local,
            rule: routes::rule_words(rule),
            route: routes::route_words(content, route),
            link: out.map(|(link, _)| link.index),
            gateway: out.map(|(_, next)| next).filter(|next| *next != self.packet.destination),
            source: None,
            instead_of: if is_local { Vec::new() } else { beaten(content, route, &losers) },
        };
        self.tell(at.namespace, Event::Routed(Box::new(routed)));
        match out {
            None => self.deliver(content, at, input),
            Some((to, next)) => {
                self.check_forwarding(content, at, link)?;
                self.limit(LinkAt { index: to.index, ..at }, to, Some(route));
                let (space, ways) = (at.namespace, (Some(input), Some(to)));
                self.ask(&Self::scene(content, space, Hook::Forward, ways), Place::Whole)?;
                let scene = Self::scene(content, space, Hook::Postrouting, (None, Some(to)));
                let scene = Scene { next: Some(next), ..scene };
                self.ask(&scene, Place::Whole)?;
                Ok(Now::Transmit { at: LinkAt { index: to.index, ..at }, next })
            }
        }
    }

    fn deliver(&mut self, content: &'a Content, at: LinkAt, link: &'a Link) -> Result<Now, End> {
        let scene = Self::scene(content, at.namespace, Hook::Input, (Some(link), None));
        self.ask(&scene, Place::Whole)?;
        Err(End::Delivered { at })
    }
}

/// Whether a packet may fare otherwise for what was not read.
fn matters(what: &str) -> bool {
    !matches!(what, "neighbours" | "queues" | "classes" | "filters" | "connections")
}

fn place_of(now: Now) -> usize {
    match now {
        Now::Send { namespace } => namespace,
        Now::Transmit { at, .. } | Now::Emit { at } | Now::Arrive { at } | Now::Receive { at } => {
            at.namespace
        }
    }
}

pub(super) fn loopback(content: &Content) -> Option<&Link> {
    content.links.iter().find(|link| link.is_loopback())
}

/// What else would have led there, and why it did not.
fn beaten(content: &Content, best: &Route, losers: &[&Route]) -> Vec<String> {
    let why = |loser: &&Route| -> String {
        let words = routes::route_words(content, loser);
        if loser.destination.length < best.destination.length {
            format!("{words} (its prefix is shorter)")
        } else {
            format!("{words} (its metric is higher)")
        }
    };
    losers.iter().take(3).map(why).collect()
}
