//! Plugins that make or own an interface of the sandbox.

pub mod bridge;
pub mod loopback;
