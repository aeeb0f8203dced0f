//! Address management: the one kind of plugin that answers with a value. `claim`, `confirm` and
//! `release` are what ADD, CHECK and DEL are for the others.

mod delegate;
pub(crate) mod dhcp;
mod execution;
mod gate;
pub(crate) mod host_local;
mod newer;
pub mod sql;
pub(crate) mod static_addresses;

use std::time::Duration;

use ropewalk_cni::{AttachmentId, CniError, CniResult, Command, Request};

pub use gate::Gate;

pub(crate) use delegate::{Claim, Ipam, preview};
pub(crate) use newer::newer_attachments;

/// Whether the plugin of this type, ours or another, speaks over the attachment's link, which then
/// has to be there when addresses are leased and when they are given back.
pub(crate) fn needs_link(name: &str) -> bool {
    name == "dhcp"
}

/// An IPAM plugin.
pub trait IpamPlugin: Sync {
    /// Leases addresses to the attachment. A failure leaves nothing leased.
    fn claim(&self, request: &Request) -> Result<CniResult, CniError>;

    /// The plugin, if its claims take so long that the rest of an ADD should not wait for them.
    fn slow(&self) -> Option<&dyn SlowIpam> {
        None
    }

    /// The addresses that a claim would lease now, leasing nothing.
    fn preview(&self, request: &Request) -> Result<CniResult, CniError>;

    /// Whether the attachment still has its lease.
    fn confirm(&self, request: &Request) -> Result<(), CniError>;

    /// Gives back what the attachment has leased; nothing is fine.
    fn release(&self, request: &Request) -> Result<(), CniError>;

    /// Gives back what attachments lease that are not valid.
    fn collect(&self, _request: &Request) -> Result<(), CniError> {
        Ok(())
    }

    /// Whether a claim could succeed now: error 50 where it could not.
    fn status(&self, _request: &Request) -> Result<(), CniError> {
        Ok(())
    }
}

/// An IPAM plugin whose claims take their time: they go on while the link is made.
pub trait SlowIpam: Sync {
    /// As [`IpamPlugin::claim`]. What comes before the gate may be for nothing and changes nothing.
    fn claim_behind(&self, gate: &Gate, request: &Request) -> Result<CniResult, CniError>;

    /// The attachments that have leases from that moment on, as the time since 1970: a runtime that
    /// made its list of valid ones then could not know them.
    fn since(&self, request: &Request, moment: Duration) -> Result<Vec<AttachmentId>, CniError>;
}

impl std::fmt::Debug for dyn IpamPlugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IpamPlugin")
    }
}

/// Does what the request asks for. The answer goes to standard output.
pub(crate) fn run(plugin: &dyn IpamPlugin, request: &Request) -> Result<String, CniError> {
    match request.command {
        Command::Add => {
            let result = plugin.claim(request)?;
            result.to_json(request.version).inspect_err(|_| {
                // The lease is of no use to a caller who cannot be told; the error to tell is
                // the first one.
                let _ = plugin.release(request);
            })
        }
        Command::Check => plugin.confirm(request).map(|()| String::new()),
        Command::Del => plugin.release(request).map(|()| String::new()),
        Command::Gc => plugin.collect(request).map(|()| String::new()),
        Command::Status => plugin.status(request).map(|()| String::new()),
        Command::Version => Ok(String::new()),
    }
}
