//! Which switches are at the other ends of the host's wires.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::time::Duration;

use ropewalk_addr::IfName;
use ropewalk_linux::survey::hear_switches;
use ropewalk_topology::model::{Host, Switch};
use ropewalk_topology::traffic::Traffic;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::http::Stop;

/// Switches by the names of the host's links.
pub(crate) type Switches = BTreeMap<IfName, Switch>;

/// Listens on the links that carry containers, and on those of hardware.
pub(crate) fn hear(traffic: &Traffic, seconds: u32, stop: &Stop) -> Result<Switches, Failure> {
    let names = traffic.uplinks.iter().filter_map(|uplink| uplink.name.parse().ok());
    listen(names.collect(), seconds, stop)
}

/// Listens on the host's links that nothing else on the host is at the other end of.
pub(crate) fn hear_of(host: &Host, seconds: u32, stop: &Stop) -> Result<Switches, Failure> {
    let content = host.namespaces.first().and_then(|own| own.content());
    let links = content.into_iter().flat_map(|content| &content.links);
    let wires = links.filter(|link| link.is_up() && link.kind.is_none() && !link.is_loopback());
    let wires = wires.filter_map(|link| link.name.parse().ok());
    let carrying = ropewalk_topology::traffic::traffic(host).uplinks.into_iter();
    let carrying = carrying.filter_map(|uplink| uplink.name.parse().ok());
    listen(wires.chain(carrying).collect(), seconds, stop)
}

fn listen(mut names: Vec<IfName>, seconds: u32, stop: &Stop) -> Result<Switches, Failure> {
    names.sort();
    names.dedup();
    let failed = |error| Failure::failed(format!("failed to listen for switches: {error}"));
    let time = Duration::from_secs(seconds.into());
    hear_switches(&names, time, stop.as_fd()).map_err(failed)
}

/// Notes switches at the host's links.
pub(crate) fn put(host: &mut Host, switches: &Switches) {
    let own = host.namespaces.iter_mut().filter(|one| one.is_own);
    for content in own.filter_map(|one| one.content.as_mut().ok()) {
        for link in &mut content.links {
            let name: Option<IfName> = link.name.parse().ok();
            link.switch = name.and_then(|name| switches.get(&name).cloned());
        }
    }
}

/// A switch as it describes itself.
pub(crate) fn value(switch: &Switch) -> Value {
    json!({
        "chassis": switch.chassis,
        "port": switch.port,
        "portDescription": switch.port_description,
        "name": switch.name,
        "description": switch.description,
        "seconds": switch.seconds,
    })
}
