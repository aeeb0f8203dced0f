//! Tables.

use ropewalk_netstate::resource::nft::TableRef;

use super::{change, get};
use crate::{
    netlink::Message,
    uapi::{NFT_MSG_DELTABLE, NFT_MSG_GETTABLE, NFT_MSG_NEWTABLE, NFTA_TABLE_NAME, NLM_F_CREATE},
};

/// Creates a table; one that exists is fine.
pub(crate) fn create(table: &TableRef) -> Message {
    named(change(NFT_MSG_NEWTABLE, NLM_F_CREATE, table.family), table)
}

/// Deletes a table with all that is in it.
pub(crate) fn delete(table: &TableRef) -> Message {
    named(change(NFT_MSG_DELTABLE, 0, table.family), table)
}

/// Asks for a table.
pub(crate) fn find(table: &TableRef) -> Message {
    named(get(NFT_MSG_GETTABLE, table.family), table)
}

fn named(mut message: Message, table: &TableRef) -> Message {
    message.text(NFTA_TABLE_NAME, &table.name);
    message
}
