//! DH: addresses from the network's own servers, leased by a daemon.

#[path = "dhcp/interchange.rs"]
mod interchange;
#[path = "dhcp/options.rs"]
mod options;
#[path = "dhcp/release.rs"]
mod release;
#[path = "dhcp/servers.rs"]
mod servers;
#[path = "dhcp/six.rs"]
mod six;
#[path = "dhcp/stage.rs"]
mod stage;
#[path = "dhcp/upkeep.rs"]
mod upkeep;
#[path = "dhcp/verbs.rs"]
mod verbs;
