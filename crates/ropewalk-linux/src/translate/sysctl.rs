//! Kernel parameters: a path below `/proc/sys` and a line of text.

use std::path::PathBuf;

/// The file of a parameter; `None` for a path that would leave `/proc/sys`.
pub(crate) fn file(path: &str) -> Option<PathBuf> {
    let is_name = |part: &str| !part.is_empty() && part != "." && part != "..";
    path.split('/').all(is_name).then(|| PathBuf::from("/proc/sys").join(path))
}

/// A value as the kernel prints it, without the final newline.
pub(crate) fn value(text: &str) -> String {
    text.strip_suffix('\n').unwrap_or(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leaves_the_tree_of_parameters() {
        for path in ["", "/etc/passwd", "../etc", "net/../../etc/passwd", "net//x", "net/./x"] {
            assert_eq!(file(path), None, "{path}");
        }
        assert!(file("net/ipv4/conf/eth0.1/arp_notify").is_some());
    }
}
