//! One DHCP message (RFC 2131, section 2), from bytes and to bytes.

use alloc::vec::Vec;
use core::{fmt, net::Ipv4Addr};

use ropewalk_addr::Mac;

use crate::{option, options::Options};

const REQUEST: u8 = 1;
const REPLY: u8 = 2;
const ETHERNET: u8 = 1;
const MAGIC: [u8; 4] = [99, 130, 83, 99];
const BROADCAST: u16 = 0x8000;

/// Where the fields `sname` and `file` lie, and where options begin.
const SERVER_NAME: usize = 44;
const FILE: usize = 108;
const COOKIE: usize = 236;
const OPTIONS: usize = 240;

/// Relays and servers of the time of BOOTP drop shorter messages.
const SHORTEST: usize = 300;

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Who has an address for me?
    Discover,
    /// You could have this one.
    Offer,
    /// I want this one; I want to keep this one.
    Request,
    /// The address turned out to be somebody else's.
    Decline,
    /// It is yours.
    Ack,
    /// It is not yours.
    Nak,
    /// I do not need it any more.
    Release,
}

impl Kind {
    const ALL: [(Self, u8); 7] = [
        (Self::Discover, 1),
        (Self::Offer, 2),
        (Self::Request, 3),
        (Self::Decline, 4),
        (Self::Ack, 5),
        (Self::Nak, 6),
        (Self::Release, 7),
    ];

    pub(crate) fn number(self) -> u8 {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or(0, |(_, number)| *number)
    }

    fn of(options: &Options) -> Option<Self> {
        let number = *options.get(option::MESSAGE_TYPE)?.first()?;
        Self::ALL.iter().find(|(_, known)| *known == number).map(|(kind, _)| *kind)
    }
}

/// Bytes are no message of a DHCP client or server on Ethernet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidMessage;

impl fmt::Display for InvalidMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a DHCP message")
    }
}

impl core::error::Error for InvalidMessage {}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it is for.
    pub kind: Kind,
    /// Whether a server sends it.
    pub is_reply: bool,
    /// The number of the transaction that it belongs to.
    pub transaction: u32,
    /// For how many seconds the client has been trying.
    pub seconds: u16,
    /// Whether the answer is to be sent to everybody.
    pub broadcast: bool,
    /// The client's address, where it has one and answers under it.
    pub client_address: Ipv4Addr,
    /// The address that the server gives.
    pub your_address: Ipv4Addr,
    /// The relay that it came through.
    pub relay: Ipv4Addr,
    /// The client's hardware address.
    pub hardware: Mac,
    /// The options.
    pub options: Options,
}

impl Message {
    /// A message of a client with nothing in it yet.
    pub fn request(kind: Kind, transaction: u32, hardware: Mac) -> Self {
        let mut options = Options::default();
        options.set(option::MESSAGE_TYPE, [kind.number()]);
        Self {
            kind,
            is_reply: false,
            transaction,
            seconds: 0,
            broadcast: false,
            client_address: Ipv4Addr::UNSPECIFIED,
            your_address: Ipv4Addr::UNSPECIFIED,
            relay: Ipv4Addr::UNSPECIFIED,
            hardware,
            options,
        }
    }

    /// Reads a message.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidMessage> {
        Self::read(bytes).ok_or(InvalidMessage)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (operation, hardware_type, hardware_length) =
            (bytes.first()?, bytes.get(1)?, bytes.get(2)?);
        let is_ethernet = *hardware_type == ETHERNET && *hardware_length == 6;
        let is_reply = *operation == REPLY;
        if !is_ethernet || !(is_reply || *operation == REQUEST) || array(bytes, COOKIE)? != MAGIC {
            return None;
        }
        let mut options = Options::default();
        options.read(bytes.get(OPTIONS..)?);
        // Options go on in two fields that hardly anybody uses (RFC 2132, section 9.3).
        let overload = options.get(option::OVERLOAD).and_then(|bytes| bytes.first()).copied();
        if matches!(overload, Some(1 | 3)) {
            options.read(bytes.get(FILE..COOKIE)?);
        }
        if matches!(overload, Some(2 | 3)) {
            options.read(bytes.get(SERVER_NAME..FILE)?);
        }
        Some(Self {
            kind: Kind::of(&options)?,
            is_reply,
            transaction: u32::from_be_bytes(array(bytes, 4)?),
            seconds: u16::from_be_bytes(array(bytes, 8)?),
            broadcast: u16::from_be_bytes(array(bytes, 10)?) & BROADCAST != 0,
            client_address: array::<4>(bytes, 12)?.into(),
            your_address: array::<4>(bytes, 16)?.into(),
            relay: array::<4>(bytes, 24)?.into(),
            hardware: Mac(array(bytes, 28)?),
            options,
        })
    }

    /// The message as it is sent.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = alloc::vec![0; OPTIONS];
        bytes[0] = if self.is_reply { REPLY } else { REQUEST };
        bytes[1] = ETHERNET;
        bytes[2] = 6;
        bytes[4..8].copy_from_slice(&self.transaction.to_be_bytes());
        bytes[8..10].copy_from_slice(&self.seconds.to_be_bytes());
        let flags = if self.broadcast { BROADCAST } else { 0 };
        bytes[10..12].copy_from_slice(&flags.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.client_address.octets());
        bytes[16..20].copy_from_slice(&self.your_address.octets());
        bytes[24..28].copy_from_slice(&self.relay.octets());
        bytes[28..34].copy_from_slice(&self.hardware.0);
        bytes[COOKIE..OPTIONS].copy_from_slice(&MAGIC);
        self.options.write(&mut bytes);
        bytes.resize(bytes.len().max(SHORTEST), 0);
        bytes
    }
}

fn array<const N: usize>(bytes: &[u8], start: usize) -> Option<[u8; N]> {
    bytes.get(start..start + N)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn offer() -> Message {
        let mut message = Message::request(Kind::Offer, 0x0102_0304, Mac([2, 0, 0, 0, 0, 1]));
        message.is_reply = true;
        message.broadcast = true;
        message.seconds = 7;
        message.your_address = Ipv4Addr::new(10, 1, 0, 5);
        message.relay = Ipv4Addr::new(10, 9, 0, 1);
        message.client_address = Ipv4Addr::new(10, 1, 0, 4);
        message.options.set(option::SUBNET_MASK, [255, 255, 255, 0]);
        message.options.set(option::ROUTERS, [10, 1, 0, 1]);
        message.options.set(option::DOMAIN_SEARCH, *b"\x03eng\x05apple\x03com\0\x01x\xc0\x04");
        message.options.set(option::CLASSLESS_ROUTES, [24, 10, 1, 2, 10, 0, 0, 1]);
        message.options.set(224, [7; 300]);
        message
    }

    #[test]
    fn a_message_survives_the_way_through_bytes() {
        let message = offer();
        assert_eq!(Message::parse(&message.to_bytes()), Ok(message));
    }

    #[test]
    fn options_go_on_where_the_message_says_so() {
        let mut message = Message::request(Kind::Ack, 1, Mac::default());
        message.options.set(option::OVERLOAD, [3]);
        let mut bytes = message.to_bytes();
        bytes[FILE..FILE + 7].copy_from_slice(&[15, 4, b't', b'e', b's', b't', 255]);
        bytes[SERVER_NAME..SERVER_NAME + 7].copy_from_slice(&[1, 4, 255, 255, 0, 0, 255]);
        let read = Message::parse(&bytes).unwrap();
        assert_eq!(read.options.text(option::DOMAIN_NAME).as_deref(), Some("test"));
        assert_eq!(read.options.prefix_length(), Some(16));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let whole = offer().to_bytes();
        for (position, value) in [(0, 3), (1, 6), (2, 16), (COOKIE, 0), (OPTIONS + 2, 0)] {
            let mut bytes = whole.clone();
            bytes[position] = value;
            assert_eq!(Message::parse(&bytes), Err(InvalidMessage), "byte {position}");
        }
        for length in 0..OPTIONS + 3 {
            assert_eq!(Message::parse(&whole[..length]), Err(InvalidMessage), "{length} bytes");
        }
    }

    /// Reads everything that can be read of a message.
    fn explore(bytes: &[u8]) -> bool {
        let Ok(message) = Message::parse(bytes) else { return false };
        let options = &message.options;
        let _ = (options.classless_routes(), options.classful_routes(), options.search_domains());
        let _ = (options.prefix_length(), options.text(15), options.addresses(6), options.u16(26));
        let _ = crate::Lease::of(&message);
        // What was understood is written so that it is understood in the same way.
        let mut again = message.clone();
        again.options.remove(option::OVERLOAD);
        assert_eq!(Message::parse(&again.to_bytes()), Ok(again));
        true
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let whole = offer().to_bytes();
        let mut random = Random(1);
        let mut understood = 0_u32;
        for _ in 0..30_000 {
            let mut bytes = whole.clone();
            for _ in 0..=random.below(6) {
                // Two times of three among the options.
                let start = if random.below(3) == 0 { 0 } else { OPTIONS };
                let position = start + random.below(bytes.len() - OPTIONS);
                bytes[position] = random.u32().to_be_bytes()[0];
            }
            if random.below(9) == 0 {
                bytes.truncate(bytes.len() - random.below(300));
            }
            understood += u32::from(explore(&bytes));
        }
        assert!(understood > 5_000, "{understood} messages were understood");
    }
}
