//! Reads a host's whole network into the model: every namespace, whoever made it.
//!
//! It must never change anything: it makes no object, loads no module and waits for nobody. What
//! cannot be read is noted in the model, not an error.

mod bridges;
mod connections;
mod expressions;
mod filter;
#[cfg(test)]
mod fuzz;
mod layer3;
mod legacy;
mod links;
mod lldp;
mod modules;
mod namespaces;
mod neighbour_tables;
mod next_hops;
mod numbers;
mod objects;
mod offloads;
mod owners;
mod parts;
mod qdiscs;
mod settings;
mod uapi;
mod watch;

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use ropewalk_netstate::KernelError;
use ropewalk_topology::model::{Content, ForwardingEntry, Gap, Host, Namespace, Neighbour};
use rustix::io::Errno;

#[cfg(test)]
pub(crate) use self::fuzz::read_all;
pub use self::{lldp::hear_switches, parts::Parts, watch::Watch};
use self::{
    modules::Modules,
    namespaces::{Found, Name, Source},
};
use crate::{
    error::is,
    netlink::{Message, Protocol, Reply, Socket},
    netns::Netns,
};

/// More threads would only wait for each other in the kernel.
const MOST_THREADS: usize = 4;

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Everything but tracked connections, of which a host may have very many.
    WithoutConnections,
    /// Everything.
    Everything,
    /// Links with what passed them, addresses, routes and sysctls alone.
    Counters,
    /// The same, and tracked connections.
    CountersAndConnections,
}

impl Depth {
    fn is_of_counters(self) -> bool {
        matches!(self, Self::Counters | Self::CountersAndConnections)
    }

    fn wants_connections(self) -> bool {
        matches!(self, Self::Everything | Self::CountersAndConnections)
    }
}

/// Which namespaces are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All that can be found.
    All,
    /// The own one, and those with such a path, last part of a path, process number, or beginning
    /// of a container's number.
    Named(Vec<String>),
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// The host.
    pub host: Host,
    /// Names in the selection that no namespace has.
    pub unknown: Vec<String>,
}

/// Reads namespaces. The calling thread stays where it is.
pub fn survey(depth: Depth, selection: &Selection) -> Survey {
    let modules = Modules::read();
    let mut found = namespaces::find();
    let mut unknown = Vec::new();
    if let Selection::Named(names) = selection {
        let named: Vec<Name<'_>> = names.iter().map(|name| Name::of(name)).collect();
        let is_known = |name: &Name<'_>| found.iter().any(|one| one.is_called(name));
        let known = names.iter().zip(&named);
        unknown = known.filter(|(_, name)| !is_known(name)).map(|(text, _)| text.clone()).collect();
        let is_wanted = |one: &Found| named.iter().any(|name| one.is_called(name));
        found.retain(|one| one.namespace.is_own || is_wanted(one));
    }
    let contents = in_threads(found.len(), |at| read_one(&found[at].source, depth, modules));
    let (mut sources, mut host) = (Vec::new(), Host::default());
    for (found, content) in found.into_iter().zip(contents) {
        // It went away in the meantime.
        let Some(content) = content else { continue };
        host.namespaces.push(Namespace { content, ..found.namespace });
        sources.push(found.source);
    }
    numbers::resolve(&sources, &mut host);
    offloads::read(&sources, &mut host);
    Survey { host, unknown }
}

/// What was read in a namespace, or why it could not be.
type Read = Result<Content, String>;

/// Calls a function with the numbers up to a count, in threads of its own: they may enter
/// namespaces, and end there.
fn in_threads<T: Clone + Send>(
    count: usize,
    act: impl Fn(usize) -> Option<T> + Sync,
) -> Vec<Option<T>> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(vec![None; count]);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(count) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count {
                        return;
                    }
                    let result = act(at);
                    let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                    results[at] = result;
                }
            });
        }
    });
    results.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn read_one(source: &Source, depth: Depth, modules: Modules) -> Option<Read> {
    in_namespace(source, |netns| enter_and_read(netns, depth, modules))
}

/// Reads who is where again, and nothing else.
fn read_neighbours(source: &Source, mut content: Content) -> Option<Read> {
    in_namespace(source, |netns| {
        netns.enter().map_err(|error| error.to_string())?;
        let mut socket = Socket::open(Protocol::Route).map_err(|error| error.to_string())?;
        let mut reader = Reader { socket: &mut socket, gaps: &mut content.gaps };
        (content.neighbours, content.forwarding) = reader.neighbours();
        Ok(content)
    })
}

/// `None` if the namespace is gone.
fn in_namespace(source: &Source, read: impl FnOnce(&Netns) -> Read) -> Option<Read> {
    match source.open() {
        Ok(netns) => netns.map(|netns| read(&netns)),
        Err(reason) => Some(Err(reason)),
    }
}

fn enter_and_read(netns: &Netns, depth: Depth, modules: Modules) -> Read {
    netns.enter().map_err(|error| error.to_string())?;
    let mut socket = Socket::open(Protocol::Route).map_err(|error| error.to_string())?;
    let mut content = Content::default();
    let mut reader = Reader { socket: &mut socket, gaps: &mut content.gaps };
    content.links = reader.list("links", &links::list(), links::read);
    content.links.sort_by_key(|link| link.index);
    content.addresses = reader.list("addresses", &layer3::addresses(), layer3::read_address);
    content.routes = reader.list("routes", &layer3::routes(), layer3::read_route);
    if depth.is_of_counters() {
        content.settings = settings::read(&mut socket, &content.links);
        read_netfilter(&mut content, depth, modules);
        return Ok(content);
    }
    content.rules = reader.list("routing rules", &layer3::rules(), layer3::read_rule);
    (content.neighbours, content.forwarding) = reader.neighbours();
    content.next_hops = reader.list_if_known("next hops", &next_hops::list(), next_hops::read);
    content.qdiscs = reader.list("queues", &qdiscs::list(), qdiscs::read);
    for question in qdiscs::list_classes(&content.qdiscs) {
        content.classes.extend(reader.list("classes", &question, qdiscs::read_class));
    }
    for question in qdiscs::list_filters(&content.qdiscs, &content.classes) {
        content.traffic_filters.extend(reader.list("filters", &question, qdiscs::read_filter));
    }
    if content.links.iter().any(bridges::filters_vlans) {
        for (index, vlans) in reader.list("VLANs", &bridges::vlans(), bridges::read_vlans) {
            if let Some(link) = content.links.iter_mut().find(|link| link.index == index) {
                link.vlans = vlans;
            }
        }
    }
    content.settings = settings::read(&mut socket, &content.links);
    read_netfilter(&mut content, depth, modules);
    Ok(content)
}

fn read_netfilter(content: &mut Content, depth: Depth, modules: Modules) {
    let wants_rules = !depth.is_of_counters();
    if wants_rules {
        content.filter.legacy = legacy::read(&mut content.gaps);
    }
    let wants_rules = wants_rules && modules.has_nftables;
    let wants_connections = depth.wants_connections() && modules.has_connections;
    if let Some(reason) = modules.why_no_connections().filter(|_| depth.wants_connections()) {
        content.gaps.push(Gap { what: "connections".into(), reason: reason.into() });
    }
    if !wants_rules && !wants_connections {
        return;
    }
    let mut socket = match Socket::open(Protocol::Netfilter) {
        Ok(socket) => socket,
        Err(error) => {
            content.gaps.push(Gap { what: "nftables".into(), reason: error.to_string() });
            return;
        }
    };
    let mut reader = Reader { socket: &mut socket, gaps: &mut content.gaps };
    if wants_rules {
        content.filter.tables = filter::read(&mut reader);
    }
    if wants_connections {
        let list = connections::list();
        content.connections = Some(reader.list("connections", &list, connections::read));
    }
}

/// Why tracked connections cannot be listed, though there may be some.
pub fn why_no_connections() -> Option<&'static str> {
    Modules::read().why_no_connections()
}

/// Asks for lists, and notes those that were refused.
struct Reader<'a> {
    socket: &'a mut Socket,
    gaps: &'a mut Vec<Gap>,
}

impl Reader<'_> {
    fn list<T>(
        &mut self,
        what: &str,
        question: &Message,
        read: impl FnMut(&Reply<'_>) -> Option<T>,
    ) -> Vec<T> {
        let answer = self.socket.dump(question, read);
        self.noted(what, answer)
    }

    /// The same for what older kernels do not have.
    fn list_if_known<T>(
        &mut self,
        what: &str,
        question: &Message,
        read: impl FnMut(&Reply<'_>) -> Option<T>,
    ) -> Vec<T> {
        match self.socket.dump(question, read) {
            Err(error) if is(&error, Errno::OPNOTSUPP) => Vec::new(),
            answer => self.noted(what, answer),
        }
    }

    fn noted<T>(&mut self, what: &str, answer: Result<Vec<T>, KernelError>) -> Vec<T> {
        answer.unwrap_or_else(|error| {
            self.miss(what, &error);
            Vec::new()
        })
    }

    /// Who is where: on links, and behind the ports of bridges.
    fn neighbours(&mut self) -> (Vec<Neighbour>, Vec<ForwardingEntry>) {
        let mut all = self.list("neighbours", &layer3::neighbours(), layer3::read_neighbour);
        all.extend(self.list("neighbours", &layer3::answered(), layer3::read_neighbour));
        (all, self.list("forwarding", &bridges::entries(), bridges::read_entry))
    }

    fn miss(&mut self, what: &str, error: &KernelError) {
        self.gaps.push(Gap { what: what.into(), reason: error.to_string() });
    }
}
