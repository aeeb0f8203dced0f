//! The multi-call plugin binary: the name it is started under chooses the plugin.

use std::process::ExitCode;

use ropewalk_linux::Arena;

/// A plugin lives for a millisecond: giving memory back would cost more than it saves.
#[global_allocator]
static MEMORY: Arena = Arena::new();

fn main() -> ExitCode {
    let name = std::env::args_os().next().unwrap_or_default();
    let name = std::path::Path::new(&name).file_name().unwrap_or_default();
    ropewalk_plugins::main(&name.to_string_lossy())
}
