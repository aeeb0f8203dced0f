//! For which target the plugin binary is built: musl, else glibc linked statically.

use std::{env::consts::ARCH, path::Path, process::Command};

use crate::process::{self, output};

/// A way to build a static binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Libc {
    /// The first choice: it starts in a third of the time.
    Musl,
    /// Where the musl target cannot be had.
    Glibc,
}

impl Libc {
    /// The target's name on this architecture.
    pub fn triple(self) -> String {
        match self {
            Self::Musl => format!("{ARCH}-unknown-linux-musl"),
            Self::Glibc => format!("{ARCH}-unknown-linux-gnu"),
        }
    }

    /// Flags for a static binary that is not position independent. Those for musl are in
    /// `.cargo/config.toml`, so that an ordinary `cargo build --target` has them too.
    pub fn rustflags(self) -> Option<&'static str> {
        match self {
            Self::Musl => None,
            Self::Glibc => Some("-C target-feature=+crt-static -C relocation-model=static"),
        }
    }

    /// The one that builds have to use on this machine as it is now.
    pub fn present() -> Self {
        if has_standard_library(&Self::Musl.triple()) { Self::Musl } else { Self::Glibc }
    }
}

/// Whether the compiler has a standard library for a target.
fn has_standard_library(triple: &str) -> bool {
    let mut rustc = Command::new("rustc");
    let directory = output(rustc.args(["--print", "target-libdir", "--target", triple]));
    directory.is_ok_and(|directory| Path::new(directory.trim()).is_dir())
}

/// Fetches the musl target if it is missing. The answer is what builds have to use, and a sentence
/// to tell.
pub fn prepare() -> (Libc, String) {
    let triple = Libc::Musl.triple();
    if Libc::present() == Libc::Musl {
        return (Libc::Musl, format!("target {triple} is installed"));
    }
    let mut rustup = Command::new("rustup");
    let added = process::run(rustup.args(["target", "add", &triple]));
    match (Libc::present(), added) {
        (Libc::Musl, _) => (Libc::Musl, format!("target {triple} was added")),
        (Libc::Glibc, added) => {
            let reason = added.err().unwrap_or_else(|| "rustup added something else".to_owned());
            let text = format!(
                "NOTE: target {triple} cannot be had ({reason}); the plugins are built with static \
                 glibc instead, and start more slowly"
            );
            (Libc::Glibc, text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_without_a_standard_library_is_noticed() {
        assert!(has_standard_library(&Libc::Glibc.triple()) || Libc::present() == Libc::Musl);
        assert!(!has_standard_library("msp430-none-elf"));
        assert!(!has_standard_library("no-such-target"));
    }
}
