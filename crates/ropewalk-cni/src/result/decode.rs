//! Reading results of any version into the newest form.
//!
//! Unknown keys are ignored, as everywhere in CNI. It must never fill in what a result
//! does not say.

use super::types::{CniResult, Dns, Interface, IpConfig, RouteConfig};
use crate::cidr::{Cidr, parse_ip};
use crate::error::CniError;
use crate::fields::{FieldError, Fields};
use crate::go_text::quote;
use crate::version::{Family, Version};
use serde_json::Value;
use std::net::IpAddr;

impl CniResult {
    /// Reads a result of any of the seven versions; older forms are converted up.
    ///
    /// The version is the result's own `cniVersion`, else the configuration's.
    ///
    /// # Errors
    ///
    /// Code 999 `unsupported CNI result version "…"`, or what is wrong with a field.
    pub fn from_value(value: &Value, config_version: &str) -> Result<CniResult, CniError> {
        let fields = Fields::new(value, "");
        let own = fields.text("cniVersion");
        fields.finish().map_err(|errors| first_problem(&errors))?;
        let version = known_version(own.as_deref().unwrap_or(config_version))?;
        let result = match version.family() {
            Family::OneAddressEach => one_address_each(&fields),
            Family::VersionedAddresses | Family::Current => current(&fields),
        };
        fields.finish().map_err(|errors| first_problem(&errors))?;
        Ok(result)
    }
}

/// Reads a version text that names a result schema.
pub(super) fn known_version(text: &str) -> Result<Version, CniError> {
    Version::parse(text).ok_or_else(|| {
        CniError::internal(format!("unsupported CNI result version {}", quote(text)))
    })
}

/// Results come from programs, so the first problem is enough and the code is 999.
fn first_problem(errors: &[FieldError]) -> CniError {
    CniError::internal(errors.first().map(ToString::to_string).unwrap_or_default())
}

fn current(fields: &Fields) -> CniResult {
    CniResult {
        interfaces: each(fields, "interfaces", interface),
        ips: each(fields, "ips", address),
        routes: each(fields, "routes", route),
        dns: dns(fields),
    }
}

fn one_address_each(fields: &Fields) -> CniResult {
    let mut result = CniResult { dns: dns(fields), ..CniResult::default() };
    for key in ["ip4", "ip6"] {
        let Some(inner) = fields.object(key) else { continue };
        let gateway = gateway(&inner, "gateway");
        if let Some(address) = required_cidr(&inner, "ip") {
            result.ips.push(IpConfig { interface: None, address, gateway });
        }
        result.routes.extend(each(&inner, "routes", |fields| {
            Some(RouteConfig::new(required_cidr(fields, "dst")?, self::gateway(fields, "gw")))
        }));
    }
    result
}

fn each<T>(fields: &Fields, key: &str, read: impl Fn(&Fields) -> Option<T>) -> Vec<T> {
    fields.objects(key).unwrap_or_default().iter().filter_map(read).collect()
}

#[expect(clippy::unnecessary_wraps, reason = "all readers of elements have one shape")]
fn interface(fields: &Fields) -> Option<Interface> {
    let text = |key| fields.string(key).unwrap_or_default();
    Some(Interface {
        name: text("name"),
        mac: text("mac"),
        mtu: fields.u32("mtu").unwrap_or_default(),
        sandbox: text("sandbox"),
        socket_path: text("socketPath"),
        pci_id: text("pciID"),
    })
}

fn address(fields: &Fields) -> Option<IpConfig> {
    // Early implementations wrote -1 for "no interface".
    let interface = fields.i64("interface").and_then(|index| usize::try_from(index).ok());
    let gateway = gateway(fields, "gateway");
    Some(IpConfig { interface, address: required_cidr(fields, "address")?, gateway })
}

fn route(fields: &Fields) -> Option<RouteConfig> {
    let positive = |key| fields.u32(key).filter(|number| *number != 0);
    let (mtu, advmss, priority) = (positive("mtu"), positive("advmss"), positive("priority"));
    let (gw, table) = (gateway(fields, "gw"), fields.u32("table"));
    let scope = fields.u32("scope").and_then(|number| {
        let scope = u8::try_from(number).ok();
        if scope.is_none() {
            fields.report_at("scope", format!("invalid route scope {number}"));
        }
        scope
    });
    let dst = required_cidr(fields, "dst")?;
    Some(RouteConfig { dst, gw, mtu, advmss, priority, table, scope })
}

fn dns(fields: &Fields) -> Dns {
    let Some(inner) = fields.object("dns") else { return Dns::default() };
    Dns {
        nameservers: inner.strings("nameservers").unwrap_or_default(),
        domain: inner.string("domain").unwrap_or_default(),
        search: inner.strings("search").unwrap_or_default(),
        options: inner.strings("options").unwrap_or_default(),
    }
}

fn required_cidr(fields: &Fields, key: &str) -> Option<Cidr> {
    if fields.value(key).is_none() {
        fields.report_at(key, "invalid CIDR address: ");
        return None;
    }
    fields.parsed(key, str::parse)
}

/// An address that may be missing; empty text counts as missing.
fn gateway(fields: &Fields, key: &str) -> Option<IpAddr> {
    let parse = |text: &str| match text {
        "" => Ok(None),
        _ => parse_ip(text).map(Some).ok_or_else(|| format!("invalid IP address: {text}")),
    };
    fields.parsed(key, parse).flatten()
}
