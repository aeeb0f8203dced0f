//! Questions of plugins that are not about a wanted resource.

use std::net::IpAddr;

use ropewalk_addr::{Family, IfName, Mac, Prefix, Subnet};
use ropewalk_netstate::{KernelError, Place, resource::Route};
use rustix::io::Errno;

use super::{Linux, observe::absent_is_none};
use crate::{
    error::is,
    translate::{
        link::{self, Link},
        route,
    },
};

/// What a link is like now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkState {
    /// Its hardware address, if it has one of six bytes.
    pub mac: Option<Mac>,
    /// Its MTU in bytes.
    pub mtu: Option<u32>,
    /// Whether it is administratively up.
    pub up: bool,
    /// Whether it receives all frames.
    pub promiscuous: bool,
    /// Whether it receives all multicast frames.
    pub all_multicast: bool,
    /// The length of its transmit queue in packets.
    pub transmit_queue: Option<u32>,
    /// Its kind (`veth`, `bridge`); `None` for hardware and loopback.
    pub kind: Option<String>,
}

/// What limits packets that are many segments in one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PacketLimit {
    /// Nobody asked.
    Unasked,
    /// The kernel has no such sizes (Linux 6.3 has).
    Unsupported,
    /// A link takes no larger ones.
    Of {
        /// Its name.
        link: String,
        /// Up to which size, in bytes.
        size: u32,
    },
    /// Nothing that matters.
    None,
}

impl PacketLimit {
    /// A size in bytes that is as good as none: beyond it, nothing was gained (Linux 6.18).
    pub const ENOUGH: u32 = 190_000;
}

impl From<Link> for LinkState {
    fn from(link: Link) -> Self {
        Self {
            mac: link.mac,
            mtu: link.mtu,
            up: link.is_up(),
            promiscuous: link.is_promiscuous(),
            all_multicast: link.receives_all_multicast(),
            transmit_queue: link.transmit_queue,
            kind: link.kind,
        }
    }
}

impl Linux {
    /// What a link is like; `None` if there is none.
    pub fn link_state(
        &mut self,
        place: Place,
        link: &IfName,
    ) -> Result<Option<LinkState>, KernelError> {
        if !self.is_there(place)? {
            return Ok(None);
        }
        Ok(self.find_link(place, link)?.map(Into::into))
    }

    /// The host's end of the veth pair whose other end is this link of the sandbox; `None` if the
    /// link is no such end.
    pub fn host_end(&mut self, link: &IfName) -> Result<Option<IfName>, KernelError> {
        Ok(self.far_end(link)?.and_then(|far| far.name.parse().ok()))
    }

    /// That end if it is a port of a bridge.
    pub fn host_port(&mut self, link: &IfName) -> Result<Option<IfName>, KernelError> {
        let far = self.far_end(link)?.filter(|far| far.port.is_some() && far.master.is_some());
        Ok(far.and_then(|far| far.name.parse().ok()))
    }

    fn far_end(&mut self, link: &IfName) -> Result<Option<Link>, KernelError> {
        if !self.is_there(Place::Sandbox)? {
            return Ok(None);
        }
        let Some(near) = self.find_link(Place::Sandbox, link)? else { return Ok(None) };
        let Some(index) = near.peer.filter(|_| near.is("veth")) else { return Ok(None) };
        let found = self.route(Place::Host)?.get(link::find_by_index(index), link::read);
        // An index means something else in another namespace.
        Ok(absent_is_none(found)?
            .filter(|far| link::are_ends_of_one_pair((Place::Sandbox, &near), (Place::Host, far))))
    }

    /// How large packets of many segments may be between containers on the host, without being too
    /// large for the link of the default route, for these links or for the ports of this bridge.
    pub fn packet_limit(
        &mut self,
        bridge: Option<&IfName>,
        links: &[&IfName],
    ) -> Result<PacketLimit, KernelError> {
        let place = Place::Host;
        let is_told = |link: &Link| link.packet_size().is_some();
        if !self.find_link(place, "lo")?.as_ref().is_some_and(is_told) {
            return Ok(PacketLimit::Unsupported);
        }
        let uplink = self.default_route_link(place)?;
        let names = uplink.iter().chain(links.iter().copied());
        let mut limiting = Vec::new();
        for name in names.filter(|name| Some(*name) != bridge) {
            limiting.extend(self.find_link(place, name)?);
        }
        // A bridge takes what all of its ports take, but one without ports says less.
        if let Some(name) = bridge
            && let Some(bridge) = self.find_link(place, name)?
            && bridge.packet_size_limit < Some(PacketLimit::ENOUGH)
        {
            let all = self.route(place)?.dump(&link::list(), link::read)?;
            limiting.extend(all.into_iter().filter(|link| link.master == Some(bridge.index)));
        }
        let limits = limiting.into_iter().filter_map(|link| {
            Some((link.packet_size_limit.filter(|size| *size < PacketLimit::ENOUGH)?, link.name))
        });
        let least = limits.min().map(|(size, link)| PacketLimit::Of { link, size });
        Ok(least.unwrap_or(PacketLimit::None))
    }

    /// The addresses of a link, link-local ones too; none if there is no link.
    pub fn link_addresses(
        &mut self,
        place: Place,
        link: &IfName,
    ) -> Result<Vec<Prefix>, KernelError> {
        if !self.is_there(place)? {
            return Ok(Vec::new());
        }
        let Some(link) = self.find_link(place, link)? else { return Ok(Vec::new()) };
        let found = self.addresses(place, None, link.index)?;
        Ok(found.into_iter().map(|address| address.prefix).collect())
    }

    /// The link through which packets to an address leave; `None` without a route.
    pub fn route_to(&mut self, place: Place, ip: IpAddr) -> Result<Option<IfName>, KernelError> {
        if !self.is_there(place)? {
            return Ok(None);
        }
        let found = match self.route(place)?.get(route::look_up(ip), route::read) {
            Err(error) if is(&error, Errno::NETUNREACH) || is(&error, Errno::HOSTUNREACH) => None,
            found => found?,
        };
        match found.unwrap_or_default().first().and_then(|route| route.link) {
            Some(index) => self.link_name(place, index),
            None => Ok(None),
        }
    }

    /// The link of the default route with the lowest priority number, IPv4 before IPv6.
    pub fn default_route_link(&mut self, place: Place) -> Result<Option<IfName>, KernelError> {
        if !self.is_there(place)? {
            return Ok(None);
        }
        for family in [Family::V4, Family::V6] {
            let question = route::list(family, Route::MAIN_TABLE, None);
            let all = self.route(place)?.dump(&question, route::read).map(Some);
            let all = absent_is_none(all)?.unwrap_or_default();
            let is_default = |route: &route::FoundRoute| {
                route.destination == Subnet::default_route(family)
                    && route.is_unicast()
                    && route.table == Route::MAIN_TABLE
            };
            let best =
                all.into_iter().flatten().filter(is_default).min_by_key(|route| route.priority);
            if let Some(index) = best.and_then(|route| route.link) {
                return self.link_name(place, index);
            }
        }
        Ok(None)
    }

    fn link_name(&mut self, place: Place, index: u32) -> Result<Option<IfName>, KernelError> {
        let found = self.route(place)?.get(link::find_by_index(index), link::read);
        Ok(absent_is_none(found)?.and_then(|link| link.name.parse().ok()))
    }
}
