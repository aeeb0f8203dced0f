//! The firewall as set elements: one address costs one element, one bridge one.

use std::net::IpAddr;

use ropewalk_addr::Family;
use ropewalk_netstate::{
    Desired, Lifetime, Place, Resource, Scope, Tag,
    resource::{
        NftChain, NftElements, NftSet, NftTable,
        nft::{
            BaseChain, ChainKind, Connection, DataType, Datum, ElementData, Field, Hook, MapsTo,
            Rule, SetRef, Statement, Verdict,
        },
    },
};

use super::{IngressPolicy, Side, of_family};
use crate::{device::Attachment, feature::masquerade::table};

fn set(name: &str) -> SetRef {
    SetRef { table: table(), name: name.into() }
}

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// Addresses of containers whose traffic is accepted.
fn accepted(family: Family) -> SetRef {
    set(if family == Family::V4 { "accepted4" } else { "accepted6" })
}

/// Addresses of containers for which what belongs to no connection is dropped.
fn strict(family: Family) -> SetRef {
    set(if family == Family::V4 { "strict4" } else { "strict6" })
}

/// Bridges, and host ends of containers without one, that others of these do not reach.
const APART: &str = "apart";
/// Pairs (in, out) that are one bridge, and whether its containers reach each other.
const WITHIN: &str = "within_bridge";

/// Where elements of attachments can be found.
pub(crate) fn scopes() -> Vec<Scope> {
    let sets = FAMILIES.into_iter().flat_map(|family| [accepted(family), strict(family)]);
    sets.chain([set(APART), set(WITHIN)]).map(Scope::Elements).collect()
}

/// Declares the addresses and, with a policy, the side that the container is on.
pub(crate) fn declare(
    desired: &mut Desired,
    attachment: &Attachment,
    addresses: &[IpAddr],
    policy: Option<&(IngressPolicy, Side)>,
) {
    declare_shared(desired);
    if let Some((policy, side)) = policy {
        declare_side(desired, attachment, *policy, side);
    }
    declare_elements(desired, attachment, addresses, accepted);
}

/// Declares that what is invalid is dropped, beside what accepts or alone.
pub(crate) fn declare_drops(desired: &mut Desired, attachment: &Attachment, addresses: &[IpAddr]) {
    declare_shared(desired);
    declare_elements(desired, attachment, addresses, strict);
}

/// Declares the addresses in the sets of their families.
fn declare_elements(
    desired: &mut Desired,
    attachment: &Attachment,
    addresses: &[IpAddr],
    set: fn(Family) -> SetRef,
) {
    for family in FAMILIES {
        let elements = elements(attachment, set(family), family, addresses);
        if !elements.elements.is_empty() {
            desired.push(Place::Host, Lifetime::Attachment, elements);
        }
    }
}

/// Declares what DEL looks for. Without addresses it is found by its owner.
pub(crate) fn declare_owned(desired: &mut Desired, attachment: &Attachment, addresses: &[IpAddr]) {
    for family in FAMILIES {
        for set in [accepted(family), strict(family)] {
            let elements = elements(attachment, set, family, addresses);
            desired.push(Place::Host, Lifetime::Attachment, elements);
        }
    }
    for set in [set(APART), set(WITHIN)] {
        let elements = NftElements::replacing(set, attachment.owner.tag());
        desired.push(Place::Host, Lifetime::Attachment, elements);
    }
}

fn elements(
    attachment: &Attachment,
    set: SetRef,
    family: Family,
    addresses: &[IpAddr],
) -> NftElements {
    let elements = NftElements::replacing(set, attachment.owner.tag());
    of_family(addresses, family)
        .into_iter()
        .fold(elements, |elements, ip| elements.with(vec![Datum::Ip(ip)], ElementData::Nothing))
}

/// Declares the side alone, where somebody else accepts.
pub(crate) fn declare_apart(
    desired: &mut Desired,
    attachment: &Attachment,
    policy: IngressPolicy,
    side: &Side,
) {
    declare_shared(desired);
    declare_side(desired, attachment, policy, side);
}

fn declare_shared(desired: &mut Desired) {
    let mut shared = |resource: Resource| desired.push(Place::Host, Lifetime::Shared, resource);
    let pair = vec![DataType::Interface, DataType::Interface];
    let plain = |set, key_type| NftSet { set, key_type, maps_to: MapsTo::Nothing };
    shared(NftTable { table: table() }.into());
    for (family, address) in [(Family::V4, DataType::Ip4), (Family::V6, DataType::Ip6)] {
        for set in [accepted(family), strict(family)] {
            shared(plain(set, vec![address]).into());
        }
    }
    shared(plain(set(APART), vec![DataType::Interface]).into());
    shared(NftSet { set: set(WITHIN), key_type: pair, maps_to: MapsTo::Verdict }.into());
    let base = BaseChain { kind: ChainKind::Filter, hook: Hook::Forward, priority: 0 };
    shared(NftChain::base(table(), "firewall", base, rules()).into());
}

fn rules() -> Vec<Rule> {
    let both = vec![Field::InterfaceIn, Field::InterfaceOut];
    let (accept, drop) = (Statement::Verdict(Verdict::Accept), Statement::Verdict(Verdict::Drop));
    let mut rules = Vec::new();
    for (field, family) in [
        (Field::Ip4Source, Family::V4),
        (Field::Ip4Destination, Family::V4),
        (Field::Ip6Source, Family::V6),
        (Field::Ip6Destination, Family::V6),
    ] {
        // The state first: hardly a packet is looked up.
        let invalid = Statement::Connection(Connection::Invalid);
        let of_strict = Statement::InSet(vec![field], strict(family).name);
        rules.push(Rule::new([invalid, of_strict, drop.clone()]));
    }
    rules.extend([
        Rule::new([Statement::VerdictMap(both, WITHIN.into())]),
        Rule::new([
            Statement::InSet(vec![Field::InterfaceIn], APART.into()),
            Statement::InSet(vec![Field::InterfaceOut], APART.into()),
            drop,
        ]),
    ]);
    for (source, destination, family) in [
        (Field::Ip4Source, Field::Ip4Destination, Family::V4),
        (Field::Ip6Source, Field::Ip6Destination, Family::V6),
    ] {
        let name = accepted(family).name;
        rules.push(Rule::new([
            Statement::InSet(vec![destination], name.clone()),
            Statement::Connection(Connection::EstablishedOrRelated),
            accept.clone(),
        ]));
        rules.push(Rule::new([Statement::InSet(vec![source], name), accept.clone()]));
    }
    rules
}

/// A bridge belongs to no attachment: it stays apart while it exists. The host's end of a pair goes
/// with its container.
fn declare_side(
    desired: &mut Desired,
    attachment: &Attachment,
    policy: IngressPolicy,
    side: &Side,
) {
    let tag = match side {
        Side::Bridge(link) => Tag::shared(link),
        Side::HostEnd(_) => attachment.owner.tag(),
    };
    let name = Datum::Interface(side.link().clone());
    let verdict = if policy == IngressPolicy::Isolated { Verdict::Drop } else { Verdict::Accept };
    let apart = NftElements::replacing(set(APART), tag.clone())
        .with(vec![name.clone()], ElementData::Nothing);
    let pair = NftElements::replacing(set(WITHIN), tag)
        .with(vec![name.clone(), name], ElementData::Verdict(verdict));
    desired.push(Place::Host, side.lifetime(), apart);
    desired.push(Place::Host, side.lifetime(), pair);
}
