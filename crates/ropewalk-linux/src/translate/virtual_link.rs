//! Virtual links, and membership in a master.

use ropewalk_addr::IfName;
use ropewalk_netstate::{
    Resource,
    resource::{IpvlanFlag, IpvlanMode, MacvlanMode, Parent, Tap, VirtualKind, VirtualLink},
};

use super::link::{Link, found_any, header};
use crate::{
    netlink::{Attribute, Attributes, Message, Reply},
    uapi::{
        IFLA_ADDRESS, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_IPVLAN_FLAGS,
        IFLA_IPVLAN_MODE, IFLA_LINK, IFLA_LINK_NETNSID, IFLA_LINKINFO, IFLA_MACVLAN_BC_QUEUE_LEN,
        IFLA_MACVLAN_MODE, IFLA_MASTER, IFLA_MTU, IFLA_TUN_GROUP, IFLA_TUN_MULTI_QUEUE,
        IFLA_TUN_OWNER, IFLA_TUN_TYPE, IFLA_TUN_VNET_HDR, IFLA_VLAN_ID, IFLA_VRF_TABLE, NETNSA_FD,
        NETNSA_NSID, NLM_F_CREATE, NLM_F_ECHO, NLM_F_EXCL, RTM_GETNSID, RTM_NEWLINK, RTM_NEWNSID,
        RTM_SETLINK,
    },
};

/// Length of `struct rtgenmsg`, padded.
const NAMESPACE_HEADER: usize = 4;

/// Where the parent of a new link is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Below {
    /// Its index.
    pub(crate) index: u32,
    /// The number under which the link's namespace knows the parent's, if it is another one.
    pub(crate) namespace: Option<i32>,
}

/// Creates a link in the namespace of the socket, under its final name. The parent may lie
/// elsewhere.
pub(crate) fn create(name: &IfName, link: &VirtualLink, below: Option<Below>) -> Message {
    let mut message = Message::acknowledged(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ECHO);
    header(&mut message, 0, 0, 0);
    message.text(IFLA_IFNAME, name);
    if let Some(mac) = link.mac {
        message.bytes(IFLA_ADDRESS, &mac.0);
    }
    if let Some(mtu) = link.mtu {
        message.u32(IFLA_MTU, mtu);
    }
    if let Some(below) = below {
        message.u32(IFLA_LINK, below.index);
        if let Some(number) = below.namespace {
            message.bytes(IFLA_LINK_NETNSID, &number.to_ne_bytes());
        }
    }
    message.nest(IFLA_LINKINFO, |info| {
        info.text(IFLA_INFO_KIND, link.kind.name());
        info.nest(IFLA_INFO_DATA, |data| kind_data(data, &link.kind));
    });
    message
}

fn kind_data(data: &mut Message, kind: &VirtualKind) {
    match *kind {
        // A tap is not made by a message.
        VirtualKind::Dummy | VirtualKind::Ifb | VirtualKind::Tap(_) => {}
        VirtualKind::Vrf { table } => {
            data.u32(IFLA_VRF_TABLE, table);
        }
        VirtualKind::Vlan { id } => {
            data.u16(IFLA_VLAN_ID, id);
        }
        VirtualKind::Macvlan { mode, broadcast_queue } => {
            data.u32(IFLA_MACVLAN_MODE, macvlan_mode(mode));
            if let Some(packets) = broadcast_queue {
                data.u32(IFLA_MACVLAN_BC_QUEUE_LEN, packets);
            }
        }
        VirtualKind::Ipvlan { mode, flag } => {
            data.u16(IFLA_IPVLAN_MODE, ipvlan_mode(mode));
            data.u16(IFLA_IPVLAN_FLAGS, ipvlan_flag(flag));
        }
    }
}

fn macvlan_mode(mode: MacvlanMode) -> u32 {
    match mode {
        MacvlanMode::Private => 1,
        MacvlanMode::Vepa => 2,
        MacvlanMode::Bridge => 4,
        MacvlanMode::Passthru => 8,
    }
}

fn ipvlan_mode(mode: IpvlanMode) -> u16 {
    match mode {
        IpvlanMode::L2 => 0,
        IpvlanMode::L3 => 1,
        IpvlanMode::L3s => 2,
    }
}

fn ipvlan_flag(flag: IpvlanFlag) -> u16 {
    match flag {
        IpvlanFlag::Bridge => 0,
        IpvlanFlag::Private => 1,
        IpvlanFlag::Vepa => 2,
    }
}

/// A kind that tells nothing but its name.
pub(crate) fn plain_kind(kind: &str) -> Option<VirtualKind> {
    match kind {
        "dummy" => Some(VirtualKind::Dummy),
        "ifb" => Some(VirtualKind::Ifb),
        _ => None,
    }
}

/// Reads `IFLA_INFO_DATA` of a link of this kind; `None` for kinds and modes that are not ours.
pub(crate) fn read_kind(kind: &str, data: &Attributes<'_>) -> Option<VirtualKind> {
    let u16 = |kind| data.first(kind).and_then(Attribute::u16);
    let u32 = |kind| data.first(kind).and_then(Attribute::u32);
    match kind {
        "vrf" => Some(VirtualKind::Vrf { table: u32(IFLA_VRF_TABLE)? }),
        "vlan" => Some(VirtualKind::Vlan { id: u16(IFLA_VLAN_ID)? }),
        "macvlan" => {
            let modes = [
                MacvlanMode::Private,
                MacvlanMode::Vepa,
                MacvlanMode::Bridge,
                MacvlanMode::Passthru,
            ];
            let number = u32(IFLA_MACVLAN_MODE)?;
            let mode = modes.into_iter().find(|mode| macvlan_mode(*mode) == number)?;
            Some(VirtualKind::Macvlan { mode, broadcast_queue: u32(IFLA_MACVLAN_BC_QUEUE_LEN) })
        }
        "ipvlan" => {
            let modes = [IpvlanMode::L2, IpvlanMode::L3, IpvlanMode::L3s];
            let flags = [IpvlanFlag::Bridge, IpvlanFlag::Private, IpvlanFlag::Vepa];
            let (mode, flag) = (u16(IFLA_IPVLAN_MODE)?, u16(IFLA_IPVLAN_FLAGS).unwrap_or(0));
            let mode = modes.into_iter().find(|known| ipvlan_mode(*known) == mode)?;
            let flag = flags.into_iter().find(|known| ipvlan_flag(*known) == flag)?;
            Some(VirtualKind::Ipvlan { mode, flag })
        }
        "tun" => read_tap(data).map(VirtualKind::Tap),
        plain => plain_kind(plain),
    }
}

/// Before Linux 4.19 the kernel tells nothing of a tap, and then it is a link of unknown kind.
fn read_tap(data: &Attributes<'_>) -> Option<Tap> {
    const IFF_TAP: u8 = 2;
    let u8 = |kind| data.first(kind).and_then(Attribute::u8);
    let is_on = |kind| u8(kind).is_some_and(|on| on != 0);
    (u8(IFLA_TUN_TYPE)? == IFF_TAP).then(|| Tap {
        multi_queue: is_on(IFLA_TUN_MULTI_QUEUE),
        owner: data.first(IFLA_TUN_OWNER).and_then(Attribute::u32),
        group: data.first(IFLA_TUN_GROUP).and_then(Attribute::u32),
        offload_header: is_on(IFLA_TUN_VNET_HDR),
        context: None,
    })
}

/// A virtual link found; a link of another kind is reported as what it is.
pub(crate) fn found(name: &IfName, link: &Link, parent: Option<Parent>) -> Resource {
    let Some(kind) = link.virtual_kind.clone() else { return found_any(name, link) };
    Resource::VirtualLink(VirtualLink {
        name: name.clone(),
        kind,
        parent,
        mac: link.mac,
        mtu: link.mtu,
        tag: link.tag(),
    })
}

/// Makes a link a member of a master; index 0 takes it out.
pub(crate) fn set_master(index: u32, master: u32) -> Message {
    let mut message = Message::acknowledged(RTM_SETLINK, 0);
    header(&mut message, index, 0, 0);
    message.u32(IFLA_MASTER, master);
    message
}

/// Lets the namespace of the socket give another one a number (rtnetlink(7), `RTM_NEWNSID`).
pub(crate) fn number_namespace(descriptor: i32) -> Message {
    let mut message = Message::acknowledged(RTM_NEWNSID, 0);
    message.raw(&[0; NAMESPACE_HEADER]);
    message.bytes(NETNSA_NSID, &(-1_i32).to_ne_bytes());
    message.bytes(NETNSA_FD, &descriptor.to_ne_bytes());
    message
}

/// Asks for the number of another namespace.
pub(crate) fn namespace_number(descriptor: i32) -> Message {
    let mut message = Message::get(RTM_GETNSID);
    message.raw(&[0; NAMESPACE_HEADER]);
    message.bytes(NETNSA_FD, &descriptor.to_ne_bytes());
    message
}

/// Reads a namespace's number; `None` if it has none yet.
pub(crate) fn read_namespace_number(reply: &Reply<'_>) -> Option<i32> {
    let attributes = Attributes::behind(reply.payload, NAMESPACE_HEADER);
    let number = attributes.first(NETNSA_NSID).and_then(Attribute::u32)?.cast_signed();
    (number >= 0).then_some(number)
}
