//! Bridge ports: hairpin, isolation, VLANs.

use std::collections::BTreeMap;

use ropewalk_netstate::resource::{BridgePort, PortVlans, VlanRange};

use crate::{
    netlink::{Attribute, Attributes, Message, Reply},
    uapi::{
        BRIDGE_VLAN_INFO_PVID, BRIDGE_VLAN_INFO_RANGE_BEGIN, BRIDGE_VLAN_INFO_RANGE_END,
        BRIDGE_VLAN_INFO_UNTAGGED, IFLA_AF_SPEC, IFLA_BRIDGE_VLAN_INFO, IFLA_BRPORT_ISOLATED,
        IFLA_BRPORT_MODE, IFLA_EXT_MASK, IFLA_PROTINFO, RTEXT_FILTER_BRVLAN, RTM_DELLINK,
        RTM_GETLINK, RTM_NEWLINK, RTM_SETLINK,
    },
};

const AF_BRIDGE: u8 = 7;
/// Length of `struct ifinfomsg`.
const HEADER: usize = 16;

/// What a link says about itself as a bridge port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PortFlags {
    pub(crate) hairpin: bool,
    pub(crate) isolated: bool,
}

/// Reads `IFLA_INFO_SLAVE_DATA` of a bridge port.
pub(crate) fn read_port(data: &Attributes<'_>) -> PortFlags {
    let is_on = |kind| data.first(kind).and_then(Attribute::u8).is_some_and(|on| on != 0);
    PortFlags { hairpin: is_on(IFLA_BRPORT_MODE), isolated: is_on(IFLA_BRPORT_ISOLATED) }
}

fn header(message: &mut Message, index: u32) {
    let family = [AF_BRIDGE, 0, 0, 0];
    message.raw(&[&family[..], &index.to_ne_bytes(), &[0; 8]].concat());
}

/// Sets hairpin and isolation, as far as they are wanted.
pub(crate) fn set_flags(index: u32, port: &BridgePort) -> Message {
    let mut message = Message::acknowledged(RTM_SETLINK, 0);
    header(&mut message, index);
    message.nest(IFLA_PROTINFO, |info| {
        let flags = [(IFLA_BRPORT_MODE, port.hairpin), (IFLA_BRPORT_ISOLATED, port.isolated)];
        for (kind, flag) in flags {
            if let Some(on) = flag {
                info.u8(kind, on.into());
            }
        }
    });
    message
}

/// One VLAN or range of a port, as the kernel keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Membership {
    pub(crate) vlans: VlanRange,
    pub(crate) flags: u16,
}

impl Membership {
    fn is_default_for_untagged(self) -> bool {
        self.flags & BRIDGE_VLAN_INFO_PVID != 0
    }

    fn leaves_untagged(self) -> bool {
        self.flags & BRIDGE_VLAN_INFO_UNTAGGED != 0
    }
}

/// Adds VLANs to a port.
pub(crate) fn add_vlans(index: u32, memberships: &[Membership]) -> Message {
    vlans(RTM_SETLINK, index, memberships)
}

/// Removes VLANs from a port.
pub(crate) fn remove_vlans(index: u32, memberships: &[Membership]) -> Message {
    vlans(RTM_DELLINK, index, memberships)
}

fn vlans(kind: u16, index: u32, memberships: &[Membership]) -> Message {
    let mut message = Message::acknowledged(kind, 0);
    header(&mut message, index);
    message.nest(IFLA_AF_SPEC, |spec| {
        for membership in memberships {
            let VlanRange { first, last } = membership.vlans;
            let mut entry = |flags: u16, id: u16| {
                let bytes = [(membership.flags | flags).to_ne_bytes(), id.to_ne_bytes()].concat();
                spec.bytes(IFLA_BRIDGE_VLAN_INFO, &bytes);
            };
            if first == last {
                entry(0, first);
            } else {
                entry(BRIDGE_VLAN_INFO_RANGE_BEGIN, first);
                entry(BRIDGE_VLAN_INFO_RANGE_END, last);
            }
        }
    });
    message
}

/// The VLAN that bridges give every port.
const DEFAULT: u16 = 1;

/// What has to be removed from and added to a port that has `present`, so that it has `wanted`.
pub(crate) fn vlan_changes(
    wanted: &PortVlans,
    present: &[Membership],
) -> (Vec<Membership>, Vec<Membership>) {
    let single = |id: u16| VlanRange { first: id, last: id };
    // A fresh port has one VLAN, whatever number the bridge's owner chose for it.
    let is_default =
        |m: &Membership| m.leaves_untagged() && (m.vlans == single(DEFAULT) || present.len() == 1);
    let stays = |m: &Membership| {
        wanted.untagged.map(single) == Some(m.vlans) || (wanted.keep_default && is_default(m))
    };
    let removed = present.iter().filter(|m| !stays(m)).copied().collect();
    let both = BRIDGE_VLAN_INFO_PVID | BRIDGE_VLAN_INFO_UNTAGGED;
    let untagged = wanted.untagged.map(|id| Membership { vlans: single(id), flags: both });
    let tagged = wanted.tagged.iter().map(|&vlans| Membership { vlans, flags: 0 });
    (removed, untagged.into_iter().chain(tagged).collect())
}

/// Asks for the VLANs of all bridge ports: the kernel offers no filter by port here.
pub(crate) fn list_vlans() -> Message {
    let mut message = Message::dump(RTM_GETLINK);
    header(&mut message, 0);
    message.u32(IFLA_EXT_MASK, RTEXT_FILTER_BRVLAN);
    message
}

/// Reads the VLANs of the port with this index; `None` for another port.
pub(crate) fn read_vlans(reply: &Reply<'_>, index: u32) -> Option<Vec<Membership>> {
    if reply.kind != RTM_NEWLINK || reply.payload.get(4..8)? != index.to_ne_bytes() {
        return None;
    }
    let spec = Attributes::behind(reply.payload, HEADER).first(IFLA_AF_SPEC)?;
    let mut begun = None;
    let mut found = Vec::new();
    for entry in spec.nested().filter(|entry| entry.kind == IFLA_BRIDGE_VLAN_INFO) {
        let Some(&[a, b, c, d]) = entry.payload.first_chunk::<4>() else { continue };
        let (flags, id) = (u16::from_ne_bytes([a, b]), u16::from_ne_bytes([c, d]));
        if flags & BRIDGE_VLAN_INFO_RANGE_BEGIN != 0 {
            begun = Some(id);
            continue;
        }
        let vlans = VlanRange { first: begun.take().unwrap_or(id), last: id };
        let flags = flags & (BRIDGE_VLAN_INFO_PVID | BRIDGE_VLAN_INFO_UNTAGGED);
        found.push(Membership { vlans, flags });
    }
    Some(found)
}

/// The VLANs as a resource says them, in the terms of the wanted ones: neighbouring ranges that
/// the kernel joined are split again, and VLAN 1 is the default unless it is the one wanted.
/// Other VLANs that leave untagged have no place in a resource; they show up among the tagged.
pub(crate) fn found_vlans(wanted: &PortVlans, present: &[Membership]) -> PortVlans {
    let wants_default = wanted.untagged == Some(DEFAULT);
    let of_untagged = |m: &&Membership| m.is_default_for_untagged() && m.leaves_untagged();
    let untagged = present.iter().find(of_untagged).map(|m| m.vlans.first);
    let untagged = untagged.filter(|&id| id != DEFAULT || wants_default);
    let is_default = |m: &Membership| m.leaves_untagged() && m.vlans.first == DEFAULT;
    let keeps_default =
        if wants_default { wanted.keep_default } else { present.iter().any(is_default) };
    let is_other = |m: &&Membership| {
        let is_wanted = m.leaves_untagged() && Some(m.vlans.first) == untagged;
        !is_default(m) && !is_wanted
    };
    let tagged = join(present.iter().filter(is_other).map(|m| m.vlans));
    let as_wanted = join(wanted.tagged.iter().copied()) == tagged;
    let tagged = if as_wanted { wanted.tagged.clone() } else { tagged };
    PortVlans { untagged, tagged, keep_default: keeps_default }
}

/// Ascending ranges of which no two touch.
fn join(ranges: impl Iterator<Item = VlanRange>) -> Vec<VlanRange> {
    let by_first: BTreeMap<u16, u16> = ranges.map(|range| (range.first, range.last)).collect();
    let mut joined: Vec<VlanRange> = Vec::new();
    for (first, last) in by_first {
        match joined.last_mut() {
            Some(before) if before.last.saturating_add(1) >= first => {
                before.last = before.last.max(last);
            }
            _ => joined.push(VlanRange { first, last }),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: u16 = BRIDGE_VLAN_INFO_PVID | BRIDGE_VLAN_INFO_UNTAGGED;

    fn member(first: u16, last: u16, flags: u16) -> Membership {
        Membership { vlans: VlanRange { first, last }, flags }
    }

    fn wanted(untagged: Option<u16>, tagged: &[(u16, u16)], keep_default: bool) -> PortVlans {
        let tagged = tagged.iter().map(|&(first, last)| VlanRange { first, last }).collect();
        PortVlans { untagged, tagged, keep_default }
    }

    /// What a fresh port becomes when the changes are made, with the kernel's habit to join.
    fn after_changes(vlans: &PortVlans) -> Vec<Membership> {
        let fresh = [member(1, 1, BOTH)];
        let (removed, added) = vlan_changes(vlans, &fresh);
        let mut present: Vec<_> = fresh.into_iter().filter(|m| !removed.contains(m)).collect();
        if vlans.untagged.is_some() {
            for member in &mut present {
                member.flags &= !BRIDGE_VLAN_INFO_PVID;
            }
        }
        let (plain, untagged): (Vec<_>, Vec<_>) = added.into_iter().partition(|m| m.flags == 0);
        present.retain(|m| !untagged.iter().any(|u| u.vlans == m.vlans));
        present.extend(untagged);
        let joined = join(plain.iter().map(|m| m.vlans));
        present.extend(joined.into_iter().map(|vlans| Membership { vlans, flags: 0 }));
        present
    }

    #[test]
    fn what_was_made_is_found_as_it_was_wanted() {
        for vlans in [
            wanted(Some(100), &[], false),
            wanted(Some(100), &[(200, 200), (201, 210)], true),
            wanted(None, &[(2, 4094)], true),
            wanted(None, &[(10, 12)], false),
            wanted(Some(1), &[], true),
            wanted(Some(1), &[(7, 7)], false),
        ] {
            assert_eq!(found_vlans(&vlans, &after_changes(&vlans)), vlans);
        }
    }

    #[test]
    fn every_other_vlan_is_a_difference() {
        let vlans = wanted(Some(100), &[(200, 210)], false);
        let good = after_changes(&vlans);
        let with = |m: Membership| [good.clone(), vec![m]].concat();
        for present in [
            with(member(1, 1, BRIDGE_VLAN_INFO_UNTAGGED)),
            with(member(50, 50, BRIDGE_VLAN_INFO_UNTAGGED)),
            with(member(300, 300, 0)),
            good[1..].to_vec(),
            good[..1].to_vec(),
        ] {
            assert_ne!(found_vlans(&vlans, &present), vlans, "{present:?}");
        }
    }

    #[test]
    fn a_range_is_two_entries_on_the_wire() {
        let message = add_vlans(5, &[member(2, 2, BOTH), member(10, 20, 0)]);
        let entries = &message.payload()[HEADER + 4..];
        let expected = [[8u16, 2, BOTH, 2], [8, 2, 8, 10], [8, 2, 16, 20]].concat();
        let expected: Vec<u8> = expected.into_iter().flat_map(u16::to_ne_bytes).collect();
        assert_eq!(entries, expected);
    }
}
