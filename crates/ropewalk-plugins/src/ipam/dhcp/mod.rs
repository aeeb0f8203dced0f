//! The plugin `dhcp`: addresses from the network's own servers. The plugin ends after each call,
//! but a lease has to be renewed, so that a daemon holds it; the plugin only asks.
//!
//! Either end may be the reference's. The plugin never speaks to a DHCP server itself.

mod config;
mod connection;
mod daemon;
mod keys;
mod result;

use ropewalk_cni::{CniError, CniResult, ErrorCode, Request, prev_result, valid_attachments};
use ropewalk_dhcp::rpc::{ALLOCATE, Arguments, COLLECT, CONFIRM, RELEASE};

use self::{config::Config, connection::CallError};
use super::IpamPlugin;

pub use daemon::main as run_daemon;
pub(crate) use keys::DESCRIPTION;

/// The plugin.
pub(crate) struct Dhcp;

impl IpamPlugin for Dhcp {
    fn claim(&self, request: &Request) -> Result<CniResult, CniError> {
        let config = Config::of(request)?;
        Ok(result::read(&connection::call(&config.socket, ALLOCATE, &arguments(request)?)?))
    }

    fn preview(&self, _request: &Request) -> Result<CniResult, CniError> {
        Err(CniError::internal("cannot foresee which address a DHCP server would give"))
    }

    /// The reference daemon can only be asked to lease once more, which it answers with the lease
    /// that is there.
    fn confirm(&self, request: &Request) -> Result<(), CniError> {
        let config = Config::of(request)?;
        let arguments = arguments(request)?;
        let answer = match connection::call(&config.socket, CONFIRM, &arguments) {
            Err(CallError::UnknownMethod) => connection::call(&config.socket, ALLOCATE, &arguments),
            answer => answer,
        };
        let held = result::read(&answer?);
        let previous = prev_result(&request.raw)?.unwrap_or_default();
        let is_told = |address| previous.ips.iter().any(|ip| ip.address == address);
        match held.ips.iter().find(|ip| !previous.ips.is_empty() && !is_told(ip.address)) {
            Some(ip) => Err(CniError::internal(format!(
                "dhcp: container {} holds a lease for {}, which is not in prevResult",
                request.container_id, ip.address
            ))),
            None => Ok(()),
        }
    }

    fn release(&self, request: &Request) -> Result<(), CniError> {
        let config = Config::of(request)?;
        connection::call(&config.socket, RELEASE, &arguments(request)?)?;
        Ok(())
    }

    fn collect(&self, request: &Request) -> Result<(), CniError> {
        let config = Config::of(request)?;
        if valid_attachments(&request.raw)?.is_none() {
            return Ok(());
        }
        match connection::call(&config.socket, COLLECT, &arguments(request)?) {
            // The reference daemon knows of no GC.
            Ok(_) | Err(CallError::UnknownMethod) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn status(&self, request: &Request) -> Result<(), CniError> {
        let config = Config::of(request)?;
        connection::dial(&config.socket).map(drop).map_err(|error| {
            CniError::new(ErrorCode::NotAvailable, CniError::from(error).msg)
                .with_details("hint: start the daemon, `ropewalk dhcp-daemon`")
        })
    }
}

/// What the daemon is told. It may have another working directory, so that the namespace's path is
/// made absolute.
fn arguments(request: &Request) -> Result<Arguments, CniError> {
    let netns = match request.netns.as_deref() {
        None => String::new(),
        Some(path) => {
            let absolute = std::path::absolute(path).map_err(|error| {
                CniError::internal(format!("failed to make {path:?} an absolute path: {error}"))
            })?;
            absolute.to_string_lossy().into_owned()
        }
    };
    Ok(Arguments {
        container: request.container_id.clone(),
        netns,
        interface: request.ifname.clone(),
        args: request.args.clone(),
        path: request.path.join(":"),
        configuration: request.stdin.clone().into_bytes(),
    })
}
