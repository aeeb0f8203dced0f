//! The plugin `firewall`: what containers send may pass, and comes back; bridges are kept apart.

mod config;
mod firewalld;
mod iptables;
mod keys;
mod nftables;

use std::net::IpAddr;

use ropewalk_addr::{Family, IfName};
use ropewalk_cni::{CniError, CniResult, Request};
use ropewalk_linux::Linux;
use ropewalk_netstate::{Desired, Lifetime, Observed, Place, Scope, resource::BridgePort};

use self::config::{Backend, Config, IngressPolicy};
use super::all_addresses;
use crate::{
    device::{Attachment, Device, Facts, Firewalld, Given},
    feature::{bridged_packets, fast_path, forward_accept},
    names,
};

pub(crate) use keys::DESCRIPTION;
pub(crate) use nftables::scopes;

struct Firewall {
    config: Config,
}

/// Reads the configuration.
pub(crate) fn load(request: &Request) -> Result<Box<dyn Device>, CniError> {
    Ok(Box::new(Firewall { config: Config::read(request)? }))
}

impl Device for Firewall {
    fn is_chained(&self) -> bool {
        true
    }

    fn facts(
        &self,
        kernel: &mut Linux,
        attachment: &Attachment,
        previous: Option<&CniResult>,
    ) -> Facts {
        let addresses = previous.map(|result| all_addresses(result, attachment));
        let unfiltered_port =
            self.unfiltered_port(kernel, attachment, &addresses.unwrap_or_default());
        let fast_path = match &unfiltered_port {
            Some(port) => fast_path::beside(kernel, port, "ingressPolicy \"isolated\""),
            None => Ok(()),
        };
        if self.config.backend == Backend::Iptables {
            return Facts { unfiltered_port, fast_path, ..Facts::default() };
        }
        Facts {
            unfiltered_port,
            fast_path,
            forward_drop: forward_accept::policies(kernel),
            ..self.facts_for_del(kernel, attachment, previous)
        }
    }

    fn facts_for_del(&self, kernel: &mut Linux, _: &Attachment, _: Option<&CniResult>) -> Facts {
        if self.config.backend == Backend::Iptables {
            return Facts::default();
        }
        let (nftables, firewalld) = (kernel.nft_usable(), firewalld::presence(kernel));
        Facts { nftables, firewalld, ..Facts::default() }
    }

    fn declare(&self, attachment: &Attachment, given: &Given) -> Result<Desired, CniError> {
        let addresses = match &given.previous {
            Some(previous) => all_addresses(previous, attachment),
            None if given.deleting => given.leased.clone(),
            None => return Err(CniError::internal("missing prevResult from earlier plugin")),
        };
        let mut desired = Desired::new();
        let side = match self.config.ingress_policy {
            IngressPolicy::Open => None,
            _ if given.deleting => None,
            _ => Some(self.side(attachment, given)?),
        };
        let policy = side.map(|side| (self.config.ingress_policy, side));
        let policy = policy.as_ref();
        if given.deleting {
            self.declare_owned(&mut desired, attachment, given, &addresses)?;
            return Ok(desired);
        }
        fast_path::refuse(given)?;
        if let Some(link) = given.facts.unfiltered_port.clone() {
            let port = BridgePort { link, hairpin: None, isolated: Some(true), vlans: None };
            desired.push(Place::Host, Lifetime::Dependent, port);
        }
        if self.uses_firewalld(given)? {
            firewalld::declare(&mut desired, &self.config.zone, &addresses);
            // firewalld accepts; it keeps no bridges apart.
            if let Some((policy, side)) = policy {
                if given.facts.nftables {
                    nftables::declare_apart(&mut desired, attachment, *policy, side);
                } else {
                    iptables::declare_apart(&mut desired, &addresses, *policy, side);
                }
            }
            if self.config.drop_invalid && !given.facts.nftables {
                iptables::declare_drops_apart(&mut desired, &self.config, &addresses);
            }
        } else if self.uses_iptables(given) {
            iptables::declare(&mut desired, &self.config, &addresses, policy);
        } else {
            nftables::declare(&mut desired, attachment, &addresses, policy);
            forward_accept::declare_addresses(&mut desired, attachment, given, &addresses);
        }
        if self.config.drop_invalid && !self.uses_iptables(given) {
            nftables::declare_drops(&mut desired, attachment, &addresses);
        }
        Ok(desired)
    }

    fn result(&self, _: &Attachment, given: &Given, _: &Observed) -> CniResult {
        given.previous.clone().unwrap_or_default()
    }

    fn scopes(&self) -> Vec<Scope> {
        let mut scopes = nftables::scopes();
        scopes.extend(forward_accept::scopes(forward_accept::Purpose::Container));
        scopes
    }
}

impl Firewall {
    /// The port that has to be isolated because packets which stay on the bridge pass no packet
    /// filter, so that no rule keeps its containers from each other.
    fn unfiltered_port(
        &self,
        kernel: &mut Linux,
        attachment: &Attachment,
        addresses: &[IpAddr],
    ) -> Option<IfName> {
        let unfiltered = |ip: &IpAddr| !bridged_packets::are_filtered(kernel, Family::of(*ip));
        let is_isolated = self.config.ingress_policy == IngressPolicy::Isolated;
        if !is_isolated || !addresses.iter().any(unfiltered) {
            return None;
        }
        bridged_packets::port(kernel, &attachment.ifname)
    }

    /// firewalld where it is asked for, which needs a bus, and where it runs.
    fn uses_firewalld(&self, given: &Given) -> Result<bool, CniError> {
        match (self.config.backend, &given.facts.firewalld) {
            (Backend::Iptables, _) => Ok(false),
            (Backend::Automatic, firewalld) => Ok(*firewalld == Firewalld::Running),
            // What firewalld had is gone with it.
            (Backend::Firewalld, Firewalld::Unreachable(reason)) if !given.deleting => {
                Err(CniError::internal(format!("failed to connect to the system bus: {reason}"))
                    .with_details("hint: leave \"backend\" out to do without firewalld"))
            }
            (Backend::Firewalld, _) => Ok(true),
        }
    }

    /// iptables where it is asked for, by name or by one of its chains, and where there is nothing
    /// else.
    fn uses_iptables(&self, given: &Given) -> bool {
        self.config.backend == Backend::Iptables || !given.facts.nftables
    }

    /// At DEL: what any back end may have made, because the host and the configuration may have
    /// changed since the ADD.
    fn declare_owned(
        &self,
        desired: &mut Desired,
        attachment: &Attachment,
        given: &Given,
        addresses: &[IpAddr],
    ) -> Result<(), CniError> {
        if self.uses_firewalld(given)? {
            firewalld::declare(desired, &self.config.zone, addresses);
        }
        nftables::declare_owned(desired, attachment, addresses);
        forward_accept::declare_addresses(desired, attachment, given, addresses);
        // A rule tells an address, which may be another container's by now, so that it goes only
        // if it is all there is.
        let lifetime =
            if self.uses_iptables(given) { Lifetime::Attachment } else { Lifetime::Predecessor };
        iptables::declare_addresses(desired, addresses, lifetime);
        let host_end = names::host_interface(&attachment.owner);
        iptables::declare_host_end(desired, addresses, &host_end, lifetime);
        Ok(())
    }

    /// The first interface that a `bridge` plugin tells is the bridge, that of `ptp` the host's end.
    /// A name in the container is nobody's on the host.
    fn side(&self, attachment: &Attachment, given: &Given) -> Result<Side, CniError> {
        let mut interfaces = given.previous.iter().flat_map(|previous| &previous.interfaces);
        let first = interfaces.next().filter(|first| first.sandbox.is_empty());
        let link: Option<IfName> = first.and_then(|interface| interface.name.parse().ok());
        match link {
            Some(link) if link == names::host_interface(&attachment.owner) => {
                Ok(Side::HostEnd(link))
            }
            Some(link) => Ok(Side::Bridge(link)),
            None => Err(CniError::internal(format!(
                "interface needs to be set for ingress policy {:?}, make sure to chain \
                 \"firewall\" plugin with \"bridge\"",
                self.config.ingress_policy.name()
            ))),
        }
    }
}

/// What a policy keeps apart from others of its kind.
pub(crate) enum Side {
    /// The bridge of this name, with all containers on it.
    Bridge(IfName),
    /// The host's end of the container's own pair.
    HostEnd(IfName),
}

impl Side {
    fn link(&self) -> &IfName {
        match self {
            Self::Bridge(link) | Self::HostEnd(link) => link,
        }
    }

    /// How long what is declared about the link alone lives.
    fn lifetime(&self) -> Lifetime {
        match self {
            Self::Bridge(_) => Lifetime::Shared,
            Self::HostEnd(_) => Lifetime::Attachment,
        }
    }
}

/// An address and the family it is of.
pub(crate) fn of_family(addresses: &[IpAddr], family: Family) -> Vec<IpAddr> {
    let same = |ip: &&IpAddr| Family::of(**ip) == family;
    addresses.iter().filter(same).copied().collect()
}
