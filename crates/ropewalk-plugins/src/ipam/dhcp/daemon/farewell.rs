//! Telling a server that an address is free, while the link may still be there.

use std::{
    os::fd::AsFd,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use ropewalk_addr::{IfName, Mac};
use ropewalk_dhcp::{Release, arp};
use ropewalk_linux::{Hears, wait_for_input};

use super::link;

/// How often the next station is asked for its hardware address, and how long each time.
const ATTEMPTS: u32 = 3;
const PATIENCE: Duration = Duration::from_millis(50);

/// What is to be told, and where from.
#[derive(Clone, Debug)]
pub(super) struct Farewell {
    pub(super) netns: PathBuf,
    pub(super) interface: IfName,
    pub(super) release: Release,
}

impl Farewell {
    /// Tells the server; there is no answer.
    pub(super) fn say(&self) {
        if self.send_frame().is_err() {
            let message = &self.release.message;
            link::send_without_link(&self.netns, self.release.server, message);
        }
    }

    /// Tells the server without anybody having to wait for it.
    pub(super) fn say_apart(self) {
        thread::spawn(move || self.say());
    }

    /// The station may have changed since it sent the lease: it is asked for again. If it does not
    /// say, what is known has to do.
    fn send_frame(&self) -> Result<(), String> {
        let socket = link::listen(&self.netns, &self.interface, Hears::DhcpAnswers)?;
        let frame = self.release.frame(self.next_station());
        socket.send(&frame).map_err(|error| error.to_string())
    }

    fn next_station(&self) -> Option<Mac> {
        let Release { hardware, address, next_hop, .. } = self.release;
        let socket = link::listen(&self.netns, &self.interface, Hears::Arp).ok()?;
        let mut buffer = [0; 128];
        for _ in 0..ATTEMPTS {
            socket.send(&arp::question(hardware, address, next_hop)).ok()?;
            let deadline = Instant::now() + PATIENCE;
            // Looked at before each frame: a container may send more than we can read.
            while let Some(left) = deadline.checked_duration_since(Instant::now()) {
                match socket.receive(&mut buffer).map(|frame| arp::answer(frame, next_hop)) {
                    Some(Some(station)) => return Some(station),
                    Some(None) => {}
                    None => wait_for_input(&[socket.as_fd()], Some(left)).ok()?,
                }
            }
        }
        None
    }
}
