//! Network namespaces: whose they are and what was read in them.

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

use super::{
    Address, Connection, Filter, ForwardingEntry, Link, Neighbour, NextHop, Qdisc, Route,
    RoutingRule, TrafficFilter,
};

/// What tells namespaces apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// The device of the kernel's namespace files.
    pub device: u64,
    /// The inode, as in `net:[4026531840]`.
    pub inode: u64,
}

/// A network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    /// Which one it is.
    pub identity: Identity,
    /// Whether the host was looked at from here.
    pub is_own: bool,
    /// Paths at which it is mounted or linked, the best for a name first.
    pub paths: Vec<String>,
    /// The oldest process in it, the one with the lowest number.
    pub owner: Option<Process>,
    /// How many processes are in it.
    pub process_count: usize,
    /// The container whose it is, as far as its processes tell.
    pub container: Option<Container>,
    /// The systemd unit of the owner, if that is a service.
    pub unit: Option<String>,
    /// Attachments on record for one of the paths.
    pub attachments: Vec<Attachment>,
    /// The numbers under which this namespace knows others, and their positions in the host.
    pub numbers: BTreeMap<u32, usize>,
    /// What is in it, or why that could not be read.
    pub content: Result<Content, String>,
}

/// A process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its command's name, at most 15 bytes.
    pub command: String,
}

/// Who runs a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Runtime {
    /// Docker.
    Docker,
    /// podman and what else uses its library.
    Podman,
    /// containerd.
    Containerd,
    /// CRI-O.
    CriO,
    /// Nobody can tell from what is known.
    Unknown,
}

impl Runtime {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Unknown => "container",
        }
    }
}

/// A container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Who runs it.
    pub runtime: Runtime,
    /// Its number there.
    pub id: String,
    /// Its name, where somebody tells it.
    pub name: Option<String>,
}

/// An attachment that is on record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attachment {
    /// The network's name.
    pub network: String,
    /// The container's number.
    pub container: String,
    /// The interface in the namespace.
    pub interface: String,
    /// The pod's name, where there are pods.
    pub pod: Option<String>,
    /// The pod's namespace in Kubernetes.
    pub pod_namespace: Option<String>,
}

/// What is in a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Links, by index.
    pub links: Vec<Link>,
    /// Addresses of both families.
    pub addresses: Vec<Address>,
    /// Routes of both families, in all tables.
    pub routes: Vec<Route>,
    /// Which routing table is asked when.
    pub rules: Vec<RoutingRule>,
    /// Who is at which hardware address.
    pub neighbours: Vec<Neighbour>,
    /// Where bridges and VXLAN send frames.
    pub forwarding: Vec<ForwardingEntry>,
    /// Ways that routes refer to.
    pub next_hops: Vec<NextHop>,
    /// Queues.
    pub qdiscs: Vec<Qdisc>,
    /// Classes of queues, in the same shape.
    pub classes: Vec<Qdisc>,
    /// Filters of queues.
    pub traffic_filters: Vec<TrafficFilter>,
    /// nftables, and with it the iptables of today.
    pub filter: Filter,
    /// Sysctls.
    pub settings: Vec<Setting>,
    /// Tracked connections; `None` if nobody asked for them.
    pub connections: Option<Vec<Connection>>,
    /// What could not be read.
    pub gaps: Vec<Gap>,
}

/// A sysctl.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name below `net`, as `ipv4/ip_forward`.
    pub name: String,
    /// Its value as text.
    pub value: String,
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// What: `routes`, `nftables`.
    pub what: String,
    /// Why.
    pub reason: String,
}

impl Content {
    /// The link with this index.
    pub fn link(&self, index: u32) -> Option<&Link> {
        let at = self.links.binary_search_by_key(&index, |link| link.index);
        at.ok().and_then(|at| self.links.get(at))
    }

    /// The addresses of a link.
    pub fn addresses_of(&self, index: u32) -> impl Iterator<Item = &Address> {
        self.addresses.iter().filter(move |address| address.link == index)
    }

    /// The value of a sysctl.
    pub fn setting(&self, name: &str) -> Option<&str> {
        let found = self.settings.iter().find(|setting| setting.name == name);
        found.map(|setting| setting.value.as_str())
    }
}

impl Namespace {
    /// The best name for people: the container's, the path's last part, the owner's.
    pub fn name(&self) -> String {
        if self.is_own {
            return "host".into();
        }
        if let Some(Container { name: Some(name), .. }) = &self.container {
            return name.clone();
        }
        let file = |path: &String| path.rsplit('/').next().unwrap_or(path).to_string();
        let plain = |name: &String| !name.is_empty();
        // Names that runtimes make up say less than the container's number.
        let path = self.paths.first().map(file).filter(plain);
        let is_made_up = |name: &String| {
            ["cni-", "netns-"].iter().any(|start| name.starts_with(start)) && name.len() > 30
        };
        if let Some(name) = path.as_ref().filter(|name| !is_made_up(name)) {
            return name.clone();
        }
        if let Some(container) = &self.container {
            return container.id.chars().take(12).collect();
        }
        if let Some(attachment) = self.attachments.first() {
            return attachment.container.clone();
        }
        if let Some(name) = path {
            return name;
        }
        match &self.owner {
            Some(owner) if owner.pid == 1 => "init".into(),
            Some(owner) => owner.to_string(),
            None => format!("net:[{}]", self.identity.inode),
        }
    }

    /// What was read in it, if it could be.
    pub fn content(&self) -> Option<&Content> {
        self.content.as_ref().ok()
    }

    /// The link with this index.
    pub fn link(&self, index: u32) -> Option<&Link> {
        self.content()?.link(index)
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.command, self.pid)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "net:[{}]", self.inode)
    }
}
