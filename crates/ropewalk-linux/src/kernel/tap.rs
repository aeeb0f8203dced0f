//! Taps are made through a device file, not by a message. Nothing here may leave one behind that
//! is not as it was wanted.

use std::{
    ffi::CString,
    os::fd::{AsFd, OwnedFd},
};

use ropewalk_addr::IfName;
use ropewalk_netstate::{
    KernelError, Place,
    resource::{Attribute, Tap, VirtualLink},
};
use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
    ioctl::{IntegerSetter, Opcode, Setter, ioctl, opcode},
};

use super::Linux;
use crate::{
    error::{errno_text, error_about, error_with},
    translate::link,
};

const DEVICE: &str = "/dev/net/tun";

// `linux/if_tun.h`.
const TUNSETIFF: Opcode = opcode::write::<i32>(b'T', 202);
const TUNSETPERSIST: Opcode = opcode::write::<i32>(b'T', 203);
const TUNSETOWNER: Opcode = opcode::write::<i32>(b'T', 204);
const TUNSETGROUP: Opcode = opcode::write::<i32>(b'T', 206);
const IFF_TAP: u16 = 0x0002;
const IFF_MULTI_QUEUE: u16 = 0x0100;
const IFF_NO_PI: u16 = 0x1000;
const IFF_VNET_HDR: u16 = 0x4000;
const IFF_TUN_EXCL: u16 = 0x8000;

/// `struct ifreq` with flags.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

impl Linux {
    pub(super) fn create_tap(
        &mut self,
        place: Place,
        wanted: &VirtualLink,
        tap: &Tap,
    ) -> Result<(), KernelError> {
        let made = match &tap.context {
            Some(context) => self.within(place, || make_labelled(&wanted.name, tap, context))?,
            None => self.within(place, || {
                make(&wanted.name, tap).map_err(|errno| explain(&wanted.name, errno))
            })?,
        };
        made?;
        self.forget_links();
        let finished = self.finish_tap(place, wanted);
        if finished.is_err() {
            // The first error is the one to tell.
            let _ = self.delete_link(place, &wanted.name);
        }
        finished
    }

    fn finish_tap(&mut self, place: Place, wanted: &VirtualLink) -> Result<(), KernelError> {
        let index = self.index_of(place, &wanted.name)?;
        let attributes = [wanted.mac.map(Attribute::Mac), wanted.mtu.map(Attribute::Mtu)];
        for attribute in attributes.into_iter().flatten() {
            self.route(place)?.request(link::set_attribute(index, attribute))?;
        }
        match &wanted.tag {
            Some(tag) => self.route(place)?.request(link::set_alias(&wanted.name, tag.text())),
            None => Ok(()),
        }
    }
}

fn explain(name: &IfName, errno: Errno) -> KernelError {
    match errno {
        // Asked for exclusively, a name that is taken is busy.
        Errno::BUSY => error_with(Errno::EXIST, errno_text(Errno::EXIST)),
        Errno::NOENT | Errno::NODEV | Errno::NXIO => {
            let reason =
                format!("open {DEVICE}: {} (the kernel may have no tap links)", errno_text(errno));
            error_with(errno, reason)
        }
        errno => error_about(errno, name),
    }
}

/// Makes a tap in the namespace of the calling thread. It is gone again if a step fails, since it
/// stays only once it is told to. Makes system calls only, so that a forked child may call it.
fn make(name: &IfName, tap: &Tap) -> Result<(), Errno> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let device = rustix::fs::open(DEVICE, flags, Mode::empty())?;
    let mut request = InterfaceRequest { name: [0; 16], flags: flags_of(tap), rest: [0; 22] };
    request.name.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
    // SAFETY: TUNSETIFF reads and writes a `struct ifreq`, whose layout and size this has.
    unsafe { ioctl(device.as_fd(), Setter::<TUNSETIFF, InterfaceRequest>::new(request)) }?;
    if let Some(owner) = tap.owner {
        set::<TUNSETOWNER>(&device, owner)?;
    }
    if let Some(group) = tap.group {
        set::<TUNSETGROUP>(&device, group)?;
    }
    set::<TUNSETPERSIST>(&device, 1)
}

fn flags_of(tap: &Tap) -> u16 {
    let queues = if tap.multi_queue { IFF_MULTI_QUEUE } else { 0 };
    let header = if tap.offload_header { IFF_VNET_HDR } else { 0 };
    IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL | queues | header
}

/// One of the calls that take a number.
fn set<const OPCODE: Opcode>(device: &OwnedFd, number: u32) -> Result<(), Errno> {
    let number = usize::try_from(number).map_err(|_| Errno::INVAL)?;
    // SAFETY: the callers name opcodes of this device that take a number and not a pointer.
    unsafe { ioctl(device.as_fd(), IntegerSetter::<OPCODE>::new_usize(number)) }
}

/// Makes a tap with an SELinux context.
///
/// The kernel gives a tap the context of the process that makes it, and does not look at the one
/// for new sockets (`selinux_tun_dev_create` in security/selinux/hooks.c). A program to start in
/// that context is not needed: a child of this process changes to it, makes the tap and ends. The
/// policy must allow the change (`process dyntransition`).
fn make_labelled(name: &IfName, tap: &Tap, context: &str) -> Result<(), KernelError> {
    let refused = |reason: &str| {
        error_with(Errno::OPNOTSUPP, format!("SELinux context {context:?} cannot be set: {reason}"))
    };
    let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if !known.split_whitespace().any(|word| word == "selinuxfs") {
        return Err(refused("the kernel runs without SELinux"));
    }
    let label = CString::new(context).map_err(|_| refused("it has a zero byte"))?;
    match in_child(|| relabel(&label).and_then(|()| make(name, tap))) {
        Ok(()) => Ok(()),
        Err(Errno::BUSY) => Err(explain(name, Errno::BUSY)),
        Err(errno) => Err(refused(&errno_text(errno))),
    }
}

/// Changes the context of the calling process.
fn relabel(label: &CString) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::open(c"/proc/self/attr/current", flags, Mode::empty())?;
    rustix::io::write(&file, label.to_bytes()).map(|_| ())
}

/// Calls a function in a child of this process, and waits for its end. The function may make
/// system calls only, and its error numbers are below 256.
fn in_child(act: impl FnOnce() -> Result<(), Errno>) -> Result<(), Errno> {
    // SAFETY: the child has one thread, may find locks of others held, and so may call
    // async-signal-safe functions only; what it calls makes nothing but system calls.
    let child = unsafe { libc::fork() };
    if child < 0 {
        return Err(Errno::AGAIN);
    }
    if child == 0 {
        let status = act().err().map_or(0, Errno::raw_os_error);
        // SAFETY: ends the child and runs nothing of the parent's.
        unsafe { libc::_exit(status) }
    }
    let child = rustix::process::Pid::from_raw(child).ok_or(Errno::AGAIN)?;
    let wait = || rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty());
    let ended = rustix::io::retry_on_intr(wait)?;
    match ended.and_then(|(_, status)| status.exit_status()) {
        Some(0) => Ok(()),
        Some(errno) => Err(Errno::from_raw_os_error(errno)),
        None => Err(Errno::INTR),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_tells_how_it_ended() {
        assert_eq!(in_child(|| Ok(())), Ok(()));
        assert_eq!(in_child(|| Err(Errno::BUSY)), Err(Errno::BUSY));
    }
}
