//! The steps of a rule: what each puts into a register, compares, or does.

use alloc::{format, vec::Vec};

use super::{
    super::{
        flows::Tracking,
        packet::{Cell, Kind, at_least, bytes, equal, ip_cells, known, port_cells},
        routes,
        trace::Told,
    },
    Hook, Layer,
    chains::{Run, Said},
    matches, nat, sets, targets,
};
use crate::model::{Comparison, Data, Expression, Link};

/// Bytes of a link's name.
const NAME: usize = 16;

/// Bytes of all registers.
const LONGEST: u32 = 64;

/// What a step does: nothing at all, if the rule is not for this packet.
pub(super) fn evaluate(run: &mut Run<'_>, expression: &Expression) -> Option<Said> {
    match expression {
        Expression::Meta { key, into } => {
            let cells = meta(run, *key)?;
            run.registers.set(*into, &cells);
        }
        Expression::SetMeta { key, from } => return Some(set_meta(run, *key, *from)),
        Expression::Payload { base, offset, length, into } => {
            let cells = payload(run, (*base, *offset, *length))?;
            run.registers.set(*into, &cells);
        }
        Expression::Compare { register, comparison, value } => {
            let cells = run.registers.read(*register, value.len());
            let answer = compare(&cells, *comparison, value);
            return run.is(answer, "what it compares is not known").then_some(Said::Nothing);
        }
        Expression::Range { register, is_inverted, first, last } => {
            let cells = run.registers.read(*register, first.len());
            let answer = sets::within(&cells, first, last).map(|within| within != *is_inverted);
            return run.is(answer, "what it compares is not known").then_some(Said::Nothing);
        }
        Expression::Bitwise { from, into, mask, xor } => {
            let cells = bitwise(&run.registers.read(*from, mask.len()), mask, xor);
            run.registers.set(*into, &cells);
        }
        Expression::Immediate { into, data: Data::Value(value) } => {
            let cells: Vec<Cell> = bytes(value).collect();
            run.registers.set(*into, &cells);
        }
        Expression::Immediate { data: Data::Verdict(verdict), .. } => {
            return Some(Said::Verdict(verdict.clone()));
        }
        Expression::Lookup { set, from, into, is_inverted } => {
            return look_up(run, set, *from, *into, *is_inverted);
        }
        Expression::Connection { key, direction, into } => {
            let cells = match (run.state.packet.kind, key) {
                // Of any connection it is known that it is new, and no more.
                (Kind::Any, 1..) => Vec::from([Cell::Unknown; NAME]),
                _ => connection(&run.state.tracking, *key, *direction)?,
            };
            run.registers.set(*into, &cells);
        }
        Expression::SetConnection { key, from, .. } => {
            return Some(set_connection(run, *key, *from));
        }
        Expression::Fib { result, flags, into } => {
            let cells = fib(run, *result, *flags)?;
            run.registers.set(*into, &cells);
        }
        Expression::Nat { .. } | Expression::Masquerade { .. } | Expression::Redirect { .. } => {
            return Some(nat::native(run, expression));
        }
        Expression::Reject { kind, .. } => {
            // Only answers to TCP can be resets; the kernel then sends none.
            let told = if *kind == 1 { Told::Reset } else { Told::Error };
            return Some(Said::Refused(told, "reject".into()));
        }
        Expression::Counter { .. } => {}
        Expression::Match { name, revision, info } => {
            let answer = matches::evaluate(run, name, *revision, info);
            let why = format!("iptables' match {name} cannot be told beforehand");
            return run.is(answer, &why).then_some(Said::Nothing);
        }
        Expression::Target { name, revision, info } => {
            return Some(targets::evaluate(run, name, *revision, info));
        }
        Expression::Other { name, attributes } => return other(run, name, attributes),
    }
    Some(Said::Nothing)
}

fn compare(cells: &[Cell], comparison: Comparison, value: &[u8]) -> Option<bool> {
    let is_above = || at_least(cells, value);
    let is_equal = || equal(cells, value);
    match comparison {
        Comparison::Equal => is_equal(),
        Comparison::NotEqual => is_equal().map(|is| !is),
        Comparison::Less => is_above().map(|is| !is),
        Comparison::AtLeast => is_above(),
        Comparison::Greater => match (is_above(), is_equal()) {
            (Some(false), _) | (_, Some(true)) => Some(false),
            (Some(true), Some(false)) => Some(true),
            _ => None,
        },
        Comparison::AtMost => match (is_above(), is_equal()) {
            (Some(false), _) | (_, Some(true)) => Some(true),
            (Some(true), Some(false)) => Some(false),
            _ => None,
        },
    }
}

fn bitwise(cells: &[Cell], mask: &[u8], xor: &[u8]) -> Vec<Cell> {
    let one = |(position, cell): (usize, &Cell)| {
        let byte = |bytes: &[u8]| bytes.get(position).copied().unwrap_or_default();
        match (cell, byte(mask), byte(xor)) {
            (_, 0, xor) => Cell::Byte(xor),
            (Cell::Byte(value), mask, xor) => Cell::Byte((value & mask) ^ xor),
            (cell, u8::MAX, 0) => *cell,
            _ => Cell::Unknown,
        }
    };
    cells.iter().enumerate().map(one).collect()
}

fn name_cells(name: &str) -> Vec<Cell> {
    let mut cells: Vec<Cell> = bytes(name.as_bytes()).take(NAME).collect();
    cells.resize(NAME, Cell::Byte(0));
    cells
}

fn number(value: u32) -> Vec<Cell> {
    bytes(&value.to_ne_bytes()).collect()
}

/// Something about the packet (`NFT_META_…`); nothing if there is no such thing.
fn meta(run: &Run<'_>, key: u32) -> Option<Vec<Cell>> {
    let (scene, packet) = (run.scene, &run.state.packet);
    let name = |link: Option<&Link>| name_cells(link.map_or("", |link| &link.name));
    let kind = |link: Option<&Link>| Some(name_cells(link?.kind.as_deref()?));
    let bridge = |port: Option<&Link>| Some(name(Some(scene.content.link(port?.master?)?)));
    let one = |byte: u8| Vec::from([Cell::Byte(byte)]);
    let is_known = match key {
        3 | 16 => packet.kind != Kind::Any,
        5 | 7 | 9 | 18 | 27 => packet.kind != Kind::Any || scene.output.is_some(),
        _ => true,
    };
    if !is_known {
        return Some(Vec::from([Cell::Unknown; NAME]));
    }
    Some(match key {
        1 => bytes(&packet.ethernet_type()).collect(),
        3 => number(packet.mark),
        4 => number(scene.input.map_or(0, |link| link.index)),
        5 => number(scene.output.map_or(0, |link| link.index)),
        6 => name(scene.input),
        7 => name(scene.output),
        8 => bytes(&scene.input?.hardware_type.to_ne_bytes()).collect(),
        9 => bytes(&scene.output?.hardware_type.to_ne_bytes()).collect(),
        // Only sockets of this namespace have users, and whose it will be is not known.
        10 | 11 if scene.input.is_some() => return None,
        15 => one(match scene.layer {
            Layer::Bridge => 7,
            Layer::Link => 5,
            Layer::Ip if packet.is_v6() => 10,
            Layer::Ip => 2,
        }),
        16 if packet.kind == Kind::Arp => return None,
        16 => one(packet.protocol),
        17 => bridge(scene.input)?,
        18 => bridge(scene.output)?,
        19 if scene.layer == Layer::Ip && scene.ports.0.is_none() && packet.kind == Kind::Plain => {
            one(0)
        }
        25 => one(0),
        26 => kind(scene.input)?,
        27 => kind(scene.output)?,
        _ => Vec::from([Cell::Unknown; NAME]),
    })
}

fn set_meta(run: &mut Run<'_>, key: u32, from: u32) -> Said {
    if key != 3 {
        // Priorities, marks of security and the like decide about nothing that is told here.
        return Said::Nothing;
    }
    match mark_in(run, from) {
        Some(mark) => set_mark(run, mark),
        None if run.state.packet.kind == Kind::Any => Said::Nothing,
        None => Said::Unclear("the mark that it sets is not known".into()),
    }
}

fn mark_in(run: &Run<'_>, register: u32) -> Option<u32> {
    let value = known(&run.registers.read(register, 4))?;
    Some(u32::from_ne_bytes(value.try_into().ok()?))
}

/// Marks the packet.
pub(super) fn set_mark(run: &mut Run<'_>, mark: u32) -> Said {
    run.state.packet.mark = mark;
    Said::Did(format!("mark {mark:#x}"))
}

/// Leaves the packet without a connection, unless it has one already.
pub(super) fn untrack(run: &mut Run<'_>) -> Said {
    if run.state.tracking.flow().is_some() {
        return Said::Did("notrack, which does nothing to what is tracked already".into());
    }
    run.state.tracking = Tracking::Untracked;
    Said::Did("notrack".into())
}

/// Marks the connection.
pub(super) fn set_connection_mark(run: &mut Run<'_>, mark: u32) -> Said {
    let Some(flow) = run.state.tracking.flow_mut() else { return Said::Nothing };
    flow.mark = mark;
    Said::Did(format!("connection mark {mark:#x}"))
}

fn set_connection(run: &mut Run<'_>, key: u32, from: u32) -> Said {
    match (key, mark_in(run, from)) {
        (1, Some(mark)) => set_connection_mark(run, mark),
        (1, None) if run.state.packet.kind == Kind::Any => Said::Nothing,
        (1, None) => Said::Unclear("the mark that it sets is not known".into()),
        (17, _) => Said::Unclear("it sets a zone of connection tracking".into()),
        _ => Said::Nothing,
    }
}

/// Bytes of the packet; nothing if it has none there.
fn payload(run: &Run<'_>, (base, offset, length): (u32, u32, u32)) -> Option<Vec<Cell>> {
    let packet = &run.state.packet;
    let header = match base {
        // A packet that is sent has no frame yet.
        0 if run.scene.hook == Hook::Output && run.scene.layer == Layer::Ip => return None,
        0 => run.scene.frame.map(|frame| frame.header(packet))?,
        1 => packet.network_header(),
        2 if packet.kind == Kind::Arp => return None,
        2 => packet.transport_header(),
        _ => Vec::new(),
    };
    // More than all registers hold is nowhere to be kept.
    let length = usize::try_from(length.min(LONGEST)).ok()?;
    let start = usize::try_from(offset).ok()?;
    let mut cells: Vec<Cell> = header.into_iter().skip(start).take(length).collect();
    cells.resize(length, Cell::Unknown);
    Some(cells)
}

fn look_up(
    run: &mut Run<'_>,
    name: &str,
    from: u32,
    into: Option<u32>,
    is_inverted: bool,
) -> Option<Said> {
    let Some(set) = run.table.sets.iter().find(|set| set.name == name) else {
        return Some(Said::Unclear(format!("set {name} was not read")));
    };
    let length = usize::try_from(set.key_length).unwrap_or_default();
    let cells = run.registers.read(from, length);
    let data = match sets::look_up(set, &cells) {
        sets::Found::Unsure if into.is_some() => {
            return Some(Said::Unclear(format!("which element of {name} it takes is not known")));
        }
        sets::Found::Unsure => {
            return run.ask("whether the set has it is not known").then_some(Said::Nothing);
        }
        sets::Found::No => return is_inverted.then_some(Said::Nothing),
        sets::Found::Yes(_) if is_inverted => return None,
        sets::Found::Yes(data) => data,
    };
    match (into, data) {
        (Some(0), Some(Data::Verdict(verdict))) => Some(Said::Verdict(verdict)),
        (Some(into), Some(Data::Value(value))) => {
            let cells: Vec<Cell> = bytes(&value).collect();
            run.registers.set(into, &cells);
            Some(Said::Nothing)
        }
        (Some(_), _) => Some(Said::Unclear(format!("what {name} maps to is not known"))),
        (None, _) => Some(Said::Nothing),
    }
}

/// Something about the connection (`NFT_CT_…`); nothing if there is none.
fn connection(tracking: &Tracking, key: u32, direction: Option<u8>) -> Option<Vec<Cell>> {
    if key == 0 {
        return Some(number(tracking.state()));
    }
    let flow = tracking.flow()?;
    let is_reply = matches!(tracking, Tracking::Of { is_reply: true, .. });
    let way = if direction == Some(1) { flow.reply } else { flow.original };
    Some(match key {
        1 => Vec::from([Cell::Byte(u8::from(is_reply))]),
        2 => number(flow.status()),
        3 => number(flow.mark),
        7 => Vec::from([Cell::Byte(if way.source.0.is_ipv6() { 10 } else { 2 })]),
        8 | 19 | 21 => ip_cells(way.source.0),
        9 | 20 | 22 => ip_cells(way.destination.0),
        10 => Vec::from([Cell::Byte(flow.protocol)]),
        11 => port_cells(way.source.1),
        12 => port_cells(way.destination.1),
        _ => Vec::from([Cell::Unknown; NAME]),
    })
}

/// What routing says (`NFT_FIB_RESULT_…`, `NFTA_FIB_F_…`).
fn fib(run: &Run<'_>, result: u32, flags: u32) -> Option<Vec<Cell>> {
    let (scene, packet) = (run.scene, &run.state.packet);
    if packet.kind == Kind::Any {
        return Some(Vec::from([Cell::Unknown; NAME]));
    }
    let is_asked = |flag: u32| flags & flag != 0;
    let address = if is_asked(1) { packet.source } else { packet.destination };
    let link = match (is_asked(8), is_asked(16)) {
        (true, _) => Some(scene.input?),
        (_, true) => Some(scene.output?),
        _ => None,
    };
    if result == 3 {
        let kind = routes::kind_of(scene.content, address, link.map(|link| link.index));
        return Some(kind.map_or(Vec::from([Cell::Unknown; 4]), |kind| number(kind.into())));
    }
    let mark = if is_asked(4) { packet.mark } else { 0 };
    let inner = scene.input.filter(|link| link.is_loopback() && scene.hook == Hook::Prerouting);
    let found = match inner {
        Some(link) => Some(link),
        None => match routes::way_back(scene.content, (address, packet), mark, link) {
            Ok(found) => found.and_then(|index| scene.content.link(index)),
            Err(_) => return Some(Vec::from([Cell::Unknown; NAME])),
        },
    };
    Some(match result {
        _ if is_asked(32) => Vec::from([Cell::Byte(u8::from(found.is_some()))]),
        1 => number(found.map_or(0, |link| link.index)),
        _ => name_cells(found.map_or("", |link| &link.name)),
    })
}

/// Steps that the model has by name alone.
fn other(run: &mut Run<'_>, name: &str, attributes: &[(u16, Vec<u8>)]) -> Option<Said> {
    let value = |kind: u16| attributes.iter().find(|(own, _)| *own == kind).map(|(_, value)| value);
    let word = |kind: u16| {
        let value = value(kind)?.as_slice();
        Some(u32::from_be_bytes(value.try_into().ok()?))
    };
    match name {
        // They look, count or write something down, or are for later packets.
        "log" | "last" | "flow_offload" | "dup" | "secmark" => Some(Said::Nothing),
        "notrack" => Some(untrack(run)),
        "dynset" if value(7).is_none() && value(10).is_none() => Some(Said::Nothing),
        "objref" if matches!(word(1), Some(1 | 3 | 7 | 8 | 9)) => Some(Said::Nothing),
        "limit" | "quota" | "connlimit" | "dynset" | "objref" => {
            let why = format!("it depends on what passed before ({name})");
            run.ask(&why).then_some(Said::Nothing)
        }
        // Without a register it writes, which changes no address.
        "exthdr" if word(1).is_none() => Some(Said::Nothing),
        "exthdr" if word(6).unwrap_or(0) == 0 => {
            let into = word(1)?;
            // A packet without extension headers; asked whether it has one, the answer is no.
            if word(5).unwrap_or(0) & 1 == 0 {
                return None;
            }
            run.registers.set(into, &[Cell::Byte(0)]);
            Some(Said::Nothing)
        }
        "byteorder" => {
            let (from, into) = (word(1)?, word(2)?);
            let (length, size) = (word(4)?, word(5)?);
            let length = usize::try_from(length).ok()?;
            let size = usize::try_from(size).ok()?.max(1);
            let cells = run.registers.read(from, length);
            let turned: Vec<Cell> =
                cells.chunks(size).flat_map(|piece| piece.iter().rev().copied()).collect();
            run.registers.set(into, &turned);
            Some(Said::Nothing)
        }
        "payload" => Some(write_payload(word)),
        "queue" => Some(Said::Unclear("it hands packets to a program (queue)".into())),
        "numgen" | "hash" | "jhash" | "rt" | "osf" | "socket" | "xfrm" | "tunnel" | "bitwise"
        | "ct" | "meta" | "fib" | "exthdr" => {
            unknown_value(run, name, attributes);
            Some(Said::Nothing)
        }
        _ => Some(Said::Unclear(format!("the expression {name} is not known"))),
    }
}

/// Writes into the packet: what is no address, port or protocol decides about nothing.
fn write_payload(word: impl Fn(u16) -> Option<u32>) -> Said {
    let (base, offset, length) = (word(2), word(3).unwrap_or(0), word(4).unwrap_or(64));
    let end = offset.saturating_add(length);
    // Of IPv4: type of service, length, number, time to live; the rest is told.
    if base == Some(1) && (end <= 9 || offset == 10 && length == 2) {
        Said::Nothing
    } else {
        Said::Unclear("it writes into the packet".into())
    }
}

/// All registers that such an expression may set are unknown from here on.
fn unknown_value(run: &mut Run<'_>, name: &str, attributes: &[(u16, Vec<u8>)]) {
    // Where each has the number of the register it sets.
    let kind = match name {
        "numgen" | "rt" | "osf" | "xfrm" | "ct" | "fib" | "exthdr" | "meta" => 1,
        "hash" | "jhash" | "bitwise" | "socket" | "tunnel" => 2,
        _ => 0,
    };
    for (own, value) in attributes {
        let register: Option<[u8; 4]> = value.as_slice().try_into().ok();
        if let Some(register) = register.filter(|_| *own == kind || kind == 0) {
            run.registers.set(u32::from_be_bytes(register), &[Cell::Unknown; NAME]);
        }
    }
}
