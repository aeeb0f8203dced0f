//! The two network cards of an emulated test host, joined by a wire, for tests that need hardware.
//!
//! They are taken from the emulated machine only, which says on its kernel's command line what it
//! is: the cards of a real machine must never be touched.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::Lab;

/// A test that has a card keeps others from it.
static CARDS: [Mutex<()>; 2] = [Mutex::new(()), Mutex::new(())];

/// A network card that a private host has for one test.
#[derive(Debug)]
pub struct Card {
    /// The name of its link.
    pub name: String,
    /// Its hardware address.
    pub mac: String,
    /// Its address on the PCI bus.
    pub bus_address: String,
    _alone: MutexGuard<'static, ()>,
}

impl Lab {
    /// Takes a card, number 1 or 2, into this host, down; nothing on a machine that is not
    /// emulated. When a host vanishes, the kernel gives its cards back to the machine.
    pub fn take_card(&self, number: usize) -> Option<Card> {
        let options = fs::read_to_string("/proc/cmdline").expect("/proc is mounted");
        if !options.contains("ropewalk.host=") {
            return None;
        }
        let alone = CARDS[number - 1].lock().unwrap_or_else(PoisonError::into_inner);
        let mac = format!("52:54:00:00:00:0{number}");
        let (name, _) = self.fetch_card(&mac);
        // A virtio device lies in the folder of its PCI device.
        let device = self.sh(&format!("realpath /sys/class/net/{name}/device/.."));
        let bus_address = device.rsplit('/').next().expect("a path has a last part").to_owned();
        self.sh(&format!("ip link set {name} down alias ''"));
        Some(Card { name, mac, bus_address, _alone: alone })
    }

    /// Waits until the machine has the card of this hardware address, and moves it into this host;
    /// its name and its alias.
    pub fn fetch_card(&self, mac: &str) -> (String, Option<String>) {
        let mut found = None;
        self.wait_until("the machine has the card", || {
            found = machine_links().into_iter().find(|link| link["address"] == mac);
            found.is_some()
        });
        let link = found.expect("it has been waited for");
        let name = link["ifname"].as_str().expect("a link has a name").to_owned();
        let moved = Command::new("ip")
            .args(["link", "set", &name, "netns", &self.pid().to_string()])
            .status()
            .expect("ip is installed");
        assert!(moved.success(), "{name} cannot be moved");
        (name, link["ifalias"].as_str().map(str::to_owned))
    }
}

fn machine_links() -> Vec<Value> {
    let output = Command::new("ip").args(["-j", "link", "show"]).stdin(Stdio::null()).output();
    let output = output.expect("ip is installed").stdout;
    serde_json::from_slice(&output).expect("ip answers JSON")
}
