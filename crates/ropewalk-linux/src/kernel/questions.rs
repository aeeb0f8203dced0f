//! What an observation is sure to ask, so that the kernel can be asked at once. It decides nothing:
//! what is not asked here is asked when it is needed.

use std::collections::BTreeSet;

use ropewalk_netstate::{KernelError, Place, Probe, Resource};

use super::{Linux, iptables, observe::Links};
use crate::{
    netlink::Message,
    translate::{
        address, link,
        nft::{chain, element, set, table},
    },
};

/// Asks ahead, with one send for each place and part of the kernel. What is found out at once, that
/// a link is not there, is added to what is known.
pub(super) fn ask_ahead(
    linux: &mut Linux,
    probes: &[Probe<'_>],
    known: &mut Links,
) -> Result<(), KernelError> {
    for place in [Place::Host, Place::Sandbox] {
        let here = probes.iter().filter(|probe| probe.place == place).map(|probe| probe.resource);
        let here: Vec<&Resource> = here.collect();
        if here.is_empty() || !linux.is_there(place)? {
            continue;
        }
        let questions = about_links(linux, place, &here, known)?;
        if questions.len() > 1 {
            linux.route(place)?.ask_ahead(questions)?;
        }
        ask_about_filters(linux, place, &here)?;
    }
    Ok(())
}

/// Asks ahead about what lies in nftables.
pub(super) fn ask_about_filters(
    linux: &mut Linux,
    place: Place,
    resources: &[&Resource],
) -> Result<(), KernelError> {
    let questions = about_filters(resources);
    if questions.len() > 1 && linux.has_nftables != Some(false) {
        linux.netfilter(place)?.ask_ahead(questions)?;
    }
    Ok(())
}

/// Forgets what was answered.
pub(super) fn forget_answers(linux: &mut Linux) {
    linux.on_host.forget_answers();
    linux.in_sandbox.forget_answers();
}

/// All links that are there of those that are named, and the addresses of one.
fn about_links(
    linux: &mut Linux,
    place: Place,
    resources: &[&Resource],
    known: &mut Links,
) -> Result<Vec<Message>, KernelError> {
    let mut names = BTreeSet::new();
    let mut with_addresses = None;
    for resource in resources {
        names.extend(resource.link());
        match resource {
            Resource::Veth(veth) => names.extend(&veth.bridge),
            Resource::Address(address) => with_addresses = Some(&address.link),
            Resource::AddressGuard(guard) => with_addresses = Some(&guard.link),
            _ => {}
        }
    }
    let mut questions = Vec::new();
    let mut addresses = None;
    for name in names {
        let key = (place, name.clone());
        if known.contains_key(&key) && with_addresses != Some(name) {
            continue;
        }
        let Some(index) = linux.current_index(place, name)? else {
            known.insert(key, None);
            continue;
        };
        if !known.contains_key(&key) {
            questions.push(link::find_by_name(name));
        }
        if with_addresses == Some(name) {
            addresses = Some(address::list(None, index));
        }
    }
    questions.extend(addresses);
    Ok(questions)
}

/// Everything that is named in nftables, and the rules of one chain.
fn about_filters(resources: &[&Resource]) -> Vec<Message> {
    let mut questions = Vec::new();
    let mut rules = None;
    for resource in resources {
        match resource {
            Resource::NftTable(wanted) => add(&mut questions, table::find(&wanted.table)),
            Resource::NftSet(wanted) => add(&mut questions, set::find(&wanted.set)),
            Resource::NftChain(wanted) => {
                add(&mut questions, chain::find(&wanted.table, &wanted.name));
                rules.get_or_insert_with(|| chain::list_rules(&wanted.table, &wanted.name));
            }
            Resource::NftElements(wanted) => {
                add(&mut questions, set::find(&wanted.set));
                for key in wanted.elements.keys() {
                    add(&mut questions, element::find(&wanted.set, key));
                }
            }
            Resource::IptablesChain(wanted) => {
                let table = iptables::nft_table(wanted.family, &wanted.table);
                add(&mut questions, chain::find(&table, &wanted.name));
            }
            Resource::IptablesRule(wanted) => {
                let table = iptables::nft_table(wanted.family, &wanted.table);
                add(&mut questions, chain::find(&table, &wanted.chain));
            }
            _ => {}
        }
    }
    questions.extend(rules);
    questions
}

fn add(questions: &mut Vec<Message>, question: Message) {
    if !questions.contains(&question) {
        questions.push(question);
    }
}
