//! Plugins that change what plugins before them in the chain made.

pub(crate) mod bandwidth;
pub(crate) mod firewall;
pub(crate) mod portmap;
pub(crate) mod sbr;
pub(crate) mod tuning;
pub(crate) mod vrf;

use std::net::IpAddr;

use ropewalk_addr::Family;
use ropewalk_cni::CniResult;

use crate::{device::Attachment, layer3};

/// The container's addresses: the first of each family on its interface.
pub(crate) fn first_addresses(
    result: &CniResult,
    attachment: &Attachment,
) -> Vec<ropewalk_addr::Prefix> {
    let own = layer3::of_interface(result, &attachment.ifname, "");
    let first = |family| {
        let ips = own.ips.iter().map(|ip| layer3::prefix(ip.address));
        ips.into_iter().find(|ip| ip.family() == family)
    };
    [Family::V4, Family::V6].into_iter().filter_map(first).collect()
}

/// All addresses of the container's interface.
pub(crate) fn all_addresses(result: &CniResult, attachment: &Attachment) -> Vec<IpAddr> {
    let own = layer3::of_interface(result, &attachment.ifname, "");
    own.ips.iter().map(|ip| ip.address.ip).collect()
}
