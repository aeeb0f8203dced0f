//! The firewall as sources of a zone: firewalld decides what the zone means, `trusted` accepts.

use std::net::IpAddr;

use ropewalk_addr::Prefix;
use ropewalk_linux::Linux;
use ropewalk_netstate::{Desired, Lifetime, Place, resource::FirewalldSource};

use crate::device::Firewalld;

/// Finds out whether firewalld runs; nothing is asked where there is no system bus.
pub(crate) fn presence(kernel: &mut Linux) -> Firewalld {
    match kernel.has_firewalld() {
        Ok(true) => Firewalld::Running,
        Ok(false) => Firewalld::Absent,
        Err(error) => Firewalld::Unreachable(error.reason),
    }
}

/// Declares the addresses as sources.
pub(crate) fn declare(desired: &mut Desired, zone: &str, addresses: &[IpAddr]) {
    for ip in addresses {
        let source = FirewalldSource { zone: zone.into(), address: Prefix::host(*ip) };
        desired.push(Place::Host, Lifetime::Attachment, source);
    }
}
