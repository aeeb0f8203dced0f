//! What is waited for: when it has come, and how its absence is told.

use super::{address::FoundAddress, link::Link};
use crate::uapi::IF_OPER_UP;

/// Whether a link is operationally up (RFC 2863).
pub(crate) fn is_link_up(link: &Link) -> bool {
    link.operational_state == IF_OPER_UP
}

/// The name of an operational state, as `ip link` and the reference plugins call it.
pub(crate) fn state_name(state: u8) -> &'static str {
    match state {
        1 => "not-present",
        2 => "down",
        3 => "lower-layer-down",
        4 => "testing",
        5 => "dormant",
        6 => "up",
        _ => "unknown",
    }
}

/// What addresses say about themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    Ready,
    /// Detection runs.
    Pending,
    /// Detection failed, with the text for the user.
    Failed(String),
}

/// Whether all addresses of a link can be used.
pub(crate) fn readiness(link: &str, addresses: &[FoundAddress]) -> Readiness {
    if let Some(duplicate) = addresses.iter().find(|address| address.is_duplicate()) {
        let ip = duplicate.prefix.ip();
        return Readiness::Failed(format!("link {link} has address {ip} in DADFAILED state"));
    }
    if addresses.iter().any(|address| address.is_tentative()) {
        return Readiness::Pending;
    }
    Readiness::Ready
}
