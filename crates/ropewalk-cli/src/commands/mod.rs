//! The subcommands, one file each.

pub(crate) mod add;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod del;
pub(crate) mod demo;
pub(crate) mod dhcp_daemon;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod gc;
pub(crate) mod handover;
pub(crate) mod install;
pub(crate) mod ipam;
pub(crate) mod leases;
pub(crate) mod lint;
pub(crate) mod man;
pub(crate) mod plan;
pub(crate) mod repair;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod show;
pub(crate) mod stats;
pub(crate) mod status;
pub(crate) mod topology;
pub(crate) mod ui;
pub(crate) mod uninstall;
pub(crate) mod watch;

use std::process::ExitCode;

use crate::arguments::Command;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

/// Runs one subcommand.
pub(crate) fn run(command: Command, output: Output) -> Result<ExitCode, Failure> {
    match command {
        Command::Add(options) => add::run(&options, output)?,
        Command::Check(options) => check::run(&options, output)?,
        Command::Del(options) => del::run(&options, output)?,
        Command::Gc(options) => gc::run(options, output)?,
        Command::Status(options) => status::run(&options, output)?,
        Command::Leases(options) => leases::run(&options, output)?,
        Command::Show(options) => show::run(&options, output)?,
        Command::Topology(options) => topology::run(&options, output)?,
        Command::Explain(options) => return explain::run(&options, output),
        Command::Watch(options) => watch::run(&options, output.is_json(), output)?,
        Command::Stats(options) => stats::run(&options, output)?,
        Command::Doctor(options) => return doctor::run(&options, output),
        Command::Ui(options) => ui::run(&options, output)?,
        Command::Lint(options) => return lint::run(&options, output).map(ExitCode::from),
        Command::Schema(options) => schema::run(&options, output)?,
        Command::Repair(options) => repair::run(&options, output)?,
        Command::Plan(options) => plan::run(&options, output)?,
        Command::Run(options) => return run::run(&options, output),
        Command::DhcpDaemon(options) => return Ok(dhcp_daemon::run(options)),
        Command::Demo(options) => return demo::run(&options, output),
        Command::Handover(options) => handover::run(&options, output)?,
        Command::Ipam(options) => return ipam::run(&options, output),
        Command::Install(options) => install::run(&options, output)?,
        Command::Uninstall(options) => uninstall::run(&options, output)?,
        Command::Completions(options) => completions::run(&options, output)?,
        Command::Man(options) => man::run(&options, output)?,
    }
    Ok(Exit::Ok.into())
}
