//! Addresses on links.

use std::net::IpAddr;

use ropewalk_addr::{Family, Prefix};
use ropewalk_netstate::resource::Address;

use crate::{
    netlink::{Attribute, Attributes, Message, Reply},
    uapi::{
        IFA_ADDRESS, IFA_BROADCAST, IFA_F_DADFAILED, IFA_F_NODAD, IFA_F_NOPREFIXROUTE,
        IFA_F_PERMANENT, IFA_F_TENTATIVE, IFA_FLAGS, IFA_LOCAL, NLM_F_CREATE, NLM_F_EXCL,
        RTM_DELADDR, RTM_GETADDR, RTM_NEWADDR,
    },
};

/// Length of `struct ifaddrmsg`.
const HEADER: usize = 8;

/// An address as the kernel reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FoundAddress {
    pub(crate) link: u32,
    pub(crate) prefix: Prefix,
    flags: u32,
}

impl FoundAddress {
    /// Duplicate address detection is still running.
    pub(crate) fn is_tentative(self) -> bool {
        self.flags & IFA_F_TENTATIVE != 0 && !self.is_duplicate()
    }

    /// Duplicate address detection found somebody else.
    pub(crate) fn is_duplicate(self) -> bool {
        self.flags & IFA_F_DADFAILED != 0
    }

    /// It is for some time only, as what routers lead to.
    pub(crate) fn is_temporary(self) -> bool {
        self.flags & IFA_F_PERMANENT == 0
    }

    /// The kernel keeps a route to its subnet.
    pub(crate) fn has_prefix_route(self) -> bool {
        self.flags & IFA_F_NOPREFIXROUTE == 0
    }

    /// An address that the kernel gives every link by itself.
    pub(crate) fn is_link_local(self) -> bool {
        match self.prefix.ip() {
            IpAddr::V4(_) => false,
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        }
    }
}

/// The number of an address family.
pub(crate) fn family_number(family: Family) -> u8 {
    match family {
        Family::V4 => 2,
        Family::V6 => 10,
    }
}

fn header(message: &mut Message, family: Family, length: u8, index: u32) {
    let start = [family_number(family), length, 0, 0];
    message.raw(&[start, index.to_ne_bytes()].concat());
}

/// Adds an address.
pub(crate) fn create(address: &Address, index: u32) -> Message {
    let mut message = Message::acknowledged(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
    let prefix = address.prefix;
    header(&mut message, prefix.family(), prefix.length(), index);
    message.ip(IFA_LOCAL, prefix.ip()).ip(IFA_ADDRESS, prefix.ip());
    let mut flags = if address.prefix_route { 0 } else { IFA_F_NOPREFIXROUTE };
    match prefix.family() {
        // Subnets of one or two addresses have no broadcast address.
        Family::V4 if prefix.length() < 31 => {
            message.ip(IFA_BROADCAST, prefix.subnet().last());
        }
        Family::V6 if !address.detect_duplicates => flags |= IFA_F_NODAD,
        Family::V4 | Family::V6 => {}
    }
    if flags != 0 {
        message.u32(IFA_FLAGS, flags);
    }
    message
}

/// Removes an address.
pub(crate) fn delete(prefix: Prefix, index: u32) -> Message {
    let mut message = Message::acknowledged(RTM_DELADDR, 0);
    header(&mut message, prefix.family(), prefix.length(), index);
    message.ip(IFA_LOCAL, prefix.ip()).ip(IFA_ADDRESS, prefix.ip());
    message
}

/// Asks for the addresses of a link, of both families if none is given.
pub(crate) fn list(family: Option<Family>, index: u32) -> Message {
    let mut message = Message::dump(RTM_GETADDR);
    let start = [family.map_or(0, family_number), 0, 0, 0];
    message.raw(&[start, index.to_ne_bytes()].concat());
    message
}

/// Reads an address from an answer.
pub(crate) fn read(reply: &Reply<'_>) -> Option<FoundAddress> {
    if reply.kind != RTM_NEWADDR {
        return None;
    }
    let &[_, length, _, flags, a, b, c, d] = reply.payload.first_chunk::<HEADER>()?;
    let attributes = Attributes::behind(reply.payload, HEADER);
    // On point-to-point links IFA_ADDRESS is the other side's; IPv6 has no IFA_LOCAL otherwise.
    let ip = attributes.first(IFA_LOCAL).or(attributes.first(IFA_ADDRESS))?.ip()?;
    Some(FoundAddress {
        link: u32::from_ne_bytes([a, b, c, d]),
        prefix: Prefix::new(ip, length).ok()?,
        flags: attributes.first(IFA_FLAGS).and_then(Attribute::u32).unwrap_or(flags.into()),
    })
}
