//! Plugins that make or own an interface of the sandbox.

pub(crate) mod bridge;
pub(crate) mod host_device;
pub(crate) mod loopback;
pub(crate) mod ptp;
