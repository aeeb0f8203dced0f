//! `bridge` with `host-local` and, with `ipMasq`, masquerading.

use std::os::fd::AsRawFd;

use crate::{
    Outcome, failed,
    leases::{Lease, Leases},
    link,
    nft::{self, Element},
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
    let name = request.text("bridge")?;
    let bridge = match link::find(&host, name) {
        Ok(bridge) => link::index(&bridge),
        Err(_) => create(&host, name, &lease)?,
    };
    let namespace = sandbox::open(&request.netns)?;
    let veth = link::create_veth(&host, request, namespace.as_raw_fd(), &lease, Some(bridge))?;
    add_masquerade(request, &lease)?;
    sandbox::enter(&namespace)?;
    let inside = Socket::route().map_err(failed("socket"))?;
    link::set_up(&inside, veth.number(link::HEADER, link::LINK), &lease)?;
    link::wait(&host, &request.host_interface())?;
    Ok(answer(request, &link::mac(&veth), &lease))
}

fn create(host: &Socket, name: &str, lease: &Lease) -> Outcome<u32> {
    link::forward(host)?;
    link::create_bridge(host, name, lease)
}

fn check(request: &Request) -> Outcome<()> {
    let lease = Leases::open(request)?.find().ok_or("no address")?;
    let host = Socket::route().map_err(failed("socket"))?;
    let bridge = link::find(&host, request.text("bridge")?).map_err(failed("bridge"))?;
    let veth = link::find(&host, &request.host_interface()).map_err(failed("veth"))?;
    if veth.number(link::HEADER, link::MASTER) != link::index(&bridge) {
        return Err("the host's end is on another bridge".to_owned());
    }
    if request.flag("ipMasq") {
        nft::check(&masquerade(request, &lease)?)?;
    }
    sandbox::enter(&sandbox::open(&request.netns)?)?;
    link::check_route(&Socket::route().map_err(failed("socket"))?, &lease)
}

/// Deletes, as every interface plugin here does.
pub(crate) fn del(request: &Request) -> Outcome<()> {
    let leases = Leases::open(request)?;
    let lease = leases.find();
    leases.unlock();
    if let Some(lease) = &lease
        && request.flag("ipMasq")
    {
        nft::expire(&masquerade(request, lease)?)?;
    }
    sandbox::enter(&sandbox::open(&request.netns)?)?;
    sandbox::delete_link(&request.ifname)?;
    let Some(lease) = lease else { return Ok(()) };
    leases.lock()?;
    leases.release(&lease)
}

/// Masquerades if the configuration asks for it.
pub(crate) fn add_masquerade(request: &Request, lease: &Lease) -> Outcome<()> {
    if !request.flag("ipMasq") {
        return Ok(());
    }
    nft::add(&masquerade(request, lease)?)
}

/// The element that masquerades a container.
pub(crate) fn masquerade(request: &Request, lease: &Lease) -> Outcome<Element> {
    Ok(Element::masquerade(lease.address, request.text("name")?, request.text("subnet")?))
}

/// A result with one interface in the container.
pub(crate) fn answer(request: &Request, host_mac: &str, lease: &Lease) -> String {
    let Lease { address, gateway, prefix } = lease;
    let [a, b, c, d] = address.octets();
    let (host, ifname, netns) = (request.host_interface(), &request.ifname, &request.netns);
    format!(
        r#"{{"cniVersion":"1.0.0","interfaces":[{{"name":"{host}","mac":"{host_mac}"}},{{"name":"{ifname}","mac":"02:f1:{a:02x}:{b:02x}:{c:02x}:{d:02x}","sandbox":"{netns}"}}],"ips":[{{"address":"{address}/{prefix}","gateway":"{gateway}","interface":1}}],"routes":[{{"dst":"0.0.0.0/0","gw":"{gateway}"}}],"dns":{{}}}}"#
    )
}
