//! The configuration of `host-device`: which device, and how it is found on the host.

use ropewalk_addr::Mac;
use ropewalk_cni::{CniError, Dns, Fields, Request};
use ropewalk_linux::{
    DeviceSelector, FoundDevice, Linux, is_in_user_space, is_on_auxiliary_bus, is_on_pci_bus,
};

use crate::{
    config,
    device::{Attachment, HostDevice},
    layer3::Options,
};

/// The configuration, checked.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// What `device`, `hwaddr` or `kernelpath` say, the first of them that says something.
    selector: Option<DeviceSelector>,
    /// `pciBusID`; it selects where nothing else does, and tells whether there is a link at all.
    pci: Option<String>,
    /// `runtimeConfig.deviceID`: the same on whichever bus it is.
    device_id: Option<String>,
    user_space: bool,
    pub(crate) options: Options,
    pub(crate) dns: Option<Dns>,
    pub(crate) ipam: Option<String>,
}

const NOTHING_SELECTED: &str = r#"specify either "device", "hwaddr", "kernelpath" or "pciBusID""#;

impl Config {
    pub(crate) fn read(request: &Request) -> Result<Self, CniError> {
        config::read(request, config::NETCONF, Self::from_fields)
    }

    fn from_fields(fields: &Fields<'_>) -> Self {
        let runtime = config::nested(fields, "runtimeConfig");
        let device_id = runtime.and_then(|runtime| runtime.text("deviceID"));
        let by_name = fields.text("device").map(|name| (name, name_selector as Read));
        let by_mac = fields.text("hwaddr").map(|mac| (mac, mac_selector as Read));
        let by_path = fields.text("kernelpath").map(|path| (path, path_selector as Read));
        let selected = by_name.or(by_mac).or(by_path);
        let config = Self {
            selector: selected.as_ref().and_then(|(text, read)| read(fields, text)),
            pci: fields.text("pciBusID"),
            device_id,
            user_space: fields.bool("dpdkMode").unwrap_or_default(),
            options: Options::read(fields),
            dns: config::dns(fields, "dns"),
            ipam: config::ipam_type(fields),
        };
        if selected.is_none() && config.pci.is_none() && config.device_id.is_none() {
            fields.report(NOTHING_SELECTED);
        }
        config
    }

    /// What there is on the host, and what the kernel gave back under another name.
    pub(crate) fn find(
        &self,
        kernel: &mut Linux,
        attachment: &Attachment,
        recorded: Option<Mac>,
    ) -> (HostDevice, Option<FoundDevice>) {
        let selector = match self.resolve() {
            Ok(Resolved::Link(selector)) => selector,
            Ok(Resolved::UserSpace) => return (HostDevice::UserSpace, None),
            Err(reason) => return (HostDevice::NotThere(reason), None),
        };
        let found = kernel.find_device(&selector);
        let stray = stray(kernel, &selector, found.as_ref().ok(), attachment, recorded);
        let device = match found {
            Ok(FoundDevice { name, up, .. }) => HostDevice::Link { name, up },
            Err(reason) => HostDevice::NotThere(format!("failed to find host device: {reason}")),
        };
        (device, stray)
    }

    /// The name on the host, where the configuration tells it.
    pub(crate) fn name(&self) -> Option<&ropewalk_addr::IfName> {
        match &self.selector {
            Some(DeviceSelector::Name(name)) => Some(name),
            _ => None,
        }
    }

    /// The bus of what the runtime chose is found out by looking.
    fn resolve(&self) -> Result<Resolved, String> {
        let mut pci = self.pci.clone();
        let mut auxiliary = None;
        match &self.device_id {
            Some(id) if is_on_pci_bus(id) => pci = Some(id.clone()),
            Some(id) if is_on_auxiliary_bus(id) => {
                (pci, auxiliary) = (None, Some(id.clone()));
            }
            Some(id) => {
                return Err(format!("runtime config DeviceID {id} not found or unsupported"));
            }
            None => {}
        }
        let user_space = match &pci {
            Some(address) => is_in_user_space(address)
                .map_err(|reason| format!("error with host device: {reason}"))?,
            None => self.user_space,
        };
        if user_space {
            return Ok(Resolved::UserSpace);
        }
        let by_bus = pci.map(DeviceSelector::Pci);
        let by_bus = by_bus.or(auxiliary.map(DeviceSelector::Auxiliary));
        self.selector.clone().or(by_bus).map(Resolved::Link).ok_or(NOTHING_SELECTED.to_owned())
    }
}

enum Resolved {
    Link(DeviceSelector),
    UserSpace,
}

type Read = fn(&Fields<'_>, &str) -> Option<DeviceSelector>;

fn name_selector(fields: &Fields<'_>, text: &str) -> Option<DeviceSelector> {
    let report = |error| {
        fields.report_at("device", format!("failed to find host device: {error}"));
    };
    text.parse().map_err(report).ok().map(DeviceSelector::Name)
}

fn mac_selector(fields: &Fields<'_>, text: &str) -> Option<DeviceSelector> {
    let report = |_| {
        let reason = format!("address {text}: invalid MAC address");
        let what = format!("failed to parse MAC address {text:?}: {reason}");
        fields.report_at("hwaddr", format!("failed to find host device: {what}"));
    };
    text.parse().map_err(report).ok().map(DeviceSelector::Mac)
}

fn path_selector(fields: &Fields<'_>, text: &str) -> Option<DeviceSelector> {
    if !text.starts_with("/sys/devices/") {
        let what =
            format!("kernel device path {text:?} must be absolute and begin with /sys/devices/");
        fields.report_at("kernelpath", format!("failed to find host device: {what}"));
        return None;
    }
    Some(DeviceSelector::KernelPath(text.to_owned()))
}

/// A device that came back by itself: when a sandbox vanishes, the kernel moves hardware to the
/// first namespace, down, under the name it had in the sandbox or, if that is taken, as `dev` and
/// a number. Its alias is still the name it had on the host.
///
/// Whoever gave a link of theirs an alias must not lose its name. So it must be the selected one,
/// be down, have such a name and the recorded MAC, and its former name must be free.
fn stray(
    kernel: &mut Linux,
    selector: &DeviceSelector,
    selected: Option<&FoundDevice>,
    attachment: &Attachment,
    recorded: Option<Mac>,
) -> Option<FoundDevice> {
    let candidate = match (selector, selected) {
        (DeviceSelector::Name(_), Some(_)) => return None,
        (DeviceSelector::Name(name), None) => {
            let mut devices = kernel.devices().ok()?.into_iter();
            devices.find(|device| device.alias.as_deref() == Some(name))?
        }
        (_, selected) => selected?.clone(),
    };
    let is_numbered = candidate
        .name
        .strip_prefix("dev")
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()));
    let is_named_so = candidate.name == attachment.ifname || is_numbered;
    let is_it = recorded.is_none_or(|mac| candidate.mac == Some(mac));
    let former = candidate.alias.as_deref()?.parse().ok()?;
    let is_free = kernel.find_device(&DeviceSelector::Name(former)).is_err();
    (is_named_so && is_it && is_free && !candidate.up).then_some(candidate)
}

/// Reads everything, so that `lint` finds what is wrong without a request.
pub(crate) fn lint(fields: &Fields<'_>) {
    Config::from_fields(fields);
}
