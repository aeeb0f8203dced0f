//! The plugin `host-device`: a device of the host becomes the container's interface, and is given
//! back at the end.

mod config;
mod keys;

use ropewalk_cni::{CniError, CniResult, Request};
use ropewalk_linux::Linux;
use ropewalk_netstate::{
    Desired, Lifetime, Observed, Place, Resource,
    resource::{Key, MovedDevice},
};

use self::config::Config;
use crate::{
    device::{Attachment, Device, Facts, Given, HostDevice},
    layer3,
};

pub(crate) use keys::DESCRIPTION;

/// Index of the device in the result.
const CONTAINER_INTERFACE: usize = 0;

struct HostDevicePlugin {
    config: Config,
}

/// Reads the configuration.
pub(crate) fn load(request: &Request) -> Result<Box<dyn Device>, CniError> {
    Ok(Box::new(HostDevicePlugin { config: Config::read(request)? }))
}

impl Device for HostDevicePlugin {
    fn ipam(&self) -> Option<&str> {
        self.config.ipam.as_deref()
    }

    fn takes_link(&self) -> bool {
        true
    }

    fn facts(
        &self,
        kernel: &mut Linux,
        attachment: &Attachment,
        previous: Option<&CniResult>,
    ) -> Facts {
        let given = Given { previous: previous.cloned(), ..Given::default() };
        let recorded = given.recorded_mac(&attachment.ifname, &attachment.netns);
        let (host_device, stray) = self.config.find(kernel, attachment, recorded);
        let former = |alias: Option<String>| alias?.parse().ok();
        let stray_device = stray.and_then(|stray| Some((stray.name, former(stray.alias)?)));
        Facts { host_device, stray_device, ..Facts::default() }
    }

    fn declare(&self, attachment: &Attachment, given: &Given) -> Result<Desired, CniError> {
        let mut desired = Desired::new();
        if given.facts.host_device == HostDevice::UserSpace {
            return Ok(desired);
        }
        let device = self.moved_device(attachment, given)?;
        desired.push(Place::Sandbox, Lifetime::Attachment, device);
        if given.deleting
            && let Some((name, original)) = given.facts.stray_device.clone()
        {
            let original = Some(original);
            let device = MovedDevice { name, original, mac: None, was_up: false };
            desired.push(Place::Host, Lifetime::Attachment, device);
        }
        let (layer3, options) = (given.layer3.as_ref(), self.config.options);
        layer3::declare_all(&mut desired, &attachment.ifname, layer3, options);
        Ok(desired)
    }

    fn result(&self, attachment: &Attachment, given: &Given, observed: &Observed) -> CniResult {
        let key = Key::MovedDevice(attachment.ifname.clone());
        let mac = match observed.find(Place::Sandbox, &key) {
            Some(Resource::MovedDevice(device)) => device.mac,
            _ => None,
        };
        let mut result = given.layer3.clone().unwrap_or_default();
        layer3::assign_addresses(&mut result, CONTAINER_INTERFACE, attachment, observed);
        // As in the reference plugin, what IPAM says of name servers is dropped.
        result.dns = self.config.dns.clone().unwrap_or_default();
        let interfaces = vec![layer3::interface(&attachment.ifname, mac, &attachment.netns)];
        CniResult { interfaces, ..result }
    }
}

impl HostDevicePlugin {
    /// The device in the sandbox. Only ADD has to know which one of the host it is.
    fn moved_device(
        &self,
        attachment: &Attachment,
        given: &Given,
    ) -> Result<MovedDevice, CniError> {
        let is_add = given.previous.is_none() && !given.deleting;
        let (original, was_up) = match &given.facts.host_device {
            HostDevice::Link { name, up } if is_add => (Some(name.clone()), *up),
            HostDevice::NotThere(reason) if is_add => {
                return Err(CniError::internal(reason.clone()));
            }
            HostDevice::Link { .. } | HostDevice::NotThere(_) | HostDevice::UserSpace => {
                (self.config.name().cloned(), false)
            }
        };
        let mac = given.recorded_mac(&attachment.ifname, &attachment.netns);
        Ok(MovedDevice { name: attachment.ifname.clone(), original, mac, was_up })
    }
}
