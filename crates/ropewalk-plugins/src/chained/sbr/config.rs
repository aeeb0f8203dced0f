//! The configuration of `sbr`.

use std::net::IpAddr;

use ropewalk_addr::Family;
use ropewalk_cni::{CniError, Fields, Request};

use crate::config;

/// The configuration, checked.
#[derive(Debug)]
pub(crate) struct Config {
    /// The table that somebody else fills.
    pub(crate) table: Option<u32>,
    /// At most one gateway of each family; they go before those of the previous result.
    pub(crate) gateways: Vec<IpAddr>,
    /// Whether the main table keeps the way to the interface's own subnets.
    pub(crate) source_hints: bool,
    /// Whether the main table keeps all its routes.
    pub(crate) keep_main: bool,
}

impl Config {
    pub(crate) fn read(request: &Request) -> Result<Self, CniError> {
        config::read(request, "", Self::from_fields)
    }

    fn from_fields(fields: &Fields<'_>) -> Self {
        Self {
            table: fields.u32("table").filter(|table| *table != 0),
            gateways: gateways(fields),
            source_hints: fields.bool("addSourceHints").unwrap_or(false),
            keep_main: fields.bool("keepMain").unwrap_or(false),
        }
    }

    /// The gateway of a family that goes before others.
    pub(crate) fn gateway(&self, family: Family) -> Option<IpAddr> {
        self.gateways.iter().copied().find(|gateway| Family::of(*gateway) == family)
    }
}

/// Reads everything, so that `lint` finds what is wrong without a request.
pub(crate) fn lint(fields: &Fields<'_>) {
    Config::from_fields(fields);
}

fn gateways(fields: &Fields<'_>) -> Vec<IpAddr> {
    let mut gateways: Vec<IpAddr> = Vec::new();
    let texts = fields.strings("gateways").unwrap_or_default();
    if texts.len() > 2 {
        let message = "gateways list cannot contain more than 2 entries (one IPv4, one IPv6)";
        fields.report_at("gateways", message);
        return gateways;
    }
    for text in texts {
        let Ok(gateway) = text.parse::<IpAddr>() else {
            fields.report_at("gateways", format!("invalid gateway address: {text}"));
            continue;
        };
        let family = Family::of(gateway);
        if let Some(other) = gateways.iter().find(|other| Family::of(**other) == family) {
            let name = if family == Family::V4 { "IPv4" } else { "IPv6" };
            let message =
                format!("gateways list contains multiple {name} addresses: {other} and {gateway}");
            fields.report_at("gateways", message);
        }
        gateways.push(gateway);
    }
    gateways
}
