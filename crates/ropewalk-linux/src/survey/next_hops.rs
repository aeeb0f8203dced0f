//! Next hops that routes refer to by number.

use ropewalk_topology::model::{Hop, NextHop, NextHopKind};

use super::{
    links::word,
    uapi::{
        NHA_BLACKHOLE, NHA_ENCAP, NHA_ENCAP_TYPE, NHA_FDB, NHA_GATEWAY, NHA_GROUP, NHA_ID, NHA_OIF,
        RTM_GETNEXTHOP, RTM_NEWNEXTHOP,
    },
};
use crate::netlink::{Attribute, Attributes, Message, Reply};

/// Length of `struct nhmsg`.
const HEADER: usize = 8;
/// Length of `struct nexthop_grp`.
const MEMBER: usize = 8;

pub(super) fn list() -> Message {
    let mut message = Message::dump(RTM_GETNEXTHOP);
    message.raw(&[0; HEADER]);
    message
}

pub(super) fn read(reply: &Reply<'_>) -> Option<NextHop> {
    if reply.kind != RTM_NEWNEXTHOP {
        return None;
    }
    let &[_, scope, protocol, ..] = reply.payload.first_chunk::<HEADER>()?;
    let attributes = Attributes::behind(reply.payload, HEADER);
    let number = |kind| attributes.first(kind).and_then(Attribute::u32);
    let encapsulation = || {
        let kind = attributes.first(NHA_ENCAP_TYPE)?.u16()?;
        Some((kind, attributes.first(NHA_ENCAP)?.payload.to_vec()))
    };
    let kind = match attributes.first(NHA_GROUP) {
        Some(group) => {
            NextHopKind::Group(group.payload.chunks(MEMBER).filter_map(member).collect())
        }
        None if attributes.first(NHA_BLACKHOLE).is_some() => NextHopKind::Blackhole,
        None => NextHopKind::Hop(Hop {
            link: number(NHA_OIF),
            gateway: attributes.first(NHA_GATEWAY).and_then(Attribute::ip),
            encapsulation: encapsulation(),
            ..Hop::default()
        }),
    };
    Some(NextHop {
        id: number(NHA_ID)?,
        kind,
        protocol,
        scope,
        flags: word(reply.payload, 4)?,
        is_for_frames: attributes.first(NHA_FDB).is_some(),
    })
}

/// The number and the share of a member; since Linux 6.12 the share has a second byte.
fn member(bytes: &[u8]) -> Option<(u32, u16)> {
    let &[_, _, _, _, low, high, ..] = bytes else { return None };
    Some((word(bytes, 0)?, u16::from_le_bytes([low, high])))
}
