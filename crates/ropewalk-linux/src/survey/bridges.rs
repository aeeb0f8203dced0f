//! Where bridges and VXLAN send frames, and the VLANs of ports.

use ropewalk_topology::model::{BridgeVlan, Details, ForwardingEntry, HardwareAddress, Link};

use super::{
    layer3,
    links::{HEADER as LINK_HEADER, half, word},
    uapi::{AF_BRIDGE, NDA_MASTER, NDA_PORT, NDA_VLAN, NDA_VNI},
};
use crate::{
    netlink::{Attribute, Attributes, Message, Reply},
    uapi::{
        BRIDGE_VLAN_INFO_RANGE_BEGIN, BRIDGE_VLAN_INFO_RANGE_END, IFLA_AF_SPEC,
        IFLA_BRIDGE_VLAN_INFO, IFLA_EXT_MASK, NDA_DST, NDA_LLADDR, RTEXT_FILTER_BRVLAN,
        RTM_GETLINK, RTM_GETNEIGH, RTM_NEWLINK, RTM_NEWNEIGH,
    },
};

/// Asks for the forwarding database.
pub(super) fn entries() -> Message {
    let mut message = Message::dump(RTM_GETNEIGH);
    message.raw(&layer3::neighbour_header(AF_BRIDGE, 0));
    message
}

pub(super) fn read_entry(reply: &Reply<'_>) -> Option<ForwardingEntry> {
    let payload = reply.payload;
    if reply.kind != RTM_NEWNEIGH || payload.first() != Some(&AF_BRIDGE) {
        return None;
    }
    let attributes = Attributes::behind(payload, layer3::NEIGHBOUR_HEADER);
    let number = |kind| attributes.first(kind).and_then(Attribute::u32);
    Some(ForwardingEntry {
        link: word(payload, 4)?,
        state: half(payload, 8)?,
        flags: *payload.get(10)?,
        master: number(NDA_MASTER),
        mac: HardwareAddress(attributes.first(NDA_LLADDR)?.payload.to_vec()),
        vlan: attributes.first(NDA_VLAN).and_then(Attribute::u16),
        remote: attributes.first(NDA_DST).and_then(Attribute::ip),
        remote_id: number(NDA_VNI),
        remote_port: attributes.first(NDA_PORT).and_then(Attribute::be16),
    })
}

/// Whether a bridge keeps VLANs apart.
pub(super) fn filters_vlans(link: &Link) -> bool {
    matches!(link.details, Details::Bridge { vlan_filtering: true, .. })
}

/// Asks for bridges and ports with their VLANs.
pub(super) fn vlans() -> Message {
    let mut message = Message::dump(RTM_GETLINK);
    let mut header = [0; LINK_HEADER];
    header[0] = AF_BRIDGE;
    message.raw(&header).u32(IFLA_EXT_MASK, RTEXT_FILTER_BRVLAN);
    message
}

/// The VLANs of a link, with the link's index.
pub(super) fn read_vlans(reply: &Reply<'_>) -> Option<(u32, Vec<BridgeVlan>)> {
    if reply.kind != RTM_NEWLINK || reply.payload.first() != Some(&AF_BRIDGE) {
        return None;
    }
    let index = word(reply.payload, 4)?;
    let families = Attributes::behind(reply.payload, LINK_HEADER).first(IFLA_AF_SPEC)?;
    let mut vlans = Vec::new();
    let mut begun = None;
    for attribute in families.nested().filter(|one| one.kind == IFLA_BRIDGE_VLAN_INFO) {
        let (flags, id) = (half(attribute.payload, 0)?, half(attribute.payload, 2)?);
        if flags & BRIDGE_VLAN_INFO_RANGE_BEGIN != 0 {
            begun = Some(id);
            continue;
        }
        let first = begun.take().filter(|_| flags & BRIDGE_VLAN_INFO_RANGE_END != 0).unwrap_or(id);
        let flags = flags & !BRIDGE_VLAN_INFO_RANGE_END;
        vlans.extend((first..=id).map(|id| BridgeVlan { id, flags }));
    }
    Some((index, vlans))
}
