//! Tracked connections.

use ropewalk_topology::model::{Connection, Tuple};

use super::uapi::{
    CTA_COUNTERS_BYTES, CTA_COUNTERS_ORIG, CTA_COUNTERS_PACKETS, CTA_COUNTERS_REPLY, CTA_IP_V4_SRC,
    CTA_IP_V6_SRC, CTA_MARK, CTA_PROTO_ICMP_CODE, CTA_PROTO_ICMP_ID, CTA_PROTO_ICMP_TYPE,
    CTA_PROTO_ICMPV6, CTA_PROTO_SRC_PORT, CTA_STATUS, CTA_TIMEOUT, CTA_TUPLE_REPLY,
};
use crate::{
    netlink::{Attribute, Attributes, Message, Reply},
    uapi::{
        CTA_IP_V4_DST, CTA_IP_V6_DST, CTA_PROTO_DST_PORT, CTA_PROTO_NUM, CTA_TUPLE_IP,
        CTA_TUPLE_ORIG, CTA_TUPLE_PROTO, CTA_ZONE, IPCTNL_MSG_CT_GET, NFNL_SUBSYS_CTNETLINK,
    },
};

/// Length of `struct nfgenmsg`.
const HEADER: usize = 4;

fn kind_of(message: u16) -> u16 {
    (NFNL_SUBSYS_CTNETLINK << 8) | message
}

pub(super) fn list() -> Message {
    let mut message = Message::dump(kind_of(IPCTNL_MSG_CT_GET));
    message.raw(&[0; HEADER]);
    message
}

pub(super) fn read(reply: &Reply<'_>) -> Option<Connection> {
    // Answers have the type of a new entry, which is 0.
    if reply.kind != kind_of(0) {
        return None;
    }
    let attributes = Attributes::behind(reply.payload, HEADER);
    let number = |kind| attributes.first(kind).and_then(Attribute::be32).unwrap_or_default();
    let original = attributes.first(CTA_TUPLE_ORIG)?;
    let protocol = original.inner(CTA_TUPLE_PROTO)?.inner(CTA_PROTO_NUM)?.u8()?;
    Some(Connection {
        protocol,
        original: read_tuple(original, attributes.first(CTA_COUNTERS_ORIG))?,
        reply: read_tuple(
            attributes.first(CTA_TUPLE_REPLY)?,
            attributes.first(CTA_COUNTERS_REPLY),
        )?,
        mark: number(CTA_MARK),
        status: number(CTA_STATUS),
        zone: attributes.first(CTA_ZONE).and_then(Attribute::be16).unwrap_or_default(),
        timeout: number(CTA_TIMEOUT),
    })
}

fn read_tuple(tuple: Attribute<'_>, counters: Option<Attribute<'_>>) -> Option<Tuple> {
    let (ips, protocol) = (tuple.inner(CTA_TUPLE_IP)?, tuple.inner(CTA_TUPLE_PROTO)?);
    let ip = |v4, v6| ips.inner(v4).or_else(|| ips.inner(v6)).and_then(Attribute::ip);
    let of_icmp = |kind| protocol.inner(kind).or_else(|| protocol.inner(kind + CTA_PROTO_ICMPV6));
    let port = |kind| protocol.inner(kind).and_then(Attribute::be16);
    let icmp_byte = |kind| of_icmp(kind).and_then(Attribute::u8);
    let kind_and_code = || {
        Some(u16::from_be_bytes([icmp_byte(CTA_PROTO_ICMP_TYPE)?, icmp_byte(CTA_PROTO_ICMP_CODE)?]))
    };
    let counter = |kind| counters.and_then(|all| all.inner(kind)).and_then(Attribute::be64);
    Some(Tuple {
        source: ip(CTA_IP_V4_SRC, CTA_IP_V6_SRC)?,
        destination: ip(CTA_IP_V4_DST, CTA_IP_V6_DST)?,
        source_port: port(CTA_PROTO_SRC_PORT)
            .or_else(|| of_icmp(CTA_PROTO_ICMP_ID).and_then(Attribute::be16))
            .unwrap_or_default(),
        destination_port: port(CTA_PROTO_DST_PORT).or_else(kind_and_code).unwrap_or_default(),
        packets: counter(CTA_COUNTERS_PACKETS).unwrap_or_default(),
        bytes: counter(CTA_COUNTERS_BYTES).unwrap_or_default(),
    })
}
