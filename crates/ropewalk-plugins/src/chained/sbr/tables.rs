//! Which routing table an address has: the one that a rule leads to already, or the next one that
//! nobody uses.

use std::net::IpAddr;

use ropewalk_addr::{Prefix, Subnet};
use ropewalk_linux::Routing;
use ropewalk_netstate::resource::{Route, RoutingRule};

/// Tables below are left to people.
const FIRST: u32 = 100;

/// Gives out tables.
pub(super) struct Tables<'a> {
    fixed: Option<u32>,
    routing: &'a Routing,
    next: u32,
}

impl<'a> Tables<'a> {
    pub(super) fn new(fixed: Option<u32>, routing: &'a Routing) -> Self {
        Self { fixed, routing, next: FIRST }
    }

    /// The table of an address.
    pub(super) fn of(&mut self, ip: IpAddr) -> u32 {
        let of_sbr = |table: &u32| *table >= FIRST;
        match self.fixed {
            Some(table) => table,
            None => self.found(source(ip)).find(of_sbr).unwrap_or_else(|| self.free()),
        }
    }

    /// All tables that rules lead to from an address, or the one that it would have.
    pub(super) fn all_of(&mut self, ip: IpAddr) -> Vec<u32> {
        let found: Vec<u32> = match self.fixed {
            Some(table) => vec![table],
            None => self.found(source(ip)).collect(),
        };
        if found.is_empty() { vec![self.free()] } else { found }
    }

    /// The rules that lead to tables in which only this link has routes.
    pub(super) fn rules_to_own_tables(&self) -> impl Iterator<Item = RoutingRule> + 'a {
        let Self { fixed, routing, .. } = *self;
        let is_own = move |table: u32| {
            fixed.is_none()
                && table >= FIRST
                && !routing.foreign_tables.contains(&table)
                && routing.routes.iter().any(|found| found.route.table == table)
        };
        let rules = routing.rules.iter().filter(move |rule| is_own(rule.table)).cloned();
        rules.map(|rule| RoutingRule { priority: None, ..rule })
    }

    fn found(&self, source: Subnet) -> impl Iterator<Item = u32> + 'a {
        let rules = self.routing.rules.iter().filter(move |rule| rule.source == source);
        rules.map(|rule| rule.table)
    }

    fn free(&mut self) -> u32 {
        let is_taken = |table: &u32| {
            Route::KERNEL_TABLES.contains(table) || self.routing.used_tables.contains(table)
        };
        let free = (self.next..=u32::MAX).find(|table| !is_taken(table));
        let free = free.unwrap_or(u32::MAX);
        self.next = free.saturating_add(1);
        free
    }
}

fn source(ip: IpAddr) -> Subnet {
    Prefix::host(ip).subnet()
}
