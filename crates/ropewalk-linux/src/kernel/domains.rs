//! Routing domains (VRFs) and the links in them. The kernel takes a link down and up when it
//! enters or leaves a domain, and most of its IPv6 addresses and routes are lost on the way
//! (`cycle_netdev` in drivers/net/vrf.c). Here they are put back, in the domain's table.

use ropewalk_addr::{Family, IfName};
use ropewalk_netstate::{
    KernelError, Place, Step,
    resource::{Address, Await, Route, Until, VirtualKind},
};

use super::{Linux, observe::absent_is_none, simple, wait};
use crate::{
    translate::{
        address::FoundAddress,
        link::{self, Link},
        virtual_link,
    },
    uapi::{RTPROT_KERNEL, RTPROT_RA},
};

/// How long duplicate address detection that had not finished may go on.
const ADDRESSES_DEADLINE_MS: u32 = 5_000;

/// What a link is with regard to routing domains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainLink {
    /// Its name.
    pub name: String,
    /// Its table, if it is a domain itself.
    pub table: Option<u32>,
    /// The name of its master, a domain or something else.
    pub master: Option<String>,
}

/// What a link has before it changes its domain.
struct Belongings {
    table: u32,
    addresses: Vec<FoundAddress>,
    routes: Vec<Route>,
}

impl Linux {
    /// All links of a place; none where the place is gone.
    pub fn domain_links(&mut self, place: Place) -> Result<Vec<DomainLink>, KernelError> {
        if !self.is_there(place)? {
            return Ok(Vec::new());
        }
        let links: Vec<Link> = self.route(place)?.dump(&link::list(), link::read)?;
        let name = |index| links.iter().find(|link| Some(link.index) == index);
        let summary = |link: &Link| DomainLink {
            name: link.name.clone(),
            table: domain_table(link),
            master: name(link.master).map(|master| master.name.clone()),
        };
        Ok(links.iter().map(summary).collect())
    }

    /// Gives a link another master, 0 for none, and keeps its addresses and routes where that
    /// changes its domain.
    pub(super) fn change_master(
        &mut self,
        place: Place,
        name: &IfName,
        (index, master): (u32, u32),
    ) -> Result<(), KernelError> {
        let old = self.find_link(place, name)?.and_then(|link| link.master).unwrap_or(0);
        let tables = (self.table_of(place, old)?, self.table_of(place, master)?);
        if tables.0 == tables.1 {
            return self.route(place)?.request(virtual_link::set_master(index, master));
        }
        let belongings = self.belongings(place, name, index, tables.0)?;
        self.route(place)?.request(virtual_link::set_master(index, master))?;
        let kept = self.put_back(place, name, index, (&belongings, tables.1));
        if kept.is_err() && self.route(place)?.request(virtual_link::set_master(index, old)).is_ok()
        {
            // What cannot be put back where it was is told as why it could not be elsewhere.
            let _ = self.put_back(place, name, index, (&belongings, tables.0));
        }
        kept
    }

    /// The table in which the members of a master have their routes.
    fn table_of(&mut self, place: Place, master: u32) -> Result<u32, KernelError> {
        if master == 0 {
            return Ok(Route::MAIN_TABLE);
        }
        let found = self.route(place)?.get(link::find_by_index(master), link::read);
        let table = absent_is_none(found)?.as_ref().and_then(domain_table);
        Ok(table.unwrap_or(Route::MAIN_TABLE))
    }

    /// Addresses and routes that the kernel does not bring back by itself.
    fn belongings(
        &mut self,
        place: Place,
        name: &IfName,
        index: u32,
        table: u32,
    ) -> Result<Belongings, KernelError> {
        let addresses = self.addresses(place, Some(Family::V6), index)?.into_iter();
        let is_lost = |address: &FoundAddress| !address.is_temporary() && !address.is_link_local();
        let addresses = addresses.filter(is_lost).collect();
        let routes = self.routing(place, name)?.routes.into_iter();
        let comes_back = |route: &Route| {
            (route.table == table && route.protocol == Some(RTPROT_KERNEL))
                || route.protocol == Some(RTPROT_RA)
        };
        let routes = routes.filter(|found| !found.shared).map(|found| found.route);
        let routes = routes.filter(|route| !comes_back(route)).collect();
        Ok(Belongings { table, addresses, routes })
    }

    fn put_back(
        &mut self,
        place: Place,
        name: &IfName,
        index: u32,
        (belongings, table): (&Belongings, u32),
    ) -> Result<(), KernelError> {
        let present = self.addresses(place, Some(Family::V6), index)?;
        let mut steps = Vec::new();
        for lost in &belongings.addresses {
            let found = present.iter().find(|found| found.prefix == lost.prefix);
            if found.is_some_and(|found| !found.is_tentative() || lost.is_tentative()) {
                continue;
            }
            // Nobody else had the address a moment ago, so that nobody has to be asked again.
            let address = Address {
                detect_duplicates: lost.is_tentative(),
                prefix_route: lost.has_prefix_route(),
                ..Address::new(name.clone(), lost.prefix)
            };
            if found.is_some() {
                steps.push(Step::Delete(place, address.clone().into()));
            }
            steps.push(Step::Create(place, address.into()));
        }
        for verdict in simple::apply(self, place, &steps)? {
            verdict?;
        }
        if belongings.addresses.iter().any(|address| address.is_tentative()) {
            let ready = Await::new(name.clone(), Until::AddressesReady, ADDRESSES_DEADLINE_MS);
            wait::wait(self, place, &ready)?;
        }
        let routes = belongings.routes.iter().map(|route| {
            let table = if route.table == belongings.table { table } else { route.table };
            Step::Create(place, Route { table, ..route.clone() }.into())
        });
        let routes: Vec<Step> = routes.collect();
        simple::apply(self, place, &routes)?.into_iter().collect()
    }
}

fn domain_table(link: &Link) -> Option<u32> {
    match link.virtual_kind {
        Some(VirtualKind::Vrf { table }) => Some(table),
        _ => None,
    }
}
