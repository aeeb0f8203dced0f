//! [`Linux`]: the kernel this program runs on, as `ropewalk-netstate` wants one.

mod apply;
mod conflicts;
mod devices;
mod domains;
mod farewell;
#[cfg_attr(not(feature = "ebpf"), path = "no_fast_path.rs")]
mod fast_path;
mod firewalld;
mod flows;
mod idle_bridge;
mod iptables;
mod known;
mod links;
mod lists;
mod moved_device;
mod observe;
mod offloads;
mod packet_filter;
mod place;
mod queries;
mod questions;
mod release;
mod routing;
mod simple;
mod sysctl;
mod tap;
mod virtual_links;
mod wait;

use std::time::Instant;

use ropewalk_addr::IfName;
use ropewalk_netstate::{Kernel, KernelError, Observed, Owned, Partial, Place, Probe, Scope, Step};

pub use self::{
    devices::{DeviceSelector, FoundDevice, is_in_user_space, is_on_auxiliary_bus, is_on_pci_bus},
    domains::DomainLink,
    queries::{LinkState, PacketLimit},
    release::host_name,
    routing::{LinkAddress, LinkRoute, Routing},
};
use self::{
    known::Links,
    packet_filter::SeenElements,
    place::{Sandbox, Sockets},
};
use crate::{dbus::Bus, netns::Netns};

/// The kernel, with the namespace of the calling thread as the host and at most one sandbox.
///
/// Sockets are opened when they are first needed and stay open. The sandbox is not touched
/// unless something asks for it. A value must be used by the thread, or at least in the network
/// namespace, that made it.
#[derive(Debug)]
pub struct Linux {
    sandbox: Sandbox,
    home: Option<Netns>,
    on_host: Sockets,
    in_sandbox: Sockets,
    bus: Option<Bus>,
    leaves_early: bool,
    /// Links that the next observation need not ask for.
    links_in_advance: Links,
    /// Whether the sandbox is the host's namespace, once somebody has looked.
    sandbox_is_host: Option<bool>,
    /// Whether the kernel has nftables, once it has said so.
    has_nftables: Option<bool>,
    /// The first question that got no answer at all.
    unanswered: Option<KernelError>,
    /// What the last observation saw in sets of nftables.
    seen_elements: Vec<SeenElements>,
    /// When elements were last told to expire.
    expired_at: Option<Instant>,
}

/// What was known of links at some moment.
#[derive(Debug)]
pub struct LinksInAdvance(Links);

impl Linux {
    /// Without a sandbox; asking for something in it is an error.
    pub fn host_only() -> Self {
        Self::with(Sandbox::NotGiven)
    }

    /// With a sandbox.
    pub fn with_sandbox(sandbox: Netns) -> Self {
        Self::with(Sandbox::There(sandbox))
    }

    /// With a sandbox that is gone: nothing is found in it, and deleting there succeeds.
    pub fn with_missing_sandbox() -> Self {
        Self::with(Sandbox::Missing)
    }

    /// Deletes links through a child process and goes on as soon as they are gone, without the
    /// 10 to 20 ms that the kernel takes to tidy up. For one-shot programs: the child is not
    /// waited for, so that it stays a zombie for as long as this process runs.
    #[must_use]
    pub fn leaving_early(self) -> Self {
        Self { leaves_early: true, ..self }
    }

    fn with(sandbox: Sandbox) -> Self {
        let (on_host, in_sandbox) = (Sockets::default(), Sockets::default());
        Self {
            sandbox,
            home: None,
            on_host,
            in_sandbox,
            bus: None,
            leaves_early: false,
            links_in_advance: Links::new(),
            sandbox_is_host: None,
            has_nftables: None,
            unanswered: None,
            seen_elements: Vec::new(),
            expired_at: None,
        }
    }
}

impl Linux {
    /// Looks for the links of probes; the next observation takes what is found for the truth. To be
    /// called only where that observation follows at once.
    pub fn find_links_in_advance(&mut self, probes: &[Probe<'_>]) -> Result<(), KernelError> {
        observe::links_in_advance(self, probes)
    }

    /// Forgets links that were looked for in advance.
    pub fn forget_links_in_advance(&mut self) {
        self.links_in_advance.clear();
    }

    /// What the next observation takes for the truth, for [`Linux::observe_as_before`].
    pub fn links_in_advance(&self) -> LinksInAdvance {
        LinksInAdvance(self.links_in_advance.clone())
    }

    /// Lets the observation that follows at once see no link that was made since. What lies on such
    /// a link is then as absent as the link was, without a question.
    pub fn observe_as_before(&mut self, links: LinksInAdvance) {
        self.links_in_advance = links.0;
    }

    /// Whether a link was there when links were looked for in advance.
    pub fn was_there(&self, place: Place, name: &IfName) -> bool {
        let found = self.links_in_advance.get(&(place, name.clone()));
        found.is_some_and(Option::is_some)
    }

    /// Answers probes for links that this value has just made: what the kernel told of them on the
    /// way is not asked again.
    pub fn observe_made(&mut self, probes: &[Probe<'_>]) -> Result<Observed, KernelError> {
        observe::observe_made(self, probes)
    }
}

impl Kernel for Linux {
    fn observe(&mut self, probes: &[Probe<'_>]) -> Result<Observed, KernelError> {
        let observed = observe::observe(self, probes);
        self.note(observed)
    }

    fn apply(&mut self, steps: &[Step]) -> Result<(), Partial> {
        let applied = apply::apply(self, steps);
        self.seen_elements.clear();
        applied
    }

    fn owned(&mut self, scope: &Scope) -> Result<Vec<Owned>, KernelError> {
        observe::owned(self, scope)
    }
}
