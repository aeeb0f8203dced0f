//! What a place's routing is like around one link: a question of plugins that move routes.

use std::collections::BTreeSet;

use ropewalk_addr::{Family, IfName, Prefix};
use ropewalk_netstate::{
    KernelError, Place,
    resource::{Route, RoutingRule},
};

use rustix::fs::FlockOperation;

use super::{Linux, observe::absent_is_none, place::namespace_error};
use crate::translate::{route, routing_rule};

/// Routing around one link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routing {
    /// Whether there is such a link.
    pub has_link: bool,
    /// The link's addresses, without those that the kernel gives it by itself.
    pub addresses: Vec<LinkAddress>,
    /// The routes through the link, in all tables; those that reach the gateways of others first.
    pub routes: Vec<LinkRoute>,
    /// The rules that ask for a source only.
    pub rules: Vec<RoutingRule>,
    /// The tables that some rule or route uses.
    pub used_tables: BTreeSet<u32>,
    /// The tables with routes that are not, or not only, through the link.
    pub foreign_tables: BTreeSet<u32>,
}

/// An address of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkAddress {
    /// Address and prefix length.
    pub prefix: Prefix,
    /// Whether the kernel makes a route to its subnet.
    pub has_route: bool,
}

/// A route through a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRoute {
    /// The route, as far as it is through the link.
    pub route: Route,
    /// Whether some of its next hops are through other links.
    pub shared: bool,
}

impl Linux {
    /// What routing is like around a link; nothing where the place is gone.
    pub fn routing(&mut self, place: Place, link: &IfName) -> Result<Routing, KernelError> {
        let mut routing = Routing::default();
        if !self.is_there(place)? {
            return Ok(routing);
        }
        let index = self.find_link(place, link)?.map(|found| found.index);
        if let Some(index) = index {
            routing.has_link = true;
            let own = self.addresses(place, None, index)?.into_iter();
            let own = own.filter(|address| !address.is_link_local());
            routing.addresses = own
                .map(|address| LinkAddress {
                    prefix: address.prefix,
                    has_route: address.has_prefix_route(),
                })
                .collect();
        }
        for family in [Family::V4, Family::V6] {
            self.read_routes(place, family, (link, index), &mut routing)?;
            let rules = self.route(place)?.dump(&routing_rule::list(family), routing_rule::read);
            let rules = absent_is_none(rules.map(Some))?.unwrap_or_default();
            routing.used_tables.extend(rules.iter().map(|rule| rule.table));
            routing.rules.extend(rules.into_iter().filter_map(routing_rule::FoundRule::resource));
        }
        routing.routes.sort_by_key(|found| found.route.gateway.is_some());
        Ok(routing)
    }

    fn read_routes(
        &mut self,
        place: Place,
        family: Family,
        (link, index): (&IfName, Option<u32>),
        routing: &mut Routing,
    ) -> Result<(), KernelError> {
        let routes = self.route(place)?.dump(&route::list_all(family), route::read).map(Some);
        let routes = absent_is_none(routes)?.unwrap_or_default();
        for found in routes.into_iter().flatten() {
            routing.used_tables.insert(found.table);
            let is_own = index.is_some() && found.link == index;
            if !is_own {
                routing.foreign_tables.insert(found.table);
            } else if found.is_unicast()
                && let Some(route) = found.through(link)
            {
                routing.routes.push(LinkRoute { route, shared: found.is_shared() });
            }
        }
        Ok(())
    }

    /// Waits until nobody else has the sandbox locked, and locks it for as long as this value
    /// lives. The reference plugin `sbr` locks the same file, which is the namespace itself.
    pub fn lock_sandbox(&mut self) -> Result<(), KernelError> {
        if !self.is_there(Place::Sandbox)? {
            return Ok(());
        }
        let locked = self.namespace(Place::Sandbox)?.lock(FlockOperation::LockExclusive);
        locked.map_err(|failure| namespace_error(&failure))
    }
}
