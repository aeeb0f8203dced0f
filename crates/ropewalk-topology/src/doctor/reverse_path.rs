//! Strict reverse path filters on links whose answers leave through others.

use alloc::{format, string::String, vec::Vec};
use core::net::IpAddr;

use super::{
    checks::Fact,
    view::{MAIN, View, holds},
};
use crate::{
    LinkAt,
    explain::{self, of_link_or_all, setting},
    model::{Content, Destination, Link, Route},
    shell::sysctl,
};

/// Addresses that nobody has, to ask how somebody in the world is reached.
const ANYBODY: [[u8; 4]; 4] =
    [[192, 0, 2, 1], [198, 51, 100, 1], [203, 0, 113, 1], [198, 18, 0, 1]];

pub(super) fn traps(view: &View<'_>) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (namespace, _, content) in view.contents() {
        let Some(anybody) = anybody(content) else { continue };
        let is_strict =
            |link: &Link| of_link_or_all(content, link, setting::RP_FILTER, "rp_filter") == 1;
        for link in content.links.iter().filter(|link| link.is_up() && is_strict(link)) {
            if returns(content, link, anybody, 0) {
                continue;
            }
            let reason = second_way(content, link).or_else(|| marked_way(content, link, anybody));
            let Some(reason) = reason else { continue };
            let at = LinkAt { namespace, index: link.index };
            let setting = sysctl(&format!("net/ipv4/conf/{}/rp_filter", link.name));
            let command = ["sysctl", "-w", &format!("{setting}=2")];
            facts.push(Fact {
                link: Some(at),
                object: view.called(at),
                evidence: format!("rp_filter is 1, and {reason}"),
                command: view.command_in(namespace, &command),
                ..Fact::default()
            });
        }
    }
    facts
}

/// Somebody whom only default routes lead to.
fn anybody(content: &Content) -> Option<IpAddr> {
    let has_way = |ip: IpAddr| {
        let one = Destination { ip, length: 32 };
        let mut others = content.routes.iter().filter(|route| !route.destination.is_default());
        others.any(|route| holds(route.destination, one))
    };
    ANYBODY.into_iter().map(IpAddr::from).find(|ip| !has_way(*ip))
}

/// Whether answers to somebody from one of a link's addresses leave through it, or may do so.
fn returns(content: &Content, link: &Link, anybody: IpAddr, mark: u32) -> bool {
    let addresses = content.addresses_of(link.index).filter(|one| one.ip.is_ipv4());
    let own: Vec<IpAddr> = addresses.filter(|one| one.scope == 0).map(|one| one.ip).collect();
    let none = [IpAddr::from([0; 4])];
    let mut all = if own.is_empty() { none.iter() } else { own.iter() };
    all.any(|ip| explain::returns(content, link, (anybody, *ip), mark) != Some(false))
}

fn defaults(content: &Content) -> impl Iterator<Item = &Route> {
    let is_default = |route: &&Route| {
        route.kind == 1 && route.destination.is_default() && !route.destination.is_v6()
    };
    content.routes.iter().filter(is_default)
}

fn leads_to(route: &Route, link: &Link) -> bool {
    route.hops.iter().any(|hop| hop.link == Some(link.index))
}

/// Whether a link has a default route that is not the best one.
fn second_way(content: &Content, link: &Link) -> Option<String> {
    let main = || defaults(content).filter(|route| route.table == MAIN);
    let best = main().min_by_key(|route| route.priority)?;
    let second = main().find(|route| leads_to(route, link))?;
    let is_best = second.priority == best.priority || leads_to(best, link);
    (!is_best).then(|| {
        let name = best.hops.first().and_then(|hop| content.link(hop.link?));
        let name = name.map_or("another link", |link| link.name.as_str());
        format!(
            "its default route has metric {}, that of {name} {}",
            second.priority, best.priority
        )
    })
}

/// Whether only marked packets take the way through a link: the filter asks without the mark.
fn marked_way(content: &Content, link: &Link, anybody: IpAddr) -> Option<String> {
    if of_link_or_all(content, link, setting::SRC_VALID_MARK, "src_valid_mark") != 0 {
        return None;
    }
    // Inverted, a rule is for packets without the mark.
    let mut marked =
        content.rules.iter().filter(|rule| !rule.is_v6 && rule.action == 1 && !rule.is_inverted);
    let (rule, mark) = marked.find_map(|rule| {
        let (mark, _) = rule.mark?;
        let leads_there =
            defaults(content).any(|route| route.table == rule.table && leads_to(route, link));
        (leads_there && returns(content, link, anybody, mark)).then_some((rule, mark))
    })?;
    Some(format!("packets with mark {mark:#x} alone are routed through it (table {})", rule.table))
}
