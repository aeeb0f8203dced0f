//! What an observation is sure to ask, so that the kernel can be asked at once. It decides nothing:
//! what is not asked here is asked when it is needed.

use std::collections::BTreeSet;

use ropewalk_netstate::{Place, Probe, Resource};

use super::{Linux, iptables, observe::Links, packet_filter};
use crate::{
    netlink::Message,
    translate::{
        link,
        nft::{chain, element, set, table},
    },
};

/// Where more is to be asked, little is gained by asking it together.
const MOST: usize = 48;

/// Asks ahead, with one send for each place and part of the kernel. If that fails, whoever wants to
/// know asks again, and hears why.
pub(super) fn ask_ahead(linux: &mut Linux, probes: &[Probe<'_>], known: &Links) {
    for place in [Place::Host, Place::Sandbox] {
        let here = probes.iter().filter(|probe| probe.place == place).map(|probe| probe.resource);
        let here: Vec<&Resource> = here.collect();
        if here.is_empty() || !linux.is_there(place).unwrap_or(false) {
            continue;
        }
        let questions = about_links(place, &here, known);
        if questions.len() > 1
            && let Ok(socket) = linux.route(place)
        {
            socket.ask_ahead(questions);
        }
        ask_about_filters(linux, place, &here);
    }
}

/// Asks ahead about what lies in nftables, if there is such a thing.
pub(super) fn ask_about_filters(linux: &mut Linux, place: Place, resources: &[&Resource]) {
    let questions = about_filters(resources);
    if (2..=MOST).contains(&questions.len())
        && packet_filter::is_usable(linux, place)
        && let Ok(socket) = linux.netfilter(place)
    {
        socket.ask_ahead(questions);
    }
}

/// Forgets what was answered.
pub(super) fn forget_answers(linux: &mut Linux) {
    linux.on_host.forget_answers();
    linux.in_sandbox.forget_answers();
}

/// All links that are named and not known.
fn about_links(place: Place, resources: &[&Resource], known: &Links) -> Vec<Message> {
    let mut names = BTreeSet::new();
    for resource in resources {
        names.extend(resource.link());
        if let Resource::Veth(veth) = resource {
            names.extend(&veth.bridge);
        }
    }
    let unknown = names.into_iter().filter(|name| !known.contains_key(&(place, (*name).clone())));
    unknown.map(|name| link::find_by_name(name)).collect()
}

/// Everything that is named in nftables, and the rules of one chain.
fn about_filters(resources: &[&Resource]) -> Vec<Message> {
    let mut questions = Vec::new();
    let mut rules = None;
    for resource in resources {
        if questions.len() > MOST {
            break;
        }
        match resource {
            Resource::NftTable(wanted) => add(&mut questions, table::find(&wanted.table)),
            Resource::NftSet(wanted) => add(&mut questions, set::find(&wanted.set)),
            Resource::NftChain(wanted) => {
                add(&mut questions, chain::find(&wanted.table, &wanted.name));
                rules.get_or_insert_with(|| chain::list_rules(&wanted.table, &wanted.name));
            }
            Resource::NftElements(wanted) => {
                add(&mut questions, set::find(&wanted.set));
                for key in wanted.elements.keys().take(MOST) {
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
