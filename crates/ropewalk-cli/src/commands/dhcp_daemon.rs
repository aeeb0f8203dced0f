//! `ropewalk dhcp-daemon`: the daemon that holds the leases of the `dhcp` plugin.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Args;

/// Lease addresses from DHCP servers for the dhcp plugin, and keep them alive
///
/// It runs until SIGINT or SIGTERM. Leases are kept on disk and taken up again at the next start.
/// Its flags are those of the reference plugin's daemon; --help among them lists all.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    /// For example -socketpath PATH, -pidfile PATH, -leasedir DIRECTORY, -broadcast, -timeout 10s
    #[arg(value_name = "FLAGS", trailing_var_arg = true, allow_hyphen_values = true)]
    flags: Vec<OsString>,
}

pub(crate) fn run(options: Options) -> ExitCode {
    ropewalk_plugins::run_dhcp_daemon(options.flags.into_iter()).into()
}
