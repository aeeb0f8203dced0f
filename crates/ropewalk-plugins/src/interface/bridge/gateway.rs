//! The bridge as the containers' gateway: its addresses, forwarding, default routes.

use ropewalk_addr::{Family, IfName, Prefix, Subnet};
use ropewalk_cni::{Cidr, CniResult, RouteConfig};
use ropewalk_netstate::{
    Desired, Lifetime, Place,
    resource::{Address, AddressGuard, Conflicting},
};

use super::{config::Config, vlan};
use crate::layer3;

/// What IPAM gave, with the gateways and default routes that the configuration asks for.
pub(crate) fn complete(config: &Config, layer3: &CniResult) -> CniResult {
    let mut layer3 = layer3.clone();
    if !config.default_route {
        layer3.routes.retain(|route| !layer3::subnet(route.dst).is_default());
    }
    if config.is_gateway {
        for ip in &mut layer3.ips {
            let first = || layer3::subnet(ip.address).offset(1);
            ip.gateway = ip.gateway.or_else(first);
        }
    }
    if config.is_default_gateway {
        for family in layer3::families(&layer3) {
            add_default_route(&mut layer3, family);
        }
    }
    layer3
}

/// A default route of the family through its first gateway, unless there is one with a gateway.
/// One without a gateway gets this one: two that differ in nothing else cannot both exist.
fn add_default_route(layer3: &mut CniResult, family: Family) {
    let destination = Subnet::default_route(family);
    let gateway = layer3.ips.iter().filter_map(|ip| ip.gateway);
    let Some(gateway) = gateway.into_iter().find(|gateway| Family::of(*gateway) == family) else {
        return;
    };
    let is_default = |route: &&mut RouteConfig| layer3::subnet(route.dst) == destination;
    if let Some(route) = layer3.routes.iter_mut().find(is_default) {
        route.gw = route.gw.or(Some(gateway));
        return;
    }
    let dst = Cidr { ip: destination.ip(), prefix: 0 };
    layer3.routes.push(RouteConfig::new(dst, Some(gateway)));
}

/// The gateway addresses on the bridge (or on its interface in the VLAN), and forwarding.
pub(crate) fn declare(desired: &mut Desired, config: &Config, layer3: &CniResult) {
    if !config.is_gateway {
        return;
    }
    let link = vlan::gateway_link(config).unwrap_or_else(|| config.bridge.clone());
    for family in layer3::families(layer3) {
        declare_addresses(desired, config, &link, gateways(layer3, family));
        desired.push(Place::Host, Lifetime::Shared, layer3::forwarding(family));
    }
}

fn gateways(layer3: &CniResult, family: Family) -> Vec<Prefix> {
    let with_length = |ip: &ropewalk_cni::IpConfig| {
        Prefix::new(ip.gateway.filter(|gateway| Family::of(*gateway) == family)?, ip.address.prefix)
            .ok()
    };
    layer3.ips.iter().filter_map(with_length).collect()
}

fn declare_addresses(desired: &mut Desired, config: &Config, link: &IfName, gateways: Vec<Prefix>) {
    let Some(first) = gateways.first() else {
        return;
    };
    let guard = AddressGuard {
        link: link.clone(),
        family: first.family(),
        keep: gateways.clone(),
        conflicting: match first.family() {
            Family::V4 => Conflicting::Any,
            Family::V6 => Conflicting::Overlapping,
        },
        replace: config.force_address,
        present: Vec::new(),
    };
    desired.push(Place::Host, Lifetime::Shared, guard);
    for prefix in gateways {
        let address = Address { pins_mac: true, ..Address::new(link.clone(), prefix) };
        desired.push(Place::Host, Lifetime::Shared, address);
    }
}
