//! Leases of both kinds, alike to the keeper: clients, what they were granted, and the sockets
//! through which they talk.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    net::IpAddr,
    os::fd::{AsFd, BorrowedFd},
    path::Path,
    time::Duration,
};

use ropewalk_addr::{Family, IfName};
use ropewalk_cni::CniResult;
use ropewalk_dhcp::{self as v4, Datagram, Pace, Transmission, v6};
use ropewalk_linux::{Hears, LinkLocalSocket, PacketSocket};

use super::{
    super::{config::Config, result},
    attachment::Attachment,
    link::{self, Seat},
};

/// A client of either version.
pub(super) enum Client {
    V4(v4::Client),
    V6(v6::Client),
}

/// What it was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Grant {
    V4(v4::Grant),
    V6(v6::Grant),
}

/// What a server is to be told at the end.
#[derive(Clone, Debug)]
pub(super) enum Release {
    V4(v4::Release),
    V6(v6::Release),
}

/// What a client talks through.
#[derive(Debug)]
pub(super) enum Socket {
    Frames(PacketSocket),
    Datagrams(LinkLocalSocket),
}

impl Client {
    /// A client that has nothing yet.
    pub(super) fn new(attachment: &Attachment, seat: &Seat, pace: Pace, broadcast: bool) -> Self {
        match seat.family {
            Family::V4 => {
                Self::V4(v4::Client::new(attachment.identity(seat, broadcast), pace, seed()))
            }
            Family::V6 => {
                let identity = attachment.identity_v6(seat.hardware);
                Self::V6(v6::Client::new(identity, pace, seed()))
            }
        }
    }

    /// A client that goes on with a lease from before.
    pub(super) fn resume(
        attachment: &Attachment,
        grant: Grant,
        broadcast: bool,
        pace: Pace,
        now: Duration,
    ) -> (Self, Transmission) {
        match grant {
            Grant::V4(grant) => {
                let hardware = grant.acknowledgement.hardware;
                let identity = attachment.identity_of(hardware, broadcast);
                let mut client = v4::Client::new(identity, pace, seed());
                let transmission = client.resume(now, grant);
                (Self::V4(client), transmission)
            }
            Grant::V6(grant) => {
                let mut client = v6::Client::new(grant.identity.clone(), pace, seed());
                let transmission = client.resume(now, grant);
                (Self::V6(client), transmission)
            }
        }
    }

    /// Whether it is the one that an attachment at this link needs.
    pub(super) fn belongs_to(&self, attachment: &Attachment, seat: &Seat, broadcast: bool) -> bool {
        match self {
            Self::V4(client) => *client.identity() == attachment.identity(seat, broadcast),
            Self::V6(client) => *client.identity() == attachment.identity_v6(seat.hardware),
        }
    }

    /// Whether its answers are broadcast.
    pub(super) fn is_broadcast(&self) -> bool {
        matches!(self, Self::V4(client) if client.identity().broadcast)
    }

    pub(super) fn grant(&self) -> Option<Grant> {
        match self {
            Self::V4(client) => client.grant().cloned().map(Grant::V4),
            Self::V6(client) => client.grant().cloned().map(Grant::V6),
        }
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        match self {
            Self::V4(client) => client.deadline(),
            Self::V6(client) => client.deadline(),
        }
    }

    pub(super) fn start(&mut self, now: Duration) -> Transmission {
        match self {
            Self::V4(client) => client.start(now),
            Self::V6(client) => client.start(now),
        }
    }

    pub(super) fn wake(&mut self, now: Duration) -> Transmission {
        match self {
            Self::V4(client) => client.wake(now),
            Self::V6(client) => client.wake(now),
        }
    }

    /// Something came in: a frame or what was in a datagram.
    pub(super) fn receive(&mut self, now: Duration, bytes: &[u8]) -> Option<Transmission> {
        match self {
            Self::V4(client) => {
                let datagram = Datagram::parse(bytes)?;
                let message = v4::Message::parse(datagram.payload).ok()?;
                Some(client.receive(now, datagram.station, &message))
            }
            Self::V6(client) => Some(client.receive(now, &v6::Message::parse(bytes).ok()?)),
        }
    }

    pub(super) fn release(&mut self, now: Duration) -> Option<Release> {
        match self {
            Self::V4(client) => client.release(now).map(Release::V4),
            Self::V6(client) => client.release(now).map(Release::V6),
        }
    }
}

impl Grant {
    pub(super) fn address(&self) -> IpAddr {
        match self {
            Self::V4(grant) => grant.lease.address.into(),
            Self::V6(grant) => grant.lease.address.into(),
        }
    }

    /// The length of the address's prefix; DHCPv6 leaves prefixes to routers.
    pub(super) fn prefix_length(&self) -> u8 {
        match self {
            Self::V4(grant) => grant.lease.prefix_length.unwrap_or(32),
            Self::V6(_) => result::WHOLE_ADDRESS,
        }
    }

    /// What it means for the container.
    pub(super) fn result(&self, config: &Config) -> Result<CniResult, String> {
        match self {
            Self::V4(grant) => result::of_lease(&grant.lease, config),
            Self::V6(grant) => Ok(result::of_v6_lease(&grant.lease)),
        }
    }
}

impl Socket {
    pub(super) fn open(netns: &Path, interface: &IfName, family: Family) -> Result<Self, String> {
        match family {
            Family::V4 => link::listen(netns, interface, Hears::DhcpAnswers).map(Self::Frames),
            Family::V6 => link::listen_v6(netns, interface).map(Self::Datagrams),
        }
    }

    pub(super) fn send(&self, bytes: &[u8]) -> Result<(), String> {
        let sent = match self {
            Self::Frames(socket) => socket.send(bytes),
            Self::Datagrams(socket) => socket.send(bytes, v6::SERVERS, v6::SERVER_PORT),
        };
        sent.map_err(|error| error.to_string())
    }

    pub(super) fn receive<'a>(&self, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
        match self {
            Self::Frames(socket) => socket.receive(buffer),
            Self::Datagrams(socket) => socket.receive(buffer),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Frames(socket) => socket.as_fd(),
            Self::Datagrams(socket) => socket.as_fd(),
        }
    }
}

/// A number that nobody can foresee.
fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
