//! What is wrong or unknown in a plugin's configuration, without running it.

use ropewalk_cni::Fields;
use serde_json::Value;

use crate::{chained, config, interface, ipam, table};

/// How much a remark matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemarkKind {
    /// The plugin would refuse the configuration.
    Error,
    /// The plugin does not know the key: a misspelling, or meant for somebody else.
    UnknownKey,
}

/// One remark on a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// How much it matters.
    pub kind: RemarkKind,
    /// Where, as `ipam.ranges[0][0].subnet`.
    pub path: String,
    /// What.
    pub message: String,
}

/// Remarks on the configuration object of one plugin; `None` for a plugin that is not ours.
pub fn lint(plugin: &str, configuration: &Value) -> Option<Vec<Remark>> {
    table::find(plugin)?;
    let fields = Fields::new(configuration, "");
    config::allow_common(&fields);
    match plugin {
        "bandwidth" => chained::bandwidth::lint(&fields),
        "bridge" => interface::bridge::lint(&fields),
        "dhcp" => ipam::dhcp::lint(&fields),
        "dummy" => interface::dummy::lint(&fields),
        "firewall" => chained::firewall::lint(&fields),
        "host-device" => interface::host_device::lint(&fields),
        "host-local" => ipam::host_local::lint(&fields),
        "macvlan" => interface::macvlan::lint(&fields),
        "portmap" => chained::portmap::lint(&fields),
        "ptp" => interface::ptp::lint(&fields),
        "sbr" => chained::sbr::lint(&fields),
        "static" => ipam::static_addresses::lint(&fields),
        "tuning" => chained::tuning::lint(&fields),
        "vlan" => interface::vlan::lint(&fields),
        _ => {}
    }
    let delegate = config::ipam_type(&fields).filter(|delegate| delegate != plugin);
    match delegate.as_deref() {
        Some("dhcp") => ipam::dhcp::lint(&fields),
        Some("host-local") => ipam::host_local::lint(&fields),
        Some("static") => ipam::static_addresses::lint(&fields),
        // Another program's keys are its own.
        _ => {}
    }
    let foreign_ipam = delegate.as_ref().is_some_and(|delegate| table::find(delegate).is_none());
    let errors = fields.finish().err().unwrap_or_default().into_iter().map(|error| Remark {
        kind: RemarkKind::Error,
        path: error.path,
        message: error.message,
    });
    let unknown = fields.unknown_keys().into_iter();
    let unknown = unknown.filter(|path| !(foreign_ipam && path.starts_with("ipam.")));
    let unknown = unknown.map(|path| Remark {
        kind: RemarkKind::UnknownKey,
        message: match (path.starts_with("ipam."), &delegate) {
            (true, Some(delegate)) => format!("{delegate} does not know this key"),
            _ => format!("{plugin} does not know this key"),
        },
        path,
    });
    Some(errors.chain(unknown).collect())
}
