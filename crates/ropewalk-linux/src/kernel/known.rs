//! What is known of links before an observation asks: what was looked for in advance, what the
//! kernel told while links were made, and what follows from that.

use std::{collections::BTreeMap, mem};

use ropewalk_addr::IfName;
use ropewalk_netstate::{Place, Probe, Resource};

use super::Linux;
use crate::translate::{link::Link, wait::is_link_up};

/// What is known of links by name; `None` if there is none.
pub(super) type Links = BTreeMap<(Place, IfName), Option<Link>>;

/// What the kernel told of the links that it just made. Of the sandbox's links their names and MAC
/// addresses count; the rest may be older. The host's count if they were up when last seen: the
/// others are asked for, since with the answer a carrier that has just come is heeded, and packets
/// pass.
pub(super) fn made(linux: &mut Linux) -> Links {
    let mut known = Links::new();
    for place in [Place::Host, Place::Sandbox] {
        for link in mem::take(&mut linux.sockets(place).told).into_values() {
            if (place == Place::Sandbox || is_link_up(&link))
                && let Ok(name) = link.name.parse()
            {
                known.insert((place, name), Some(link));
            }
        }
    }
    known
}

/// The far end of a pair that is not there is not there either. What else has its name comes to
/// light when the pair is made.
pub(super) fn presume_absent(probes: &[Probe<'_>], known: &mut Links) {
    for probe in probes {
        if let Resource::Veth(veth) = probe.resource
            && let Some(None) = known.get(&(probe.place, veth.name.clone()))
            && let Some(peer) = &veth.peer
        {
            known.insert((peer.place, peer.name.clone()), None);
        }
    }
}

/// The indices of the links that are known at a place.
pub(super) fn indices(known: &Links, place: Place) -> BTreeMap<String, u32> {
    let here = known.iter().filter(|((at, _), _)| *at == place);
    let links = here.filter_map(|(_, link)| link.as_ref());
    links.map(|link| (link.name.clone(), link.index)).collect()
}
