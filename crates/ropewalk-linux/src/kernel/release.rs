//! What the kernel says of itself: the host's name, and which release of Linux this is, for what
//! cannot be found out by asking.

use std::{ffi::CStr, sync::OnceLock};

/// The name of this host.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Whether this kernel is of this release or a later one. One that tells nothing readable is taken
/// for an old one.
pub(super) fn is_at_least(wanted: (u32, u32)) -> bool {
    static VERSION: OnceLock<Option<(u32, u32)>> = OnceLock::new();
    let this = VERSION.get_or_init(|| version(rustix::system::uname().release()));
    this.is_some_and(|this| this >= wanted)
}

fn version(release: &CStr) -> Option<(u32, u32)> {
    let mut numbers = release.to_bytes().split(|byte| !byte.is_ascii_digit());
    let mut number = || std::str::from_utf8(numbers.next()?).ok()?.parse().ok();
    number().zip(number())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_as_kernels_write_them() {
        assert_eq!(version(c"6.12.0"), Some((6, 12)));
        assert_eq!(version(c"6.1.0-40-amd64"), Some((6, 1)));
        assert_eq!(version(c"7.0-rc1"), Some((7, 0)));
        assert_eq!(version(c"linux"), None);
        assert_eq!(version(c""), None);
        assert!(is_at_least((3, 0)) && !is_at_least((100, 0)));
    }
}
