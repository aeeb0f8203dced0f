//! What a client says in which state (RFC 2131, tables 4 and 5).

use alloc::vec::Vec;
use core::{net::Ipv4Addr, time::Duration};

use super::{Client, Grant, State};
use crate::{
    frame::{self, Destination},
    message::{Kind, Message},
    option,
};

/// What fits into an Ethernet frame behind the headers of IPv4 and UDP.
const LONGEST_MESSAGE: u16 = 1472;

impl Client {
    /// The frame that the present state is about.
    pub(super) fn frame(&self, now: Duration) -> Vec<u8> {
        let kind = if self.state() == State::Selecting { Kind::Discover } else { Kind::Request };
        let mut message = self.message(kind);
        let seconds = self.course.elapsed(now).as_secs();
        message.seconds = u16::try_from(seconds).unwrap_or(u16::MAX);
        for (code, bytes) in [
            (option::PARAMETER_LIST, self.identity.wanted.clone()),
            (option::LONGEST_MESSAGE, LONGEST_MESSAGE.to_be_bytes().to_vec()),
        ] {
            if message.options.get(code).is_none() && !bytes.is_empty() {
                message.options.set(code, bytes);
            }
        }
        let mut source = Ipv4Addr::UNSPECIFIED;
        let mut destination = Destination::Everybody;
        match (self.state(), &self.offer, &self.grant) {
            (State::Requesting, Some(offer), _) => {
                message.options.set(option::REQUESTED_ADDRESS, offer.address.octets());
                message.options.set(option::SERVER_IDENTIFIER, offer.server.octets());
            }
            (State::Rebooting, _, Some(grant)) => {
                message.options.set(option::REQUESTED_ADDRESS, grant.lease.address.octets());
            }
            (State::Renewing | State::Rebinding, _, Some(grant)) => {
                source = grant.lease.address;
                message.client_address = source;
                if self.state() == State::Renewing {
                    destination = to_server(grant);
                }
            }
            _ => {}
        }
        message.broadcast &= source.is_unspecified();
        frame::to_server(self.identity.hardware, source, destination, &message.to_bytes())
    }

    pub(super) fn frame_of_decline(&self, grant: &Grant) -> Vec<u8> {
        let mut message = self.farewell(Kind::Decline, grant);
        message.options.set(option::REQUESTED_ADDRESS, grant.lease.address.octets());
        let (source, destination) = (Ipv4Addr::UNSPECIFIED, Destination::Everybody);
        frame::to_server(self.identity.hardware, source, destination, &message.to_bytes())
    }

    fn message(&self, kind: Kind) -> Message {
        let mut message = Message::request(kind, self.course.transaction, self.identity.hardware);
        message.broadcast = self.identity.broadcast;
        let own = message.options.clone();
        message.options = self.identity.options.clone();
        message
            .options
            .set(option::MESSAGE_TYPE, own.get(option::MESSAGE_TYPE).unwrap_or_default());
        message
    }

    /// RELEASE and DECLINE say who speaks of what, and nothing else.
    pub(super) fn farewell(&self, kind: Kind, grant: &Grant) -> Message {
        let mut message = Message::request(kind, self.course.transaction, self.identity.hardware);
        message.options.set(option::SERVER_IDENTIFIER, grant.lease.server.octets());
        if let Some(identifier) = self.identity.options.get(option::CLIENT_IDENTIFIER) {
            message.options.set(option::CLIENT_IDENTIFIER, identifier);
        }
        message
    }
}

fn to_server(grant: &Grant) -> Destination {
    Destination::Server { address: grant.lease.server, station: grant.station }
}
