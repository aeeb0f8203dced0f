//! Keeps a survey up to date: the kernel tells what changes, and only that is read again.
//!
//! It must never keep a namespace alive, and never look again where nothing happened. The kernel
//! tells of a namespace only if it has a number in ours; those that have none get one.

mod counters;
mod places;
mod touched;

use std::{
    collections::{BTreeMap, BTreeSet},
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

use ropewalk_netstate::KernelError;
use ropewalk_topology::{
    Change, Graph,
    model::{Content, Host, Namespace},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use self::{places::Places, touched::Touched};
use super::{
    Depth,
    modules::Modules,
    namespaces::{self, Found, Source},
    numbers,
};
use crate::{
    error::error_about,
    netlink::{BroadcastSocket, Message, Protocol, Socket},
    uapi::{
        NETNSA_FD, NETNSA_NSID, NFNLGRP_NFTABLES, RTM_NEWNSID, RTNLGRP_IPV4_IFADDR,
        RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_ROUTE,
        RTNLGRP_IPV6_RULE, RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_NEXTHOP, RTNLGRP_NSID, RTNLGRP_TC,
    },
};

/// Everything of rtnetlink that a survey reads.
const GROUPS: [u32; 11] = [
    RTNLGRP_LINK,
    RTNLGRP_NEIGH,
    RTNLGRP_TC,
    RTNLGRP_IPV4_IFADDR,
    RTNLGRP_IPV4_ROUTE,
    RTNLGRP_IPV4_RULE,
    RTNLGRP_IPV6_IFADDR,
    RTNLGRP_IPV6_ROUTE,
    RTNLGRP_IPV6_RULE,
    RTNLGRP_NEXTHOP,
    RTNLGRP_NSID,
];

/// A burst is over when nothing came for so long.
const QUIET: Duration = Duration::from_millis(20);

/// So long after its beginning a burst is looked at, whether it is over or not.
const LONGEST_BURST: Duration = Duration::from_millis(200);

/// A survey that stays true.
#[derive(Debug)]
pub struct Watch {
    routes: BroadcastSocket,
    /// `None` on a kernel without netfilter.
    filters: Option<BroadcastSocket>,
    places: Places,
    /// Stays in the own namespace.
    asker: Socket,
    modules: Modules,
    /// Namespaces by their numbers in the own one, as inodes.
    numbers: BTreeMap<u32, u64>,
    sources: Vec<Source>,
    host: Host,
}

impl Watch {
    /// Listens, then reads everything.
    pub fn start() -> Result<Self, KernelError> {
        let modules = Modules::read();
        let filters =
            modules.has_nftables.then(|| BroadcastSocket::of_netfilter(&[NFNLGRP_NFTABLES]));
        let mut watch = Self {
            routes: BroadcastSocket::of_routes(&GROUPS)?,
            filters: filters.transpose()?,
            places: Places::watch(),
            asker: Socket::open(Protocol::Route)?,
            modules,
            numbers: BTreeMap::new(),
            sources: Vec::new(),
            host: Host::default(),
        };
        watch.update(&Touched { places: true, ..Touched::default() });
        Ok(watch)
    }

    /// The host as it is now.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The same, for those who know more names; positions must stay.
    pub fn host_mut(&mut self) -> &mut Host {
        &mut self.host
    }

    /// Waits for changes and reads what they touch. A burst is one update. It returns without any
    /// when there is something to read from other sources, or the time is over.
    pub fn wait(
        &mut self,
        others: &[BorrowedFd<'_>],
        time: Option<Duration>,
    ) -> Result<Option<Vec<Change>>, KernelError> {
        if !self.listen(others, time)? {
            return Ok(None);
        }
        let begun = Instant::now();
        let mut touched = Touched::default();
        loop {
            self.gather(&mut touched)?;
            let is_long = begun.elapsed() >= LONGEST_BURST;
            if is_long || !self.listen(&[], Some(QUIET))? {
                break;
            }
        }
        if touched.is_nothing() {
            return Ok(None);
        }
        Ok(Some(self.update(&touched)))
    }

    /// Looks for namespaces that no event tells of: those of which a process alone knows, without a
    /// link to anywhere; and whose the others are.
    pub fn look_around(&mut self) -> Vec<Change> {
        self.update(&Touched { places: true, ..Touched::default() })
    }

    /// Whether there is news; not so when others have something, or the time is over.
    fn listen(
        &self,
        others: &[BorrowedFd<'_>],
        time: Option<Duration>,
    ) -> Result<bool, KernelError> {
        let deadline = time.map(|time| Instant::now() + time);
        loop {
            let mut all: Vec<PollFd<'_>> = Vec::new();
            all.push(PollFd::from_borrowed_fd(self.routes.as_fd(), PollFlags::IN));
            all.extend(self.filters.iter().map(|socket| PollFd::new(socket, PollFlags::IN)));
            all.extend(self.places.sources());
            let own = all.len();
            all.extend(others.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)));
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let left = left.and_then(|left| Timespec::try_from(left).ok());
            match poll(&mut all, left.as_ref()) {
                // Mounts forget that they have told it.
                Ok(_) if all[..own].iter().any(|one| !one.revents().is_empty()) => {
                    let mounts =
                        all[..own].iter().any(|one| one.revents().contains(PollFlags::PRI));
                    if mounts {
                        self.places.note();
                    }
                    return Ok(true);
                }
                Ok(_) => return Ok(false),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(error_about(errno, "wait for kernel events")),
            }
        }
    }

    fn gather(&mut self, touched: &mut Touched) -> Result<(), KernelError> {
        let own = self.host.namespaces.first().map_or(0, |one| one.identity.inode);
        let numbers = &self.numbers;
        let place = |number: Option<u32>| match number {
            None => Some(own),
            Some(number) => numbers.get(&number).copied(),
        };
        let is_complete =
            self.routes.read(|number, reply| touched.route_message(place(number), reply))?;
        touched.everything |= !is_complete;
        if let Some(filters) = &mut self.filters {
            let is_complete = filters.read(|number, _| touched.filter_message(place(number)))?;
            touched.everything |= !is_complete;
        }
        touched.places |= self.places.have_changed();
        Ok(())
    }

    fn update(&mut self, touched: &Touched) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut whole = touched.whole.clone();
        let mut is_rearranged = false;
        if touched.places || touched.everything {
            let came = self.rearrange(&mut changes);
            is_rearranged = came.is_some();
            whole.extend(came.into_iter().flatten());
        }
        if touched.everything {
            whole.extend(self.host.namespaces.iter().map(|one| one.identity.inode));
        }
        let light = touched.neighbours.difference(&whole).copied().collect();
        is_rearranged |= self.read_again(&whole, &mut changes, |source, modules| {
            super::read_one(source, Depth::WithoutConnections, modules)
        });
        self.read_neighbours(&light, &mut changes);
        if is_rearranged {
            for namespace in &mut self.host.namespaces {
                namespace.numbers.clear();
            }
            numbers::resolve(&self.sources, &mut self.host);
        }
        changes
    }

    /// Looks which namespaces there are. The new ones are told, if any came or went.
    fn rearrange(&mut self, changes: &mut Vec<Change>) -> Option<Vec<u64>> {
        let found = namespaces::find();
        let mut before: BTreeMap<u64, Namespace> =
            self.host.namespaces.drain(..).map(|one| (one.identity.inode, one)).collect();
        self.sources.clear();
        let mut came = Vec::new();
        for Found { mut namespace, source, .. } in found {
            if let Some(past) = before.remove(&namespace.identity.inode) {
                namespace.content = past.content;
                namespace.numbers = past.numbers;
            } else {
                came.push(namespace.identity.inode);
                self.give_number(&namespace, &source);
                changes.extend(ropewalk_topology::changes(None, Some(&namespace)));
            }
            self.host.namespaces.push(namespace);
            self.sources.push(source);
        }
        for gone in before.values() {
            self.numbers.retain(|_, inode| *inode != gone.identity.inode);
            changes.extend(ropewalk_topology::changes(Some(gone), None));
        }
        (!came.is_empty() || !before.is_empty()).then_some(came)
    }

    /// Has the kernel give a namespace a number in ours if it has none, and keeps it.
    fn give_number(&mut self, namespace: &Namespace, source: &Source) {
        let number = numbers::number_of(&mut self.asker, source).or_else(|| {
            let netns = source.open().ok()??;
            let mut wish = Message::acknowledged(RTM_NEWNSID, 0);
            wish.raw(&[0; 4]).u32(NETNSA_FD, numbers::descriptor(&netns)?);
            wish.u32(NETNSA_NSID, u32::MAX);
            self.asker.request(wish).ok()?;
            numbers::number_of(&mut self.asker, source)
        });
        if let Some(number) = number {
            self.numbers.insert(number, namespace.identity.inode);
        }
    }

    /// Reads namespaces again; whether other links hang on each other now.
    fn read_again(
        &mut self,
        inodes: &BTreeSet<u64>,
        changes: &mut Vec<Change>,
        read: impl Fn(&Source, Modules) -> Option<super::Read> + Sync,
    ) -> bool {
        let at: Vec<usize> = inodes.iter().filter_map(|inode| self.host.position(*inode)).collect();
        let modules = self.modules;
        let sources = &self.sources;
        let contents = super::in_threads(at.len(), |index| read(&sources[at[index]], modules));
        let mut is_rearranged = false;
        for (at, content) in at.into_iter().zip(contents) {
            // It went away in the meantime, which will be told.
            let Some(content) = content else { continue };
            let namespace = &mut self.host.namespaces[at];
            is_rearranged |= lowers(namespace.content.as_ref()) != lowers(content.as_ref());
            let after = Namespace { content, ..namespace.clone() };
            // A namespace that has just come was told as a whole.
            if namespace.content.is_ok() {
                changes.extend(ropewalk_topology::changes(Some(namespace), Some(&after)));
            }
            *namespace = after;
        }
        is_rearranged
    }

    fn read_neighbours(&mut self, inodes: &BTreeSet<u64>, changes: &mut Vec<Change>) {
        let known: BTreeMap<u64, Content> = inodes
            .iter()
            .filter_map(|inode| {
                let at = self.host.position(*inode)?;
                Some((*inode, self.host.namespaces.get(at)?.content()?.clone()))
            })
            .collect();
        self.read_again(inodes, changes, |source, _| {
            let content = known.get(&source.inode())?.clone();
            super::read_neighbours(source, content)
        });
    }

    /// Reads what has passed each link. The ends of a pair count the same, so one is enough.
    pub fn count(&mut self) {
        let graph = Graph::of(&self.host);
        let wanted = counters::wanted(&graph);
        let (sources, asker) = (&self.sources, &mut self.asker);
        let counted = counters::read(&wanted, sources, asker);
        let pairs = counters::pairs(&graph);
        counters::put(&mut self.host, &counted, &pairs);
    }
}

/// Which links name which others.
fn lowers(content: Result<&Content, &String>) -> Vec<(u32, ropewalk_topology::model::Lower)> {
    let links = content.map(|content| content.links.as_slice()).unwrap_or_default();
    links.iter().filter_map(|link| Some((link.index, link.lower?))).collect()
}
