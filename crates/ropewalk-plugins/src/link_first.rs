//! ADD for address plugins that speak over the attachment's link: the link is made, then addresses
//! are leased, then the rest is made. It never leaves a link behind that got no addresses.

use ropewalk_cni::{CniError, CniResult, Request};
use ropewalk_linux::Linux;
use ropewalk_netstate::{Desired, Kernel, Observed, converge};

use crate::{
    device::{Attachment, Device, Given},
    ipam::Ipam,
    texts,
    verbs::{links, refuse_unusable},
};

/// One ADD.
pub(crate) struct LinkFirst<'a> {
    pub(crate) device: &'a dyn Device,
    pub(crate) request: &'a Request,
    pub(crate) attachment: &'a Attachment,
    pub(crate) ipam: &'a Ipam,
}

impl LinkFirst<'_> {
    /// Makes everything. `given` has no addresses yet.
    pub(crate) fn add(&self, kernel: &mut Linux, given: Given) -> Result<CniResult, CniError> {
        let Self { device, attachment, .. } = self;
        let link = device.declare(attachment, &given)?;
        let mut memory = device.memory(attachment);
        // From here on the link itself keeps the bridge that it is a port of.
        let in_use = kernel.keep_idle_bridges();
        converge::add(kernel, &mut *memory, &link)
            .map_err(|error| texts::converge_error(&error))?;
        drop(in_use);
        self.lease(kernel, given, &link).map_err(|error| {
            match converge::del(kernel, &mut *memory, &link) {
                Ok(()) => error,
                Err(second) => and_then(error, &texts::converge_error(&second)),
            }
        })
    }

    /// Leases addresses over the link, and gives them back while it is there if the rest fails.
    fn lease(
        &self,
        kernel: &mut Linux,
        given: Given,
        link: &Desired,
    ) -> Result<CniResult, CniError> {
        let given = Given { layer3: Some(self.ipam.claim(self.request)?), ..given };
        self.complete(kernel, &given, link).map_err(|error| match self.ipam.release(self.request) {
            Ok(()) => error,
            Err(second) => and_then(error, &second),
        })
    }

    fn complete(
        &self,
        kernel: &mut Linux,
        given: &Given,
        link: &Desired,
    ) -> Result<CniResult, CniError> {
        let Self { device, request, attachment, .. } = self;
        refuse_unusable(given)?;
        let desired = device.declare(attachment, given)?;
        device.result(attachment, given, &Observed::new()).to_value(request.version)?;
        converge::add(kernel, &mut *device.memory(attachment), &desired.without(link))
            .map_err(|error| texts::converge_error(&error))?;
        let observed = kernel
            .observe(&links(&desired))
            .map_err(|error| CniError::internal(error.to_string()))?;
        Ok(device.result(attachment, given, &observed))
    }
}

/// An error, and one that came of cleaning up after it.
fn and_then(first: CniError, second: &CniError) -> CniError {
    let details = format!("{}; and then: {second}", first.details);
    first.with_details(details.trim_start_matches("; "))
}
