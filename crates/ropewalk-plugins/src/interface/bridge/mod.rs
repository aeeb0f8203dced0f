//! The plugin `bridge`: a veth pair whose host end is a port of a bridge.

mod chained;
mod config;
mod gateway;
mod keys;
mod ports;
mod vlan;

use ropewalk_addr::Mac;
use ropewalk_cni::{CniError, CniResult, Request};
use ropewalk_linux::Linux;
use ropewalk_netstate::{
    Desired, Lifetime, Observed, Place, Resource, Scope,
    resource::{
        AnyLink, Await, Bridge as BridgeLink, BridgePort, Key, Sysctl, Until, Veth, VethPeer,
    },
};

use self::config::Config;
use crate::{
    device::{Attachment, Device, Facts, Given},
    feature::{fast_path, masquerade, spoof_check},
    layer3, names,
};

pub(crate) use keys::DESCRIPTION;

/// How long the port may take until it forwards.
const PORT_DEADLINE_MS: u32 = 2_500;

/// Index of the container's interface in the result, after the bridge and the host end.
const CONTAINER_INTERFACE: usize = 2;

struct Bridge {
    config: Config,
}

/// Reads the configuration.
pub(crate) fn load(request: &Request) -> Result<Box<dyn Device>, CniError> {
    Ok(Box::new(Bridge { config: Config::read(request)? }))
}

impl Device for Bridge {
    fn ipam(&self) -> Option<&str> {
        self.config.ipam.as_deref()
    }

    fn is_chained(&self) -> bool {
        self.config.chained
    }

    fn facts(&self, kernel: &mut Linux, _: &Attachment, previous: Option<&CniResult>) -> Facts {
        let config = &self.config;
        let ports: Vec<_> = config.ports.iter().map(|port| &port.name).collect();
        let packet_limit = config.big_packets.limit(kernel, previous, Some(&config.bridge), &ports);
        let fast_path =
            if config.fast_path { fast_path::possible(kernel, &config.bridge) } else { Ok(()) };
        Facts { fast_path, packet_limit, ..masquerade::facts(config.masquerade, kernel) }
    }

    fn facts_for_del(&self, _: &mut Linux, _: &Attachment, _: Option<&CniResult>) -> Facts {
        Facts::default()
    }

    fn declare(&self, attachment: &Attachment, given: &Given) -> Result<Desired, CniError> {
        let config = &self.config;
        let layer3 = match &given.previous {
            Some(previous) if config.chained => Some(previous),
            _ => given.layer3.as_ref(),
        };
        let layer3 = layer3.map(|layer3| gateway::complete(config, layer3));
        let mut desired = Desired::new();
        self.declare_bridge(&mut desired, given);
        if config.chained {
            chained::declare_port(&mut desired, config, given)?;
            if let Some(layer3) = &layer3 {
                gateway::declare(&mut desired, config, layer3);
            }
        } else {
            self.declare_container(&mut desired, attachment, given, layer3.as_ref())?;
        }
        if config.ipam.is_some() || config.chained {
            let (owner, backend) = (&attachment.owner, config.masquerade);
            masquerade::declare(&mut desired, backend, owner, layer3.as_ref(), given);
        }
        if config.container_interface_up && !config.chained {
            let link = names::host_interface(&attachment.owner);
            let wait = Await::new(link, Until::LinkUp, PORT_DEADLINE_MS);
            desired.push(Place::Host, Lifetime::Dependent, wait);
        }
        if layer3.is_some() && !config.chained {
            // Only now does the bridge pass it on.
            layer3::announce(&mut desired, &attachment.ifname);
        }
        if !config.chained && given.deleting {
            declare_predecessors(&mut desired, attachment);
        }
        Ok(desired)
    }

    fn result(&self, attachment: &Attachment, given: &Given, observed: &Observed) -> CniResult {
        if self.config.chained {
            return chained::result(&self.config, given, observed);
        }
        let host = names::host_interface(&attachment.owner);
        let (host_mac, container_mac) = layer3::pair_macs(observed, &host);
        let bridge = &self.config.bridge;
        let mut interfaces = vec![
            layer3::interface(bridge, bridge_mac(&self.config, observed), ""),
            layer3::interface(&host, host_mac, ""),
            layer3::interface(&attachment.ifname, container_mac, &attachment.netns),
        ];
        interfaces.extend(vlan::gateway_interface(&self.config, observed));
        let mut result = match &given.layer3 {
            Some(layer3) => gateway::complete(&self.config, layer3),
            None => CniResult::default(),
        };
        layer3::assign_addresses(&mut result, CONTAINER_INTERFACE, attachment, observed);
        if let Some(dns) = &self.config.dns {
            result.dns = dns.clone();
        }
        CniResult { interfaces, ..result }
    }

    fn scopes(&self) -> Vec<Scope> {
        let mut scopes = vec![Scope::TaggedLinks];
        scopes.extend(masquerade::scopes());
        scopes.extend(spoof_check::scopes());
        scopes
    }

    fn idle(&self) -> Desired {
        let mut desired = Desired::new();
        if self.config.remove_unused {
            let idle = vlan::idle_bridge(&self.config);
            desired.push(Place::Host, Lifetime::Attachment, idle);
        }
        desired
    }
}

/// The MAC of the bridge that is there.
fn bridge_mac(config: &Config, observed: &Observed) -> Option<Mac> {
    match observed.find(Place::Host, &Key::Bridge(config.bridge.clone())) {
        Some(Resource::Bridge(bridge)) => bridge.mac,
        _ => None,
    }
}

impl Bridge {
    fn declare_bridge(&self, desired: &mut Desired, given: &Given) {
        let config = &self.config;
        if given.deleting {
            // DEL goes the other way round, so that this is the last thing it does.
            desired.extend(self.idle());
        }
        let bridge = BridgeLink {
            name: config.bridge.clone(),
            mtu: config.mtu,
            vlan_filtering: config.filters_vlans(),
            promiscuous: config.promiscuous,
            mac: given.recorded_mac(&config.bridge, ""),
            up: true,
        };
        desired.push(Place::Host, Lifetime::Shared, bridge);
        // A container that sends router advertisements must not configure the host.
        let path = format!("net/ipv6/conf/{}/accept_ra", config.bridge);
        desired.push(Place::Host, Lifetime::Shared, Sysctl::optional(path, "0"));
        vlan::declare_gateway_link(desired, config);
        ports::declare(desired, &config.ports, &config.bridge);
    }

    /// The container's interface, from the pair to its addresses.
    fn declare_container(
        &self,
        desired: &mut Desired,
        attachment: &Attachment,
        given: &Given,
        layer3: Option<&CniResult>,
    ) -> Result<(), CniError> {
        let config = &self.config;
        self.declare_pair(desired, attachment, given);
        config.big_packets.declare(desired, attachment, given, Some(&config.bridge))?;
        if config.fast_path {
            if config.mac.is_some() && !given.deleting {
                return Err(fast_path::refused_mac());
            }
            fast_path::declare(desired, attachment, given, &config.bridge)?;
        }
        if config.spoof_check {
            spoof_check::declare(desired, attachment, self.container_mac(attachment, given));
        }
        match layer3 {
            Some(layer3) => {
                layer3::declare(desired, &attachment.ifname, layer3, config.options);
                gateway::declare(desired, config, layer3);
            }
            None if config.ipam.is_some() => {
                layer3::declare_before_addresses(desired, &attachment.ifname, config.options);
            }
            None if config.container_interface_up => {
                layer3::declare_bare(desired, &attachment.ifname, config.options);
            }
            None => {}
        }
        Ok(())
    }

    fn declare_pair(&self, desired: &mut Desired, attachment: &Attachment, given: &Given) {
        let config = &self.config;
        let name = names::host_interface(&attachment.owner);
        let peer = VethPeer {
            place: Place::Sandbox,
            name: attachment.ifname.clone(),
            mac: self.container_mac(attachment, given),
        };
        let pair = Veth {
            name: name.clone(),
            mac: None,
            bridge: Some(config.bridge.clone()),
            // One end tells enough of a pair that goes.
            peer: (!given.deleting).then_some(peer),
            mtu: config.mtu,
            tag: Some(attachment.owner.tag()),
            up: true,
        };
        desired.push(Place::Host, Lifetime::Attachment, pair);
        if config.hairpin || config.isolated || config.vlans.is_some() {
            let vlans = config.vlans.clone();
            let port = BridgePort {
                link: name,
                // A port is new, so both are off; portmap may have to switch one on.
                hairpin: config.hairpin.then_some(true),
                isolated: config.isolated.then_some(true),
                vlans,
            };
            desired.push(Place::Host, Lifetime::Dependent, port);
        }
    }

    /// The container's MAC: what the chain ended with, else what was asked for, else, where a rule
    /// or a map will name it, one that follows from the attachment.
    fn container_mac(&self, attachment: &Attachment, given: &Given) -> Option<Mac> {
        let recorded = given.recorded_mac(&attachment.ifname, &attachment.netns);
        let derived = || match &self.config {
            config if config.fast_path => Some(fast_path::mac(&attachment.owner)),
            config if config.spoof_check => Some(spoof_check::mac(&attachment.owner)),
            _ => None,
        };
        recorded.or(self.config.mac).or_else(derived)
    }
}

/// What the reference plugin would have made: a pair whose host end has a random name, so that
/// only the container's end can be found; spoof check rules in a table it shares with others.
fn declare_predecessors(desired: &mut Desired, attachment: &Attachment) {
    let link = AnyLink { name: attachment.ifname.clone(), mac: None };
    desired.push(Place::Sandbox, Lifetime::Predecessor, link);
    spoof_check::declare_predecessors(desired, &attachment.owner);
    masquerade::declare_predecessors(desired, &attachment.owner);
}
