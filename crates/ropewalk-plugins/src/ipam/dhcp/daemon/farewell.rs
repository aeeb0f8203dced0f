//! Telling a server that an address is free, while the link may still be there.

use std::{
    os::fd::AsFd,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use ropewalk_addr::{Family, IfName, Mac};
use ropewalk_dhcp::{self as v4, arp, v6};
use ropewalk_linux::{Hears, wait_for_input};

use super::{
    client::{Release, Socket},
    link,
};

/// How often the next station is asked for its hardware address, or a server of DHCPv6 is told, and
/// how long each time.
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
    /// Tells the server. Where nobody hears it the lease ends by itself.
    pub(super) fn say(&self) {
        match &self.release {
            Release::V4(release) => {
                if self.send_frame(release).is_err() {
                    link::send_without_link(&self.netns, release.server, &release.message);
                }
            }
            // There is no other way than over the link.
            Release::V6(release) => drop(self.send_until_answered(release)),
        }
    }

    /// Tells the server without anybody having to wait for it.
    pub(super) fn say_apart(self) {
        thread::spawn(move || self.say());
    }

    /// The station may have changed since it sent the lease: it is asked for again. If it does not
    /// say, what is known has to do.
    fn send_frame(&self, release: &v4::Release) -> Result<(), String> {
        let socket = link::listen(&self.netns, &self.interface, Hears::DhcpAnswers)?;
        let frame = release.frame(self.next_station(release));
        socket.send(&frame).map_err(|error| error.to_string())
    }

    fn send_until_answered(&self, release: &v6::Release) -> Result<(), String> {
        let socket = Socket::open(&self.netns, &self.interface, Family::V6)?;
        let mut buffer = [0; 2048];
        for _ in 0..ATTEMPTS {
            socket.send(&release.message())?;
            let deadline = Instant::now() + PATIENCE;
            while let Some(left) = deadline.checked_duration_since(Instant::now()) {
                match socket.receive(&mut buffer).map(|bytes| release.is_answered_by(bytes)) {
                    Some(true) => return Ok(()),
                    Some(false) => {}
                    None => {
                        wait_for_input(&[socket.as_fd()], Some(left))
                            .map_err(|error| error.to_string())?;
                    }
                }
            }
        }
        Ok(())
    }

    fn next_station(&self, release: &v4::Release) -> Option<Mac> {
        let v4::Release { hardware, address, next_hop, .. } = *release;
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
                    None => {
                        wait_for_input(&[socket.as_fd()], Some(left)).ok()?;
                    }
                }
            }
        }
        None
    }
}
