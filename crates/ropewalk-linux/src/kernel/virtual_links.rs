//! Virtual links and membership in a master: made and changed.

use std::os::fd::{AsFd, AsRawFd};

use ropewalk_addr::IfName;
use ropewalk_netstate::{
    KernelError, Place,
    resource::{Membership, Parent, VirtualKind, VirtualLink},
};
use rustix::io::Errno;

use super::{Linux, links::random_mac};
use crate::{
    error::{error, error_with, is},
    translate::{
        link,
        virtual_link::{self, Below},
    },
};

impl Linux {
    pub(super) fn create_virtual_link(
        &mut self,
        place: Place,
        wanted: &VirtualLink,
    ) -> Result<(), KernelError> {
        if let VirtualKind::Tap(tap) = &wanted.kind {
            return self.create_tap(place, wanted, tap);
        }
        let below = match &wanted.parent {
            Some(parent) => Some(self.below(place, parent)?),
            None => None,
        };
        let made = self.create_under(place, &wanted.name, wanted, below);
        let is_there = matches!(&made, Err(error) if is(error, Errno::EXIST));
        let made = if is_there && self.find_link(place, &wanted.name)?.is_none() {
            self.create_and_rename(place, wanted, below)
        } else {
            made
        };
        made.map_err(|error| explain(wanted, error))
    }

    fn create_under(
        &mut self,
        place: Place,
        name: &IfName,
        wanted: &VirtualLink,
        below: Option<Below>,
    ) -> Result<(), KernelError> {
        let mut messages = vec![virtual_link::create(name, wanted, below)];
        // In the same send as the creation, as with veth pairs.
        messages.extend(wanted.tag.as_ref().map(|tag| link::set_alias(name, tag.text())));
        let mut verdicts = self.exchange_about_links(place, messages)?.into_iter();
        verdicts.next().unwrap_or(Ok(()))?;
        let marked = verdicts.next().unwrap_or(Ok(()));
        if marked.is_err() {
            let _ = self.delete_link(place, name);
        }
        marked
    }

    /// Kernels before Linux 6.14 make a link in its parent's namespace and move it then, so that
    /// its name must be free in both.
    fn create_and_rename(
        &mut self,
        place: Place,
        wanted: &VirtualLink,
        below: Option<Below>,
    ) -> Result<(), KernelError> {
        let passing = passing_name()?;
        self.create_under(place, &passing, wanted, below)?;
        let index = self.index_of(place, &passing)?;
        let renamed = self.route(place)?.request(link::rename(index, &wanted.name));
        if renamed.is_err() {
            let _ = self.delete_link(place, &passing);
        }
        self.forget_links();
        renamed
    }

    fn below(&mut self, place: Place, parent: &Parent) -> Result<Below, KernelError> {
        let index = self.index_of(parent.place, &parent.name)?;
        if parent.place == place {
            return Ok(Below { index, namespace: None });
        }
        let descriptor = self.namespace(parent.place)?.as_fd().as_raw_fd();
        let socket = self.route(place)?;
        match socket.request(virtual_link::number_namespace(descriptor)) {
            Err(error) if !is(&error, Errno::EXIST) => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let question = virtual_link::namespace_number(descriptor);
        let number = socket.get(question, virtual_link::read_namespace_number)?;
        let number = number.ok_or_else(|| error("the parent's network namespace has no number"))?;
        Ok(Below { index, namespace: Some(number) })
    }

    pub(super) fn set_membership(
        &mut self,
        place: Place,
        wanted: &Membership,
    ) -> Result<(), KernelError> {
        let index = self.index_of(place, &wanted.link)?;
        let master = match self.index_of(place, &wanted.master) {
            Err(error) if is(&error, Errno::NODEV) => {
                Err(error_with(Errno::NODEV, format!("{}: {error}", wanted.master)))
            }
            found => found,
        };
        self.change_master(place, &wanted.link, (index, master?))
    }

    /// Takes a link out of its master; a link that is gone is fine.
    pub(super) fn end_membership(
        &mut self,
        place: Place,
        there: &Membership,
    ) -> Result<(), KernelError> {
        match self.index_of(place, &there.link) {
            Ok(index) => self.change_master(place, &there.link, (index, 0)),
            Err(error) if is(&error, Errno::NODEV) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// A name that nobody has.
fn passing_name() -> Result<IfName, KernelError> {
    let name = format!("new{}", random_mac()?.to_string().replace(':', ""));
    name.parse().map_err(|_| error("no name for a new link"))
}

/// The kernel says "operation not supported" for a kind of link that it was built without.
fn explain(wanted: &VirtualLink, error: KernelError) -> KernelError {
    if is(&error, Errno::OPNOTSUPP) {
        let kind = wanted.kind.name();
        let reason = format!("{error} (the kernel may have no {kind} links)");
        return error_with(Errno::OPNOTSUPP, reason);
    }
    error
}
