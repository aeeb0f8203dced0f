//! The daemon: holds leases for containers and keeps them alive. It is started as
//! `ropewalk dhcp-daemon`, or as the reference's: `dhcp daemon`.
//!
//! One thread, the keeper, owns all leases and waits for the network, for deadlines and for
//! orders; a thread for each connection turns a call into an order. Leases are on disk before
//! anybody is told of them, so that the daemon may end at any moment.

mod attachment;
mod book;
mod client;
mod farewell;
mod flags;
mod keeper;
mod link;
mod server;

use std::{
    ffi::OsString,
    fmt, fs,
    io::{self, Write as _},
    process,
};

use ropewalk_linux::{Ending, io_reason};

use self::{
    book::Book,
    flags::{Mistake, Options},
    keeper::Keeper,
};

/// Runs the daemon until it is told to end. Returns the exit status.
pub fn main(arguments: impl Iterator<Item = OsString>) -> u8 {
    let options = match Options::parse(arguments) {
        Ok(options) => options,
        Err(Mistake::Help) => {
            say(flags::help());
            return 0;
        }
        Err(Mistake::Wrong(message)) => {
            say(format_args!("{message}\n{}", flags::help()));
            return 2;
        }
    };
    match run(&options) {
        Ok(()) => 0,
        Err(message) => {
            say(message);
            1
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    let ending = Ending::prepare();
    if let Some(path) = options.pid_file.as_ref().filter(|path| !path.is_absolute()) {
        return Err(format!("Error writing pidfile {:?}: path not absolute", path.display()));
    }
    // First, since the file of a daemon that listens already must stay.
    let socket = server::Socket::open(&options.below_prefix(&options.socket))?;
    if let Some(path) = &options.pid_file {
        fs::write(path, process::id().to_string()).map_err(|error| {
            format!("Error writing pidfile {:?}: {}", path.display(), io_reason(&error))
        })?;
    }
    let book = Book::new(&options.below_prefix(&options.leases));
    let (keeper, orders) = Keeper::new(options, book)?;
    keeper.start();
    socket.serve(orders, options.host_prefix.clone());
    ending.wait();
    socket.remove();
    if let Some(path) = &options.pid_file {
        // It tells nothing any more, whether it is there or not.
        let _ = fs::remove_file(path);
    }
    Ok(())
}

/// What whoever watches the daemon may want to know.
fn say(line: impl fmt::Display) {
    // Nobody reads it, then.
    let _ = writeln!(io::stderr().lock(), "{line}");
}
