//! Results: what a successful ADD prints, and what later plugins get as `prevResult`.
//!
//! A result is always built in the newest form and converted at the edge. Section
//! "Success result types" of the CNI specification, all seven versions.

mod decode;
mod encode;
mod previous;
mod types;

pub use previous::{check_family, prev_result};
pub use types::{CniResult, Dns, Interface, IpConfig, RouteConfig};

#[cfg(test)]
mod tests;
