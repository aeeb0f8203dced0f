//! Sets and maps.

use ropewalk_netstate::resource::nft::{DataType, MapsTo, NftSet, SetRef};

use super::{HEADER, change, data, get, is};
use crate::{
    netlink::{Attribute, Attributes, Message, Reply},
    uapi::{
        NFT_DATA_VERDICT, NFT_MSG_DELSET, NFT_MSG_GETSET, NFT_MSG_NEWSET, NFT_SET_MAP,
        NFT_SET_TIMEOUT, NFTA_SET_DATA_LEN, NFTA_SET_DATA_TYPE, NFTA_SET_FLAGS, NFTA_SET_ID,
        NFTA_SET_KEY_LEN, NFTA_SET_KEY_TYPE, NFTA_SET_NAME, NFTA_SET_TABLE, NFTA_SET_USERDATA,
        NLM_F_CREATE,
    },
};

/// A set or map that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundSet {
    pub(crate) set: NftSet,
    /// Whether its elements can be given a time to live.
    pub(crate) expires: bool,
}

/// Creates a set or map; the same one that exists is fine, another one is not. `number` tells
/// the new sets of one transaction apart. Elements may get a time to live, because letting them
/// expire is a thousand times cheaper than deleting them.
pub(crate) fn create(wanted: &NftSet, number: u32) -> Message {
    let family = wanted.set.table.family;
    let mut message = named(change(NFT_MSG_NEWSET, NLM_F_CREATE, family), &wanted.set);
    let length = |types| u32::try_from(data::length_of_all(types)).unwrap_or(u32::MAX);
    message
        .be32(NFTA_SET_KEY_TYPE, data::number_of_all(&wanted.key_type))
        .be32(NFTA_SET_KEY_LEN, length(&wanted.key_type))
        .be32(NFTA_SET_ID, number);
    let flags = match &wanted.maps_to {
        MapsTo::Nothing => NFT_SET_TIMEOUT,
        MapsTo::Verdict | MapsTo::Values(_) => NFT_SET_TIMEOUT | NFT_SET_MAP,
    };
    message.be32(NFTA_SET_FLAGS, flags);
    match &wanted.maps_to {
        MapsTo::Nothing => {}
        MapsTo::Verdict => {
            message.be32(NFTA_SET_DATA_TYPE, NFT_DATA_VERDICT);
        }
        MapsTo::Values(types) => {
            message
                .be32(NFTA_SET_DATA_TYPE, data::number_of_all(types))
                .be32(NFTA_SET_DATA_LEN, length(types));
        }
    }
    if wanted.key_type == [DataType::Interface] {
        message.bytes(NFTA_SET_USERDATA, &HOST_ENDIAN_KEYS);
    }
    message
}

/// What `nft` keeps with a set to print its keys in the right byte order: type 0, four bytes, 1 for
/// the host's. Names of interfaces are in the host's; other types are not, or have no order.
const HOST_ENDIAN_KEYS: [u8; 6] = {
    let [a, b, c, d] = 1_u32.to_ne_bytes();
    [0, 4, a, b, c, d]
};

/// Deletes a set or map with its elements.
pub(crate) fn delete(set: &SetRef) -> Message {
    named(change(NFT_MSG_DELSET, 0, set.table.family), set)
}

/// Asks for a set or map without its elements.
pub(crate) fn find(set: &SetRef) -> Message {
    named(get(NFT_MSG_GETSET, set.table.family), set)
}

fn named(mut message: Message, set: &SetRef) -> Message {
    message.text(NFTA_SET_TABLE, &set.table.name).text(NFTA_SET_NAME, &set.name);
    message
}

/// Reads a set or map. Types that are unknown here read as none.
pub(crate) fn read(reply: &Reply<'_>, set: &SetRef) -> Option<FoundSet> {
    if !is(reply, NFT_MSG_NEWSET) {
        return None;
    }
    let attributes = Attributes::behind(reply.payload, HEADER);
    let number = |kind| attributes.first(kind).and_then(Attribute::be32);
    let types = |kind| number(kind).and_then(data::types_of).unwrap_or_default();
    let has = |flag| number(NFTA_SET_FLAGS).is_some_and(|flags| flags & flag != 0);
    let maps_to = match number(NFTA_SET_DATA_TYPE) {
        Some(NFT_DATA_VERDICT) => MapsTo::Verdict,
        _ if has(NFT_SET_MAP) => MapsTo::Values(types(NFTA_SET_DATA_TYPE)),
        _ => MapsTo::Nothing,
    };
    let set = NftSet { set: set.clone(), key_type: types(NFTA_SET_KEY_TYPE), maps_to };
    Some(FoundSet { set, expires: has(NFT_SET_TIMEOUT) })
}
