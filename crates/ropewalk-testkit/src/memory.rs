//! A memory for borrowed values that lives as long as the test.

use ropewalk_netstate::{Memory, MemoryError, Place, Resource};

/// Keeps borrowed values in memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FakeMemory(pub Vec<(Place, Resource)>);

impl Memory for FakeMemory {
    fn remember(&mut self, values: &[(Place, Resource)]) -> Result<(), MemoryError> {
        self.0.extend_from_slice(values);
        Ok(())
    }

    fn recall(&mut self) -> Result<Vec<(Place, Resource)>, MemoryError> {
        Ok(self.0.clone())
    }

    fn forget(&mut self) -> Result<(), MemoryError> {
        self.0.clear();
        Ok(())
    }
}
