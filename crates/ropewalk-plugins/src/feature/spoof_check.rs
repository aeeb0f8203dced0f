//! MAC spoof check: a port may send only from its container's MAC.

use ropewalk_addr::Mac;
use ropewalk_netstate::{
    Desired, Lifetime, Owner, Place, Resource, Scope,
    resource::{
        NftChain, NftElements, NftSet, NftTable, NftTaggedRules,
        nft::{
            BaseChain, ChainKind, DataType, Datum, ElementData, Field, Hook, MapsTo, NftFamily,
            Rule, SetRef, Statement, TableRef, Verdict,
        },
    },
};

use crate::{device::Attachment, names};

fn table() -> TableRef {
    TableRef::new(NftFamily::Bridge, "ropewalk")
}

/// Ports that are checked.
fn guarded() -> SetRef {
    SetRef { table: table(), name: "guarded".into() }
}

/// Ports and the MAC each may use.
fn allowed() -> SetRef {
    SetRef { table: table(), name: "allowed".into() }
}

/// A MAC that follows from the attachment, locally administered and unicast: a rule has to name
/// it before the kernel could tell.
pub(crate) fn mac(owner: &Owner) -> Mac {
    let hash = owner.hash();
    let byte = |n: usize| u8::from_str_radix(&hash[2 * n..2 * n + 2], 16).unwrap_or_default();
    Mac([(byte(0) & 0xfc) | 0x02, byte(1), byte(2), byte(3), byte(4), byte(5)])
}

/// Where elements of attachments can be found.
pub(crate) fn scopes() -> Vec<Scope> {
    vec![Scope::Elements(guarded()), Scope::Elements(allowed())]
}

/// Declares the check of an attachment's port.
pub(crate) fn declare(desired: &mut Desired, attachment: &Attachment, mac: Option<Mac>) {
    declare_shared(desired);
    let port = Datum::Interface(names::host_interface(&attachment.owner));
    let tag = attachment.owner.tag();
    let mac = mac.unwrap_or_else(|| self::mac(&attachment.owner));
    let allowed = NftElements::new(allowed(), tag.clone())
        .with(vec![port.clone(), Datum::Mac(mac)], ElementData::Nothing);
    let guarded = NftElements::new(guarded(), tag).with(vec![port], ElementData::Nothing);
    desired.push(Place::Host, Lifetime::Attachment, allowed);
    desired.push(Place::Host, Lifetime::Attachment, guarded);
}

fn declare_shared(desired: &mut Desired) {
    let mut shared = |resource: Resource| desired.push(Place::Host, Lifetime::Shared, resource);
    let set = |set, key_type| NftSet { set, key_type, maps_to: MapsTo::Nothing };
    shared(NftTable { table: table() }.into());
    shared(set(guarded(), vec![DataType::Interface]).into());
    shared(set(allowed(), vec![DataType::Interface, DataType::Mac]).into());
    let base = BaseChain { kind: ChainKind::Filter, hook: Hook::Prerouting, priority: -300 };
    let rule = Rule::new([
        Statement::InSet(vec![Field::InterfaceIn], guarded().name),
        Statement::NotInSet(vec![Field::InterfaceIn, Field::EtherSource], allowed().name),
        Statement::Verdict(Verdict::Drop),
    ]);
    shared(NftChain::base(table(), "spoof_check", base, vec![rule]).into());
}

/// What the reference plugin would have made.
pub(crate) fn declare_predecessors(desired: &mut Desired, owner: &Owner) {
    let rules = NftTaggedRules {
        table: TableRef::new(NftFamily::Bridge, "nat"),
        chain: "PREROUTING".into(),
        comment_prefix: format!("macspoofchk-{}-{}", owner.container, owner.interface),
    };
    desired.push(Place::Host, Lifetime::Predecessor, rules);
}
