//! Links with all that the kernel says of them.

use ropewalk_topology::model::{Counters, Details, HardwareAddress, Link, Lower, Port, State};

use super::uapi::{
    IFF_TAP, IFLA_ALT_IFNAME, IFLA_BR_AGEING_TIME, IFLA_BR_STP_STATE, IFLA_BRPORT_LEARNING,
    IFLA_BRPORT_STATE, IFLA_BRPORT_UNICAST_FLOOD, IFLA_GRE_LOCAL, IFLA_GRE_REMOTE,
    IFLA_INFO_SLAVE_KIND, IFLA_IPTUN_LOCAL, IFLA_IPTUN_REMOTE, IFLA_PROP_LIST, IFLA_STATS64,
    IFLA_VLAN_PROTOCOL, IFLA_VXLAN_GROUP, IFLA_VXLAN_GROUP6, IFLA_VXLAN_ID, IFLA_VXLAN_LEARNING,
    IFLA_VXLAN_LINK, IFLA_VXLAN_LOCAL, IFLA_VXLAN_LOCAL6, IFLA_VXLAN_PORT, IFLA_XDP,
    IFLA_XDP_PROG_ID,
};
use crate::{
    netlink::{Attribute, Attributes, Message, Reply},
    uapi::{
        AF_INET, AF_INET6, IFLA_ADDRESS, IFLA_AF_SPEC, IFLA_BR_VLAN_FILTERING,
        IFLA_BRPORT_ISOLATED, IFLA_BRPORT_MODE, IFLA_IFALIAS, IFLA_IFNAME, IFLA_INET_CONF,
        IFLA_INET6_CONF, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_INFO_SLAVE_DATA, IFLA_IPVLAN_MODE,
        IFLA_LINK, IFLA_LINK_NETNSID, IFLA_LINKINFO, IFLA_MACVLAN_MODE, IFLA_MASTER, IFLA_MTU,
        IFLA_OPERSTATE, IFLA_TUN_OWNER, IFLA_TUN_TYPE, IFLA_TXQLEN, IFLA_VLAN_ID, IFLA_VRF_TABLE,
        RTM_GETLINK, RTM_NEWLINK,
    },
};

/// Length of `struct ifinfomsg`.
pub(super) const HEADER: usize = 16;

/// Asks for all links with their counters.
pub(super) fn list() -> Message {
    let mut message = Message::dump(RTM_GETLINK);
    message.raw(&[0; HEADER]);
    message
}

/// Four bytes of a header.
pub(super) fn word(payload: &[u8], at: usize) -> Option<u32> {
    payload.get(at..at + 4)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

/// Two bytes of a header.
pub(super) fn half(payload: &[u8], at: usize) -> Option<u16> {
    payload.get(at..at + 2)?.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes))
}

/// A text that may be no UTF-8: the kernel takes any bytes as a name.
pub(super) fn text(attribute: Attribute<'_>) -> String {
    let end = attribute.payload.iter().position(|&byte| byte == 0);
    let bytes = &attribute.payload[..end.unwrap_or(attribute.payload.len())];
    String::from_utf8_lossy(bytes).into_owned()
}

pub(super) fn read(reply: &Reply<'_>) -> Option<Link> {
    if reply.kind != RTM_NEWLINK {
        return None;
    }
    let payload = reply.payload;
    let mut link = Link {
        hardware_type: half(payload, 2)?,
        index: word(payload, 4)?,
        flags: word(payload, 8)?,
        ..Link::default()
    };
    let (mut lower, mut number) = (None, None);
    for attribute in Attributes::behind(payload, HEADER) {
        match attribute.kind {
            IFLA_IFNAME => link.name = text(attribute),
            IFLA_IFALIAS => link.alias = Some(text(attribute)),
            IFLA_ADDRESS => link.mac = Some(HardwareAddress(attribute.payload.to_vec())),
            IFLA_MTU => link.mtu = attribute.u32().unwrap_or_default(),
            IFLA_TXQLEN => link.queue_length = attribute.u32().unwrap_or_default(),
            IFLA_MASTER => link.master = attribute.u32(),
            IFLA_LINK => lower = attribute.u32(),
            IFLA_LINK_NETNSID => number = attribute.u32().map(u32::cast_signed),
            IFLA_OPERSTATE => link.state = State(attribute.u8().unwrap_or_default()),
            IFLA_STATS64 => link.counters = read_counters(attribute.payload),
            IFLA_LINKINFO => read_information(&mut link, &attribute.nested(), &mut lower),
            IFLA_AF_SPEC => read_settings(&mut link, attribute),
            IFLA_PROP_LIST => {
                let names = attribute.nested().filter(|name| name.kind == IFLA_ALT_IFNAME);
                link.other_names = names.map(text).collect();
            }
            IFLA_XDP => link.xdp = attribute.inner(IFLA_XDP_PROG_ID).and_then(Attribute::u32),
            _ => {}
        }
    }
    link.lower = lower.map(|index| Lower { index, namespace: number });
    Some(link)
}

/// `struct rtnl_link_stats64`, which grows at its end.
pub(super) fn read_counters(bytes: &[u8]) -> Counters {
    let at = |position: usize| {
        let bytes = bytes.get(position * 8..position * 8 + 8).and_then(|bytes| bytes.first_chunk());
        bytes.map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    };
    Counters {
        rx_packets: at(0),
        tx_packets: at(1),
        rx_bytes: at(2),
        tx_bytes: at(3),
        rx_errors: at(4),
        tx_errors: at(5),
        rx_dropped: at(6),
        tx_dropped: at(7),
    }
}

fn read_settings(link: &mut Link, families: Attribute<'_>) {
    let words = |family, kind| -> Vec<u32> {
        let values = families.inner(family).and_then(|family| family.inner(kind));
        let chunks = values.map(|values| values.payload).unwrap_or_default().chunks_exact(4);
        chunks.filter_map(|bytes| word(bytes, 0)).collect()
    };
    link.ipv4_settings = words(AF_INET, IFLA_INET_CONF);
    let ipv6 = words(AF_INET6, IFLA_INET6_CONF);
    link.ipv6_settings = ipv6.into_iter().map(u32::cast_signed).collect();
}

fn read_information(link: &mut Link, information: &Attributes<'_>, lower: &mut Option<u32>) {
    link.kind = information.first(IFLA_INFO_KIND).map(text);
    if let Some(data) = information.first(IFLA_INFO_DATA) {
        link.details = read_details(link.kind_name(), data);
        if link.is("vxlan") && lower.is_none() {
            *lower = data.inner(IFLA_VXLAN_LINK).and_then(Attribute::u32);
        }
    }
    let is_port = information.first(IFLA_INFO_SLAVE_KIND).map(text).as_deref() == Some("bridge");
    if let Some(data) = information.first(IFLA_INFO_SLAVE_DATA).filter(|_| is_port) {
        link.port = Some(read_port(data));
    }
}

fn read_port(data: Attribute<'_>) -> Port {
    let byte = |kind| data.inner(kind).and_then(Attribute::u8).unwrap_or_default();
    Port {
        state: byte(IFLA_BRPORT_STATE),
        hairpin: byte(IFLA_BRPORT_MODE) != 0,
        isolated: byte(IFLA_BRPORT_ISOLATED) != 0,
        learning: byte(IFLA_BRPORT_LEARNING) != 0,
        flood: byte(IFLA_BRPORT_UNICAST_FLOOD) != 0,
    }
}

fn read_details(kind: &str, data: Attribute<'_>) -> Details {
    let byte = |kind| data.inner(kind).and_then(Attribute::u8).unwrap_or_default();
    let number = |kind| data.inner(kind).and_then(Attribute::u32).unwrap_or_default();
    let short = |kind| data.inner(kind).and_then(Attribute::u16).unwrap_or_default();
    let network_short = |kind| data.inner(kind).and_then(Attribute::be16).unwrap_or_default();
    // Tunnels without an end tell the address 0.
    let ip = |kind| data.inner(kind).and_then(Attribute::ip).filter(|ip| !ip.is_unspecified());
    match kind {
        "bridge" => Details::Bridge {
            vlan_filtering: byte(IFLA_BR_VLAN_FILTERING) != 0,
            spanning_tree: number(IFLA_BR_STP_STATE) != 0,
            ageing: number(IFLA_BR_AGEING_TIME),
        },
        "vlan" => {
            Details::Vlan { id: short(IFLA_VLAN_ID), protocol: network_short(IFLA_VLAN_PROTOCOL) }
        }
        "vxlan" => Details::Vxlan {
            id: number(IFLA_VXLAN_ID),
            local: ip(IFLA_VXLAN_LOCAL).or_else(|| ip(IFLA_VXLAN_LOCAL6)),
            remote: ip(IFLA_VXLAN_GROUP).or_else(|| ip(IFLA_VXLAN_GROUP6)),
            port: network_short(IFLA_VXLAN_PORT),
            learning: byte(IFLA_VXLAN_LEARNING) != 0,
        },
        "macvlan" | "macvtap" => Details::Macvlan { mode: number(IFLA_MACVLAN_MODE) },
        "ipvlan" | "ipvtap" => Details::Ipvlan { mode: short(IFLA_IPVLAN_MODE) },
        "vrf" => Details::Vrf { table: number(IFLA_VRF_TABLE) },
        "tun" => Details::Tun {
            is_tap: byte(IFLA_TUN_TYPE) == IFF_TAP,
            owner: data.inner(IFLA_TUN_OWNER).and_then(Attribute::u32),
        },
        "gre" | "gretap" | "ip6gre" | "ip6gretap" | "erspan" => {
            Details::Tunnel { local: ip(IFLA_GRE_LOCAL), remote: ip(IFLA_GRE_REMOTE) }
        }
        "ipip" | "sit" | "ip6tnl" => {
            Details::Tunnel { local: ip(IFLA_IPTUN_LOCAL), remote: ip(IFLA_IPTUN_REMOTE) }
        }
        _ => Details::Plain,
    }
}
