//! `macvlan` with `host-local`.

use std::os::fd::AsRawFd;

use crate::{Outcome, failed, leases::Lease, link, request::Request, sandbox, socket::Socket};

pub(crate) fn add(request: &Request, host: &Socket, lease: &Lease) -> Outcome<String> {
    let parent = link::find(host, request.text("master")?).map_err(failed("master"))?;
    let namespace = sandbox::open(&request.netns)?;
    let parent = link::index(&parent);
    link::create_macvlan(host, request, namespace.as_raw_fd(), lease, parent)?;
    sandbox::enter(&namespace)?;
    let inside = Socket::route().map_err(failed("socket"))?;
    let link = link::find(&inside, &request.ifname).map_err(failed("macvlan"))?;
    link::set_up(&inside, link::index(&link), lease)?;
    // The host has no end.
    Ok(String::new())
}
