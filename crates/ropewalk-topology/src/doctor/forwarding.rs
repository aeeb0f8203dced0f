//! Whether containers' packets are passed on: forwarding, and chains that drop them.

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::net::IpAddr;

use super::{
    Mend,
    checks::Fact,
    ipv6::would_lose,
    view::{MAIN, View, WayOut, listed},
};
use crate::{
    LinkAt,
    explain::{self, Certain, Passage},
    model::{Chain, Content, FilterFamily, Table},
    shell,
};

/// `NF_INET_FORWARD`.
const FORWARD: u32 = 2;

/// The containers behind each link that is a gateway, by address family.
fn behind(view: &View<'_>) -> BTreeMap<(LinkAt, bool), Vec<WayOut>> {
    let mut behind: BTreeMap<_, Vec<WayOut>> = BTreeMap::new();
    for way in &view.ways_out {
        if let Some(through) = way.through {
            behind.entry((through, way.gateway.is_ipv6())).or_default().push(*way);
        }
    }
    behind
}

fn names(view: &View<'_>, ways: &[WayOut]) -> String {
    let mut names: Vec<String> = ways.iter().map(|way| view.name(way.from.namespace)).collect();
    names.dedup();
    listed(&names)
}

pub(super) fn off(view: &View<'_>) -> Vec<Fact> {
    let mut facts: Vec<Fact> = Vec::new();
    for ((through, is_v6), ways) in behind(view) {
        let Some(content) = view.content(through.namespace) else { continue };
        let all = if is_v6 { "ipv6/conf/all/forwarding" } else { "ipv4/ip_forward" };
        let link = view.graph.link(through);
        let of_link = link.and_then(|link| link.ipv4_settings.first()).filter(|_| !is_v6);
        // Forwarding on the whole switches all links on: one that is off was switched off by itself.
        let is_of_all = content.setting(all) == Some("0");
        let name = if is_of_all {
            format!("net/{all}")
        } else if let Some((link, 0)) = link.zip(of_link.copied()) {
            format!("net/ipv4/conf/{}/forwarding", link.name)
        } else {
            continue;
        };
        let sysctl = shell::sysctl(&name);
        let is_own = view.graph.namespace(through).is_some_and(|one| one.is_own);
        let may_mend = is_own && is_of_all && !(is_v6 && would_lose(content));
        let whose = view.name(through.namespace);
        let object = if is_own { sysctl.clone() } else { format!("{sysctl} in {whose}") };
        let words = format!("{} is the gateway of {}", view.called(through), names(view, &ways));
        let is_same = |fact: &&mut Fact| {
            fact.object == object && fact.link.is_some_and(|at| at.namespace == through.namespace)
        };
        if let Some(known) = facts.iter_mut().find(is_same) {
            known.evidence = format!("{}, {words}", known.evidence);
            continue;
        }
        facts.push(Fact {
            link: Some(through),
            command: view.command_in(through.namespace, &["sysctl", "-w", &format!("{sysctl}=1")]),
            evidence: format!("it is 0; {words}"),
            object,
            mend: may_mend.then(|| Mend::Set { name, value: "1".into() }),
            ..Fact::default()
        });
    }
    facts
}

/// Forward chains that see packets of a family.
fn chains(content: &Content, is_v6: bool) -> impl Iterator<Item = (&Table, &Chain)> {
    let family = if is_v6 { FilterFamily::Ip6 } else { FilterFamily::Ip };
    let sees = move |table: &&Table| {
        [family, FilterFamily::Inet].contains(&table.family) && !table.is_dormant()
    };
    let tables = content.filter.tables.iter().chain(&content.filter.legacy);
    let chains = tables.filter(sees);
    let chains = chains.flat_map(|table| table.chains.iter().map(move |chain| (table, chain)));
    chains.filter(|(_, chain)| {
        chain.base.as_ref().is_some_and(|base| base.hook == FORWARD && base.kind == "filter")
    })
}

/// The first address of a container's link.
fn source(view: &View<'_>, way: &WayOut) -> Option<IpAddr> {
    let mut addresses = view.addresses(way.from).filter(|one| one.scope == 0);
    let found = addresses.find(|one| one.ip.is_ipv6() == way.gateway.is_ipv6());
    found.map(|address| address.ip)
}

/// The link that a namespace's default route leads to.
fn uplink(content: &Content, is_v6: bool) -> Option<u32> {
    let mut routes: Vec<_> = content
        .routes
        .iter()
        .filter(|one| one.destination.is_default() && one.destination.is_v6() == is_v6)
        .filter(|one| one.kind == 1 && one.table == MAIN)
        .collect();
    routes.sort_by_key(|route| route.priority);
    routes.first()?.hops.first()?.link
}

fn called(table: &Table, chain: &Chain) -> String {
    format!("{} {} {}", table.family.name(), table.name, chain.name)
}

/// What happens to a packet in words, if it is dropped for sure.
fn dropped_in(table: &Table, chain: &Chain, passage: &Passage<'_>) -> Option<String> {
    let rules = chain.rules.len();
    let none = match rules {
        0 => "there is no rule".to_string(),
        1 => "its only rule does not accept".to_string(),
        _ => format!("none of its {rules} rules accepts"),
    };
    let from = passage.input.map_or("", |link| &link.name);
    match explain::forwarded(table, chain, passage) {
        Certain::Dropped(handle) => Some(format!(
            "rule {handle} of {} drops new packets of {} from {from}",
            called(table, chain),
            passage.source
        )),
        Certain::End if chain.base.as_ref().is_some_and(|base| !base.accepts) => Some(format!(
            "policy of {} is drop, and {none} new packets of {} from {from}",
            called(table, chain),
            passage.source
        )),
        Certain::End | Certain::Accepted | Certain::Unknown => None,
    }
}

/// The command that accepts what a link sends and gets; one that shows all, if `nft` cannot be told
/// the names.
fn accept(view: &View<'_>, namespace: usize, table: &Table, chain: &Chain, link: &str) -> String {
    let names = [table.name.as_str(), chain.name.as_str(), link];
    let [name, within, link] = names;
    let family = table.family.name();
    if !names.into_iter().all(shell::is_nft_name) {
        return view.command_in(namespace, &["nft", "-a", "list", "ruleset"]);
    }
    let insert = ["nft", "insert", "rule", family, name, within, "iifname", link, "accept"];
    view.command_in(namespace, &insert)
}

pub(super) fn dropped(view: &View<'_>) -> Vec<Fact> {
    let mut facts = Vec::new();
    for ((through, is_v6), ways) in behind(view) {
        let Some(content) = view.content(through.namespace) else { continue };
        let Some(source) = ways.iter().find_map(|way| source(view, way)) else { continue };
        let input = content.link(through.index);
        let output = uplink(content, is_v6).and_then(|index| content.link(index));
        let passage = Passage { content, input, output, ports: (None, None), source };
        for (table, chain) in chains(content, is_v6) {
            let Some(evidence) = dropped_in(table, chain, &passage) else { continue };
            let link = passage.input.map_or("", |link| &link.name);
            facts.push(Fact {
                link: Some(through),
                object: format!("{} for {}", called(table, chain), names(view, &ways)),
                evidence,
                command: accept(view, through.namespace, table, chain, link),
                ..Fact::default()
            });
        }
    }
    facts
}

pub(super) fn bridged(view: &View<'_>) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (at, link) in view.links().filter(|(_, link)| link.is("bridge")) {
        let Some(content) = view.content(at.namespace) else { continue };
        let far: Vec<LinkAt> =
            view.graph.ports(at).iter().filter_map(|p| view.graph.peer(*p)).collect();
        for (is_v6, name) in
            [(false, "bridge/bridge-nf-call-iptables"), (true, "bridge/bridge-nf-call-ip6tables")]
        {
            let addresses = far.iter().filter_map(|end| {
                let mut all = view.addresses(*end).filter(|one| one.scope == 0);
                all.find(|one| one.ip.is_ipv6() == is_v6).map(|one| one.ip)
            });
            let addresses: Vec<IpAddr> = addresses.collect();
            // One alone has nobody to talk to.
            let [source, _, ..] = addresses[..] else { continue };
            if content.setting(name) != Some("1") {
                continue;
            }
            let mut ports = view.graph.ports(at).iter().map(|port| content.link(port.index));
            let ports = (ports.next().flatten(), ports.next().flatten());
            let (input, output) = (Some(link), Some(link));
            let passage = Passage { content, input, output, ports, source };
            for (table, chain) in chains(content, is_v6) {
                let Some(evidence) = dropped_in(table, chain, &passage) else { continue };
                facts.push(Fact {
                    link: Some(at),
                    object: view.called(at),
                    evidence: format!(
                        "{} is 1; {evidence} to it",
                        shell::sysctl(&format!("net/{name}"))
                    ),
                    command: accept(view, at.namespace, table, chain, &link.name),
                    ..Fact::default()
                });
            }
        }
    }
    facts
}
