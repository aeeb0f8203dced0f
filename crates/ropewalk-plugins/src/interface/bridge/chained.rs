//! The bridge behind a plugin that made an interface of the host, a tap of a virtual machine for
//! one: that interface becomes the port. It and its addresses stay the other plugin's.

use ropewalk_addr::IfName;
use ropewalk_cni::{CniError, CniResult};
use ropewalk_netstate::{
    Desired, Lifetime, Observed, Place,
    resource::{BridgePort, Membership},
};

use super::{config::Config, vlan};
use crate::{device::Given, layer3};

/// Declares that the interface of the previous result is a port, up. At DEL without a result there
/// is nothing to do: its plugin takes the interface away.
pub(crate) fn declare_port(
    desired: &mut Desired,
    config: &Config,
    given: &Given,
) -> Result<(), CniError> {
    let link = match given.previous.as_ref().map(|previous| port_of(previous, config)) {
        Some(Ok(link)) => link,
        _ if given.deleting => return Ok(()),
        Some(Err(message)) => return Err(CniError::internal(message)),
        None => return Err(CniError::internal("must be called as chained plugin")),
    };
    let membership = Membership { link: link.clone(), master: config.bridge.clone() };
    desired.push(Place::Host, Lifetime::Attachment, membership);
    // Whoever uses it may set it down.
    desired.push(Place::Host, Lifetime::Initial, layer3::up(&link));
    if config.hairpin || config.isolated || config.vlans.is_some() {
        let on = |wanted: bool| wanted.then_some(true);
        let (hairpin, isolated) = (on(config.hairpin), on(config.isolated));
        let port = BridgePort { link, hairpin, isolated, vlans: config.vlans.clone() };
        desired.push(Place::Host, Lifetime::Dependent, port);
    }
    Ok(())
}

/// The only interface of the host that the previous result tells, the bridge and its gateway apart.
fn port_of(previous: &CniResult, config: &Config) -> Result<IfName, String> {
    let gateway = vlan::gateway_link(config);
    let is_ours = |name: &str| {
        [Some(&config.bridge), gateway.as_ref()].iter().flatten().any(|own| ***own == *name)
    };
    let names = previous.interfaces.iter().filter(|i| i.sandbox.is_empty() && !i.name.is_empty());
    let names: Vec<&str> = names.map(|i| i.name.as_str()).filter(|name| !is_ours(name)).collect();
    match names[..] {
        [name] => name.parse().map_err(|error| format!("{error}")),
        [] => Err("prevResult has no interface of the host that could be a port".to_owned()),
        _ => Err(format!("prevResult has several interfaces of the host: {}", names.join(", "))),
    }
}

/// The previous result with the bridge in front, where plugins behind this one look for it, and
/// the gateway of the VLAN at the end.
pub(crate) fn result(config: &Config, given: &Given, observed: &Observed) -> CniResult {
    let mut result = given.previous.clone().unwrap_or_default();
    let bridge = layer3::interface(&config.bridge, super::bridge_mac(config, observed), "");
    result.interfaces.insert(0, bridge);
    for ip in &mut result.ips {
        ip.interface = ip.interface.map(|index| index + 1);
    }
    result.interfaces.extend(vlan::gateway_interface(config, observed));
    result
}
