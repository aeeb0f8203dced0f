//! `ptp` with `host-local` and, with `ipMasq`, masquerading.

use std::os::fd::AsRawFd;

use crate::{
    Outcome,
    bridge::{add_masquerade, answer, del, masquerade},
    failed,
    leases::Leases,
    link, nft,
    request::{Request, Verb},
    sandbox,
    socket::Socket,
};

pub(crate) fn run(request: &Request) -> Outcome<String> {
    match request.verb {
        Verb::Add => add(request),
        Verb::Check => check(request).map(|()| String::new()),
        Verb::Del | Verb::Version => del(request).map(|()| String::new()),
    }
}

fn add(request: &Request) -> Outcome<String> {
    let host = Socket::route().map_err(failed("socket"))?;
    let leases = Leases::open(request)?;
    let lease = leases.claim(request)?;
    leases.unlock();
    let namespace = sandbox::open(&request.netns)?;
    let veth = link::create_veth(&host, request, namespace.as_raw_fd(), &lease, None)?;
    link::forward(&host)?;
    link::set_up_host(&host, link::index(&veth), &lease)?;
    add_masquerade(request, &lease)?;
    sandbox::enter(&namespace)?;
    let inside = Socket::route().map_err(failed("socket"))?;
    link::set_up_routed(&inside, veth.number(link::HEADER, link::LINK), &lease)?;
    Ok(answer(request, &link::mac(&veth), &lease))
}

fn check(request: &Request) -> Outcome<()> {
    let lease = Leases::open(request)?.find().ok_or("no address")?;
    let host = Socket::route().map_err(failed("socket"))?;
    link::find(&host, &request.host_interface()).map_err(failed("veth"))?;
    if request.flag("ipMasq") {
        nft::check(&masquerade(request, &lease)?)?;
    }
    sandbox::enter(&sandbox::open(&request.netns)?)?;
    link::check_route(&Socket::route().map_err(failed("socket"))?, &lease)
}
