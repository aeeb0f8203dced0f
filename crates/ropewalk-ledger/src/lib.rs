//! Leases in SQL databases: who has which address, since when and on which network.
//!
//! SQLite keeps them in a file of this host, PostgreSQL for many hosts. That no address is given
//! twice is a constraint of the database, not of this code. The crate is synchronous. It must never
//! read configurations, speak CNI, or put a password into a text.

mod address;
mod books;
mod claim;
mod database;
#[cfg(test)]
mod fuzz;
mod ledger;
mod location;
mod pool;
mod postgres;
mod schema;
mod sqlite;
mod survey;
mod trouble;

pub use books::Standing;
pub use claim::{Claim, Given, Group};
pub use ledger::{Holder, Ledger, Rest};
pub use location::{Location, Options, Secret, Server};
pub use pool::{Blocks, Pool};
pub use survey::{Filter, Imported, Lease, Run, State};
pub use trouble::{Kind, Trouble};
