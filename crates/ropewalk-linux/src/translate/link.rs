//! Links: bridges, veth pairs, attributes.

use ropewalk_addr::{IfName, Mac};
use ropewalk_netstate::{
    Place, Resource, Tag,
    resource::{self, AnyLink, Bridge, LinkAttribute, Veth, VirtualKind},
};

use super::{
    bridge_port::{PortFlags, read_port},
    sysctl::LinkParameters,
    virtual_link,
};
use crate::{
    netlink::{Attribute, Attributes, Message, Reply},
    uapi::{
        AF_INET6, IFLA_ADDRESS, IFLA_AF_SPEC, IFLA_BR_NF_CALL_IP6TABLES, IFLA_BR_NF_CALL_IPTABLES,
        IFLA_BR_VLAN_FILTERING, IFLA_EXT_MASK, IFLA_GRO_IPV4_MAX_SIZE, IFLA_GSO_IPV4_MAX_SIZE,
        IFLA_IFALIAS, IFLA_IFNAME, IFLA_INET6_ADDR_GEN_MODE, IFLA_INFO_DATA, IFLA_INFO_KIND,
        IFLA_INFO_SLAVE_DATA, IFLA_LINK, IFLA_LINK_NETNSID, IFLA_LINKINFO, IFLA_MASTER, IFLA_MTU,
        IFLA_NET_NS_FD, IFLA_NUM_RX_QUEUES, IFLA_NUM_TX_QUEUES, IFLA_OPERSTATE,
        IFLA_TARGET_NETNSID, IFLA_TSO_MAX_SIZE, IFLA_TXQLEN, IN6_ADDR_GEN_MODE_NONE, NLM_F_CREATE,
        NLM_F_ECHO, NLM_F_EXCL, RTEXT_FILTER_SKIP_STATS, RTM_DELLINK, RTM_GETLINK, RTM_NEWLINK,
        RTM_SETLINK, VETH_INFO_PEER,
    },
};

/// Length of `struct ifinfomsg`.
const HEADER: usize = 16;
pub(super) const IFF_UP: u32 = 0x1;
const IFF_PROMISC: u32 = 0x100;
const IFF_ALLMULTI: u32 = 0x200;

/// Sizes up to which IPv4 segments go as one packet: sent and received. Those of IPv6 are left
/// alone: such packets have an option that counts for the MTU where they are routed, so that the
/// kernel takes them for too big (Linux 6.18).
const PACKET_SIZES: [u16; 2] = [IFLA_GSO_IPV4_MAX_SIZE, IFLA_GRO_IPV4_MAX_SIZE];

/// A link as the kernel reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) flags: u32,
    pub(crate) mac: Option<Mac>,
    pub(crate) mtu: Option<u32>,
    pub(crate) transmit_queue: Option<u32>,
    /// In the order of [`PACKET_SIZES`].
    pub(crate) packet_sizes: [Option<u32>; 2],
    /// The largest size of packets to be sent that may be set.
    pub(crate) packet_size_limit: Option<u32>,
    /// Index of the bridge it is a port of.
    pub(crate) master: Option<u32>,
    /// Index of the link it stands on; of a veth, its peer.
    pub(crate) peer: Option<u32>,
    /// The number that the namespace which told of the link has for that link's, if it is another.
    pub(crate) peer_namespace: Option<u32>,
    pub(crate) kind: Option<String>,
    pub(crate) alias: Option<String>,
    pub(crate) operational_state: u8,
    /// `None` where the kernel is built without it, and for what is not a bridge.
    pub(crate) vlan_filtering: Option<bool>,
    /// Whether packets that stay on this bridge pass iptables, whatever holds for others.
    pub(crate) filters_packets: bool,
    /// What it is as a bridge port.
    pub(crate) port: Option<PortFlags>,
    /// What it is as a virtual link.
    pub(crate) virtual_kind: Option<VirtualKind>,
    pub(crate) parameters: LinkParameters,
}

impl Link {
    /// Whether the kernel says it is of this kind.
    pub(crate) fn is(&self, kind: &str) -> bool {
        self.kind.as_deref() == Some(kind)
    }

    pub(crate) fn is_up(&self) -> bool {
        self.flags & IFF_UP != 0
    }

    pub(crate) fn is_promiscuous(&self) -> bool {
        self.flags & IFF_PROMISC != 0
    }

    pub(crate) fn receives_all_multicast(&self) -> bool {
        self.flags & IFF_ALLMULTI != 0
    }

    /// Whether the link it stands on, or its peer, is in another namespace.
    pub(crate) fn peer_is_elsewhere(&self) -> bool {
        self.peer_namespace.is_some()
    }

    /// The size up to which IPv4 segments go as one packet in both directions.
    pub(crate) fn packet_size(&self) -> Option<u32> {
        self.packet_sizes.into_iter().min().flatten()
    }

    /// The owner's mark in its alias.
    pub(crate) fn tag(&self) -> Option<Tag> {
        self.alias.as_deref().and_then(Tag::parse)
    }
}

/// `struct ifinfomsg` and the type of message in front of it.
pub(super) fn header(message: &mut Message, index: u32, flags: u32, change: u32) {
    let [i, f, c] = [index, flags, change].map(u32::to_ne_bytes);
    message.raw(&[&[0; 4][..], &i, &f, &c].concat());
}

/// Asks for a link by name.
pub(crate) fn find_by_name(name: &str) -> Message {
    let mut message = Message::get(RTM_GETLINK);
    header(&mut message, 0, 0, 0);
    message.u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS).text(IFLA_IFNAME, name);
    message
}

/// Asks for a link by index.
pub(crate) fn find_by_index(index: u32) -> Message {
    let mut message = Message::get(RTM_GETLINK);
    header(&mut message, index, 0, 0);
    message.u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    message
}

/// Asks for a link in another namespace, whose number the asked one has (Linux 4.15).
pub(crate) fn look_into(namespace: u32, mut question: Message) -> Message {
    question.u32(IFLA_TARGET_NETNSID, namespace);
    question
}

/// Asks for all links.
pub(crate) fn list() -> Message {
    let mut message = Message::dump(RTM_GETLINK);
    header(&mut message, 0, 0, 0);
    message.u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    message
}

/// Reads a link from an answer.
pub(crate) fn read(reply: &Reply<'_>) -> Option<Link> {
    if reply.kind != RTM_NEWLINK {
        return None;
    }
    let word = |at: usize| {
        reply.payload.get(at..at + 4)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
    };
    let mut link = Link { index: word(4)?, flags: word(8)?, ..Link::default() };
    for attribute in Attributes::behind(reply.payload, HEADER) {
        match attribute.kind {
            IFLA_IFNAME => link.name = attribute.text().unwrap_or_default().into(),
            IFLA_ADDRESS => link.mac = attribute.mac(),
            IFLA_MTU => link.mtu = attribute.u32(),
            IFLA_TXQLEN => link.transmit_queue = attribute.u32(),
            IFLA_TSO_MAX_SIZE => link.packet_size_limit = attribute.u32(),
            IFLA_MASTER => link.master = attribute.u32(),
            IFLA_LINK => link.peer = attribute.u32(),
            IFLA_LINK_NETNSID => link.peer_namespace = Some(attribute.u32().unwrap_or_default()),
            IFLA_IFALIAS => link.alias = attribute.text().map(Into::into),
            IFLA_OPERSTATE => link.operational_state = attribute.u8().unwrap_or_default(),
            IFLA_LINKINFO => read_kind(&mut link, attribute.nested()),
            IFLA_AF_SPEC => link.parameters = LinkParameters::read(&attribute.nested()),
            kind => {
                if let Some(place) = PACKET_SIZES.iter().position(|size| *size == kind) {
                    link.packet_sizes[place] = attribute.u32();
                }
            }
        }
    }
    Some(link)
}

fn read_kind(link: &mut Link, information: Attributes<'_>) {
    for attribute in information {
        match attribute.kind {
            IFLA_INFO_KIND => {
                link.kind = attribute.text().map(Into::into);
                link.virtual_kind = link.kind.as_deref().and_then(virtual_link::plain_kind);
            }
            // The kernel tells the kind first.
            IFLA_INFO_DATA => {
                let kind = link.kind.as_deref().unwrap_or_default();
                link.virtual_kind = virtual_link::read_kind(kind, &attribute.nested());
                let filtering = attribute.inner(IFLA_BR_VLAN_FILTERING).and_then(Attribute::u8);
                link.vlan_filtering = filtering.map(|on| on != 0);
                let is_on = |kind| attribute.inner(kind).and_then(Attribute::u8) == Some(1);
                let filters = [IFLA_BR_NF_CALL_IPTABLES, IFLA_BR_NF_CALL_IP6TABLES];
                link.filters_packets = link.is("bridge") && filters.into_iter().any(is_on);
            }
            IFLA_INFO_SLAVE_DATA => link.port = Some(read_port(&attribute.nested())),
            _ => {}
        }
    }
}

/// Creates a bridge, up, with this MAC.
pub(crate) fn create_bridge(bridge: &Bridge, mac: Mac) -> Message {
    let mut message = Message::acknowledged(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ECHO);
    bridge_flags(&mut message, 0, bridge);
    message.text(IFLA_IFNAME, &bridge.name).bytes(IFLA_ADDRESS, &mac.0);
    if let Some(mtu) = bridge.mtu {
        message.u32(IFLA_MTU, mtu);
    }
    bridge_kind(&mut message, bridge.vlan_filtering);
    message
}

/// Makes an existing bridge as wanted, but for its MTU.
pub(crate) fn change_bridge(index: u32, bridge: &Bridge) -> Message {
    let mut message = Message::acknowledged(RTM_NEWLINK, 0);
    bridge_flags(&mut message, index, bridge);
    if let Some(mac) = bridge.mac {
        message.bytes(IFLA_ADDRESS, &mac.0);
    }
    bridge_kind(&mut message, bridge.vlan_filtering);
    message
}

fn bridge_flags(message: &mut Message, index: u32, bridge: &Bridge) {
    let up = if bridge.up { IFF_UP } else { 0 };
    let promiscuous = if bridge.promiscuous { IFF_PROMISC } else { 0 };
    header(message, index, up | promiscuous, IFF_UP | IFF_PROMISC);
}

fn bridge_kind(message: &mut Message, vlan_filtering: bool) {
    message.nest(IFLA_LINKINFO, |info| {
        info.text(IFLA_INFO_KIND, "bridge");
        // Wanting it off accepts a bridge that has it on, so that off is never sent.
        if vlan_filtering {
            info.nest(IFLA_INFO_DATA, |data| {
                data.u8(IFLA_BR_VLAN_FILTERING, 1);
            });
        }
    });
}

/// A bridge found; a link of another kind is reported as what it is.
pub(crate) fn found_bridge(name: &IfName, link: &Link) -> Resource {
    if !link.is("bridge") {
        return found_any(name, link);
    }
    Resource::Bridge(Bridge {
        name: name.clone(),
        mtu: link.mtu,
        vlan_filtering: link.vlan_filtering.unwrap_or(false),
        promiscuous: link.is_promiscuous(),
        mac: link.mac,
        up: link.is_up(),
    })
}

/// A link found, whatever it is.
pub(crate) fn found_any(name: &IfName, link: &Link) -> Resource {
    Resource::AnyLink(AnyLink { name: name.clone(), mac: link.mac })
}

/// Numbers that a new veth pair needs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct VethSurroundings {
    /// Index of the bridge that the near end becomes a port of.
    pub(crate) master: Option<u32>,
    /// File descriptor of the peer's namespace, if it is another one.
    pub(crate) peer_namespace: Option<i32>,
}

/// Creates both ends in one message, each in its final namespace with its final name, the near
/// one up. One queue each: with the default number the kernel makes a queue per processor and
/// waits twice for a grace period while it holds the RTNL lock (135 µs on Linux 6.18).
/// The far end cannot be created up (`ENOTCONN`, Linux 6.18).
pub(crate) fn create_veth(veth: &Veth, around: VethSurroundings) -> Message {
    let mut message = Message::acknowledged(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ECHO);
    header(&mut message, 0, if veth.up { IFF_UP } else { 0 }, IFF_UP);
    message.text(IFLA_IFNAME, &veth.name);
    end_attributes(&mut message, veth.mac, veth.mtu);
    if let Some(master) = around.master {
        message.u32(IFLA_MASTER, master);
    }
    message.nest(IFLA_LINKINFO, |info| {
        info.text(IFLA_INFO_KIND, "veth");
        let Some(peer) = &veth.peer else { return };
        info.nest(IFLA_INFO_DATA, |data| {
            data.nest_unmarked(VETH_INFO_PEER, |end| {
                header(end, 0, 0, 0);
                end.text(IFLA_IFNAME, &peer.name);
                end_attributes(end, peer.mac, veth.mtu);
                if let Some(fd) = around.peer_namespace {
                    end.bytes(IFLA_NET_NS_FD, &fd.to_ne_bytes());
                }
            });
        });
    });
    message
}

fn end_attributes(message: &mut Message, mac: Option<Mac>, mtu: Option<u32>) {
    message.u32(IFLA_NUM_TX_QUEUES, 1).u32(IFLA_NUM_RX_QUEUES, 1);
    if let Some(mac) = mac {
        message.bytes(IFLA_ADDRESS, &mac.0);
    }
    if let Some(mtu) = mtu {
        message.u32(IFLA_MTU, mtu);
    }
}

/// Sets what can change on the near end of a pair.
pub(crate) fn change_veth(index: u32, veth: &Veth, master: Option<u32>) -> Message {
    let mut message = Message::acknowledged(RTM_SETLINK, 0);
    header(&mut message, index, if veth.up { IFF_UP } else { 0 }, IFF_UP);
    if let Some(mac) = veth.mac {
        message.bytes(IFLA_ADDRESS, &mac.0);
    }
    if let Some(master) = master {
        message.u32(IFLA_MASTER, master);
    }
    message
}

/// Writes an owner's mark. A link cannot be created with it.
pub(crate) fn set_alias(name: &IfName, alias: &str) -> Message {
    let mut message = Message::acknowledged(RTM_SETLINK, 0);
    header(&mut message, 0, 0, 0);
    message.text(IFLA_IFNAME, name);
    message.bytes(IFLA_IFALIAS, alias.as_bytes());
    message
}

/// What a link of a pair cannot be created with: its owner's mark, and if it is a port of a bridge
/// that it gives itself no IPv6 address. A port needs none, and with every address the kernel has
/// more routes to walk over whenever a link comes or goes: with 1000 containers that is a fifth of
/// an ADD (Linux 6.18).
pub(crate) fn finish_veth(veth: &Veth, without_addresses: bool) -> Message {
    let mut message = Message::acknowledged(RTM_SETLINK, 0);
    header(&mut message, 0, 0, 0);
    message.text(IFLA_IFNAME, &veth.name);
    if let Some(tag) = &veth.tag {
        message.bytes(IFLA_IFALIAS, tag.text().as_bytes());
    }
    if without_addresses {
        message.nest(IFLA_AF_SPEC, |families| {
            families.nest(AF_INET6, |family| {
                family.u8(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
            });
        });
    }
    message
}

/// Gives a link another name. It has to be down, before Linux 6.2.
pub(crate) fn rename(index: u32, name: &IfName) -> Message {
    let mut message = Message::acknowledged(RTM_SETLINK, 0);
    header(&mut message, index, 0, 0);
    message.text(IFLA_IFNAME, name);
    message
}

/// Whether two ends are each other's: `near` and `far` name each other, and each lies in another
/// namespace exactly if the places differ.
pub(crate) fn are_ends_of_one_pair(near: (Place, &Link), far: (Place, &Link)) -> bool {
    let apart = near.0 != far.0;
    let points_at = |one: &Link, other: &Link| {
        one.is("veth") && one.peer == Some(other.index) && one.peer_is_elsewhere() == apart
    };
    points_at(near.1, far.1) && points_at(far.1, near.1)
}

/// Deletes a link by index.
pub(crate) fn delete(index: u32) -> Message {
    let mut message = Message::acknowledged(RTM_DELLINK, 0);
    header(&mut message, index, 0, 0);
    message
}

/// Whether an event says that the link with this index is gone; its leaving a bridge is announced
/// in the same way, but in the bridge's family.
pub(crate) fn is_deletion(reply: &Reply<'_>, index: u32) -> bool {
    let is_of_family = reply.payload.first() == Some(&0);
    let is_of_link = reply.payload.get(4..8) == Some(&index.to_ne_bytes());
    reply.kind == RTM_DELLINK && is_of_family && is_of_link
}

/// Sets one attribute.
pub(crate) fn set_attribute(index: u32, attribute: resource::Attribute) -> Message {
    let mut message = Message::acknowledged(RTM_SETLINK, 0);
    let flag = |on: bool, flag: u32| if on { flag } else { 0 };
    let (flags, change) = match attribute {
        resource::Attribute::Up(on) => (flag(on, IFF_UP), IFF_UP),
        resource::Attribute::Promiscuous(on) => (flag(on, IFF_PROMISC), IFF_PROMISC),
        resource::Attribute::AllMulticast(on) => (flag(on, IFF_ALLMULTI), IFF_ALLMULTI),
        resource::Attribute::Mac(_)
        | resource::Attribute::Mtu(_)
        | resource::Attribute::TxQueueLength(_)
        | resource::Attribute::PacketSize(_) => (0, 0),
    };
    header(&mut message, index, flags, change);
    match attribute {
        resource::Attribute::Mac(mac) => message.bytes(IFLA_ADDRESS, &mac.0),
        resource::Attribute::Mtu(mtu) => message.u32(IFLA_MTU, mtu),
        resource::Attribute::TxQueueLength(packets) => message.u32(IFLA_TXQLEN, packets),
        resource::Attribute::PacketSize(bytes) => {
            PACKET_SIZES.into_iter().fold(&mut message, |message, kind| message.u32(kind, bytes))
        }
        resource::Attribute::Up(_)
        | resource::Attribute::Promiscuous(_)
        | resource::Attribute::AllMulticast(_) => &mut message,
    };
    message
}

/// The current value of a link's attribute; `None` if it counts as not there.
pub(crate) fn found_attribute(wanted: &LinkAttribute, link: &Link) -> Option<Resource> {
    let attribute = match wanted.attribute {
        resource::Attribute::Up(_) => link.is_up().then_some(resource::Attribute::Up(true)),
        resource::Attribute::Mac(_) => link.mac.map(resource::Attribute::Mac),
        resource::Attribute::Mtu(_) => link.mtu.map(resource::Attribute::Mtu),
        resource::Attribute::Promiscuous(_) => {
            Some(resource::Attribute::Promiscuous(link.is_promiscuous()))
        }
        resource::Attribute::AllMulticast(_) => {
            Some(resource::Attribute::AllMulticast(link.receives_all_multicast()))
        }
        resource::Attribute::TxQueueLength(_) => {
            link.transmit_queue.map(resource::Attribute::TxQueueLength)
        }
        resource::Attribute::PacketSize(_) => {
            link.packet_size().map(resource::Attribute::PacketSize)
        }
    };
    let attribute = attribute?;
    Some(Resource::LinkAttribute(LinkAttribute { link: wanted.link.clone(), attribute }))
}
