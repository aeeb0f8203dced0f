//! From error numbers to texts: the same words on every libc, because tools match on them.

use ropewalk_netstate::KernelError;
use rustix::io::Errno;

/// An error of the kernel, with what it said beyond the number.
pub(crate) fn kernel_error(errno: Errno, said: Option<&str>) -> KernelError {
    let text = errno_text(errno);
    let reason = said.map_or_else(|| text.clone(), |said| format!("{text} ({said})"));
    KernelError { errno: errno.raw_os_error(), reason }
}

/// An error number and words of ours.
pub(crate) fn error_with(errno: Errno, reason: impl Into<String>) -> KernelError {
    KernelError { errno: errno.raw_os_error(), reason: reason.into() }
}

/// An error of ours that no error number fits.
pub(crate) fn error(reason: impl Into<String>) -> KernelError {
    KernelError { errno: 0, reason: reason.into() }
}

/// An error number with the object that it is about: `open /proc/sys/x: permission denied`.
pub(crate) fn error_about(errno: Errno, what: &str) -> KernelError {
    error_with(errno, format!("{what}: {}", errno_text(errno)))
}

/// An input or output error of the standard library, with the object that it is about.
pub(crate) fn io_error(error: &std::io::Error, what: &str) -> KernelError {
    match Errno::from_io_error(error) {
        Some(errno) => error_about(errno, what),
        None => KernelError { errno: 0, reason: format!("{what}: {error}") },
    }
}

/// What an input or output error means, in the same words on every libc.
pub fn io_reason(error: &std::io::Error) -> String {
    Errno::from_io_error(error).map_or_else(|| error.to_string().to_lowercase(), errno_text)
}

/// Whether the kernel said so.
pub(crate) fn is(error: &KernelError, errno: Errno) -> bool {
    error.errno == errno.raw_os_error()
}

/// What an error number means, lower case, in the words that Go programs print: the two libcs
/// differ in theirs, and CNI tools match on these.
pub(crate) fn errno_text(errno: Errno) -> String {
    let text = match errno {
        Errno::PERM => "operation not permitted",
        Errno::NOENT => "no such file or directory",
        Errno::SRCH => "no such process",
        Errno::INTR => "interrupted system call",
        Errno::IO => "input/output error",
        Errno::NXIO => "no such device or address",
        Errno::TOOBIG => "argument list too long",
        Errno::BADF => "bad file descriptor",
        Errno::AGAIN => "resource temporarily unavailable",
        Errno::NOMEM => "cannot allocate memory",
        Errno::ACCESS => "permission denied",
        Errno::FAULT => "bad address",
        Errno::BUSY => "device or resource busy",
        Errno::EXIST => "file exists",
        Errno::XDEV => "invalid cross-device link",
        Errno::NODEV => "no such device",
        Errno::NOTDIR => "not a directory",
        Errno::ISDIR => "is a directory",
        Errno::INVAL => "invalid argument",
        Errno::NFILE => "too many open files in system",
        Errno::MFILE => "too many open files",
        Errno::FBIG => "file too large",
        Errno::NOSPC => "no space left on device",
        Errno::ROFS => "read-only file system",
        Errno::MLINK => "too many links",
        Errno::PIPE => "broken pipe",
        Errno::RANGE => "numerical result out of range",
        Errno::NAMETOOLONG => "file name too long",
        Errno::NOSYS => "function not implemented",
        Errno::LOOP => "too many levels of symbolic links",
        Errno::OVERFLOW => "value too large for defined data type",
        Errno::MSGSIZE => "message too long",
        Errno::PROTONOSUPPORT => "protocol not supported",
        Errno::OPNOTSUPP => "operation not supported",
        Errno::PFNOSUPPORT => "protocol family not supported",
        Errno::AFNOSUPPORT => "address family not supported by protocol",
        Errno::ADDRINUSE => "address already in use",
        Errno::ADDRNOTAVAIL => "cannot assign requested address",
        Errno::NETDOWN => "network is down",
        Errno::NETUNREACH => "network is unreachable",
        Errno::CONNRESET => "connection reset by peer",
        Errno::NOBUFS => "no buffer space available",
        Errno::NOTCONN => "transport endpoint is not connected",
        Errno::TIMEDOUT => "connection timed out",
        Errno::CONNREFUSED => "connection refused",
        Errno::HOSTDOWN => "host is down",
        Errno::HOSTUNREACH => "no route to host",
        other => return format!("errno {}", other.raw_os_error()),
    };
    text.into()
}
