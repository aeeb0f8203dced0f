//! Listens to the switches at the other ends of the host's wires.
//!
//! It must never say anything on the wire. While it listens, links take frames to one more group.

use std::{
    collections::BTreeMap,
    os::fd::{AsFd, BorrowedFd},
    time::{Duration, Instant},
};

use ropewalk_addr::IfName;
use ropewalk_netstate::KernelError;
use ropewalk_topology::{lldp, model::Switch};

use crate::packet::{Hears, PacketSocket, wait_for_input};

/// No frame is longer: switches do not send larger ones than others take.
const LONGEST: usize = 2048;

/// Listens on links of the calling thread's namespace until each switch was heard, there is
/// something to read from another source, or the time is over; switches speak every 30 seconds.
/// Links that cannot be listened on are heard nothing from.
pub fn hear_switches(
    links: &[IfName],
    time: Duration,
    stop: BorrowedFd<'_>,
) -> Result<BTreeMap<IfName, Switch>, KernelError> {
    let deadline = Instant::now() + time;
    let open = |link: &IfName| {
        let socket = PacketSocket::open_here(link, Hears::Switches).ok()?;
        Some((link.clone(), socket))
    };
    let mut silent: Vec<(IfName, PacketSocket)> = links.iter().filter_map(open).collect();
    let mut heard = BTreeMap::new();
    let mut buffer = [0; LONGEST];
    while !silent.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || wait_for_input(&[stop], Some(Duration::ZERO))? {
            break;
        }
        let sources: Vec<BorrowedFd<'_>> =
            silent.iter().map(|(_, socket)| socket.as_fd()).chain([stop]).collect();
        wait_for_input(&sources, Some(left))?;
        silent.retain(|(link, socket)| {
            let frame = socket.receive(&mut buffer);
            let switch = frame.and_then(lldp::read);
            let is_silent = switch.is_none();
            heard.extend(switch.map(|switch| (link.clone(), switch)));
            is_silent
        });
    }
    Ok(heard)
}
