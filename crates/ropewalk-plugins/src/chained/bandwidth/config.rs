//! The configuration of `bandwidth`.

use ropewalk_addr::{Prefix, Subnet};
use ropewalk_cni::{CniError, Fields, Request};
use ropewalk_netstate::resource::traffic::Rate;

use crate::config;

/// What the container may receive and send; `None` is as fast as it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) ingress: Option<Rate>,
    pub(crate) egress: Option<Rate>,
    pub(crate) peers: Peers,
}

/// Whose traffic with the container is slowed down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Peers {
    All,
    AllBut(Vec<Subnet>),
    Only(Vec<Subnet>),
}

const RATES: [&str; 4] = ["ingressRate", "ingressBurst", "egressRate", "egressBurst"];
/// The kernel counts a burst in 32 bits.
const LARGEST_BURST_BYTES: u64 = u32::MAX as u64 - 1;

impl Config {
    pub(crate) fn read(request: &Request) -> Result<Self, CniError> {
        config::read(request, "", Self::from_fields)
    }

    /// Any rate or burst in the configuration, even 0, hides all that the runtime says; subnets are
    /// usually the administrator's business where rates are the runtime's.
    fn from_fields(fields: &Fields<'_>) -> Self {
        let runtime = config::nested(fields, "runtimeConfig.bandwidth");
        let has_rates = RATES.iter().any(|key| fields.value(key).is_some());
        let rates = match &runtime {
            Some(runtime) if !has_rates => runtime,
            _ => fields,
        };
        let ingress = rate(rates, "ingressRate", "ingressBurst");
        let egress = rate(rates, "egressRate", "egressBurst");
        let has_subnets =
            |fields: &Fields<'_>| [UNSHAPED, SHAPED].iter().any(|key| fields.value(key).is_some());
        let peers = match &runtime {
            Some(runtime) if !has_subnets(fields) => peers(runtime),
            _ => peers(fields),
        };
        Self { ingress, egress, peers }
    }

    pub(crate) fn limits_nothing(&self) -> bool {
        self.ingress.is_none() && self.egress.is_none()
    }
}

/// Reads everything, so that `lint` finds what is wrong without a request.
pub(crate) fn lint(fields: &Fields<'_>) {
    Config::from_fields(fields);
    // What the configuration hides of the runtime's is known all the same.
    if let Some(runtime) = config::nested(fields, "runtimeConfig.bandwidth") {
        runtime.allow(&[&RATES[..], &[UNSHAPED, SHAPED]].concat());
    }
}

fn rate(fields: &Fields<'_>, rate_key: &str, burst_key: &str) -> Option<Rate> {
    let number = |key: &str| fields.u64(key).unwrap_or(0);
    let (rate, burst) = (number(rate_key), number(burst_key));
    match (rate, burst) {
        (0, 0) => return None,
        (_, 0) => fields.report_at(burst_key, "if rate is set, burst must also be set"),
        (0, _) => fields.report_at(rate_key, "if burst is set, rate must also be set"),
        (_, burst) if burst / 8 > LARGEST_BURST_BYTES => {
            fields.report_at(burst_key, "burst cannot be more than 4GB");
        }
        _ => {}
    }
    let burst_bytes = u32::try_from(burst / 8).unwrap_or(u32::MAX);
    Some(Rate { bytes_per_second: (rate / 8).max(1), burst_bytes })
}

const UNSHAPED: &str = "unshapedSubnets";
const SHAPED: &str = "shapedSubnets";

fn peers(fields: &Fields<'_>) -> Peers {
    let (unshaped, shaped) = (subnets(fields, UNSHAPED), subnets(fields, SHAPED));
    match (unshaped.is_empty(), shaped.is_empty()) {
        (true, true) => Peers::All,
        (false, true) => Peers::AllBut(unshaped),
        (true, false) => Peers::Only(shaped),
        (false, false) => {
            let message = "unshapedSubnets and shapedSubnets exclude each other";
            fields.report_at(SHAPED, message);
            Peers::All
        }
    }
}

fn subnets(fields: &Fields<'_>, key: &str) -> Vec<Subnet> {
    let mut subnets = Vec::new();
    for (index, text) in fields.strings(key).unwrap_or_default().into_iter().enumerate() {
        match text.parse::<Prefix>() {
            Ok(prefix) if !subnets.contains(&prefix.subnet()) => subnets.push(prefix.subnet()),
            Ok(_) => {}
            Err(error) => {
                let path = format!("{}[{index}]", fields.path_of(key));
                fields.report_path(path, format!("bad subnet {text:?}: {error}"));
            }
        }
    }
    subnets
}
