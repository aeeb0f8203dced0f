//! What a server grants: an address and for how long. The prefix of its link and the routers there
//! are told by the routers themselves.

use alloc::{string::String, vec::Vec};
use core::{net::Ipv6Addr, time::Duration};

use super::message::{Message, Options, option};
use crate::names;

/// The time that means "for ever".
const INFINITE: u32 = u32::MAX;

/// Shorter times would have us do nothing but renew.
const SHORTEST: Duration = Duration::from_secs(1);

/// The longest identifier of a server: two bytes and 128 (RFC 8415, section 11.1).
const LONGEST_IDENTIFIER: usize = 130;

/// Status codes with which a server says that there is no address.
const NO_ADDRESSES: u16 = 2;
const NO_BINDING: u16 = 3;
const NOT_ON_LINK: u16 = 4;

/// A lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub address: Ipv6Addr,
    /// The server's identifier.
    pub server: Vec<u8>,
    /// Name servers, best first.
    pub name_servers: Vec<Ipv6Addr>,
    /// Domains in which to look names up.
    pub search: Vec<String>,
    /// How long after it was asked for it is renewed, T1; `None`: never.
    pub renewal: Option<Duration>,
    /// When any server is asked to renew it, T2.
    pub rebinding: Option<Duration>,
    /// When it ends; `None` for a lease that does not end.
    pub lifetime: Option<Duration>,
}

/// What a message says about an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Granted(Lease),
    Refused,
}

/// Who sent a message.
pub(super) fn server_of(message: &Message) -> Option<&[u8]> {
    let server = message.options.get(option::SERVER_IDENTIFIER)?;
    (1..=LONGEST_IDENTIFIER).contains(&server.len()).then_some(server)
}

/// What a server says about an address, the one that we have if there is one; `None` if it says
/// nothing, or nothing that makes sense.
pub(super) fn verdict(message: &Message, number: u32, own: Option<Ipv6Addr>) -> Option<Verdict> {
    let server = server_of(message)?;
    if let Some(status) = status(&message.options) {
        return refusal(status);
    }
    let identity = message.options.all(option::IA_NA).find_map(|bytes| {
        let identity = Identity::parse(bytes)?;
        (identity.number == number).then_some(identity)
    })?;
    if let Some(status) = status(&identity.options) {
        return refusal(status);
    }
    let addresses: Vec<Granted> =
        identity.options.all(option::ADDRESS).filter_map(Granted::parse).collect();
    let ours = addresses.iter().find(|granted| Some(granted.address) == own);
    let granted = ours.or_else(|| addresses.iter().find(|granted| granted.valid > 0))?;
    if granted.valid == 0 {
        return Some(Verdict::Refused);
    }
    let (renewal, rebinding) = identity.times(granted);
    Some(Verdict::Granted(Lease {
        address: granted.address,
        server: server.to_vec(),
        name_servers: message.options.addresses(option::NAME_SERVERS),
        search: names::read(message.options.get(option::DOMAINS).unwrap_or_default()),
        renewal: time(renewal),
        rebinding: time(rebinding),
        lifetime: time(granted.valid),
    }))
}

/// A status that is not success.
fn status(options: &Options) -> Option<u16> {
    let (status, _) = options.get(option::STATUS)?.split_first_chunk()?;
    Some(u16::from_be_bytes(*status)).filter(|status| *status != 0)
}

/// Anything else will be asked again.
fn refusal(status: u16) -> Option<Verdict> {
    matches!(status, NO_ADDRESSES | NO_BINDING | NOT_ON_LINK).then_some(Verdict::Refused)
}

fn time(seconds: u32) -> Option<Duration> {
    (seconds != INFINITE).then(|| Duration::from_secs(seconds.into()).max(SHORTEST))
}

fn number(bytes: [u8; 4]) -> u32 {
    u32::from_be_bytes(bytes)
}

/// Addresses that belong together.
struct Identity {
    number: u32,
    renewal: u32,
    rebinding: u32,
    options: Options,
}

impl Identity {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (own, rest) = bytes.split_first_chunk()?;
        let (renewal, rest) = rest.split_first_chunk()?;
        let (rebinding, rest) = rest.split_first_chunk()?;
        Some(Self {
            number: number(*own),
            renewal: number(*renewal),
            rebinding: number(*rebinding),
            options: Options::parse(rest)?,
        })
    }

    /// T1 and T2. Times that the server leaves to us, or that are out of order, are the usual
    /// fractions of the time for which the address is preferred.
    fn times(&self, granted: &Granted) -> (u32, u32) {
        let base = if granted.preferred == 0 { granted.valid } else { granted.preferred };
        let fraction = |tenths| {
            let part = u64::from(base) * tenths / 10;
            if base == INFINITE { base } else { u32::try_from(part).unwrap_or(base) }
        };
        let or = |time: u32, tenths| if time == 0 { fraction(tenths) } else { time };
        let (renewal, rebinding) = (or(self.renewal, 5), or(self.rebinding, 8));
        if renewal <= rebinding && rebinding <= granted.valid {
            return (renewal, rebinding);
        }
        (fraction(5), fraction(8))
    }
}

/// One address.
struct Granted {
    address: Ipv6Addr,
    preferred: u32,
    valid: u32,
}

impl Granted {
    /// An address that a host can have.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (address, rest) = bytes.split_first_chunk::<16>()?;
        let (preferred, rest) = rest.split_first_chunk()?;
        let (valid, _) = rest.split_first_chunk()?;
        let address = Ipv6Addr::from(*address);
        let is_usable = !address.is_unspecified()
            && !address.is_loopback()
            && !address.is_multicast()
            && !address.is_unicast_link_local();
        let granted = Self { address, preferred: number(*preferred), valid: number(*valid) };
        (is_usable && granted.preferred <= granted.valid).then_some(granted)
    }
}
