//! ADD for address plugins that speak over the attachment's link: the link is made, then addresses
//! are leased, then the rest is made. It never leaves a link behind that got no addresses.

use ropewalk_cni::{CniError, CniResult, Request};
use ropewalk_linux::Linux;
use ropewalk_netstate::converge;

use crate::{
    device::{Attachment, Device, Given},
    ipam::Ipam,
    texts::{self, and_then},
    verbs::lease_and_make,
};

/// Makes everything. `given` has no addresses yet.
pub(crate) fn add(
    device: &dyn Device,
    kernel: &mut Linux,
    request: &Request,
    attachment: &Attachment,
    ipam: &Ipam,
    given: Given,
) -> Result<CniResult, CniError> {
    let link = device.declare(attachment, &given)?;
    let mut memory = device.memory(attachment);
    let in_use = kernel.keep_idle_bridges();
    converge::add(kernel, &mut *memory, &link).map_err(texts::converge_error)?;
    drop(in_use);
    let made = lease_and_make(device, kernel, request, attachment, ipam, given, Some(&link));
    made.map_err(|error| {
        let deleted = converge::del(kernel, &mut *memory, &link);
        and_then(error, deleted.map_err(texts::converge_error))
    })
}
