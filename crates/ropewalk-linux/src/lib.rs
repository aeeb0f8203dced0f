//! The Linux kernel as seen by Ropewalk: netlink, nftables, namespaces, sysctls; and firewalld,
//! which is asked over the system bus.
//!
//! [`Linux`] observes and applies what `ropewalk-netstate` describes. The crate is synchronous: a
//! call returns when the kernel has answered. It never decides what should be, it never keeps
//! state on disk, and it runs other programs only for the firewall chains that belong to
//! `iptables`.

mod arena;
#[cfg(feature = "ebpf")]
mod bpf;
pub mod child;
#[cfg(all(target_arch = "x86_64", any(test, target_env = "musl")))]
mod copy;
mod datagram;
mod dbus;
mod entry;
mod error;
mod kernel;
mod netlink;
mod netns;
mod packet;
mod probe;
mod service;
pub mod survey;
mod translate;
mod uapi;

pub use arena::Arena;
pub use datagram::LinkLocalSocket;
pub use entry::prepare;
pub use error::io_reason;
pub use kernel::{
    DeviceSelector, DomainLink, FoundDevice, LinkAddress, LinkRoute, LinkState, LinksInAdvance,
    Linux, PacketLimit, Routing, host_name, is_in_user_space, is_on_auxiliary_bus, is_on_pci_bus,
};
pub use netns::{Netns, NetnsError, unshare_private_host};
pub use packet::{Hears, PacketSocket, wait_for_input};
pub use probe::{Probe, ProbeKind, Probed, any_end};
pub use service::{Ending, is_peer_trusted, sockets_handed_over, take_handed_over};
