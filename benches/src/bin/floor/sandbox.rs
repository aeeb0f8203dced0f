//! The container's network namespace: going there, and deleting a link there.
//!
//! A link is off every list after half a millisecond, but the kernel returns to whoever deletes it
//! only 10 to 20 ms later. So a child makes the call, and whoever started it goes on at the event.
//! The child must never hold anything but its socket: not the caller's pipe, not a lock.

use std::{
    ffi::{c_int, c_void},
    fs::File,
    io,
    os::fd::AsRawFd,
};

use crate::{
    Outcome, failed,
    link::{HEADER, IFNAME, by_name},
    message::Messages,
    socket::Socket,
};

const DELETE_LINK: u16 = 17;

/// Where the child runs; it needs next to nothing.
const STACK_BYTES: usize = 16 << 10;

/// What the child gets.
struct Order {
    socket: c_int,
    message: Messages,
}

/// Opens a namespace.
pub(crate) fn open(path: &str) -> Outcome<File> {
    File::open(path).map_err(failed("namespace"))
}

/// Goes there for good: sockets that are open stay where they are.
pub(crate) fn enter(namespace: &File) -> Outcome<()> {
    // SAFETY: takes numbers, and this program has one thread.
    let result = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
    if result == 0 { Ok(()) } else { Err(failed("setns")(io::Error::last_os_error())) }
}

/// Deletes a link of the namespace this program is in; returns when it is off every list.
pub(crate) fn delete_link(name: &str) -> Outcome<()> {
    let events = Socket::events().map_err(failed("socket"))?;
    let mut message = Messages::new();
    by_name(&mut message, DELETE_LINK, name);
    start(Order { socket: events.raw(), message }).map_err(failed("clone"))?;
    loop {
        match events.receive() {
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => return Ok(()),
            Err(error) => return Err(failed("deleting the link")(error)),
            Ok(event)
                if event.kind() == DELETE_LINK && is(event.attribute(HEADER, IFNAME), name) =>
            {
                return Ok(());
            }
            Ok(_) => {}
        }
    }
}

fn is(text: Option<&[u8]>, name: &str) -> bool {
    text.and_then(|text| text.strip_suffix(&[0])) == Some(name.as_bytes())
}

/// Starts a child in this very memory, which neither side may give back.
fn start(order: Order) -> io::Result<()> {
    let stack = Vec::leak(vec![0_u8; STACK_BYTES]);
    let order: &'static Order = Box::leak(Box::new(order));
    let argument = std::ptr::from_ref(order).cast_mut().cast();
    // SAFETY: the stack and the order are never given back, and the child makes system calls only,
    // so that it meets no lock or buffer of its parent. The stack grows downwards from its end,
    // which is a multiple of 16.
    let child = unsafe {
        let end = stack.as_mut_ptr().add(STACK_BYTES);
        let end = end.sub(end.addr() % 16);
        libc::clone(child, end.cast(), libc::CLONE_VM | libc::SIGCHLD, argument)
    };
    if child < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

extern "C" fn child(order: *mut c_void) -> c_int {
    // SAFETY: the parent leaked it.
    let order = unsafe { &*order.cast::<Order>() };
    let bytes = order.message.bytes();
    // SAFETY: the descriptors are this child's own copies, of which it uses one, and the message is
    // a slice that stays. What the kernel answers, the parent reads.
    unsafe {
        libc::syscall(libc::SYS_close_range, 0, order.socket - 1, 0);
        libc::syscall(libc::SYS_close_range, order.socket + 1, c_int::MAX, 0);
        libc::syscall(
            libc::SYS_sendto,
            order.socket,
            bytes.as_ptr(),
            bytes.len(),
            0,
            std::ptr::null::<c_void>(),
            0,
        );
        libc::syscall(libc::SYS_exit, 0);
    }
    0
}
