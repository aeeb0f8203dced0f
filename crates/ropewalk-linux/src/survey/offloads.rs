//! Whether links that feed programs of XDP leave checksums to others. Only those are asked: nobody
//! else minds, and each costs a question.

use ropewalk_topology::{
    Graph, LinkAt,
    model::{Host, Link},
};

use super::namespaces::Source;
use crate::{
    netlink::{Protocol, Socket},
    translate::offload,
};

/// The offload as ethtool calls it.
const CHECKSUMS: &str = "tx-checksum-ip-generic";

/// Notes it at the other ends of pairs with programs.
pub(super) fn read(sources: &[Source], host: &mut Host) {
    let graph = Graph::of(host);
    let has_program = |(_, link): &(LinkAt, &Link)| link.xdp.is_some();
    let feeding: Vec<LinkAt> =
        graph.links().filter(has_program).filter_map(|(at, _)| graph.peer(at)).collect();
    if feeding.is_empty() {
        return;
    }
    // The thread enters namespaces, and ends there.
    let ask = || {
        let answer =
            |at: &LinkAt| Some((*at, leaves_checksums(sources.get(at.namespace)?, at.index)?));
        feeding.iter().filter_map(answer).collect::<Vec<(LinkAt, bool)>>()
    };
    let answers = std::thread::scope(|scope| scope.spawn(ask).join().unwrap_or_default());
    for (at, answer) in answers {
        let content = host.namespaces[at.namespace].content.as_mut().ok();
        let mut links = content.into_iter().flat_map(|content| &mut content.links);
        if let Some(link) = links.find(|link| link.index == at.index) {
            link.leaves_checksums = Some(answer);
        }
    }
}

/// `None` if the kernel does not say.
fn leaves_checksums(source: &Source, index: u32) -> Option<bool> {
    source.open().ok()??.enter().ok()?;
    let mut socket = Socket::open(Protocol::Generic).ok()?;
    let family = socket.get(offload::find_family(), offload::read_family).ok()??;
    let states = socket.get(offload::list(family, index), offload::read).ok()??;
    states.get(CHECKSUMS).map(|state| state.on)
}
