//! Black-box tests: real binaries, real clients.
//!
//! This crate knows nothing of the product's crates: it starts plugin binaries the way a runtime
//! would and looks at the kernel with the ordinary tools. It must never depend on another crate of
//! the workspace, or the tests would share the product's mistakes.
//!
//! ```no_run
//! use ropewalk_e2e::{Lab, json};
//!
//! let lab = Lab::new();
//! lab.netns("c1");
//! let before = lab.snapshot();
//! let bridge = lab.plugin("bridge").on("c1").config(json!({
//!     "cniVersion": "1.0.0", "name": "net", "type": "bridge",
//!     "ipam": { "type": "host-local", "subnet": "10.1.2.0/24" },
//! }));
//! let result = bridge.add().result();
//! assert_eq!(result["ips"][0]["address"], "10.1.2.2/24");
//! bridge.check(&result).silent();
//! bridge.del(&result).silent();
//! lab.nothing_left(&before);
//! ```
//!
//! Tests need root. The plugin under test is our multi-call binary from the target directory, or
//! the directory named by `ROPEWALK_E2E_PLUGINS` (`/usr/lib/cni` holds Debian's reference plugins).

mod binaries;
mod browser;
pub mod chain;
pub mod faults;
mod hardware;
mod lab;
mod links;
mod outcome;
mod patience;
mod plugin;
mod process;
mod random;
mod samples;
mod snapshot;
mod state;
mod traffic;

pub use binaries::{PLUGIN_NAMES, command_path, reference};
pub use browser::{Browser, Ui};
pub use hardware::Card;
pub use lab::Lab;
pub use links::{UPLINK, dual_stack, with_unreachable_route};
pub use outcome::{CniError, Outcome};
pub use patience::patience;
pub use plugin::{Plugin, Running};
pub use process::Process;
pub use random::Random;
pub use samples::{Host, Role, SAMPLES, Sample, VERSIONS};
pub use serde_json::{Value, json};
pub use snapshot::Snapshot;
pub use state::{LASTING_RULES, State};
