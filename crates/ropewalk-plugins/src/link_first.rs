//! ADD for address plugins that speak over the attachment's link: the link is made, then addresses
//! are leased, then the rest is made. It never leaves a link behind that got no addresses.

use ropewalk_cni::{CniError, CniResult};
use ropewalk_linux::Linux;
use ropewalk_netstate::converge;

use crate::{
    device::Given,
    ipam::Ipam,
    texts::{self, and_then},
    verbs::Adding,
};

/// Makes everything. `given` has no addresses yet.
pub(crate) fn add(
    adding: &Adding<'_>,
    kernel: &mut Linux,
    ipam: &Ipam,
    given: Given,
) -> Result<CniResult, CniError> {
    let Adding { device, attachment, .. } = adding;
    let link = device.declare(attachment, &given)?;
    let mut memory = device.memory(attachment);
    kernel.keep_idle_bridges();
    converge::add(kernel, &mut *memory, &link).map_err(texts::converge_error)?;
    kernel.give_up_idle_bridges();
    adding.lease_and_make(kernel, ipam, given, Some(&link)).map_err(|error| {
        let deleted = converge::del(kernel, &mut *memory, &link);
        and_then(error, deleted.map_err(texts::converge_error))
    })
}
