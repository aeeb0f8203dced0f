//! Chains and their rules. Each rule carries its digest as its comment.

use ropewalk_netstate::resource::nft::{BaseChain, ChainKind, Hook, NftChain, Rule, TableRef};

use super::{HEADER, change, comment, dump, expression, get, is, read_comment};
use crate::{
    netlink::{Attribute, Attributes, Message, Reply},
    uapi::{
        NF_ACCEPT, NF_DROP, NFT_MSG_DELCHAIN, NFT_MSG_DELRULE, NFT_MSG_GETCHAIN, NFT_MSG_GETRULE,
        NFT_MSG_NEWCHAIN, NFT_MSG_NEWRULE, NFTA_CHAIN_HOOK, NFTA_CHAIN_NAME, NFTA_CHAIN_POLICY,
        NFTA_CHAIN_TABLE, NFTA_CHAIN_TYPE, NFTA_HOOK_HOOKNUM, NFTA_HOOK_PRIORITY, NFTA_RULE_CHAIN,
        NFTA_RULE_EXPRESSIONS, NFTA_RULE_HANDLE, NFTA_RULE_TABLE, NFTA_RULE_USERDATA, NLM_F_APPEND,
        NLM_F_CREATE,
    },
};

/// A rule that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundRule {
    pub(crate) handle: u64,
    pub(crate) comment: Option<String>,
}

/// Makes a chain with exactly these rules, whether it exists or not: two ADDs that do this at
/// the same time do not double the rules.
pub(crate) fn create(wanted: &NftChain) -> Vec<Message> {
    let mut messages = vec![create_empty(wanted), flush(wanted)];
    messages.extend(wanted.rules.iter().map(|rule| add_rule(wanted, rule)));
    messages
}

fn create_empty(wanted: &NftChain) -> Message {
    let chain = change(NFT_MSG_NEWCHAIN, NLM_F_CREATE, wanted.table.family);
    let mut message = named(chain, &wanted.table, &wanted.name);
    if let Some(BaseChain { kind, hook, priority }) = wanted.base {
        let number = match hook {
            Hook::Prerouting => 0,
            Hook::Input => 1,
            Hook::Forward => 2,
            Hook::Output => 3,
            Hook::Postrouting => 4,
        };
        let kind = match kind {
            ChainKind::Filter => "filter",
            ChainKind::Nat => "nat",
        };
        message
            .nest(NFTA_CHAIN_HOOK, |hook| {
                hook.be32(NFTA_HOOK_HOOKNUM, number)
                    .be32(NFTA_HOOK_PRIORITY, priority.cast_unsigned());
            })
            .be32(NFTA_CHAIN_POLICY, NF_ACCEPT)
            .text(NFTA_CHAIN_TYPE, kind);
    }
    message
}

fn flush(chain: &NftChain) -> Message {
    in_chain(change(NFT_MSG_DELRULE, 0, chain.table.family), &chain.table, &chain.name)
}

fn add_rule(chain: &NftChain, rule: &Rule) -> Message {
    let family = chain.table.family;
    let message = change(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, family);
    let mut message = in_chain(message, &chain.table, &chain.name);
    message.nest(NFTA_RULE_EXPRESSIONS, |list| expression::put_all(list, family, rule));
    message.bytes(NFTA_RULE_USERDATA, &comment(&rule.digest()));
    message
}

/// Deletes a chain and its rules.
pub(crate) fn delete(chain: &NftChain) -> Vec<Message> {
    let message = change(NFT_MSG_DELCHAIN, 0, chain.table.family);
    vec![flush(chain), named(message, &chain.table, &chain.name)]
}

/// Asks for a chain without its rules.
pub(crate) fn find(table: &TableRef, chain: &str) -> Message {
    named(get(NFT_MSG_GETCHAIN, table.family), table, chain)
}

/// Whether an answer is a base chain that drops what no rule accepts.
pub(crate) fn read_drops_by_default(reply: &Reply<'_>) -> Option<bool> {
    if !is(reply, NFT_MSG_NEWCHAIN) {
        return None;
    }
    let policy = Attributes::behind(reply.payload, HEADER).first(NFTA_CHAIN_POLICY);
    Some(policy.and_then(Attribute::be32) == Some(NF_DROP))
}

/// Asks for the rules of a chain.
pub(crate) fn list_rules(table: &TableRef, chain: &str) -> Message {
    in_chain(dump(NFT_MSG_GETRULE, table.family), table, chain)
}

/// Reads a rule's handle and comment.
pub(crate) fn read_rule(reply: &Reply<'_>) -> Option<FoundRule> {
    if !is(reply, NFT_MSG_NEWRULE) {
        return None;
    }
    let attributes = Attributes::behind(reply.payload, HEADER);
    Some(FoundRule {
        handle: attributes.first(NFTA_RULE_HANDLE)?.be64()?,
        comment: attributes.first(NFTA_RULE_USERDATA).and_then(read_comment),
    })
}

/// Deletes one rule.
pub(crate) fn delete_rule(table: &TableRef, chain: &str, handle: u64) -> Message {
    let mut message = in_chain(change(NFT_MSG_DELRULE, 0, table.family), table, chain);
    message.be64(NFTA_RULE_HANDLE, handle);
    message
}

fn named(mut message: Message, table: &TableRef, chain: &str) -> Message {
    message.text(NFTA_CHAIN_TABLE, &table.name).text(NFTA_CHAIN_NAME, chain);
    message
}

fn in_chain(mut message: Message, table: &TableRef, chain: &str) -> Message {
    message.text(NFTA_RULE_TABLE, &table.name).text(NFTA_RULE_CHAIN, chain);
    message
}
