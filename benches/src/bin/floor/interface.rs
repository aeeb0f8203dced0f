//! What the floors of interface plugins have in common: an address from `host-local`, and with
//! `ipMasq` masquerading.
//!
//! It must never do for one what only another needs.

use crate::{
    Outcome, failed,
    leases::{Lease, Leases},
    link,
    nft::{self, Element},
    request::{Request, Verb},
    sandbox,
    socket::Socket,
};

/// Runs a verb: `add` makes the interface with an address, from a socket on the host, and answers
/// the MAC address of the host's end; `check` looks at the host.
pub(crate) fn run(
    request: &Request,
    add: fn(&Request, &Socket, &Lease) -> Outcome<String>,
    check: fn(&Request, &Lease) -> Outcome<()>,
) -> Outcome<String> {
    match request.verb {
        Verb::Add => {
            let host = Socket::route().map_err(failed("socket"))?;
            let leases = Leases::open(request)?;
            let lease = leases.claim(request)?;
            leases.unlock();
            let host_mac = add(request, &host, &lease)?;
            Ok(answer(request, &host_mac, &lease))
        }
        Verb::Check => {
            let lease = Leases::open(request)?.find().ok_or("no address")?;
            check(request, &lease)?;
            sandbox::enter(&sandbox::open(&request.netns)?)?;
            link::check_route(&Socket::route().map_err(failed("socket"))?, &lease)?;
            Ok(String::new())
        }
        Verb::Del | Verb::Version => del(request).map(|()| String::new()),
    }
}

fn del(request: &Request) -> Outcome<()> {
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

/// Whether it masquerades, if the configuration asks for it.
pub(crate) fn check_masquerade(request: &Request, lease: &Lease) -> Outcome<()> {
    if !request.flag("ipMasq") {
        return Ok(());
    }
    nft::check(&masquerade(request, lease)?)
}

/// The element that masquerades a container.
fn masquerade(request: &Request, lease: &Lease) -> Outcome<Element> {
    Ok(Element::masquerade(lease.address, request.text("name")?, request.text("subnet")?))
}

/// A result with one interface in the container.
fn answer(request: &Request, host_mac: &str, lease: &Lease) -> String {
    let Lease { address, gateway, prefix } = lease;
    let [a, b, c, d] = address.octets();
    let (host, ifname, netns) = (request.host_interface(), &request.ifname, &request.netns);
    format!(
        r#"{{"cniVersion":"1.0.0","interfaces":[{{"name":"{host}","mac":"{host_mac}"}},{{"name":"{ifname}","mac":"02:f1:{a:02x}:{b:02x}:{c:02x}:{d:02x}","sandbox":"{netns}"}}],"ips":[{{"address":"{address}/{prefix}","gateway":"{gateway}","interface":1}}],"routes":[{{"dst":"0.0.0.0/0","gw":"{gateway}"}}],"dns":{{}}}}"#
    )
}
