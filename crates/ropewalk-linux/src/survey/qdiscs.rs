//! Queues of links, their classes and their filters.

use std::collections::BTreeSet;

use ropewalk_topology::model::{Qdisc, TrafficFilter};

use super::{
    links::{text, word},
    uapi::{
        TC_H_EGRESS, TC_H_INGRESS, TCA_CHAIN, TCA_STATS_BASIC, TCA_STATS_PKT64, TCA_STATS_QUEUE,
        TCA_STATS2,
    },
};
use crate::{
    netlink::{Attribute, Attributes, Message, Reply},
    uapi::{
        RTM_GETQDISC, RTM_GETTCLASS, RTM_GETTFILTER, RTM_NEWQDISC, RTM_NEWTCLASS, RTM_NEWTFILTER,
        TCA_KIND, TCA_OPTIONS,
    },
};

/// Length of `struct tcmsg`.
const HEADER: usize = 20;

/// The queue with two places for filters and nothing else.
const CLSACT: &str = "clsact";

pub(super) fn list() -> Message {
    about(RTM_GETQDISC, 0, 0)
}

fn about(kind: u16, link: u32, parent: u32) -> Message {
    let mut header = [0; HEADER];
    header[4..8].copy_from_slice(&link.to_ne_bytes());
    header[12..16].copy_from_slice(&parent.to_ne_bytes());
    let mut message = Message::dump(kind);
    message.raw(&header);
    message
}

/// Questions for the classes of all links where somebody chose a queue.
pub(super) fn list_classes(queues: &[Qdisc]) -> Vec<Message> {
    let chosen = queues.iter().filter(|queue| queue.handle != 0);
    let links: BTreeSet<u32> = chosen.map(|queue| queue.link).collect();
    links.into_iter().map(|link| about(RTM_GETTCLASS, link, 0)).collect()
}

/// Questions for the filters of all queues that somebody chose, and of their classes.
pub(super) fn list_filters(queues: &[Qdisc], classes: &[Qdisc]) -> Vec<Message> {
    let chosen = queues.iter().filter(|queue| queue.handle != 0);
    let places = chosen.chain(classes).flat_map(|one| {
        let parents = match &*one.kind {
            CLSACT => vec![TC_H_INGRESS, TC_H_EGRESS],
            _ => vec![one.handle],
        };
        parents.into_iter().map(|parent| (one.link, parent))
    });
    places.map(|(link, parent)| about(RTM_GETTFILTER, link, parent)).collect()
}

pub(super) fn read_filter(reply: &Reply<'_>) -> Option<TrafficFilter> {
    let payload = reply.payload;
    if reply.kind != RTM_NEWTFILTER {
        return None;
    }
    let attributes = Attributes::behind(payload, HEADER);
    let information = word(payload, 16)?;
    Some(TrafficFilter {
        link: word(payload, 4)?,
        handle: word(payload, 8)?,
        parent: word(payload, 12)?,
        priority: u16::try_from(information >> 16).unwrap_or_default(),
        // The lower half is in the order of the network.
        protocol: u16::from_be(u16::try_from(information & 0xffff).unwrap_or_default()),
        kind: text(attributes.first(TCA_KIND)?),
        chain: attributes.first(TCA_CHAIN).and_then(Attribute::u32).unwrap_or_default(),
        options: attributes.first(TCA_OPTIONS).map(|one| one.payload.to_vec()).unwrap_or_default(),
    })
}

pub(super) fn read_class(reply: &Reply<'_>) -> Option<Qdisc> {
    read_queue(reply, RTM_NEWTCLASS)
}

pub(super) fn read(reply: &Reply<'_>) -> Option<Qdisc> {
    read_queue(reply, RTM_NEWQDISC)
}

fn read_queue(reply: &Reply<'_>, kind: u16) -> Option<Qdisc> {
    let payload = reply.payload;
    if reply.kind != kind {
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
