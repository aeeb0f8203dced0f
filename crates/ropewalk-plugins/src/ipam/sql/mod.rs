//! The configuration of the plugin `sql`: addresses from pools that a database keeps the books of.
//!
//! The plugin itself is in a larger program, so that no database is in the plugin binary; what is
//! here never reaches one.

mod config;
mod keys;
mod selection;

pub use config::{Config, PoolConfig, Share};
pub use selection::{Grouped, Wanting};

pub(crate) use keys::DESCRIPTION;
