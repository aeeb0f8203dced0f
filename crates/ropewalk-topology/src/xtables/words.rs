//! Conditions and actions in the words of `iptables-save`.

use alloc::{format, string::String, vec::Vec};
use core::{
    fmt::{self, Display, Formatter},
    net::IpAddr,
};

use super::{
    Action, AddressType, Asked, BridgePort, Condition, Connection, End, Icmp, Masked, Ports,
    Translation, Transport,
};

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&words(self).join(" "))
    }
}

impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&action_words(self).join(" "))
    }
}

fn words(condition: &Condition) -> Vec<String> {
    let mut words = Words::default();
    match condition {
        Condition::Comment(text) => words.say("comment", quoted(text)),
        Condition::Transport(transport) => words.transport(transport),
        Condition::Icmp(icmp) => {
            let option = if icmp.value.is_v6 { "icmpv6-type" } else { "icmp-type" };
            words.ask(option, icmp, |icmp| icmp_kind(*icmp));
        }
        Condition::PortList(list) => {
            let option = match list.value.end {
                End::Source => "sports",
                End::Destination => "dports",
                End::Either => "ports",
            };
            words.ask(option, list, |list| joined(list.ports.iter().copied().map(port_range)));
        }
        Condition::Connection(connection) => words.connection(connection),
        Condition::Mark(mark) | Condition::ConnectionMark(mark) => {
            words.ask("mark", mark, |mark| masked_mark(*mark));
        }
        Condition::AddressType(types) => words.address_type(types),
        Condition::Set(set) => words.ask("match-set", set, |set| {
            let ends = set.ends.iter().map(|end| if *end == End::Source { "src" } else { "dst" });
            format!("#{} {}", set.set, joined(ends.map(String::from)))
        }),
        Condition::BridgePort(port) => words.bridge_port(port),
        Condition::Limit { period, burst } => {
            words.say("limit", rate(*period));
            if *burst != 5 {
                words.say("limit-burst", format!("{burst}"));
            }
        }
        Condition::Chance(chance) => {
            words.say("mode", "random".into());
            words.ask("probability", chance, |of| {
                format!("{:.11}", f64::from(*of) / f64::from(1_u32 << 31))
            });
        }
        Condition::Nth(nth) => {
            words.say("mode", "nth".into());
            words.ask("every", nth, |nth| format!("{} --packet {}", nth.every, nth.packet));
        }
        Condition::PacketType(kind) => words.ask("pkt-type", kind, |kind| match kind {
            0 => "unicast".into(),
            1 => "broadcast".into(),
            2 => "multicast".into(),
            other => format!("{other}"),
        }),
        Condition::Mac(mac) => words.ask("mac-source", mac, |bytes| {
            let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            bytes.join(":")
        }),
        Condition::Addresses { source, destination } => {
            words.may("src-range", source.as_ref(), |(first, last)| format!("{first}-{last}"));
            words.may("dst-range", destination.as_ref(), |(first, last)| format!("{first}-{last}"));
        }
        Condition::Owner(owner) => {
            words.must("socket-exists", owner.has_socket);
            words.may("uid-owner", owner.user.as_ref(), |range| number_range(*range));
            words.may("gid-owner", owner.group.as_ref(), |range| number_range(*range));
        }
        Condition::ReversePath { flags } => words.flags(
            (*flags).into(),
            &[(1, "loose"), (2, "validmark"), (4, "accept-local"), (8, "invert")],
        ),
    }
    words.0
}

fn action_words(action: &Action) -> Vec<String> {
    let mut words = Words::default();
    let hex = |number: u32| format!("{number:#x}");
    let mark = |mark: &Masked| format!("{}/{}", hex(mark.value), hex(mark.mask));
    match action {
        Action::TranslateSource(to) => words.translation("to-source", to),
        Action::TranslateDestination(to) => words.translation("to-destination", to),
        Action::Masquerade(to) | Action::Redirect(to) => words.translation("to-ports", to),
        Action::MapNetwork(to) => {
            if let Some((first, last)) = to.addresses {
                let length = common_length(first, last);
                words.say("to", format!("{first}/{length}"));
            }
        }
        Action::Reject(reason) => words.say("reject-with", (*reason).into()),
        Action::Mark(value) | Action::ConnectionMark(value) => {
            words.say("set-xmark", mark(value));
        }
        Action::SaveMark(masks) | Action::RestoreMark(masks) => {
            let is_saved = matches!(action, Action::SaveMark(_));
            words.flags(1, &[(1, if is_saved { "save-mark" } else { "restore-mark" })]);
            words.say("nfmask", hex(masks.packet));
            words.say("ctmask", hex(masks.connection));
        }
        Action::Log { level, flags, prefix } => {
            if !prefix.is_empty() {
                words.say("log-prefix", quoted(prefix));
            }
            if *level != 4 {
                words.say("log-level", format!("{level}"));
            }
            let names = ["tcp-sequence", "tcp-options", "ip-options", "uid", "", "macdecode"];
            let set = names.iter().enumerate().filter(|(bit, _)| flags >> bit & 1 != 0);
            words.0.extend(set.map(|(_, name)| format!("--log-{name}")));
        }
        Action::Report { group, prefix } => {
            if !prefix.is_empty() {
                words.say("nflog-prefix", quoted(prefix));
            }
            if *group != 0 {
                words.say("nflog-group", format!("{group}"));
            }
        }
        Action::SegmentSize(Some(size)) => words.say("set-mss", format!("{size}")),
        Action::SegmentSize(None) => words.flags(1, &[(1, "clamp-mss-to-pmtu")]),
        Action::Untrack => words.flags(1, &[(1, "notrack")]),
    }
    words.0
}

/// Options with their values.
#[derive(Default)]
struct Words(Vec<String>);

impl Words {
    fn say(&mut self, option: &str, value: String) {
        self.0.extend([format!("--{option}"), value]);
    }

    fn ask<T>(&mut self, option: &str, asked: &Asked<T>, text: impl FnOnce(&T) -> String) {
        if asked.is_inverted {
            self.0.push("!".into());
        }
        self.say(option, text(&asked.value));
    }

    fn may<T>(&mut self, option: &str, asked: Option<&Asked<T>>, text: impl FnOnce(&T) -> String) {
        if let Some(asked) = asked {
            self.ask(option, asked, text);
        }
    }

    fn must(&mut self, option: &str, is: Option<bool>) {
        if is == Some(false) {
            self.0.push("!".into());
        }
        if is.is_some() {
            self.0.push(format!("--{option}"));
        }
    }

    fn flags(&mut self, set: u32, names: &[(u32, &str)]) {
        let set = names.iter().filter(|(bit, _)| set & bit != 0);
        self.0.extend(set.map(|(_, name)| format!("--{name}")));
    }

    fn transport(&mut self, transport: &Transport) {
        self.may("sport", transport.source.as_ref(), |range| port_range(*range));
        self.may("dport", transport.destination.as_ref(), |range| port_range(*range));
        self.may("tcp-option", transport.option.as_ref(), |option| format!("{option}"));
        self.may("tcp-flags", transport.flags.as_ref(), |(mask, set)| {
            format!("{} {}", tcp_flags(*mask), tcp_flags(*set))
        });
    }

    fn connection(&mut self, connection: &Connection) {
        let ends = ["orig", "orig", "repl", "repl"].iter().zip(["src", "dst", "src", "dst"]);
        let ends: Vec<String> = ends.map(|(way, end)| format!("ct{way}{end}")).collect();
        self.may("ctstate", connection.states.as_ref(), |bits| named(*bits, &STATES));
        self.may("ctproto", connection.protocol.as_ref(), |protocol| format!("{protocol}"));
        for (name, address) in ends.iter().zip(&connection.addresses) {
            self.may(name, address.as_ref(), |(ip, mask)| {
                let length = bits(*mask).count_ones();
                let full = if ip.is_ipv4() { 32 } else { 128 };
                if length == full { format!("{ip}") } else { format!("{ip}/{length}") }
            });
        }
        for (name, range) in ends.iter().zip(&connection.ports) {
            self.may(&format!("{name}port"), range.as_ref(), |range| port_range(*range));
        }
        self.may("ctstatus", connection.status.as_ref(), |bits| {
            if *bits == 0 { "NONE".into() } else { named(*bits, &STATUS) }
        });
        self.may("ctexpire", connection.expires.as_ref(), |(first, last)| {
            if first == last { format!("{first}") } else { format!("{first}:{last}") }
        });
        if let Some(is_original) = connection.is_original {
            let way = if is_original { "ORIGINAL" } else { "REPLY" };
            self.say("ctdir", way.into());
        }
    }

    fn address_type(&mut self, types: &AddressType) {
        let text = |bits: &u16| {
            let set = TYPES.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 != 0);
            joined(set.map(|(_, name)| String::from(*name)))
        };
        self.may("src-type", types.source.as_ref(), text);
        self.may("dst-type", types.destination.as_ref(), text);
        let links = [(types.of_input, "limit-iface-in"), (types.of_output, "limit-iface-out")];
        self.0.extend(links.iter().filter(|(is, _)| *is).map(|(_, name)| format!("--{name}")));
    }

    fn bridge_port(&mut self, port: &BridgePort) {
        self.must("physdev-is-in", port.has_input);
        self.may("physdev-in", port.input.as_ref(), String::clone);
        self.must("physdev-is-out", port.has_output);
        self.may("physdev-out", port.output.as_ref(), String::clone);
        self.must("physdev-is-bridged", port.is_bridged);
    }

    fn translation(&mut self, option: &str, to: &Translation) {
        let ports = |(first, last): Ports| {
            if first == last { format!("{first}") } else { format!("{first}-{last}") }
        };
        let mut text = to.addresses.map(|(first, last)| {
            let bracketed = |ip: IpAddr| match ip {
                IpAddr::V6(ip) if to.ports.is_some() => format!("[{ip}]"),
                ip => format!("{ip}"),
            };
            if first == last {
                bracketed(first)
            } else {
                format!("{}-{}", bracketed(first), bracketed(last))
            }
        });
        if let Some(range) = to.ports {
            // Where there can be no address, nothing parts the two.
            let before = if option == "to-ports" { String::new() } else { ":".into() };
            let base = to.base.map(|base| format!("/{base}")).unwrap_or_default();
            text = Some(format!("{}{before}{}{base}", text.unwrap_or_default(), ports(range)));
        }
        if let Some(text) = text {
            self.say(option, text);
        }
        self.flags(to.flags, &[(4, "random"), (16, "random-fully"), (8, "persistent")]);
    }
}

const STATES: [(u16, &str); 7] = [
    (1, "INVALID"),
    (8, "NEW"),
    (4, "RELATED"),
    (2, "ESTABLISHED"),
    (256, "UNTRACKED"),
    (64, "SNAT"),
    (128, "DNAT"),
];

const STATUS: [(u16, &str); 4] =
    [(1, "EXPECTED"), (2, "SEEN_REPLY"), (4, "ASSURED"), (8, "CONFIRMED")];

const TYPES: [&str; 12] = [
    "UNSPEC",
    "UNICAST",
    "LOCAL",
    "BROADCAST",
    "ANYCAST",
    "MULTICAST",
    "BLACKHOLE",
    "UNREACHABLE",
    "PROHIBIT",
    "THROW",
    "NAT",
    "XRESOLVE",
];

const TCP_FLAGS: [(u16, &str); 6] =
    [(1, "FIN"), (2, "SYN"), (4, "RST"), (8, "PSH"), (16, "ACK"), (32, "URG")];

fn joined(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<String>>().join(",")
}

fn named(bits: u16, names: &[(u16, &str)]) -> String {
    let set = names.iter().filter(|(bit, _)| bits & bit != 0);
    joined(set.map(|(_, name)| String::from(*name)))
}

fn tcp_flags(bits: u8) -> String {
    if bits == 0 { "NONE".into() } else { named(bits.into(), &TCP_FLAGS) }
}

fn port_range((first, last): Ports) -> String {
    if first == last { format!("{first}") } else { format!("{first}:{last}") }
}

fn number_range((first, last): (u32, u32)) -> String {
    if first == last { format!("{first}") } else { format!("{first}-{last}") }
}

fn masked_mark(Masked { value, mask }: Masked) -> String {
    if mask == u32::MAX { format!("{value:#x}") } else { format!("{value:#x}/{mask:#x}") }
}

fn icmp_kind(icmp: Icmp) -> String {
    match (icmp.kind, icmp.codes) {
        (None, _) => "any".into(),
        (Some(kind), (0, u8::MAX)) => format!("{kind}"),
        (Some(kind), (code, _)) => format!("{kind}/{code}"),
    }
}

/// The largest unit in which the number says it exactly enough, as iptables chooses it.
fn rate(period: u32) -> String {
    const SECOND: u32 = 10_000;
    let units = [(24 * 3600, "day"), (3600, "hour"), (60, "min"), (1, "sec")];
    let mut best = units[0];
    for (seconds, name) in &units[1..] {
        let length = seconds * SECOND;
        if period > length || length / period.max(1) < length % period.max(1) {
            break;
        }
        best = (*seconds, name);
    }
    format!("{}/{}", best.0 * SECOND / period.max(1), best.1)
}

fn quoted(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.into();
    }
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        if ['"', '\\', '\''].contains(&letter) {
            quoted.push('\\');
        }
        quoted.push(letter);
    }
    quoted.push('"');
    quoted
}

/// An address as a number.
fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u32::from(ip).into(),
        IpAddr::V6(ip) => ip.into(),
    }
}

/// How many leading bits two addresses share.
fn common_length(first: IpAddr, last: IpAddr) -> u32 {
    let unused = if first.is_ipv4() { 96 } else { 0 };
    (bits(first) ^ bits(last)).leading_zeros() - unused
}
