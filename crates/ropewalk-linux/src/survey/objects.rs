//! What lies in nftables tables beside chains and sets: objects with names, and flow tables.

use ropewalk_topology::model::{FlowTable, Object, ObjectState};

use super::{
    expressions::Step,
    filter::{Place, attributes},
    links::text,
    uapi::{
        NFT_MSG_NEWFLOWTABLE, NFT_MSG_NEWOBJ, NFT_OBJECT_COUNTER, NFT_OBJECT_CT_HELPER,
        NFT_OBJECT_LIMIT, NFT_OBJECT_QUOTA, NFTA_COUNTER_BYTES, NFTA_COUNTER_PACKETS,
        NFTA_CT_HELPER_L3PROTO, NFTA_CT_HELPER_L4PROTO, NFTA_CT_HELPER_NAME, NFTA_FLOWTABLE_FLAGS,
        NFTA_FLOWTABLE_HANDLE, NFTA_FLOWTABLE_HOOK, NFTA_FLOWTABLE_HOOK_DEVS,
        NFTA_FLOWTABLE_HOOK_NUM, NFTA_FLOWTABLE_HOOK_PRIORITY, NFTA_FLOWTABLE_NAME,
        NFTA_FLOWTABLE_TABLE, NFTA_LIMIT_BURST, NFTA_LIMIT_FLAGS, NFTA_LIMIT_RATE, NFTA_LIMIT_TYPE,
        NFTA_LIMIT_UNIT, NFTA_OBJ_DATA, NFTA_OBJ_HANDLE, NFTA_OBJ_NAME, NFTA_OBJ_TABLE,
        NFTA_OBJ_TYPE, NFTA_OBJ_USERDATA, NFTA_QUOTA_BYTES, NFTA_QUOTA_CONSUMED, NFTA_QUOTA_FLAGS,
    },
};
use crate::{
    netlink::{Attribute, Attributes, Reply},
    translate::nft::read_comment,
};

pub(super) fn read_object(reply: &Reply<'_>) -> Option<(Place, Object)> {
    let (family, attributes) = attributes(reply, NFT_MSG_NEWOBJ)?;
    let kind = attributes.first(NFTA_OBJ_TYPE)?.be32()?;
    let data = attributes.first(NFTA_OBJ_DATA);
    let data = data.map_or(Attributes::behind(&[], 0), Attribute::nested);
    let object = Object {
        name: text(attributes.first(NFTA_OBJ_NAME)?),
        handle: attributes.first(NFTA_OBJ_HANDLE).and_then(Attribute::be64).unwrap_or_default(),
        state: read_state(kind, &Step(data.clone())).unwrap_or_else(|| ObjectState::Other {
            kind,
            attributes: data.map(|one| (one.kind, one.payload.to_vec())).collect(),
        }),
        comment: attributes.first(NFTA_OBJ_USERDATA).and_then(read_comment),
    };
    Some(((family, text(attributes.first(NFTA_OBJ_TABLE)?)), object))
}

fn read_state(kind: u32, data: &Step<'_>) -> Option<ObjectState> {
    match kind {
        NFT_OBJECT_COUNTER => Some(ObjectState::Counter {
            packets: data.long(NFTA_COUNTER_PACKETS)?,
            bytes: data.long(NFTA_COUNTER_BYTES)?,
        }),
        NFT_OBJECT_QUOTA => Some(ObjectState::Quota {
            bytes: data.long(NFTA_QUOTA_BYTES)?,
            used: data.long(NFTA_QUOTA_CONSUMED).unwrap_or_default(),
            is_inverted: data.number(NFTA_QUOTA_FLAGS).unwrap_or_default() & 1 != 0,
        }),
        NFT_OBJECT_LIMIT => Some(ObjectState::Limit {
            rate: data.long(NFTA_LIMIT_RATE)?,
            seconds: data.long(NFTA_LIMIT_UNIT)?,
            burst: data.number(NFTA_LIMIT_BURST).unwrap_or_default(),
            of_bytes: data.number(NFTA_LIMIT_TYPE).unwrap_or_default() == 1,
            is_inverted: data.number(NFTA_LIMIT_FLAGS).unwrap_or_default() & 1 != 0,
        }),
        NFT_OBJECT_CT_HELPER => Some(ObjectState::Helper {
            name: text(data.0.first(NFTA_CT_HELPER_NAME)?),
            family: data.0.first(NFTA_CT_HELPER_L3PROTO).and_then(Attribute::be16)?,
            protocol: data.0.first(NFTA_CT_HELPER_L4PROTO)?.u8()?,
        }),
        _ => None,
    }
}

pub(super) fn read_flow_table(reply: &Reply<'_>) -> Option<(Place, FlowTable)> {
    let (family, attributes) = attributes(reply, NFT_MSG_NEWFLOWTABLE)?;
    let hook = attributes.first(NFTA_FLOWTABLE_HOOK)?;
    let flags = attributes.first(NFTA_FLOWTABLE_FLAGS).and_then(Attribute::be32);
    let handle = attributes.first(NFTA_FLOWTABLE_HANDLE).and_then(Attribute::be64);
    let devices = hook.inner(NFTA_FLOWTABLE_HOOK_DEVS).into_iter().flat_map(Attribute::nested);
    let flow_table = FlowTable {
        name: text(attributes.first(NFTA_FLOWTABLE_NAME)?),
        handle: handle.unwrap_or_default(),
        flags: flags.unwrap_or_default(),
        hook: hook.inner(NFTA_FLOWTABLE_HOOK_NUM)?.be32()?,
        priority: hook.inner(NFTA_FLOWTABLE_HOOK_PRIORITY)?.be32()?.cast_signed(),
        devices: devices.map(text).collect(),
    };
    Some(((family, text(attributes.first(NFTA_FLOWTABLE_TABLE)?)), flow_table))
}
