//! Offloads of links: read and set, all or none.

use std::collections::BTreeMap;

use ropewalk_netstate::{KernelError, Place, resource::Offloads};
use rustix::io::Errno;

use super::{Linux, observe::absent_is_none};
use crate::{
    error::error_with,
    translate::offload::{self, States},
};

/// The wanted offloads as they are; `None` if there is no such link.
pub(super) fn find(
    linux: &mut Linux,
    place: Place,
    wanted: &Offloads,
) -> Result<Option<Offloads>, KernelError> {
    let Some(link) = linux.find_link(place, &wanted.link)? else { return Ok(None) };
    let family = family(linux, place)?;
    let states = states(linux, place, family, link.index)?;
    Ok(Some(offload::found(wanted, &states)))
}

/// Sets offloads. The kernel says nothing about what it does not do, so that it is looked at.
pub(super) fn set(linux: &mut Linux, place: Place, wanted: &Offloads) -> Result<(), KernelError> {
    let index = linux.index_of(place, &wanted.link)?;
    let family = family(linux, place)?;
    let before = states(linux, place, family, index)?;
    let changes = changes(wanted, &before)?;
    linux.generic(place)?.request(offload::set(family, index, &changes))?;
    let after = states(linux, place, family, index)?;
    let is_off = |(name, _): &(&&str, &bool)| {
        let wanted = wanted.offloads.get(**name).filter(|wanted| !wanted.optional);
        let found = after.get(**name);
        wanted.zip(found).is_some_and(|(wanted, found)| wanted.on != found.on)
    };
    let Some((name, on)) = changes.iter().find(is_off) else { return Ok(()) };
    let before = changes.keys().filter_map(|name| Some((*name, before.get(*name)?.on)));
    linux.generic(place)?.request(offload::set(family, index, &before.collect()))?;
    let state = if *on { "on" } else { "off" };
    let reason = format!("{name} of {} cannot be {state} without others", wanted.link);
    Err(error_with(Errno::OPNOTSUPP, reason))
}

/// What to ask for: an offload that is missing or fixed is an error, unless it is optional.
fn changes<'a>(
    wanted: &'a Offloads,
    states: &States,
) -> Result<BTreeMap<&'a str, bool>, KernelError> {
    let mut changes = BTreeMap::new();
    for (name, want) in &wanted.offloads {
        match states.get(name) {
            Some(state) if state.can_change => {
                changes.insert(name.as_str(), want.on);
            }
            Some(state) if state.on == want.on || want.optional => {}
            None if want.optional => {}
            Some(_) => {
                let reason = format!("{name} of {} cannot be changed", wanted.link);
                return Err(error_with(Errno::OPNOTSUPP, reason));
            }
            None => {
                let reason = format!("there is no offload {name:?}");
                return Err(error_with(Errno::OPNOTSUPP, reason));
            }
        }
    }
    Ok(changes)
}

fn states(linux: &mut Linux, place: Place, family: u16, index: u32) -> Result<States, KernelError> {
    let found = linux.generic(place)?.get(offload::list(family, index), offload::read)?;
    Ok(found.unwrap_or_default())
}

/// The number under which this kernel knows its ethtool interface.
fn family(linux: &mut Linux, place: Place) -> Result<u16, KernelError> {
    let found = linux.generic(place)?.get(offload::find_family(), offload::read_family);
    absent_is_none(found)?.ok_or_else(|| {
        error_with(Errno::OPNOTSUPP, "the kernel has no ethtool interface (Linux 5.6 has)")
    })
}
