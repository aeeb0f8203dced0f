//! Frames of one link, for who has no address yet: a socket below IP that hears answers of DHCP
//! servers, or ARP, and nothing else.
//!
//! It never knows what is in them; the kernel drops what is not asked for.

use std::{
    mem,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use ropewalk_addr::IfName;
use ropewalk_netstate::KernelError;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netdevice::name_to_index,
        recv, send, socket_with,
    },
};

use crate::{
    error::{error, error_about},
    netns::Netns,
};

/// Accepts whole or first IPv4 datagrams of UDP to port 68, as `tcpdump -d` would write it:
/// EtherType, protocol, fragment offset, and the port behind a header of any length.
const TO_DHCP_CLIENTS: [libc::sock_filter; 11] = [
    instruction(0x28, 0, 0, 12),
    instruction(0x15, 0, 8, 0x0800),
    instruction(0x30, 0, 0, 23),
    instruction(0x15, 0, 6, 17),
    instruction(0x28, 0, 0, 20),
    instruction(0x45, 4, 0, 0x1fff),
    instruction(0xb1, 0, 0, 14),
    instruction(0x48, 0, 0, 16),
    instruction(0x15, 0, 1, 68),
    instruction(0x06, 0, 0, 0xffff),
    instruction(0x06, 0, 0, 0),
];

const fn instruction(code: u16, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt, jf, k }
}

/// What a socket hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hears {
    /// What is sent to clients of DHCP.
    DhcpAnswers,
    /// ARP.
    Arp,
    /// What switches say of themselves (LLDP).
    Switches,
}

/// Where LLDP is sent to: the nearest bridge, which does not pass it on.
const NEAREST_BRIDGE: [u8; 6] = [0x01, 0x80, 0xc2, 0, 0, 0x0e];

/// The Ethernet type of LLDP.
const ETH_P_LLDP: i32 = 0x88cc;

/// A socket that sends frames through one link and hears some of those that arrive there.
#[derive(Debug)]
pub struct PacketSocket(OwnedFd);

impl PacketSocket {
    /// Opens it in a namespace. It listens from now on; while it is open, it keeps the namespace
    /// from vanishing.
    pub fn open(netns: &Netns, link: &IfName, hears: Hears) -> Result<Self, KernelError> {
        netns.within(|| Self::open_here(link, hears)).map_err(|reason| error(reason.to_string()))?
    }

    /// Opens it in the namespace of the calling thread.
    pub(crate) fn open_here(link: &IfName, hears: Hears) -> Result<Self, KernelError> {
        let failed = |errno| error_about(errno, &format!("listen on {link}"));
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // Without a protocol nothing is heard until the filter is there and the link is chosen.
        let socket =
            socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None).map_err(failed)?;
        let protocol = match hears {
            Hears::DhcpAnswers => {
                attach_filter(&socket).map_err(failed)?;
                libc::ETH_P_IP
            }
            Hears::Arp => libc::ETH_P_ARP,
            Hears::Switches => ETH_P_LLDP,
        };
        let index = name_to_index(&socket, link).map_err(failed)?;
        if hears == Hears::Switches {
            join(&socket, index, NEAREST_BRIDGE).map_err(failed)?;
        }
        bind(&socket, protocol, index).map_err(failed)?;
        Ok(Self(socket))
    }

    /// Sends one frame.
    pub fn send(&self, frame: &[u8]) -> Result<(), KernelError> {
        let sent = send(&self.0, frame, SendFlags::empty());
        sent.map(drop).map_err(|errno| error_about(errno, "send"))
    }

    /// The next frame that is there, cut to the buffer; `None` if there is none.
    pub fn receive<'a>(&self, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
        loop {
            match recv(&self.0, &mut *buffer, RecvFlags::DONTWAIT) {
                Ok((length, _)) => return buffer.get(..length),
                Err(Errno::INTR) => {}
                // A link that went down is told once, as an error; what is to come is still heard.
                Err(_) => return None,
            }
        }
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn attach_filter(socket: &OwnedFd) -> Result<(), Errno> {
    let mut filter = TO_DHCP_CLIENTS;
    let length = u16::try_from(filter.len()).unwrap_or_default();
    let program = libc::sock_fprog { len: length, filter: filter.as_mut_ptr() };
    // SAFETY: the kernel copies the program and the instructions it points to, which live until
    // the call is over; the length given is that of the structure.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of_u32::<libc::sock_fprog>(),
        )
    };
    verdict(result)
}

/// Has a link take frames to a group for as long as the socket is open.
fn join(socket: &OwnedFd, index: u32, group: [u8; 6]) -> Result<(), Errno> {
    let mut address = [0; 8];
    address[..group.len()].copy_from_slice(&group);
    let request = libc::packet_mreq {
        mr_ifindex: i32::try_from(index).map_err(|_| Errno::NODEV)?,
        mr_type: u16::try_from(libc::PACKET_MR_MULTICAST).unwrap_or_default(),
        mr_alen: 6,
        mr_address: address,
    };
    // SAFETY: the kernel copies the structure, which lives until the call is over; the length given
    // is its own.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_ADD_MEMBERSHIP,
            (&raw const request).cast(),
            size_of_u32::<libc::packet_mreq>(),
        )
    };
    verdict(result)
}

fn bind(socket: &OwnedFd, protocol: i32, index: u32) -> Result<(), Errno> {
    // SAFETY: all zeros is a valid value of this structure of integers.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    let u16_of = |number: i32| u16::try_from(number).unwrap_or_default();
    address.sll_family = u16_of(libc::AF_PACKET);
    address.sll_protocol = u16_of(protocol).to_be();
    address.sll_ifindex = i32::try_from(index).map_err(|_| Errno::NODEV)?;
    // SAFETY: the kernel reads one structure of the length given.
    let result = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of_u32::<libc::sockaddr_ll>(),
        )
    };
    verdict(result)
}

fn size_of_u32<T>() -> u32 {
    u32::try_from(mem::size_of::<T>()).unwrap_or_default()
}

fn verdict(result: i32) -> Result<(), Errno> {
    if result == 0 {
        return Ok(());
    }
    Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
}

/// Waits until there is something to read from one of these; `false` if the deadline came first.
pub(crate) fn wait_until_input(
    sources: &[BorrowedFd<'_>],
    deadline: Instant,
) -> Result<bool, KernelError> {
    while let Some(left) = deadline.checked_duration_since(Instant::now()) {
        if wait_for_input(sources, Some(left))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Waits until there is something to read from one of these, or the time is over, or earlier: says
/// whether there is something. `None` waits for ever. Which of them it is has to be tried.
pub fn wait_for_input(
    sources: &[BorrowedFd<'_>],
    time: Option<Duration>,
) -> Result<bool, KernelError> {
    let waiting = sources.iter().map(|source| PollFd::from_borrowed_fd(*source, PollFlags::IN));
    let mut waiting: Vec<PollFd<'_>> = waiting.collect();
    let time = time.and_then(|time| Timespec::try_from(time).ok());
    match poll(&mut waiting, time.as_ref()) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(errno) => Err(error_about(errno, "wait for input")),
    }
}
