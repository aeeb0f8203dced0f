//! Which link of the host somebody means who names hardware: by MAC, by a path in sysfs, by its
//! place on a bus. It only reads. The texts are the reference plugins'.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ropewalk_addr::{IfName, Mac};
use ropewalk_netstate::Place;

use super::Linux;
use crate::{
    error::io_error,
    translate::link::{self, Link},
};

const PCI: &str = "/sys/bus/pci/devices";
const AUXILIARY: &str = "/sys/bus/auxiliary/devices";

/// Drivers that leave a device to programs: the kernel has no link for it.
const USER_SPACE_DRIVERS: [&str; 3] = ["vfio-pci", "uio_pci_generic", "igb_uio"];

/// How a device is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceSelector {
    /// By the name of its link.
    Name(IfName),
    /// By its hardware address; the first link that has it.
    Mac(Mac),
    /// By its folder below `/sys/devices`; the first of its links.
    KernelPath(String),
    /// By its address on the PCI bus; the first of its links.
    Pci(String),
    /// By its name on the auxiliary bus; the first of its links.
    Auxiliary(String),
}

/// A link of the host, as far as it matters for moving it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundDevice {
    /// Its name.
    pub name: IfName,
    /// Its hardware address.
    pub mac: Option<Mac>,
    /// Its alias.
    pub alias: Option<String>,
    /// Whether it is administratively up.
    pub up: bool,
}

impl FoundDevice {
    fn new(link: Link) -> Option<Self> {
        let (name, up) = (link.name.parse().ok()?, link.is_up());
        Some(Self { name, mac: link.mac, alias: link.alias, up })
    }
}

impl Linux {
    /// The link of the host that somebody means, or why there is none.
    pub fn find_device(&mut self, selector: &DeviceSelector) -> Result<FoundDevice, String> {
        match selector {
            DeviceSelector::Name(name) => self.device_named(name),
            DeviceSelector::Mac(mac) => {
                let mut devices = self.devices()?.into_iter();
                let found = devices.find(|device| device.mac == Some(*mac));
                found.ok_or_else(|| "failed to find physical interface".to_owned())
            }
            DeviceSelector::KernelPath(path) => self.first_in(&Path::new(path).join("net")),
            DeviceSelector::Pci(address) => {
                let directory = pci_links(address)
                    .ok_or_else(|| format!("no net directory under pci device {address}"))?;
                self.first_in(&directory)
            }
            DeviceSelector::Auxiliary(name) => {
                self.first_in(&Path::new(AUXILIARY).join(name).join("net"))
            }
        }
    }

    /// All links of the host.
    pub fn devices(&mut self) -> Result<Vec<FoundDevice>, String> {
        let socket = self.route(Place::Host).map_err(|error| error.reason)?;
        let found = socket.dump(&link::list(), |reply| FoundDevice::new(link::read(reply)?));
        found.map_err(|error| format!("failed to list node links: {}", error.reason))
    }

    fn device_named(&mut self, name: &str) -> Result<FoundDevice, String> {
        let found = self.find_link(Place::Host, name).map_err(|error| error.reason)?;
        found.and_then(FoundDevice::new).ok_or_else(|| "Link not found".to_owned())
    }

    fn first_in(&mut self, directory: &Path) -> Result<FoundDevice, String> {
        let shown = directory.display();
        let entries = fs::read_dir(directory).map_err(|error| {
            let reason = io_error(&error, &format!("open {shown}")).reason;
            format!("failed to read directory {shown}: {reason:?}")
        })?;
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        match names.min() {
            Some(name) => self.device_named(&name),
            None => Err(format!("failed to find network device in path {shown}")),
        }
    }
}

/// The folder with the links of a PCI device. That of a virtio device is one level deeper.
fn pci_links(address: &str) -> Option<PathBuf> {
    let device = on_bus(PCI, address)?;
    let own = device.join("net");
    if own.exists() {
        return Some(own);
    }
    let is_virtio = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("virtio") && path.join("net").exists()
    };
    let entries = fs::read_dir(device).ok()?.flatten().map(|entry| entry.path());
    entries.filter(is_virtio).min().map(|path| path.join("net"))
}

/// A device's folder on a bus; `None` for what is no name of one.
fn on_bus(bus: &str, name: &str) -> Option<PathBuf> {
    let is_name = !name.is_empty() && !name.contains('/') && name != "." && name != "..";
    is_name.then(|| Path::new(bus).join(name))
}

/// Whether a device of this address is on the PCI bus.
pub fn is_on_pci_bus(address: &str) -> bool {
    on_bus(PCI, address).is_some_and(|device| device.exists())
}

/// Whether a device of this name is on the auxiliary bus.
pub fn is_on_auxiliary_bus(name: &str) -> bool {
    on_bus(AUXILIARY, name).is_some_and(|device| device.exists())
}

/// Whether a PCI device is left to programs (DPDK), so that there is no link; or why nobody can
/// tell.
pub fn is_in_user_space(address: &str) -> Result<bool, String> {
    let device = on_bus(PCI, address).unwrap_or_else(|| Path::new(PCI).join(address));
    let missing = |path: &Path, error: &std::io::Error| {
        io_error(error, &format!("lstat {}", path.display())).reason
    };
    fs::symlink_metadata(&device).map_err(|error| missing(&device, &error))?;
    let link = device.join("driver");
    let driver = fs::canonicalize(&link).map_err(|error| missing(&link, &error))?;
    let name = driver.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    Ok(USER_SPACE_DRIVERS.contains(&name))
}
