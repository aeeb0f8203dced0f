//! Messages between clients and servers: a type, a number, and options within options.

use alloc::vec::Vec;
use core::{fmt, net::Ipv6Addr};

/// The numbers of the options that a client uses.
pub mod option {
    /// Who a client is.
    pub const CLIENT_IDENTIFIER: u16 = 1;
    /// The server that a message comes from or is for.
    pub const SERVER_IDENTIFIER: u16 = 2;
    /// Addresses that belong together.
    pub const IA_NA: u16 = 3;
    /// One of those addresses.
    pub const ADDRESS: u16 = 5;
    /// The options that a client asks for.
    pub const REQUESTED: u16 = 6;
    /// How long an exchange has been going on.
    pub const ELAPSED_TIME: u16 = 8;
    /// What became of a message or of the addresses in it.
    pub const STATUS: u16 = 13;
    /// Name servers, best first (RFC 3646).
    pub const NAME_SERVERS: u16 = 23;
    /// Domains in which to look names up (RFC 3646).
    pub const DOMAINS: u16 = 24;
    /// How long clients without an address may pause; every client has to ask for it.
    pub const LONGEST_SOLICIT_PAUSE: u16 = 82;
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A client looks for servers.
    Solicit,
    /// A server offers an address.
    Advertise,
    /// A client takes an offer.
    Request,
    /// A client asks its server for more time.
    Renew,
    /// A client asks any server for more time.
    Rebind,
    /// A server answers.
    Reply,
    /// A client gives an address back.
    Release,
}

const KINDS: [(u8, Kind); 7] = [
    (1, Kind::Solicit),
    (2, Kind::Advertise),
    (3, Kind::Request),
    (5, Kind::Renew),
    (6, Kind::Rebind),
    (7, Kind::Reply),
    (8, Kind::Release),
];

/// The number of a message has 24 bits.
const TRANSACTION: u32 = 0x00ff_ffff;

/// Bytes that are no message, or none that concerns clients of our kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidMessage;

impl fmt::Display for InvalidMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a DHCPv6 message")
    }
}

impl core::error::Error for InvalidMessage {}

/// Options in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options(Vec<(u16, Vec<u8>)>);

impl Options {
    /// Reads options; `None` if one is cut off.
    pub fn parse(mut bytes: &[u8]) -> Option<Self> {
        let mut options = Self::default();
        while !bytes.is_empty() {
            let (code, rest) = bytes.split_first_chunk()?;
            let (length, rest) = rest.split_first_chunk()?;
            let (value, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
            options.push(u16::from_be_bytes(*code), value);
            bytes = rest;
        }
        Some(options)
    }

    /// Adds an option; of a longer one than there can be the end is lost.
    pub fn push(&mut self, code: u16, bytes: impl Into<Vec<u8>>) {
        let mut bytes = bytes.into();
        bytes.truncate(u16::MAX.into());
        self.0.push((code, bytes));
    }

    /// The first option with a number.
    pub fn get(&self, code: u16) -> Option<&[u8]> {
        self.all(code).next()
    }

    /// All options with a number.
    pub fn all(&self, code: u16) -> impl Iterator<Item = &[u8]> {
        self.0.iter().filter(move |(own, _)| *own == code).map(|(_, bytes)| bytes.as_slice())
    }

    /// A list of addresses; bytes that are left over are dropped.
    pub fn addresses(&self, code: u16) -> Vec<Ipv6Addr> {
        let (whole, _) = self.get(code).unwrap_or_default().as_chunks::<16>();
        whole.iter().map(|bytes| Ipv6Addr::from(*bytes)).collect()
    }

    /// The options as they are sent.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (code, value) in &self.0 {
            let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
            bytes.extend(code.to_be_bytes());
            bytes.extend(length.to_be_bytes());
            bytes.extend(value);
        }
        bytes
    }
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub kind: Kind,
    /// The number of the exchange that it is a part of, 24 bits.
    pub transaction: u32,
    /// Everything else.
    pub options: Options,
}

impl Message {
    /// A message without options.
    pub fn new(kind: Kind, transaction: u32) -> Self {
        Self { kind, transaction: transaction & TRANSACTION, options: Options::default() }
    }

    /// Whether it is a part of an exchange.
    pub fn is_part_of(&self, transaction: u32) -> bool {
        self.transaction == transaction & TRANSACTION
    }

    /// Reads a message.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidMessage> {
        let (head, options) = bytes.split_first_chunk().ok_or(InvalidMessage)?;
        let [number, a, b, c] = *head;
        let kind = KINDS.iter().find(|(known, _)| *known == number).ok_or(InvalidMessage)?.1;
        let options = Options::parse(options).ok_or(InvalidMessage)?;
        Ok(Self { kind, transaction: u32::from_be_bytes([0, a, b, c]), options })
    }

    /// The message as it is sent.
    pub fn to_bytes(&self) -> Vec<u8> {
        let number = KINDS.iter().find(|(_, known)| *known == self.kind).map_or(0, |(n, _)| *n);
        let [_, a, b, c] = self.transaction.to_be_bytes();
        [&[number, a, b, c], self.options.to_bytes().as_slice()].concat()
    }
}
