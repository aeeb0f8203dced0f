//! Waiting for what the kernel finishes on its own: subscribe, look, then wait for events.

use std::time::{Duration, Instant};

use ropewalk_addr::{Family, IfName};
use ropewalk_netstate::{KernelError, Place, resource::Await};
use rustix::io::Errno;

use super::Linux;
use crate::{
    error::error_with,
    netlink::EventSocket,
    translate::address::FoundAddress,
    translate::wait::{Readiness, is_link_up, readiness, state_name},
};

/// What a look at the kernel said.
enum Look {
    Finished,
    /// Not yet; the text for the case that the deadline passes now.
    NotYet(String),
}

/// Waits until it is finished or its deadline has passed.
pub(super) fn wait(linux: &mut Linux, place: Place, wait: &Await) -> Result<(), KernelError> {
    // Almost always all is well at the first look, and then the subscription is not needed.
    let Look::NotYet(_) = look(linux, place, wait)? else { return Ok(()) };
    let (Await::LinkUp { deadline_ms, .. }
    | Await::AddressesReady { deadline_ms, .. }
    | Await::Autoconfigured { deadline_ms, .. }
    | Await::LinkLocal { deadline_ms, .. }) = wait;
    let deadline = Instant::now() + Duration::from_millis((*deadline_ms).into());
    let events = linux.within(place, EventSocket::open)??;
    loop {
        let Look::NotYet(text) = look(linux, place, wait)? else { return Ok(()) };
        if !events.wait(deadline)? {
            return Err(error_with(Errno::TIMEDOUT, text));
        }
    }
}

fn look(linux: &mut Linux, place: Place, wait: &Await) -> Result<Look, KernelError> {
    match wait {
        Await::LinkUp { link, .. } => look_at_link(linux, place, link),
        Await::AddressesReady { link, deadline_ms } => {
            look_at_addresses(linux, place, link, *deadline_ms)
        }
        Await::Autoconfigured { link, deadline_ms } => {
            look_for_advertised(linux, place, link, *deadline_ms)
        }
        Await::LinkLocal { link, deadline_ms } => {
            look_for_link_local(linux, place, link, *deadline_ms)
        }
    }
}

fn look_at_link(linux: &mut Linux, place: Place, name: &IfName) -> Result<Look, KernelError> {
    let found = linux.find_link(place, name)?;
    let link = found.ok_or_else(|| error_with(Errno::NODEV, "Link not found"))?;
    if is_link_up(&link) {
        return Ok(Look::Finished);
    }
    let state = state_name(link.operational_state);
    Ok(Look::NotYet(format!("bridge port in error state: {state}")))
}

fn look_at_addresses(
    linux: &mut Linux,
    place: Place,
    name: &IfName,
    deadline_ms: u32,
) -> Result<Look, KernelError> {
    let index = linux.index_of(place, name)?;
    let addresses = linux.addresses(place, Some(Family::V6), index)?;
    look_whether_ready(name, &addresses, deadline_ms)
}

/// Whether all of these addresses can be used.
fn look_whether_ready(
    name: &IfName,
    addresses: &[FoundAddress],
    deadline_ms: u32,
) -> Result<Look, KernelError> {
    match readiness(name, addresses) {
        Readiness::Ready => Ok(Look::Finished),
        Readiness::Failed(text) => Err(error_with(Errno::ADDRINUSE, text)),
        Readiness::Pending => {
            let seconds = deadline_ms / 1000;
            let text = format!("link {name} still has tentative addresses after {seconds} seconds");
            Ok(Look::NotYet(text))
        }
    }
}

fn look_for_advertised(
    linux: &mut Linux,
    place: Place,
    name: &IfName,
    deadline_ms: u32,
) -> Result<Look, KernelError> {
    let index = linux.index_of(place, name)?;
    let mut addresses = linux.addresses(place, Some(Family::V6), index)?;
    addresses.retain(|address| address.is_temporary() && !address.is_link_local());
    let seconds = deadline_ms / 1000;
    if addresses.is_empty() {
        let text = format!(
            "no router has advertised a prefix on {name} within {seconds} seconds; hint: look for \
             one with rdisc6, or leave waitForRA out"
        );
        return Ok(Look::NotYet(text));
    }
    look_whether_ready(name, &addresses, deadline_ms)
}

fn look_for_link_local(
    linux: &mut Linux,
    place: Place,
    name: &IfName,
    deadline_ms: u32,
) -> Result<Look, KernelError> {
    let index = linux.index_of(place, name)?;
    let mut addresses = linux.addresses(place, Some(Family::V6), index)?;
    addresses.retain(|address| address.is_link_local());
    if addresses.is_empty() {
        let seconds = deadline_ms / 1000;
        return Ok(Look::NotYet(format!(
            "link {name} has no link-local address after {seconds} seconds"
        )));
    }
    look_whether_ready(name, &addresses, deadline_ms)
}
