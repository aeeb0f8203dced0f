//! An explanation for people: namespace by namespace, with what happens in each, and at the end
//! what becomes of it.

use ropewalk_topology::LinkAt;
use ropewalk_topology::explain::{
    Asked, Deed, End, Event, Journey, Outcome, Packet, Routed, RuleAt, Stop, Trace,
};
use ropewalk_topology::model::Host;

use super::probe::Report;

/// What the two ends were called in the question.
#[derive(Clone, Copy, Debug)]
pub(super) struct Title<'a> {
    pub(super) source: &'a str,
    pub(super) destination: &'a str,
}

/// The least width of the words at the beginning of lines.
const WIDTH: usize = 10;

/// What is written, and whether in colours.
struct Page<'a> {
    host: &'a Host,
    text: String,
    /// Of the words at the beginning of lines.
    width: usize,
    has_colours: bool,
}

#[derive(Clone, Copy)]
enum Paint {
    Bold,
    Faint,
    Good,
    Bad,
    Unsure,
}

pub(super) fn render(
    host: &Host,
    trace: &Trace,
    report: Option<&Report>,
    title: Title<'_>,
    has_colours: bool,
) -> String {
    let mut page = Page { host, text: String::new(), width: width(trace), has_colours };
    let what = what(&trace.sent);
    let heading = format!("{} → {}, {what}", title.source, title.destination);
    let heading = page.painted(Paint::Bold, &heading);
    // Without a route there is no source.
    let is_whole = !trace.sent.source.is_unspecified();
    let packet = if is_whole { trace.sent.to_string() } else { String::new() };
    page.line(&format!("{heading}  {packet}"));
    page.journey(&trace.way);
    if let Some(back) = &trace.back {
        let heading = page.painted(Paint::Bold, "answer");
        page.line("");
        page.line(&format!("{heading}  {}", trace.way.last.answer()));
        page.journey(back);
    }
    page.line("");
    page.verdict(trace);
    if let Some(report) = report {
        page.probe(report);
    }
    page.text
}

/// The width of the longest word at the beginning of a line.
fn width(trace: &Trace) -> usize {
    let back = trace.back.iter().flat_map(|back| &back.steps);
    let hooks = trace.way.steps.iter().chain(back).map(|step| match &step.event {
        Event::Asked(asked) => asked.hook.len(),
        _ => 0,
    });
    hooks.max().unwrap_or_default().max(WIDTH)
}

fn what(packet: &Packet) -> String {
    if packet.has_ports() {
        format!("{} port {}", packet.protocol_name(), packet.destination_port)
    } else {
        "ping".to_owned()
    }
}

impl Page<'_> {
    fn painted(&self, paint: Paint, text: &str) -> String {
        let code = match paint {
            Paint::Bold => "1",
            Paint::Faint => "2",
            Paint::Good => "1;32",
            Paint::Bad => "1;31",
            Paint::Unsure => "1;33",
        };
        if self.has_colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn line(&mut self, line: &str) {
        // No name begins a line.
        self.text.push_str(&line.trim_end().replace('\n', "?"));
        self.text.push('\n');
    }

    /// A line of a namespace: a word, and what is to be said.
    fn entry(&mut self, word: &str, said: &str) {
        let bar = self.painted(Paint::Faint, "│");
        let width = self.width;
        self.line(&format!("  {bar} {word:width$}  {said}"));
    }

    fn name(&self, namespace: usize) -> String {
        let one = self.host.namespaces.get(namespace);
        one.map_or_else(|| "?".to_owned(), ropewalk_topology::model::Namespace::name)
    }

    fn link(&self, at: LinkAt) -> String {
        let one = self.host.namespaces.get(at.namespace).and_then(|one| one.link(at.index));
        one.map_or_else(|| format!("link {}", at.index), |link| link.name.clone())
    }

    fn journey(&mut self, journey: &Journey) {
        let mut here = None;
        for step in &journey.steps {
            if here != Some(step.namespace) {
                let name = self.painted(Paint::Bold, &self.name(step.namespace));
                self.line(&format!("  {name}"));
                here = Some(step.namespace);
            }
            self.event(step.namespace, &step.event);
        }
        if let End::Stopped(stop) | End::Unknown(stop) = &journey.end
            && here != Some(stop.namespace)
        {
            let name = self.painted(Paint::Bold, &self.name(stop.namespace));
            self.line(&format!("  {name}"));
        }
        let sign = match &journey.end {
            End::Delivered { at } => {
                let name = self.name(at.namespace);
                self.painted(Paint::Good, &format!("● arrives in {name}"))
            }
            End::Left { at, to } => {
                let link = self.link(*at);
                self.painted(Paint::Good, &format!("→ leaves by {link}: {to}"))
            }
            End::Stopped(stop) => self.painted(Paint::Bad, &format!("✗ {}", stop.reason)),
            End::Unknown(stop) => {
                self.painted(Paint::Unsure, &format!("? cannot tell: {}", stop.reason))
            }
        };
        self.line(&format!("  {sign}"));
    }

    fn event(&mut self, namespace: usize, event: &Event) {
        let at = |index: u32| LinkAt { namespace, index };
        match event {
            Event::Entered { link } => {
                let link = self.link(at(*link));
                self.entry("enters by", &link);
            }
            Event::Routed(routed) => self.routed(routed),
            Event::Asked(asked) => self.asked(asked),
            Event::Resolved(resolved) => {
                let mac = resolved.mac.as_ref().map(ToString::to_string).unwrap_or_default();
                let how = self.painted(Paint::Faint, &resolved.how);
                self.entry("neighbour", &format!("{} is at {mac}, {how}", resolved.address));
            }
            Event::Bridged(bridged) => {
                let name = self.link(at(bridged.bridge));
                let end = |index: Option<u32>| match index {
                    Some(index) => self.link(at(index)),
                    None => "host".to_owned(),
                };
                let (from, to) = (end(bridged.from), end(bridged.to));
                let why = self.painted(Paint::Faint, &bridged.why);
                self.entry("bridge", &format!("{name}: {from} → {to}, {why}"));
            }
            Event::Crossed { from, to } => {
                let sign = if from.namespace == to.namespace { "→" } else { "⇄" };
                let (from, to) = (self.link(*from), self.link(*to));
                let corner = self.painted(Paint::Faint, "╰");
                self.line(&format!("  {corner} {from} {sign} {to}"));
            }
            Event::Noted(text) => self.entry("", text),
        }
    }

    fn routed(&mut self, routed: &Routed) {
        let word = if routed.is_local { "for itself" } else { "route" };
        let rule = self.painted(Paint::Faint, &format!("({})", routed.rule));
        self.entry(word, &format!("{}  {rule}", routed.route));
        for other in &routed.instead_of {
            let other = self.painted(Paint::Faint, &format!("not {other}"));
            self.entry("", &other);
        }
        if let Some((source, why)) = routed.source {
            let why = self.painted(Paint::Faint, why);
            self.entry("source", &format!("{source}, {why}"));
        }
    }

    fn asked(&mut self, asked: &Asked) {
        let state = asked.state.map(|state| format!(", connection {state}")).unwrap_or_default();
        if asked.deeds.is_empty() {
            let said = match (asked.chains, &asked.becomes) {
                (0, Some(packet)) => format!("back to {packet}{state}"),
                (1, _) => format!("1 chain, no rule decides{state}"),
                (count, _) => format!("{count} chains, no rule decides{state}"),
            };
            let said = self.painted(Paint::Faint, &said);
            self.entry(&asked.hook, &said);
        }
        for (number, deed) in asked.deeds.iter().enumerate() {
            let word = if number == 0 { asked.hook.as_str() } else { "" };
            let said = self.deed(deed);
            self.entry(word, &said);
            let rule = rule_words(&deed.rule);
            let rule = self.painted(Paint::Faint, &rule);
            self.entry("", &format!("  {rule}"));
        }
        if let Some(packet) = asked.becomes.as_ref().filter(|_| asked.chains > 0) {
            self.entry("", &format!("now {packet}"));
        }
    }

    fn deed(&self, deed: &Deed) -> String {
        let rule = &deed.rule;
        let through = match rule.through.as_slice() {
            [] => String::new(),
            chains => format!("{} → ", chains.join(" → ")),
        };
        let place = format!("{} {} {through}{}", rule.family.name(), rule.table, rule.chain);
        let place = self.painted(Paint::Faint, &format!("in {place}"));
        format!("{} {place}", deed.action)
    }

    fn verdict(&mut self, trace: &Trace) {
        let (paint, words) = match trace.outcome {
            Outcome::Passes => (Paint::Good, "✓ it passes, and the answer comes back"),
            Outcome::Leaves => (Paint::Good, "→ it leaves this host"),
            Outcome::NoAnswer => (Paint::Bad, "✗ it arrives, but the answer does not come back"),
            Outcome::Stopped => (Paint::Bad, "✗ it does not arrive"),
            Outcome::CannotTell => (Paint::Unsure, "? nobody can tell from what was read"),
        };
        let words = self.painted(paint, words);
        let back = trace.back.as_ref().map(|back| &back.end);
        let stop = match (&trace.way.end, back) {
            (End::Stopped(stop) | End::Unknown(stop), _)
            | (_, Some(End::Stopped(stop) | End::Unknown(stop))) => Some(stop),
            _ => None,
        };
        match stop {
            None => self.line(&words),
            Some(stop) => self.stop(&words, stop),
        }
        let arrives = !matches!(trace.way.end, End::Stopped(_) | End::Unknown(_));
        if let Some((bytes, at)) = trace.way.largest.filter(|_| arrives) {
            let link = self.link(at);
            let name = self.name(at.namespace);
            self.line(&format!(
                "  {:WIDTH$} {bytes} bytes at most, by {link} in {name}",
                "packets"
            ));
        }
    }

    fn probe(&mut self, report: &Report) {
        let words = report.words(self.host);
        let said = match report.agrees() {
            Some(true) => self.painted(Paint::Good, "as explained"),
            Some(false) => self.painted(Paint::Bad, "NOT as explained"),
            None => self.painted(Paint::Unsure, "which cannot be compared"),
        };
        self.line(&format!("  {:WIDTH$} {words}, {said}", "probe"));
        for difference in report.differences.iter().flatten() {
            self.line(&format!("  {:WIDTH$} {difference}", ""));
        }
    }

    fn stop(&mut self, words: &str, stop: &Stop) {
        let place = format!("in {}, at {}", self.name(stop.namespace), stop.place);
        self.line(&format!("{words}: {place}"));
        let mut told = |word: &str, said: &str| {
            let line = format!("  {word:WIDTH$} {said}");
            self.line(&line);
        };
        told("because", &stop.reason);
        if let Some(rule) = &stop.rule {
            if rule.handle.is_some() {
                told("rule", &rule_words(rule));
            }
            let number = match rule.handle {
                Some(handle) => format!(", rule {} (handle {handle})", rule.position),
                None => ", its policy".to_owned(),
            };
            let (family, table) = (rule.family.name(), &rule.table);
            told("where", &format!("{family} {table} {}{number}", rule.chain));
        }
        told("sender", stop.told.words());
        if let Some(command) = &stop.shown_by {
            told("see", command);
        }
        if let Some(command) = &stop.changed_by {
            told("change", command);
        }
    }
}

fn rule_words(rule: &RuleAt) -> String {
    match &rule.comment {
        Some(comment) => format!("{} # {comment}", rule.text),
        None => rule.text.clone(),
    }
}
