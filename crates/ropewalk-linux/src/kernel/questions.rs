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

/// So few questions are asked without asking first whether there is nftables: a kernel that has
/// none looks for a module at each.
const FEW: usize = 3;

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
    let Filters { mut questions, dumps } = about_filters(resources);
    let is_worth_it = (2..=MOST).contains(&(questions.len() + dumps.len().min(1)));
    let is_little = questions.len() <= FEW && linux.has_nftables.is_none();
    if is_worth_it
        && (is_little || packet_filter::is_usable(linux, place))
        && let Ok(socket) = linux.netfilter(place)
    {
        // The kernel takes on one dump at a time.
        questions.extend(dumps.into_iter().find(|dump| !socket.knows(dump)));
        socket.ask_ahead(questions);
    }
}

/// Forgets what was answered about links.
pub(super) fn forget_answers_about_links(linux: &mut Linux) {
    linux.on_host.forget_answers_about_links();
    linux.in_sandbox.forget_answers_about_links();
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

/// What is asked of nftables.
struct Filters {
    questions: Vec<Message>,
    /// Lists of rules.
    dumps: Vec<Message>,
}

/// Everything that is named in nftables.
fn about_filters(resources: &[&Resource]) -> Filters {
    let (mut questions, mut dumps) = (Vec::new(), Vec::new());
    for resource in resources {
        if questions.len() > MOST {
            break;
        }
        match resource {
            Resource::NftTable(wanted) => add(&mut questions, table::find(&wanted.table)),
            Resource::NftSet(wanted) => add(&mut questions, set::find(&wanted.set)),
            Resource::NftChain(wanted) => {
                add(&mut questions, chain::find(&wanted.table, &wanted.name));
                dumps.push(chain::list_rules(&wanted.table, &wanted.name));
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
    Filters { questions, dumps }
}

fn add(questions: &mut Vec<Message>, question: Message) {
    if !questions.contains(&question) {
        questions.push(question);
    }
}
