//! Asking a link's neighbours whether they have an address.

use std::{
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant},
};

use ropewalk_netstate::{KernelError, Place, resource::ConflictProbe};
use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, sendto,
        socket_with,
    },
};

use super::Linux;
use crate::{
    error::{error_about, error_with},
    link_layer::LinkLayerAddress,
    netlink::wait_for_any,
    translate::arp,
};

const ETHERTYPE_ARP: u16 = 0x0806;
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
    let everyone = LinkLayerAddress {
        index: link.index.cast_signed(),
        ethertype: ETHERTYPE_ARP,
        mac: [255; 6],
    };
    let about = |errno| error_about(errno, "ask the neighbours");
    let socket = linux.within(place, || open(everyone))?.map_err(about)?;
    for _ in 0..PROBES {
        let packet = arp::probe(mac, wanted.address);
        sendto(&socket, &packet, SendFlags::empty(), &everyone).map_err(about)?;
        let deadline = Instant::now() + PATIENCE;
        while wait_for_any([socket.as_fd()], deadline)? {
            let mut buffer = [0; 64];
            let Ok((length, _)) = recv(&socket, &mut buffer, RecvFlags::DONTWAIT) else { continue };
            if let Some(other) = arp::claimant(&buffer[..length], mac, wanted.address) {
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

fn open(address: LinkLayerAddress) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    // Without a protocol until it is bound, so that nothing from other links comes in.
    let socket = socket_with(AddressFamily::PACKET, SocketType::DGRAM, flags, None)?;
    bind(&socket, &address)?;
    Ok(socket)
}
