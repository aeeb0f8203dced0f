//! The command line: one type that clap reads, and the texts around it.

use std::fmt::Write as _;

use clap::{Parser, Subcommand};

use crate::commands::{
    add, check, completions, del, demo, dhcp_daemon, doctor, explain, gc, handover, install, ipam,
    leases, lint, man, plan, repair, run, schema, show, stats, status, topology, ui, uninstall,
    watch,
};
use crate::exit::Exit;

/// Container networking: attach containers to networks, and see what is attached.
#[derive(Debug, Parser)]
#[command(name = "ropewalk", version, after_help = exit_codes(), max_term_width = 100)]
pub(crate) struct Arguments {
    /// Answer with JSON, complaints included
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Every subcommand. Each has a file under `commands/` with its arguments and its `run`; a new one
/// needs a line here and one in `commands::run`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Add(add::Options),
    Check(check::Options),
    Del(del::Options),
    Gc(gc::Options),
    Status(status::Options),
    Repair(repair::Options),
    Plan(plan::Options),
    Run(run::Options),
    Demo(demo::Options),
    DhcpDaemon(dhcp_daemon::Options),
    Show(show::Options),
    Topology(topology::Options),
    Explain(explain::Options),
    Watch(watch::Options),
    Doctor(doctor::Options),
    Ui(ui::Options),
    Stats(stats::Options),
    Leases(leases::Options),
    Lint(lint::Options),
    Schema(schema::Options),
    Ipam(ipam::Options),
    Install(install::Options),
    Uninstall(uninstall::Options),
    Handover(handover::Options),
    Completions(completions::Options),
    Man(man::Options),
}

fn exit_codes() -> String {
    let mut text = "Exit codes:".to_owned();
    for exit in Exit::ALL {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n  {}  {}", exit.number(), exit.meaning());
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn help_names_every_exit_code() {
        let help = Arguments::command().render_help().to_string();
        for exit in Exit::ALL {
            assert!(help.contains(exit.meaning()), "{help}");
        }
    }
}
