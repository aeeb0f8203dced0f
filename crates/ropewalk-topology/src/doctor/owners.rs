//! Which attachments somebody keeps. What belongs to others is left behind.

use alloc::{collections::BTreeSet, string::String};

use super::{Mark, Papers};
use crate::{Graph, LinkAt, model::Link};

/// The mark of a link that belongs to one attachment.
pub(super) fn of_link<'a>(link: &Link, papers: &'a Papers) -> Option<&'a Mark> {
    link.alias.as_ref().and_then(|alias| papers.marks.get(alias))
}

/// The hashes of attachments that are on record in a namespace that is there, or whose link leads
/// to a namespace with processes.
pub(super) fn alive(graph: &Graph<'_>, papers: &Papers) -> BTreeSet<String> {
    let records = papers.records.iter().chain(&papers.elsewhere);
    let recorded = records.filter(|one| one.path.is_empty() || one.namespace.is_some());
    let mut alive: BTreeSet<String> = recorded.map(|record| record.hash.clone()).collect();
    for (at, link) in graph.links() {
        let Some(mark) = of_link(link, papers) else { continue };
        if is_kept(graph, at, papers) || is_damaged(mark, papers) {
            alive.insert(mark.attachment.clone());
        }
    }
    alive
}

/// Whether the other end of a pair is where somebody is, or may be.
fn is_kept(graph: &Graph<'_>, at: LinkAt, papers: &Papers) -> bool {
    match graph.peer(at) {
        Some(peer) => {
            let other = graph.namespace(peer);
            other.is_some_and(|other| !other.is_own && other.process_count > 0)
        }
        None => papers.is_partial,
    }
}

/// Whether there is a record of a mark's owner that cannot be read.
pub(super) fn is_damaged(mark: &Mark, papers: &Papers) -> bool {
    let name = mark.owner.replace('/', "-");
    papers.damaged.iter().any(|damaged| damaged.starts_with(&name))
}
