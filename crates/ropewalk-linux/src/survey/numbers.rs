//! Which namespace is meant by the numbers that links name. The kernel tells a number only for a
//! namespace that one holds in hand, so those that may be meant are asked for one by one.

use std::collections::{BTreeMap, BTreeSet};

use ropewalk_topology::model::{Host, Link};

use super::namespaces::Source;
use crate::{
    netlink::{Attribute, Attributes, Message, Protocol, Socket},
    netns::Netns,
    uapi::{NETNSA_FD, NETNSA_NSID, RTM_GETNSID, RTM_NEWNSID},
};
use std::os::fd::{AsFd, AsRawFd};

/// A link that names another namespace: its own index, the other's, and the number.
#[derive(Clone, Copy, Debug)]
struct Pointer {
    index: u32,
    target: u32,
    number: u32,
    is_veth: bool,
}

/// Where links with an index are: `(index, index that they name)` of veth ends that name another
/// namespace, and the index alone of all links.
#[derive(Debug, Default)]
struct Places {
    ends: BTreeMap<(u32, u32), Vec<usize>>,
    links: BTreeMap<u32, Vec<usize>>,
}

/// Fills in the numbers that links use.
pub(super) fn resolve(sources: &[Source], host: &mut Host) {
    let pointers: Vec<Vec<Pointer>> = host
        .namespaces
        .iter()
        .map(|namespace| {
            let links = namespace.content().map_or(&[][..], |content| &content.links);
            links.iter().filter_map(pointer).collect()
        })
        .collect();
    let places = Places::of(host);
    // A pair that was understood from one end needs not be asked for from the other.
    let mut order: Vec<usize> = (0..pointers.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(pointers[at].len()));
    // The thread enters namespaces, and ends there.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for at in order {
                resolve_one(sources, host, &places, (at, &pointers[at]));
            }
        });
    });
}

fn pointer(link: &Link) -> Option<Pointer> {
    let lower = link.lower?;
    let number = u32::try_from(lower.namespace?).ok()?;
    Some(Pointer { index: link.index, target: lower.index, number, is_veth: link.is("veth") })
}

impl Places {
    fn of(host: &Host) -> Self {
        let mut places = Self::default();
        for (at, namespace) in host.namespaces.iter().enumerate() {
            for link in namespace.content().iter().flat_map(|content| &content.links) {
                places.links.entry(link.index).or_default().push(at);
                if let Some(pointer) = pointer(link).filter(|pointer| pointer.is_veth) {
                    places.ends.entry((pointer.index, pointer.target)).or_default().push(at);
                }
            }
        }
        places
    }

    /// The namespaces in which the other end may be.
    fn candidates(&self, pointer: Pointer) -> &[usize] {
        let found = if pointer.is_veth {
            self.ends.get(&(pointer.target, pointer.index))
        } else {
            self.links.get(&pointer.target)
        };
        found.map(Vec::as_slice).unwrap_or_default()
    }
}

fn resolve_one(
    sources: &[Source],
    host: &mut Host,
    places: &Places,
    (at, pointers): (usize, &[Pointer]),
) {
    let known = |host: &Host, number| host.namespaces[at].numbers.contains_key(&number);
    if pointers.iter().all(|pointer| known(host, pointer.number)) {
        return;
    }
    let Some(mut voice) = sources.get(at).and_then(Asker::enter) else { return };
    let mut asked = BTreeSet::new();
    for &pointer in pointers {
        for &candidate in places.candidates(pointer) {
            if known(host, pointer.number) {
                break;
            }
            if candidate == at || !asked.insert(candidate) {
                continue;
            }
            let Some(number) = sources.get(candidate).and_then(|other| voice.number_of(other))
            else {
                continue;
            };
            host.namespaces[at].numbers.insert(number, candidate);
        }
        let Some(&other) = host.namespaces[at].numbers.get(&pointer.number) else { continue };
        // The other end names this namespace.
        let far = host.namespaces[other].link(pointer.target).and_then(self::pointer);
        if let Some(far) = far.filter(|far| pointer.is_veth && far.target == pointer.index) {
            host.namespaces[other].numbers.insert(far.number, at);
        }
    }
}

/// A socket in one namespace.
struct Asker(Socket);

impl Asker {
    fn enter(source: &Source) -> Option<Self> {
        source.open().ok()??.enter().ok()?;
        Socket::open(Protocol::Route).ok().map(Self)
    }

    fn number_of(&mut self, other: &Source) -> Option<u32> {
        number_of(&mut self.0, other)
    }
}

/// The number of a namespace in that of the socket, if it has one there.
pub(super) fn number_of(socket: &mut Socket, other: &Source) -> Option<u32> {
    let other: Netns = other.open().ok()??;
    let mut question = Message::get(RTM_GETNSID);
    question.raw(&[0; 4]).u32(NETNSA_FD, descriptor(&other)?);
    let answer = socket.get(question, |reply| {
        if reply.kind != RTM_NEWNSID {
            return None;
        }
        Attributes::behind(reply.payload, 4).first(NETNSA_NSID).and_then(Attribute::u32)
    });
    // Minus one says that it has none.
    answer.ok()?.filter(|number| *number <= u32::MAX / 2)
}

/// The descriptor of a namespace as messages have it.
pub(super) fn descriptor(netns: &Netns) -> Option<u32> {
    u32::try_from(netns.as_fd().as_raw_fd()).ok()
}
