//! `bridge` with `host-local` and, with `ipMasq`, masquerading.

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
    let name = request.text("bridge")?;
    let bridge = match link::find(host, name) {
        Ok(bridge) => link::index(&bridge),
        Err(_) => create(host, name, lease)?,
    };
    let namespace = sandbox::open(&request.netns)?;
    let veth = link::create_veth(host, request, namespace.as_raw_fd(), lease, Some(bridge))?;
    add_masquerade(request, lease)?;
    sandbox::enter(&namespace)?;
    let inside = Socket::route().map_err(failed("socket"))?;
    link::set_up(&inside, veth.number(link::HEADER, link::LINK), lease)?;
    link::wait(host, &request.host_interface())?;
    Ok(link::mac(&veth))
}

fn create(host: &Socket, name: &str, lease: &Lease) -> Outcome<u32> {
    link::forward(host)?;
    link::create_bridge(host, name, lease)
}

pub(crate) fn check(request: &Request, lease: &Lease) -> Outcome<()> {
    let host = Socket::route().map_err(failed("socket"))?;
    let bridge = link::find(&host, request.text("bridge")?).map_err(failed("bridge"))?;
    let veth = link::find(&host, &request.host_interface()).map_err(failed("veth"))?;
    if veth.number(link::HEADER, link::MASTER) != link::index(&bridge) {
        return Err("the host's end is on another bridge".to_owned());
    }
    check_masquerade(request, lease)
}
