//! Forgetting tracked connections.

use ropewalk_netstate::{KernelError, Place, resource::StaleFlows};
use rustix::io::Errno;

use super::Linux;
use crate::{error::is, translate::flow};

/// Deletes the connections toward some ports. A kernel that tracks none has none to forget.
pub(super) fn flush(
    linux: &mut Linux,
    place: Place,
    wanted: &StaleFlows,
) -> Result<(), KernelError> {
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
