//! Offloads over the kernel's ethtool interface, a family of generic netlink (since Linux 5.6).

use std::collections::BTreeMap;

use ropewalk_netstate::resource::{Offload, Offloads};

use crate::{
    netlink::{Attribute, Attributes, Message, Reply},
    uapi::{
        CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME, CTRL_CMD_GETFAMILY, ETHTOOL_A_BITSET_BIT_NAME,
        ETHTOOL_A_BITSET_BIT_VALUE, ETHTOOL_A_BITSET_BITS, ETHTOOL_A_BITSET_BITS_BIT,
        ETHTOOL_A_FEATURES_ACTIVE, ETHTOOL_A_FEATURES_HEADER, ETHTOOL_A_FEATURES_HW,
        ETHTOOL_A_FEATURES_WANTED, ETHTOOL_A_HEADER_DEV_INDEX, ETHTOOL_MSG_FEATURES_GET,
        ETHTOOL_MSG_FEATURES_SET, GENL_ID_CTRL,
    },
};

/// Length of `struct genlmsghdr`.
const HEADER: usize = 4;

fn header(message: &mut Message, command: u8) {
    message.raw(&[command, 1, 0, 0]);
}

/// What a link says about one of its offloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) on: bool,
    pub(crate) can_change: bool,
}

/// What a link says about all of them.
pub(crate) type States = BTreeMap<String, State>;

/// Asks for the number of the family.
pub(crate) fn find_family() -> Message {
    let mut message = Message::get(GENL_ID_CTRL);
    header(&mut message, CTRL_CMD_GETFAMILY);
    message.text(CTRL_ATTR_FAMILY_NAME, "ethtool");
    message
}

/// Reads the number of the family.
pub(crate) fn read_family(reply: &Reply<'_>) -> Option<u16> {
    Attributes::behind(reply.payload, HEADER).first(CTRL_ATTR_FAMILY_ID)?.u16()
}

fn link(message: &mut Message, index: u32) {
    message.nest(ETHTOOL_A_FEATURES_HEADER, |header| {
        header.u32(ETHTOOL_A_HEADER_DEV_INDEX, index);
    });
}

/// Asks for all offloads of a link.
pub(crate) fn list(family: u16, index: u32) -> Message {
    let mut message = Message::get(family);
    header(&mut message, ETHTOOL_MSG_FEATURES_GET);
    link(&mut message, index);
    message
}

/// Reads them: the set of those that can be changed names all, the others only what is in them.
pub(crate) fn read(reply: &Reply<'_>) -> Option<States> {
    let attributes = Attributes::behind(reply.payload, HEADER);
    let changeable = attributes.first(ETHTOOL_A_FEATURES_HW)?;
    let mut states: States = bits(changeable)
        .filter_map(|bit| {
            let can_change = bit.inner(ETHTOOL_A_BITSET_BIT_VALUE).is_some();
            Some((name(bit)?.to_owned(), State { on: false, can_change }))
        })
        .collect();
    for bit in bits(attributes.first(ETHTOOL_A_FEATURES_ACTIVE)?) {
        if let Some(state) = name(bit).and_then(|name| states.get_mut(name)) {
            state.on = true;
        }
    }
    Some(states)
}

fn bits(set: Attribute<'_>) -> impl Iterator<Item = Attribute<'_>> {
    set.inner(ETHTOOL_A_BITSET_BITS).into_iter().flat_map(Attribute::nested)
}

/// Some positions have no name.
fn name(bit: Attribute<'_>) -> Option<&str> {
    bit.inner(ETHTOOL_A_BITSET_BIT_NAME)?.text().filter(|name| !name.is_empty())
}

/// Sets offloads; those that are not named stay as they are.
pub(crate) fn set(family: u16, index: u32, offloads: &BTreeMap<&str, bool>) -> Message {
    let mut message = Message::acknowledged(family, 0);
    header(&mut message, ETHTOOL_MSG_FEATURES_SET);
    link(&mut message, index);
    message.nest(ETHTOOL_A_FEATURES_WANTED, |set| {
        set.nest(ETHTOOL_A_BITSET_BITS, |bits| {
            for (name, on) in offloads {
                bits.nest(ETHTOOL_A_BITSET_BITS_BIT, |bit| {
                    bit.text(ETHTOOL_A_BITSET_BIT_NAME, name);
                    if *on {
                        bit.bytes(ETHTOOL_A_BITSET_BIT_VALUE, &[]);
                    }
                });
            }
        });
    });
    message
}

/// Of all offloads those that are wanted, as they are.
pub(crate) fn found(wanted: &Offloads, states: &States) -> Offloads {
    let offloads = wanted.offloads.iter().filter_map(|(name, want)| {
        let state = states.get(name).filter(|state| state.can_change || !want.optional)?;
        Some((name.clone(), Offload { on: state.on, ..*want }))
    });
    Offloads { offloads: offloads.collect(), ..wanted.clone() }
}
