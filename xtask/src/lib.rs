//! Project tasks: tidy, build, test. A library, so that tests call what the command calls.
//!
//! It must never depend on the product: it has to run while the product does not build.

pub mod bench;
pub mod console;
pub mod dist;
pub mod docs;
pub mod elf;
pub mod fuzz;
mod packages;
mod process;
mod report;
mod source;
mod steps;
pub mod suite;
pub mod target;
pub mod tidy;
pub mod ui;
pub mod vm;
mod workspace;

pub use workspace::Workspace;
