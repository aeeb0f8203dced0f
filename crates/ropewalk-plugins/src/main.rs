//! The multi-call plugin binary: the name it is started under chooses the plugin.

#![no_main]

use std::ffi::OsString;

use ropewalk_linux::Arena;

/// A plugin lives for a millisecond: giving memory back would cost more than it saves.
#[global_allocator]
static MEMORY: Arena = Arena::new();

ropewalk_linux::begin_with!(run);

fn run(words: Vec<OsString>) -> u8 {
    ropewalk_plugins::multi_call(words, &[])
}
