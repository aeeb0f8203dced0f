//! DH: addresses from the network's own servers, leased by a daemon.

#[path = "dhcp/release.rs"]
mod release;
#[path = "dhcp/servers.rs"]
mod servers;
#[path = "dhcp/stage.rs"]
mod stage;
#[path = "dhcp/verbs.rs"]
mod verbs;
