//! Drawings of a host's network.
//!
//! They may leave out details, but never a link that joins two things.

mod dot;
mod outline;
mod svg;
#[cfg(test)]
mod tests;
mod tree;
pub mod words;

pub use dot::dot;
pub use svg::svg;
pub use tree::tree;
