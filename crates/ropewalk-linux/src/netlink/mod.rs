//! A thin netlink layer: messages out, attributes in, and sockets that match every answer to its
//! request. It knows nothing about links or rules.

mod ahead;
mod attributes;
mod broadcasts;
mod events;
mod mailbox;
mod message;
mod reply;
mod socket;

pub(crate) use attributes::{Attribute, Attributes};
pub(crate) use broadcasts::BroadcastSocket;
pub(crate) use events::EventSocket;
pub(crate) use message::{Message, padded};
pub(crate) use reply::{Replies, Reply};
pub(crate) use socket::{Protocol, Socket};
