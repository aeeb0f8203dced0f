//! Links of the host that are ports of the bridge beside the containers': a network card, a bond,
//! a tap. They belong to nobody in particular and stay.

use ropewalk_addr::{Family, IfName};
use ropewalk_cni::Fields;
use ropewalk_netstate::{
    Desired, Lifetime, Place,
    resource::{AddressGuard, BridgePort, Conflicting, Membership, PortVlans},
};

use super::config::{port_vlans, vlan};
use crate::{config, layer3};

/// A link that is to be a port.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) name: IfName,
    /// Its VLANs; `None` leaves it the bridge's default.
    pub(crate) vlans: Option<PortVlans>,
}

/// Reads `uplink`, the name of one, and `ports`, objects that may tell VLANs too.
pub(crate) fn read(fields: &Fields<'_>) -> Vec<Port> {
    let uplink = config::interface_name(fields, "uplink").map(|name| Port { name, vlans: None });
    let listed = fields.objects("ports").unwrap_or_default();
    let listed = listed.iter().filter_map(|entry| {
        if entry.value("name").is_none() {
            entry.report_at("name", "a port of the bridge has no name");
        }
        let vlans = port_vlans(entry, vlan(entry));
        Some(Port { name: config::interface_name(entry, "name")?, vlans })
    });
    let ports: Vec<Port> = uplink.into_iter().chain(listed).collect();
    for (index, port) in ports.iter().enumerate() {
        if ports[..index].iter().any(|other| other.name == port.name) {
            fields.report_at("ports", format!("{} is a port of the bridge twice", port.name));
        }
    }
    ports
}

/// Declares them, up. A link with addresses would take them out of reach, so that it is refused.
pub(crate) fn declare(desired: &mut Desired, ports: &[Port], bridge: &IfName) {
    for Port { name, vlans } in ports {
        for family in [Family::V4, Family::V6] {
            let guard = AddressGuard {
                link: name.clone(),
                family,
                keep: Vec::new(),
                conflicting: Conflicting::Any,
                replace: false,
                present: Vec::new(),
            };
            desired.push(Place::Host, Lifetime::Shared, guard);
        }
        let membership = Membership { link: name.clone(), master: bridge.clone() };
        desired.push(Place::Host, Lifetime::Shared, membership);
        desired.push(Place::Host, Lifetime::Shared, layer3::up(name));
        if vlans.is_some() {
            let (link, vlans) = (name.clone(), vlans.clone());
            let settings = BridgePort { link, hairpin: None, isolated: None, vlans };
            desired.push(Place::Host, Lifetime::Shared, settings);
        }
    }
}
