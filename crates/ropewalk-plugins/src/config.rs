//! Parts of configurations that several plugins share.

use std::net::IpAddr;

use ropewalk_addr::{Family, IfName};
use ropewalk_cni::{Cidr, CniError, Dns, Fields, Request, RouteConfig, Version, config_error};

/// The object at a dotted path (`args.cni`), if all of it is there.
pub(crate) fn nested<'a>(fields: &Fields<'a>, path: &str) -> Option<Fields<'a>> {
    path.split('.').try_fold(fields.clone(), |fields, key| fields.object(key))
}

/// The keys that every configuration may have.
pub(crate) const COMMON: &[&str] = &[
    "cniVersion",
    "cniVersions",
    "name",
    "type",
    "$schema",
    "prevResult",
    "capabilities",
    "args",
    "runtimeConfig",
    "dns",
    "cni.dev/valid-attachments",
    "cni.dev/attachments",
    "cni.dev/valid-attachments-time",
];

/// Marks the keys that every configuration may have.
pub(crate) fn allow_common(fields: &Fields<'_>) {
    fields.allow(COMMON);
}

/// An optional name of an interface.
pub(crate) fn interface_name(fields: &Fields<'_>, key: &str) -> Option<IfName> {
    let name = fields.text(key)?.parse();
    name.map_err(|error| fields.report_at(key, format!("{error}"))).ok()
}

/// An optional gateway address.
pub(crate) fn gateway(fields: &Fields<'_>, key: &str) -> Option<IpAddr> {
    let text = fields.text(key)?;
    let gateway = text.parse().ok();
    if gateway.is_none() {
        fields.report_at(key, format!("invalid gateway address: {text}"));
    }
    gateway
}

/// A list of routes.
pub(crate) fn routes(fields: &Fields<'_>, key: &str) -> Vec<RouteConfig> {
    let entries = fields.objects(key).unwrap_or_default();
    entries.iter().filter_map(route).collect()
}

fn route(entry: &Fields<'_>) -> Option<RouteConfig> {
    let dst = entry.parsed("dst", str::parse::<Cidr>);
    if dst.is_none() && entry.value("dst").is_none() {
        entry.report_at("dst", "route has no destination");
    }
    let scope = entry.u32("scope").and_then(|number| {
        let scope = u8::try_from(number).ok();
        if scope.is_none() {
            entry.report_at("scope", format!("route scope {number} is not in 0..255"));
        }
        scope
    });
    let route = RouteConfig {
        mtu: entry.u32("mtu"),
        advmss: entry.u32("advmss"),
        priority: entry.u32("priority"),
        table: entry.u32("table"),
        scope,
        ..RouteConfig::new(dst?, gateway(entry, "gw"))
    };
    let mixed = route.gw.is_some_and(|gw| Family::of(gw) != Family::of(route.dst.ip));
    if mixed {
        entry.report_at("gw", format!("route to {} has a gateway of another family", route.dst));
    }
    Some(route)
}

/// A DNS object; `None` if it is absent or says nothing.
pub(crate) fn dns(fields: &Fields<'_>, key: &str) -> Option<Dns> {
    let entry = fields.object(key)?;
    let dns = Dns {
        nameservers: entry.strings("nameservers").unwrap_or_default(),
        domain: entry.string("domain").unwrap_or_default(),
        search: entry.strings("search").unwrap_or_default(),
        options: entry.strings("options").unwrap_or_default(),
    };
    Some(dns).filter(|dns| !dns.is_empty())
}

/// `ipam.type`; the rest of the object is its plugin's business.
pub(crate) fn ipam_type(fields: &Fields<'_>) -> Option<String> {
    fields.object("ipam")?.text("type")
}

/// What a missing `ipam.type` is called.
pub(crate) const NO_IPAM: &str = "no plugin name provided";

/// The same where there has to be one.
pub(crate) fn required_ipam_type(fields: &Fields<'_>) -> Option<String> {
    let name = ipam_type(fields);
    if name.is_none() {
        fields.report_at("ipam.type", NO_IPAM);
    }
    name
}

/// What failing to decode the configuration of an interface plugin is called.
pub(crate) const NETCONF: &str = "failed to load netconf";

/// Reads a configuration; all that is wrong with it is told at once.
pub(crate) fn read<T>(
    request: &Request,
    decoding: &str,
    reader: impl FnOnce(&Fields<'_>) -> T,
) -> Result<T, CniError> {
    let fields = Fields::new(&request.raw, "");
    let value = reader(&fields);
    finish(&fields, decoding)?;
    Ok(value)
}

/// Tells what was wrong with a configuration: wrong types as failures to decode it, other mistakes
/// as they are.
pub(crate) fn finish(fields: &Fields<'_>, decoding: &str) -> Result<(), CniError> {
    fields.finish().map_err(|errors| {
        let is_decoding = errors.first().is_some_and(|error| error.message.starts_with("json: "));
        config_error(if is_decoding { decoding } else { "" }, &errors)
    })
}

/// `mtu`; 0 leaves it to the kernel.
pub(crate) fn mtu(fields: &Fields<'_>) -> Option<u32> {
    fields.u32("mtu").filter(|mtu| *mtu != 0)
}

/// Results before version 0.3.0 carry one address per family.
pub(crate) fn one_address_per_family(
    version: Version,
    ips: impl Iterator<Item = IpAddr>,
) -> Result<(), CniError> {
    let mut count = [0, 0];
    ips.for_each(|ip| count[usize::from(ip.is_ipv6())] += 1);
    if version < Version::V0_3_0 && count.iter().any(|count| *count > 1) {
        return Err(CniError::invalid_config(format!(
            "CNI version {version} does not support more than 1 address per family"
        )));
    }
    Ok(())
}
