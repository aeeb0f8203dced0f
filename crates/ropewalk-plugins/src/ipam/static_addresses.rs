//! The plugin `static`: addresses are what the configuration says.

use std::net::IpAddr;

use ropewalk_cni::{
    Cidr, CniError, CniResult, Dns, Fields, IpConfig, Request, RouteConfig, parse_args, prev_result,
};

use super::IpamPlugin;
use crate::{
    config,
    describe::{Class, Description, Key, Kind, common, key},
};

/// The plugin.
pub(crate) struct Static;

impl IpamPlugin for Static {
    fn claim(&self, request: &Request) -> Result<CniResult, CniError> {
        let config = Config::read(request)?;
        Ok(CniResult {
            interfaces: Vec::new(),
            ips: config.addresses,
            routes: config.routes,
            dns: config.dns,
        })
    }

    fn preview(&self, request: &Request) -> Result<CniResult, CniError> {
        self.claim(request)
    }

    /// An address in both the configuration and the previous result must have the same gateway.
    fn confirm(&self, request: &Request) -> Result<(), CniError> {
        let config = Config::read(request)?;
        let previous = prev_result(&request.raw)?
            .ok_or_else(|| CniError::internal("Required prevResult missing"))?;
        for wanted in &config.addresses {
            let found = previous.ips.iter().find(|ip| ip.address.ip == wanted.address.ip);
            if found.is_some_and(|found| found.gateway != wanted.gateway) {
                return Err(CniError::internal(format!(
                    "static: Failed to match addr {} on interface {}",
                    wanted.address, request.ifname
                )));
            }
        }
        Ok(())
    }

    fn release(&self, _request: &Request) -> Result<(), CniError> {
        Ok(())
    }
}

pub(crate) const DESCRIPTION: Description = Description {
    keys: KEYS,
    runtime: &[key("ips", CIDRS, "Instead of all addresses from elsewhere, without gateways")
        .example(r#"["10.5.0.9/24"]"#)],
    args: &[key("ips", CIDRS, "Instead of those above, without gateways")
        .example(r#"["10.5.0.9/24"]"#)
        .refuses(&[(
            r#"["10.6.0.1"]"#,
            "an entry in the 'ips' field is NOT in CIDR notation, got: '10.6.0.1'",
        )])],
    variables: &[
        key(
            "IP",
            Kind::Text,
            "Added to `addresses`: CIDRs, separated by commas. \
            `the 'ip' field is expected to be in CIDR notation, got: '10.5.9.7'`",
        )
        .example("10.5.0.8/24"),
        key(
            "GATEWAY",
            Kind::Text,
            "Addresses, separated by commas. Each is the gateway of those \
            addresses from `IP` in whose subnet it lies. `invalid gateway address: zz`",
        )
        .example("10.5.0.1"),
    ],
    ..Description::new(
        "static",
        Class::Addresses,
        "gives the addresses that the configuration names",
        lint,
    )
};

const CIDRS: Kind = Kind::List(&Kind::Cidr);

const KEYS: &[Key] = &[
    key("addresses", Kind::List(&Kind::Object(ADDRESS)), "The addresses of the interface"),
    common::routes("Passed on into the result"),
    common::dns("Passed on into the result"),
];

const ADDRESS: &[Key] = &[
    key("address", Kind::Cidr, "The address and the length of its subnet's prefix")
        .required()
        .example("10.5.0.7/24")
        .refuses(&[(
            "10.5.0.7",
            "the 'address' field is expected to be in CIDR notation, got: '10.5.0.7'",
        )]),
    key("gateway", Kind::Address, "The gateway of this subnet")
        .absent("none")
        .example("10.5.0.1")
        .refuses(&[("zz", "invalid gateway address: zz")]),
];

struct Config {
    addresses: Vec<IpConfig>,
    routes: Vec<RouteConfig>,
    dns: Dns,
}

/// Reads everything, so that `lint` finds what is wrong without a request.
fn lint(fields: &Fields<'_>) {
    if let Some(ipam) = fields.object("ipam") {
        ipam.allow(&["type"]);
        addresses(&ipam);
        config::routes(&ipam, "routes");
        config::dns(&ipam, "dns");
    }
    requested(fields, "args.cni");
    requested(fields, "runtimeConfig");
}

impl Config {
    fn read(request: &Request) -> Result<Self, CniError> {
        let fields = Fields::new(&request.raw, "");
        let Some(ipam) = fields.object("ipam") else {
            return Err(CniError::invalid_config("IPAM config missing 'ipam' key"));
        };
        let mut addresses = addresses(&ipam);
        addresses.extend(from_arguments(&request.args)?);
        for source in ["args.cni", "runtimeConfig"] {
            if let Some(replacement) = requested(&fields, source) {
                addresses = replacement;
            }
        }
        let (routes, dns) = (config::routes(&ipam, "routes"), config::dns(&ipam, "dns"));
        config::finish(&fields, "")?;
        config::one_address_per_family(request.version, addresses.iter().map(|ip| ip.address.ip))?;
        Ok(Self { addresses, routes, dns: dns.unwrap_or_default() })
    }
}

fn addresses(ipam: &Fields<'_>) -> Vec<IpConfig> {
    let entries = ipam.objects("addresses").unwrap_or_default();
    let read = |entry: Fields<'_>| {
        let text = entry.string("address").unwrap_or_default();
        let gateway = config::gateway(&entry, "gateway");
        let address = text.parse().ok();
        if address.is_none() {
            let message =
                format!("the 'address' field is expected to be in CIDR notation, got: '{text}'");
            entry.report_at("address", message);
        }
        Some(IpConfig { interface: None, address: address?, gateway })
    };
    entries.into_iter().filter_map(read).collect()
}

/// `args.cni.ips` and `runtimeConfig.ips`: each replaces all addresses before it, if not empty.
fn requested(fields: &Fields<'_>, source: &str) -> Option<Vec<IpConfig>> {
    let ips = config::nested(fields, source)?.strings("ips").filter(|ips| !ips.is_empty())?;
    let read = |text: &String| {
        let address = text.parse().ok();
        if address.is_none() {
            let message =
                format!("an entry in the 'ips' field is NOT in CIDR notation, got: '{text}'");
            fields.report_path(format!("{source}.ips"), message);
        }
        Some(IpConfig { interface: None, address: address?, gateway: None })
    };
    Some(ips.iter().filter_map(read).collect())
}

/// `IP` and `GATEWAY` of `CNI_ARGS`, both comma lists. A gateway belongs to the entry of `IP` in
/// whose subnet it lies.
fn from_arguments(args: &str) -> Result<Vec<IpConfig>, CniError> {
    let args = parse_args(args, &["IP", "GATEWAY"])?;
    let list =
        |key| args.get(key).into_iter().flat_map(|text| text.split(',')).filter(|t| !t.is_empty());
    let mut addresses = Vec::new();
    for text in list("IP") {
        let address = text.trim().parse::<Cidr>().map_err(|_| {
            CniError::invalid_config(format!(
                "the 'ip' field is expected to be in CIDR notation, got: '{text}'"
            ))
        })?;
        addresses.push(IpConfig { interface: None, address, gateway: None });
    }
    for text in list("GATEWAY") {
        let gateway: IpAddr = text
            .trim()
            .parse()
            .map_err(|_| CniError::invalid_config(format!("invalid gateway address: {text}")))?;
        for entry in &mut addresses {
            if crate::layer3::subnet(entry.address).contains(gateway) {
                entry.gateway = Some(gateway);
            }
        }
    }
    Ok(addresses)
}
