//! Bridges that go when nobody uses them, and how those who are about to use one keep it.
//!
//! The kernel has no "delete if it has no ports". So whoever makes things on the host holds a lock
//! that many can hold, and whoever removes a bridge holds it alone from looking to deleting. What
//! is locked is the host's network namespace itself: bridges belong to it, no file has to be made,
//! and the lock goes with the process that holds it.

use std::os::fd::AsFd;

use ropewalk_netstate::{
    KernelError, Place,
    resource::{Bridge, IdleBridge},
};
use rustix::fs::FlockOperation;

use super::{Linux, place::namespace_error};
use crate::{
    netns::Netns,
    translate::link::{self, Link},
};

impl Linux {
    /// Keeps the host's bridges, idle or not, until [`Linux::give_up_idle_bridges`]. Where that is
    /// impossible, so is removing them.
    pub fn keep_idle_bridges(&mut self) {
        // Whoever works in the host's own namespace may hold it alone already.
        if self.sandbox_is_host().unwrap_or(false) {
            return;
        }
        let _ = self.namespace(Place::Host).map(|host| host.lock(FlockOperation::LockShared));
    }

    /// Lets others remove idle bridges.
    pub fn give_up_idle_bridges(&mut self) {
        let _ = self.namespace(Place::Host).map(|host| host.lock(FlockOperation::Unlock));
    }

    /// Removes a bridge of the host if it is idle, see [`IdleBridge`].
    pub(super) fn remove_idle_bridge(&mut self, idle: &IdleBridge) -> Result<(), KernelError> {
        let alone = Netns::of_socket(self.route(Place::Host)?.as_fd());
        let alone = alone.map_err(|failure| namespace_error(&failure))?;
        alone.lock(FlockOperation::LockExclusive).map_err(|failure| namespace_error(&failure))?;
        let Some(bridge) = self.find_link(Place::Host, &idle.bridge)? else { return Ok(()) };
        if !bridge.is("bridge") {
            return Ok(());
        }
        let links = self.route(Place::Host)?.dump(&link::list(), link::read)?;
        let (mut ports, others): (Vec<Link>, Vec<Link>) =
            links.into_iter().partition(|link| link.master == Some(bridge.index));
        if let Some((name, vlan)) = &idle.gateway
            && let Some(position) = ports.iter().position(|port| port.name == **name)
        {
            let gateway = ports.swap_remove(position);
            if self.has_vlan(&ports, *vlan)? {
                ports.push(gateway);
            } else {
                self.delete_link(Place::Host, name)?;
            }
        }
        let stands_on_it =
            |link: &Link| link.peer == Some(bridge.index) && !link.peer_is_elsewhere();
        let is_ours = bridge.alias.as_deref() == Some(Bridge::MARK);
        if is_ours && ports.is_empty() && !others.iter().any(stands_on_it) {
            self.delete_link(Place::Host, &idle.bridge)?;
        }
        Ok(())
    }

    /// Whether one of the ports is in a VLAN.
    fn has_vlan(&mut self, ports: &[Link], vlan: u16) -> Result<bool, KernelError> {
        for port in ports {
            let mut memberships = self.port_vlans(Place::Host, port.index)?.into_iter();
            if memberships.any(|member| (member.vlans.first..=member.vlans.last).contains(&vlan)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
