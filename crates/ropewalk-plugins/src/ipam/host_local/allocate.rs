//! Which address an attachment gets from a range set.

use std::net::IpAddr;

use ropewalk_cni::{Cidr, CniError, IpConfig};
use ropewalk_store::{Holder, Lease, LockedLeases};

use super::{
    config::Config,
    ranges::{Range, RangeSet},
};
use crate::texts::store_error;

/// Addresses that were asked for and not served yet.
#[derive(Debug)]
pub(crate) struct Wanted(Vec<IpAddr>);

impl Wanted {
    pub(crate) fn new(requested: &[IpAddr]) -> Self {
        let mut wanted = requested.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        Self(wanted)
    }

    /// The first address that lies in the set. It is taken off the list.
    fn take(&mut self, set: &RangeSet) -> Option<IpAddr> {
        let index = self.0.iter().position(|ip| set.range_of(*ip).is_some())?;
        Some(self.0.remove(index))
    }

    /// No address may be left over.
    pub(crate) fn all_served(&self) -> Result<(), CniError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let left: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        Err(CniError::internal(format!("failed to allocate all requested IPs: {}", left.join(" "))))
    }
}

/// One address from a range set: the one asked for, else the next free one.
pub(crate) fn one(
    leases: &LockedLeases,
    index: usize,
    set: &RangeSet,
    holder: &Holder,
    wanted: &mut Wanted,
) -> Result<IpConfig, CniError> {
    match wanted.take(set) {
        Some(ip) => requested(leases, set, holder, ip),
        None => next_free(leases, index, set, holder),
    }
}

fn requested(
    leases: &LockedLeases,
    set: &RangeSet,
    holder: &Holder,
    ip: IpAddr,
) -> Result<IpConfig, CniError> {
    let unavailable = || {
        CniError::internal(format!("requested IP address {ip} is not available in range set {set}"))
    };
    let range = set.range_of(ip).ok_or_else(unavailable)?;
    if ip == range.gateway {
        return Err(CniError::internal(format!("requested ip {ip} is subnet's gateway")));
    }
    if range.excludes(ip) {
        return Err(CniError::internal(format!("requested ip {ip} is excluded from {range}")));
    }
    if leases.reserve(ip, holder).map_err(|error| store_error(&error))? {
        Ok(config(ip, range))
    } else {
        Err(unavailable())
    }
}

fn next_free(
    leases: &LockedLeases,
    index: usize,
    set: &RangeSet,
    holder: &Holder,
) -> Result<IpConfig, CniError> {
    let held = leases.held_by(holder).map_err(|error| store_error(&error))?;
    if let Some(ip) = held.iter().find(|ip| set.range_of(**ip).is_some()) {
        return Err(CniError::internal(format!(
            "{ip} has been allocated to {}, duplicate allocation is not allowed",
            holder.container
        )));
    }
    for (ip, range) in set.candidates(leases.last_reserved(index)) {
        if leases.reserve(ip, holder).map_err(|error| store_error(&error))? {
            leases.set_last_reserved(index, ip).map_err(|error| {
                // Without the reservation the failed ADD has left nothing.
                let _ = leases.release(ip);
                store_error(&error)
            })?;
            return Ok(config(ip, range));
        }
    }
    Err(CniError::internal(format!("no IP addresses available in range set: {set}")))
}

/// What would be allocated, given these leases: the requested address or the next free one.
pub(crate) fn preview(
    config: &Config,
    leased: &[Lease],
    last_reserved: impl Fn(usize) -> Option<IpAddr>,
) -> Result<Vec<IpConfig>, CniError> {
    let mut wanted = Wanted::new(&config.requested);
    let is_free = |ip: IpAddr| leased.iter().all(|lease| lease.ip != ip);
    let one = |(index, set): (usize, &RangeSet)| {
        let ip = match wanted.take(set) {
            Some(ip) => Some(ip).filter(|ip| {
                is_free(*ip) && set.range_of(*ip).is_some_and(|range| !range.excludes(*ip))
            }),
            None => set.candidates(last_reserved(index)).map(|(ip, _)| ip).find(|ip| is_free(*ip)),
        };
        let range = ip.and_then(|ip| Some((ip, set.range_of(ip)?)));
        let (ip, range) = range.ok_or_else(|| {
            CniError::internal(format!("no IP addresses available in range set: {set}"))
        })?;
        Ok(self::config(ip, range))
    };
    config.sets.iter().enumerate().map(one).collect()
}

fn config(ip: IpAddr, range: &Range) -> IpConfig {
    let address = Cidr { ip, prefix: range.subnet.length() };
    IpConfig { interface: None, address, gateway: Some(range.gateway) }
}
