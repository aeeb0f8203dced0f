//! Measures what plugins cost: the reference plugins, ours, and the floor, in turn and on private
//! hosts. `cargo xtask bench` runs it.
//!
//! It knows plugins only as programs that speak CNI, and must never use code of the product: whoever
//! measures must not share its mistakes. Nothing here may touch the machine's own network or files.

pub mod arguments;
pub mod attachment;
pub mod books;
pub mod burst;
pub mod call;
pub mod console;
pub mod contestant;
pub mod counts;
pub mod host;
pub mod options;
pub mod picture;
pub mod pods;
pub mod report;
pub mod rounds;
pub mod run;
pub mod scenario;
pub mod start;
pub mod statistics;
pub mod sys;
pub mod table;
pub mod targets;
pub mod traffic;

/// What went wrong, as a sentence.
pub type Outcome<T> = Result<T, String>;

/// Completes an error with what was tried.
pub fn failed<E: std::fmt::Display>(what: impl std::fmt::Display) -> impl FnOnce(E) -> String {
    move |error| format!("{what}: {error}")
}
