//! The plugin `ptp`: a veth pair whose host end is the container's gateway. The container sees
//! nobody but the host on its link; everybody else, its own subnet too, is behind the host.

use ropewalk_addr::{Family, Prefix};
use ropewalk_cni::{CniError, CniResult, Dns, Fields, IpConfig, Request};
use ropewalk_linux::Linux;
use ropewalk_netstate::{
    Desired, Lifetime, Observed, Place, Scope,
    resource::{Address, AnyLink, Route, RouteScope, Sysctl, Veth, VethPeer},
};

use crate::{
    config,
    describe::{
        Class, Description, Key,
        common::{
            self, ACCEPT_RA, DETECT_DUPLICATES, DNS, MASQUERADE, MASQUERADE_BACKEND, NEEDED_IPAM,
            WAIT_FOR_RA,
        },
    },
    device::{Attachment, Device, Facts, Given},
    feature::{
        big_packets::{BIG_TCP, BigPackets},
        fast_path::{self, NO_FAST_PATH},
        masquerade::{self, Backend},
    },
    layer3, names,
};

/// Index of the container's interface in the result, after the host end.
const CONTAINER_INTERFACE: usize = 1;

struct Ptp {
    masquerade: Backend,
    mtu: Option<u32>,
    big_packets: BigPackets,
    fast_path: bool,
    options: layer3::Options,
    dns: Option<Dns>,
    ipam: String,
}

/// Reads the configuration.
pub(crate) fn load(request: &Request) -> Result<Box<dyn Device>, CniError> {
    let ptp = config::read(request, config::NETCONF, read)?;
    let ptp = ptp.ok_or_else(|| CniError::invalid_config("invalid ptp configuration"))?;
    Ok(Box::new(ptp))
}

/// Reads everything, so that `lint` finds what is wrong without a request.
fn lint(fields: &Fields<'_>) {
    read(fields);
}

fn read(fields: &Fields<'_>) -> Option<Ptp> {
    let (masquerade, mtu) = (Backend::read(fields), config::mtu(fields));
    let (big_packets, options) = (BigPackets::read(fields), layer3::Options::read(fields));
    let (fast_path, dns) = (fast_path::read(fields), config::dns(fields, "dns"));
    let ipam = config::required_ipam_type(fields)?;
    Some(Ptp { masquerade, mtu, big_packets, fast_path, options, dns, ipam })
}

pub(crate) const DESCRIPTION: Description = Description {
    keys: KEYS,
    ..Description::new("ptp", Class::Interface, "joins a container to the host alone", lint)
};

const KEYS: &[Key] = &[
    NEEDED_IPAM.refuses(&[("{}", "no plugin name provided")]),
    MASQUERADE,
    MASQUERADE_BACKEND,
    common::mtu("MTU of both ends of the pair. 0 leaves it to the kernel"),
    BIG_TCP,
    NO_FAST_PATH,
    DETECT_DUPLICATES,
    ACCEPT_RA,
    WAIT_FOR_RA,
    DNS,
];

impl Device for Ptp {
    fn ipam(&self) -> Option<&str> {
        Some(&self.ipam)
    }

    fn facts(&self, kernel: &mut Linux, _: &Attachment, previous: Option<&CniResult>) -> Facts {
        let packet_limit = self.big_packets.limit(kernel, previous, None, &[]);
        Facts { packet_limit, ..masquerade::facts(self.masquerade, kernel) }
    }

    fn facts_for_del(&self, _: &mut Linux, _: &Attachment, _: Option<&CniResult>) -> Facts {
        Facts::default()
    }

    fn declare(&self, attachment: &Attachment, given: &Given) -> Result<Desired, CniError> {
        if self.fast_path && !given.deleting {
            return Err(fast_path::refused_routing());
        }
        let mut desired = Desired::new();
        self.declare_pair(&mut desired, attachment, given);
        self.big_packets.declare(&mut desired, attachment, given, None)?;
        let layer3 = given.layer3.as_ref();
        if let Some(layer3) = layer3 {
            if !given.deleting {
                check_gateways(layer3)?;
            }
            self.declare_layer3(&mut desired, attachment, layer3);
        }
        let owner = &attachment.owner;
        masquerade::declare(&mut desired, self.masquerade, owner, layer3, given);
        if given.deleting {
            // The reference plugin gives the host end a random name, so that only the container's
            // end can be found.
            let link = AnyLink { name: attachment.ifname.clone(), mac: None };
            desired.push(Place::Sandbox, Lifetime::Predecessor, link);
            masquerade::declare_predecessors(&mut desired, owner);
        }
        Ok(desired)
    }

    fn result(&self, attachment: &Attachment, given: &Given, observed: &Observed) -> CniResult {
        let host = names::host_interface(&attachment.owner);
        let (host_mac, container_mac) = layer3::pair_macs(observed, &host);
        let interfaces = vec![
            layer3::interface(&host, host_mac, ""),
            layer3::interface(&attachment.ifname, container_mac, &attachment.netns),
        ];
        let mut result = given.layer3.clone().unwrap_or_default();
        layer3::assign_addresses(&mut result, CONTAINER_INTERFACE, attachment, observed);
        if let Some(dns) = &self.dns {
            result.dns = dns.clone();
        }
        CniResult { interfaces, ..result }
    }

    fn scopes(&self) -> Vec<Scope> {
        let mut scopes = vec![Scope::TaggedLinks];
        scopes.extend(masquerade::scopes());
        scopes
    }
}

impl Ptp {
    fn declare_pair(&self, desired: &mut Desired, attachment: &Attachment, given: &Given) {
        let name = names::host_interface(&attachment.owner);
        let peer = VethPeer {
            place: Place::Sandbox,
            name: attachment.ifname.clone(),
            mac: given.recorded_mac(&attachment.ifname, &attachment.netns),
        };
        let pair = Veth {
            name: name.clone(),
            mac: None,
            bridge: None,
            // One end tells enough of a pair that goes.
            peer: (!given.deleting).then_some(peer),
            mtu: self.mtu,
            tag: Some(attachment.owner.tag()),
            up: true,
        };
        desired.push(Place::Host, Lifetime::Attachment, pair);
        // A container that sends router advertisements must not configure the host.
        let path = format!("net/ipv6/conf/{name}/accept_ra");
        desired.push(Place::Host, Lifetime::Dependent, Sysctl::optional(path, "0"));
    }

    /// The container's side first: the host's end has no carrier until the other one is up.
    fn declare_layer3(&self, desired: &mut Desired, attachment: &Attachment, layer3: &CniResult) {
        let ifname = &attachment.ifname;
        layer3::declare_behind_gateway(desired, ifname, layer3, self.options);
        for family in layer3::families(layer3) {
            desired.push(Place::Host, Lifetime::Shared, layer3::forwarding(family));
        }
        let host = names::host_interface(&attachment.owner);
        let mut dependent = |resource: ropewalk_netstate::Resource| {
            desired.push(Place::Host, Lifetime::Dependent, resource);
        };
        for ip in &layer3.ips {
            let Some(gateway) = ip.gateway else { continue };
            // Every host end has the same gateway address, so that it must not cover a subnet.
            dependent(Address::new(host.clone(), Prefix::host(gateway)).into());
        }
        for ip in &layer3.ips {
            let destination = Prefix::host(ip.address.ip).subnet();
            let scope = (destination.family() == Family::V4).then_some(RouteScope::HOST);
            dependent(Route { scope, ..Route::new(destination, None, host.clone()) }.into());
        }
    }
}

/// Without a gateway, the container would have nobody to talk to.
fn check_gateways(layer3: &CniResult) -> Result<(), CniError> {
    let is_lonely = |ip: &&IpConfig| {
        ip.gateway.is_none_or(|gateway| Family::of(gateway) != Family::of(ip.address.ip))
    };
    match layer3.ips.iter().find(is_lonely) {
        Some(ip) => Err(CniError::internal(format!(
            "failed to add IP addr to veth: the IPAM plugin gave no gateway for {}",
            ip.address
        ))),
        None => Ok(()),
    }
}
