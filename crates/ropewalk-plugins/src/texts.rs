//! What goes wrong, in the words that tools match on, with its CNI error code.

use ropewalk_addr::Family;
use ropewalk_cni::{CniError, ErrorCode};
use ropewalk_netstate::{
    Conflict, Finding, Lifetime, Owner, Resource, Step,
    converge::ConvergeError,
    resource::{Mismatch, Until, VirtualKind, VirtualLink},
};
use ropewalk_store::StoreError;

/// The error for a verb that the engine could not do.
pub(crate) fn converge_error(error: ConvergeError) -> CniError {
    match error {
        ConvergeError::Conflict(conflict) => conflict_error(&conflict),
        ConvergeError::Observe(_) | ConvergeError::Memory(_) => {
            CniError::internal(error.to_string())
        }
        ConvergeError::Step { step, error: reason, left } => {
            let left: Vec<String> =
                left.iter().map(|(step, reason)| format!("failed to {step}: {reason}")).collect();
            CniError::internal(step_text(&step, &reason.reason)).with_details(left.join("; "))
        }
    }
}

/// An error, and what came of cleaning up after it.
pub(crate) fn and_then(first: CniError, cleaned: Result<(), CniError>) -> CniError {
    let Err(second) = cleaned else { return first };
    let details = format!("{}; and then {second}", first.details);
    first.with_details(details.trim_start_matches("; "))
}

fn conflict_error(conflict: &Conflict) -> CniError {
    let text = match conflict {
        Conflict::OtherAddress(Resource::AddressGuard(guard), Resource::AddressGuard(found))
            if &*guard.link == "lo" =>
        {
            let foreign = guard.conflicts(found).first().map(|prefix| prefix.ip().to_string());
            format!(
                "loopback interface found with non-loopback address {:?}",
                foreign.unwrap_or_default()
            )
        }
        Conflict::OtherAddress(Resource::AddressGuard(guard), Resource::AddressGuard(found))
            if guard.keep.is_empty() =>
        {
            let link = &*guard.link;
            let address = guard.conflicts(found).first().map(ToString::to_string);
            format!(
                "{link:?} cannot be a port of a bridge: it has the address {}, which nobody would \
                 reach any more; hint: give it to the bridge",
                address.unwrap_or_default()
            )
        }
        Conflict::OtherAddress(_, _) => format!("failed to set bridge addr: {conflict}"),
        Conflict::OtherKind(Resource::Bridge(bridge), _) => {
            let name = &*bridge.name;
            format!("failed to create bridge {name:?}: {name:?} already exists but is not a bridge")
        }
        Conflict::AlreadyThere(_, Resource::VirtualLink(link))
        | Conflict::OtherKind(Resource::VirtualLink(link), _) => name_is_taken(link),
        Conflict::AlreadyThere(_, Resource::Veth(veth)) => match &veth.peer {
            Some(peer) => format!(
                "container veth name ({:?}) peer provided ({:?}) already exists",
                &*peer.name, &*veth.name
            ),
            None => format!("{conflict}; hint: DEL the attachment first"),
        },
        Conflict::AlreadyThere(_, Resource::Qdisc(_)) => "create qdisc: file exists".to_owned(),
        Conflict::AlreadyThere(_, Resource::MovedDevice(device)) => {
            let original = device.original.as_deref().unwrap_or_default();
            format!(
                "failed to move link failed to move {:?} (host: {original:?}) to container NS: \
                 file exists",
                &*device.name
            )
        }
        Conflict::AlreadyThere(_, Resource::Membership(membership)) => {
            format!("interface {} has already a master set: {}", membership.link, membership.master)
        }
        Conflict::AlreadyThere(..) => format!("{conflict}; hint: DEL the attachment first"),
        Conflict::Taken(..) | Conflict::OtherKind(..) => conflict.to_string(),
    };
    CniError::internal(text)
}

/// The reference plugins make most links under a passing name first.
fn name_is_taken(link: &VirtualLink) -> String {
    let kind = link.kind.name();
    match link.kind {
        VirtualKind::Macvlan { .. } | VirtualKind::Ipvlan { .. } | VirtualKind::Vlan { .. } => {
            format!("failed to rename {kind} to {:?}: file exists", &*link.name)
        }
        VirtualKind::Dummy | VirtualKind::Tap(_) | VirtualKind::Vrf { .. } => {
            format!("failed to create {kind}: file exists")
        }
        VirtualKind::Ifb => "adding link: file exists".to_owned(),
    }
}

fn step_text(step: &Step, reason: &str) -> String {
    match (step, step.resource()) {
        (Step::Create(..), Resource::Bridge(bridge)) => {
            format!("failed to create bridge {:?}: {reason}", &*bridge.name)
        }
        // The kernel layer already names both ends.
        (Step::Create(..), Resource::Veth(_)) if reason.contains("already exists") => {
            reason.to_owned()
        }
        (Step::Create(..), Resource::Veth(_)) => format!("failed to make veth pair: {reason}"),
        // The kernel layer names what was done to which device.
        (Step::Create(..), Resource::MovedDevice(_)) => format!("failed to move link {reason}"),
        (Step::Delete(..), Resource::MovedDevice(_)) => reason.to_owned(),
        (Step::Create(..), Resource::VirtualLink(link)) => {
            format!("failed to create {}: {reason}", link.kind.name())
        }
        // The kernel layer names a master that is not there.
        (Step::Create(..), Resource::Membership(of)) if reason.starts_with(&*of.master) => {
            format!("failed to get bridge {reason}")
        }
        (Step::Create(..), Resource::Address(address)) => {
            format!("failed to add IP addr {} to {:?}: {reason}", address.prefix, &*address.link)
        }
        (Step::Create(..), Resource::Route(route)) => format!("failed to add {route}: {reason}"),
        (Step::Create(..), Resource::Sysctl(sysctl)) if reason.contains("no such file") => {
            format!("open /proc/sys/{}: no such file or directory", sysctl.path)
        }
        (Step::Create(..), Resource::Qdisc(_)) => format!("create qdisc: {reason}"),
        (Step::Create(..), Resource::TrafficFilter(_)) => format!("add filter: {reason}"),
        (Step::Create(..), Resource::Await(wait)) => match wait.until {
            Until::LinkUp | Until::Autoconfigured | Until::LinkLocal => reason.to_owned(),
            Until::AddressesReady => {
                format!("failed to settle addresses for {:?}: {reason}", &*wait.link)
            }
        },
        _ => format!("failed to {step}: {reason}"),
    }
}

/// The error of a CHECK that found something.
pub(crate) fn finding_error(finding: &Finding) -> CniError {
    let resource = &finding.item.resource;
    let first = finding.mismatches.first();
    let text = match (resource, first) {
        (Resource::Address(address), None) => {
            format!("Failed to match addr {} on interface {}", address.prefix, address.link)
        }
        (Resource::Route(route), _) => {
            format!("Expected Route {{{route}}} not found in routing table")
        }
        (Resource::Bridge(bridge), Some(Mismatch { field: "promiscuous", found, expected })) => {
            format!(
                "Bridge interface {} configured Promisc Mode {expected} doesn't match current \
                 state: {found} ",
                bridge.name
            )
        }
        (Resource::VirtualLink(link), None) if link.kind == VirtualKind::Ifb => {
            format!("get ifb device: Link not found ({})", link.name)
        }
        (Resource::VirtualLink(link), first) => link_finding(link, first),
        (Resource::LinkAttribute(attribute), None) if &*attribute.link == "lo" => {
            "loopback interface is down".to_owned()
        }
        (Resource::LinkAttribute(attribute), None) => {
            format!("Interface {} is down", attribute.link)
        }
        (Resource::LinkAttribute(attribute), Some(mismatch)) => format!(
            "Error: Tuning link {} configured {} is {}, current value is {}",
            attribute.link, mismatch.field, mismatch.expected, mismatch.found
        ),
        (Resource::Offloads(offloads), Some(mismatch)) => format!(
            "Error: Tuning link {} configured ethtool is {}, current value is {}",
            offloads.link, mismatch.expected, mismatch.found
        ),
        // Membership in a VRF is all that its plugin makes; a port dies with what it is made of.
        (Resource::Membership(membership), _) if finding.item.lifetime != Lifetime::Dependent => {
            format!("failed to find {} associated to vrf {}", membership.link, membership.master)
        }
        (Resource::Sysctl(sysctl), Some(mismatch)) => format!(
            "Error: Tuning configured value of {} is {}, current value is {}",
            sysctl.path,
            sysctl.value,
            mismatch.found.trim_matches('"')
        ),
        (Resource::Qdisc(qdisc), Some(mismatch)) => {
            let field = match mismatch.field {
                "rate" => "Rate",
                "limit" => "Limit",
                "burst" => "Buffer",
                _ => "Qdisc",
            };
            format!("{field} doesn't match on {}: {mismatch}", qdisc.link)
        }
        (Resource::IptablesRule(rule), None) => {
            format!("expected rule [{}] not found", rule.specification.join(" "))
        }
        (Resource::IptablesChain(chain), None) if chain.name.starts_with("CNI-DN-") => {
            let family = if chain.family == Family::V4 { "ipv4" } else { "ipv6" };
            format!(
                "could not check {family} dnat: chain {} not found in iptables table {}",
                chain.name, chain.table
            )
        }
        _ => finding.to_string(),
    };
    CniError::internal(text)
}

/// What is wrong with the container's interface.
fn link_finding(link: &VirtualLink, mismatch: Option<&Mismatch>) -> String {
    let name = &link.name;
    let Some(Mismatch { field, expected, found }) = mismatch else {
        return format!("Container Interface name in prevResult: {name} not found");
    };
    match *field {
        "kind" => {
            let kind = link.kind.name();
            format!("Error: Container interface {name} not of type {kind}, but {found}")
        }
        "mode" => {
            let kind = match link.kind.name() {
                "ipvlan" => "IPVlan",
                other => other,
            };
            let (found, expected) = (found.to_lowercase(), expected.to_lowercase());
            format!("container {kind} mode {found} does not match expected value: {expected}")
        }
        "mac" => format!("interface {name} Mac {expected} doesn't match container Mac: {found}"),
        field => format!(
            "Error: Tuning link {name} configured {field} is {expected}, current value is {found}"
        ),
    }
}

/// The error for a state file that could not be used.
pub(crate) fn store_error(error: &StoreError) -> CniError {
    CniError::internal(error.to_string())
}

/// The error for a namespace path that is not one.
pub(crate) fn netns_error(path: &str, reason: impl std::fmt::Display) -> CniError {
    CniError::internal(format!("failed to open netns {path:?}: {reason}"))
}

/// The error for a sandbox that is the plugin's own namespace.
pub(crate) fn same_netns_error() -> CniError {
    CniError::new(
        ErrorCode::InvalidNetns,
        "plugin's netns and netns from CNI_NETNS should not be the same",
    )
}

/// What the previous result says about another sandbox than the one to check.
pub(crate) fn sandbox_mismatch(owner: &Owner, expected: &str, found: &str) -> CniError {
    CniError::internal(format!(
        "Sandbox in prevResult {found} doesn't match configured netns: {expected}"
    ))
    .with_details(format!("interface {} of container {}", owner.interface, owner.container))
}
