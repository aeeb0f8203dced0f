//! Rules of policy routing.

use ropewalk_addr::{Family, Prefix, Subnet};
use ropewalk_netstate::resource::RoutingRule;

use super::address::family_number;
use crate::{
    netlink::{Attribute, Attributes, Message, Reply},
    uapi::{
        FR_ACT_TO_TBL, FRA_PRIORITY, FRA_PROTOCOL, FRA_SRC, FRA_SUPPRESS_PREFIXLEN, FRA_TABLE,
        NLM_F_CREATE, NLM_F_EXCL, RTM_DELRULE, RTM_GETRULE, RTM_NEWRULE,
    },
};

/// Length of `struct fib_rule_hdr`.
const HEADER: usize = 12;

/// A rule as the kernel reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FoundRule {
    /// The source, if that is all that the rule asks for.
    pub(crate) source: Option<Subnet>,
    /// The table that it leads to, 0 if it leads to none.
    pub(crate) table: u32,
    priority: u32,
}

fn message_about(kind: u16, flags: u16, rule: &RoutingRule) -> Message {
    let mut message = Message::acknowledged(kind, flags);
    let source = rule.source;
    let start = [family_number(source.family()), 0, source.length(), 0, 0, 0, 0, FR_ACT_TO_TBL];
    message.raw(&[&start[..], &[0; 4]].concat());
    message.ip(FRA_SRC, source.ip()).u32(FRA_TABLE, rule.table);
    if let Some(priority) = rule.priority {
        message.u32(FRA_PRIORITY, priority);
    }
    message
}

/// Adds a rule.
pub(crate) fn create(rule: &RoutingRule) -> Message {
    message_about(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rule)
}

/// Removes a rule.
pub(crate) fn delete(rule: &RoutingRule) -> Message {
    message_about(RTM_DELRULE, 0, rule)
}

/// Asks for the rules of a family.
pub(crate) fn list(family: Family) -> Message {
    let mut message = Message::dump(RTM_GETRULE);
    message.raw(&[&[family_number(family)][..], &[0; HEADER - 1]].concat());
    message
}

/// Reads a rule from an answer.
pub(crate) fn read(reply: &Reply<'_>) -> Option<FoundRule> {
    if reply.kind != RTM_NEWRULE {
        return None;
    }
    let &[_, to, length, tos, table, _, _, action, flags @ ..] =
        reply.payload.first_chunk::<HEADER>()?;
    let attributes = Attributes::behind(reply.payload, HEADER);
    let number = |kind| attributes.first(kind).and_then(Attribute::u32);
    // Every rule has these; whatever else it has narrows down which packets it is about.
    let asks_more = attributes.clone().any(|attribute| match attribute.kind {
        FRA_SRC | FRA_TABLE | FRA_PRIORITY | FRA_PROTOCOL => false,
        FRA_SUPPRESS_PREFIXLEN => attribute.u32() != Some(u32::MAX),
        _ => true,
    });
    let is_plain = to == 0 && tos == 0 && action == FR_ACT_TO_TBL && flags == [0; 4] && !asks_more;
    let source = attributes.first(FRA_SRC).and_then(Attribute::ip).filter(|_| is_plain);
    Some(FoundRule {
        source: source.and_then(|ip| Prefix::new(ip, length).ok()).map(Prefix::subnet),
        table: number(FRA_TABLE).unwrap_or(table.into()),
        priority: number(FRA_PRIORITY).unwrap_or(0),
    })
}

impl FoundRule {
    /// The resource, if it is one of ours to describe.
    pub(crate) fn resource(self) -> Option<RoutingRule> {
        let Self { source, table, priority } = self;
        Some(RoutingRule { source: source?, table, priority: Some(priority) })
    }
}
