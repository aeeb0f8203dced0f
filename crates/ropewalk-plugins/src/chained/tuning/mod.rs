//! The plugin `tuning`: sysctls of the sandbox and attributes and offloads of its interface, given
//! back at DEL.

mod allowlist;
mod backup;
mod config;
mod keys;
mod offloads;

use ropewalk_cni::{AttachmentId, CniError, CniResult, Command, Request};
use ropewalk_netstate::{
    Desired, Lifetime, Memory, Observed, Place,
    resource::{Attribute, LinkAttribute, Offloads, Sysctl},
};

use self::{backup::Backup, config::Config};
use crate::device::{Attachment, Device, Given};

pub(crate) use keys::DESCRIPTION;

struct Tuning {
    config: Config,
}

/// Reads the configuration, and at ADD the list of sysctls that the administrator allows.
pub(crate) fn load(request: &Request) -> Result<Box<dyn Device>, CniError> {
    let config = Config::read(request)?;
    if request.command == Command::Add {
        allowlist::check(config.sysctls.iter().map(|(key, _)| key))?;
    }
    Ok(Box::new(Tuning { config }))
}

impl Device for Tuning {
    fn is_chained(&self) -> bool {
        true
    }

    fn declare(&self, attachment: &Attachment, given: &Given) -> Result<Desired, CniError> {
        if given.previous.is_none() && !given.deleting {
            return Err(CniError::internal("Required prevResult missing"));
        }
        let mut desired = Desired::new();
        for (key, value) in &self.config.sysctls {
            let path = config::sysctl_path(key, &attachment.ifname)?;
            desired.push(Place::Sandbox, Lifetime::Borrowed, Sysctl::new(path, value));
        }
        for attribute in self.attributes() {
            let link = attachment.ifname.clone();
            let attribute = LinkAttribute { link, attribute };
            desired.push(Place::Sandbox, Lifetime::Borrowed, attribute);
        }
        if !self.config.offloads.is_empty() {
            let (link, offloads) = (attachment.ifname.clone(), self.config.offloads.clone());
            desired.push(Place::Sandbox, Lifetime::Borrowed, Offloads { link, offloads });
        }
        Ok(desired)
    }

    fn result(&self, attachment: &Attachment, given: &Given, _: &Observed) -> CniResult {
        let mut result = given.previous.clone().unwrap_or_default();
        let own = result.interfaces.iter_mut().filter(|i| i.name == *attachment.ifname);
        for interface in own {
            if let Some(mac) = self.config.mac {
                interface.mac = mac.to_string();
            }
            if let Some(mtu) = self.config.mtu {
                interface.mtu = mtu;
            }
        }
        result
    }

    fn memory(&self, attachment: &Attachment) -> Box<dyn Memory> {
        Box::new(Backup::of(&self.config.data_directory, attachment))
    }

    fn collect_memory(&self, network: &str, valid: &[AttachmentId]) -> Result<(), CniError> {
        backup::collect(&self.config.data_directory, network, valid)
    }
}

impl Tuning {
    fn attributes(&self) -> Vec<Attribute> {
        let config = &self.config;
        [
            config.mac.map(Attribute::Mac),
            config.promiscuous.map(Attribute::Promiscuous),
            config.mtu.map(Attribute::Mtu),
            config.all_multicast.map(Attribute::AllMulticast),
            config.queue_length.map(Attribute::TxQueueLength),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
