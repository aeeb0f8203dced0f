//! The multi-call plugin binary: the name it is started under chooses the plugin.

#![no_main]

use std::{ffi::OsString, path::Path};

use ropewalk_linux::Arena;

/// A plugin lives for a millisecond: giving memory back would cost more than it saves.
#[global_allocator]
static MEMORY: Arena = Arena::new();

ropewalk_linux::begin_with!(run);

fn run(words: Vec<OsString>) -> u8 {
    let mut words = words.into_iter();
    let name = words.next().unwrap_or_default();
    let name = Path::new(&name).file_name().unwrap_or_default();
    ropewalk_plugins::main(&name.to_string_lossy(), words)
}
