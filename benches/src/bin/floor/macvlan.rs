//! `macvlan` with `host-local`.

use std::os::fd::AsRawFd;

use crate::{
    Outcome,
    bridge::{answer, del},
    failed,
    leases::Leases,
    link,
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
    let parent = link::find(&host, request.text("master")?).map_err(failed("master"))?;
    let namespace = sandbox::open(&request.netns)?;
    let parent = link::index(&parent);
    link::create_macvlan(&host, request, namespace.as_raw_fd(), &lease, parent)?;
    sandbox::enter(&namespace)?;
    let inside = Socket::route().map_err(failed("socket"))?;
    let link = link::find(&inside, &request.ifname).map_err(failed("macvlan"))?;
    link::set_up(&inside, link::index(&link), &lease)?;
    Ok(answer(request, "", &lease))
}

fn check(request: &Request) -> Outcome<()> {
    let lease = Leases::open(request)?.find().ok_or("no address")?;
    sandbox::enter(&sandbox::open(&request.netns)?)?;
    link::check_route(&Socket::route().map_err(failed("socket"))?, &lease)
}
