//! Bridges of ours that nothing can pass.

use alloc::{format, vec::Vec};

use super::{checks::Fact, view::View};
use crate::model::Link;

pub(super) fn half_made(view: &View<'_>) -> Vec<Fact> {
    let mut facts = Vec::new();
    let is_ours = |link: &Link| link.alias.as_deref() == Some(view.papers.bridge_alias);
    for (at, link) in view.links().filter(|(_, link)| link.is("bridge") && is_ours(link)) {
        let ports = view.graph.ports(at).len();
        let has_address = view.addresses(at).any(|address| address.scope == 0);
        let (evidence, command) = if !link.is_up() {
            (format!("it is down, with {ports} ports"), format!("ip link set {} up", link.name))
        } else if ports == 0 && !has_address {
            ("it has no ports and no address".into(), format!("ip link delete {}", link.name))
        } else {
            continue;
        };
        facts.push(Fact {
            link: Some(at),
            object: view.called(at),
            evidence,
            command: view.command_in(at.namespace, &command),
            ..Fact::default()
        });
    }
    facts
}
