//! The `ropewalk` command: networks, attachments and plugins of this host, from a terminal.
//!
//! Standard output carries what was asked for and nothing else; complaints go to standard error.
//! The command must never know how a plugin works or how a chain is run; it reads arguments, asks
//! the runtime, and prints.

mod arguments;
mod commands;
mod exit;
mod failure;
mod http;
mod live;
mod options;
mod output;
mod sandbox;
mod table;

use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::arguments::Arguments;
use crate::exit::Exit;
use crate::output::Output;

/// Runs the command, or the plugin under whose name this program was started.
pub fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let name = words.next().unwrap_or_default();
    let name = Path::new(&name).file_name().unwrap_or_default().to_string_lossy();
    if ropewalk_plugins::is_plugin(&name) {
        return ropewalk_plugins::main(&name, words).into();
    }
    match Arguments::try_parse() {
        Ok(arguments) => run(arguments),
        Err(error) => refuse(&error).into(),
    }
}

/// The command line as clap knows it, for completions and manual pages.
pub fn command() -> clap::Command {
    Arguments::command()
}

fn run(arguments: Arguments) -> ExitCode {
    let output = Output::new(arguments.json);
    match commands::run(arguments.command, output) {
        Ok(exit) => exit,
        Err(failure) => {
            output.complain(&failure);
            failure.exit.into()
        }
    }
}

/// Prints what clap has to say: help on standard output, mistakes on standard error.
fn refuse(error: &clap::Error) -> Exit {
    // Whoever closed the stream does not want to read it.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage } else { Exit::Ok }
}
