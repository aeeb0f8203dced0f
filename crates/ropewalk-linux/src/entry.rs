//! How a one-shot program begins: straight from the C library, without what the standard library
//! prepares for programs that live longer (a signal stack to tell a stack overflow, names of
//! threads). That is a dozen system calls and a few pages.

use std::{
    ffi::{CStr, OsString, c_char, c_int},
    io,
    os::{fd::AsFd, unix::ffi::OsStringExt},
};

use rustix::{
    event::{PollFd, PollFlags},
    fs::{Mode, OFlags},
};

/// Makes a function from the words of the command line, the program's name first, to the exit
/// status the whole of a program. The crate must be `#![no_main]`.
#[macro_export]
macro_rules! begin_with {
    ($function:path) => {
        #[unsafe(no_mangle)]
        extern "C" fn main(
            count: core::ffi::c_int,
            words: *const *const core::ffi::c_char,
        ) -> core::ffi::c_int {
            // SAFETY: the C library calls this, with the command line.
            let words = unsafe { $crate::prepare(count, words) };
            core::ffi::c_int::from($function(words))
        }
    };
}

/// What the standard library does that a program relies on: whoever does not listen is an error and
/// no signal, and files that are opened later do not become standard input or output. Returns the
/// words of the command line.
///
/// # Safety
///
/// `words` leads to `count` strings that end with a zero, as the C library hands them to `main`.
pub unsafe fn prepare(count: c_int, words: *const *const c_char) -> Vec<OsString> {
    // SAFETY: no handler is installed, so that none can do harm.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    open_standard_files();
    let count = usize::try_from(count).unwrap_or_default();
    let word = |index| {
        // SAFETY: the caller promises that there are so many strings.
        let word = unsafe { CStr::from_ptr(*words.add(index)) };
        OsString::from_vec(word.to_bytes().to_vec())
    };
    (0..count).map(word).collect()
}

/// Opens `/dev/null` for each standard file that is closed.
fn open_standard_files() {
    let (input, output, errors) = (io::stdin(), io::stdout(), io::stderr());
    let files = [input.as_fd(), output.as_fd(), errors.as_fd()];
    let mut files = files.map(|file| PollFd::from_borrowed_fd(file, PollFlags::empty()));
    let now = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
    if rustix::event::poll(&mut files, Some(&now)).is_err() {
        return;
    }
    let closed = files.iter().filter(|file| file.revents().contains(PollFlags::NVAL)).count();
    for _ in 0..closed {
        // The lowest free number is taken; it stays open.
        if let Ok(file) = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty()) {
            std::mem::forget(file);
        }
    }
}
