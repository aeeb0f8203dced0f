//! The container's interface, as far as leasing an address needs it.

use std::{
    net::{Ipv4Addr, UdpSocket},
    path::Path,
};

use ropewalk_addr::{IfName, Mac, Prefix};
use ropewalk_dhcp::{Lease, SERVER_PORT};
use ropewalk_linux::{Hears, Linux, Netns, PacketSocket};
use ropewalk_netstate::{
    Kernel, Place, Resource, Step,
    resource::{Address, Attribute, Await, LinkAttribute},
};

/// How long a link may take until it carries frames. What is sent before that is lost, and repeated.
const LINK_UP_DEADLINE_MS: u32 = 300;

/// A place at a link, with ears open.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) hardware: Mac,
    /// Whether other containers have the same hardware address, so that unicast finds one of them.
    pub(super) shares_hardware_address: bool,
    pub(super) socket: PacketSocket,
}

/// Sets the link up if it is down, waits until it carries frames, and listens.
pub(super) fn take_seat(netns: &Path, interface: &IfName) -> Result<Seat, String> {
    let mut kernel = enter(netns)?;
    let not_found = |reason: String| format!("error looking up {:?}: {reason}", &**interface);
    let state = kernel
        .link_state(Place::Sandbox, interface)
        .map_err(|error| not_found(error.to_string()))?
        .ok_or_else(|| not_found("Link not found".to_owned()))?;
    let hardware =
        state.mac.ok_or_else(|| format!("{interface} has no hardware address of six bytes"))?;
    if !state.up {
        apply(&mut kernel, Step::Create(Place::Sandbox, up(interface)))
            .map_err(|reason| format!("failed to set {interface} up: {reason}"))?;
    }
    let carries = Await::LinkUp { link: interface.clone(), deadline_ms: LINK_UP_DEADLINE_MS };
    // Some links never say that they are up, and carry frames all the same.
    let _ = apply(&mut kernel, Step::Create(Place::Sandbox, carries.into()));
    Ok(Seat {
        hardware,
        shares_hardware_address: state.kind.as_deref() == Some("ipvlan"),
        socket: listen(netns, interface, Hears::DhcpAnswers)?,
    })
}

/// Listens at a link. While the socket is open, it keeps the namespace from vanishing.
pub(super) fn listen(
    netns: &Path,
    interface: &IfName,
    hears: Hears,
) -> Result<PacketSocket, String> {
    let netns = Netns::open(netns).map_err(|error| error.to_string())?;
    PacketSocket::open(&netns, interface, hears).map_err(|error| error.to_string())
}

/// Takes an address that must not be used any more from its interface, and sets that down.
pub(super) fn withdraw(netns: &Path, interface: &IfName, lease: &Lease) -> Result<(), String> {
    let mut kernel = enter(netns)?;
    let length = lease.prefix_length.unwrap_or(32);
    if let Ok(prefix) = Prefix::new(lease.address.into(), length) {
        let address: Resource = Address::new(interface.clone(), prefix).into();
        // It may be gone, or have been changed by the container.
        let _ = apply(&mut kernel, Step::Delete(Place::Sandbox, address));
    }
    apply(&mut kernel, Step::Delete(Place::Sandbox, up(interface)))
}

/// Sends a message to a server without the link: from the namespace if there is another way, else
/// from the host. Servers that look at the sender drop it; the lease then ends by itself.
pub(super) fn send_without_link(netns: &Path, server: Ipv4Addr, message: &[u8]) {
    let send = || -> std::io::Result<()> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.send_to(message, (server, SERVER_PORT)).map(drop)
    };
    let from_netns = Netns::open(netns).ok().and_then(|netns| netns.within(send).ok());
    if from_netns.is_none_or(|sent| sent.is_err()) {
        // Nothing more can be done where there is no way to the server.
        let _ = send();
    }
}

fn enter(netns: &Path) -> Result<Linux, String> {
    Netns::open(netns).map(Linux::with_sandbox).map_err(|error| error.to_string())
}

fn up(interface: &IfName) -> Resource {
    LinkAttribute { link: interface.clone(), attribute: Attribute::Up(true) }.into()
}

fn apply(kernel: &mut Linux, step: Step) -> Result<(), String> {
    kernel.apply(&[step]).map_err(|partial| partial.error.to_string())
}
