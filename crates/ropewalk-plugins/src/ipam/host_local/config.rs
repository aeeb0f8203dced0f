//! The configuration of `host-local`.

use std::{net::IpAddr, path::PathBuf};

use ropewalk_cni::{
    Cidr, CniArgs, CniError, Fields, Request, RouteConfig, args::invalid_value, parse_args,
};

use super::ranges::{RangeSet, RawRange};
use crate::{config, layer3};

/// The configuration, checked.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) sets: Vec<RangeSet>,
    pub(crate) routes: Vec<RouteConfig>,
    pub(crate) data_directory: Option<PathBuf>,
    pub(crate) resolv_conf: Option<PathBuf>,
    pub(crate) requested: Vec<IpAddr>,
    /// Whether leases end with the boot in which they were given.
    pub(crate) forget_on_reboot: bool,
}

impl Config {
    pub(crate) fn read(request: &Request) -> Result<Self, CniError> {
        let fields = Fields::new(&request.raw, "");
        let Some(ipam) = fields.object("ipam") else {
            return Err(CniError::invalid_config("IPAM config missing 'ipam' key"));
        };
        let mut requested = addresses_of_args(&parse_args(&request.args, &["IP"])?)?;
        for source in ["args.cni", "runtimeConfig"] {
            requested.extend(addresses(&fields, source));
        }
        let sets = range_sets(&fields, &ipam);
        let config = Self {
            sets,
            routes: config::routes(&ipam, "routes"),
            data_directory: path(&ipam, "dataDir"),
            resolv_conf: path(&ipam, "resolvConf"),
            requested,
            forget_on_reboot: ipam.bool("forgetOnReboot").unwrap_or_default(),
        };
        config::finish(&fields, "")?;
        let first = config.sets.iter().filter_map(|set| set.0.first());
        config::one_address_per_family(request.version, first.map(|range| range.subnet.ip()))?;
        Ok(config)
    }
}

/// Reads everything, so that `lint` finds what is wrong without a request.
pub(crate) fn lint(fields: &Fields<'_>) {
    for source in ["args.cni", "runtimeConfig"] {
        addresses(fields, source);
    }
    if let Some(ipam) = fields.object("ipam") {
        ipam.allow(&["type"]);
        let allowed_to_come_later = fields
            .object("capabilities")
            .is_some_and(|capabilities| capabilities.bool("ipRanges") == Some(true));
        if ipam.value("ranges").is_some()
            || ipam.value("subnet").is_some()
            || !allowed_to_come_later
        {
            range_sets(fields, &ipam);
        }
        config::routes(&ipam, "routes");
        path(&ipam, "dataDir");
        path(&ipam, "resolvConf");
        ipam.bool("forgetOnReboot");
    }
}

/// An optional path.
pub(crate) fn path(ipam: &Fields<'_>, key: &str) -> Option<PathBuf> {
    ipam.text(key).map(PathBuf::from)
}

/// `IP` of `CNI_ARGS`.
pub(crate) fn addresses_of_args(args: &CniArgs) -> Result<Vec<IpAddr>, CniError> {
    let Some(text) = args.get("IP").filter(|text| !text.is_empty()) else {
        return Ok(Vec::new());
    };
    let read = |part: &str| match Cidr::parse_with_optional_prefix(part) {
        Ok(cidr) => Ok(cidr.ip),
        Err(_) => Err(invalid_value(&format!("IP={text}"), &format!("invalid IP address {part}"))),
    };
    text.split(',').map(read).collect()
}

/// `ips` of `args.cni` or of `runtimeConfig`.
pub(crate) fn addresses(fields: &Fields<'_>, source: &str) -> Vec<IpAddr> {
    let Some(inner) = config::nested(fields, source) else {
        return Vec::new();
    };
    let read = |text: &String| {
        let cidr = Cidr::parse_with_optional_prefix(text).ok();
        if cidr.is_none() {
            inner.report_at("ips", format!("invalid IP address {text}"));
        }
        cidr.map(|cidr| cidr.ip)
    };
    inner.strings("ips").unwrap_or_default().iter().filter_map(read).collect()
}

/// All range sets in their order of effect: the runtime's, the old style one, `ranges`.
fn range_sets(fields: &Fields<'_>, ipam: &Fields<'_>) -> Vec<RangeSet> {
    let mut raw: Vec<(String, Vec<RawRange>)> = Vec::new();
    if let Some(runtime) = fields.object("runtimeConfig") {
        raw.extend(nested_ranges(&runtime, "ipRanges"));
    }
    if ipam.value("subnet").is_some() {
        raw.extend(raw_range(ipam).map(|range| (ipam.path_of("subnet"), vec![range])));
    }
    raw.extend(nested_ranges(ipam, "ranges"));
    if raw.is_empty() && ipam.value("subnet").is_none() {
        ipam.report("no IP ranges specified");
    }
    let mut sets: Vec<RangeSet> = Vec::new();
    for (index, (path, ranges)) in raw.into_iter().enumerate() {
        let resolved: Result<Vec<_>, _> = ranges.iter().map(RawRange::resolve).collect();
        match resolved.and_then(RangeSet::new) {
            Ok(set) => sets.push(set),
            Err(message) => {
                fields.report_path(path, format!("invalid range set {index}: {message}"));
            }
        }
    }
    report_overlaps(ipam, &sets);
    sets
}

fn report_overlaps(ipam: &Fields<'_>, sets: &[RangeSet]) {
    for (index, set) in sets.iter().enumerate() {
        for (offset, other) in sets[index + 1..].iter().enumerate() {
            if set.overlaps(other) {
                let other = index + 1 + offset;
                ipam.report(format!("range set {index} overlaps with {other}"));
            }
        }
    }
}

/// A list of lists of ranges.
fn nested_ranges(fields: &Fields<'_>, key: &str) -> Vec<(String, Vec<RawRange>)> {
    let sets = fields.array(key).unwrap_or_default().into_iter();
    let read = |(path, value): (String, _)| {
        let ranges = fields.read_array(&path, value)?;
        let ranges = ranges.into_iter().map(|(path, value)| fields.child(path, value));
        Some((path, ranges.filter_map(|range| raw_range(&range)).collect()))
    };
    sets.filter_map(read).collect()
}

/// A range as an object has it.
pub(crate) fn raw_range(fields: &Fields<'_>) -> Option<RawRange> {
    let ip = |key| {
        let text = fields.text(key)?;
        fields.parsed(key, |_| {
            text.parse::<IpAddr>().map_err(|_| format!("invalid IP address: {text}"))
        })
    };
    let (start, end, gateway) = (ip("rangeStart"), ip("rangeEnd"), ip("gateway"));
    let exclude = fields.strings("exclude").unwrap_or_default();
    if fields.value("subnet").is_none() {
        fields.report("range has no subnet");
    }
    let subnet = layer3::prefix(fields.parsed("subnet", str::parse::<Cidr>)?);
    Some(RawRange { subnet, start, end, gateway, exclude })
}
