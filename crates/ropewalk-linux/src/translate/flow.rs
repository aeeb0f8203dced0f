//! Connection tracking entries.

use ropewalk_addr::Family;
use ropewalk_netstate::resource::StaleFlows;

use super::address::family_number;
use crate::{
    netlink::{Attribute, Attributes, Message, Reply},
    uapi::{
        CTA_FILTER, CTA_FILTER_ORIG_FLAGS, CTA_ID, CTA_IP_V4_DST, CTA_IP_V6_DST,
        CTA_PROTO_DST_PORT, CTA_PROTO_NUM, CTA_TUPLE_IP, CTA_TUPLE_ORIG, CTA_TUPLE_PROTO, CTA_ZONE,
        IPCTNL_MSG_CT_DELETE, IPCTNL_MSG_CT_GET, NFNL_SUBSYS_CTNETLINK,
    },
};

/// Length of `struct nfgenmsg`.
const HEADER: usize = 4;
/// Parts of the original tuple that the kernel's filter can compare, protocol and destination port
/// (`CTA_FILTER_F_CTA_PROTO_NUM` and `_DST_PORT` in net/netfilter/nf_internals.h).
const PROTOCOL: u32 = 1 << 3;
const PORT: u32 = 1 << 5;

/// A tracked connection, with what the kernel needs to find it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    tuple: Vec<u8>,
    id: Option<u32>,
    zone: Option<u16>,
}

fn with_family(mut message: Message, family: Family) -> Message {
    message.raw(&[family_number(family), 0, 0, 0]);
    message
}

fn kind_of(message: u16) -> u16 {
    (NFNL_SUBSYS_CTNETLINK << 8) | message
}

/// Asks for the connections toward a port, or all of the protocol for several ports. Kernels before 5.8 do not filter and answer with all.
pub(crate) fn list(wanted: &StaleFlows) -> Message {
    let mut message = with_family(Message::dump(kind_of(IPCTNL_MSG_CT_GET)), wanted.family);
    let port = Some(wanted.ports.0).filter(|first| *first == wanted.ports.1);
    message
        .nest(CTA_TUPLE_ORIG, |tuple| {
            tuple.nest(CTA_TUPLE_PROTO, |protocol| {
                protocol.u8(CTA_PROTO_NUM, wanted.protocol);
                if let Some(port) = port {
                    protocol.be16(CTA_PROTO_DST_PORT, port);
                }
            });
        })
        .nest(CTA_FILTER, |filter| {
            let compared = if port.is_some() { PROTOCOL | PORT } else { PROTOCOL };
            filter.u32(CTA_FILTER_ORIG_FLAGS, compared);
        });
    message
}

/// Reads a connection, if its original destination is one of the ports.
pub(crate) fn read(reply: &Reply<'_>, wanted: &StaleFlows) -> Option<Flow> {
    // Answers have the type of a new entry, which is 0.
    if reply.kind != kind_of(0) || reply.payload.first() != Some(&family_number(wanted.family)) {
        return None;
    }
    let attributes = Attributes::behind(reply.payload, HEADER);
    let tuple = attributes.first(CTA_TUPLE_ORIG)?;
    let protocol = tuple.inner(CTA_TUPLE_PROTO)?;
    let number = protocol.inner(CTA_PROTO_NUM)?.u8()?;
    let port = protocol.inner(CTA_PROTO_DST_PORT)?.be16()?;
    if number != wanted.protocol || !(wanted.ports.0..=wanted.ports.1).contains(&port) {
        return None;
    }
    let addresses = tuple.inner(CTA_TUPLE_IP)?;
    let kind = if wanted.family == Family::V4 { CTA_IP_V4_DST } else { CTA_IP_V6_DST };
    let destination = addresses.inner(kind).and_then(Attribute::ip);
    if wanted.destination.is_some_and(|wanted| destination != Some(wanted)) {
        return None;
    }
    Some(Flow {
        tuple: tuple.payload.into(),
        id: attributes.first(CTA_ID).and_then(Attribute::be32),
        zone: attributes.first(CTA_ZONE).and_then(Attribute::be16),
    })
}

/// Deletes a connection. Its number makes sure that it is still the same one.
pub(crate) fn delete(family: Family, flow: &Flow) -> Message {
    let message = Message::acknowledged(kind_of(IPCTNL_MSG_CT_DELETE), 0);
    let mut message = with_family(message, family);
    message.bytes(CTA_TUPLE_ORIG | crate::uapi::NLA_F_NESTED, &flow.tuple);
    if let Some(id) = flow.id {
        message.be32(CTA_ID, id);
    }
    if let Some(zone) = flow.zone {
        message.be16(CTA_ZONE, zone);
    }
    message
}
