//! The parts of a result, in the form of the newest version.
//!
//! These types hold no rules; encoding and decoding are next door.

use crate::cidr::Cidr;
use std::net::IpAddr;

/// What an attachment looks like after ADD.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CniResult {
    /// The interfaces that were made or changed, on the host and inside the container.
    pub interfaces: Vec<Interface>,
    /// The addresses.
    pub ips: Vec<IpConfig>,
    /// The routes inside the container.
    pub routes: Vec<RouteConfig>,
    /// The name service; only printed when not empty, except where a version demands it.
    pub dns: Dns,
}

/// One interface of a result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its hardware address, empty when it has none.
    pub mac: String,
    /// Its MTU, 0 when not known. Since 1.1.0.
    pub mtu: u32,
    /// Path of the network namespace it is in, empty for the host.
    pub sandbox: String,
    /// Path of a socket that stands for it. Since 1.1.0.
    pub socket_path: String,
    /// Address of its PCI device. Since 1.1.0.
    pub pci_id: String,
}

/// One address of a result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpConfig {
    /// Index of its interface in [`CniResult::interfaces`].
    pub interface: Option<usize>,
    /// The address with its prefix length.
    pub address: Cidr,
    /// The gateway of its subnet.
    pub gateway: Option<IpAddr>,
}

/// One route of a result. All keys but the first two are new in 1.1.0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteConfig {
    /// Where it leads.
    pub dst: Cidr,
    /// The next hop; without one the gateway of the matching address counts.
    pub gw: Option<IpAddr>,
    /// The path MTU; 0 is the same as none.
    pub mtu: Option<u32>,
    /// The segment size TCP advertises; 0 is the same as none.
    pub advmss: Option<u32>,
    /// The priority, lower wins; 0 is the same as none.
    pub priority: Option<u32>,
    /// The routing table.
    pub table: Option<u32>,
    /// The scope, in the kernel's numbers.
    pub scope: Option<u8>,
}

impl RouteConfig {
    /// A route with a destination and perhaps a next hop, and nothing else.
    pub fn new(dst: Cidr, gw: Option<IpAddr>) -> RouteConfig {
        RouteConfig { dst, gw, ..RouteConfig::default() }
    }
}

/// The name service of a result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dns {
    /// Addresses of name servers.
    pub nameservers: Vec<String>,
    /// The local domain.
    pub domain: String,
    /// The search list.
    pub search: Vec<String>,
    /// Options for the resolver.
    pub options: Vec<String>,
}

impl Dns {
    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.nameservers.is_empty()
            && self.domain.is_empty()
            && self.search.is_empty()
            && self.options.is_empty()
    }
}
