//! `ropewalk demo`: a network with two containers on this machine, with traffic really passing.
//!
//! The demo's host is a namespace of its own, so that the machine's links, rules and state are not
//! touched. Four namespaces: the host, the outside, two containers.

mod picture;
mod probes;
mod server;
mod stage;

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use self::probes::Probe;
use self::stage::Stage;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::sandbox::require_root;

/// Build a network with two containers, show traffic passing, and take it away again
///
/// Needs root and nothing else. Everything happens in network namespaces of its own; the machine's
/// interfaces, firewall rules and state are not touched.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Leave everything there to be explored
    #[arg(long)]
    keep: bool,

    /// Take away what --keep has left, and do nothing else
    #[arg(long, conflicts_with = "keep")]
    clean: bool,

    /// Serve as one of the demo's processes; not for people
    #[arg(long, hide = true, value_name = "NAME")]
    serve: Option<String>,
}

pub(crate) fn run(options: &Options, output: Output) -> Result<ExitCode, Failure> {
    if let Some(name) = &options.serve {
        return server::serve(name, output).map(|()| ExitCode::SUCCESS);
    }
    require_root("run the demo")?;
    Stage::clear()?;
    if options.clean {
        output.progress("The demo's namespaces and files are gone.")?;
        return Ok(ExitCode::SUCCESS);
    }
    let before = machine_links();
    let mut stage = build(output)?;
    let probes = probes::run(&stage, output)?;
    output.progress("")?;
    output.progress(&picture::draw(&stage))?;
    stage.check()?;
    output.progress("CHECK   both attachments are as they were made")?;
    let passed = probes.iter().all(Probe::passed);
    if options.keep {
        stage.keep()?;
        output.progress(KEPT)?;
    } else {
        tear_down(stage, &before, output)?;
    }
    output.document(|| json!({ "passed": passed, "probes": probes.iter().map(Probe::to_json).collect::<Vec<_>>() }))?;
    if passed { Ok(ExitCode::SUCCESS) } else { Ok(Exit::Failed.into()) }
}

fn build(output: Output) -> Result<Stage, Failure> {
    output.progress("ropewalk demo: a network with two containers, in namespaces of its own\n")?;
    let mut stage = Stage::build()?;
    output.progress("BUILD   namespaces for the host, the outside and two containers")?;
    for name in stage::CONTAINERS {
        let took = stage.attach(name)?;
        output.progress(&format!(
            "ADD     {name} to network \"demo\" (bridge, portmap, firewall, tuning) in {:.1} ms",
            took.as_secs_f64() * 1000.0
        ))?;
    }
    stage.start_servers()?;
    output.progress(
        "START   a process in each namespace, which answers who it is and whom it sees\n",
    )?;
    Ok(stage)
}

fn tear_down(mut stage: Stage, before: &[String], output: Output) -> Result<(), Failure> {
    for name in stage::CONTAINERS {
        let took = stage.detach(name)?;
        let milliseconds = took.as_secs_f64() * 1000.0;
        output.progress(&format!("DEL     {name} in {milliseconds:.1} ms"))?;
    }
    let left = stage.left_over()?;
    if !left.is_empty() {
        return Err(Failure::failed(format!("failed to leave nothing: {}", left.join(", "))));
    }
    output.progress("PROOF   no interface, no lease, no record, no firewall element is left")?;
    drop(stage);
    let after = machine_links();
    if after != *before {
        return Err(Failure::failed(format!(
            "failed to leave the machine alone: {before:?} became {after:?}"
        )));
    }
    output.progress("PROOF   this machine's own interfaces are as they were\n")?;
    output.progress("Next:   ropewalk demo --keep   leaves it there to be explored")
}

const KEPT: &str = "
Kept. To explore:
  ip netns exec ropewalk-demo-host ip address     the host's view
  ip netns exec ropewalk-demo-host nft list ruleset
  ip netns exec ropewalk-demo-c1 ping 10.89.0.1   from inside a container
  ls -R /run/ropewalk-demo                        configuration, leases, records
To take it away:
  ropewalk demo --clean";

/// The names of the machine's interfaces.
fn machine_links() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
    let names = text.lines().filter_map(|line| line.split_once(':'));
    names.map(|(name, _)| name.trim().to_owned()).collect()
}
