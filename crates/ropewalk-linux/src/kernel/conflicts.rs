//! Asking a link's neighbours whether they have an address.

use std::{
    os::fd::AsFd,
    time::{Duration, Instant},
};

use ropewalk_netstate::{KernelError, Place, resource::ConflictProbe};
use rustix::io::Errno;

use super::Linux;
use crate::{
    error::error_with,
    packet::{Hears, PacketSocket, wait_until_input},
    translate::arp,
};

const PROBES: usize = 3;
/// Neighbours of containers are near; RFC 5227 waits a second or two for each probe.
const PATIENCE: Duration = Duration::from_millis(100);

/// Probes for an address; an answer is an error that names who has it.
pub(super) fn probe(
    linux: &mut Linux,
    place: Place,
    wanted: &ConflictProbe,
) -> Result<(), KernelError> {
    let found = linux.find_link(place, &wanted.link)?;
    let link = found.ok_or_else(|| error_with(Errno::NODEV, "Link not found"))?;
    let Some(mac) = link.mac else { return Ok(()) };
    let socket = linux.within(place, || PacketSocket::open_here(&wanted.link, Hears::Arp))??;
    for _ in 0..PROBES {
        socket.send(&arp::probe(mac, wanted.address))?;
        let deadline = Instant::now() + PATIENCE;
        while wait_until_input(&[socket.as_fd()], deadline)? {
            let mut buffer = [0; 64];
            let Some(frame) = socket.receive(&mut buffer) else { continue };
            if let Some(other) = arp::claimant(frame, mac, wanted.address) {
                let address = wanted.address;
                let reason = format!(
                    "{address} is in use by {other}; hint: give it back there, or keep it out of \
                     the range"
                );
                return Err(error_with(Errno::ADDRINUSE, reason));
            }
        }
    }
    Ok(())
}
