//! What a service owes the system that runs it: it takes over a socket that was opened for it, and
//! it ends when it is told to.

use std::{
    env,
    os::{
        fd::{FromRawFd, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    process,
};

/// The first descriptor that systemd hands over (sd_listen_fds(3)).
const FIRST_HANDED_OVER: i32 = 3;

/// How many sockets were opened for this process before it was started.
pub fn sockets_handed_over() -> usize {
    let number = |name| env::var(name).ok()?.parse::<u32>().ok();
    if number("LISTEN_PID") != Some(process::id()) {
        return 0;
    }
    number("LISTEN_FDS").and_then(|count| usize::try_from(count).ok()).unwrap_or_default()
}

/// The first of the sockets that were opened for this process. To be called once.
pub fn take_handed_over() -> Option<UnixListener> {
    if sockets_handed_over() == 0 {
        return None;
    }
    // SAFETY: whoever set the variables for this very process has left the descriptor to it, and
    // nothing else here takes it: this function is called once.
    let socket = unsafe { OwnedFd::from_raw_fd(FIRST_HANDED_OVER) };
    // A program that we start must not have it.
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC).ok()?;
    Some(socket.into())
}

/// Whether root, or whoever this process runs as, is at the other end of a connection. The kernel
/// tells who that was when it connected.
pub fn is_peer_trusted(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid();
    rustix::net::sockopt::socket_peercred(stream)
        .is_ok_and(|peer| peer.uid.is_root() || peer.uid == own)
}

/// The signals that ask a service to end.
const ENDING: [i32; 2] = [libc::SIGINT, libc::SIGTERM];

/// A promise to wait for the signals that ask this process to end.
#[derive(Debug)]
pub struct Ending(());

impl Ending {
    /// From now on the signals wait until [`Self::wait`] takes one. To be called before other
    /// threads are started, which inherit this.
    pub fn prepare() -> Self {
        let set = ending_signals();
        // SAFETY: the set is initialised, and the old one is not asked for. The only error is an
        // unknown first argument.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
        Self(())
    }

    /// Waits for one.
    pub fn wait(self) {
        let set = ending_signals();
        let mut signal = 0;
        // SAFETY: the set is initialised, and the number is written to a variable of its type.
        while unsafe { libc::sigwait(&raw const set, &raw mut signal) } != 0 {}
    }
}

fn ending_signals() -> libc::sigset_t {
    let mut set = std::mem::MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set, sigaddset changes it; both know these signals.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in ENDING {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}
