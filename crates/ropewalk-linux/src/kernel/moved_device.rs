//! Devices that are moved into a sandbox and given back.
//!
//! One message moves and renames, so that nobody on the host sees the device under another name:
//! the kernel moves it under its old name and renames it where it has arrived. Programs on the
//! host that react to renaming (udev, NetworkManager) never get to it.

use std::os::fd::{AsFd, AsRawFd};

use ropewalk_addr::IfName;
use ropewalk_netstate::{
    KernelError, Place,
    resource::{Attribute, MovedDevice},
};
use rustix::io::Errno;

use super::Linux;
use crate::{
    error::{error, error_with},
    translate::{
        link::{self, Link},
        moved_device::{self, Arrival},
    },
};

impl Linux {
    /// Moves a device of the host to a place.
    pub(super) fn move_device(
        &mut self,
        place: Place,
        wanted: &MovedDevice,
    ) -> Result<(), KernelError> {
        let original = match &wanted.original {
            Some(original) if place != Place::Host => original,
            _ => return Err(error("nobody said which device of the host is to be moved")),
        };
        let index = self.index_of(Place::Host, original)?;
        let arrival = Arrival { name: &wanted.name, alias: original, up: false };
        let moved = match self.find_link(place, &wanted.name)? {
            Some(_) => Err(error_with(Errno::EXIST, "file exists")),
            None => self.send_to((Place::Host, index), place, arrival),
        };
        moved.map_err(|error| {
            // The kernel moves first and renames then: in between, the name may have been taken.
            self.return_under_its_name(place, original, wanted.was_up);
            let (name, original) = (&*wanted.name, &**original);
            let text = format!("failed to move {name:?} (host: {original:?}) to container NS");
            KernelError { reason: format!("{text}: {}", error.reason), ..error }
        })
    }

    /// Takes back a move that was not followed by a renaming.
    fn return_under_its_name(&mut self, place: Place, original: &IfName, up: bool) {
        let is_at_home = matches!(self.find_link(Place::Host, original), Ok(Some(_)));
        if is_at_home {
            return;
        }
        if let Ok(Some(found)) = self.find_link(place, original) {
            let arrival = Arrival { name: original, alias: "", up };
            // The error that is told is the one that led here.
            let _ = self.send_to((place, found.index), Place::Host, arrival);
        }
    }

    /// Gives a device back to the host; absent is fine.
    pub(super) fn give_device_back(
        &mut self,
        place: Place,
        there: &MovedDevice,
    ) -> Result<(), KernelError> {
        let Some(found) = self.find_link(place, &there.name)? else { return Ok(()) };
        let name = &*there.name;
        let Some(original) = &there.original else {
            let text = format!("failed to find original ifname for {name:?} (alias is not set)");
            return Err(error(text));
        };
        // What is on the host already needs another name only.
        let is_taken = (place != Place::Host || there.name != *original)
            && self.find_link(Place::Host, original)?.is_some();
        let moved = if is_taken {
            Err(error_with(Errno::EXIST, "file exists"))
        } else {
            self.rename_and_send_home(place, &found, there, original)
        };
        moved.map_err(|error| {
            let text = format!("failed to move {:?} to hostNS: {}", &**original, error.reason);
            KernelError { reason: text, ..error }
        })
    }

    /// Renames the device where nobody on the host sees it, then moves it. All is sent at once, so
    /// that whoever is killed leaves no device without its alias in a sandbox.
    fn rename_and_send_home(
        &mut self,
        place: Place,
        found: &Link,
        there: &MovedDevice,
        original: &IfName,
    ) -> Result<(), KernelError> {
        let index = found.index;
        let arrival = Arrival { name: original, alias: "", up: there.was_up };
        // If the sandbox has a link of that name, only the last message can do it.
        let renaming =
            [link::set_attribute(index, Attribute::Up(false)), link::rename(index, original)];
        let last = moved_device::send(index, self.descriptor(place, Place::Host)?, arrival);
        let messages = renaming.into_iter().chain([last]).collect();
        let verdicts = self.route(place)?.exchange(messages)?;
        self.forget_links();
        let moved = verdicts.into_iter().next_back().unwrap_or(Ok(()));
        if moved.is_err() {
            let up = Attribute::Up(found.is_up());
            let undo = vec![link::rename(index, &there.name), link::set_attribute(index, up)];
            // The error that is told is the one that led here.
            let _ = self.route(place)?.exchange(undo);
        }
        moved
    }

    fn send_to(
        &mut self,
        (from, index): (Place, u32),
        to: Place,
        arrival: Arrival<'_>,
    ) -> Result<(), KernelError> {
        let descriptor = self.descriptor(from, to)?;
        let sent = self.route(from)?.request(moved_device::send(index, descriptor, arrival));
        self.forget_links();
        sent
    }

    /// The namespace to name in a message; none where the link is there already.
    fn descriptor(&mut self, from: Place, to: Place) -> Result<Option<i32>, KernelError> {
        Ok(if from == to { None } else { Some(self.namespace(to)?.as_fd().as_raw_fd()) })
    }
}
