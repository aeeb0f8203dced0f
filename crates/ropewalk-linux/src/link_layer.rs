//! Addresses of packet sockets (packet(7)).

use rustix::net::addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque};

const AF_PACKET: u16 = 17;
const LENGTH: SocketAddrLen = 20;
const _: () = assert!(size_of::<libc::sockaddr_ll>() == 20);

/// A link, and what is sent and received there: `struct sockaddr_ll`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkLayerAddress {
    /// Index of the link.
    pub(crate) index: i32,
    /// Type of frames, for example 0x0806 for ARP.
    pub(crate) ethertype: u16,
    /// Receiver of what is sent.
    pub(crate) mac: [u8; 6],
}

// SAFETY: the closure gets a pointer to a whole `sockaddr_ll`, which lives until it returns.
unsafe impl SocketAddrArg for LinkLayerAddress {
    unsafe fn with_sockaddr<R>(
        &self,
        f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R,
    ) -> R {
        let mut receiver = [0; 8];
        receiver[..6].copy_from_slice(&self.mac);
        let address = libc::sockaddr_ll {
            sll_family: AF_PACKET,
            sll_protocol: self.ethertype.to_be(),
            sll_ifindex: self.index,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 6,
            sll_addr: receiver,
        };
        f((&raw const address).cast(), LENGTH)
    }
}
