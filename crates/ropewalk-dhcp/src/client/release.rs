//! Giving an address back.

use alloc::vec::Vec;
use core::net::Ipv4Addr;

use ropewalk_addr::Mac;

use super::{Client, Grant};
use crate::{
    frame::{self, Destination},
    message::{Kind, Message},
};

/// What a server is to be told at the end of a lease. It goes to the server alone, from the address
/// that is given back: servers ignore what comes from anywhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The client's hardware address.
    pub hardware: Mac,
    /// The address that is given back.
    pub address: Ipv4Addr,
    /// The server.
    pub server: Ipv4Addr,
    /// Whom to give the frame: the server, or the router toward it.
    pub next_hop: Ipv4Addr,
    /// The message, for those who cannot send it as a frame because the link is gone.
    pub message: Vec<u8>,
    station: Mac,
}

impl Release {
    /// The frame to send, to the station that the next hop was found to be, else to the one that
    /// the lease came from.
    pub fn frame(&self, station: Option<Mac>) -> Vec<u8> {
        let station = station.unwrap_or(self.station);
        let destination = Destination::Server { address: self.server, station };
        frame::to_server(self.hardware, self.address, destination, &self.message)
    }
}

impl Client {
    pub(super) fn release_of(&self, grant: &Grant) -> Release {
        let lease = &grant.lease;
        let message = self.farewell(Kind::Release, grant);
        let message = Message { client_address: lease.address, ..message };
        let router = lease.routers.first().copied();
        let next_hop = if lease.is_on_link(lease.server) { None } else { router };
        Release {
            hardware: self.identity.hardware,
            address: lease.address,
            server: lease.server,
            next_hop: next_hop.unwrap_or(lease.server),
            message: message.to_bytes(),
            station: grant.station,
        }
    }
}
