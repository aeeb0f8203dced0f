//! Kernel parameters: a path below `/proc/sys` and a line of text.

use std::path::PathBuf;

use ropewalk_addr::IfName;
use ropewalk_netstate::resource::Sysctl;

use super::link;
use crate::{
    netlink::Message,
    uapi::{AF_INET, IFLA_AF_SPEC, IFLA_INET_CONF, IPV4_DEVCONF_ARP_NOTIFY, RTM_SETLINK},
};

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
