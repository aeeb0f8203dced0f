//! `ptp` with `host-local` and, with `ipMasq`, masquerading.

use std::os::fd::AsRawFd;

use crate::{
    Outcome, failed,
    interface::{add_masquerade, check_masquerade},
    leases::Lease,
    link,
    request::Request,
    sandbox,
    socket::Socket,
};

pub(crate) fn add(request: &Request, host: &Socket, lease: &Lease) -> Outcome<String> {
    let namespace = sandbox::open(&request.netns)?;
    let veth = link::create_veth(host, request, namespace.as_raw_fd(), lease, None)?;
    link::forward(host)?;
    link::set_up_host(host, link::index(&veth), lease)?;
    add_masquerade(request, lease)?;
    sandbox::enter(&namespace)?;
    let inside = Socket::route().map_err(failed("socket"))?;
    link::set_up_routed(&inside, veth.number(link::HEADER, link::LINK), lease)?;
    Ok(link::mac(&veth))
}

pub(crate) fn check(request: &Request, lease: &Lease) -> Outcome<()> {
    let host = Socket::route().map_err(failed("socket"))?;
    link::find(&host, &request.host_interface()).map_err(failed("veth"))?;
    check_masquerade(request, lease)
}
