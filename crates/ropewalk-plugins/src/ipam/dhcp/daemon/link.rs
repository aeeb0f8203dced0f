//! The container's interface, as far as leasing an address needs it.

use std::{
    net::{IpAddr, Ipv4Addr, UdpSocket},
    path::Path,
};

use ropewalk_addr::{Family, IfName, Mac, Prefix};
use ropewalk_dhcp::{SERVER_PORT, v6};
use ropewalk_linux::{Hears, LinkLocalSocket, Linux, Netns, PacketSocket};
use ropewalk_netstate::{
    Kernel, Place, Resource, Step,
    resource::{Address, Attribute, Await, LinkAttribute, Sysctl, Until},
};

use super::{
    attachment::Attachment,
    client::{Grant, Socket},
};

/// How long a link may take until it carries frames. What is sent before that is lost, and repeated.
const LINK_UP_DEADLINE_MS: u32 = 300;

/// How long a link-local address may take. The detection of duplicates waits for up to a second
/// before it begins, and takes another.
const LINK_LOCAL_DEADLINE_MS: u32 = 10_000;

/// A place at a link, with ears open where that is possible before anything is said.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) family: Family,
    pub(super) hardware: Mac,
    /// Whether other containers have the same hardware address, so that unicast finds one of them.
    pub(super) shares_hardware_address: bool,
    pub(super) socket: Option<Socket>,
}

/// Sets the link up if it is down, waits until it carries frames, and listens.
pub(super) fn take_seat(attachment: &Attachment, family: Family) -> Result<Seat, String> {
    let Attachment { netns, interface, .. } = attachment;
    let mut kernel = enter(netns)?;
    let not_found = |reason: String| format!("error looking up {:?}: {reason}", &**interface);
    let state = kernel
        .link_state(Place::Sandbox, interface)
        .map_err(|error| not_found(error.to_string()))?
        .ok_or_else(|| not_found("Link not found".to_owned()))?;
    let hardware =
        state.mac.ok_or_else(|| format!("{interface} has no hardware address of six bytes"))?;
    if family == Family::V6 {
        allow_v6(&mut kernel, attachment)?;
    }
    if !state.up {
        apply(&mut kernel, Step::Create(Place::Sandbox, up(interface)))
            .map_err(|reason| format!("failed to set {interface} up: {reason}"))?;
    }
    let carries = Await::new(interface.clone(), Until::LinkUp, LINK_UP_DEADLINE_MS);
    // Some links never say that they are up, and carry frames all the same.
    let _ = apply(&mut kernel, Step::Create(Place::Sandbox, carries.into()));
    if family == Family::V6 {
        let wait = Await::new(interface.clone(), Until::LinkLocal, LINK_LOCAL_DEADLINE_MS);
        apply(&mut kernel, Step::Create(Place::Sandbox, wait.into()))?;
    }
    let socket = match family {
        Family::V4 => Some(Socket::open(netns, interface, family)?),
        // Only one socket at a time can have the port.
        Family::V6 => None,
    };
    Ok(Seat {
        family,
        hardware,
        shares_hardware_address: state.kind.as_deref() == Some("ipvlan"),
        socket,
    })
}

/// Has the link get a link-local address; without delay, unless duplicates are looked for.
fn allow_v6(kernel: &mut Linux, attachment: &Attachment) -> Result<(), String> {
    let mut set = |parameter: &str, value: &str| {
        let path = format!("net/ipv6/conf/{}/{parameter}", attachment.interface);
        apply(kernel, Step::Create(Place::Sandbox, Sysctl::new(path, value).into()))
    };
    if !attachment.detects_duplicates {
        set("accept_dad", "0")?;
    }
    set("disable_ipv6", "0")
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

/// Listens at the link-local address of a link.
pub(super) fn listen_v6(netns: &Path, interface: &IfName) -> Result<LinkLocalSocket, String> {
    let addresses = enter(netns)?.link_addresses(Place::Sandbox, interface);
    let addresses = addresses.map_err(|error| error.to_string())?;
    let own = addresses.iter().find_map(|prefix| match prefix.ip() {
        IpAddr::V6(address) if address.is_unicast_link_local() => Some(address),
        _ => None,
    });
    let own = own.ok_or_else(|| format!("link {interface} has no link-local address"))?;
    let netns = Netns::open(netns).map_err(|error| error.to_string())?;
    LinkLocalSocket::open(&netns, interface, own, v6::CLIENT_PORT)
        .map_err(|error| error.to_string())
}

/// Takes an address that must not be used any more from its interface, and sets that down unless it
/// has addresses of another family.
pub(super) fn withdraw(attachment: &Attachment, grant: &Grant) -> Result<(), String> {
    let Attachment { netns, interface, .. } = attachment;
    let mut kernel = enter(netns)?;
    if let Ok(prefix) = Prefix::new(grant.address(), grant.prefix_length()) {
        let address: Resource = Address::new(interface.clone(), prefix).into();
        // It may be gone, or have been changed by the container.
        let _ = apply(&mut kernel, Step::Delete(Place::Sandbox, address));
    }
    if attachment.config.families.len() > 1 {
        return Ok(());
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
