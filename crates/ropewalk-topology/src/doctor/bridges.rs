//! Bridges of ours that nothing can pass.

use alloc::{format, vec::Vec};

use super::{checks::Fact, view::View};
use crate::model::Link;

pub(super) fn half_made(view: &View<'_>) -> Vec<Fact> {
    let mut facts = Vec::new();
    let is_ours = |link: &Link| link.alias.as_deref() == Some(view.papers.bridge_alias);
    for (at, link) in view.links().filter(|(_, link)| link.is("bridge") && is_ours(link)) {
        // One without ports and addresses is well: it waits for the next container.
        if link.is_up() {
            continue;
        }
        let ports = view.graph.ports(at).len();
        facts.push(Fact {
            link: Some(at),
            object: view.called(at),
            evidence: format!("it is down, with {ports} ports"),
            command: view.command_in(at.namespace, &["ip", "link", "set", &link.name, "up"]),
            ..Fact::default()
        });
    }
    facts
}
