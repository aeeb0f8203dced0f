//! Forgetting tracked connections.

use std::{
    thread,
    time::{Duration, Instant},
};

use ropewalk_netstate::{KernelError, Place, resource::StaleFlows};
use rustix::io::Errno;

use super::Linux;
use crate::{
    error::is,
    translate::{flow, nft::element::LAST_MOMENTS_MS},
};

/// For so long an element may still be found after it was told to expire: what it is given, and a
/// tick of the kernel's clock or two.
const AFTERLIFE: Duration = Duration::from_millis(LAST_MOMENTS_MS + 10);

/// Deletes the connections toward some ports. Before, what leads there has to be gone: a client
/// that goes on sending would be tracked with its old destination again. A kernel that tracks none has none to forget.
pub(super) fn flush(
    linux: &mut Linux,
    place: Place,
    wanted: &StaleFlows,
) -> Result<(), KernelError> {
    if let Some(expired_at) = linux.expired_at {
        let over = expired_at + AFTERLIFE;
        thread::sleep(over.saturating_duration_since(Instant::now()));
    }
    let socket = match linux.netfilter(place) {
        Err(error) if is_unsupported(&error) => return Ok(()),
        socket => socket?,
    };
    let flows = match socket.dump(&flow::list(wanted), |reply| flow::read(reply, wanted)) {
        Err(error) if is_unsupported(&error) => return Ok(()),
        flows => flows?,
    };
    let deletions = flows.iter().map(|found| flow::delete(wanted.family, found)).collect();
    for verdict in socket.exchange(deletions)? {
        match verdict {
            Err(error) if !is(&error, Errno::NOENT) => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn is_unsupported(error: &KernelError) -> bool {
    [Errno::INVAL, Errno::OPNOTSUPP, Errno::PROTONOSUPPORT].iter().any(|&errno| is(error, errno))
}
