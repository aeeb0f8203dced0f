//! Addresses and routes of a container interface, as IPAM gave them: shared by every plugin that
//! makes one.

use std::net::IpAddr;

use ropewalk_addr::{Family, IfName, Mac, Prefix, Subnet};
use ropewalk_cni::{Cidr, CniError, CniResult, Fields, Interface, IpConfig, RouteConfig};
use ropewalk_netstate::{
    Desired, Lifetime, Observed, Place, Resource,
    resource::{
        Address, AddressGuard, Announcement, Attribute, Await, ConflictProbe, Conflicting, Key,
        LinkAttribute, Route, RouteScope, Sysctl, Until,
    },
};

use crate::device::Attachment;

/// How long the kernel may take to finish duplicate address detection.
const ADDRESSES_DEADLINE_MS: u32 = 5_000;
/// How long a router may take to answer: the kernel asks one second after the link is up, and then
/// every four.
const ADVERTISEMENT_DEADLINE_MS: u32 = 10_000;

/// An address of a result as a prefix.
pub(crate) fn prefix(cidr: Cidr) -> Prefix {
    Prefix::new(cidr.ip, cidr.prefix).unwrap_or_else(|_| Prefix::host(cidr.ip))
}

/// A destination of a result as a subnet; host bits do not matter to the kernel.
pub(crate) fn subnet(cidr: Cidr) -> Subnet {
    prefix(cidr).subnet()
}

/// The families in which there is an address.
pub(crate) fn families(layer3: &CniResult) -> Vec<Family> {
    let has = |family| layer3.ips.iter().any(|ip| Family::of(ip.address.ip) == family);
    [Family::V4, Family::V6].into_iter().filter(|family| has(*family)).collect()
}

/// How addresses are configured. Every plugin that makes an interface reads the same keys.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// Whether somebody else's addresses are looked for, `enabledad`.
    detect_duplicates: bool,
    /// Whether advertisements of routers count, `acceptRA`: a value of the sysctl `accept_ra`.
    /// `None` leaves that to the kernel.
    accept_ra: Option<u8>,
    /// Whether an address that a router leads to is waited for, `waitForRA`.
    wait_for_ra: bool,
}

impl Options {
    pub(crate) fn read(fields: &Fields<'_>) -> Self {
        let accept_ra = fields.u32("acceptRA").and_then(|number| {
            let valid = u8::try_from(number).ok().filter(|value| *value <= 2);
            if valid.is_none() {
                fields.report_at("acceptRA", format!("acceptRA is {number}, must be 0, 1 or 2"));
            }
            valid
        });
        let wait_for_ra = fields.bool("waitForRA").unwrap_or_default();
        if wait_for_ra && accept_ra == Some(0) {
            let message = "cannot wait for router advertisements that are not accepted";
            fields.report_at("waitForRA", message);
        }
        let detect_duplicates = fields.bool("enabledad").unwrap_or_default();
        Self { detect_duplicates, accept_ra, wait_for_ra }
    }

    /// Sets what must be set before the interface is up.
    fn declare_advertisements(self, desired: &mut Desired, ifname: &IfName) {
        let accept_ra = self.accept_ra.or(self.wait_for_ra.then_some(1));
        let mut set = |parameter: &str, value: &str| {
            let path = format!("net/ipv6/conf/{ifname}/{parameter}");
            desired.push(Place::Sandbox, Lifetime::Initial, Sysctl::new(path, value));
        };
        if accept_ra.is_some_and(|value| value > 0) {
            set("disable_ipv6", "0");
        }
        if let Some(value) = accept_ra {
            set("accept_ra", &value.to_string());
        }
    }

    /// Waits for a router, once the interface is up; what it leads to is found with the guard.
    fn declare_waiting(self, desired: &mut Desired, ifname: &IfName) {
        if self.wait_for_ra {
            let deadline_ms = ADVERTISEMENT_DEADLINE_MS;
            let wait = Await::new(ifname.clone(), Until::Autoconfigured, deadline_ms);
            desired.push(Place::Sandbox, Lifetime::Dependent, wait);
            desired.push(Place::Sandbox, Lifetime::Dependent, advertised(ifname));
        }
    }
}

/// The question which IPv6 addresses an interface has; none is a conflict.
fn advertised(ifname: &IfName) -> AddressGuard {
    AddressGuard {
        link: ifname.clone(),
        family: Family::V6,
        keep: Vec::new(),
        conflicting: Conflicting::Overlapping,
        replace: false,
        present: Vec::new(),
    }
}

/// The addresses of a result are those of one of its interfaces, and so are those that routers led
/// to, if they were waited for.
pub(crate) fn assign_addresses(
    result: &mut CniResult,
    interface: usize,
    attachment: &Attachment,
    observed: &Observed,
) {
    for ip in &mut result.ips {
        ip.interface = Some(interface);
    }
    let key = Resource::from(advertised(&attachment.ifname)).key();
    let Some(Resource::AddressGuard(found)) = observed.find(Place::Sandbox, &key) else { return };
    for present in &found.present {
        let address = Cidr { ip: present.ip(), prefix: present.length() };
        if !result.ips.iter().any(|ip| ip.address == address) {
            result.ips.push(IpConfig { interface: Some(interface), address, gateway: None });
        }
    }
}

/// Declares an interface that needs nothing else to reach its neighbours: with its addresses, if it
/// has any, and announced.
pub(crate) fn declare_all(
    desired: &mut Desired,
    ifname: &IfName,
    layer3: Option<&CniResult>,
    options: Options,
) {
    match layer3 {
        Some(layer3) => {
            declare(desired, ifname, layer3, options);
            announce(desired, ifname);
        }
        None => declare_bare(desired, ifname, options),
    }
}

/// Declares an interface without addresses of ours, up.
pub(crate) fn declare_bare(desired: &mut Desired, ifname: &IfName, options: Options) {
    options.declare_advertisements(desired, ifname);
    desired.push(Place::Sandbox, Lifetime::Dependent, up(ifname));
    options.declare_waiting(desired, ifname);
}

/// Declares an interface that gets addresses once it is up. Its link-local address is of use at once
/// unless duplicates are looked for: DHCP for IPv6 asks from there.
pub(crate) fn declare_before_addresses(desired: &mut Desired, ifname: &IfName, options: Options) {
    if !options.detect_duplicates {
        let path = format!("net/ipv6/conf/{ifname}/accept_dad");
        desired.push(Place::Sandbox, Lifetime::Initial, Sysctl::optional(path, "0"));
    }
    declare_bare(desired, ifname, options);
}

/// The part of a result that concerns one interface of one sandbox: what CHECK and DEL know.
pub(crate) fn of_interface(result: &CniResult, ifname: &str, netns: &str) -> CniResult {
    let own = |ip: &&IpConfig| match ip.interface.and_then(|index| result.interfaces.get(index)) {
        Some(interface) => {
            interface.name == ifname && (netns.is_empty() || interface.sandbox == netns)
        }
        None => true,
    };
    let ips = result.ips.iter().filter(own).cloned().collect();
    CniResult { ips, ..result.clone() }
}

/// What is asked of the neighbours before an interface has addresses.
fn declare_detection(desired: &mut Desired, ifname: &IfName, layer3: &CniResult, options: Options) {
    options.declare_advertisements(desired, ifname);
    let mut set = |parameter: &str, value: &str| {
        let path = format!("net/ipv6/conf/{ifname}/{parameter}");
        desired.push(Place::Sandbox, Lifetime::Initial, Sysctl::optional(path, value));
    };
    if options.detect_duplicates {
        set("enhanced_dad", "1");
        set("accept_dad", "1");
        declare_probes(desired, ifname, layer3);
    } else if families(layer3).contains(&Family::V6) {
        set("accept_dad", "0");
    }
}

fn declare_probes(desired: &mut Desired, ifname: &IfName, layer3: &CniResult) {
    desired.push(Place::Sandbox, Lifetime::Dependent, up(ifname));
    for ip in &layer3.ips {
        if let IpAddr::V4(address) = ip.address.ip {
            let probe = ConflictProbe { link: ifname.clone(), address };
            desired.push(Place::Sandbox, Lifetime::Dependent, probe);
        }
    }
}

/// The host passes packets of a family on.
pub(crate) fn forwarding(family: Family) -> Sysctl {
    let path = match family {
        Family::V4 => "net/ipv4/ip_forward",
        Family::V6 => "net/ipv6/conf/all/forwarding",
    };
    Sysctl::new(path, "1")
}

/// Declares an interface with addresses and routes, up. All addresses of a subnet are on the link.
pub(crate) fn declare(
    desired: &mut Desired,
    ifname: &IfName,
    layer3: &CniResult,
    options: Options,
) {
    declare_addresses(desired, ifname, layer3, options, |prefix| {
        Address::new(ifname.clone(), prefix)
    });
    declare_routes(desired, ifname, layer3);
    declare_notices(desired, ifname, layer3);
}

/// Declares an interface with addresses and routes, up, that has nothing but the gateway on its
/// link: the rest of a subnet is behind it.
pub(crate) fn declare_behind_gateway(
    desired: &mut Desired,
    ifname: &IfName,
    layer3: &CniResult,
    options: Options,
) {
    declare_addresses(desired, ifname, layer3, options, |prefix| Address {
        prefix_route: false,
        ..Address::new(ifname.clone(), prefix)
    });
    // Where a later plugin has moved the interface's routes to other tables, as sbr and vrf do, the
    // result tells so of its own routes, and these have gone with them.
    let tables = layer3.routes.iter().filter_map(|route| route.table);
    let is_moved = tables.into_iter().any(|table| table != Route::MAIN_TABLE);
    let lifetime = if is_moved { Lifetime::Initial } else { Lifetime::Dependent };
    for ip in &layer3.ips {
        let Some(gateway) = ip.gateway else { continue };
        let from_here = |route| Route { source: Some(ip.address.ip), ..route };
        let near = Route::new(Prefix::host(gateway).subnet(), None, ifname.clone());
        let rest = Route::new(subnet(ip.address), Some(gateway), ifname.clone());
        desired.push(Place::Sandbox, lifetime, from_here(near));
        desired.push(Place::Sandbox, lifetime, from_here(rest));
    }
    declare_routes(desired, ifname, layer3);
}

/// Declares an interface with addresses that are nobody else's, up.
fn declare_addresses(
    desired: &mut Desired,
    ifname: &IfName,
    layer3: &CniResult,
    options: Options,
    address: impl Fn(Prefix) -> Address,
) {
    declare_detection(desired, ifname, layer3, options);
    let mut sandbox = |lifetime, resource: Resource| {
        desired.push(Place::Sandbox, lifetime, resource);
    };
    if families(layer3).contains(&Family::V6) {
        for (link, parameter, value) in [
            ("lo", "disable_ipv6", "0"),
            (ifname, "disable_ipv6", "0"),
            (ifname, "keep_addr_on_down", "1"),
        ] {
            let path = format!("net/ipv6/conf/{link}/{parameter}");
            sandbox(Lifetime::Initial, Sysctl::new(path, value).into());
        }
    }
    for ip in &layer3.ips {
        let address =
            Address { detect_duplicates: options.detect_duplicates, ..address(prefix(ip.address)) };
        sandbox(Lifetime::Dependent, address.into());
    }
    sandbox(Lifetime::Dependent, up(ifname).into());
    if options.detect_duplicates && families(layer3).contains(&Family::V6) {
        let wait = Await::new(ifname.clone(), Until::AddressesReady, ADDRESSES_DEADLINE_MS);
        sandbox(Lifetime::Dependent, wait.into());
    }
    options.declare_waiting(desired, ifname);
}

fn declare_routes(desired: &mut Desired, ifname: &IfName, layer3: &CniResult) {
    for route in &layer3.routes {
        let route = route_of(route, ifname, layer3);
        desired.push(Place::Sandbox, Lifetime::Dependent, route);
    }
}

/// Declares that neighbours learn the addresses of an interface that is up: the last thing to do.
pub(crate) fn announce(desired: &mut Desired, ifname: &IfName) {
    let announcement = Announcement { link: ifname.clone() };
    desired.push(Place::Sandbox, Lifetime::Dependent, announcement);
}

/// Declares that the kernel announces the addresses when the MAC changes. When the interface comes
/// up would be too early: what it is plugged into may not pass it on yet.
fn declare_notices(desired: &mut Desired, ifname: &IfName, layer3: &CniResult) {
    for family in families(layer3) {
        let path = match family {
            Family::V4 => format!("net/ipv4/conf/{ifname}/arp_notify"),
            Family::V6 => format!("net/ipv6/conf/{ifname}/ndisc_notify"),
        };
        desired.push(Place::Sandbox, Lifetime::Initial, Sysctl::optional(path, "1"));
    }
}

/// The interface is administratively up.
pub(crate) fn up(ifname: &IfName) -> LinkAttribute {
    LinkAttribute { link: ifname.clone(), attribute: Attribute::Up(true) }
}

/// A route without a gateway goes through the first gateway of its family, if there is one and no
/// scope says that the destination is nearer.
pub(crate) fn route_of(route: &RouteConfig, ifname: &IfName, layer3: &CniResult) -> Route {
    let destination = subnet(route.dst);
    let family_gateway = || {
        let gateways = layer3.ips.iter().filter_map(|ip| ip.gateway);
        gateways.into_iter().find(|gateway| Family::of(*gateway) == destination.family())
    };
    let near = route.scope.is_some_and(|scope| RouteScope(scope) >= RouteScope::LINK);
    let gateway: Option<IpAddr> = route.gw.or_else(|| if near { None } else { family_gateway() });
    Route {
        table: route.table.filter(|table| *table != 0).unwrap_or(Route::MAIN_TABLE),
        priority: route.priority.unwrap_or(0),
        scope: route.scope.map(RouteScope),
        mtu: route.mtu.filter(|mtu| *mtu != 0),
        advmss: route.advmss.filter(|advmss| *advmss != 0),
        // The default route of a container's first network stays its only one.
        yields: destination.is_default() && destination.family() == Family::V6,
        ..Route::new(destination, gateway, ifname.clone())
    }
}

/// Every address that names an interface must name the one that is configured.
pub(crate) fn check_indices(layer3: &CniResult) -> Result<(), CniError> {
    let count = layer3.interfaces.len();
    match layer3.ips.iter().find(|ip| ip.interface.is_some_and(|index| index >= count.max(1))) {
        Some(ip) => Err(CniError::internal(format!(
            "failed to add IP addr {}: invalid interface index",
            ip.address
        ))),
        None => Ok(()),
    }
}

/// The MAC addresses of a pair: of the host's end and of the container's.
pub(crate) fn pair_macs(observed: &Observed, host: &IfName) -> (Option<Mac>, Option<Mac>) {
    match observed.find(Place::Host, &Key::Veth(host.clone())) {
        Some(Resource::Veth(veth)) => (veth.mac, veth.peer.as_ref().and_then(|peer| peer.mac)),
        _ => (None, None),
    }
}

/// An interface entry of a result.
pub(crate) fn interface(name: &IfName, mac: Option<Mac>, sandbox: &str) -> Interface {
    Interface {
        name: name.to_string(),
        mac: mac.map(|mac| mac.to_string()).unwrap_or_default(),
        sandbox: sandbox.to_owned(),
        ..Interface::default()
    }
}
