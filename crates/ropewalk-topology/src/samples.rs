//! Parts of hosts, for tests that build them of data.

use alloc::{collections::BTreeMap, vec, vec::Vec};
use core::net::IpAddr;

use crate::model::{
    Address, Content, Destination, Hop, Identity, Link, Lower, Namespace, Route, State,
};

/// A link that is up and forwards IPv4; a device has no kind.
pub(crate) fn link(index: u32, name: &str, kind: &str) -> Link {
    let mut ipv4_settings = vec![0; 33];
    ipv4_settings[0] = 1;
    Link {
        index,
        name: name.into(),
        hardware_type: 1,
        kind: (!kind.is_empty()).then(|| kind.into()),
        flags: 1,
        state: State(6),
        mtu: 1500,
        ipv4_settings,
        ..Link::default()
    }
}

pub(crate) fn loopback() -> Link {
    let (name, kind) = ("lo".into(), None);
    Link { name, kind, hardware_type: 772, flags: 9, mtu: 65536, ..link(1, "", "") }
}

/// A link whose other end or parent is this one.
pub(crate) fn on(link: Link, index: u32, namespace: Option<i32>) -> Link {
    Link { lower: Some(Lower { index, namespace }), ..link }
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

pub(crate) fn prefix(text: &str) -> Destination {
    let (address, length) = text.split_once('/').expect("a prefix");
    Destination { ip: ip(address), length: length.parse().expect("a length") }
}

/// A lasting address with its prefix.
pub(crate) fn address(link: u32, text: &str) -> Address {
    let Destination { ip, length } = prefix(text);
    Address {
        link,
        ip,
        length,
        peer: None,
        scope: 0,
        flags: 0x80,
        label: None,
        valid_seconds: None,
    }
}

/// A route of the main table.
pub(crate) fn route(to: &str, link: u32, gateway: Option<&str>) -> Route {
    Route {
        destination: prefix(to),
        source: None,
        table: 254,
        priority: 0,
        kind: 1,
        protocol: 3,
        scope: if gateway.is_some() { 0 } else { 253 },
        flags: 0,
        tos: 0,
        hops: vec![Hop { link: Some(link), gateway: gateway.map(ip), ..Hop::default() }],
        preferred_source: None,
        next_hop: None,
        metrics: Vec::new(),
    }
}

/// A namespace that is nobody's, at a path if it has one.
pub(crate) fn namespace(inode: u64, path: &str, content: Content) -> Namespace {
    Namespace {
        identity: Identity { device: 4, inode },
        is_own: false,
        paths: Vec::from_iter((!path.is_empty()).then(|| path.into())),
        owner: None,
        process_count: 0,
        container: None,
        unit: None,
        attachments: Vec::new(),
        numbers: BTreeMap::new(),
        content: Ok(content),
    }
}
