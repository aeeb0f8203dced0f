//! The plugin `sbr` (source based routing): what a container sends from an address of the
//! interface leaves through the interface. Each address has a rule and a table of its own, and the
//! interface's routes move from the main table into these.

mod config;
mod keys;
mod tables;

use std::net::IpAddr;

use ropewalk_addr::{Family, Prefix, Subnet};
use ropewalk_cni::{CniError, CniResult, Request, RouteConfig};
use ropewalk_linux::{Linux, Routing};
use ropewalk_netstate::{
    Desired, Lifetime, Observed, Place, Resource,
    resource::{Await, Route, RouteAbsence, RouteScope, RoutingRule, Until},
};

use self::{config::Config, tables::Tables};
use crate::{
    device::{Attachment, Device, Facts, Given},
    layer3,
};

pub(crate) use keys::DESCRIPTION;

/// A route that the kernel made because a router announced it (`RTPROT_RA`).
const ANNOUNCED: u8 = 9;
/// How long the kernel may take to finish duplicate address detection.
const ADDRESSES_DEADLINE_MS: u32 = 5_000;

struct Sbr {
    config: Config,
}

/// An address of the interface.
struct Own {
    prefix: Prefix,
    gateway: Option<IpAddr>,
    table: u32,
}

impl Own {
    fn source(&self) -> Subnet {
        Prefix::host(self.prefix.ip()).subnet()
    }

    fn has_subnet(&self) -> bool {
        self.prefix.length() < self.prefix.family().bits()
    }
}

/// Reads the configuration.
pub(crate) fn load(request: &Request) -> Result<Box<dyn Device>, CniError> {
    Ok(Box::new(Sbr { config: Config::read(request)? }))
}

impl Device for Sbr {
    fn is_chained(&self) -> bool {
        true
    }

    /// Free tables are looked for with the sandbox locked, so that two ADDs never take the same.
    fn facts(&self, kernel: &mut Linux, attachment: &Attachment, _: Option<&CniResult>) -> Facts {
        let locked = kernel.lock_sandbox();
        let routing = locked.and_then(|()| kernel.routing(Place::Sandbox, &attachment.ifname));
        Facts { routing: routing.map_err(|error| error.to_string()), ..Facts::default() }
    }

    fn declare(&self, attachment: &Attachment, given: &Given) -> Result<Desired, CniError> {
        let routing = given.facts.routing.as_ref();
        let routing = routing.map_err(|error| {
            CniError::internal(format!("failed to read the routes of the sandbox: {error}"))
        })?;
        if given.deleting {
            return Ok(self.declare_owned(attachment, given, routing));
        }
        let Some(previous) = &given.previous else {
            return Err(CniError::internal("This plugin must be called as chained plugin"));
        };
        let name = &attachment.ifname;
        let addresses = self.addresses(attachment, previous, routing);
        if addresses.is_empty() {
            let message = format!("No IP addresses supplied on interface: {name}");
            return Err(CniError::internal(message));
        }
        if !routing.has_link {
            let message = format!("Cannot find network interface {name}: Link not found");
            return Err(CniError::internal(message));
        }
        let mut desired = Desired::new();
        for own in &addresses {
            let rule = rule(own.source(), own.table);
            desired.push(Place::Sandbox, Lifetime::Attachment, rule);
        }
        if self.config.table.is_none() {
            self.declare_tables(&mut desired, attachment, (previous, routing), &addresses);
            self.declare_main(&mut desired, attachment, routing, &addresses);
        }
        Ok(desired)
    }

    /// The previous result; a route that was moved tells the table that it is in now, where the
    /// CHECK of the plugin that made it looks.
    fn result(&self, attachment: &Attachment, given: &Given, _: &Observed) -> CniResult {
        let mut result = given.previous.clone().unwrap_or_default();
        let Ok(routing) = &given.facts.routing else { return result };
        let addresses = self.addresses(attachment, &result, routing);
        let hints = self.hints(attachment, &addresses);
        let moved: Vec<Resource> = self.moved(routing, &addresses, &hints).collect();
        let mut routes = Vec::new();
        for route in &result.routes {
            let made = layer3::route_of(route, &attachment.ifname, &result);
            let key = Resource::from(RouteAbsence(made.clone())).key();
            if moved.iter().any(|absence| absence.key() == key) {
                let owners = addresses.iter().filter(|own| belongs(&made, own, &addresses));
                let named = self.config.gateway(made.destination.family());
                let gw = named.filter(|_| made.destination.is_default()).or(route.gw);
                let tables = owners.map(|own| Some(own.table));
                routes.extend(tables.map(|table| RouteConfig { table, gw, ..route.clone() }));
            } else {
                routes.push(route.clone());
            }
        }
        result.routes = routes;
        result
    }
}

impl Sbr {
    /// The interface's addresses in a result, each with its table.
    fn addresses(
        &self,
        attachment: &Attachment,
        result: &CniResult,
        routing: &Routing,
    ) -> Vec<Own> {
        let mut tables = Tables::new(self.config.table, routing);
        let own = layer3::of_interface(result, &attachment.ifname, &attachment.netns);
        let addresses = own.ips.iter().map(|ip| {
            let prefix = layer3::prefix(ip.address);
            let gateway = ip.gateway.filter(|gateway| Family::of(*gateway) == prefix.family());
            Own { prefix, gateway, table: tables.of(prefix.ip()) }
        });
        addresses.collect()
    }

    /// The routes in the tables of the addresses.
    fn declare_tables(
        &self,
        desired: &mut Desired,
        attachment: &Attachment,
        (previous, routing): (&CniResult, &Routing),
        addresses: &[Own],
    ) {
        let hints = self.hints(attachment, addresses);
        let main: Vec<&Route> = main_routes(routing, &hints).map(|found| found.0).collect();
        for own in addresses {
            let mut route = |route: Route| {
                let route = Route { table: own.table, ..route };
                desired.push(Place::Sandbox, Lifetime::Dependent, route);
            };
            let family = own.prefix.family();
            let is_default = |route: &Route| route.destination == Subnet::default_route(family);
            let named = self.config.gateway(family);
            let copied = main.iter().filter(|route| belongs(route, own, addresses));
            let copied = copied.filter(|route| !(named.is_some() && is_default(route)));
            let copied: Vec<&Route> = copied.copied().collect();
            let has_default = copied.iter().any(|route| is_default(route))
                || routes_in_table(own, routing).any(is_default);
            for copied in copied {
                route(copied.clone());
            }
            if let Some(gateway) = named.or(own.gateway.filter(|_| !has_default)) {
                let destination = Subnet::default_route(family);
                route(Route::new(destination, Some(gateway), attachment.ifname.clone()));
            }
            let moved = previous.routes.iter().filter(|route| route.table == Some(own.table));
            moved.for_each(|moved| route(layer3::route_of(moved, &attachment.ifname, previous)));
            if lost_its_subnet(own, routing) {
                route(Route::new(own.prefix.subnet(), None, attachment.ifname.clone()));
            }
        }
    }

    /// What the main table keeps and what it loses.
    fn declare_main(
        &self,
        desired: &mut Desired,
        attachment: &Attachment,
        routing: &Routing,
        addresses: &[Own],
    ) {
        let hints = self.hints(attachment, addresses);
        if hints.iter().any(|hint| hint.destination.family() == Family::V6) {
            // The kernel takes no source address that is still being looked for.
            let link = attachment.ifname.clone();
            let wait = Await::new(link, Until::AddressesReady, ADDRESSES_DEADLINE_MS);
            desired.push(Place::Sandbox, Lifetime::Dependent, wait);
        }
        for absence in self.moved(routing, addresses, &hints) {
            desired.push(Place::Sandbox, Lifetime::Dependent, absence);
        }
        for hint in hints {
            desired.push(Place::Sandbox, Lifetime::Dependent, hint);
        }
    }

    /// The ways to the interface's subnets that stay in the main table, with the source to use.
    fn hints(&self, attachment: &Attachment, addresses: &[Own]) -> Vec<Route> {
        let own = addresses.iter().filter(|own| self.config.source_hints && own.has_subnet());
        own.map(|own| Route {
            source: Some(own.prefix.ip()),
            scope: (own.prefix.family() == Family::V4).then_some(RouteScope::LINK),
            ..Route::new(own.prefix.subnet(), None, attachment.ifname.clone())
        })
        .collect()
    }

    /// The routes that leave the main table, those that others are reached through last.
    fn moved<'a>(
        &'a self,
        routing: &'a Routing,
        addresses: &'a [Own],
        hints: &'a [Route],
    ) -> impl Iterator<Item = Resource> + 'a {
        let stays = |route: &Route| {
            let is_near = route.gateway.is_none() && route.destination.family() == Family::V4;
            self.config.keep_main
                || self.config.table.is_some()
                || is_link_local(route)
                || (self.config.source_hints && is_near)
                || !addresses.iter().any(|own| belongs(route, own, addresses))
                || (route.protocol == Some(ANNOUNCED)
                    && addresses.iter().any(|own| is_made(own, routing)))
        };
        let all: Vec<_> = main_routes(routing, hints).collect();
        let moved = all.into_iter().rev().filter(|(_, is_shared)| !is_shared);
        let moved = moved.filter(move |(route, _)| !stays(route));
        moved.map(|(route, _)| RouteAbsence(route.clone()).into())
    }

    /// At DEL: the rules for any address that the interface has or had, and those that lead to
    /// tables that nobody else has a route in. Routes go with the link.
    fn declare_owned(&self, attachment: &Attachment, given: &Given, routing: &Routing) -> Desired {
        let known = given.previous.iter().flat_map(|previous| {
            layer3::of_interface(previous, &attachment.ifname, &attachment.netns).ips
        });
        let known = known.map(|ip| ip.address.ip).chain(given.leased.iter().copied());
        let present = routing.addresses.iter().map(|address| address.prefix.ip());
        let mut tables = Tables::new(self.config.table, routing);
        let mut desired = Desired::new();
        for ip in known.chain(present) {
            let source = Prefix::host(ip).subnet();
            for table in tables.all_of(ip) {
                desired.push(Place::Sandbox, Lifetime::Attachment, rule(source, table));
            }
        }
        for found in tables.rules_to_own_tables() {
            desired.push(Place::Sandbox, Lifetime::Attachment, found);
        }
        desired
    }
}

fn rule(source: Subnet, table: u32) -> RoutingRule {
    RoutingRule { source, table, priority: None }
}

/// The routes in the main table that others made, and whether they have hops through other links.
fn main_routes<'a>(
    routing: &'a Routing,
    hints: &'a [Route],
) -> impl Iterator<Item = (&'a Route, bool)> {
    let key = |route: &Route| Resource::from(route.clone()).key();
    // The kernel's own route to an IPv4 subnet is the hint already.
    let is_hint = move |route: &Route| {
        let family = route.destination.family();
        family == Family::V6 && hints.iter().any(|hint| key(hint) == key(route))
    };
    let main = routing.routes.iter().filter(|found| found.route.table == Route::MAIN_TABLE);
    let main = main.filter(move |found| !is_hint(&found.route));
    main.map(|found| (&found.route, found.shared))
}

/// Whether a route is for what is sent from an address: from its subnet, or through a gateway in
/// its subnet, or, where neither is told or the gateway is in nobody's, from any address.
fn belongs(route: &Route, own: &Own, addresses: &[Own]) -> bool {
    let subnet = own.prefix.subnet();
    if route.destination.family() != subnet.family() {
        return false;
    }
    let is_in_any =
        |ip: IpAddr| addresses.iter().any(|address| address.prefix.subnet().contains(ip));
    match (route.source, route.gateway) {
        (Some(source), _) => subnet.contains(source),
        (None, Some(gateway)) if is_in_any(gateway) => subnet.contains(gateway),
        (None, _) => true,
    }
}

/// Every IPv6 link has these addresses, and only the main table leads to them.
fn is_link_local(route: &Route) -> bool {
    match route.destination.ip() {
        IpAddr::V4(_) => false,
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

/// Whether the ADD was before.
fn is_made(own: &Own, routing: &Routing) -> bool {
    let (source, table) = (own.source(), own.table);
    routing.rules.iter().any(|rule| (rule.source, rule.table) == (source, table))
}

/// The routes that an ADD has put into an address's table.
fn routes_in_table<'a>(own: &Own, routing: &'a Routing) -> impl Iterator<Item = &'a Route> {
    let (is_made, table) = (is_made(own, routing), own.table);
    let all = routing.routes.iter().map(|found| &found.route);
    all.filter(move |route| is_made && route.table == table)
}

/// Whether an address that the kernel makes a route to the subnet for has none in its table.
fn lost_its_subnet(own: &Own, routing: &Routing) -> bool {
    let mut present = routing.addresses.iter();
    let subnet = own.prefix.subnet();
    is_made(own, routing)
        && own.has_subnet()
        && present.any(|address| address.prefix == own.prefix && address.has_route)
        && !routes_in_table(own, routing).any(|route| route.destination == subnet)
}
