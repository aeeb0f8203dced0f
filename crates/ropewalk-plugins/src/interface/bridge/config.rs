//! The configuration of `bridge`.

use ropewalk_addr::{IfName, Mac};
use ropewalk_cni::{CniError, Dns, Fields, Request, parse_args};
use ropewalk_netstate::resource::{PortVlans, VlanRange};

use super::ports::{self, Port};
use crate::{
    config,
    feature::{big_packets::BigPackets, fast_path, masquerade::Backend},
    layer3::Options,
};

/// The configuration, checked.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "the options are independent switches")]
pub(crate) struct Config {
    pub(crate) bridge: IfName,
    pub(crate) is_gateway: bool,
    pub(crate) is_default_gateway: bool,
    /// Whether default routes of IPAM count.
    pub(crate) default_route: bool,
    pub(crate) force_address: bool,
    pub(crate) masquerade: Backend,
    pub(crate) mtu: Option<u32>,
    pub(crate) hairpin: bool,
    pub(crate) promiscuous: bool,
    pub(crate) isolated: bool,
    pub(crate) vlan: Option<u16>,
    pub(crate) vlans: Option<PortVlans>,
    /// Links of the host that are ports too.
    pub(crate) ports: Vec<Port>,
    /// Whether the port is an interface that the plugin before this one made.
    pub(crate) chained: bool,
    /// Whether a bridge that nobody uses any more goes.
    pub(crate) remove_unused: bool,
    pub(crate) spoof_check: bool,
    pub(crate) big_packets: BigPackets,
    pub(crate) fast_path: bool,
    pub(crate) options: Options,
    pub(crate) container_interface_up: bool,
    pub(crate) mac: Option<Mac>,
    pub(crate) dns: Option<Dns>,
    pub(crate) ipam: Option<String>,
}

impl Config {
    pub(crate) fn read(request: &Request) -> Result<Self, CniError> {
        let args = parse_args(&request.args, &["MAC"])?;
        let requested = args.get("MAC").map(str::to_owned);
        config::read(request, config::NETCONF, |fields| Self::from_fields(fields, requested))
    }

    fn from_fields(fields: &Fields<'_>, requested_mac: Option<String>) -> Self {
        let flag = |key| fields.bool(key).unwrap_or_default();
        let bridge = config::interface_name(fields, "bridge");
        let is_default_gateway = flag("isDefaultGateway");
        let vlan = vlan(fields);
        let config = Self {
            bridge: bridge.unwrap_or_else(default_bridge),
            is_gateway: flag("isGateway") || is_default_gateway,
            is_default_gateway,
            default_route: fields.bool("defaultRoute").unwrap_or(true),
            force_address: flag("forceAddress"),
            masquerade: Backend::read(fields),
            mtu: config::mtu(fields),
            hairpin: flag("hairpinMode"),
            promiscuous: flag("promiscMode"),
            isolated: flag("portIsolation"),
            vlans: port_vlans(fields, vlan),
            vlan,
            ports: ports::read(fields),
            chained: flag("chained"),
            remove_unused: flag("removeUnused"),
            spoof_check: flag("macspoofchk"),
            big_packets: BigPackets::read(fields),
            fast_path: fast_path::read(fields),
            options: Options::read(fields),
            container_interface_up: !flag("disableContainerInterface"),
            mac: mac(fields, requested_mac),
            dns: config::dns(fields, "dns"),
            ipam: config::ipam_type(fields),
        };
        config.check(fields);
        config
    }

    /// What does not go together.
    fn check(&self, fields: &Fields<'_>) {
        if self.hairpin && self.promiscuous {
            let message = "cannot set hairpin mode and promiscuous mode at the same time";
            fields.report_at("promiscMode", message);
        }
        if self.is_default_gateway && !self.default_route {
            let message = "cannot be the default gateway without a default route";
            fields.report_at("defaultRoute", message);
        }
        if !self.container_interface_up && self.ipam.is_some() {
            let message = "cannot use IPAM when DisableContainerInterface flag is set";
            fields.report_at("disableContainerInterface", message);
        }
        if self.fast_path {
            self.check_fast_path(fields);
        }
        // They are about an interface that this plugin makes.
        let of_the_container = [
            ("ipam", self.ipam.is_some()),
            ("isDefaultGateway", self.is_default_gateway),
            ("macspoofchk", self.spoof_check),
            ("disableContainerInterface", !self.container_interface_up),
            ("bigTCP", self.big_packets != BigPackets::Off),
            ("fastPath", self.fast_path),
        ];
        for (key, is_set) in of_the_container {
            if self.chained && is_set {
                fields.report_at(key, format!("{key} cannot be used with chained"));
            }
        }
    }

    /// What happens to frames on the bridge does not happen to those that pass it by.
    fn check_fast_path(&self, fields: &Fields<'_>) {
        let of_the_bridge = [
            ("promiscMode", self.promiscuous),
            ("portIsolation", self.isolated),
            ("vlan", self.vlan.is_some()),
            ("vlanTrunk", self.vlan.is_none() && self.vlans.is_some()),
            ("macspoofchk", self.spoof_check),
        ];
        for (key, is_set) in of_the_bridge {
            if is_set {
                let message = format!("{key} cannot be used with fastPath, which it would not see");
                fields.report_at(key, message);
            }
        }
    }

    /// Whether the bridge has to keep VLANs apart.
    pub(crate) fn filters_vlans(&self) -> bool {
        self.vlans.is_some() || self.ports.iter().any(|port| port.vlans.is_some())
    }
}

/// Reads everything, so that `lint` finds what is wrong without a request.
pub(crate) fn lint(fields: &Fields<'_>) {
    Config::from_fields(fields, None);
}

fn default_bridge() -> IfName {
    "cni0".parse().expect("four letters are a name")
}

/// `runtimeConfig.mac` beats `args.cni.mac` beats `MAC` in `CNI_ARGS`.
fn mac(fields: &Fields<'_>, requested: Option<String>) -> Option<Mac> {
    let of = |source| config::nested(fields, source).and_then(|inner| inner.text("mac"));
    let (by_runtime, by_args) = (of("runtimeConfig"), of("args.cni"));
    let text = by_runtime.or(by_args).or(requested.filter(|text| !text.is_empty()))?;
    let parsed = text.parse();
    if parsed.is_err() {
        let message = format!("failed to make veth pair: address {text}: invalid MAC address");
        fields.report_path("mac", message);
    }
    parsed.ok()
}

pub(crate) fn vlan(fields: &Fields<'_>) -> Option<u16> {
    let id = fields.i64("vlan")?;
    match u16::try_from(id) {
        Ok(0) => None,
        Ok(id) if id <= 4094 => Some(id),
        _ => {
            let message = format!("invalid VLAN ID {id} (must be between 0 and 4094)");
            fields.report_at("vlan", message);
            None
        }
    }
}

/// The VLANs of the port; `None` without `vlan` and `vlanTrunk`. A trunk without a VLAN of its own
/// leaves untagged frames in VLAN 1.
pub(crate) fn port_vlans(fields: &Fields<'_>, vlan: Option<u16>) -> Option<PortVlans> {
    let keep_default = fields.bool("preserveDefaultVlan").unwrap_or_default();
    let trunks = fields.objects("vlanTrunk");
    if vlan.is_none() && trunks.is_none() {
        return None;
    }
    let mut ids: Vec<u16> = trunks.unwrap_or_default().iter().flat_map(trunk).collect();
    ids.sort_unstable();
    ids.dedup();
    let untagged = vlan.or((!ids.is_empty()).then_some(1));
    ids.retain(|id| Some(*id) != untagged);
    Some(PortVlans { untagged, tagged: ranges(&ids), keep_default })
}

fn trunk(entry: &Fields<'_>) -> Vec<u16> {
    let id = |key: &str, message: &str| {
        let id = entry.i64(key)?;
        let valid = u16::try_from(id).ok().filter(|id| (1..=4094).contains(id));
        if valid.is_none() {
            entry.report_at(key, message);
        }
        Some(valid.unwrap_or(1))
    };
    let first = id("minID", "incorrect trunk minID parameter");
    let last = id("maxID", "incorrect trunk maxID parameter");
    let mut ids: Vec<u16> = match (first, last) {
        (Some(first), Some(last)) if first > last => {
            entry.report("minID is greater than maxID in trunk parameter");
            Vec::new()
        }
        (Some(first), Some(last)) => (first..=last).collect(),
        (None, None) => Vec::new(),
        (first, _) => {
            let missing = if first.is_some() { "maxID" } else { "minID" };
            entry.report(format!(
                "minID and maxID should be configured simultaneously, {missing} is missing"
            ));
            Vec::new()
        }
    };
    ids.extend(id("id", "incorrect trunk id parameter"));
    ids
}

/// Ascending ids as ranges.
fn ranges(ids: &[u16]) -> Vec<VlanRange> {
    let mut ranges: Vec<VlanRange> = Vec::new();
    for &id in ids {
        match ranges.last_mut() {
            Some(range) if range.last + 1 == id => range.last = id,
            _ => ranges.push(VlanRange { first: id, last: id }),
        }
    }
    ranges
}
