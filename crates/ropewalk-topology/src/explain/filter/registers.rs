//! The registers of nftables, each byte as far as it is known.

use alloc::vec::Vec;

use super::super::packet::Cell;

/// Bytes of all registers.
const SIZE: usize = 64;

/// 1 to 4 have 16 bytes, 8 to 23 have 4 bytes of the same memory.
#[derive(Clone, Debug)]
pub(super) struct Registers([Cell; SIZE]);

impl Registers {
    pub(super) fn new() -> Self {
        Self([Cell::Unknown; SIZE])
    }

    fn start(register: u32) -> Option<usize> {
        let register = usize::try_from(register).ok()?;
        match register {
            1..=4 => Some((register - 1) * 16),
            8..=23 => Some((register - 8) * 4),
            _ => None,
        }
    }

    /// Sets a register; what remains of its last four bytes becomes 0, as in the kernel.
    pub(super) fn set(&mut self, register: u32, cells: &[Cell]) {
        let Some(start) = Self::start(register) else { return };
        let padded = cells.len().next_multiple_of(4);
        for (position, own) in self.0.iter_mut().skip(start).take(padded).enumerate() {
            *own = cells.get(position).copied().unwrap_or(Cell::Byte(0));
        }
    }

    /// The first bytes of a register.
    pub(super) fn read(&self, register: u32, length: usize) -> Vec<Cell> {
        let start = Self::start(register).unwrap_or(SIZE);
        self.0.iter().skip(start).take(length).copied().collect()
    }
}
