//! What a server grants: an address, for how long, and what is needed to use it.

use alloc::{string::String, vec::Vec};
use core::{net::Ipv4Addr, time::Duration};

use crate::{
    message::{Kind, Message},
    names, option,
};

/// A lease without a time is taken for one of an hour, as the reference plugin does.
const DEFAULT_LIFETIME: Duration = Duration::from_hours(1);

/// The time that means "for ever".
const INFINITE: Duration = Duration::from_secs(u32::MAX as u64);

/// Shorter times would have us do nothing but renew.
const SHORTEST: Duration = Duration::from_secs(1);

/// An MTU below this is a mistake: IPv4 has to pass (RFC 791).
const SMALLEST_MTU: u16 = 68;

/// A route that a server gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticRoute {
    /// Where it leads.
    pub destination: Ipv4Addr,
    /// How many bits of that count.
    pub prefix_length: u8,
    /// The next hop; unspecified for a network that is on the link.
    pub router: Ipv4Addr,
}

/// A lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub address: Ipv4Addr,
    /// The server.
    pub server: Ipv4Addr,
    /// How many bits of the address name its network; `None` if the server did not say.
    pub prefix_length: Option<u8>,
    /// Routers, best first.
    pub routers: Vec<Ipv4Addr>,
    /// Routes: those with masks alone if there are any, else those of a class and the default one.
    pub routes: Vec<StaticRoute>,
    /// Name servers, best first.
    pub name_servers: Vec<Ipv4Addr>,
    /// The domain.
    pub domain: Option<String>,
    /// Domains in which to look names up.
    pub search: Vec<String>,
    /// The link's MTU.
    pub mtu: Option<u16>,
    /// How long after it was asked for it is renewed, T1; `None` for a lease that does not end.
    pub renewal: Option<Duration>,
    /// When any server is asked to renew it, T2.
    pub rebinding: Option<Duration>,
    /// When it ends.
    pub lifetime: Option<Duration>,
}

impl Lease {
    /// The lease that an acknowledgement or an offer grants; `None` if it has no address or does
    /// not name its server.
    pub fn of(message: &Message) -> Option<Self> {
        if !matches!(message.kind, Kind::Ack | Kind::Offer) || message.your_address.is_unspecified()
        {
            return None;
        }
        let options = &message.options;
        let (renewal, rebinding, lifetime) = times(message);
        Some(Self {
            address: message.your_address,
            server: options.address(option::SERVER_IDENTIFIER)?,
            prefix_length: options.prefix_length(),
            routers: options.addresses(option::ROUTERS),
            routes: routes(message),
            name_servers: options.addresses(option::NAME_SERVERS),
            domain: options.text(option::DOMAIN_NAME).filter(|domain| names::is_plain(domain)),
            search: options.search_domains(),
            mtu: options.u16(option::INTERFACE_MTU).filter(|mtu| *mtu >= SMALLEST_MTU),
            renewal,
            rebinding,
            lifetime,
        })
    }
}

impl Lease {
    /// Whether an address is in the network of the leased one.
    pub(crate) fn is_on_link(&self, other: Ipv4Addr) -> bool {
        let length = u32::from(self.prefix_length.unwrap_or(32));
        let mask = u32::MAX.checked_shl(32 - length).unwrap_or_default();
        u32::from(self.address) & mask == u32::from(other) & mask
    }
}

/// T1, T2 and the end. Times that are out of order are replaced by the usual fractions.
fn times(message: &Message) -> (Option<Duration>, Option<Duration>, Option<Duration>) {
    let options = &message.options;
    let lifetime = options.seconds(option::LEASE_TIME).unwrap_or(DEFAULT_LIFETIME);
    if lifetime == INFINITE {
        return (None, None, None);
    }
    let rebinding = options.seconds(option::REBINDING_TIME).filter(|time| *time <= lifetime);
    let lifetime = lifetime.max(SHORTEST);
    let rebinding = rebinding.unwrap_or(lifetime * 7 / 8).max(SHORTEST);
    let renewal = options.seconds(option::RENEWAL_TIME).filter(|time| *time <= rebinding);
    let renewal = renewal.unwrap_or(lifetime / 2).max(SHORTEST).min(rebinding);
    (Some(renewal), Some(rebinding), Some(lifetime))
}

/// Option 121 replaces the others (RFC 3442).
fn routes(message: &Message) -> Vec<StaticRoute> {
    let options = &message.options;
    if let Some(routes) = options.classless_routes() {
        return routes;
    }
    let default = options.addresses(option::ROUTERS).first().map(|router| StaticRoute {
        destination: Ipv4Addr::UNSPECIFIED,
        prefix_length: 0,
        router: *router,
    });
    options.classful_routes().into_iter().chain(default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ropewalk_addr::Mac;

    fn ack(options: &[(u8, &[u8])]) -> Message {
        let mut message = Message::request(Kind::Ack, 1, Mac::default());
        message.is_reply = true;
        message.your_address = Ipv4Addr::new(10, 1, 0, 5);
        message.options.set(option::SERVER_IDENTIFIER, [10, 1, 0, 1]);
        for (code, bytes) in options {
            message.options.set(*code, *bytes);
        }
        message
    }

    fn times(options: &[(u8, &[u8])]) -> [Option<u64>; 3] {
        let lease = Lease::of(&ack(options)).unwrap();
        [lease.renewal, lease.rebinding, lease.lifetime].map(|time| time.map(|time| time.as_secs()))
    }

    #[test]
    fn times_have_defaults_and_an_order() {
        assert_eq!(times(&[]), [Some(1800), Some(3150), Some(3600)]);
        let lifetime = (option::LEASE_TIME, &[0, 0, 0, 80][..]);
        assert_eq!(times(&[lifetime]), [Some(40), Some(70), Some(80)]);
        let renewal = (option::RENEWAL_TIME, &[0, 0, 0, 20][..]);
        let rebinding = (option::REBINDING_TIME, &[0, 0, 0, 60][..]);
        assert_eq!(times(&[lifetime, renewal, rebinding]), [Some(20), Some(60), Some(80)]);
        let late = (option::RENEWAL_TIME, &[0, 0, 0, 90][..]);
        assert_eq!(times(&[lifetime, late, rebinding]), [Some(40), Some(60), Some(80)]);
        assert_eq!(times(&[(option::LEASE_TIME, &[255; 4])]), [None; 3]);
        let nothing = [option::LEASE_TIME, option::RENEWAL_TIME, option::REBINDING_TIME];
        assert_eq!(times(&nothing.map(|code| (code, &[0; 4][..]))), [Some(1); 3]);
    }

    #[test]
    fn routes_with_masks_replace_the_others() {
        let classful = (option::STATIC_ROUTES, &[10, 0, 0, 0, 10, 1, 0, 9][..]);
        let routers = (option::ROUTERS, &[10, 1, 0, 1, 10, 1, 0, 2][..]);
        let classless = (option::CLASSLESS_ROUTES, &[8, 11, 10, 1, 0, 7][..]);
        let routers_of = |options: &[(u8, &[u8])]| -> Vec<u8> {
            let lease = Lease::of(&ack(options)).unwrap();
            lease.routes.iter().map(|route| route.router.octets()[3]).collect()
        };
        assert_eq!(routers_of(&[classful, routers]), [9, 1]);
        assert_eq!(routers_of(&[classful, routers, classless]), [7]);
    }

    /// What a server says ends in a file that resolvers read.
    #[test]
    fn a_domain_is_a_name_and_nothing_else() {
        let domain = |text: &[u8]| Lease::of(&ack(&[(option::DOMAIN_NAME, text)])).unwrap().domain;
        assert_eq!(domain(b"net_1.example.org").as_deref(), Some("net_1.example.org"));
        assert_eq!(domain(b"example.org\nnameserver 10.6.6.6"), None);
    }

    #[test]
    fn a_lease_has_an_address_and_a_server() {
        assert!(Lease::of(&ack(&[])).is_some());
        assert_eq!(Lease::of(&ack(&[(option::SERVER_IDENTIFIER, &[1])])), None);
        let nothing = Message { your_address: Ipv4Addr::UNSPECIFIED, ..ack(&[]) };
        assert_eq!(Lease::of(&nothing), None);
    }
}
