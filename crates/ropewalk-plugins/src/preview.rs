//! What an ADD would do, item by item, without doing it.

use ropewalk_cni::{CniError, CniResult, Environment, Request};
use ropewalk_linux::{Linux, Netns};
use ropewalk_netstate::{Observed, Plan, converge};

use crate::{
    device::{Attachment, Given},
    ipam, packet_filters,
    table::{self, Kind},
    texts,
};

/// What the ADD of one plugin would do.
#[derive(Debug)]
pub struct Preview {
    /// The steps.
    pub plan: Plan,
    /// The result it would hand to the next plugin; hardware addresses are not known yet.
    pub result: CniResult,
}

/// What the plugin of this name would do. `None` for a plugin that is not ours, or one that only
/// answers with addresses.
pub fn preview(
    name: &str,
    environment: Environment,
    stdin: &[u8],
) -> Result<Option<Preview>, CniError> {
    let Some(plugin) = table::find(name) else {
        return Ok(None);
    };
    let Kind::Device(load) = plugin.kind else {
        return Ok(None);
    };
    let request = Request::parse(environment, stdin, plugin.versions)?;
    let device = load(&request)?;
    let attachment = Attachment::of(&request)?;
    let mut kernel = match Netns::open(&attachment.netns) {
        Ok(sandbox) => Linux::with_sandbox(sandbox),
        Err(error) => return Err(texts::netns_error(&attachment.netns, error)),
    };
    let previous = ropewalk_cni::prev_result(&request.raw)?.filter(|_| device.is_chained());
    let facts = device.facts(&mut kernel, &attachment, previous.as_ref());
    let layer3 = match device.ipam() {
        Some(name) => Some(ipam::preview(name, &request)?),
        None => None,
    };
    let given = Given { layer3, previous, facts, ..Given::default() };
    let desired = device.declare(&attachment, &given)?;
    packet_filters::refuse_missing(&mut kernel, &desired)?;
    let plan = converge::preview(&mut kernel, &desired).map_err(texts::converge_error)?;
    let result = device.result(&attachment, &given, &Observed::new());
    Ok(Some(Preview { plan, result }))
}
