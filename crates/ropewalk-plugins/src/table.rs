//! The table of all plugins: what is not here does not exist.

use std::sync::OnceLock;

use ropewalk_cni::{ALL, CniError, Request, Version};

use crate::{
    chained::{bandwidth, firewall, portmap, sbr, tuning, vrf},
    device::Device,
    interface::{bridge, dummy, host_device, ipvlan, loopback, macvlan, ptp, tap, vlan},
    ipam::{IpamPlugin, dhcp, host_local, static_addresses},
};

/// One plugin.
#[derive(Debug)]
pub struct Plugin {
    /// Its name: the file name it is started under, the `type` of a configuration.
    pub name: &'static str,
    /// The specification versions it speaks.
    pub versions: &'static [Version],
    /// What it is.
    pub kind: Kind,
}

/// The two kinds of plugins.
#[derive(Debug)]
pub enum Kind {
    /// It declares desired state.
    Device(Load),
    /// It answers with addresses.
    Ipam(&'static dyn IpamPlugin),
}

/// Reads a configuration; all that is wrong with it is told at once.
pub type Load = fn(&Request) -> Result<Box<dyn Device>, CniError>;

/// Versions of plugins that need a previous result at DEL: 0.4.0 and newer.
const SINCE_0_4_0: &[Version] = &[Version::V0_4_0, Version::V1_0_0, Version::V1_1_0];

/// Versions whose results tell interfaces: 0.3.0 and newer.
const SINCE_0_3_0: &[Version] =
    &[Version::V0_3_0, Version::V0_3_1, Version::V0_4_0, Version::V1_0_0, Version::V1_1_0];

/// What `vrf` speaks.
const SINCE_0_3_1: &[Version] =
    &[Version::V0_3_1, Version::V0_4_0, Version::V1_0_0, Version::V1_1_0];

/// All plugins, by name.
pub static PLUGINS: &[Plugin] = &[
    Plugin { name: "bandwidth", versions: SINCE_0_3_0, kind: Kind::Device(bandwidth::load) },
    Plugin { name: "bridge", versions: ALL, kind: Kind::Device(bridge::load) },
    Plugin { name: "dhcp", versions: ALL, kind: Kind::Ipam(&dhcp::Dhcp) },
    Plugin { name: "dummy", versions: ALL, kind: Kind::Device(dummy::load) },
    Plugin { name: "firewall", versions: SINCE_0_4_0, kind: Kind::Device(firewall::load) },
    Plugin { name: "host-device", versions: ALL, kind: Kind::Device(host_device::load) },
    Plugin { name: "host-local", versions: ALL, kind: Kind::Ipam(&host_local::HostLocal) },
    Plugin { name: "ipvlan", versions: ALL, kind: Kind::Device(ipvlan::load) },
    Plugin { name: "loopback", versions: ALL, kind: Kind::Device(loopback::load) },
    Plugin { name: "macvlan", versions: ALL, kind: Kind::Device(macvlan::load) },
    Plugin { name: "portmap", versions: ALL, kind: Kind::Device(portmap::load) },
    Plugin { name: "ptp", versions: ALL, kind: Kind::Device(ptp::load) },
    Plugin { name: "sbr", versions: ALL, kind: Kind::Device(sbr::load) },
    Plugin { name: "static", versions: ALL, kind: Kind::Ipam(&static_addresses::Static) },
    Plugin { name: "tap", versions: ALL, kind: Kind::Device(tap::load) },
    Plugin { name: "tuning", versions: ALL, kind: Kind::Device(tuning::load) },
    Plugin { name: "vlan", versions: ALL, kind: Kind::Device(vlan::load) },
    Plugin { name: "vrf", versions: SINCE_0_3_1, kind: Kind::Device(vrf::load) },
];

/// A plugin that comes with a larger program: what it needs has no place in the binary of all
/// others, which that program has beside it.
#[derive(Debug)]
pub struct Separate {
    /// The plugin's name.
    pub name: &'static str,
    /// The program, as it is built; it is installed under the plugin's name.
    pub program: &'static str,
}

/// All of these.
pub static SEPARATE: &[Separate] = &[Separate { name: "sql", program: "ropewalk-sql" }];

/// What this program has beside all of these.
static ADDED: OnceLock<&'static [Plugin]> = OnceLock::new();

/// Adds plugins to this program's; called once, before anything else.
pub(crate) fn add(plugins: &'static [Plugin]) {
    ADDED.get_or_init(|| plugins);
}

/// All plugins of this program.
pub(crate) fn all() -> impl Iterator<Item = &'static Plugin> {
    PLUGINS.iter().chain(ADDED.get().copied().unwrap_or_default())
}

/// The plugin of this name.
pub fn find(name: &str) -> Option<&'static Plugin> {
    all().find(|plugin| plugin.name == name)
}
