//! nftables: tables, chains, rules, sets with their elements.

use ropewalk_topology::model::{Base, Chain, Data, Element, FilterFamily, Rule, Set, Table};

use super::{
    Reader,
    expressions::{read_data, read_expression},
    links::text,
    objects::{read_flow_table, read_object},
    uapi::{
        NFT_MSG_GETFLOWTABLE, NFT_MSG_GETOBJ, NFTA_CHAIN_COUNTERS, NFTA_CHAIN_HANDLE,
        NFTA_COUNTER_BYTES, NFTA_COUNTER_PACKETS, NFTA_HOOK_DEV, NFTA_HOOK_DEVS,
        NFTA_SET_ELEM_FLAGS, NFTA_SET_ELEM_KEY_END, NFTA_SET_HANDLE, NFTA_SET_TIMEOUT,
        NFTA_TABLE_FLAGS, NFTA_TABLE_HANDLE,
    },
};
use crate::{
    netlink::{Attribute, Attributes, Message, Reply},
    translate::nft::read_comment,
    uapi::{
        NF_DROP, NFNL_SUBSYS_NFTABLES, NFT_MSG_GETCHAIN, NFT_MSG_GETRULE, NFT_MSG_GETSET,
        NFT_MSG_GETSETELEM, NFT_MSG_GETTABLE, NFT_MSG_NEWCHAIN, NFT_MSG_NEWRULE, NFT_MSG_NEWSET,
        NFT_MSG_NEWSETELEM, NFT_MSG_NEWTABLE, NFTA_CHAIN_HOOK, NFTA_CHAIN_NAME, NFTA_CHAIN_POLICY,
        NFTA_CHAIN_TABLE, NFTA_CHAIN_TYPE, NFTA_DATA_VALUE, NFTA_HOOK_HOOKNUM, NFTA_HOOK_PRIORITY,
        NFTA_RULE_CHAIN, NFTA_RULE_EXPRESSIONS, NFTA_RULE_HANDLE, NFTA_RULE_TABLE,
        NFTA_RULE_USERDATA, NFTA_SET_DATA_TYPE, NFTA_SET_ELEM_DATA, NFTA_SET_ELEM_EXPIRATION,
        NFTA_SET_ELEM_KEY, NFTA_SET_ELEM_LIST_ELEMENTS, NFTA_SET_ELEM_LIST_SET,
        NFTA_SET_ELEM_LIST_TABLE, NFTA_SET_ELEM_USERDATA, NFTA_SET_FLAGS, NFTA_SET_KEY_LEN,
        NFTA_SET_KEY_TYPE, NFTA_SET_NAME, NFTA_SET_TABLE, NFTA_TABLE_NAME,
    },
};

/// Length of `struct nfgenmsg`.
const HEADER: usize = 4;

/// Whose something is: the family's number and the table's name.
pub(super) type Place = (u8, String);

fn kind_of(message: u16) -> u16 {
    (NFNL_SUBSYS_NFTABLES << 8) | message
}

fn list(message: u16, family: u8) -> Message {
    let mut message = Message::dump(kind_of(message));
    message.raw(&[family, 0, 0, 0]);
    message
}

/// The attributes of a reply, if it is this message, and the family's number.
pub(super) fn attributes<'a>(reply: &Reply<'a>, message: u16) -> Option<(u8, Attributes<'a>)> {
    if reply.kind != kind_of(message) {
        return None;
    }
    Some((*reply.payload.first()?, Attributes::behind(reply.payload, HEADER)))
}

/// Everything; the kernel is asked for no more where there are no tables.
pub(super) fn read(reader: &mut Reader<'_>) -> Vec<Table> {
    let tables = reader.list("nftables", &list(NFT_MSG_GETTABLE, 0), read_table);
    if tables.is_empty() {
        return Vec::new();
    }
    let mut tables: Vec<(u8, Table)> = tables;
    let chains = reader.list("nftables chains", &list(NFT_MSG_GETCHAIN, 0), read_chain);
    for (place, chain) in chains {
        if let Some(table) = find(&mut tables, &place) {
            table.chains.push(chain);
        }
    }
    let rules = reader.list("nftables rules", &list(NFT_MSG_GETRULE, 0), read_rule);
    for (place, chain, rule) in rules {
        let chains = find(&mut tables, &place).map(|table| &mut table.chains);
        let chain = chains.and_then(|all| all.iter_mut().find(|one| one.name == chain));
        if let Some(chain) = chain {
            chain.rules.push(rule);
        }
    }
    let sets = reader.list("nftables sets", &list(NFT_MSG_GETSET, 0), read_set);
    for (place, mut set) in sets {
        let mut question = list(NFT_MSG_GETSETELEM, place.0);
        question.text(NFTA_SET_ELEM_LIST_TABLE, &place.1).text(NFTA_SET_ELEM_LIST_SET, &set.name);
        let what = format!("elements of {}", set.name);
        set.elements = reader.list(&what, &question, read_elements).concat();
        if let Some(table) = find(&mut tables, &place) {
            table.sets.push(set);
        }
    }
    let objects = reader.list("nftables objects", &list(NFT_MSG_GETOBJ, 0), read_object);
    for (place, object) in objects {
        if let Some(table) = find(&mut tables, &place) {
            table.objects.push(object);
        }
    }
    let flow_tables = list(NFT_MSG_GETFLOWTABLE, 0);
    for (place, flow_table) in reader.list("flow tables", &flow_tables, read_flow_table) {
        if let Some(table) = find(&mut tables, &place) {
            table.flow_tables.push(flow_table);
        }
    }
    tables.into_iter().map(|(_, table)| table).collect()
}

fn find<'a>(tables: &'a mut [(u8, Table)], place: &Place) -> Option<&'a mut Table> {
    let is_here =
        |(family, table): &&mut (u8, Table)| (*family, &table.name) == (place.0, &place.1);
    tables.iter_mut().find(is_here).map(|(_, table)| table)
}

fn read_table(reply: &Reply<'_>) -> Option<(u8, Table)> {
    let (family, attributes) = attributes(reply, NFT_MSG_NEWTABLE)?;
    let table = Table {
        family: FilterFamily::of(family),
        name: text(attributes.first(NFTA_TABLE_NAME)?),
        handle: attributes.first(NFTA_TABLE_HANDLE).and_then(Attribute::be64).unwrap_or_default(),
        flags: attributes.first(NFTA_TABLE_FLAGS).and_then(Attribute::be32).unwrap_or_default(),
        ..Table::default()
    };
    Some((family, table))
}

fn read_chain(reply: &Reply<'_>) -> Option<(Place, Chain)> {
    let (family, attributes) = attributes(reply, NFT_MSG_NEWCHAIN)?;
    let chain = Chain {
        name: text(attributes.first(NFTA_CHAIN_NAME)?),
        handle: attributes.first(NFTA_CHAIN_HANDLE).and_then(Attribute::be64).unwrap_or_default(),
        base: attributes.first(NFTA_CHAIN_HOOK).and_then(|hook| read_base(&attributes, hook)),
        rules: Vec::new(),
    };
    Some(((family, text(attributes.first(NFTA_CHAIN_TABLE)?)), chain))
}

fn read_base(chain: &Attributes<'_>, hook: Attribute<'_>) -> Option<Base> {
    let several = hook.inner(NFTA_HOOK_DEVS).into_iter().flat_map(|all| all.nested().map(text));
    let one = hook.inner(NFTA_HOOK_DEV).map(text);
    let mut devices: Vec<String> = one.into_iter().chain(several).collect();
    devices.dedup();
    let policy = chain.first(NFTA_CHAIN_POLICY).and_then(Attribute::be32);
    Some(Base {
        kind: chain.first(NFTA_CHAIN_TYPE).map(text).unwrap_or_default(),
        hook: hook.inner(NFTA_HOOK_HOOKNUM)?.be32()?,
        priority: hook.inner(NFTA_HOOK_PRIORITY)?.be32()?.cast_signed(),
        accepts: policy != Some(NF_DROP),
        devices,
        counted: chain.first(NFTA_CHAIN_COUNTERS).and_then(counted),
    })
}

/// Packets and bytes.
fn counted(counters: Attribute<'_>) -> Option<(u64, u64)> {
    let number = |kind| counters.inner(kind)?.be64();
    number(NFTA_COUNTER_PACKETS).zip(number(NFTA_COUNTER_BYTES))
}

fn read_rule(reply: &Reply<'_>) -> Option<(Place, String, Rule)> {
    let (family, attributes) = attributes(reply, NFT_MSG_NEWRULE)?;
    let expressions = attributes.first(NFTA_RULE_EXPRESSIONS);
    let expressions = expressions.into_iter().flat_map(Attribute::nested);
    let rule = Rule {
        handle: attributes.first(NFTA_RULE_HANDLE)?.be64()?,
        expressions: expressions.filter_map(read_expression).collect(),
        comment: attributes.first(NFTA_RULE_USERDATA).and_then(read_comment),
    };
    let place = (family, text(attributes.first(NFTA_RULE_TABLE)?));
    Some((place, text(attributes.first(NFTA_RULE_CHAIN)?), rule))
}

fn read_set(reply: &Reply<'_>) -> Option<(Place, Set)> {
    let (family, attributes) = attributes(reply, NFT_MSG_NEWSET)?;
    let number = |kind| attributes.first(kind).and_then(Attribute::be32);
    let set = Set {
        name: text(attributes.first(NFTA_SET_NAME)?),
        handle: attributes.first(NFTA_SET_HANDLE).and_then(Attribute::be64).unwrap_or_default(),
        flags: number(NFTA_SET_FLAGS).unwrap_or_default(),
        key_type: number(NFTA_SET_KEY_TYPE).unwrap_or_default(),
        key_length: number(NFTA_SET_KEY_LEN).unwrap_or_default(),
        data_type: number(NFTA_SET_DATA_TYPE),
        timeout: attributes.first(NFTA_SET_TIMEOUT).and_then(Attribute::be64),
        elements: Vec::new(),
    };
    Some(((family, text(attributes.first(NFTA_SET_TABLE)?)), set))
}

fn read_elements(reply: &Reply<'_>) -> Option<Vec<Element>> {
    let (_, attributes) = attributes(reply, NFT_MSG_NEWSETELEM)?;
    let elements = attributes.first(NFTA_SET_ELEM_LIST_ELEMENTS)?;
    Some(elements.nested().map(read_element).collect())
}

fn read_element(element: Attribute<'_>) -> Element {
    let value = |kind| Some(element.inner(kind)?.inner(NFTA_DATA_VALUE)?.payload.to_vec());
    let data: Option<Data> = element.inner(NFTA_SET_ELEM_DATA).and_then(read_data);
    Element {
        key: value(NFTA_SET_ELEM_KEY).unwrap_or_default(),
        last: value(NFTA_SET_ELEM_KEY_END),
        data,
        flags: element.inner(NFTA_SET_ELEM_FLAGS).and_then(Attribute::be32).unwrap_or_default(),
        expires: element.inner(NFTA_SET_ELEM_EXPIRATION).and_then(Attribute::be64),
        comment: element.inner(NFTA_SET_ELEM_USERDATA).and_then(read_comment),
    }
}

/// Every reader of this file.
#[cfg(test)]
pub(super) fn read_all(reply: &Reply<'_>) {
    let _ = read_table(reply);
    let _ = read_chain(reply);
    let _ = read_rule(reply);
    let _ = read_set(reply);
    let _ = read_elements(reply);
}
