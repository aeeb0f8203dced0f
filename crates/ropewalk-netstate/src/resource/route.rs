//! Routes.

use alloc::vec::Vec;
use core::{fmt, net::IpAddr};

use ropewalk_addr::{IfName, Subnet};

use super::{Comparison, Key, Mismatch};

/// How far a destination is away (rtnetlink(7), `rtm_scope`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteScope(pub u8);

impl RouteScope {
    /// Anywhere.
    pub const UNIVERSE: Self = Self(0);
    /// On the link.
    pub const LINK: Self = Self(253);
    /// This host.
    pub const HOST: Self = Self(254);
}

/// A unicast route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Destination.
    pub destination: Subnet,
    /// Next hop; `None` for a destination on the link.
    pub gateway: Option<IpAddr>,
    /// The link it leaves through.
    pub link: IfName,
    /// Preferred source address.
    pub source: Option<IpAddr>,
    /// Routing table; 254 is the main one.
    pub table: u32,
    /// Priority (metric); 0 is the kernel's default, which for IPv6 is 1024.
    pub priority: u32,
    /// Scope; `None` lets the kernel's habit decide: link without a gateway, else universe.
    pub scope: Option<RouteScope>,
    /// Path MTU in bytes.
    pub mtu: Option<u32>,
    /// Advertised TCP segment size in bytes.
    pub advmss: Option<u32>,
    /// Who made it (rtnetlink(7), `rtm_protocol`); `None` for an administrator. Not compared.
    pub protocol: Option<u8>,
    /// Whether the gateway is on the link although no address says so. Not compared.
    pub onlink: bool,
    /// All next hops of an IPv4 route that has several through the link; `gateway` is the first
    /// one's. Empty for a route with one. IPv6 has a route for each hop.
    pub hops: Vec<Hop>,
    /// Whether a route of the same destination, table and priority through another link is as
    /// good. The kernel would make one IPv6 route of both, and spread connections over the links.
    pub yields: bool,
}

/// One of several next hops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The next hop; `None` for a destination on the link.
    pub gateway: Option<IpAddr>,
    /// Its share of the packets, from 1 to 256.
    pub weight: u16,
}

impl Route {
    /// The main routing table.
    pub const MAIN_TABLE: u32 = 254;

    /// The kernel's own routing tables: default, main and local.
    pub const KERNEL_TABLES: core::ops::RangeInclusive<u32> = 253..=255;

    /// A route in the main table with defaults otherwise.
    pub fn new(destination: Subnet, gateway: Option<IpAddr>, link: IfName) -> Self {
        Self {
            destination,
            gateway,
            link,
            source: None,
            table: Self::MAIN_TABLE,
            priority: 0,
            scope: None,
            mtu: None,
            advmss: None,
            protocol: None,
            onlink: false,
            hops: Vec::new(),
            yields: false,
        }
    }

    pub(crate) fn key(&self) -> Key {
        Key::Route(self.destination, self.table, self.priority, self.gateway, self.link.clone())
    }

    pub(crate) fn compare(&self, found: &Self) -> Vec<Mismatch> {
        Comparison::default()
            .wanted("source", self.source.as_ref(), found.source.as_ref())
            .wanted("scope", self.scope.as_ref(), found.scope.as_ref())
            .wanted("mtu", self.mtu.as_ref(), found.mtu.as_ref())
            .wanted("advmss", self.advmss.as_ref(), found.advmss.as_ref())
            .wanted("hops", Some(&self.hops).filter(|hops| !hops.is_empty()), Some(&found.hops))
            .finish()
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "route {}", self.destination)?;
        if let Some(gateway) = self.gateway {
            write!(f, " via {gateway}")?;
        }
        write!(f, " dev {}", self.link)?;
        if self.table != Self::MAIN_TABLE {
            write!(f, " table {}", self.table)?;
        }
        Ok(())
    }
}
