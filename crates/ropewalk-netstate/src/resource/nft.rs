//! nftables: tables, sets and maps, chains with their rules, elements of one owner.
//!
//! Rules are data. The kernel returns rules rewritten, so a chain is compared by a digest that
//! each rule carries in its comment; elements are compared one by one.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};
use core::{fmt, net::IpAddr};

use ropewalk_addr::{IfName, Mac, Subnet};

use super::{Comparison, Key, Mismatch};
use crate::owner::{Tag, short_digest};

/// The family of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NftFamily {
    /// IPv4 and IPv6.
    Inet,
    /// IPv4 alone.
    Ip,
    /// IPv6 alone.
    Ip6,
    /// Frames that pass a bridge.
    Bridge,
}

impl fmt::Display for NftFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inet => "inet",
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Bridge => "bridge",
        })
    }
}

/// A table by family and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableRef {
    /// Its family.
    pub family: NftFamily,
    /// Its name.
    pub name: String,
}

impl TableRef {
    /// A table by family and name.
    pub fn new(family: NftFamily, name: impl Into<String>) -> Self {
        Self { family, name: name.into() }
    }
}

impl fmt::Display for TableRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.family, self.name)
    }
}

/// A set or map by table and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetRef {
    /// Its table.
    pub table: TableRef,
    /// Its name.
    pub name: String,
}

impl fmt::Display for SetRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.table, self.name)
    }
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NftTable {
    /// Its name.
    pub table: TableRef,
}

impl NftTable {
    pub(crate) fn key(&self) -> Key {
        Key::NftTable(self.table.clone())
    }

    #[expect(clippy::unused_self, reason = "every kind has the same shape")]
    pub(crate) fn compare(&self, _: &Self) -> Vec<Mismatch> {
        Vec::new()
    }
}

impl fmt::Display for NftTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nftables table {}", self.table)
    }
}

/// The type of one part of a set key or of map data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataType {
    /// IPv4 address.
    Ip4,
    /// IPv6 address.
    Ip6,
    /// Hardware address.
    Mac,
    /// Protocol number (`inet_proto`).
    Protocol,
    /// Port (`inet_service`).
    Port,
    /// Interface name (`ifname`).
    Interface,
}

/// What a set maps its keys to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapsTo {
    /// Nothing: it is a plain set.
    Nothing,
    /// A verdict.
    Verdict,
    /// Values of these types, concatenated.
    Values(Vec<DataType>),
}

/// A set or map, without its elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NftSet {
    /// Which set.
    pub set: SetRef,
    /// The types of the key's parts, concatenated if more than one.
    pub key_type: Vec<DataType>,
    /// What it maps to.
    pub maps_to: MapsTo,
}

impl NftSet {
    pub(crate) fn key(&self) -> Key {
        Key::NftSet(self.set.clone())
    }

    pub(crate) fn compare(&self, found: &Self) -> Vec<Mismatch> {
        Comparison::default()
            .field("key_type", &self.key_type, &found.key_type)
            .field("maps_to", &self.maps_to, &found.maps_to)
            .finish()
    }
}

impl fmt::Display for NftSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.maps_to == MapsTo::Nothing { "set" } else { "map" };
        write!(f, "nftables {kind} {}", self.set)
    }
}

/// The kind of a base chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainKind {
    /// Decides about packets.
    Filter,
    /// Translates addresses.
    Nat,
}

/// Where in the kernel a base chain is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Before routing.
    Prerouting,
    /// To this host.
    Input,
    /// Through this host.
    Forward,
    /// From this host.
    Output,
    /// After routing.
    Postrouting,
}

/// What makes a chain a base chain. Its policy is always accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BaseChain {
    /// Its kind.
    pub kind: ChainKind,
    /// Its hook.
    pub hook: Hook,
    /// Its priority; lower runs earlier. `dstnat` is -100, `srcnat` is 100.
    pub priority: i32,
}

/// A part of a packet or of what the kernel knows about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `ip saddr`; the rule then matches IPv4 only.
    Ip4Source,
    /// `ip daddr`; the rule then matches IPv4 only.
    Ip4Destination,
    /// `ip6 saddr`; the rule then matches IPv6 only.
    Ip6Source,
    /// `ip6 daddr`; the rule then matches IPv6 only.
    Ip6Destination,
    /// `ether saddr` (bridge family).
    EtherSource,
    /// `meta l4proto`.
    Protocol,
    /// `th dport`.
    DestinationPort,
    /// `iifname`.
    InterfaceIn,
    /// `oifname`.
    InterfaceOut,
}

/// A constant: part of a set key, of map data, or the right side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Datum {
    /// An address of either family.
    Ip(IpAddr),
    /// A hardware address.
    Mac(Mac),
    /// A protocol number.
    Protocol(u8),
    /// A port.
    Port(u16),
    /// An interface name.
    Interface(IfName),
}

/// Bits of the connection tracking state, `ct state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// `ct state established,related`.
    EstablishedOrRelated,
    /// `ct state invalid`.
    Invalid,
    /// `ct status dnat`: its destination was translated.
    DestinationTranslated,
}

/// Where a packet goes next.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Leave this table's hook, packet passes.
    Accept,
    /// The packet is dropped.
    Drop,
    /// Back to the calling chain.
    Return,
    /// To another chain and back.
    Jump(String),
    /// To another chain, not back here.
    Goto(String),
}

/// One part of a rule, left to right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// `FIELD == VALUE`.
    Equal(Field, Datum),
    /// `FIELD != VALUE`.
    NotEqual(Field, Datum),
    /// The address field lies in the subnet.
    Within(Field, Subnet),
    /// The address field lies outside the subnet.
    Outside(Field, Subnet),
    /// The concatenated fields are in the set of this table.
    InSet(Vec<Field>, String),
    /// The concatenated fields are not in the set of this table.
    NotInSet(Vec<Field>, String),
    /// `FIELDS vmap @MAP`: the verdict comes from the map.
    VerdictMap(Vec<Field>, String),
    /// A property of the tracked connection.
    Connection(Connection),
    /// `fib daddr type local`: the destination is one of this host's addresses.
    DestinationIsLocal,
    /// `dnat ip to FIELDS map @MAP` (IPv4 address and port from the map).
    TranslateDestination4(Vec<Field>, String),
    /// `dnat ip6 to FIELDS map @MAP` (IPv6 address and port from the map).
    TranslateDestination6(Vec<Field>, String),
    /// `masquerade`.
    Masquerade,
    /// A verdict.
    Verdict(Verdict),
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its parts.
    pub statements: Vec<Statement>,
}

impl Rule {
    /// A rule of these parts.
    pub fn new(statements: impl Into<Vec<Statement>>) -> Self {
        Self { statements: statements.into() }
    }

    /// 16 hexadecimal digits that stand for the content; kept in the rule's comment.
    pub fn digest(&self) -> String {
        short_digest(&format!("{:?}", self.statements))
    }
}

/// A chain with all its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NftChain {
    /// Its table.
    pub table: TableRef,
    /// Its name.
    pub name: String,
    /// What hooks it into the kernel, if it is a base chain. Found: always `None`; a chain
    /// cannot change its hook.
    pub base: Option<BaseChain>,
    /// Its rules in order. Found: empty.
    pub rules: Vec<Rule>,
    /// Found: the comments of its rules in order. Wanted: not used, see [`NftChain::digests`].
    pub found_digests: Vec<String>,
}

impl NftChain {
    /// A chain that other chains jump to.
    pub fn regular(table: TableRef, name: impl Into<String>, rules: Vec<Rule>) -> Self {
        Self { table, name: name.into(), base: None, rules, found_digests: Vec::new() }
    }

    /// A chain that the kernel calls at a hook.
    pub fn base(table: TableRef, name: &str, base: BaseChain, rules: Vec<Rule>) -> Self {
        Self { base: Some(base), ..Self::regular(table, name, rules) }
    }

    /// The digests of the rules, in order: of the wanted ones, else of the found ones.
    pub fn digests(&self) -> Vec<String> {
        if self.rules.is_empty() {
            return self.found_digests.clone();
        }
        self.rules.iter().map(Rule::digest).collect()
    }

    pub(crate) fn key(&self) -> Key {
        Key::NftChain(self.table.clone(), self.name.clone())
    }

    pub(crate) fn compare(&self, found: &Self) -> Vec<Mismatch> {
        Comparison::default().field("rules", &self.digests(), &found.digests()).finish()
    }
}

impl fmt::Display for NftChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nftables chain {} {}", self.table, self.name)
    }
}

/// What an element of a map maps to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ElementData {
    /// Nothing: the element of a plain set.
    Nothing,
    /// A verdict.
    Verdict(Verdict),
    /// Values, concatenated.
    Values(Vec<Datum>),
}

/// All elements that one owner has in a set or map. The owner is kept in each element's comment,
/// so that they are found again without knowing their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NftElements {
    /// The set or map.
    pub set: SetRef,
    /// Whose they are.
    pub tag: Tag,
    /// The elements by key.
    pub elements: BTreeMap<Vec<Datum>, ElementData>,
    /// Whether keys that another owner has are taken over, because whoever has the address now is
    /// who the lease says; else they are a conflict. Not compared.
    pub replaces: bool,
    /// Found: keys wanted here that another owner has (`None`: an unmarked element).
    pub taken: Vec<(Vec<Datum>, Option<Tag>)>,
}

impl NftElements {
    /// Elements of an owner. While there are none, they are only looked for at DEL.
    pub fn new(set: SetRef, tag: Tag) -> Self {
        Self { set, tag, elements: BTreeMap::new(), replaces: false, taken: Vec::new() }
    }

    /// The same, taking over keys that others have.
    pub fn replacing(set: SetRef, tag: Tag) -> Self {
        Self { replaces: true, ..Self::new(set, tag) }
    }

    /// Adds one element.
    #[must_use]
    pub fn with(mut self, key: Vec<Datum>, data: ElementData) -> Self {
        self.elements.insert(key, data);
        self
    }

    pub(crate) fn key(&self) -> Key {
        let identity = format!("{}:{}", self.tag.network(), self.tag.attachment());
        Key::NftElements(self.set.clone(), identity)
    }

    pub(crate) fn compare(&self, found: &Self) -> Vec<Mismatch> {
        Comparison::default().field("elements", &self.elements, &found.elements).finish()
    }
}

impl fmt::Display for NftElements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "elements of {} in nftables {}", self.tag, self.set)?;
        for key in self.elements.keys() {
            f.write_str(" ")?;
            write_key(f, key)?;
        }
        Ok(())
    }
}

fn write_key(f: &mut fmt::Formatter<'_>, key: &[Datum]) -> fmt::Result {
    for (index, datum) in key.iter().enumerate() {
        if index > 0 {
            f.write_str(".")?;
        }
        write!(f, "{datum}")?;
    }
    Ok(())
}

impl fmt::Display for Datum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => write!(f, "{ip}"),
            Self::Mac(mac) => write!(f, "{mac}"),
            Self::Protocol(6) => f.write_str("tcp"),
            Self::Protocol(17) => f.write_str("udp"),
            Self::Protocol(132) => f.write_str("sctp"),
            Self::Protocol(number) => write!(f, "protocol-{number}"),
            Self::Port(port) => write!(f, "{port}"),
            Self::Interface(name) => write!(f, "{name}"),
        }
    }
}

/// Rules of a chain whose comment starts with a text: what the reference plugins left there. They
/// can be found and deleted, not created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NftTaggedRules {
    /// The table.
    pub table: TableRef,
    /// The chain.
    pub chain: String,
    /// The start of the comment.
    pub comment_prefix: String,
}

impl NftTaggedRules {
    pub(crate) fn key(&self) -> Key {
        Key::NftTaggedRules(self.table.clone(), self.chain.clone(), self.comment_prefix.clone())
    }

    #[expect(clippy::unused_self, reason = "every kind has the same shape")]
    pub(crate) fn compare(&self, _: &Self) -> Vec<Mismatch> {
        Vec::new()
    }
}

impl fmt::Display for NftTaggedRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (table, chain) = (&self.table, &self.chain);
        write!(f, "nftables rules in {table} {chain} commented {:?}", self.comment_prefix)
    }
}
