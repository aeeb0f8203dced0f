//! Which attachments somebody keeps. What belongs to others is left behind.

use alloc::{collections::BTreeSet, string::String};

use ropewalk_netstate::{Owner, Tag};

use super::Papers;
use crate::{Graph, LinkAt, model::Link};

/// The mark of a link that belongs to one attachment.
pub(super) fn of_link(link: &Link) -> Option<Tag> {
    link.alias.as_deref().and_then(of_comment)
}

/// The mark of an element or rule that belongs to one attachment.
pub(super) fn of_comment(text: &str) -> Option<Tag> {
    Tag::parse(text).filter(|tag| tag.attachment().bytes().any(|byte| byte != b'0'))
}

/// The hashes of attachments that are on record in a namespace that is there, or whose link leads
/// to a namespace with processes.
pub(super) fn alive(graph: &Graph<'_>, papers: &Papers) -> BTreeSet<String> {
    let is_there = |path: &str, namespace: Option<u64>| path.is_empty() || namespace.is_some();
    let recorded = papers.records.iter().filter(|one| is_there(&one.path, one.namespace));
    let hash = |record: &super::Record| {
        let (network, container) = (record.network.clone(), record.container.clone());
        Owner { network, container, interface: record.interface.clone() }.hash()
    };
    let mut alive: BTreeSet<String> = recorded.map(hash).collect();
    for (at, link) in graph.links() {
        let Some(tag) = of_link(link) else { continue };
        if is_kept(graph, at, papers) || is_damaged(&tag, papers) {
            alive.insert(tag.attachment().into());
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
pub(super) fn is_damaged(tag: &Tag, papers: &Papers) -> bool {
    let name = tag.label().replace('/', "-");
    papers.damaged.iter().any(|damaged| damaged.starts_with(&name))
}
