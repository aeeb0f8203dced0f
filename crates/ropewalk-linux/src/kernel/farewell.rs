//! Deleting a link without waiting for the kernel's last grace periods.
//!
//! A link is off every list within half a millisecond, but the call that deletes it returns only
//! after an RCU barrier (10 to 20 ms on Linux 6.18). A one-shot program need not wait for that: a
//! child makes the call, the parent goes on when the kernel announces that the link is gone.
//! A thread would not do, because the process only ends when the call returns. The child keeps
//! nothing open but its socket: it must not hold the caller's pipe or a lock.

use std::{
    mem::ManuallyDrop,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    time::{Duration, Instant},
};

use ropewalk_netstate::{KernelError, Place};

use rustix::{
    io::Errno,
    net::SendFlags,
    process::{Pid, WaitOptions, waitpid},
};

use super::{Linux, release};
use crate::{error::is, netlink::EventSocket, translate::link};

/// A deletion takes long where many links go at once, but not as long as this.
const LONGEST: Duration = Duration::from_secs(30);

/// Nearly all are announced earlier. After it we look whether the child is still at it.
const ORDINARY: Duration = Duration::from_millis(200);

/// Deletes a link; returns when it is gone for everybody who asks by netlink. What /sys/class/net
/// says follows within the same hold of the kernel's RTNL lock, before anything can be made anew.
pub(super) fn delete_link(linux: &mut Linux, place: Place, index: u32) -> Result<(), KernelError> {
    // Subscribed first, so that no announcement is missed; the answer comes to the same socket.
    // Nor is it closed, since the process ends next.
    let mut events = ManuallyDrop::new(linux.within(place, || EventSocket::of_links(ORDINARY))??);
    let mut message = link::delete(index);
    let Some(child) = send_from_child(events.as_fd(), message.finish(1)) else {
        return linux.route(place)?.request(link::delete(index));
    };
    let deadline = Instant::now() + LONGEST;
    loop {
        let (mut is_gone, mut answer) = (false, None);
        let received = events.receive(|reply| {
            is_gone |= link::is_deletion(reply, index);
            // There are no verdicts among events.
            answer = answer.take().or_else(|| reply.verdict("RTNETLINK"));
        });
        let is_complete = match received {
            Err(error) if is(&error, Errno::TIMEDOUT) && Instant::now() < deadline => {
                // One that was killed, or that the kernel had no memory for, has sent nothing.
                if has_ended(child) && !events.wait_for_more(Instant::now())? {
                    return linux.route(place)?.request(link::delete(index));
                }
                continue;
            }
            received => received?,
        };
        if let Some(verdict) = answer {
            return verdict;
        }
        if is_gone || (!is_complete && !exists(linux, place, index)?) {
            return Ok(());
        }
    }
}

fn exists(linux: &mut Linux, place: Place, index: u32) -> Result<bool, KernelError> {
    let found = linux.route(place)?.get(link::find_by_index(index), link::read);
    match found {
        Err(error) if is(&error, Errno::NODEV) => Ok(false),
        found => Ok(found?.is_some()),
    }
}

/// What a child has to do; it lives as long as the process.
struct Errand {
    socket: RawFd,
    message: Vec<u8>,
    /// Whether the kernel closes many descriptors at once. A call that failed would leave its error
    /// in `errno`, which is the parent's too.
    closes_ranges: bool,
}

/// The child calls nothing that goes deep; in bytes.
const STACK: usize = 16 * 1024;

/// Whether a child of ours is no more, or cannot be found.
fn has_ended(child: Pid) -> bool {
    !matches!(waitpid(Some(child), WaitOptions::NOHANG), Ok(None) | Err(Errno::INTR))
}

/// Sends a message from a child of this process; nothing if there can be none. The child shares our
/// memory, since a copy would cost more than all the rest, and has a stack of its own.
fn send_from_child(socket: BorrowedFd<'_>, bytes: &[u8]) -> Option<Pid> {
    let errand = Errand {
        socket: socket.as_raw_fd(),
        message: bytes.to_vec(),
        closes_ranges: release::is_at_least((5, 9)),
    };
    let errand: &'static Errand = Box::leak(Box::new(errand));
    let stack = Box::leak(Box::<[u128]>::new_uninit_slice(STACK / size_of::<u128>()));
    let flags = libc::CLONE_VM | libc::SIGCHLD;
    let argument = (&raw const *errand).cast_mut().cast();
    // SAFETY: errand and stack live as long as the memory, which the child keeps. It writes nothing
    // but its stack, takes no lock and makes system calls only.
    let child = unsafe { libc::clone(child, stack.as_mut_ptr_range().end.cast(), flags, argument) };
    Pid::from_raw(child).filter(|_| child > 0)
}

extern "C" fn child(errand: *mut libc::c_void) -> libc::c_int {
    // SAFETY: the parent passes an errand that nobody changes any more.
    let Errand { socket, message, closes_ranges } = unsafe { &*errand.cast::<Errand>() };
    let close = |first: RawFd, last: RawFd| {
        if *closes_ranges {
            // SAFETY: closes descriptors of this process, which uses none of them any more.
            unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        } else {
            // SAFETY: as above.
            (first..=last.min(4096)).for_each(|fd| unsafe { rustix::io::close(fd) });
        }
    };
    if *socket > 0 {
        close(0, socket - 1);
    }
    close(socket + 1, RawFd::MAX);
    // SAFETY: the socket is open in this process, whatever its parent does.
    let socket = unsafe { BorrowedFd::borrow_raw(*socket) };
    let _ = rustix::net::send(socket, message, SendFlags::empty());
    // SAFETY: ends this process at once, without what a C library does at the end of the parent.
    unsafe { libc::_exit(0) }
}
