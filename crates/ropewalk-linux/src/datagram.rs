//! Datagrams of one link, for who talks to servers from the link-local address.
//!
//! It never knows what is in them.

use std::{
    io::ErrorKind,
    net::{Ipv6Addr, SocketAddrV6, UdpSocket},
    os::fd::{AsFd, BorrowedFd},
};

use ropewalk_addr::IfName;
use ropewalk_netstate::KernelError;
use rustix::{
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, bind, netdevice::name_to_index, socket_with},
};

use crate::{
    error::{error, error_about, io_error},
    netns::Netns,
};

/// A UDP socket at a link-local address of a link.
#[derive(Debug)]
pub struct LinkLocalSocket {
    socket: UdpSocket,
    /// The link.
    index: u32,
}

impl LinkLocalSocket {
    /// Opens it in a namespace. The address must be past the detection of duplicates. While it is
    /// open, it keeps the namespace from vanishing.
    pub fn open(
        netns: &Netns,
        link: &IfName,
        address: Ipv6Addr,
        port: u16,
    ) -> Result<Self, KernelError> {
        let open = || Self::open_here(link, address, port);
        netns.within(open).map_err(|reason| error(reason.to_string()))?
    }

    fn open_here(link: &IfName, address: Ipv6Addr, port: u16) -> Result<Self, KernelError> {
        let what = format!("listen on [{address}%{link}]:{port}");
        let failed = |errno: Errno| error_about(errno, &what);
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::INET6, SocketType::DGRAM, flags, None);
        let socket = socket.map_err(failed)?;
        let index = name_to_index(&socket, link).map_err(failed)?;
        bind(&socket, &SocketAddrV6::new(address, port, 0, index)).map_err(failed)?;
        Ok(Self { socket: socket.into(), index })
    }

    /// Sends a datagram to an address of the link.
    pub fn send(&self, bytes: &[u8], address: Ipv6Addr, port: u16) -> Result<(), KernelError> {
        let to = SocketAddrV6::new(address, port, 0, self.index);
        self.socket.send_to(bytes, to).map(drop).map_err(|reason| io_error(&reason, "send"))
    }

    /// The next datagram that is there, cut to the buffer; `None` if there is none.
    pub fn receive<'a>(&self, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
        loop {
            match self.socket.recv(buffer) {
                Ok(length) => return buffer.get(..length),
                Err(reason) if reason.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }
}

impl AsFd for LinkLocalSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
