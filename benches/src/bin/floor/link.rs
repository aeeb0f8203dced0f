//! Messages about links, addresses and routes.
//!
//! It must never send two messages where the kernel takes one.

use std::{fs, io, net::Ipv4Addr};

use crate::{
    Outcome, failed,
    leases::Lease,
    message::{ACK, CREATE, ECHO, EXCLUSIVE, Messages},
    request::Request,
    socket::{Reply, Socket},
};

// Kinds of messages, from `linux/rtnetlink.h`.
const NEW_LINK: u16 = 16;
const GET_LINK: u16 = 18;
const SET_LINK: u16 = 19;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;
const GET_ROUTE: u16 = 26;

/// The length of what stands before the attributes of a link, and of a route.
pub(crate) const HEADER: usize = 16;
const ROUTE_HEADER: usize = 12;

// Attributes of links, from `linux/if_link.h` and `linux/veth.h`.
const ADDRESS: u16 = 1;
pub(crate) const IFNAME: u16 = 3;
pub(crate) const LINK: u16 = 5;
pub(crate) const MASTER: u16 = 10;
const OPERSTATE: u16 = 16;
const LINK_INFO: u16 = 18;
const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;
const NAMESPACE: u16 = 28;
const EXTENT: u16 = 29;
const TRANSMIT_QUEUES: u16 = 31;
const RECEIVE_QUEUES: u16 = 32;
const VETH_PEER: u16 = 1;
const MACVLAN_MODE: u16 = 1;
const MACVLAN_BRIDGE: u32 = 4;
const SKIP_STATISTICS: u32 = 8;
const IS_UP: u8 = 6;
const UP: u32 = 1;

// Attributes of addresses and routes.
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_FLAGS: u16 = 8;
const NO_PREFIX_ROUTE: u32 = 0x200;
const RTA_DESTINATION: u16 = 1;
const RTA_INTERFACE: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const RTA_SOURCE: u16 = 7;
const INET: u8 = 2;
const MAIN_TABLE: u8 = 254;
const BY_ADMINISTRATOR: u8 = 3;
const UNICAST: u8 = 1;
const LINK_SCOPE: u8 = 253;

// Settings of a family, from `linux/netconf.h`.
const GET_SETTINGS: u16 = 82;
const SETTINGS_HEADER: usize = 4;
const OF_INTERFACE: u16 = 1;
const ALL_INTERFACES: u32 = u32::MAX;
const FORWARDING: u16 = 2;

/// What stands before the attributes of a link.
fn header(index: u32, flags: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..16].copy_from_slice(&flags.to_ne_bytes());
    header
}

/// A message about a link that is known by name.
pub(crate) fn by_name(messages: &mut Messages, kind: u16, name: &str) {
    messages.begin(kind, 0, &header(0, 0)).text(IFNAME, name);
}

/// Looks a link up.
pub(crate) fn find(socket: &Socket, name: &str) -> io::Result<Reply> {
    let mut messages = Messages::new();
    by_name(&mut messages, GET_LINK, name);
    messages.number(EXTENT, SKIP_STATISTICS);
    socket.ask(&messages)
}

/// Which link an answer is about.
pub(crate) fn index(link: &Reply) -> u32 {
    u32::from_ne_bytes(link.array(16 + 4))
}

/// The MAC address in an answer, as text.
pub(crate) fn mac(link: &Reply) -> String {
    let bytes = link.attribute(HEADER, ADDRESS).unwrap_or_default();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// Makes the host forward packets, if it does not.
pub(crate) fn forward(socket: &Socket) -> Outcome<()> {
    let mut messages = Messages::new();
    messages.begin(GET_SETTINGS, 0, &[INET]).number(OF_INTERFACE, ALL_INTERFACES);
    let settings = socket.ask(&messages).map_err(failed("settings"))?;
    if settings.number(SETTINGS_HEADER, FORWARDING) == 1 {
        return Ok(());
    }
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").map_err(failed("ip_forward"))
}

/// Makes a bridge that is up and has an address. Its MAC address stays, whatever ports come and go:
/// without one of its own it would be that of some port, and containers would send to another one.
pub(crate) fn create_bridge(socket: &Socket, name: &str, lease: &Lease) -> Outcome<u32> {
    let mut messages = Messages::new();
    messages
        .begin(NEW_LINK, CREATE | EXCLUSIVE | ECHO, &header(0, UP))
        .text(IFNAME, name)
        .attribute(ADDRESS, &mac_of(lease.gateway))
        .nest(LINK_INFO, |info| _ = info.text(INFO_KIND, "bridge"));
    let bridge = socket.ask(&messages).map_err(failed("bridge"))?;
    let mut messages = Messages::new();
    address(&mut messages, index(&bridge), lease.gateway, lease.prefix);
    messages.acknowledge();
    socket.ask(&messages).map_err(failed("address of the bridge"))?;
    Ok(index(&bridge))
}

/// A veth pair in one message: the host's end is up and, on a bridge, its port; the container's end
/// is in the container under its name. One queue each spares the kernel two grace periods.
pub(crate) fn create_veth(
    socket: &Socket,
    request: &Request,
    namespace: i32,
    lease: &Lease,
    master: Option<u32>,
) -> Outcome<Reply> {
    let mut messages = Messages::new();
    messages
        .begin(NEW_LINK, CREATE | EXCLUSIVE | ECHO, &header(0, UP))
        .text(IFNAME, &request.host_interface());
    one_queue(&mut messages);
    if let Some(master) = master {
        messages.number(MASTER, master);
    }
    messages.nest(LINK_INFO, |info| {
        info.text(INFO_KIND, "veth").nest(INFO_DATA, |data| {
            data.nest(VETH_PEER, |peer| {
                peer.raw(&header(0, 0));
                inside(peer, request, namespace, lease);
                one_queue(peer);
            });
        });
    });
    socket.ask(&messages).map_err(failed("veth"))
}

/// A macvlan in one message, made where it belongs.
pub(crate) fn create_macvlan(
    socket: &Socket,
    request: &Request,
    namespace: i32,
    lease: &Lease,
    parent: u32,
) -> Outcome<()> {
    let mut messages = Messages::new();
    messages.begin(NEW_LINK, CREATE | EXCLUSIVE | ACK, &header(0, 0));
    inside(&mut messages, request, namespace, lease);
    messages.number(LINK, parent);
    messages.nest(LINK_INFO, |info| {
        info.text(INFO_KIND, "macvlan").nest(INFO_DATA, |data| {
            data.number(MACVLAN_MODE, MACVLAN_BRIDGE);
        });
    });
    socket.ask(&messages).map_err(failed("macvlan")).map(drop)
}

/// A MAC address that follows from an IP address, so that no neighbour ever remembers another one
/// for it, and nothing has to be announced.
fn mac_of(address: Ipv4Addr) -> [u8; 6] {
    let [a, b, c, d] = address.octets();
    [2, 0xf1, a, b, c, d]
}

/// What the container sees of its link.
fn inside(messages: &mut Messages, request: &Request, namespace: i32, lease: &Lease) {
    messages
        .text(IFNAME, &request.ifname)
        .attribute(ADDRESS, &mac_of(lease.address))
        .attribute(NAMESPACE, &namespace.to_ne_bytes());
}

fn one_queue(messages: &mut Messages) {
    messages.number(TRANSMIT_QUEUES, 1).number(RECEIVE_QUEUES, 1);
}

/// Gives the container's link its address, its state and the route to the world, in one call.
pub(crate) fn set_up(socket: &Socket, index: u32, lease: &Lease) -> Outcome<()> {
    let mut messages = Messages::new();
    address(&mut messages, index, lease.address, lease.prefix);
    up(&mut messages, index);
    route(&mut messages, index, (Ipv4Addr::UNSPECIFIED, 0), Some(lease.gateway));
    messages.acknowledge();
    socket.ask(&messages).map_err(failed("container")).map(drop)
}

/// The same where the gateway is the other end: all but the gateway lies behind it.
pub(crate) fn set_up_routed(socket: &Socket, index: u32, lease: &Lease) -> Outcome<()> {
    let mut messages = Messages::new();
    address(&mut messages, index, lease.address, lease.prefix);
    messages.number(IFA_FLAGS, NO_PREFIX_ROUTE);
    up(&mut messages, index);
    route(&mut messages, index, (lease.gateway, 32), None);
    route(&mut messages, index, (lease.network(), lease.prefix), Some(lease.gateway));
    route(&mut messages, index, (Ipv4Addr::UNSPECIFIED, 0), Some(lease.gateway));
    messages.acknowledge();
    socket.ask(&messages).map_err(failed("container")).map(drop)
}

/// The host's side of the same.
pub(crate) fn set_up_host(socket: &Socket, index: u32, lease: &Lease) -> Outcome<()> {
    let mut messages = Messages::new();
    address(&mut messages, index, lease.gateway, 32);
    route(&mut messages, index, (lease.address, 32), None);
    messages.acknowledge();
    socket.ask(&messages).map_err(failed("host")).map(drop)
}

fn address(messages: &mut Messages, index: u32, address: Ipv4Addr, prefix: u8) {
    let mut header = [INET, prefix, 0, 0, 0, 0, 0, 0];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    messages
        .begin(NEW_ADDRESS, CREATE | EXCLUSIVE, &header)
        .attribute(IFA_LOCAL, &address.octets())
        .attribute(IFA_ADDRESS, &address.octets());
}

fn up(messages: &mut Messages, index: u32) {
    messages.begin(SET_LINK, 0, &header(index, UP));
}

fn route(messages: &mut Messages, index: u32, to: (Ipv4Addr, u8), gateway: Option<Ipv4Addr>) {
    let (destination, prefix) = to;
    let scope = if gateway.is_some() { 0 } else { LINK_SCOPE };
    let header = [INET, prefix, 0, 0, MAIN_TABLE, BY_ADMINISTRATOR, scope, UNICAST, 0, 0, 0, 0];
    messages.begin(NEW_ROUTE, CREATE | EXCLUSIVE, &header);
    if prefix > 0 {
        messages.attribute(RTA_DESTINATION, &destination.octets());
    }
    messages.number(RTA_INTERFACE, index);
    if let Some(gateway) = gateway {
        messages.attribute(RTA_GATEWAY, &gateway.octets());
    }
}

/// Waits until the host's end carries packets. Asking makes the kernel look.
pub(crate) fn wait(socket: &Socket, name: &str) -> Outcome<()> {
    loop {
        let link = find(socket, name).map_err(failed("host's end"))?;
        if link.attribute(HEADER, OPERSTATE) == Some(&[IS_UP]) {
            return Ok(());
        }
    }
}

/// One question tells whether link, address and route of the container are as they should be.
pub(crate) fn check_route(socket: &Socket, lease: &Lease) -> Outcome<()> {
    let mut messages = Messages::new();
    messages
        .begin(GET_ROUTE, 0, &[INET, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        .attribute(RTA_DESTINATION, &[203, 0, 113, 1]);
    let route = socket.ask(&messages).map_err(failed("route"))?;
    let has = |kind, address: Ipv4Addr| {
        route.attribute(ROUTE_HEADER, kind) == Some(&address.octets()[..])
    };
    if has(RTA_GATEWAY, lease.gateway) && has(RTA_SOURCE, lease.address) {
        return Ok(());
    }
    Err("the container has another route or address".to_owned())
}
