//! What a chain of nftables does with the first packet of a connection of which only some things
//! are known. It must never guess: where it depends on more, the answer is that nobody knows.

use alloc::{collections::BTreeMap, string::String, vec, vec::Vec};
use core::net::IpAddr;

use crate::model::{Chain, Comparison, Data, Expression, Rule, Set, Table, Verdict};

/// What is known of a packet.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    /// The index and name of the link it came in on.
    pub(super) input: Option<(u32, String)>,
    /// The same of the link it leaves through.
    pub(super) output: Option<(u32, String)>,
    pub(super) source: IpAddr,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is let through.
    Accepted,
    /// A rule with this number drops it.
    Dropped(u64),
    /// No rule has anything to say.
    End,
    /// It depends on something else.
    Unknown,
}

/// Chains may not call themselves, and the kernel allows 16 levels.
const DEEPEST: u8 = 16;

/// The bit of a connection's state for its first packet.
const NEW: u32 = 8;

/// The verdict's register.
const VERDICT: u32 = 0;

pub(super) fn fate(table: &Table, chain: &Chain, packet: &Packet) -> Fate {
    walk(table, chain, packet, 0)
}

/// What a rule does.
enum Step {
    Next,
    Back,
    Is(Fate),
}

fn walk(table: &Table, chain: &Chain, packet: &Packet, depth: u8) -> Fate {
    if depth >= DEEPEST {
        return Fate::Unknown;
    }
    for rule in &chain.rules {
        match step(table, rule, packet, depth) {
            Step::Next => {}
            Step::Back => return Fate::End,
            Step::Is(fate) => return fate,
        }
    }
    Fate::End
}

fn step(table: &Table, rule: &Rule, packet: &Packet, depth: u8) -> Step {
    let mut registers = Registers::default();
    let mut is_sure = true;
    for expression in &rule.expressions {
        let verdict = match expression {
            Expression::Immediate { into: VERDICT, data: Data::Verdict(verdict) } => {
                Some(verdict.clone())
            }
            Expression::Lookup { set, from, into: Some(VERDICT), .. } => {
                let set = table.sets.iter().find(|one| one.name == *set);
                let found = set.zip(registers.get(*from)).map(|(set, key)| found(set, key));
                match found {
                    Some(Found::There(Some(Data::Verdict(verdict)))) => Some(verdict.clone()),
                    Some(Found::Nothing) => return Step::Next,
                    _ => return Step::Is(Fate::Unknown),
                }
            }
            Expression::Reject { .. } => Some(Verdict::Drop),
            Expression::Target { name, .. } => match name.as_str() {
                "REJECT" | "DROP" => Some(Verdict::Drop),
                "ACCEPT" => Some(Verdict::Accept),
                "LOG" | "NFLOG" | "MARK" | "CONNMARK" | "TCPMSS" | "CLASSIFY" => None,
                _ => return Step::Is(Fate::Unknown),
            },
            other => match holds(other, &mut registers, table, packet) {
                Some(true) => None,
                Some(false) => return Step::Next,
                None => {
                    is_sure = false;
                    None
                }
            },
        };
        if let Some(verdict) = verdict {
            return conclude(table, rule, packet, (&verdict, is_sure, depth));
        }
    }
    Step::Next
}

/// What a verdict comes to. A rule that may not apply ends the matter only by what it might accept.
fn conclude(
    table: &Table,
    rule: &Rule,
    packet: &Packet,
    (verdict, is_sure, depth): (&Verdict, bool, u8),
) -> Step {
    let sub = |name: &String| {
        let chain = table.chains.iter().find(|chain| chain.name == *name);
        chain.map_or(Fate::Unknown, |chain| walk(table, chain, packet, depth + 1))
    };
    let step = match verdict {
        Verdict::Accept => Step::Is(Fate::Accepted),
        Verdict::Drop => Step::Is(Fate::Dropped(rule.handle)),
        Verdict::Return => Step::Back,
        Verdict::Continue => Step::Next,
        Verdict::Jump(name) => match sub(name) {
            Fate::End => Step::Next,
            fate => Step::Is(fate),
        },
        Verdict::Goto(name) => match sub(name) {
            Fate::End => Step::Back,
            fate => Step::Is(fate),
        },
        Verdict::Other(_) => Step::Is(Fate::Unknown),
    };
    match step {
        step if is_sure => step,
        Step::Is(Fate::Dropped(_)) | Step::Next => Step::Next,
        // What would be asked after it, or not.
        Step::Back | Step::Is(_) => Step::Is(Fate::Unknown),
    }
}

/// Registers of which the content is known; by bytes of the kernel's memory for them.
#[derive(Default)]
struct Registers(BTreeMap<u32, Vec<u8>>);

impl Registers {
    /// Registers 1 to 4 are 16 bytes, 8 to 23 are 4 bytes of the same.
    fn place(register: u32) -> u32 {
        if register < 8 { register.saturating_sub(1) * 4 } else { register - 8 }
    }

    fn get(&self, register: u32) -> Option<&Vec<u8>> {
        self.0.get(&Self::place(register))
    }

    fn set(&mut self, register: u32, value: Option<Vec<u8>>) {
        let place = Self::place(register);
        match value {
            Some(value) => self.0.insert(place, value),
            None => self.0.remove(&place),
        };
    }
}

/// Whether a rule goes on behind an expression, if that is known.
fn holds(
    expression: &Expression,
    registers: &mut Registers,
    table: &Table,
    packet: &Packet,
) -> Option<bool> {
    match expression {
        Expression::Meta { key, into } => registers.set(*into, meta(*key, packet)),
        Expression::Payload { base, offset, length, into } => {
            registers.set(*into, payload((*base, *offset, *length), packet));
        }
        Expression::Connection { key: 0, into, .. } => {
            registers.set(*into, Some(NEW.to_ne_bytes().to_vec()));
        }
        Expression::Connection { into, .. } | Expression::Fib { into, .. } => {
            registers.set(*into, None);
        }
        Expression::Bitwise { from, into, mask, xor } => {
            let value = registers.get(*from).map(|value| {
                let bits = value.iter().zip(mask).zip(xor);
                bits.map(|((value, mask), xor)| (value & mask) ^ xor).collect()
            });
            registers.set(*into, value);
        }
        Expression::Immediate { into, data } => {
            let value = match data {
                Data::Value(value) => Some(value.clone()),
                Data::Verdict(_) => None,
            };
            registers.set(*into, value);
        }
        Expression::Compare { register, comparison, value } => {
            return Some(compares(registers.get(*register)?, *comparison, value));
        }
        Expression::Range { register, is_inverted, first, last } => {
            let value = registers.get(*register)?;
            return Some((first <= value && value <= last) != *is_inverted);
        }
        Expression::Lookup { set, from, into: None, is_inverted } => {
            let set = table.sets.iter().find(|one| one.name == *set)?;
            return match found(set, registers.get(*from)?) {
                Found::There(_) => Some(!*is_inverted),
                Found::Nothing => Some(*is_inverted),
                Found::Unknown => None,
            };
        }
        Expression::Match { name, info, .. } => return matches(name, info),
        Expression::Counter { .. } | Expression::SetMeta { .. } => {}
        Expression::Other { name, .. } if name == "log" => {}
        Expression::Lookup { .. }
        | Expression::Nat { .. }
        | Expression::Masquerade { .. }
        | Expression::Redirect { .. }
        | Expression::Reject { .. }
        | Expression::Target { .. }
        | Expression::SetConnection { .. }
        | Expression::Other { .. } => return None,
    }
    Some(true)
}

/// `NFT_META_…`.
fn meta(key: u32, packet: &Packet) -> Option<Vec<u8>> {
    let index = |link: &Option<(u32, String)>| Some(link.as_ref()?.0.to_ne_bytes().to_vec());
    let name = |link: &Option<(u32, String)>| {
        let mut bytes = link.as_ref()?.1.as_bytes().to_vec();
        bytes.resize(16, 0);
        Some(bytes)
    };
    match key {
        4 => index(&packet.input),
        5 => index(&packet.output),
        6 => name(&packet.input),
        7 => name(&packet.output),
        15 => Some(vec![if packet.source.is_ipv4() { 2 } else { 10 }]),
        _ => None,
    }
}

/// The source address, the only thing within the packet that is known.
fn payload((base, offset, length): (u32, u32, u32), packet: &Packet) -> Option<Vec<u8>> {
    let (start, bytes) = match packet.source {
        IpAddr::V4(ip) => (12, ip.octets().to_vec()),
        IpAddr::V6(ip) => (8, ip.octets().to_vec()),
    };
    let is_source = base == 1 && offset == start;
    // Prefixes of whole bytes are compared with the beginning of the address.
    bytes.get(..usize::try_from(length).ok()?).filter(|_| is_source).map(<[u8]>::to_vec)
}

fn compares(found: &[u8], comparison: Comparison, value: &[u8]) -> bool {
    // Names with a wildcard are compared by their beginnings.
    let found = found.get(..value.len()).unwrap_or(found);
    match comparison {
        Comparison::Equal => found == value,
        Comparison::NotEqual => found != value,
        Comparison::Less => found < value,
        Comparison::AtMost => found <= value,
        Comparison::Greater => found > value,
        Comparison::AtLeast => found >= value,
    }
}

/// What a set has for a key.
enum Found<'a> {
    There(Option<&'a Data>),
    Nothing,
    Unknown,
}

fn found<'a>(set: &'a Set, key: &[u8]) -> Found<'a> {
    const INTERVAL: u32 = 4;
    if usize::try_from(set.key_length).ok() != Some(key.len()) {
        return Found::Unknown;
    }
    let below = set.elements.iter().filter(|element| element.key.as_slice() <= key);
    let element = below.max_by(|one, other| one.key.cmp(&other.key));
    let element = element.filter(|element| match &element.last {
        Some(last) => key <= last.as_slice(),
        None if set.flags & INTERVAL != 0 => element.flags & 1 == 0,
        None => element.key == key,
    });
    element.map_or(Found::Nothing, |element| Found::There(element.data.as_ref()))
}

/// A match of iptables: only states are understood.
fn matches(name: &str, info: &[u8]) -> Option<bool> {
    let half = |at: usize| Some(u16::from_ne_bytes(*info.get(at..at + 2)?.first_chunk()?));
    let new = u16::try_from(NEW).ok()?;
    match name {
        "comment" => Some(true),
        "state" => Some(u32::from_ne_bytes(*info.first_chunk()?) & NEW != 0),
        // `struct xt_conntrack_mtinfo3`: what is asked, what is inverted, states. Other conditions
        // may hold or not.
        "conntrack" => {
            let (asked, inverted, states) = (half(146)?, half(148)?, half(150)?);
            let is_state = asked & 1 == 0 || (states & new != 0) == (inverted & 1 == 0);
            if is_state && asked & !1 != 0 { None } else { Some(is_state) }
        }
        _ => None,
    }
}
