//! Which namespace or address somebody means by a word.
//!
//! It never chooses among several that are meant alike: that is an error which names them.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;

use ropewalk_topology::Graph;
use ropewalk_topology::model::{Address, Content, Host, Namespace};

use crate::exit::Exit;
use crate::failure::Failure;

/// One end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Namespace {
        position: usize,
        /// The interface that was named with it.
        interface: Option<String>,
    },
    Address(IpAddr),
}

/// Which version of IP somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Any,
    Four,
    Six,
}

/// Fewer digits than this do not name a container.
const LEAST_DIGITS: usize = 4;

/// What somebody means.
pub(super) fn find(host: &Host, word: &str) -> Result<Place, Failure> {
    if let Ok(ip) = word.parse() {
        return Ok(Place::Address(ip));
    }
    let found = candidates(host, word);
    let best = found.iter().map(|(rank, ..)| *rank).min();
    let best: Vec<_> = found.into_iter().filter(|(rank, ..)| Some(*rank) == best).collect();
    match best.as_slice() {
        [(_, position, interface)] => {
            Ok(Place::Namespace { position: *position, interface: interface.clone() })
        }
        [] => Err(Failure::new(Exit::NotFound, format!("failed to find {word:?}"))
            .with_hint("ropewalk topology shows what there is")),
        several => {
            let names: Vec<String> = several
                .iter()
                .filter_map(|(_, at, _)| host.namespaces.get(*at))
                .map(told)
                .collect();
            let message = format!("failed to tell what {word:?} is: {}", names.join(", "));
            Err(Failure::new(Exit::NotFound, message).with_hint("name it by its inode"))
        }
    }
}

/// A namespace with all that tells it from others.
fn told(namespace: &Namespace) -> String {
    let path = namespace.paths.first().map(|path| format!(" at {path}")).unwrap_or_default();
    format!("{} ({}{path})", namespace.name(), namespace.identity)
}

/// The namespaces that may be meant: how sure that is, 0 for the surest, and where they are.
fn candidates(host: &Host, word: &str) -> Vec<(u8, usize, Option<String>)> {
    let inode = named_inode(word);
    let mut found = Vec::new();
    for (position, one) in host.namespaces.iter().enumerate() {
        let is_inode = inode == Some(one.identity.inode) || word == one.identity.to_string();
        let is_host = word == "host" && one.is_own;
        if is_host || is_inode || one.paths.iter().any(|path| path == word) {
            found.push((0, position, None));
        } else if is_called(one, word) {
            // Names in this view of mounts count more than those in others'.
            let is_elsewhere = one.paths.first().is_some_and(|path| path.starts_with("/proc/"));
            found.push((1 + u8::from(is_elsewhere), position, None));
        } else if let Some(attachment) = one.attachments.iter().find(|attachment| {
            let whole = format!("{}/{}", attachment.network, attachment.container);
            word == whole || word == attachment.container
        }) {
            let interface = word.contains('/').then(|| attachment.interface.clone());
            found.push((1, position, interface));
        } else if begins(one, word) {
            found.push((3, position, None));
        }
    }
    found
}

/// The inode of the namespace of a process, at a path, or of this number.
fn named_inode(word: &str) -> Option<u64> {
    let path = match word.parse::<u64>() {
        Ok(_) => format!("/proc/{word}/ns/net"),
        Err(_) if word.starts_with('/') => word.to_owned(),
        Err(_) => return None,
    };
    fs::metadata(path).ok().map(|file| file.ino()).or_else(|| word.parse().ok())
}

fn is_called(one: &Namespace, word: &str) -> bool {
    let container = one.container.as_ref();
    one.name() == word
        || one.paths.iter().any(|path| path.rsplit('/').next() == Some(word))
        || container.is_some_and(|container| {
            container.id == word
                || container
                    .name
                    .as_deref()
                    .is_some_and(|name| name == word || name.rsplit('/').next() == Some(word))
        })
}

fn begins(one: &Namespace, word: &str) -> bool {
    let is_digits = word.len() >= LEAST_DIGITS && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digits && one.container.as_ref().is_some_and(|container| container.id.starts_with(word))
}

/// The namespace that has an address: one that hangs together with the host, if several do.
pub(super) fn owner(host: &Host, ip: IpAddr) -> Option<usize> {
    let has = |content: &Content| content.addresses.iter().any(|address| address.ip == ip);
    let owners: Vec<usize> = (0..host.namespaces.len())
        .filter(|at| host.namespaces[*at].content().is_some_and(has))
        .collect();
    let near = connected(host);
    owners.iter().copied().find(|owner| near.contains(owner)).or(owners.first().copied())
}

/// The namespaces that hang together with the host.
fn connected(host: &Host) -> Vec<usize> {
    let graph = Graph::of(host);
    let pairs: Vec<(usize, usize)> = graph
        .relations()
        .into_iter()
        .map(|(from, _, to)| (from.namespace, to.namespace))
        .filter(|(from, to)| from != to)
        .collect();
    let mut near = vec![0];
    let mut next = 0;
    while let Some(&at) = near.get(next) {
        for &(one, other) in &pairs {
            let reached = if one == at {
                other
            } else if other == at {
                one
            } else {
                continue;
            };
            if !near.contains(&reached) {
                near.push(reached);
            }
        }
        next += 1;
    }
    near
}

/// The address that a packet to an end is sent to.
pub(super) fn destination(
    host: &Host,
    source: &Place,
    to: &Place,
    version: Version,
) -> Result<IpAddr, String> {
    let (position, interface) = match to {
        Place::Address(ip) => return Ok(*ip),
        Place::Namespace { position, interface } => (*position, interface.as_deref()),
    };
    let is_wanted = |ip: IpAddr| match (version, source) {
        (Version::Four, _) => ip.is_ipv4(),
        (Version::Six, _) => ip.is_ipv6(),
        (Version::Any, Place::Address(from)) => ip.is_ipv4() == from.is_ipv4(),
        (Version::Any, Place::Namespace { .. }) => true,
    };
    let namespace = host.namespaces.get(position).ok_or("it is gone")?;
    let content = namespace.content.as_ref().map_err(Clone::clone)?;
    let of_interface = |address: &&Address| {
        let link = content.link(address.link);
        link.is_some_and(|link| {
            !link.is_loopback() && interface.is_none_or(|wanted| wanted == link.name)
        })
    };
    let is_global = |address: &&Address| address.scope == 0 && is_wanted(address.ip);
    let near = |address: &Address| match source {
        Place::Namespace { position, .. } => is_near(host, *position, address.ip),
        Place::Address(from) => is_in_network(address, *from),
    };
    let fit = content.addresses.iter().filter(of_interface).filter(is_global);
    let best = fit.min_by_key(|address| (!near(address), address.ip.is_ipv6()));
    best.map(|address| address.ip).ok_or_else(|| {
        let kind = match version {
            Version::Any => "address",
            Version::Four => "IPv4 address",
            Version::Six => "IPv6 address",
        };
        format!("{} has no {kind} to send to", namespace.name())
    })
}

/// Whether a namespace has an address in the same network.
fn is_near(host: &Host, position: usize, ip: IpAddr) -> bool {
    let content = host.namespaces.get(position).and_then(Namespace::content);
    content.is_some_and(|content| content.addresses.iter().any(|own| is_in_network(own, ip)))
}

/// Whether an address is in the network of another.
fn is_in_network(address: &Address, ip: IpAddr) -> bool {
    let host_bits = |all: u8| u32::from(all.saturating_sub(address.length));
    match (address.ip, ip) {
        (IpAddr::V4(own), IpAddr::V4(ip)) => {
            (own.to_bits() ^ ip.to_bits()).checked_shr(host_bits(32)).unwrap_or(0) == 0
        }
        (IpAddr::V6(own), IpAddr::V6(ip)) => {
            (own.to_bits() ^ ip.to_bits()).checked_shr(host_bits(128)).unwrap_or(0) == 0
        }
        _ => false,
    }
}
