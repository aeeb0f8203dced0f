//! Addresses out of a subnet, one file for each as `host-local` writes them, and beside them an
//! index by owner.
//!
//! It must never list the directory: what it costs does not depend on how many addresses are taken.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read, Write},
    net::Ipv4Addr,
    os::unix::fs::{FileExt, symlink},
};

use crate::{Outcome, failed, request::Request};

const LEASES: &str = "/var/lib/cni/networks";
const LAST: &str = "last_reserved_ip.0";

/// An address and what follows from its subnet.
pub(crate) struct Lease {
    pub(crate) address: Ipv4Addr,
    pub(crate) gateway: Ipv4Addr,
    pub(crate) prefix: u8,
}

/// The files of one network.
pub(crate) struct Leases {
    directory: String,
    owner: String,
    /// The first address of the subnet.
    network: u32,
    prefix: u8,
    lock: File,
}

impl Lease {
    /// The first address of the subnet.
    pub(crate) fn network(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.gateway.to_bits() - 1)
    }
}

impl Leases {
    /// Opens the files of the request's network, and locks them as long as this lives.
    pub(crate) fn open(request: &Request) -> Outcome<Self> {
        let (network, prefix) = request.text("subnet")?.split_once('/').unwrap_or_default();
        let network: Ipv4Addr = network.parse().map_err(failed("subnet"))?;
        let directory = format!("{LEASES}/{}", request.text("name")?);
        let lock = format!("{directory}/lock");
        let lock = match File::open(&lock) {
            Ok(lock) => lock,
            Err(_) => {
                begin(&directory).and_then(|()| File::create(lock).map_err(failed("lock")))?
            }
        };
        lock.lock().map_err(failed("lock"))?;
        Ok(Self {
            owner: format!("{directory}.owners/{}:{}", request.container, request.ifname),
            directory,
            network: network.to_bits(),
            prefix: prefix.parse().map_err(failed("subnet"))?,
            lock,
        })
    }

    /// Takes the next free address.
    pub(crate) fn claim(&self, request: &Request) -> Outcome<Lease> {
        let last = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(format!("{}/{LAST}", self.directory))
            .map_err(failed("last address"))?;
        let mut text = [0; 16];
        let length = (&last).read(&mut text).map_err(failed("last address"))?;
        let text = str::from_utf8(&text[..length]).unwrap_or_default();
        let address = self.reserve(text.parse().ok(), request)?;
        symlink(address.to_string(), &self.owner).map_err(failed("index"))?;
        let text = address.to_string();
        last.write_all_at(text.as_bytes(), 0).map_err(failed("last address"))?;
        if text.len() < length {
            last.set_len(text.len() as u64).map_err(failed("last address"))?;
        }
        Ok(self.lease(address))
    }

    fn reserve(&self, last: Option<Ipv4Addr>, request: &Request) -> Outcome<Ipv4Addr> {
        let size = u32::MAX >> self.prefix;
        let mut place = last.map_or(1, |last| last.to_bits().wrapping_sub(self.network));
        for _ in 0..size {
            // The first address is the network's, the second the gateway's, the last for all.
            place = if (1..size - 1).contains(&place) { place + 1 } else { 2 };
            let address = Ipv4Addr::from_bits(self.network + place);
            let file = format!("{}/{address}", self.directory);
            match OpenOptions::new().write(true).create_new(true).open(file) {
                Ok(mut file) => {
                    let owner = format!("{}\r\n{}", request.container, request.ifname);
                    file.write_all(owner.as_bytes()).map_err(failed("lease"))?;
                    return Ok(address);
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed("lease")(error)),
            }
        }
        Err("no address is free".to_owned())
    }

    /// The address that the request's owner has.
    pub(crate) fn find(&self) -> Option<Lease> {
        let address = fs::read_link(&self.owner).ok()?;
        Some(self.lease(address.to_str()?.parse().ok()?))
    }

    /// Gives it back.
    pub(crate) fn release(&self, lease: &Lease) -> Outcome<()> {
        fs::remove_file(format!("{}/{}", self.directory, lease.address))
            .map_err(failed("lease"))?;
        fs::remove_file(&self.owner).map_err(failed("index"))
    }

    /// Lets others have their turn.
    pub(crate) fn unlock(&self) {
        // It would be unlocked at the end in any case.
        let _ = self.lock.unlock();
    }

    /// Waits for another turn.
    pub(crate) fn lock(&self) -> Outcome<()> {
        self.lock.lock().map_err(failed("lock"))
    }

    fn lease(&self, address: Ipv4Addr) -> Lease {
        let gateway = Ipv4Addr::from_bits(self.network + 1);
        Lease { address, gateway, prefix: self.prefix }
    }
}

fn begin(directory: &str) -> Outcome<()> {
    fs::create_dir_all(directory).map_err(failed("leases"))?;
    fs::create_dir_all(format!("{directory}.owners")).map_err(failed("leases"))
}
