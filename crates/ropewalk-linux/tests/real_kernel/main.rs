//! Every kind of resource against the kernel this machine runs: what is applied is found as it
//! was wanted, what is deleted is not found, and deleting it again succeeds. Needs root; every
//! test has its own private host and never touches the real one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod addresses;
mod idle_bridges;
mod iptables;
mod links;
mod moved_devices;
mod namespaces;
mod packet_filter;
mod packet_filter_rules;
mod routing;
mod settings;
mod support;
mod traffic;
mod virtual_links;
