//! Runs CNI plugin chains: the part that container runtimes embed.
//!
//! A [`ConfigDir`] finds the networks of a host, a [`Runtime`] runs the plugins of one of them for
//! an [`Attachment`], and a [`Cache`] remembers what CHECK, DEL and GC need later, in libcni's
//! format and place, so that either can delete what the other added. There is no async runtime and
//! no thread: every call blocks until the plugins have ended or their deadline has passed.
//!
//! What differs from libcni, on purpose:
//!
//! - A broken configuration file is reported and skipped; it does not hide other networks.
//! - An ADD that fails is rolled back: the plugins that ran get DEL, the last one first, unless the
//!   attachment is on record from before and may be in use.
//! - DEL goes on after a plugin failed, and reports every failure. The record is kept only then.
//! - Records are written as a whole or not at all. A broken one never blocks DEL; CHECK reports it.
//! - Every plugin has a deadline, and its output is bounded.
//!
//! ```no_run
//! use ropewalk_runtime::{Attachment, Cache, ConfigDir, Runtime};
//!
//! let network = ConfigDir::new("/etc/cni/net.d").find("lan")?.network;
//! let runtime = Runtime::new(vec!["/opt/cni/bin".to_owned()], Cache::new("/var/lib/cni"));
//! let attachment = Attachment::new("c1", "/run/netns/c1", "eth0");
//! let result = runtime.add(&network.list, &attachment)?;
//! println!("{:?}", result.ips);
//! runtime.del(&network.list, &attachment)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod cache;
mod chain;
mod config_dir;
mod error;
mod exec;
#[cfg(test)]
mod fuzz;
mod gc;
mod repair;
mod runtime;

pub use cache::{Cache, CacheError, DEFAULT_CACHE_DIR, Records};
pub use config_dir::{Broken, ConfigDir, DEFAULT_CONFIG_DIR, FindError, Found, Listing, Network};
pub use error::{PluginFailure, Rollback, RuntimeError};
pub use exec::{
    Ending, Execute, Finished, Invocation, OUTPUT_LIMIT_BYTES, PluginStderr, Processes,
};
pub use gc::ValidSet;
pub use runtime::{Attachment, DEFAULT_DEADLINE, Runtime};
