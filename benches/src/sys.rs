//! The system calls that measuring needs and no safe crate has, each as a safe function.
//!
//! It must never decide anything.

use std::{
    ffi::CString,
    fs::File,
    io,
    os::{fd::AsRawFd, unix::process::CommandExt},
    process::{Child, Command},
    time::Duration,
};

/// How a process ended, and the processor time that it and those it waited for took.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// Its id.
    pub pid: i32,
    /// Whether it ended with code 0.
    pub is_success: bool,
    /// User and system time.
    pub cpu: Duration,
}

fn check(result: i32) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn c_string(text: &str) -> io::Result<CString> {
    CString::new(text).map_err(io::Error::other)
}

/// Gives this thread a mount table of its own, from which nothing spreads.
pub fn leave_mounts() -> io::Result<()> {
    // SAFETY: takes numbers.
    check(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
    mount("none", "/", "", libc::MS_REC | libc::MS_PRIVATE)
}

/// Gives this thread a network of its own.
pub fn leave_network() -> io::Result<()> {
    // SAFETY: takes numbers.
    check(unsafe { libc::unshare(libc::CLONE_NEWNET) })
}

/// Brings this thread into a network namespace.
pub fn enter_network(namespace: &File) -> io::Result<()> {
    // SAFETY: takes numbers.
    check(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) })
}

/// An empty directory in memory over an existing one.
pub fn cover(directory: &str) -> io::Result<()> {
    mount("tmpfs", directory, "tmpfs", 0)
}

/// Makes a file appear at another place, which must be there.
pub fn bind(from: &str, to: &str) -> io::Result<()> {
    mount(from, to, "", libc::MS_BIND)
}

fn mount(from: &str, to: &str, kind: &str, flags: u64) -> io::Result<()> {
    let (from, to, kind) = (c_string(from)?, c_string(to)?, c_string(kind)?);
    let data = std::ptr::null();
    // SAFETY: the three texts end with zero and live until the call returns; there is no data.
    check(unsafe { libc::mount(from.as_ptr(), to.as_ptr(), kind.as_ptr(), flags, data) })
}

/// Takes away what is mounted at a place.
pub fn unmount(place: &str) -> io::Result<()> {
    let place = c_string(place)?;
    // SAFETY: the text ends with zero and lives until the call returns.
    check(unsafe { libc::umount2(place.as_ptr(), libc::MNT_DETACH) })
}

/// Makes children of children that end become children of this process, so that it can wait for
/// them and knows what they took.
pub fn adopt_orphans() -> io::Result<()> {
    // SAFETY: takes numbers.
    check(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) })
}

/// Ends this process when it is asked to, which the first process of a PID namespace does not by
/// itself; all others there end with it.
pub fn end_when_asked() {
    extern "C" fn end(_: i32) {
        // SAFETY: ends the process without a look at what it was doing.
        unsafe { libc::_exit(130) }
    }
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let handler = end as extern "C" fn(i32);
        // SAFETY: the handler makes one call, which any signal may interrupt.
        unsafe { libc::signal(signal, handler as libc::sighandler_t) };
    }
}

/// Makes this process, and what it starts from now on, go before everything ordinary.
pub fn go_first() -> io::Result<()> {
    set_scheduler(libc::SCHED_FIFO, 50)
}

/// Makes this process, and what it starts from now on, one among all.
pub fn go_along() -> io::Result<()> {
    set_scheduler(libc::SCHED_OTHER, 0)
}

fn set_scheduler(policy: i32, priority: i32) -> io::Result<()> {
    // SAFETY: a structure of numbers, for which zero is a value.
    let mut parameter: libc::sched_param = unsafe { std::mem::zeroed() };
    parameter.sched_priority = priority;
    // SAFETY: the structure lives until the call returns.
    check(unsafe { libc::sched_setscheduler(0, policy, &raw const parameter) })
}

/// Keeps this thread, and those it starts from now on, on one processor.
pub fn pin(processor: usize) -> io::Result<()> {
    // SAFETY: a set of bits, for which zero is a value.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set is a whole one, and numbers beyond it change nothing.
    unsafe { libc::CPU_SET(processor, &mut set) };
    // SAFETY: the set lives until the call returns, and its size is given.
    check(unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) })
}

/// Waits for a child.
pub fn wait_for(child: &Child) -> io::Result<Ended> {
    wait(child.id().cast_signed())
}

/// Waits for any child, adopted ones too; none if there is none.
pub fn wait_for_any() -> io::Result<Option<Ended>> {
    match wait(-1) {
        Err(error) if error.raw_os_error() == Some(libc::ECHILD) => Ok(None),
        other => other.map(Some),
    }
}

fn wait(pid: i32) -> io::Result<Ended> {
    let mut status = 0;
    // SAFETY: a structure of numbers, for which zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both are written to by this call alone.
        let pid = unsafe { libc::wait4(pid, &raw mut status, libc::__WALL, &raw mut usage) };
        if pid > 0 {
            let cpu = duration(usage.ru_utime) + duration(usage.ru_stime);
            let is_success = libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0;
            return Ok(Ended { pid, is_success, cpu });
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::from_secs(seconds)
        + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or_default())
}

/// The most memory that any child of this process had at once, in KiB.
pub fn children_peak_kib() -> io::Result<u64> {
    // SAFETY: a structure of numbers, for which zero is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: it is written to by this call alone.
    check(unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) })?;
    Ok(u64::try_from(usage.ru_maxrss).unwrap_or_default())
}

/// Runs a program, and looks at it when it is about to end: its memory is still there then. The
/// answer is whether it ended with code 0.
pub fn run_watched(command: &mut Command, mut look: impl FnMut(i32)) -> io::Result<bool> {
    // SAFETY: the call between fork and exec is a system call with numbers.
    unsafe { command.pre_exec(|| trace(libc::PTRACE_TRACEME, 0, 0)) };
    let pid = command.spawn()?.id().cast_signed();
    let mut is_new = true;
    loop {
        let mut status = 0;
        // SAFETY: the status is written to by this call alone.
        if unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) } < 0 {
            return Err(io::Error::last_os_error());
        }
        if !libc::WIFSTOPPED(status) {
            return Ok(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0);
        }
        let mut signal = libc::WSTOPSIG(status);
        if status >> 16 == libc::PTRACE_EVENT_EXIT {
            look(pid);
            signal = 0;
        } else if is_new && signal == libc::SIGTRAP {
            // It stops once when it has become the program.
            trace(libc::PTRACE_SETOPTIONS, pid, libc::PTRACE_O_TRACEEXIT)?;
            (is_new, signal) = (false, 0);
        }
        trace(libc::PTRACE_CONT, pid, signal)?;
    }
}

/// A request to the tracer's or the traced side of the kernel, with a number.
#[cfg(target_env = "musl")]
type TraceRequest = i32;
#[cfg(not(target_env = "musl"))]
type TraceRequest = u32;

fn trace(request: TraceRequest, pid: i32, number: i32) -> io::Result<()> {
    let number = usize::try_from(number).unwrap_or_default();
    let nowhere = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: the requests above take a number where others take a pointer, and no address.
    let result = unsafe { libc::ptrace(request, pid, nowhere, number) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
