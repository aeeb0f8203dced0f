//! The plugin `host-local`: addresses from ranges, leases in files that the reference plugin can
//! go on with, and the other way round.

mod allocate;
mod config;
mod keys;
pub(crate) mod ranges;
pub(crate) mod resolv_conf;

use std::{collections::HashSet, fs, path::Path};

use ropewalk_cni::{CniError, CniResult, ErrorCode, IpConfig, Request, valid_attachments};
use ropewalk_store::{Holder, Lease, LeaseDirectory, LockedLeases};

use self::{allocate::Wanted, config::Config};
use super::{IpamPlugin, newer::newer_holders};
use crate::texts::store_error;

pub(crate) use config::{addresses, addresses_of_args, path, raw_range};
pub(crate) use keys::DESCRIPTION;

/// The plugin.
pub(crate) struct HostLocal;

impl IpamPlugin for HostLocal {
    fn claim(&self, request: &Request) -> Result<CniResult, CniError> {
        let config = Config::read(request)?;
        let dns = config.resolv_conf.as_deref().map(resolv_conf::read).transpose()?;
        let leases = lock(&config, request)?;
        let holder = holder(request);
        let mut claimed = Vec::new();
        let ips = claim_all(&leases, &config, &holder, &mut claimed).inspect_err(|_| {
            for ip in &claimed {
                // The lease of a failed ADD; a file that cannot be removed is found by GC.
                let _ = leases.release(*ip);
            }
        })?;
        Ok(CniResult {
            interfaces: Vec::new(),
            ips,
            routes: config.routes,
            dns: dns.unwrap_or_default(),
        })
    }

    fn preview(&self, request: &Request) -> Result<CniResult, CniError> {
        let config = Config::read(request)?;
        let directory = directory(&config, request);
        let leased = leases(&config, &directory)?;
        let ips = allocate::preview(&config, &leased, |set| directory.last_reserved(set))?;
        Ok(CniResult { ips, routes: config.routes, ..CniResult::default() })
    }

    fn confirm(&self, request: &Request) -> Result<(), CniError> {
        let config = Config::read(request)?;
        let held =
            lock(&config, request)?.held_by(&holder(request)).map_err(|e| store_error(&e))?;
        if held.is_empty() {
            return Err(CniError::internal(format!(
                "host-local: Failed to find address added by container {}",
                request.container_id
            )));
        }
        Ok(())
    }

    fn release(&self, request: &Request) -> Result<(), CniError> {
        let config = Config::read(request)?;
        let leases = lock(&config, request)?;
        leases.release_all(&holder(request)).map(|_| ()).map_err(|e| store_error(&e))
    }

    fn collect(&self, request: &Request) -> Result<(), CniError> {
        let Some(valid) = valid_attachments(&request.raw)? else {
            return Ok(());
        };
        let config = Config::read(request)?;
        let leases = lock(&config, request)?;
        let newer = newer_holders(&directory(&config, request), &valid)?;
        let valid = valid.attachments.iter();
        let valid = valid.map(|id| Holder::new(&id.container_id, &id.ifname)).chain(newer);
        leases.retain(&valid.collect()).map(|_| ()).map_err(|e| store_error(&e))
    }

    /// Some range set without a free address means that no ADD can succeed.
    fn status(&self, request: &Request) -> Result<(), CniError> {
        let config = Config::read(request)?;
        let taken = leases(&config, &directory(&config, request))?;
        let taken: HashSet<_> = taken.into_iter().map(|lease| lease.ip).collect();
        for set in &config.sets {
            if set.candidates(None).all(|(ip, _)| taken.contains(&ip)) {
                return Err(CniError::new(
                    ErrorCode::NotAvailable,
                    format!("no IP addresses available in range set: {set}"),
                )
                .with_details("hint: GC the network, or enlarge the range"));
            }
        }
        Ok(())
    }
}

fn holder(request: &Request) -> Holder {
    Holder::new(&request.container_id, &request.ifname)
}

fn directory(config: &Config, request: &Request) -> LeaseDirectory {
    let data = config.data_directory.as_deref().unwrap_or(Path::new(LeaseDirectory::DEFAULT));
    LeaseDirectory::new(data, &request.network)
}

fn lock(config: &Config, request: &Request) -> Result<LockedLeases, CniError> {
    let directory = directory(config, request).indexed_in(Path::new(LeaseDirectory::INDICES));
    let leases = directory.lock().map_err(|error| store_error(&error))?;
    if config.forget_on_reboot {
        leases.forget_earlier_boot(&boot_id()?).map_err(|error| store_error(&error))?;
    }
    Ok(leases)
}

/// The leases that count, changing nothing.
fn leases(config: &Config, directory: &LeaseDirectory) -> Result<Vec<Lease>, CniError> {
    let forgotten = config.forget_on_reboot
        && directory.is_of_earlier_boot(&boot_id()?).map_err(|error| store_error(&error))?;
    if forgotten {
        return Ok(Vec::new());
    }
    directory.leases().map_err(|error| store_error(&error))
}

/// What the kernel calls this boot.
fn boot_id() -> Result<String, CniError> {
    const PATH: &str = "/proc/sys/kernel/random/boot_id";
    let id = fs::read_to_string(PATH)
        .map_err(|error| CniError::internal(format!("failed to read {PATH}: {error}")))?;
    Ok(id.trim().to_owned())
}

/// One address from each range set; `claimed` tells what was reserved on the way.
fn claim_all(
    leases: &LockedLeases,
    config: &Config,
    holder: &Holder,
    claimed: &mut Vec<std::net::IpAddr>,
) -> Result<Vec<IpConfig>, CniError> {
    let mut wanted = Wanted::new(&config.requested);
    let mut ips = Vec::new();
    for (index, set) in config.sets.iter().enumerate() {
        let ip = allocate::one(leases, index, set, holder, &mut wanted)
            .map_err(|error| error.prefixed(format!("failed to allocate for range {index}")))?;
        claimed.push(ip.address.ip);
        ips.push(ip);
    }
    wanted.all_served()?;
    Ok(ips)
}
