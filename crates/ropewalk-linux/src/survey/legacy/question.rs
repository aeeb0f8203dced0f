//! Asks the kernel for a table of the old iptables, with options of a raw socket.

use std::{
    mem::{offset_of, size_of},
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

use ropewalk_topology::model::FilterFamily;
use rustix::{
    io::Errno,
    net::{AddressFamily, Protocol, SocketFlags, SocketType, socket_with},
};

use super::block::{Block, HOOKS};

/// `IPT_SO_GET_INFO` and `IP6T_SO_GET_INFO`.
const INFORMATION: libc::c_int = 64;
/// `IPT_SO_GET_ENTRIES` and `IP6T_SO_GET_ENTRIES`.
const ENTRIES: libc::c_int = 65;

/// How often somebody may change the table between two questions.
const ATTEMPTS: usize = 20;

/// The room for a table's name.
const NAME: usize = 32;

/// `struct ipt_getinfo`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Information {
    name: [u8; NAME],
    hooks: u32,
    starts: [u32; HOOKS],
    policies: [u32; HOOKS],
    count: u32,
    size: u32,
}

/// `struct ipt_get_entries`; entries begin with the alignment of their counters.
#[repr(C)]
struct Entries {
    name: [u8; NAME],
    size: u32,
    first: [u64; 0],
}

/// A table as the kernel keeps it.
pub(super) fn ask(family: FilterFamily, name: &str) -> Result<Block, Errno> {
    let mut padded = [0; NAME];
    // The last byte ends the name.
    padded[..NAME - 1].get_mut(..name.len()).ok_or(Errno::INVAL)?.copy_from_slice(name.as_bytes());
    let (level, domain) = match family {
        FilterFamily::Ip6 => (libc::IPPROTO_IPV6, AddressFamily::INET6),
        _ => (libc::IPPROTO_IP, AddressFamily::INET),
    };
    let raw = Protocol::from_raw(rustix::net::RawProtocol::new(255).ok_or(Errno::INVAL)?);
    let socket = socket_with(domain, SocketType::RAW, SocketFlags::CLOEXEC, Some(raw))?;
    for _ in 0..ATTEMPTS {
        match ask_once(socket.as_fd(), level, padded) {
            // It has grown or shrunk since it told its size.
            Err(Errno::AGAIN) => {}
            answer => return answer,
        }
    }
    Err(Errno::AGAIN)
}

fn ask_once(socket: BorrowedFd<'_>, level: libc::c_int, name: [u8; NAME]) -> Result<Block, Errno> {
    let mut question = [0; size_of::<Information>()];
    question[..NAME].copy_from_slice(&name);
    get(socket, (level, INFORMATION), &mut question)?;
    let number = |at: usize| {
        let bytes = question[at..].first_chunk().copied().unwrap_or_default();
        u32::from_ne_bytes(bytes)
    };
    let numbers = |at: usize| [0, 1, 2, 3, 4].map(|hook| number(at + 4 * hook));
    let size = number(offset_of!(Information, size));
    let length = usize::try_from(size).map_err(|_| Errno::NOMEM)?;
    let begin = offset_of!(Entries, first);
    let mut bytes = vec![0; begin + length];
    bytes[..NAME].copy_from_slice(&name);
    bytes[offset_of!(Entries, size)..][..4].copy_from_slice(&size.to_ne_bytes());
    get(socket, (level, ENTRIES), &mut bytes)?;
    bytes.drain(..begin);
    Ok(Block {
        hooks: number(offset_of!(Information, hooks)),
        starts: numbers(offset_of!(Information, starts)),
        policies: numbers(offset_of!(Information, policies)),
        bytes,
    })
}

/// Asks for an option that is asked with what the answer overwrites.
fn get(
    socket: BorrowedFd<'_>,
    (level, option): (libc::c_int, libc::c_int),
    bytes: &mut [u8],
) -> Result<(), Errno> {
    let mut length = libc::socklen_t::try_from(bytes.len()).map_err(|_| Errno::NOMEM)?;
    let buffer = bytes.as_mut_ptr().cast();
    // SAFETY: the kernel reads and writes at most `length` bytes, which the slice has.
    let result =
        unsafe { libc::getsockopt(socket.as_raw_fd(), level, option, buffer, &raw mut length) };
    if result < 0 {
        return Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO));
    }
    Ok(())
}
