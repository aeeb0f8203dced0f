//! For tests alone: a fake kernel on which the laws of the engine are tried, every way to tamper
//! with what it holds, and what feeds readers with bytes that nobody would write. Everything else is
//! tested against the real kernel.

mod fake;
mod fuzz;
mod memory;
mod tamper;

pub use fake::{FakeKernel, Interruption};
pub use fuzz::fuzz;
pub use memory::FakeMemory;
pub use tamper::tampered;
