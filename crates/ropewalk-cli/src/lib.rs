//! The ropewalk command.
