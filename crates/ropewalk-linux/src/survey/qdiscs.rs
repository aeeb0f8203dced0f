//! Queues of links.

use ropewalk_topology::model::Qdisc;

use super::{
    links::{text, word},
    uapi::{TCA_STATS_BASIC, TCA_STATS_PKT64, TCA_STATS_QUEUE, TCA_STATS2},
};
use crate::{
    netlink::{Attribute, Attributes, Message, Reply},
    uapi::{RTM_GETQDISC, RTM_NEWQDISC, TCA_KIND, TCA_OPTIONS},
};

/// Length of `struct tcmsg`.
const HEADER: usize = 20;

pub(super) fn list() -> Message {
    let mut message = Message::dump(RTM_GETQDISC);
    message.raw(&[0; HEADER]);
    message
}

pub(super) fn read(reply: &Reply<'_>) -> Option<Qdisc> {
    let payload = reply.payload;
    if reply.kind != RTM_NEWQDISC {
        return None;
    }
    let attributes = Attributes::behind(payload, HEADER);
    let statistics = attributes.first(TCA_STATS2);
    let statistic = |kind| statistics.and_then(|all| all.inner(kind));
    let basic = statistic(TCA_STATS_BASIC);
    let packets = basic.and_then(|basic| word(basic.payload, 8)).unwrap_or_default();
    let drops = statistic(TCA_STATS_QUEUE).and_then(|queue| word(queue.payload, 8));
    Some(Qdisc {
        link: word(payload, 4)?,
        handle: word(payload, 8)?,
        parent: word(payload, 12)?,
        kind: text(attributes.first(TCA_KIND)?),
        options: attributes.first(TCA_OPTIONS).map(|one| one.payload.to_vec()).unwrap_or_default(),
        bytes: basic.and_then(Attribute::u64).unwrap_or_default(),
        packets: statistic(TCA_STATS_PKT64).and_then(Attribute::u64).unwrap_or(packets.into()),
        drops: drops.unwrap_or_default().into(),
    })
}
