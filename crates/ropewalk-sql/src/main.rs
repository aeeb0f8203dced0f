//! The multi-call plugin binary with the plugin `sql` in it: addresses from a database, for one
//! host or many. It may be installed as `sql` alone, or under the names of all plugins.
//!
//! `sql` speaks CNI through what all plugins share, and keeps books through `ropewalk-ledger`. It
//! must never write anything but the protocol to standard output, and no password anywhere.

#![no_main]

mod plugin;

use std::ffi::OsString;

use ropewalk_cni::ALL;
use ropewalk_linux::Arena;
use ropewalk_plugins::table::{Kind, Plugin};

/// A plugin lives for a millisecond: giving memory back would cost more than it saves.
#[global_allocator]
static MEMORY: Arena = Arena::new();

static ADDED: &[Plugin] = &[Plugin { name: "sql", versions: ALL, kind: Kind::Ipam(&plugin::Sql) }];

ropewalk_linux::begin_with!(run);

fn run(words: Vec<OsString>) -> u8 {
    ropewalk_plugins::multi_call(words, ADDED)
}
