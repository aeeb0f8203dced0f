//! Books of addresses against the addresses that containers have.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};
use core::net::IpAddr;

/// A book of addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// What kind they are: `host-local`, `sql`.
    pub kind: &'static str,
    /// The words that name them on the command line.
    pub url: String,
    /// This host's name in them.
    pub host: String,
    /// Leases that are held, and reservations, of all hosts.
    pub leases: Vec<Lease>,
    /// Pools; a folder knows none.
    pub pools: Vec<Pool>,
}

/// Addresses that are given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The space of addresses.
    pub space: String,
    /// The first and last address.
    pub ends: (IpAddr, IpAddr),
}

/// A lease.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lease {
    /// The address.
    pub ip: IpAddr,
    /// The space of addresses.
    pub space: String,
    /// The host it is for; empty if nobody knows.
    pub host: String,
    /// The network's name.
    pub network: String,
    /// The container's id.
    pub container: String,
    /// The interface in the container.
    pub interface: String,
    /// Since when, in seconds since 1970.
    pub since: u64,
    /// Whether somebody has it now; it is reserved otherwise.
    pub is_held: bool,
}

impl Lease {
    /// Who has it, in one word.
    pub fn holder(&self) -> String {
        format!("{}/{}/{}", self.network, self.container, self.interface)
    }
}

/// Where each address is, by the names of namespaces.
pub type Found = BTreeMap<IpAddr, Vec<String>>;

/// How books and containers disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An address is in more namespaces than it is leased for.
    Duplicate,
    /// An address of a pool is in a container, and not leased here.
    Stranger,
    /// A lease of this host is in no container.
    Leak,
}

impl Kind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Stranger => "stranger",
            Self::Leak => "leak",
        }
    }
}

/// Something that does not go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement<'a> {
    /// How.
    pub kind: Kind,
    /// About which address.
    pub ip: IpAddr,
    /// The rest of the sentence that begins with the address.
    pub text: String,
    /// The lease, if it is about one.
    pub lease: Option<&'a Lease>,
    /// The space of addresses, where the lease or a pool tells it.
    pub space: Option<&'a str>,
}

/// What does not go together.
pub fn judge<'a>(found: &Found, books: &'a Books) -> Vec<Disagreement<'a>> {
    let mut all = Vec::new();
    let mut add = |kind, ip, text, lease: Option<&'a Lease>| {
        let pool = || books.pool(ip).map(|pool| pool.space.as_str());
        let space = lease.map(|lease| lease.space.as_str()).or_else(pool);
        all.push(Disagreement { kind, ip, text, lease, space });
    };
    let leases = &books.leases;
    let held: BTreeMap<IpAddr, &Lease> = leases.iter().map(|lease| (lease.ip, lease)).collect();
    let spaces = |ip: IpAddr| leases.iter().filter(|lease| lease.ip == ip).count();
    for (&ip, places) in found {
        if places.len() > 1.max(spaces(ip)) && books.pool(ip).is_some() {
            add(Kind::Duplicate, ip, format!("is in {}", places.join(" and ")), None);
        }
        // What is reserved is given to nobody else, and a lease of an unknown host may be ours.
        let is_own = |lease: &Lease| {
            let is_here = lease.host == books.host || lease.host.is_empty();
            lease.ip == ip && (is_here || !lease.is_held)
        };
        match held.get(&ip) {
            None if books.pool(ip).is_some() => {
                let text = format!("is in {}, and not leased", places.join(", "));
                add(Kind::Stranger, ip, text, None);
            }
            Some(lease) if !leases.iter().any(is_own) => {
                let text = format!("is in {}, but leased on {}", places.join(", "), lease.host);
                add(Kind::Stranger, ip, text, Some(lease));
            }
            _ => {}
        }
    }
    let own = leases.iter().filter(|lease| lease.host == books.host && lease.is_held);
    for lease in own.filter(|lease| !found.contains_key(&lease.ip)) {
        let text = format!("is leased to {}, and in no namespace", lease.holder());
        add(Kind::Leak, lease.ip, text, Some(lease));
    }
    all
}

impl Books {
    fn pool(&self, ip: IpAddr) -> Option<&Pool> {
        self.pools.iter().find(|Pool { ends: (first, last), .. }| {
            first.is_ipv4() == ip.is_ipv4() && (*first..=*last).contains(&ip)
        })
    }
}
