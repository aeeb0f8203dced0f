//! Waiting for what the kernel finishes on its own: subscribe, look, then wait for events.

use std::time::{Duration, Instant};

use ropewalk_addr::{Family, IfName};
use ropewalk_netstate::{
    KernelError, Place,
    resource::{Announcement, Attribute, Await, Until},
};
use rustix::io::Errno;

use super::Linux;
use crate::{
    error::error_with,
    netlink::{EventSocket, Message, Reply},
    translate::{
        address::FoundAddress,
        link::{self, Link},
        wait::{Readiness, is_link_up, readiness, state_name},
    },
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
    let deadline = Instant::now() + Duration::from_millis(wait.deadline_ms.into());
    let mut events = linux.within(place, EventSocket::open)??;
    loop {
        let Look::NotYet(text) = look(linux, place, wait)? else { return Ok(()) };
        if !events.wait(deadline)? {
            return Err(error_with(Errno::TIMEDOUT, text));
        }
    }
}

/// Waits until a link of the host is up, then announces the sandbox's link at its far end. On
/// failure tells which of the two failed.
pub(super) fn wait_and_announce(
    linux: &mut Linux,
    wanted: &Await,
    announcement: &Announcement,
) -> Result<(), (usize, KernelError)> {
    if announce_if_up(linux, wanted, announcement).is_some() {
        return Ok(());
    }
    wait(linux, Place::Host, wanted).map_err(|error| (0, error))?;
    linux.announce(Place::Sandbox, announcement).map_err(|error| (1, error))
}

/// The first look and the announcement in one send from the sandbox, which has a number for the
/// host. Nothing if the link was not up, and what was announced not passed on, or if that cannot be
/// known this way.
fn announce_if_up(linux: &mut Linux, wanted: &Await, announcement: &Announcement) -> Option<()> {
    let near = linux.sockets(Place::Host).told.get(&*wanted.link)?;
    let (number, mut questions) = (near.index, vec![link::find_by_name(&wanted.link)]);
    questions.extend(near.master.map(link::find_by_index));
    let far = linux.sockets(Place::Sandbox).told.get(&*announcement.link)?;
    let (index, host, mac) = (far.index, far.peer_namespace?, far.mac?);
    let mut messages: Vec<Message> =
        questions.into_iter().map(|question| link::look_into(host, question)).collect();
    messages.push(link::set_attribute(index, Attribute::Mac(mac)));
    let mut seen = Vec::new();
    let read = |reply: &Reply<'_>| seen.extend(link::read(reply));
    let mut verdicts = linux.route(Place::Sandbox).ok()?.exchange_reading(messages, read).ok()?;
    // See `Linux::announce`: that one was not heard is no reason to fail.
    verdicts.pop();
    let is_up = |link: &Link| link.index == number && is_link_up(link);
    if !verdicts.iter().all(Result::is_ok) || !seen.iter().any(is_up) {
        return None;
    }
    linux.sockets(Place::Host).told.extend(seen.into_iter().map(|link| (link.name.clone(), link)));
    Some(())
}

fn look(linux: &mut Linux, place: Place, wait: &Await) -> Result<Look, KernelError> {
    let (link, seconds) = (&wait.link, wait.deadline_ms / 1000);
    let (is_meant, missing): (fn(&FoundAddress) -> bool, _) = match wait.until {
        Until::LinkUp => return look_at_link(linux, place, link),
        Until::AddressesReady => (|_| true, None),
        Until::Autoconfigured => (
            |address| address.is_temporary() && !address.is_link_local(),
            Some(format!(
                "no router has advertised a prefix on {link} within {seconds} seconds; hint: look \
                 for one with rdisc6, or leave waitForRA out"
            )),
        ),
        Until::LinkLocal => (
            |address| address.is_link_local(),
            Some(format!("link {link} has no link-local address after {seconds} seconds")),
        ),
    };
    let index = linux.index_of(place, link)?;
    let mut addresses = linux.addresses(place, Some(Family::V6), index)?;
    addresses.retain(is_meant);
    if let (Some(text), true) = (missing, addresses.is_empty()) {
        return Ok(Look::NotYet(text));
    }
    match readiness(link, &addresses) {
        Readiness::Ready => Ok(Look::Finished),
        Readiness::Failed(text) => Err(error_with(Errno::ADDRINUSE, text)),
        Readiness::Pending => {
            let text = format!("link {link} still has tentative addresses after {seconds} seconds");
            Ok(Look::NotYet(text))
        }
    }
}

fn look_at_link(linux: &mut Linux, place: Place, name: &IfName) -> Result<Look, KernelError> {
    // Results tell the bridge, too, which a new port may have given its MAC address.
    let bridge = linux.sockets(place).told.remove(&**name).and_then(|link| link.master);
    let questions = [Some(link::find_by_name(name)), bridge.map(link::find_by_index)];
    linux.exchange_about_links(place, questions.into_iter().flatten().collect())?;
    let link = match linux.sockets(place).told.get(&**name) {
        Some(link) => Some(link.clone()),
        None => linux.find_link(place, name)?,
    };
    let link = link.ok_or_else(|| error_with(Errno::NODEV, "Link not found"))?;
    if is_link_up(&link) {
        return Ok(Look::Finished);
    }
    let state = state_name(link.operational_state);
    Ok(Look::NotYet(format!("bridge port in error state: {state}")))
}
