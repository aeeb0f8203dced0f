//! Between resources and messages: pure functions, one file per kind as in
//! `ropewalk-netstate/src/resource`. Nothing here talks to the kernel; numbers that only the
//! kernel knows, such as link indices, are passed in.

pub(crate) mod address;
pub(crate) mod arp;
pub(crate) mod bridge_port;
#[cfg(feature = "ebpf")]
pub(crate) mod fast_path;
pub(crate) mod flow;
#[cfg(test)]
mod golden;
pub(crate) mod iptables;
pub(crate) mod link;
pub(crate) mod moved_device;
pub(crate) mod neighbour;
pub(crate) mod nft;
pub(crate) mod offload;
pub(crate) mod route;
pub(crate) mod routing_rule;
pub(crate) mod sysctl;
pub(crate) mod traffic;
pub(crate) mod virtual_link;
pub(crate) mod wait;
