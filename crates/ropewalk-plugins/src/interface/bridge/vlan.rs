//! The gateway of a bridge with VLANs: a veth pair on the host, one end with the gateway address,
//! the other a port of the bridge in that VLAN. It serves all containers of the VLAN.

use ropewalk_addr::IfName;
use ropewalk_cni::Interface;
use ropewalk_netstate::{
    Desired, Lifetime, Observed, Place, Resource,
    resource::{BridgePort, IdleBridge, Key, PortVlans, Veth, VethPeer},
};

use super::config::Config;
use crate::{layer3, names};

/// The interface with the gateway address, if the bridge itself cannot have it.
pub(crate) fn gateway_link(config: &Config) -> Option<IfName> {
    let vlan = config.vlan.filter(|_| config.is_gateway)?;
    let plain = format!("{}.{vlan}", config.bridge);
    let hashed = || format!("vl{}", names::sha512_hex(&[&plain], 13));
    plain.parse().or_else(|_| hashed().parse()).ok()
}

/// The far end of the pair, the bridge's port. Its name follows from the near one.
fn port_name(gateway: &IfName) -> Option<IfName> {
    format!("veth{}", names::sha512_hex(&["vlan gateway ", gateway], 11)).parse().ok()
}

/// The bridge, to be removed with the gateway if they are idle.
pub(crate) fn idle_bridge(config: &Config) -> IdleBridge {
    let port = gateway_link(config).and_then(|gateway| port_name(&gateway));
    IdleBridge { bridge: config.bridge.clone(), gateway: port.zip(config.vlan) }
}

/// Declares the pair.
pub(crate) fn declare_gateway_link(desired: &mut Desired, config: &Config) {
    let Some(gateway) = gateway_link(config) else {
        return;
    };
    let Some(port) = port_name(&gateway) else {
        return;
    };
    let pair = Veth {
        name: port.clone(),
        mac: None,
        bridge: Some(config.bridge.clone()),
        peer: Some(VethPeer { place: Place::Host, name: gateway.clone(), mac: None }),
        mtu: config.mtu,
        tag: None,
        up: true,
    };
    desired.push(Place::Host, Lifetime::Shared, pair);
    let vlans = PortVlans { untagged: config.vlan, tagged: Vec::new(), keep_default: false };
    let settings = BridgePort { link: port, hairpin: None, isolated: None, vlans: Some(vlans) };
    desired.push(Place::Host, Lifetime::Shared, settings);
    desired.push(Place::Host, Lifetime::Shared, layer3::up(&gateway));
}

/// The interface as the result tells it.
pub(crate) fn gateway_interface(config: &Config, observed: &Observed) -> Option<Interface> {
    let gateway = gateway_link(config)?;
    let mac = match observed.find(Place::Host, &Key::Veth(port_name(&gateway)?)) {
        Some(Resource::Veth(veth)) => veth.peer.as_ref().and_then(|peer| peer.mac),
        _ => None,
    };
    Some(layer3::interface(&gateway, mac, ""))
}
