//! ADD where the link is made before addresses are known: for address plugins that speak over the
//! attachment's link, and for those that take their time, which begin first and go on while the
//! kernel makes it. It never leaves a link behind that got no addresses.

use std::thread;

use ropewalk_cni::{CniError, CniResult, Request};
use ropewalk_linux::{LinksInAdvance, Linux};
use ropewalk_netstate::{Desired, converge};

use crate::{
    device::Given,
    ipam::{Claim, Gate, Ipam, SlowIpam},
    texts::{self, and_then},
    verbs::Adding,
};

/// A link that was made before the rest.
pub(crate) struct MadeLink<'a> {
    pub(crate) desired: &'a Desired,
    /// What was known before, if that was only a moment ago.
    pub(crate) before: Option<LinksInAdvance>,
}

/// An ADD whose addresses come from a slow plugin of ours. What that may do for nothing goes on
/// while the rest gets ready, the claim itself while the kernel makes the link.
pub(crate) fn beside(
    adding: &Adding<'_>,
    ipam: &Ipam,
    slow: &'static dyn SlowIpam,
) -> Result<CniResult, CniError> {
    thread::scope(|scope| {
        let (key, gate) = Gate::closed();
        let claim = Claim::on_thread(slow, gate, scope, adding.request)?;
        let (mut kernel, given) = adding.look()?;
        adding.refuse_second(&mut kernel, &given)?;
        key.turn();
        add(adding, &mut kernel, ipam, Some(claim), given)
    })
}

/// Makes everything. `given` has no addresses yet; if no claim has begun, one is made when the link
/// is there.
pub(crate) fn add(
    adding: &Adding<'_>,
    kernel: &mut Linux,
    ipam: &Ipam,
    early: Option<Claim>,
    given: Given,
) -> Result<CniResult, CniError> {
    let Adding { device, attachment, request } = adding;
    let mut memory = device.memory(attachment);
    let before = kernel.links_in_advance();
    let made = device.declare(attachment, &given).and_then(|link| {
        let done = converge::add(kernel, &mut *memory, &link).map_err(texts::converge_error)?;
        Ok((link, done))
    });
    kernel.give_up_idle_bridges();
    let (link, done) = match made {
        Ok(made) => made,
        Err(error) => return Err(and_then(error, give_back(ipam, early, request))),
    };
    let (leased, before) = match early {
        Some(claim) => (claim.end(request), Some(before)),
        None => (ipam.claim(request), None),
    };
    let added = leased.and_then(|layer3| {
        let given = Given { layer3: Some(layer3), ..given };
        let made = MadeLink { desired: &link, before };
        adding.make_or_release(kernel, ipam, &given, Some(made))
    });
    added.map_err(|error| {
        let undone = converge::undo(kernel, &mut *memory, &done);
        and_then(error, undone.map_err(texts::converge_error))
    })
}

/// What a claim has leased for a link that could not be made is of no use to anybody.
fn give_back(ipam: &Ipam, early: Option<Claim>, request: &Request) -> Result<(), CniError> {
    match early.map(|claim| claim.end(request)) {
        Some(Ok(_)) => ipam.release(request),
        Some(Err(_)) | None => Ok(()),
    }
}
