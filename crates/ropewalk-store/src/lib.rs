//! What Ropewalk keeps on disk: leases of addresses, and values that were borrowed.
//!
//! It knows files, not networks: which address to lease is decided elsewhere. The lease directory
//! has the layout of the reference plugin `host-local`, so that either can go on where the other
//! stopped.

mod error;
mod files;
#[cfg(test)]
mod fuzz;
mod holder;
mod index;
mod leases;
mod state_file;

pub use error::StoreError;
pub use holder::Holder;
pub use leases::{Lease, LeaseDirectory, LockedLeases};
pub use state_file::StateFile;
