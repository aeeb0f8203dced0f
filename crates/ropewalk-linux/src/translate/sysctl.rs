//! Kernel parameters: a path below `/proc/sys` and a line of text.

use std::path::PathBuf;

use ropewalk_addr::IfName;
use ropewalk_netstate::resource::Sysctl;

use super::link;
use crate::{
    netlink::{Attribute, Attributes, Message, Reply},
    uapi::{
        AF_INET, AF_INET6, DEVCONF_ACCEPT_RA, IFLA_AF_SPEC, IFLA_INET_CONF, IFLA_INET6_CONF,
        IPV4_DEVCONF_ARP_NOTIFY, IPV4_DEVCONF_ROUTE_LOCALNET, NETCONFA_FORWARDING,
        NETCONFA_IFINDEX, NETCONFA_IFINDEX_ALL, RTM_GETNETCONF, RTM_NEWNETCONF, RTM_SETLINK,
    },
};

/// A parameter of links that every answer about a link tells, too.
struct Told {
    directory: &'static str,
    name: &'static str,
    family: u16,
    /// Which of the family's attributes holds the list of its parameters, and the place in it.
    list: u16,
    place: u16,
}

/// IPv4 counts from one (`enum` in include/uapi/linux/ip.h), IPv6 from zero (`DEVCONF_` in
/// include/uapi/linux/ipv6.h).
const TOLD: [Told; 3] = [
    Told {
        directory: "net/ipv4/conf/",
        name: "arp_notify",
        family: AF_INET,
        list: IFLA_INET_CONF,
        place: IPV4_DEVCONF_ARP_NOTIFY - 1,
    },
    Told {
        directory: "net/ipv4/conf/",
        name: "route_localnet",
        family: AF_INET,
        list: IFLA_INET_CONF,
        place: IPV4_DEVCONF_ROUTE_LOCALNET - 1,
    },
    Told {
        directory: "net/ipv6/conf/",
        name: "accept_ra",
        family: AF_INET6,
        list: IFLA_INET6_CONF,
        place: DEVCONF_ACCEPT_RA,
    },
];

/// The values of those parameters, where the kernel told them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LinkParameters([Option<i32>; TOLD.len()]);

impl LinkParameters {
    /// Reads what an answer says about the families of a link (`IFLA_AF_SPEC`).
    pub(crate) fn read(families: &Attributes<'_>) -> Self {
        Self(TOLD.each_ref().map(|told| {
            let list = families.first(told.family)?.inner(told.list)?;
            let start = usize::from(told.place) * size_of::<i32>();
            let bytes = list.payload.get(start..)?.first_chunk()?;
            Some(i32::from_ne_bytes(*bytes))
        }))
    }

    /// The value of a parameter of this link; `None` if it was not told.
    pub(crate) fn value(&self, path: &str) -> Option<String> {
        let is_it = |told: &Told| {
            let rest = path.strip_prefix(told.directory);
            rest.and_then(|rest| rest.strip_suffix(told.name)).is_some_and(|l| l.ends_with('/'))
        };
        self.0[TOLD.iter().position(is_it)?].map(|value| value.to_string())
    }
}

/// The question for a parameter of a whole namespace that can be asked by a message, which goes
/// with others: whether packets are forwarded.
pub(crate) fn find(path: &str) -> Option<Message> {
    let family = match path {
        "net/ipv4/ip_forward" | "net/ipv4/conf/all/forwarding" => AF_INET,
        "net/ipv6/conf/all/forwarding" => AF_INET6,
        _ => return None,
    };
    let mut message = Message::get(RTM_GETNETCONF);
    let [family, _] = family.to_ne_bytes();
    message.raw(&[family]).bytes(NETCONFA_IFINDEX, &NETCONFA_IFINDEX_ALL.to_ne_bytes());
    Some(message)
}

/// Reads the answer to [`find`].
pub(crate) fn read(reply: &Reply<'_>) -> Option<String> {
    /// Length of `struct netconfmsg`, padded.
    const HEADER: usize = 4;
    if reply.kind != RTM_NEWNETCONF {
        return None;
    }
    let mut answer = Attributes::behind(reply.payload, HEADER);
    let value = answer.find(|attribute| attribute.kind == NETCONFA_FORWARDING);
    value.and_then(Attribute::u32).map(|value| value.cast_signed().to_string())
}

/// The file of a parameter; `None` for a path that would leave `/proc/sys`.
pub(crate) fn file(path: &str) -> Option<PathBuf> {
    let is_name = |part: &str| !part.is_empty() && part != "." && part != "..";
    path.split('/').all(is_name).then(|| PathBuf::from("/proc/sys").join(path))
}

/// The link that a parameter belongs to; `None` for one of the whole namespace.
pub(crate) fn link_of(path: &str) -> Option<IfName> {
    let mut parts = path.split('/');
    let is_of_links = parts.next() == Some("net")
        && matches!(parts.next(), Some("ipv4" | "ipv6"))
        && matches!(parts.next(), Some("conf" | "neigh"));
    let name = parts.next().filter(|name| is_of_links && !matches!(*name, "all" | "default"));
    name?.parse().ok()
}

/// The link of a parameter that can be set by a message too, which goes with others and needs no
/// file of the link's namespace (`inet_set_link_af` in net/ipv4/devinet.c).
pub(crate) fn link_by_message(wanted: &Sysctl) -> Option<IfName> {
    let is_known = wanted.path.ends_with("/arp_notify") && wanted.value.parse::<u32>().is_ok();
    link_of(&wanted.path).filter(|_| is_known && wanted.path.starts_with("net/ipv4/"))
}

/// The message that sets a parameter for which there is one.
pub(crate) fn set(wanted: &Sysctl, index: u32) -> Message {
    let mut message = Message::acknowledged(RTM_SETLINK, 0);
    link::header(&mut message, index, 0, 0);
    let value = wanted.value.parse().unwrap_or_default();
    message.nest(IFLA_AF_SPEC, |spec| {
        spec.nest(AF_INET, |family| {
            family.nest(IFLA_INET_CONF, |parameters| {
                parameters.u32(IPV4_DEVCONF_ARP_NOTIFY, value);
            });
        });
    });
    message
}

/// A value as the kernel prints it, without the final newline.
pub(crate) fn value(text: &str) -> String {
    text.strip_suffix('\n').unwrap_or(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leaves_the_tree_of_parameters() {
        for path in ["", "/etc/passwd", "../etc", "net/../../etc/passwd", "net//x", "net/./x"] {
            assert_eq!(file(path), None, "{path}");
        }
        assert!(file("net/ipv4/conf/eth0.1/arp_notify").is_some());
    }

    #[test]
    fn parameters_of_links_are_told_from_others() {
        let link = |path| link_of(path).map(|name| name.to_string());
        assert_eq!(link("net/ipv4/conf/eth0.1/arp_notify").as_deref(), Some("eth0.1"));
        assert_eq!(link("net/ipv6/neigh/eth0/gc_stale_time").as_deref(), Some("eth0"));
        for path in ["net/ipv4/conf/all/forwarding", "net/ipv4/ip_forward", "net/core/somaxconn"] {
            assert_eq!(link(path), None, "{path}");
        }
    }
}
