//! Strict reverse path filters on links whose answers leave through others.

use alloc::{format, string::String, vec::Vec};

use super::{
    checks::Fact,
    view::{MAIN, View},
};
use crate::{
    LinkAt,
    model::{Content, Link, Route},
    shell::sysctl,
};

/// The positions of `rp_filter` and `src_valid_mark` among the sysctls of links.
const FILTER: usize = 7;
const MARK_COUNTS: usize = 23;

pub(super) fn traps(view: &View<'_>) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (namespace, _, content) in view.contents() {
        let all = content.setting("ipv4/conf/all/rp_filter").and_then(|text| text.parse().ok());
        // The larger of both counts.
        let is_strict = |link: &Link| {
            let own = link.ipv4_settings.get(FILTER).copied().unwrap_or_default();
            own.max(all.unwrap_or_default()) == 1
        };
        for link in content.links.iter().filter(|link| link.is_up() && is_strict(link)) {
            let Some(reason) = second_way(content, link).or_else(|| marked_way(content, link))
            else {
                continue;
            };
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
fn marked_way(content: &Content, link: &Link) -> Option<String> {
    if link.ipv4_settings.get(MARK_COUNTS) == Some(&1) {
        return None;
    }
    let unmarked = defaults(content).any(|route| route.table == MAIN && leads_to(route, link));
    let marked = content.rules.iter().filter(|rule| !rule.is_v6 && rule.action == 1);
    let rule = marked.filter(|rule| rule.mark.is_some() && !unmarked).find(|rule| {
        defaults(content).any(|route| route.table == rule.table && leads_to(route, link))
    })?;
    let mark = rule.mark.unwrap_or_default().0;
    Some(format!("packets with mark {mark:#x} alone are routed through it (table {})", rule.table))
}
