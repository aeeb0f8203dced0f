//! Printing results in any version.
//!
//! The newest versions sort every object's keys and leave an empty `dns` out; up to
//! 0.4.0 keys stand in the order of their declaration and `dns` is always there. It must
//! never invent content.

use super::types::{CniResult, Dns, Interface, IpConfig, RouteConfig};
use crate::error::CniError;
use crate::ordered::Node;
use crate::version::{Family, Version};
use serde_json::Value;
use std::net::IpAddr;

type Pairs = Vec<(String, Node)>;

impl CniResult {
    /// The result as text for standard output: indented by four blanks, no newline at
    /// the end.
    ///
    /// # Errors
    ///
    /// Code 999 `cannot convert: no valid IP addresses` for a result without addresses
    /// in 0.1.0 or 0.2.0, which cannot express that.
    pub fn to_json(&self, version: Version) -> Result<String, CniError> {
        Ok(self.to_node(version)?.pretty())
    }

    /// The result as a JSON value, for `prevResult` and the cache.
    ///
    /// # Errors
    ///
    /// As [`CniResult::to_json`].
    pub fn to_value(&self, version: Version) -> Result<Value, CniError> {
        Ok(self.to_node(version)?.into_value())
    }

    fn to_node(&self, version: Version) -> Result<Node, CniError> {
        let mut pairs = vec![("cniVersion".to_owned(), Node::text(version.as_str()))];
        match version.family() {
            Family::OneAddressEach => self.add_one_address_each(&mut pairs)?,
            Family::VersionedAddresses => {
                add_list(&mut pairs, "interfaces", &self.interfaces, interface_before_1_0);
                add_list(&mut pairs, "ips", &self.ips, address_before_1_0);
                add_list(&mut pairs, "routes", &self.routes, route);
                add(&mut pairs, "dns", dns(&self.dns));
            }
            Family::Current => {
                add_list(&mut pairs, "interfaces", &self.interfaces, interface);
                add_list(&mut pairs, "ips", &self.ips, |ip| Node::Object(address(ip)));
                add_list(&mut pairs, "routes", &self.routes, route);
                if !self.dns.is_empty() {
                    add(&mut pairs, "dns", dns(&self.dns));
                }
                return Ok(Node::Object(pairs).sorted());
            }
        }
        Ok(Node::Object(pairs))
    }

    /// The first address of each family, each with the routes of its family.
    fn add_one_address_each(&self, pairs: &mut Pairs) -> Result<(), CniError> {
        let first = |wanted: fn(&IpAddr) -> bool| self.ips.iter().find(|ip| wanted(&ip.address.ip));
        let (ip4, ip6) = (first(IpAddr::is_ipv4), first(IpAddr::is_ipv6));
        if ip4.is_none() && ip6.is_none() {
            return Err(CniError::internal("cannot convert: no valid IP addresses"));
        }
        for (key, ip) in [("ip4", ip4), ("ip6", ip6)] {
            let Some(ip) = ip else { continue };
            let mut inner = Pairs::new();
            add(&mut inner, "ip", Node::text(ip.address.to_string()));
            add_address(&mut inner, "gateway", ip.gateway);
            let family = ip.address.ip.is_ipv4();
            let routes = self.routes.iter().filter(|route| route.dst.ip.is_ipv4() == family);
            let routes: Vec<&RouteConfig> = routes.collect();
            add_list(&mut inner, "routes", &routes, |route| Node::Object(bare_route(route)));
            add(pairs, key, Node::Object(inner));
        }
        add(pairs, "dns", dns(&self.dns));
        Ok(())
    }
}

fn interface(interface: &Interface) -> Node {
    let mut pairs = vec![("name".to_owned(), Node::text(&interface.name))];
    add_text(&mut pairs, "mac", &interface.mac);
    add_number(&mut pairs, "mtu", Some(interface.mtu).filter(|mtu| *mtu != 0));
    add_text(&mut pairs, "sandbox", &interface.sandbox);
    add_text(&mut pairs, "socketPath", &interface.socket_path);
    add_text(&mut pairs, "pciID", &interface.pci_id);
    Node::Object(pairs)
}

fn interface_before_1_0(interface: &Interface) -> Node {
    let mut pairs = vec![("name".to_owned(), Node::text(&interface.name))];
    add_text(&mut pairs, "mac", &interface.mac);
    add_text(&mut pairs, "sandbox", &interface.sandbox);
    Node::Object(pairs)
}

fn address(ip: &IpConfig) -> Pairs {
    let mut pairs = Pairs::new();
    add_number(&mut pairs, "interface", ip.interface);
    add(&mut pairs, "address", Node::text(ip.address.to_string()));
    add_address(&mut pairs, "gateway", ip.gateway);
    pairs
}

fn address_before_1_0(ip: &IpConfig) -> Node {
    let version = if ip.address.ip.is_ipv4() { "4" } else { "6" };
    let mut pairs = vec![("version".to_owned(), Node::text(version))];
    pairs.extend(address(ip));
    Node::Object(pairs)
}

fn bare_route(route: &RouteConfig) -> Pairs {
    let mut pairs = vec![("dst".to_owned(), Node::text(route.dst.to_string()))];
    add_address(&mut pairs, "gw", route.gw);
    pairs
}

fn route(route: &RouteConfig) -> Node {
    let mut pairs = bare_route(route);
    for (key, number) in
        [("mtu", route.mtu), ("advmss", route.advmss), ("priority", route.priority)]
    {
        add_number(&mut pairs, key, number.filter(|number| *number != 0));
    }
    add_number(&mut pairs, "table", route.table);
    add_number(&mut pairs, "scope", route.scope);
    Node::Object(pairs)
}

fn dns(dns: &Dns) -> Node {
    let mut pairs = Pairs::new();
    add_list(&mut pairs, "nameservers", &dns.nameservers, Node::text);
    add_text(&mut pairs, "domain", &dns.domain);
    add_list(&mut pairs, "search", &dns.search, Node::text);
    add_list(&mut pairs, "options", &dns.options, Node::text);
    Node::Object(pairs)
}

fn add(pairs: &mut Pairs, key: &str, node: Node) {
    pairs.push((key.to_owned(), node));
}

fn add_text(pairs: &mut Pairs, key: &str, text: &str) {
    if !text.is_empty() {
        add(pairs, key, Node::text(text));
    }
}

fn add_number(pairs: &mut Pairs, key: &str, number: Option<impl Into<serde_json::Number>>) {
    if let Some(number) = number {
        add(pairs, key, Node::number(number));
    }
}

fn add_address(pairs: &mut Pairs, key: &str, address: Option<IpAddr>) {
    if let Some(address) = address {
        add(pairs, key, Node::text(address.to_string()));
    }
}

/// Adds a list unless it is empty.
fn add_list<'t, T>(pairs: &mut Pairs, key: &str, items: &'t [T], node: impl Fn(&'t T) -> Node) {
    if !items.is_empty() {
        add(pairs, key, Node::Array(items.iter().map(node).collect()));
    }
}
