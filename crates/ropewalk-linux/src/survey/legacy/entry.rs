//! A rule of the old iptables: what it asks of the header, its matches, its target. What it asks is
//! told in steps of nftables, as iptables does it there.

use std::collections::BTreeMap;

use ropewalk_topology::model::{Comparison, Data, Expression, FilterFamily, Verdict};

use crate::uapi::{NFT_META_IIFNAME, NFT_META_L4PROTO, NFT_META_OIFNAME};

/// The room for a link's name.
const NAME: usize = 16;
/// Length of `struct xt_entry_match` and `struct xt_entry_target`.
const EXTENSION: usize = 32;
/// The room for the name of a match or target.
const EXTENSION_NAME: usize = 29;
/// The room for the name of a chain.
const CHAIN_NAME: usize = 30;

// `IPT_INV_…`.
const NOT_INPUT: u8 = 1;
const NOT_OUTPUT: u8 = 2;
const NOT_SOURCE: u8 = 8;
const NOT_DESTINATION: u8 = 16;
const NOT_FRAGMENT: u8 = 32;
const NOT_PROTOCOL: u8 = 64;

/// Where things are in a rule of a family.
struct Layout {
    /// How long an address is.
    address: usize,
    /// Where the addresses are in a packet.
    in_packet: [u32; 2],
    flags: usize,
    inverted: usize,
    target: usize,
    counters: usize,
    length: usize,
    /// The flag for a jump that does not come back.
    goes: u8,
    /// The flag for later fragments, if there is one.
    fragment: u8,
}

/// `struct ipt_entry`.
const V4: Layout = Layout {
    address: 4,
    in_packet: [12, 16],
    flags: 82,
    inverted: 83,
    target: 88,
    counters: 96,
    length: 112,
    goes: 2,
    fragment: 1,
};

/// `struct ip6t_entry`.
const V6: Layout = Layout {
    address: 16,
    in_packet: [8, 24],
    flags: 131,
    inverted: 132,
    target: 140,
    counters: 152,
    length: 168,
    goes: 4,
    fragment: 0,
};

/// What becomes of a packet.
#[derive(Debug)]
pub(super) enum Target {
    /// Below zero a verdict, else the place of an entry.
    Verdict(i32),
    /// The beginning of a chain, or the end of the table.
    Error(String),
    /// Anything else.
    Extension { name: String, revision: u8, info: Vec<u8> },
}

/// A rule.
pub(super) struct Entry<'a> {
    /// Where it begins.
    pub(super) start: usize,
    /// Where the next one begins.
    pub(super) end: usize,
    pub(super) target: Target,
    /// Packets and bytes.
    pub(super) counted: (u64, u64),
    layout: &'static Layout,
    header: &'a [u8],
    matches: Vec<Expression>,
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    number(bytes, at).map(u16::from_ne_bytes).map(usize::from)
}

fn text(bytes: &[u8]) -> String {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

/// The name, revision and structure of a match or target.
fn extension(bytes: &[u8]) -> Option<(String, u8, &[u8])> {
    let name = text(bytes.get(2..2 + EXTENSION_NAME)?);
    Some((name, *bytes.get(EXTENSION - 1)?, bytes.get(EXTENSION..)?))
}

impl<'a> Entry<'a> {
    /// The rule at a place.
    pub(super) fn read(family: FilterFamily, block: &'a [u8], start: usize) -> Option<Self> {
        let layout = if family == FilterFamily::Ip6 { &V6 } else { &V4 };
        let rest = block.get(start..)?;
        let (target, length) = (u16_at(rest, layout.target)?, u16_at(rest, layout.target + 2)?);
        if target < layout.length {
            return None;
        }
        let bytes = rest.get(..length)?;
        let mut matches = Vec::new();
        let mut at = layout.length;
        while at < target {
            let length = u16_at(bytes, at)?;
            if length < EXTENSION {
                return None;
            }
            let (name, revision, info) = extension(bytes.get(at..at + length)?)?;
            matches.push(Expression::Match { name, revision: revision.into(), info: info.into() });
            at += length;
        }
        let packets = u64::from_ne_bytes(number(bytes, layout.counters)?);
        let passed = u64::from_ne_bytes(number(bytes, layout.counters + 8)?);
        Some(Self {
            start,
            end: start + length,
            target: Target::read(bytes.get(target..)?)?,
            counted: (packets, passed),
            layout,
            header: bytes.get(..layout.length)?,
            matches,
        })
    }

    /// Whether a packet that comes here is accepted.
    pub(super) fn accepts(&self) -> bool {
        !matches!(self.target, Target::Verdict(-1))
    }

    fn flag(&self, bit: u8) -> bool {
        self.header.get(self.layout.flags).is_some_and(|flags| flags & bit != 0)
    }

    fn compared(&self, inverted_by: u8) -> Comparison {
        let flags = self.header.get(self.layout.inverted).copied().unwrap_or_default();
        if flags & inverted_by == 0 { Comparison::Equal } else { Comparison::NotEqual }
    }

    fn slice(&self, at: usize, length: usize) -> &[u8] {
        self.header.get(at..at + length).unwrap_or_default()
    }

    /// The steps of the rule; chains are known by where they begin.
    pub(super) fn expressions(&self, chains: &BTreeMap<usize, String>) -> Vec<Expression> {
        let mut steps = Vec::new();
        let names = 4 * self.layout.address;
        let links = [(NFT_META_IIFNAME, NOT_INPUT), (NFT_META_OIFNAME, NOT_OUTPUT)];
        for (position, (key, inverted_by)) in links.into_iter().enumerate() {
            let name = self.slice(names + NAME * position, NAME);
            let mask = self.slice(names + NAME * (2 + position), NAME);
            // A name that ends before its mask does is asked for as a whole.
            let asked = mask.iter().take_while(|byte| **byte != 0).count();
            if asked > 0 {
                steps.push(Expression::Meta { key, into: 1 });
                steps.push(compare(self.compared(inverted_by), name[..asked].to_vec()));
            }
        }
        for (position, inverted_by) in [NOT_SOURCE, NOT_DESTINATION].into_iter().enumerate() {
            let place = self.layout.in_packet[position];
            let length = self.layout.address;
            let ip = self.slice(length * position, length);
            let mask = self.slice(length * (2 + position), length);
            if mask.iter().any(|byte| *byte != 0) {
                steps.extend(payload(place, mask));
                steps.push(compare(self.compared(inverted_by), ip.to_vec()));
            }
        }
        let protocol = u16_at(self.header, names + 4 * NAME).and_then(|one| u8::try_from(one).ok());
        if let Some(protocol) = protocol.filter(|protocol| *protocol != 0) {
            steps.push(Expression::Meta { key: NFT_META_L4PROTO, into: 1 });
            steps.push(compare(self.compared(NOT_PROTOCOL), vec![protocol]));
        }
        if self.flag(self.layout.fragment) {
            // The part of the packet that it is, which is not 0 for later ones.
            let is_first = match self.compared(NOT_FRAGMENT) {
                Comparison::Equal => Comparison::NotEqual,
                _ => Comparison::Equal,
            };
            steps.extend(payload(6, &[0x1f, 0xff]));
            steps.push(compare(is_first, vec![0, 0]));
        }
        steps.extend(self.matches.iter().cloned());
        let (packets, bytes) = self.counted;
        steps.push(Expression::Counter { packets, bytes });
        steps.extend(self.end(chains));
        steps
    }

    /// The last step, if it does not just go on.
    fn end(&self, chains: &BTreeMap<usize, String>) -> Option<Expression> {
        let verdict = match &self.target {
            Target::Extension { name, revision, info } => {
                let (name, revision, info) = (name.clone(), (*revision).into(), info.clone());
                return Some(Expression::Target { name, revision, info });
            }
            Target::Error(_) => return None,
            Target::Verdict(-1) => Verdict::Drop,
            Target::Verdict(-2) => Verdict::Accept,
            Target::Verdict(-5) => Verdict::Return,
            // What is below zero is one more than the verdict, negated.
            Target::Verdict(code @ ..0) => Verdict::Other(code.unsigned_abs() - 1),
            Target::Verdict(place) => {
                let place = usize::try_from(*place).ok().filter(|place| *place != self.end)?;
                let chain = chains.get(&place).cloned().unwrap_or_default();
                if self.flag(self.layout.goes) {
                    Verdict::Goto(chain)
                } else {
                    Verdict::Jump(chain)
                }
            }
        };
        Some(Expression::Immediate { into: 0, data: Data::Verdict(verdict) })
    }
}

impl Target {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (name, revision, info) = extension(bytes)?;
        Some(match name.as_str() {
            "" => Self::Verdict(i32::from_ne_bytes(number(info, 0)?)),
            "ERROR" => Self::Error(text(info.get(..CHAIN_NAME)?)),
            _ => Self::Extension { name, revision, info: info.to_vec() },
        })
    }
}

fn compare(comparison: Comparison, value: Vec<u8>) -> Expression {
    Expression::Compare { register: 1, comparison, value }
}

/// Bytes of the network's header, as far as a mask lets them through.
fn payload(offset: u32, mask: &[u8]) -> impl Iterator<Item = Expression> {
    let length = u32::try_from(mask.len()).unwrap_or_default();
    let bytes = Expression::Payload { base: 1, offset, length, into: 1 };
    let is_part = mask.iter().any(|byte| *byte != u8::MAX);
    let (mask, xor) = (mask.to_vec(), vec![0; mask.len()]);
    let part = is_part.then_some(Expression::Bitwise { from: 1, into: 1, mask, xor });
    [bytes].into_iter().chain(part)
}
