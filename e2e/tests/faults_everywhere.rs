//! Every system call of every plugin fails in every way, or is the last one: whatever was begun is
//! undone by what the runtime does next, and nobody else notices.
//!
//! A seed chooses some hundreds for each plugin; `ROPEWALK_FAULTS=all` tries them all.

use ropewalk_e2e::{PLUGIN_NAMES, faults::try_faults};

/// How many faults are chosen of each plugin. Not all come to pass: a call may not be made when
/// another container has come in between.
const FAULTS: usize = 200;

/// A test for each plugin, so that they are told apart and run beside each other.
macro_rules! tests_of_each {
    ($($name:ident: $plugin:literal,)*) => {
        const TESTED: &[&str] = &[$($plugin),*];
        $(
            #[test]
            fn $name() {
                try_faults($plugin, FAULTS);
            }
        )*
    };
}

tests_of_each! {
    bandwidth: "bandwidth",
    bridge: "bridge",
    dhcp: "dhcp",
    dummy: "dummy",
    firewall: "firewall",
    host_device: "host-device",
    host_local: "host-local",
    ipvlan: "ipvlan",
    loopback: "loopback",
    macvlan: "macvlan",
    portmap: "portmap",
    ptp: "ptp",
    sbr: "sbr",
    r#static: "static",
    tap: "tap",
    tuning: "tuning",
    vlan: "vlan",
    vrf: "vrf",
}

#[test]
fn no_plugin_is_left_out() {
    assert_eq!(TESTED, PLUGIN_NAMES);
}
