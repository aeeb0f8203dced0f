//! What the kernel tells in lists: addresses, routes, VLANs.

use ropewalk_addr::Family;
use ropewalk_netstate::{KernelError, Place, resource::Route};

use super::{Linux, observe::absent_is_none};
use crate::{
    netlink::Reply,
    translate::{
        address::{self, FoundAddress},
        bridge_port,
        route::{self, FoundRoute},
    },
};

impl Linux {
    /// The addresses of a link.
    pub(super) fn addresses(
        &mut self,
        place: Place,
        family: Option<Family>,
        index: u32,
    ) -> Result<Vec<FoundAddress>, KernelError> {
        let found = self.route(place)?.dump(&address::list(family, index), |reply| {
            // Kernels without strict checking ignore the filter.
            address::read(reply).filter(|found| found.link == index)
        });
        Ok(absent_is_none(found.map(Some))?.unwrap_or_default())
    }

    /// The route with the key of the wanted one. One to a single address is looked up: the kernel
    /// walks over all routes to list those through a link.
    pub(super) fn find_route(
        &mut self,
        place: Place,
        wanted: &Route,
        index: u32,
    ) -> Result<Option<Route>, KernelError> {
        let family = wanted.destination.family();
        let is_it =
            |found: &FoundRoute| found.link == Some(index) && found.is_the_same_route(wanted);
        let read = |reply: &Reply<'_>| {
            let found = route::read(reply)?.into_iter().find(is_it);
            found.map(|found| found.resource(wanted))
        };
        let socket = self.route(place)?;
        if wanted.destination.length() == family.bits() {
            let question = route::match_table(wanted.destination.last());
            // Whether none leads there, or another one, or this kernel cannot tell: the list says it.
            if let Ok(Some(found)) = socket.get(question, read) {
                return Ok(Some(found));
            }
        }
        let found = socket.dump(&route::list(family, wanted.table, Some(index)), read);
        Ok(absent_is_none(found.map(Some))?.and_then(|found| found.into_iter().next()))
    }

    /// Whether a route like the wanted one leads through another link than this.
    pub(super) fn has_other_route(
        &mut self,
        place: Place,
        wanted: &Route,
        index: Option<u32>,
    ) -> Result<bool, KernelError> {
        let question = route::list(wanted.destination.family(), wanted.table, None);
        let found = self.route(place)?.dump(&question, |reply| {
            route::read(reply)?.into_iter().find(|found| {
                found.link != index && found.is_unicast() && found.is_of_the_same_rank(wanted)
            })
        });
        Ok(absent_is_none(found.map(Some))?.is_some_and(|found| !found.is_empty()))
    }

    /// The VLANs of a bridge port.
    pub(super) fn port_vlans(
        &mut self,
        place: Place,
        index: u32,
    ) -> Result<Vec<bridge_port::Membership>, KernelError> {
        let found = self
            .route(place)?
            .dump(&bridge_port::list_vlans(), |reply| bridge_port::read_vlans(reply, index))?;
        Ok(found.into_iter().flatten().collect())
    }
}
