//! What an observation is sure to ask, so that the kernel can be asked at once. It decides nothing:
//! what is not asked here is asked when it is needed.

use std::collections::BTreeSet;

use ropewalk_addr::IfName;
use ropewalk_netstate::{
    Place, Probe, Resource,
    resource::{Address, AddressGuard},
};

use super::{Linux, iptables, known::Links, packet_filter};
use crate::{
    netlink::Message,
    translate::{
        address, link,
        nft::{chain, element, set, table},
        sysctl,
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
        let mut questions = about_links(place, &here, known);
        questions.extend(about_parameters(&here));
        questions.extend(about_addresses(place, &here, known));
        ask(linux, place, questions);
        ask_about_filters(linux, place, &here);
    }
}

/// Asks ahead for the links of probes.
pub(super) fn ask_about_links(linux: &mut Linux, probes: &[Probe<'_>]) {
    for place in [Place::Host, Place::Sandbox] {
        let here = probes.iter().filter(|probe| probe.place == place).map(|probe| probe.resource);
        let here: Vec<&Resource> = here.collect();
        ask(linux, place, about_links(place, &here, &Links::new()));
    }
}

fn ask(linux: &mut Linux, place: Place, questions: Vec<Message>) {
    if questions.len() > 1
        && let Ok(socket) = linux.route(place)
    {
        socket.ask_ahead(questions);
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
    let names: BTreeSet<&IfName> = resources.iter().copied().flat_map(links_of).collect();
    let unknown = names.into_iter().filter(|name| !known.contains_key(&(place, (*name).clone())));
    unknown.map(|name| link::find_by_name(name)).collect()
}

/// The links that a resource names, where it is.
pub(super) fn links_of(resource: &Resource) -> impl Iterator<Item = &IfName> {
    let bridge = match resource {
        Resource::Veth(veth) => veth.bridge.as_ref(),
        _ => None,
    };
    resource.link().into_iter().chain(bridge)
}

/// Parameters of the namespace for which there is a message.
fn about_parameters(resources: &[&Resource]) -> Vec<Message> {
    let mut questions = Vec::new();
    for resource in resources {
        if let Resource::Sysctl(wanted) = resource
            && let Some(question) = sysctl::find(&wanted.path)
        {
            add(&mut questions, question);
        }
    }
    questions
}

/// The addresses of one link, if links are known.
fn about_addresses(place: Place, resources: &[&Resource], known: &Links) -> Option<Message> {
    resources.iter().find_map(|resource| {
        let (Resource::Address(Address { link, .. })
        | Resource::AddressGuard(AddressGuard { link, .. })) = resource
        else {
            return None;
        };
        let link = known.get(&(place, link.clone()))?.as_ref()?;
        Some(address::list(None, link.index))
    })
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
