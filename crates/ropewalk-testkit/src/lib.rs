//! For tests alone: a fake kernel on which the laws of the engine are tried, and every way to
//! tamper with what it holds. Everything else is tested against the real kernel.

mod fake;
mod memory;
mod tamper;

pub use fake::{FakeKernel, Interruption};
pub use memory::FakeMemory;
pub use tamper::tampered;
