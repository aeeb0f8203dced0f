//! Devices that change their network namespace.

use ropewalk_addr::IfName;
use ropewalk_netstate::resource::MovedDevice;

use super::link::{IFF_UP, Link, header};
use crate::{
    netlink::Message,
    uapi::{IFLA_IFALIAS, IFLA_IFNAME, IFLA_NET_NS_FD, RTM_SETLINK},
};

/// What a device is like where it arrives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival<'a> {
    pub(crate) name: &'a IfName,
    /// Its alias; empty for none.
    pub(crate) alias: &'a str,
    pub(crate) up: bool,
}

/// Moves a link into another namespace if there is a descriptor of one, and makes it as it is to
/// arrive. The kernel does these in the order of `do_setlink` (net/core/rtnetlink.c): namespace,
/// name, alias, flags.
pub(crate) fn send(index: u32, namespace: Option<i32>, arrival: Arrival<'_>) -> Message {
    let mut message = Message::acknowledged(RTM_SETLINK, 0);
    header(&mut message, index, if arrival.up { IFF_UP } else { 0 }, IFF_UP);
    if let Some(descriptor) = namespace {
        message.bytes(IFLA_NET_NS_FD, &descriptor.to_ne_bytes());
    }
    message.text(IFLA_IFNAME, arrival.name).bytes(IFLA_IFALIAS, arrival.alias.as_bytes());
    message
}

/// A device found; an alias that cannot be a name is none.
pub(crate) fn found(name: &IfName, link: &Link) -> MovedDevice {
    let original = link.alias.as_deref().and_then(|alias| alias.parse().ok());
    MovedDevice { name: name.clone(), original, mac: link.mac, was_up: false }
}
