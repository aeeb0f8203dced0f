//! What every key of every plugin means, for documentation and editors.
//!
//! A table, held against the readers by tests. A plugin that runs must never reach it: so none of
//! these texts is in the plugin binary.

pub(crate) mod common;
mod key;
mod kind;

pub use key::{Absent, Key};
pub(crate) use key::{flag, key};
pub use kind::Kind;

use ropewalk_cni::Fields;

use crate::{chained, interface, ipam};

/// One plugin, with every key it reads.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// The plugin's name.
    pub plugin: &'static str,
    /// What kind of plugin it is.
    pub class: Class,
    /// What it does, to complete "a plugin that".
    pub purpose: &'static str,
    /// The keys of its object; of one that gives addresses, the keys in `ipam` but `type`.
    pub keys: &'static [Key],
    /// The keys in `runtimeConfig`, each of which is a capability.
    pub runtime: &'static [Key],
    /// The keys in `args.cni`.
    pub args: &'static [Key],
    /// The keys in `CNI_ARGS`.
    pub variables: &'static [Key],
    /// Reads everything as the plugin does, and so asks for every key and tells what is wrong.
    pub(crate) read: fn(&Fields<'_>),
}

/// The kinds of plugins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Makes an interface, or changes one that is always there.
    Interface,
    /// Gives addresses to the plugins that make interfaces.
    Addresses,
    /// Goes behind the plugin that makes the interface.
    Chained,
}

impl Description {
    /// A plugin without any key.
    pub(crate) const fn new(
        plugin: &'static str,
        class: Class,
        purpose: &'static str,
        read: fn(&Fields<'_>),
    ) -> Self {
        let none = &[];
        Self {
            plugin,
            class,
            purpose,
            keys: none,
            runtime: none,
            args: none,
            variables: none,
            read,
        }
    }

    /// The keys of the plugin's object as they are written there: those in other objects are in
    /// these.
    pub fn objects(&self) -> Vec<(&'static str, &'static [Key])> {
        let own = if self.class == Class::Addresses { "ipam" } else { "" };
        let objects = [(own, self.keys), ("runtimeConfig", self.runtime), ("args.cni", self.args)];
        objects.into_iter().filter(|(_, keys)| !keys.is_empty()).collect()
    }
}

/// Every description, by name.
pub static DESCRIPTIONS: &[Description] = &[
    chained::bandwidth::DESCRIPTION,
    interface::bridge::DESCRIPTION,
    ipam::dhcp::DESCRIPTION,
    interface::dummy::DESCRIPTION,
    chained::firewall::DESCRIPTION,
    interface::host_device::DESCRIPTION,
    ipam::host_local::DESCRIPTION,
    interface::ipvlan::DESCRIPTION,
    interface::loopback::DESCRIPTION,
    interface::macvlan::DESCRIPTION,
    chained::portmap::DESCRIPTION,
    interface::ptp::DESCRIPTION,
    chained::sbr::DESCRIPTION,
    ipam::sql::DESCRIPTION,
    ipam::static_addresses::DESCRIPTION,
    interface::tap::DESCRIPTION,
    chained::tuning::DESCRIPTION,
    interface::vlan::DESCRIPTION,
    chained::vrf::DESCRIPTION,
];

/// The description of the plugin of this name.
pub fn find(plugin: &str) -> Option<&'static Description> {
    DESCRIPTIONS.iter().find(|description| description.plugin == plugin)
}

#[cfg(test)]
mod tests;
