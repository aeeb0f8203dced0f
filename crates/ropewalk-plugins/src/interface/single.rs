//! A container's interface that is one link, made in the sandbox under its final name: what
//! `macvlan`, `ipvlan`, `vlan`, `dummy` and `tap` have in common. It must not know what kind of
//! link that is.

use ropewalk_addr::Mac;
use ropewalk_cni::{CniResult, Dns, Fields};
use ropewalk_netstate::{
    Desired, Lifetime, Observed, Place, Resource,
    resource::{Key, VirtualLink},
};

use crate::{
    config,
    device::{Attachment, Given},
    layer3,
};

/// What the configurations of all of them may say.
#[derive(Debug)]
pub(crate) struct Single {
    pub(crate) ipam: Option<String>,
    dns: Option<Dns>,
    options: layer3::Options,
}

impl Single {
    pub(crate) fn read(fields: &Fields<'_>) -> Self {
        Self { options: layer3::Options::read(fields), ..Self::without_neighbours(fields) }
    }

    /// For a link on which nobody can be asked or heard.
    pub(crate) fn without_neighbours(fields: &Fields<'_>) -> Self {
        let (ipam, dns) = (config::ipam_type(fields), config::dns(fields, "dns"));
        Self { ipam, dns, options: layer3::Options::default() }
    }

    /// The link, with addresses or without, up.
    pub(crate) fn declare(
        &self,
        link: VirtualLink,
        attachment: &Attachment,
        given: &Given,
        layer3: Option<&CniResult>,
    ) -> Desired {
        let mut desired = Desired::new();
        desired.push(Place::Sandbox, Lifetime::Attachment, as_recorded(link, attachment, given));
        layer3::declare_all(&mut desired, &attachment.ifname, layer3, self.options);
        desired
    }

    /// The link is the only interface of the result.
    pub(crate) fn result(
        &self,
        attachment: &Attachment,
        layer3: Option<&CniResult>,
        observed: &Observed,
    ) -> CniResult {
        let key = Key::VirtualLink(attachment.ifname.clone());
        let mac = match observed.find(Place::Sandbox, &key) {
            Some(Resource::VirtualLink(link)) => link.mac,
            _ => None,
        };
        let mut result = layer3.cloned().unwrap_or_default();
        layer3::assign_addresses(&mut result, 0, attachment, observed);
        if let Some(dns) = &self.dns {
            result.dns = dns.clone();
        }
        let interface = layer3::interface(&attachment.ifname, mac, &attachment.netns);
        CniResult { interfaces: vec![interface], ..result }
    }
}

/// A plugin behind this one may have changed MAC and MTU: CHECK wants what the chain ended with.
fn as_recorded(link: VirtualLink, attachment: &Attachment, given: &Given) -> VirtualLink {
    let recorded = given.recorded(&attachment.ifname, &attachment.netns);
    let mac = recorded.and_then(|interface| interface.mac.parse().ok());
    let mtu = recorded.map(|interface| interface.mtu).filter(|mtu| *mtu != 0);
    VirtualLink { mac: mac.or(link.mac), mtu: mtu.or(link.mtu), ..link }
}

/// `runtimeConfig.mac` beats `MAC` in `CNI_ARGS` beats `mac`.
pub(crate) fn mac(fields: &Fields<'_>, requested: Option<&str>) -> Option<Mac> {
    let by_runtime = fields.object("runtimeConfig").and_then(|runtime| runtime.text("mac"));
    let configured = fields.text("mac");
    let requested = requested.filter(|text| !text.is_empty()).map(str::to_owned);
    let text = by_runtime.or(requested).or(configured)?;
    let parsed = text.parse();
    if parsed.is_err() {
        let message =
            format!("invalid args {text} for MAC addr: address {text}: invalid MAC address");
        fields.report_path("mac", message);
    }
    parsed.ok()
}
