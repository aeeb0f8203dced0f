//! The reference plugins as Debian packages them.

use std::path::Path;

/// Where they are.
pub(crate) const DIRECTORY: &str = "/usr/lib/cni";

/// Fails with the name of the Debian package when they are missing.
#[track_caller]
pub(crate) fn require_them() {
    for name in ["bridge", "firewall", "host-local", "loopback", "portmap", "tuning"] {
        assert!(
            Path::new(DIRECTORY).join(name).exists(),
            "this test needs the reference plugin {name}: \
             apt-get install --no-install-recommends containernetworking-plugins"
        );
    }
}
