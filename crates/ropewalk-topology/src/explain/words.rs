//! Rules in words close to those of `nft`, for people to recognize them. What is not understood is
//! shown as the kernel has it; nothing is left out.

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::net::IpAddr;

use super::trace::RuleAt;
use crate::{
    model::{Chain, Comparison, Data, Expression, FilterFamily, Rule, Set, Table, Verdict},
    xtables::{Action, Condition},
};

/// More elements of a set than these are not told.
const MOST_ELEMENTS: usize = 6;

/// A rule, where it is.
pub(super) fn at(
    namespace: usize,
    table: &Table,
    (chain, rule, position): (&Chain, &Rule, usize),
    through: &[String],
) -> RuleAt {
    RuleAt {
        chain: chain.name.clone(),
        handle: Some(rule.handle),
        position,
        text: rule_words(table, rule),
        comment: rule.comment.clone().filter(|comment| is_for_people(comment)),
        through: through.to_vec(),
        ..nowhere(namespace, table)
    }
}

/// A chain's policy.
pub(super) fn policy(namespace: usize, table: &Table, chain: &Chain) -> RuleAt {
    let (chain, text) = (chain.name.clone(), "policy drop".into());
    RuleAt { chain, text, ..nowhere(namespace, table) }
}

/// A table, before any rule was asked.
pub(super) fn nowhere(namespace: usize, table: &Table) -> RuleAt {
    RuleAt {
        namespace,
        family: table.family,
        table: table.name.clone(),
        chain: String::new(),
        handle: None,
        position: 0,
        text: String::new(),
        comment: None,
        through: Vec::new(),
        is_iptables: is_iptables(table),
        // Tables of nftables are numbered from 1.
        is_legacy: table.handle == 0,
    }
}

/// Digests by which programs know their rules again say nothing to people.
fn is_for_people(comment: &str) -> bool {
    let is_digest = comment.len() >= 16 && comment.bytes().all(|byte| byte.is_ascii_hexdigit());
    !comment.is_empty() && !is_digest
}

/// Whether a table is one that iptables works with.
fn is_iptables(table: &Table) -> bool {
    let name = table.name.as_str();
    matches!(table.family, FilterFamily::Ip | FilterFamily::Ip6)
        && matches!(name, "filter" | "nat" | "mangle" | "raw" | "security")
        && table.chains.iter().filter(|chain| chain.base.is_some()).all(|chain| {
            let is_upper = |byte: u8| byte.is_ascii_uppercase();
            chain.name.bytes().all(is_upper)
        })
}

/// What a register holds, in words.
type Held = BTreeMap<u32, Value>;

/// A value that is compared: what it is called, and how its bytes are written.
#[derive(Clone, Debug)]
struct Value {
    name: String,
    kind: Kind,
    mask: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ip,
    Port,
    Text,
    /// A number in the order of the machine.
    Number,
    Protocol,
    State,
    Status,
    Mac,
    Type,
    Version,
    Hex,
}

/// A whole rule.
pub fn rule_words(table: &Table, rule: &Rule) -> String {
    let mut words = Vec::new();
    let mut held = Held::new();
    for expression in &rule.expressions {
        if let Some(word) = expression_words(table, &mut held, expression) {
            words.push(word);
        }
    }
    // What a port belongs to says itself which protocol it is of.
    words
        .join(" ")
        .replace("meta l4proto tcp tcp ", "tcp ")
        .replace("meta l4proto udp udp ", "udp ")
        .replace("meta nfproto ipv4 ip ", "ip ")
        .replace("meta nfproto ipv6 ip6 ", "ip6 ")
}

fn expression_words(table: &Table, held: &mut Held, expression: &Expression) -> Option<String> {
    match expression {
        Expression::Meta { key, into } => hold(held, *into, meta(*key)),
        Expression::Payload { base, offset, length, into } => {
            let after = held.values().find_map(|value| protocol_of(&value.name));
            hold(held, *into, payload((*base, *offset, *length), table.family, after))
        }
        Expression::Connection { key, direction, into } => {
            hold(held, *into, connection(*key, *direction))
        }
        Expression::Fib { result, flags, into } => hold(held, *into, fib(*result, *flags)),
        Expression::Immediate { data: data @ Data::Verdict(_), .. } => {
            Some(data_words(data, Kind::Hex))
        }
        Expression::Immediate { into, data: Data::Value(value) } => {
            held.insert(
                *into,
                Value { name: hex(value), kind: Kind::Hex, mask: Some(value.clone()) },
            );
            None
        }
        Expression::Bitwise { from, into, mask, xor } => {
            let mut value = held.get(from)?.clone();
            if xor.iter().any(|byte| *byte != 0) {
                value.name = format!("{} ^ {}", value.name, hex(xor));
            }
            value.mask = Some(mask.clone());
            hold(held, *into, value)
        }
        Expression::Compare { register, comparison, value } => {
            let held_value = held.get(register).cloned().unwrap_or_else(unknown);
            let words = compared(&held_value, *comparison, value);
            if held_value.kind == Kind::Protocol && *comparison == Comparison::Equal {
                // Ports that follow are of this protocol.
                let name = format!("is {}", protocol_name(value.first().copied().unwrap_or(0)));
                held.insert(u32::MAX, Value { name, kind: Kind::Hex, mask: None });
            }
            Some(words)
        }
        Expression::Range { register, is_inverted, first, last } => {
            let value = held.get(register).cloned().unwrap_or_else(unknown);
            let not = if *is_inverted { "!= " } else { "" };
            let ends = format!("{}-{}", written(value.kind, first), written(value.kind, last));
            Some(format!("{} {not}{ends}", value.name))
        }
        Expression::Lookup { set, from, into, is_inverted } => {
            let value = held.get(from).cloned().unwrap_or_else(unknown);
            let not = if *is_inverted { "!= " } else { "" };
            let found = table.sets.iter().find(|one| one.name == *set);
            let what = set_words(set, found, value.kind);
            match into {
                Some(0) => Some(format!("{} vmap {what}", value.name)),
                Some(into) => {
                    let name = format!("{} map {what}", value.name);
                    hold(held, *into, Value { name, kind: Kind::Hex, mask: None })
                }
                None => Some(format!("{} {not}{what}", value.name)),
            }
        }
        other => action_words(table.family, held, other),
    }
}

fn hold(held: &mut Held, register: u32, value: Value) -> Option<String> {
    held.insert(register, value);
    None
}

fn unknown() -> Value {
    Value { name: "?".into(), kind: Kind::Hex, mask: None }
}

fn value(name: impl Into<String>, kind: Kind) -> Value {
    Value { name: name.into(), kind, mask: None }
}

fn meta(key: u32) -> Value {
    match key {
        0 => value("meta length", Kind::Number),
        1 => value("meta protocol", Kind::Type),
        3 => value("meta mark", Kind::Number),
        4 => value("iif", Kind::Number),
        5 => value("oif", Kind::Number),
        6 => value("iifname", Kind::Text),
        7 => value("oifname", Kind::Text),
        8 => value("iiftype", Kind::Hex),
        9 => value("oiftype", Kind::Hex),
        10 => value("meta skuid", Kind::Number),
        11 => value("meta skgid", Kind::Number),
        15 => value("meta nfproto", Kind::Version),
        16 => value("meta l4proto", Kind::Protocol),
        17 => value("meta ibrname", Kind::Text),
        18 => value("meta obrname", Kind::Text),
        19 => value("meta pkttype", Kind::Hex),
        other => value(format!("meta {other}"), Kind::Hex),
    }
}

fn protocol_of(name: &str) -> Option<&'static str> {
    match name {
        "is tcp" => Some("tcp"),
        "is udp" => Some("udp"),
        "is icmp" => Some("icmp"),
        "is icmpv6" => Some("icmpv6"),
        _ => None,
    }
}

fn payload(
    (base, offset, length): (u32, u32, u32),
    family: FilterFamily,
    protocol: Option<&str>,
) -> Value {
    let above = protocol.unwrap_or("th");
    // What IP it is, the length tells.
    match (base, offset, length) {
        (0, 0, 6) => value("ether daddr", Kind::Mac),
        (0, 6, 6) => value("ether saddr", Kind::Mac),
        (0, 12, 2) => value("ether type", Kind::Type),
        (1, 9, 1) => value("ip protocol", Kind::Protocol),
        (1, 6, 1) if family != FilterFamily::Ip => value("ip6 nexthdr", Kind::Protocol),
        (1, 12, 1..=4) => value("ip saddr", Kind::Ip),
        (1, 16, 1..=4) => value("ip daddr", Kind::Ip),
        (1, 8, 5..=16) => value("ip6 saddr", Kind::Ip),
        (1, 24, 5..=16) => value("ip6 daddr", Kind::Ip),
        (2, 0, 2) => value(format!("{above} sport"), Kind::Port),
        (2, 2, 2) => value(format!("{above} dport"), Kind::Port),
        (2, 0, 1) if above.starts_with("icmp") => value(format!("{above} type"), Kind::Hex),
        (2, 13, 1) if above == "tcp" => value("tcp flags", Kind::Hex),
        _ => value(format!("@{base},{offset},{length}"), Kind::Hex),
    }
}

fn connection(key: u32, direction: Option<u8>) -> Value {
    let way = match direction {
        Some(0) => "original ",
        Some(_) => "reply ",
        None => "",
    };
    match key {
        0 => value("ct state", Kind::State),
        1 => value("ct direction", Kind::Hex),
        2 => value("ct status", Kind::Status),
        3 => value("ct mark", Kind::Number),
        8 | 19 | 21 => value(format!("ct {way}saddr"), Kind::Ip),
        9 | 20 | 22 => value(format!("ct {way}daddr"), Kind::Ip),
        10 => value("ct protocol", Kind::Protocol),
        11 => value(format!("ct {way}proto-src"), Kind::Port),
        12 => value(format!("ct {way}proto-dst"), Kind::Port),
        other => value(format!("ct {other}"), Kind::Hex),
    }
}

fn fib(result: u32, flags: u32) -> Value {
    let names = [(1, "saddr"), (2, "daddr"), (4, "mark"), (8, "iif"), (16, "oif")];
    let of: Vec<&str> =
        names.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect();
    let (what, kind) = match result {
        1 => ("oif", Kind::Number),
        2 => ("oifname", Kind::Text),
        _ => ("type", Kind::Number),
    };
    value(format!("fib {} {what}", of.join(" . ")), kind)
}

fn compared(value: &Value, comparison: Comparison, bytes: &[u8]) -> String {
    let sign = match comparison {
        Comparison::Equal => "",
        Comparison::NotEqual => "!= ",
        Comparison::Less => "< ",
        Comparison::AtMost => "<= ",
        Comparison::Greater => "> ",
        Comparison::AtLeast => ">= ",
    };
    let is_none = bytes.iter().all(|byte| *byte == 0);
    match (&value.mask, value.kind) {
        // A bit of many that are asked for.
        (Some(mask), Kind::State | Kind::Status) if is_none => {
            format!("{} {}", value.name, written(value.kind, mask))
        }
        (Some(mask), Kind::Ip) if prefix_length(mask).is_some() => {
            let length = prefix_length(mask).unwrap_or_default();
            format!("{} {sign}{}/{length}", value.name, written(value.kind, bytes))
        }
        (Some(mask), _) => {
            format!(
                "{} & {} {sign}{}",
                value.name,
                written(value.kind, mask),
                written(value.kind, bytes)
            )
        }
        // Fewer bytes than an address has are a prefix.
        (None, Kind::Ip) if !matches!(bytes.len(), 4 | 16) => {
            let all = if bytes.len() < 4 { 4 } else { 16 };
            let mut whole = bytes.to_vec();
            whole.resize(all, 0);
            let length = bytes.len() * 8;
            format!("{} {sign}{}/{length}", value.name, written(Kind::Ip, &whole))
        }
        (None, _) => format!("{} {sign}{}", value.name, written(value.kind, bytes)),
    }
}

/// How many leading bits a mask has, if all others are 0.
fn prefix_length(mask: &[u8]) -> Option<u32> {
    let length: u32 = mask.iter().map(|byte| byte.leading_ones()).sum();
    let ones: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
    let is_in_order = mask.windows(2).all(|pair| pair[0] == u8::MAX || pair[1] == 0);
    (length == ones && is_in_order).then_some(length)
}

fn written(kind: Kind, bytes: &[u8]) -> String {
    let number = || {
        let four: Option<[u8; 4]> = bytes.try_into().ok();
        four.map(u32::from_ne_bytes)
    };
    match kind {
        Kind::Ip => match bytes.len() {
            4 => <[u8; 4]>::try_from(bytes).map(|ip| IpAddr::from(ip).to_string()).ok(),
            16 => <[u8; 16]>::try_from(bytes).map(|ip| IpAddr::from(ip).to_string()).ok(),
            _ => None,
        },
        Kind::Port => {
            <[u8; 2]>::try_from(bytes).map(|port| u16::from_be_bytes(port).to_string()).ok()
        }
        Kind::Text => {
            let end = bytes.iter().position(|byte| *byte == 0);
            let text = String::from_utf8_lossy(&bytes[..end.unwrap_or(bytes.len())]);
            Some(format!("\"{text}{}\"", if end.is_none() { "*" } else { "" }))
        }
        Kind::Number => number().map(|number| match number {
            0..=9999 => number.to_string(),
            large => format!("{large:#x}"),
        }),
        Kind::Protocol => bytes.first().map(|number| protocol_name(*number)),
        Kind::State => number().map(|bits| bit_names(bits, &STATES)),
        Kind::Status => number().map(|bits| bit_names(bits, &STATUSES)),
        Kind::Mac => {
            let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            Some(digits.join(":"))
        }
        Kind::Type => match bytes {
            [0x08, 0x00] => Some("ip".into()),
            [0x86, 0xdd] => Some("ip6".into()),
            [0x08, 0x06] => Some("arp".into()),
            _ => None,
        },
        Kind::Version => match bytes {
            [2] => Some("ipv4".into()),
            [10] => Some("ipv6".into()),
            _ => None,
        },
        Kind::Hex => None,
    }
    .unwrap_or_else(|| hex(bytes))
}

const STATES: [(u32, &str); 5] =
    [(1, "invalid"), (2, "established"), (4, "related"), (8, "new"), (64, "untracked")];
const STATUSES: [(u32, &str); 5] =
    [(1, "expected"), (2, "seen-reply"), (4, "assured"), (16, "snat"), (32, "dnat")];

fn bit_names(bits: u32, names: &[(u32, &str)]) -> String {
    let names: Vec<&str> =
        names.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect();
    names.join(",")
}

fn protocol_name(number: u8) -> String {
    match number {
        1 => "icmp".into(),
        6 => "tcp".into(),
        17 => "udp".into(),
        58 => "icmpv6".into(),
        132 => "sctp".into(),
        other => other.to_string(),
    }
}

/// A named set by its name, another by what is in it.
fn set_words(name: &str, set: Option<&Set>, kind: Kind) -> String {
    let Some(set) = set.filter(|set| set.flags & 1 != 0) else { return format!("@{name}") };
    let is_end = |flags: u32| flags & 1 != 0;
    let elements = set.elements.iter().filter(|element| !is_end(element.flags));
    let count = elements.clone().count();
    let mut words: Vec<String> = elements
        .take(MOST_ELEMENTS)
        .map(|element| {
            let key = written(kind, &element.key);
            match &element.data {
                Some(data) => format!("{key} : {}", data_words(data, Kind::Hex)),
                None => key,
            }
        })
        .collect();
    if count > MOST_ELEMENTS {
        words.push(format!("and {} more", count - MOST_ELEMENTS));
    }
    format!("{{ {} }}", words.join(", "))
}

fn data_words(data: &Data, kind: Kind) -> String {
    match data {
        Data::Value(bytes) => written(kind, bytes),
        Data::Verdict(verdict) => match verdict {
            Verdict::Accept => "accept".into(),
            Verdict::Drop => "drop".into(),
            Verdict::Return => "return".into(),
            Verdict::Continue => "continue".into(),
            Verdict::Jump(chain) => format!("jump {chain}"),
            Verdict::Goto(chain) => format!("goto {chain}"),
            Verdict::Other(code) => format!("verdict {code:#x}"),
        },
    }
}

/// Steps that do something, and those of iptables.
fn action_words(family: FilterFamily, held: &Held, expression: &Expression) -> Option<String> {
    let set_to = |register: &u32| held.get(register).map_or("?".into(), |value| value.name.clone());
    let number = |register: &u32| {
        let bytes = held.get(register).and_then(|value| value.mask.clone());
        bytes.map_or_else(|| set_to(register), |bytes| written(Kind::Number, &bytes))
    };
    Some(match expression {
        Expression::SetMeta { key, from } => format!("{} set {}", meta(*key).name, number(from)),
        Expression::SetConnection { key, from, .. } => {
            format!("{} set {}", connection(*key, None).name, number(from))
        }
        Expression::Nat { of_source, addresses, ports, .. } => {
            let ip = addresses.0.map(|register| {
                let bytes = held.get(&register).and_then(|value| value.mask.clone());
                bytes.map_or_else(|| set_to(&register), |bytes| written(Kind::Ip, &bytes))
            });
            let to = [ip.unwrap_or_default(), port_words(held, *ports)].concat();
            format!("{} to {to}", if *of_source { "snat" } else { "dnat" })
        }
        Expression::Masquerade { .. } => "masquerade".into(),
        Expression::Redirect { ports } => format!("redirect to {}", port_words(held, *ports)),
        Expression::Reject { kind: 1, .. } => "reject with tcp reset".into(),
        Expression::Reject { .. } => "reject".into(),
        Expression::Match { name, revision, info } => {
            let known = Condition::read(family, name, *revision, info);
            named("-m", name, known.map(|known| known.to_string()))
        }
        Expression::Target { name, revision, info } => {
            let known = Action::read(family, name, *revision, info);
            named("-j", name, known.map(|known| known.to_string()))
        }
        Expression::Other { name, .. } => name.clone(),
        _ => return None,
    })
}

/// An extension of iptables as `iptables-save` writes it; what is not known, by its name.
fn named(option: &str, name: &str, words: Option<String>) -> String {
    let words = words.unwrap_or_default();
    format!("{option} {name} {words}").trim_end().into()
}

fn port_words(held: &Held, ports: (Option<u32>, Option<u32>)) -> String {
    let Some(register) = ports.0 else { return String::new() };
    let value = held.get(&register);
    match value.and_then(|value| value.mask.clone()) {
        Some(bytes) => format!(":{}", written(Kind::Port, &bytes)),
        None => format!(":{}", value.map_or("?", |value| &value.name)),
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{}", digits.concat())
}
