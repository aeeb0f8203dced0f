//! Checksums that nobody computes.

use alloc::{format, vec::Vec};

use super::{checks::Fact, view::View};

/// Ends of pairs leave checksums to hardware; the kernel knows which are missing, a program does not.
pub(super) fn unfinished(view: &View<'_>) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (at, link) in view.links() {
        let Some((peer, program)) =
            view.graph.peer(at).and_then(|peer| Some((peer, view.graph.link(peer)?.xdp?)))
        else {
            continue;
        };
        if link.leaves_checksums != Some(true) {
            continue;
        }
        let command = ["ethtool", "-K", &link.name, "tx", "off"];
        facts.push(Fact {
            link: Some(at),
            object: view.called(at),
            evidence: format!(
                "tx-checksum-ip-generic is on, and {} has XDP program {program}",
                view.called(peer)
            ),
            command: view.command_in(at.namespace, &command),
            ..Fact::default()
        });
    }
    facts
}
