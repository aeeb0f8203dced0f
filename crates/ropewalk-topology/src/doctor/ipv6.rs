//! IPv6 that runs out, or was never there.

use alloc::{format, string::String, vec::Vec};
use core::net::IpAddr;

use super::{checks::Fact, view::View};
use crate::{
    LinkAt,
    model::{Address, Content, Link},
    shell::sysctl,
};

/// Positions among the sysctls of links.
const ACCEPT_ADVERTISEMENTS: usize = 3;
const DISABLED: usize = 26;

/// `IFA_F_PERMANENT`, `RTPROT_RA`.
const PERMANENT: u32 = 0x80;
const OF_ADVERTISEMENT: u8 = 9;

pub(super) fn traps(view: &View<'_>) -> Vec<Fact> {
    let mut facts = advertisements(view);
    for record in &view.papers.records {
        let wants = record.addresses.iter().find(|ip| ip.is_ipv6());
        let at = record.namespace.and_then(|inode| view.host.position(inode));
        let (Some(ip), Some(namespace)) = (wants, at) else { continue };
        let Some(content) = view.content(namespace) else { continue };
        let link = content.links.iter().find(|link| link.name == record.interface);
        let disabled = |link: &&Link| link.ipv6_settings.get(DISABLED) == Some(&1);
        let Some(link) = link.filter(disabled) else { continue };
        let at = LinkAt { namespace, index: link.index };
        let evidence = format!("it was given {ip}, and its disable_ipv6 is 1");
        facts.push(set_wrong(view, at, &link.name, "disable_ipv6=0", evidence));
    }
    facts
}

/// A sysctl of a link that should be another.
fn set_wrong(view: &View<'_>, at: LinkAt, name: &str, wanted: &str, evidence: String) -> Fact {
    let setting = sysctl(&format!("net/ipv6/conf/{name}/{wanted}"));
    Fact {
        link: Some(at),
        object: view.called(at),
        evidence,
        command: view.command_in(at.namespace, &["sysctl", "-w", &setting]),
        ..Fact::default()
    }
}

/// Hosts that forward ignore advertisements unless they are told otherwise.
fn advertisements(view: &View<'_>) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (namespace, _, content) in view.contents() {
        if content.setting("ipv6/conf/all/forwarding") != Some("1") {
            continue;
        }
        for (link, ip) in advised(content) {
            let at = LinkAt { namespace, index: link.index };
            let evidence = format!("the host forwards IPv6, accept_ra is 1, and {ip}");
            facts.push(set_wrong(view, at, &link.name, "accept_ra=2", evidence));
        }
    }
    facts
}

/// Links that obey routers as long as nothing is forwarded, with what they have from one.
fn advised(content: &Content) -> impl Iterator<Item = (&Link, String)> {
    let obeys = |link: &&Link| link.ipv6_settings.get(ACCEPT_ADVERTISEMENTS) == Some(&1);
    let links = content.links.iter().filter(obeys);
    links.filter_map(|link| Some((link, from_router(content, link)?)))
}

/// Whether a host would lose addresses or routes if it began to forward.
pub(super) fn would_lose(content: &Content) -> bool {
    advised(content).next().is_some()
}

/// What a link has from a router.
fn from_router(content: &Content, link: &Link) -> Option<String> {
    let lasts = |one: &&Address| matches!(one.ip, IpAddr::V6(_)) && one.scope == 0;
    let mut addresses = content.addresses_of(link.index).filter(lasts);
    if let Some(address) = addresses.find(|one| one.flags & PERMANENT == 0) {
        let seconds = address.valid_seconds.unwrap_or_default();
        return Some(format!("its address {address} runs out in {seconds} s"));
    }
    let is_its = |route: &&crate::model::Route| {
        route.protocol == OF_ADVERTISEMENT
            && route.hops.iter().any(|hop| hop.link == Some(link.index))
    };
    let route = content.routes.iter().find(is_its)?;
    Some(format!("its route to {} is from an advertisement", route.destination))
}
