//! Elements of sets and maps, each with its owner's mark as its comment.

use ropewalk_netstate::{
    Tag,
    resource::nft::{Datum, ElementData, MapsTo, NftSet, SetRef},
};

use super::{HEADER, change, comment, data, dump, get, is, read_comment};
use crate::{
    netlink::{Attribute, Attributes, Message, Reply},
    uapi::{
        NFT_MSG_DELSETELEM, NFT_MSG_GETSETELEM, NFT_MSG_NEWSETELEM, NFTA_DATA_VALUE,
        NFTA_LIST_ELEM, NFTA_SET_ELEM_DATA, NFTA_SET_ELEM_EXPIRATION, NFTA_SET_ELEM_KEY,
        NFTA_SET_ELEM_LIST_ELEMENTS, NFTA_SET_ELEM_LIST_SET, NFTA_SET_ELEM_LIST_TABLE,
        NFTA_SET_ELEM_TIMEOUT, NFTA_SET_ELEM_USERDATA, NLM_F_CREATE, NLM_F_EXCL,
    },
};

/// How many elements go into one message: with the longest keys, chain names and comments they
/// stay below the 64 KB that a length field can say.
const AT_ONCE: usize = 64;

/// How long elements live that are to go, in milliseconds: less than a tick of the slowest kernel
/// (`HZ=100`) would be no time at all, which means for ever.
pub(crate) const LAST_MOMENTS_MS: u64 = 10;

/// An element that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundElement {
    pub(crate) key: Vec<Datum>,
    pub(crate) data: ElementData,
    /// Its owner, if its comment is a mark.
    pub(crate) tag: Option<Tag>,
}

/// Adds elements; none of their keys must be taken.
pub(crate) fn create(
    set: &SetRef,
    tag: &Tag,
    elements: &[(&Vec<Datum>, &ElementData)],
) -> Vec<Message> {
    let owner = comment(tag.text());
    let add = |chunk: &[(&Vec<Datum>, &ElementData)]| {
        let message = change(NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL, set.table.family);
        listed(message, set, chunk, |element, (key, value)| {
            put_key(element, key);
            put_data(element, value);
            element.bytes(NFTA_SET_ELEM_USERDATA, &owner);
        })
    };
    elements.chunks(AT_ONCE).map(add).collect()
}

/// Lets elements that exist expire within a few milliseconds, in a set that allows it. Kernels
/// before 6.12 take the message and do nothing.
pub(crate) fn expire(set: &SetRef, elements: &[(&Vec<Datum>, &ElementData)]) -> Vec<Message> {
    let update = |chunk: &[(&Vec<Datum>, &ElementData)]| {
        let message = change(NFT_MSG_NEWSETELEM, NLM_F_CREATE, set.table.family);
        listed(message, set, chunk, |element, (key, value)| {
            put_key(element, key);
            put_data(element, value);
            element
                .be64(NFTA_SET_ELEM_TIMEOUT, LAST_MOMENTS_MS)
                .be64(NFTA_SET_ELEM_EXPIRATION, LAST_MOMENTS_MS);
        })
    };
    elements.chunks(AT_ONCE).map(update).collect()
}

fn put_data(element: &mut Message, data: &ElementData) {
    match data {
        ElementData::Nothing => {}
        ElementData::Verdict(verdict) => data::put_verdict(element, NFTA_SET_ELEM_DATA, verdict),
        ElementData::Values(values) => {
            data::put_value(element, NFTA_SET_ELEM_DATA, &data::bytes_of_all(values));
        }
    }
}

/// Deletes elements; all of them must exist.
pub(crate) fn delete(set: &SetRef, keys: &[&Vec<Datum>]) -> Vec<Message> {
    let remove = |chunk: &[&Vec<Datum>]| {
        let message = change(NFT_MSG_DELSETELEM, 0, set.table.family);
        listed(message, set, chunk, |element, key| put_key(element, key))
    };
    keys.chunks(AT_ONCE).map(remove).collect()
}

/// Asks for the element with a key.
pub(crate) fn find(set: &SetRef, key: &Vec<Datum>) -> Message {
    let message = get(NFT_MSG_GETSETELEM, set.table.family);
    listed(message, set, &[key], |element, key| put_key(element, key))
}

/// Asks for all elements.
pub(crate) fn list(set: &SetRef) -> Message {
    in_set(dump(NFT_MSG_GETSETELEM, set.table.family), set)
}

fn in_set(mut message: Message, set: &SetRef) -> Message {
    message.text(NFTA_SET_ELEM_LIST_TABLE, &set.table.name).text(NFTA_SET_ELEM_LIST_SET, &set.name);
    message
}

fn listed<T>(
    message: Message,
    set: &SetRef,
    items: &[T],
    put: impl Fn(&mut Message, &T),
) -> Message {
    let mut message = in_set(message, set);
    message.nest(NFTA_SET_ELEM_LIST_ELEMENTS, |list| {
        for item in items {
            list.nest(NFTA_LIST_ELEM, |element| put(element, item));
        }
    });
    message
}

fn put_key(element: &mut Message, key: &[Datum]) {
    data::put_value(element, NFTA_SET_ELEM_KEY, &data::bytes_of_all(key));
}

/// Reads the elements in an answer. Those that are about to expire count as gone; those whose key
/// or data cannot be read are not ours.
pub(crate) fn read(reply: &Reply<'_>, set: &NftSet) -> Vec<FoundElement> {
    if !is(reply, NFT_MSG_NEWSETELEM) || set.key_type.is_empty() {
        return Vec::new();
    }
    let list = Attributes::behind(reply.payload, HEADER).first(NFTA_SET_ELEM_LIST_ELEMENTS);
    let elements = list.into_iter().flat_map(Attribute::nested);
    elements.filter_map(|element| read_one(element, set)).collect()
}

fn read_one(element: Attribute<'_>, set: &NftSet) -> Option<FoundElement> {
    if element.inner(NFTA_SET_ELEM_EXPIRATION).is_some() {
        return None;
    }
    let key = element.inner(NFTA_SET_ELEM_KEY)?.inner(NFTA_DATA_VALUE)?;
    let types: &[_] = match &set.maps_to {
        MapsTo::Values(types) => types,
        MapsTo::Nothing | MapsTo::Verdict => &[],
    };
    let data = match element.inner(NFTA_SET_ELEM_DATA) {
        Some(value) => data::read_element_data(types, value)?,
        None => ElementData::Nothing,
    };
    let comment = element.inner(NFTA_SET_ELEM_USERDATA).and_then(read_comment);
    let tag = comment.as_deref().and_then(Tag::parse);
    Some(FoundElement { key: data::read(&set.key_type, key.payload)?, data, tag })
}
