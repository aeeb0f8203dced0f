//! Fast paths of bridges in a build without the feature `ebpf`: there are none.

use ropewalk_addr::IfName;
use ropewalk_netstate::{KernelError, Place, resource::FastPath};

use super::Linux;
use crate::error::error;

const REASON: &str = "this build has no eBPF; hint: `cargo xtask dist --ebpf` makes one that has";

impl Linux {
    /// Why there can be no fast path past this bridge of the host, if so.
    pub fn fast_path_obstacle(&mut self, _: &IfName) -> Option<String> {
        Some(REASON.into())
    }

    /// Whether a link of the host has a fast path.
    pub fn has_fast_path(&mut self, _: &IfName) -> bool {
        false
    }
}

/// Nothing.
#[expect(clippy::unnecessary_wraps, reason = "a build with fast paths asks the kernel")]
pub(super) fn find(
    _: &mut Linux,
    _: Place,
    _: &FastPath,
    _: (u32, u32),
) -> Result<Option<FastPath>, KernelError> {
    Ok(None)
}

/// Refuses.
pub(super) fn create(_: &mut Linux, _: Place, _: &FastPath) -> Result<(), KernelError> {
    Err(error(REASON))
}
