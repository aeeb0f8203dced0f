//! What a chain of nftables does with the first packet of a connection of which only some things
//! are known. It must never guess: where it depends on more, the answer is that nobody knows.

use alloc::{string::String, vec::Vec};
use core::net::IpAddr;

use crate::{
    explain::{Cell, Found, Registers, bitwise, bytes, compare, ip_cells, look_up, within},
    model::{Chain, Data, Expression, Rule, Table, Verdict},
};

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

/// What is in a register of which nothing is known.
const UNKNOWN: [Cell; 16] = [Cell::Unknown; 16];

/// Bytes of all registers.
const LONGEST: u32 = 64;

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
    let mut registers = Registers::new();
    let mut is_sure = true;
    for expression in &rule.expressions {
        let verdict = match expression {
            Expression::Immediate { into: VERDICT, data: Data::Verdict(verdict) } => {
                Some(verdict.clone())
            }
            Expression::Lookup { set, from, into: Some(VERDICT), .. } => {
                match found(table, set, &registers, *from) {
                    Found::Yes(Some(Data::Verdict(verdict))) => Some(verdict),
                    Found::No => return Step::Next,
                    Found::Yes(_) | Found::Unsure => return Step::Is(Fate::Unknown),
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

/// Whether a set of the table has what is in a register.
fn found(table: &Table, set: &str, registers: &Registers, from: u32) -> Found {
    let Some(set) = table.sets.iter().find(|one| one.name == set) else { return Found::Unsure };
    let length = usize::try_from(set.key_length).unwrap_or_default();
    look_up(set, &registers.read(from, length))
}

/// Whether a rule goes on behind an expression, if that is known.
fn holds(
    expression: &Expression,
    registers: &mut Registers,
    table: &Table,
    packet: &Packet,
) -> Option<bool> {
    match expression {
        Expression::Meta { key, into } => registers.set(*into, &meta(*key, packet)),
        Expression::Payload { base, offset, length, into } => {
            registers.set(*into, &payload((*base, *offset, *length), packet));
        }
        Expression::Connection { key: 0, into, .. } => {
            registers.set(*into, &bytes(&NEW.to_ne_bytes()).collect::<Vec<Cell>>());
        }
        Expression::Connection { into, .. } | Expression::Fib { into, .. } => {
            registers.set(*into, &UNKNOWN);
        }
        Expression::Bitwise { from, into, mask, xor } => {
            let cells = bitwise(&registers.read(*from, mask.len()), mask, xor);
            registers.set(*into, &cells);
        }
        Expression::Immediate { into, data: Data::Value(value) } => {
            registers.set(*into, &bytes(value).collect::<Vec<Cell>>());
        }
        Expression::Immediate { into, data: Data::Verdict(_) } => registers.set(*into, &UNKNOWN),
        Expression::Compare { register, comparison, value } => {
            return compare(&registers.read(*register, value.len()), *comparison, value);
        }
        Expression::Range { register, is_inverted, first, last } => {
            let is_within = within(&registers.read(*register, first.len()), first, last)?;
            return Some(is_within != *is_inverted);
        }
        Expression::Lookup { set, from, into: None, is_inverted } => {
            return match found(table, set, registers, *from) {
                Found::Yes(_) => Some(!*is_inverted),
                Found::No => Some(*is_inverted),
                Found::Unsure => None,
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
fn meta(key: u32, packet: &Packet) -> Vec<Cell> {
    let index = |(index, _): &(u32, String)| bytes(&index.to_ne_bytes()).collect::<Vec<Cell>>();
    let name = |(_, name): &(u32, String)| {
        let mut cells: Vec<Cell> = bytes(name.as_bytes()).collect();
        cells.resize(UNKNOWN.len(), Cell::Byte(0));
        cells
    };
    let family = if packet.source.is_ipv4() { 2 } else { 10 };
    let found = match key {
        4 => packet.input.as_ref().map(index),
        5 => packet.output.as_ref().map(index),
        6 => packet.input.as_ref().map(name),
        7 => packet.output.as_ref().map(name),
        15 => Some(Vec::from([Cell::Byte(family)])),
        _ => None,
    };
    found.unwrap_or(UNKNOWN.to_vec())
}

/// Bytes of the packet, of which only the source address is known.
fn payload((base, offset, length): (u32, u32, u32), packet: &Packet) -> Vec<Cell> {
    const NETWORK: u32 = 1;
    let mut header = Vec::new();
    if base == NETWORK {
        header.resize(if packet.source.is_ipv4() { 12 } else { 8 }, Cell::Unknown);
        header.extend(ip_cells(packet.source));
    }
    let [offset, length] =
        [offset, length.min(LONGEST)].map(|one| usize::try_from(one).unwrap_or(usize::MAX));
    let mut cells: Vec<Cell> = header.into_iter().skip(offset).take(length).collect();
    cells.resize(length, Cell::Unknown);
    cells
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
