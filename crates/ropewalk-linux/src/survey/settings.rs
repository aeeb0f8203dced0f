//! Sysctls of a namespace that decide about packets, whatever link they come from. Those of links
//! come with the links.
//!
//! Files are read only where packets may be passed on: each namespace has its own files below the
//! same names, and with a thousand namespaces the kernel takes seconds to find them (Linux 6.18).

use std::fs;

use ropewalk_topology::model::{Link, Setting};

use crate::{
    netlink::{Attribute, Attributes, Message, Socket},
    uapi::{
        AF_INET, AF_INET6, NETCONFA_FORWARDING, NETCONFA_IFINDEX, NETCONFA_IFINDEX_ALL,
        RTM_GETNETCONF, RTM_NEWNETCONF,
    },
};

use super::{
    neighbour_tables,
    uapi::{NETCONFA_PROXY_NEIGH, NETCONFA_RP_FILTER},
};

/// Below `/proc/sys/net`, which shows the namespace of the thread that looks.
const FILES: [&str; 9] = [
    "ipv4/conf/all/route_localnet",
    "ipv4/conf/all/arp_ignore",
    "ipv4/conf/all/accept_local",
    "ipv4/conf/all/src_valid_mark",
    "ipv6/conf/all/disable_ipv6",
    "bridge/bridge-nf-call-iptables",
    "bridge/bridge-nf-call-ip6tables",
    "netfilter/nf_conntrack_count",
    "netfilter/nf_conntrack_max",
];

/// What is asked of the kernel in each family, and its name as a sysctl.
const ASKED: [(u16, u16, &str); 4] = [
    (AF_INET, NETCONFA_FORWARDING, "ipv4/ip_forward"),
    (AF_INET, NETCONFA_RP_FILTER, "ipv4/conf/all/rp_filter"),
    (AF_INET, NETCONFA_PROXY_NEIGH, "ipv4/conf/all/proxy_arp"),
    (AF_INET6, NETCONFA_FORWARDING, "ipv6/conf/all/forwarding"),
];

/// Those that hold for all links.
pub(super) fn read(socket: &mut Socket, links: &[Link]) -> Vec<Setting> {
    let mut settings = Vec::new();
    for family in [AF_INET, AF_INET6] {
        settings.extend(ask(socket, family));
    }
    if links.iter().filter(|link| !link.is_loopback()).count() > 1 {
        settings.extend(neighbour_tables::limits(socket));
        settings.extend(FILES.iter().filter_map(|name| read_file(name)));
    }
    settings
}

fn ask(socket: &mut Socket, family: u16) -> Vec<Setting> {
    let mut question = Message::get(RTM_GETNETCONF);
    let [low, ..] = family.to_le_bytes();
    question.raw(&[low, 0, 0, 0]);
    question.u32(NETCONFA_IFINDEX, NETCONFA_IFINDEX_ALL.cast_unsigned());
    let answer = socket.get(question, |reply| {
        if reply.kind != RTM_NEWNETCONF {
            return None;
        }
        let values = Attributes::behind(reply.payload, 4);
        let wanted = ASKED.iter().filter(|(of, ..)| *of == family);
        let found = wanted.filter_map(|(_, kind, name)| {
            let value = values.first(*kind).and_then(Attribute::u32)?;
            Some(Setting { name: (*name).into(), value: value.to_string() })
        });
        Some(found.collect())
    });
    // A kernel without the family has no such settings.
    answer.ok().flatten().unwrap_or_default()
}

fn read_file(name: &str) -> Option<Setting> {
    // One that is not there belongs to a part that this kernel lacks.
    let value = fs::read_to_string(format!("/proc/sys/net/{name}")).ok()?;
    Some(Setting { name: name.into(), value: value.trim_end().into() })
}
