//! The keys of `host-device`, for documentation and editors.

use super::config;
use crate::describe::{
    Class, Description, Key, Kind,
    common::{self, ACCEPT_RA, DETECT_DUPLICATES, IPAM, WAIT_FOR_RA},
    flag, key,
};

pub(crate) const DESCRIPTION: Description = Description {
    keys: KEYS,
    runtime: &[key(
        "deviceID",
        Kind::Text,
        "A device on the PCI bus, which replaces `pciBusID`, or on the auxiliary bus. `runtime \
         config DeviceID … not found or unsupported`",
    )
    .example("0000:00:04.0")],
    ..Description::new(
        "host-device",
        Class::Interface,
        "gives a container a device of the host for a while",
        config::lint,
    )
};

const KEYS: &[Key] = &[
    key(
        "device",
        Kind::InterfaceName,
        "Name of its link on the host. `failed to find host device: Link not found`",
    )
    .example("ens5")
    .refuses(&[(
        "a/b",
        "failed to find host device: interface name contains / or : or whitespace characters",
    )]),
    key(
        "hwaddr",
        Kind::Mac,
        "The first link with this address. `… failed to find physical interface`",
    )
    .example("52:54:00:00:00:02")
    .refuses(&[(
        "zz",
        "failed to find host device: failed to parse MAC address \"zz\": address zz: invalid \
             MAC address",
    )]),
    key(
        "kernelpath",
        Kind::Path,
        "A folder below `/sys/devices/` with a folder `net`; its first link",
    )
    .example("/sys/devices/pci0000:00/0000:00:04.0")
    .refuses(&[(
        "/tmp/x",
        "failed to find host device: kernel device path \"/tmp/x\" must be absolute and begin with \
         /sys/devices/",
    )]),
    key(
        "pciBusID",
        Kind::Text,
        "Address on the PCI bus; the first link of the device, or of the virtio device on it. \
         `error with host device: lstat /sys/bus/pci/devices/…: no such file or directory`, `… no \
         net directory under pci device …`",
    )
    .example("0000:00:04.0"),
    flag(
        "dpdkMode",
        "The device is left to programs, so that there is no link: nothing is moved, addresses are \
         only told. With a PCI address the device's driver decides instead: `vfio-pci`, \
         `uio_pci_generic` and `igb_uio` mean it",
    ),
    DETECT_DUPLICATES,
    ACCEPT_RA,
    WAIT_FOR_RA,
    common::dns("DNS for the result. What IPAM says of it is dropped"),
    IPAM.absent("the device is only set up"),
];
