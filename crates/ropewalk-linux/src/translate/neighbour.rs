//! Permanent neighbour entries.

use std::net::IpAddr;

use ropewalk_addr::{Family, Mac};
use ropewalk_netstate::resource::Neighbour;

use super::address::family_number;
use crate::{
    netlink::{Attributes, Message, Reply},
    uapi::{
        NDA_DST, NDA_LLADDR, NLM_F_CREATE, NLM_F_REPLACE, NUD_PERMANENT, RTM_DELNEIGH,
        RTM_GETNEIGH, RTM_NEWNEIGH,
    },
};

/// Length of `struct ndmsg`.
const HEADER: usize = 12;

fn header(message: &mut Message, ip: IpAddr, index: u32, state: u16) {
    let family = [family_number(Family::of(ip)), 0, 0, 0];
    let state = [state.to_ne_bytes(), [0, 0]].concat();
    message.raw(&[&family[..], &index.to_ne_bytes(), &state].concat());
}

/// Writes an entry; it replaces one that the kernel may have learnt by itself.
pub(crate) fn create(neighbour: &Neighbour, index: u32) -> Message {
    let mut message = Message::acknowledged(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE);
    header(&mut message, neighbour.ip, index, NUD_PERMANENT);
    message.ip(NDA_DST, neighbour.ip).bytes(NDA_LLADDR, &neighbour.mac.0);
    message
}

/// Removes an entry.
pub(crate) fn delete(ip: IpAddr, index: u32) -> Message {
    let mut message = Message::acknowledged(RTM_DELNEIGH, 0);
    header(&mut message, ip, index, 0);
    message.ip(NDA_DST, ip);
    message
}

/// Asks for an entry.
pub(crate) fn find(ip: IpAddr, index: u32) -> Message {
    let mut message = Message::get(RTM_GETNEIGH);
    header(&mut message, ip, index, 0);
    message.ip(NDA_DST, ip);
    message
}

/// Reads the hardware address of a permanent entry; `None` for one of another state.
pub(crate) fn read(reply: &Reply<'_>) -> Option<Mac> {
    let state = reply.payload.get(8..10)?.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes))?;
    if reply.kind != RTM_NEWNEIGH || state & NUD_PERMANENT == 0 {
        return None;
    }
    Attributes::behind(reply.payload, HEADER).first(NDA_LLADDR)?.mac()
}
