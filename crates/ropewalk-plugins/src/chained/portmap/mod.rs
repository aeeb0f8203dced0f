//! The plugin `portmap`: ports of the host that reach ports of the container.

mod config;
mod iptables;
mod keys;
mod nftables;

use std::net::IpAddr;

use ropewalk_addr::{Family, IfName, Prefix};
use ropewalk_cni::{CniError, CniResult, Command, Request};
use ropewalk_linux::Linux;
use ropewalk_netstate::{
    Desired, Lifetime, Observed, Place, Scope,
    resource::{
        BridgePort, NftTaggedRules, StaleFlows, Sysctl,
        nft::{NftFamily, TableRef},
    },
};

use self::config::{Backend, Config, Mapping};
use super::first_addresses;
use crate::{
    device::{Attachment, Device, Facts, Given},
    feature::{bridged_packets, forward_accept},
};

pub(crate) use keys::DESCRIPTION;
pub(crate) use nftables::default_scopes as scopes;

const UDP: u8 = 17;

struct Portmap {
    config: Config,
}

/// Reads the configuration.
pub(crate) fn load(request: &Request) -> Result<Box<dyn Device>, CniError> {
    let config = Config::read(request).map_err(|error| match request.command {
        Command::Check => error,
        _ => error.prefixed("failed to parse config"),
    })?;
    Ok(Box::new(Portmap { config }))
}

/// What a mapping is made for: the host's port and the container's end of one family.
pub(crate) struct Published<'a> {
    pub(crate) mapping: &'a Mapping,
    pub(crate) container: Prefix,
}

impl Device for Portmap {
    fn is_chained(&self) -> bool {
        true
    }

    fn decoding(&self) -> &'static str {
        "failed to parse config"
    }

    fn facts(
        &self,
        kernel: &mut Linux,
        attachment: &Attachment,
        previous: Option<&CniResult>,
    ) -> Facts {
        if self.config.mappings.is_empty() {
            return Facts::default();
        }
        let addresses =
            previous.map(|result| first_addresses(result, attachment)).unwrap_or_default();
        let v4 = addresses.iter().find(|address| address.family() == Family::V4);
        let container_link = v4
            .filter(|_| self.config.snat)
            .and_then(|address| kernel.route_to(Place::Host, address.ip()).ok().flatten());
        let published = published(&self.config, &addresses);
        Facts {
            forward_drop: forward_accept::policies(kernel),
            container_link,
            filtered_port: self.filtered_port(kernel, attachment, &addresses),
            ..self.ports_and_back_end(kernel, attachment, &published)
        }
    }

    fn facts_for_del(
        &self,
        kernel: &mut Linux,
        attachment: &Attachment,
        previous: Option<&CniResult>,
    ) -> Facts {
        if self.config.mappings.is_empty() {
            return Facts::default();
        }
        let addresses =
            previous.map(|result| first_addresses(result, attachment)).unwrap_or_default();
        self.ports_and_back_end(kernel, attachment, &published(&self.config, &addresses))
    }

    fn declare(&self, attachment: &Attachment, given: &Given) -> Result<Desired, CniError> {
        let config = &self.config;
        let mut desired = Desired::new();
        let addresses = match &given.previous {
            Some(previous) => first_addresses(previous, attachment),
            None if given.deleting => Vec::new(),
            None => return Err(CniError::internal("must be called as chained plugin")),
        };
        let published = published(config, &addresses);
        if !config.mappings.is_empty() || given.deleting {
            self.declare_mappings(&mut desired, attachment, given, &published);
        }
        if given.deleting {
            declare_predecessors(&mut desired, attachment);
        }
        Ok(desired)
    }

    fn result(&self, _: &Attachment, given: &Given, _: &Observed) -> CniResult {
        given.previous.clone().unwrap_or_default()
    }

    fn scopes(&self) -> Vec<Scope> {
        let mut scopes = nftables::scopes(&self.config);
        scopes.extend(iptables::scopes());
        scopes.extend(forward_accept::scopes(forward_accept::Purpose::PublishedPorts));
        scopes
    }
}

impl Portmap {
    /// What has to be known to find the ports of an attachment.
    fn ports_and_back_end(
        &self,
        kernel: &mut Linux,
        attachment: &Attachment,
        published: &[Published<'_>],
    ) -> Facts {
        Facts {
            port_layer: nftables::layer(kernel, &self.config, attachment, published),
            nftables: self.config.backend != Backend::Automatic || kernel.nft_usable(),
            ..Facts::default()
        }
    }

    fn declare_mappings(
        &self,
        desired: &mut Desired,
        attachment: &Attachment,
        given: &Given,
        published: &[Published<'_>],
    ) {
        let config = &self.config;
        // The last of all, at ADD and at DEL, which goes the other way: a client that keeps sending
        // would be tracked with the old destination again.
        if given.deleting {
            self.declare_stale_flows(desired);
        }
        if config.uses_nftables(&given.facts) {
            let layer = given.facts.port_layer;
            nftables::declare(desired, config, layer, attachment, published);
        } else {
            iptables::declare(desired, config, attachment, published);
            if given.deleting {
                // What nftables may have, if the back end was another at ADD.
                nftables::declare(desired, config, 0, attachment, &[]);
            }
        }
        forward_accept::declare_published(desired, attachment, given, published);
        if let Some(link) = &given.facts.container_link {
            let path = format!("net/ipv4/conf/{link}/route_localnet");
            desired.push(Place::Host, Lifetime::Shared, Sysctl::new(path, "1"));
        }
        if given.deleting {
            return;
        }
        self.declare_stale_flows(desired);
        if let Some(link) = given.facts.filtered_port.clone() {
            let hairpin = Some(true);
            let port = BridgePort { link, hairpin, isolated: None, vlans: None };
            desired.push(Place::Host, Lifetime::Dependent, port);
        }
    }

    /// The port through which the container's packets for its own published port have to leave
    /// again: the bridge translates them on their way (`br_netfilter`), so that they never reach
    /// the host.
    fn filtered_port(
        &self,
        kernel: &mut Linux,
        attachment: &Attachment,
        addresses: &[Prefix],
    ) -> Option<IfName> {
        let filtered = |address: &Prefix| bridged_packets::are_filtered(kernel, address.family());
        if !self.config.snat || !addresses.iter().any(filtered) {
            return None;
        }
        bridged_packets::port(kernel, &attachment.ifname)
    }

    /// What the kernel tracks toward published UDP ports. TCP notices by itself.
    fn declare_stale_flows(&self, desired: &mut Desired) {
        let mut ports: Vec<(Option<IpAddr>, u16)> = self
            .config
            .mappings
            .iter()
            .filter(|mapping| mapping.protocol.number == UDP)
            .map(|mapping| (mapping.host_ip, mapping.host_port))
            .collect();
        ports.sort_unstable();
        for run in ports.chunk_by(|one, next| one.0 == next.0 && next.1 - one.1 <= 1) {
            let (host_ip, first) = run[0];
            let ports = (first, run[run.len() - 1].1);
            for family in [Family::V4, Family::V6] {
                if host_ip.is_none_or(|ip| Family::of(ip) == family) {
                    let destination = host_ip.filter(|ip| !ip.is_unspecified());
                    let flows = StaleFlows { family, protocol: UDP, ports, destination };
                    desired.push(Place::Host, Lifetime::Attachment, flows);
                }
            }
        }
    }
}

/// Each mapping with each address of the container that it applies to.
fn published<'a>(config: &'a Config, addresses: &[Prefix]) -> Vec<Published<'a>> {
    let mut published = Vec::new();
    for &container in addresses {
        let serves = |mapping: &&Mapping| {
            mapping.host_ip.is_none_or(|ip| Family::of(ip) == container.family())
        };
        let mappings = config.mappings.iter().filter(serves);
        published.extend(mappings.map(|mapping| Published { mapping, container }));
    }
    published
}

/// What the reference plugin would have made, with either back end.
fn declare_predecessors(desired: &mut Desired, attachment: &Attachment) {
    for family in [Family::V4, Family::V6] {
        let chain = iptables::container_chain(family, &attachment.owner);
        desired.push(Place::Host, Lifetime::Predecessor, chain);
    }
    for family in [NftFamily::Ip, NftFamily::Ip6] {
        for chain in ["hostports", "masquerading"] {
            let rules = NftTaggedRules {
                table: TableRef::new(family, "cni_hostport"),
                chain: chain.into(),
                comment_prefix: attachment.owner.container.clone(),
            };
            desired.push(Place::Host, Lifetime::Predecessor, rules);
        }
    }
}
