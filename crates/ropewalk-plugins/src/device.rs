//! What a plugin that changes the network is: a function from configuration and attachment to
//! desired state. IPAM plugins answer with a value instead, see [`crate::ipam`].

use std::net::IpAddr;

use ropewalk_addr::{IfName, Mac};
use ropewalk_cni::{
    AttachmentId, CniError, CniResult, ErrorCode, Interface, Request, check_interface_name,
};
use ropewalk_linux::{DomainLink, Linux, PacketLimit, Routing};
use ropewalk_netstate::{Desired, Memory, Observed, Owner, Scope};

use crate::config;

/// One interface of one container on one network.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// Whose the kernel objects are.
    pub owner: Owner,
    /// The interface's name in the sandbox.
    pub ifname: IfName,
    /// The path of the sandbox's network namespace, as the runtime gave it.
    pub netns: String,
}

impl Attachment {
    /// The attachment a request is about.
    pub fn of(request: &Request) -> Result<Self, CniError> {
        check_interface_name(&request.ifname)?;
        let ifname = request
            .ifname
            .parse()
            .map_err(|error| CniError::new(ErrorCode::InvalidEnvironment, format!("{error}")))?;
        Ok(Self {
            owner: Owner {
                network: request.network.clone(),
                container: request.container_id.clone(),
                interface: request.ifname.clone(),
            },
            ifname,
            netns: request.netns.clone().unwrap_or_default(),
        })
    }
}

/// What only the moment can tell: addresses that IPAM gave, the chain's result so far.
///
/// At ADD the addresses come from IPAM; at CHECK from the previous result; at DEL from the
/// previous result if there is one. Whatever has to be deleted is found without them.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// Addresses, routes and DNS for the interface. `None`: no layer 3, or not known at DEL.
    pub layer3: Option<CniResult>,
    /// The result of the plugins before this one (at CHECK and DEL: of the whole chain).
    pub previous: Option<CniResult>,
    /// Whether this is for DEL: what is not known is declared without its values.
    pub deleting: bool,
    /// At DEL without a previous result: the addresses that the lease directory has for the
    /// attachment.
    pub leased: Vec<IpAddr>,
    /// What the host is like.
    pub facts: Facts,
}

impl Given {
    /// What the previous result tells of an interface; the host's have no sandbox.
    pub fn recorded(&self, name: &str, sandbox: &str) -> Option<&Interface> {
        let mut interfaces = self.previous.as_ref()?.interfaces.iter();
        interfaces.find(|i| i.name == name && i.sandbox == sandbox)
    }

    /// The MAC that the previous result tells of an interface.
    pub fn recorded_mac(&self, name: &str, sandbox: &str) -> Option<Mac> {
        self.recorded(name, sandbox)?.mac.parse().ok()
    }
}

/// What the host is like, as far as it decides how something is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Whether the kernel has nf_tables.
    pub nftables: bool,
    /// Whether an iptables FORWARD policy drops what nobody accepts, for IPv4 and IPv6.
    pub forward_drop: [bool; 2],
    /// The host's link toward the container's IPv4 address.
    pub container_link: Option<IfName>,
    /// The host's end of the container's interface, where it is a bridge port whose frames pass
    /// iptables and nftables as packets do.
    pub filtered_port: Option<IfName>,
    /// The same, where frames pass neither.
    pub unfiltered_port: Option<IfName>,
    /// How many other attachments of the same container publish the same ports already.
    pub port_layer: usize,
    /// Whether firewalld runs.
    pub firewalld: Firewalld,
    /// Where what the container sends and receives passes.
    pub passage: Passage,
    /// What routing is like around the container's interface, or why that could not be read.
    pub routing: Result<Routing, String>,
    /// The device of the host that the configuration selects.
    pub host_device: HostDevice,
    /// At DEL, a device that the kernel gave back because its sandbox vanished: its name now, and
    /// the one it had.
    pub stray_device: Option<(IfName, IfName)>,
    /// The link that the container's is to stand on.
    pub master: Master,
    /// The sandbox's links and their masters, or why they could not be read.
    pub links: Result<Vec<DomainLink>, String>,
    /// Why this host or this container can have no fast path, or nothing beside one.
    pub fast_path: Result<(), String>,
    /// What limits packets of many segments. Asked at ADD only.
    pub packet_limit: PacketLimit,
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            nftables: true,
            forward_drop: [false; 2],
            container_link: None,
            filtered_port: None,
            unfiltered_port: None,
            port_layer: 0,
            firewalld: Firewalld::Absent,
            passage: Passage::Unknown,
            routing: Ok(Routing::default()),
            host_device: HostDevice::NotThere(String::new()),
            stray_device: None,
            master: Master::Unasked,
            links: Ok(Vec::new()),
            fast_path: Ok(()),
            packet_limit: PacketLimit::Unasked,
        }
    }
}

/// Where traffic of the container's interface can be looked at, with the MTU there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passage {
    /// There is no such interface, or nobody asked.
    Unknown,
    /// At the host's end of a veth pair: what the host sends there, the container receives.
    HostEnd(IfName, Option<u32>),
    /// At the interface itself: it has no end on the host.
    Itself(Option<u32>),
}

/// What is known of the link that the container's is to stand on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Master {
    /// Nobody asked: it makes no difference.
    Unasked,
    /// None is configured, and no default route tells one.
    Unknown,
    /// There is no link of this name.
    Missing(IfName),
    /// It is there.
    There {
        /// Its name.
        name: IfName,
        /// Its MTU in bytes.
        mtu: u32,
    },
}

/// What is known of firewalld.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Firewalld {
    /// It answers on the system bus.
    Running,
    /// It does not, or nobody asked.
    Absent,
    /// There is no system bus to ask on; why.
    Unreachable(String),
}

/// What is known of a device of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostDevice {
    /// There is a link for it.
    Link {
        /// Its name.
        name: IfName,
        /// Whether it is administratively up.
        up: bool,
    },
    /// It is left to programs (DPDK), so that there is no link to move.
    UserSpace,
    /// There is none on the host, and why; so it is while a sandbox has it.
    NotThere(String),
}

/// A plugin with its configuration read.
pub trait Device {
    /// The IPAM plugin it delegates to, `ipam.type`.
    fn ipam(&self) -> Option<&str> {
        None
    }

    /// Whether it takes a link of the host's, which is left alone until there are addresses for it.
    fn takes_link(&self) -> bool {
        false
    }

    /// Whether it changes what plugins before it made, and so needs their result.
    fn is_chained(&self) -> bool {
        false
    }

    /// What failing to read its input is called.
    fn decoding(&self) -> &'static str {
        config::NETCONF
    }

    /// Finds out what the host is like. Only what [`Device::declare`] uses is asked for.
    fn facts(
        &self,
        _kernel: &mut Linux,
        _attachment: &Attachment,
        _previous: Option<&CniResult>,
    ) -> Facts {
        Facts::default()
    }

    /// As [`Device::facts`], for DEL, for which most of it does not matter.
    fn facts_for_del(
        &self,
        kernel: &mut Linux,
        attachment: &Attachment,
        previous: Option<&CniResult>,
    ) -> Facts {
        self.facts(kernel, attachment, previous)
    }

    /// The desired state. Pure: the same arguments, the same state.
    fn declare(&self, attachment: &Attachment, given: &Given) -> Result<Desired, CniError>;

    /// The result of ADD, from what was given and what is there now.
    fn result(&self, attachment: &Attachment, given: &Given, observed: &Observed) -> CniResult;

    /// Where things of this plugin can be found when their owner is gone.
    fn scopes(&self) -> Vec<Scope> {
        Vec::new()
    }

    /// What GC takes away where nobody uses it any more.
    fn idle(&self) -> Desired {
        Desired::new()
    }

    /// Where borrowed values are remembered.
    fn memory(&self, _attachment: &Attachment) -> Box<dyn Memory> {
        Box::new(())
    }

    /// Forgets borrowed values of attachments of a network that are not valid.
    fn collect_memory(&self, _network: &str, _valid: &[AttachmentId]) -> Result<(), CniError> {
        Ok(())
    }
}

impl std::fmt::Debug for dyn Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Device").field("ipam", &self.ipam()).finish_non_exhaustive()
    }
}
