//! `ropewalk doctor`: what is wrong with the network of this host, and mending what is safe.
//!
//! It must never change anything without `--fix`, and with it only what it has said before, what
//! is ours, and what was wrong at two looks: an ADD in between may be half done.

mod json;
mod mend;
mod papers;
#[cfg(test)]
mod tests;
mod text;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, builder::PossibleValuesParser};
use ropewalk_linux::survey::{Depth, Selection, Survey, survey};
use ropewalk_topology::doctor::{CHECKS, Finding, Papers, examine};
use ropewalk_topology::model::Host;

pub(crate) use json::json;

use crate::commands::{ipam, leases, topology};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::http::Stop;
use crate::options::{CacheOptions, ConfigOptions};
use crate::output::Output;

/// How often is looked for more to mend: with a link its address goes, and then the lease.
const ROUNDS: usize = 3;

/// Say what is wrong with the network of this host, why, and what mends it
///
/// Reads all that "ropewalk topology" reads, the records of attachments, the books of addresses,
/// and the configured networks. Without findings the exit code is 0, otherwise 5.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Read only this namespace and these: names, paths, process or container numbers; checks that
    /// need to see all are left out
    #[arg(value_name = "NAMESPACE")]
    namespaces: Vec<String>,

    /// Leave out this kind of finding; may be given several times
    #[arg(long, value_name = "FINDING", value_parser = kinds())]
    ignore: Vec<String>,

    /// Mend what can be mended without harm, after saying what
    #[arg(long)]
    fix: bool,

    /// Seconds between the two looks before something is mended: as long as an ADD may take
    #[arg(long, value_name = "SECONDS", default_value_t = 5, requires = "fix")]
    settle: u64,

    #[command(flatten)]
    places: Places,
}

/// Where files are that know of attachments, addresses and networks.
#[derive(Debug, Args)]
pub(crate) struct Places {
    /// Database with leases, as for "ropewalk ipam" [default: the one of this host, if there is one]
    #[arg(long, value_name = "URL", env = "ROPEWALK_IPAM", hide_env_values = true)]
    database: Option<String>,

    /// File with the password of a PostgreSQL database
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,

    /// Name of this host in the books [default: the system's]
    #[arg(long, value_name = "NAME")]
    this_host: Option<String>,

    #[command(flatten)]
    config: ConfigOptions,

    #[command(flatten)]
    books: leases::Books,
}

pub(crate) fn run(options: &Options, output: Output) -> Result<ExitCode, Failure> {
    let mut look = look_at(options, output)?;
    if !options.fix {
        output.answer(|| text::report(&look), || json(&look.findings))?;
        return Ok(exit(&look.findings));
    }
    let failed = |error| Failure::failed(format!("failed to wait: {error}"));
    let stop = Stop::at_signals().map_err(failed)?;
    let mut done = Vec::new();
    for _ in 0..ROUNDS {
        let wanted = mend::wanted(&look.findings);
        if wanted.is_empty() {
            break;
        }
        if options.settle > 0 {
            let seconds = options.settle;
            output.progress(&format!("looking again in {seconds} s: an ADD may be half done\n"))?;
        }
        if stop.is_told_within(Duration::from_secs(options.settle)).map_err(failed)? {
            break;
        }
        let mut mends = mend::wanted(&look_at(options, output)?.findings);
        mends.retain(|mend| wanted.contains(mend));
        let mended = mend::all(&mends, &options.places, &stop, output)?;
        look = look_at(options, output)?;
        if mended.is_empty() {
            break;
        }
        done.extend(mended);
    }
    output.answer(|| text::report(&look), || mend::document(&done, &look.findings))?;
    Ok(exit(&look.findings))
}

/// The names of all kinds of findings.
fn kinds() -> PossibleValuesParser {
    CHECKS.iter().map(|check| check.name).collect::<Vec<&str>>().into()
}

/// What is wrong with a host, with what files say of it. `is_whole` tells that all its namespaces
/// were read.
pub(crate) fn findings(
    host: &Host,
    is_whole: bool,
    places: &Places,
    output: Output,
) -> Result<Vec<Finding>, Failure> {
    let papers = Papers { is_partial: !is_whole, ..papers::read(host, places, output)? };
    Ok(examine(host, &papers))
}

/// A look at the host.
struct Look {
    findings: Vec<Finding>,
    namespaces: usize,
    unread: Vec<String>,
}

fn look_at(options: &Options, output: Output) -> Result<Look, Failure> {
    let selection = match options.namespaces.as_slice() {
        [] => Selection::All,
        names => Selection::Named(names.to_vec()),
    };
    let Survey { mut host, unknown } = survey(Depth::WithoutConnections, &selection);
    for name in unknown {
        output.warn(&format!("no network namespace is called {name:?}"));
    }
    if host.namespaces.is_empty() {
        let reason = "failed to find a network namespace: /proc is not mounted or not readable";
        return Err(Failure::failed(reason));
    }
    topology::names::add(&mut host, &options.places.books.cache, output);
    let unread = |one: &ropewalk_topology::model::Namespace| {
        one.content.as_ref().err().map(|reason| format!("{}: {reason}", one.name()))
    };
    let mut findings = findings(&host, selection == Selection::All, &options.places, output)?;
    findings.retain(|finding| options.ignore.iter().all(|name| name != finding.check.name));
    Ok(Look {
        findings,
        namespaces: host.namespaces.len(),
        unread: host.namespaces.iter().filter_map(unread).collect(),
    })
}

fn exit(findings: &[Finding]) -> ExitCode {
    if findings.is_empty() { Exit::Ok } else { Exit::Found }.into()
}

impl Places {
    /// Where attachments are on record.
    pub(crate) fn cache(&self) -> &CacheOptions {
        &self.books.cache
    }

    /// Where books of addresses are: a database that is named or there, and the folder of
    /// host-local.
    fn sources(&self) -> Vec<ipam::Source> {
        let default = ipam::DATABASE;
        let is_there = |url: &str| {
            url.strip_prefix("sqlite://").is_none_or(|path| std::path::Path::new(path).exists())
        };
        let database = self.database.clone().filter(|url| !url.is_empty());
        let database = database.or_else(|| is_there(default).then(|| default.to_owned()));
        let folder = &self.books.lease_dir;
        let folder =
            folder.is_dir().then(|| format!("{}{}", ipam::books::FOLDER, folder.display()));
        let mut urls: Vec<String> = database.into_iter().chain(folder).collect();
        urls.dedup();
        let source = |database| ipam::Source {
            database,
            password_file: self.password_file.clone(),
            this_host: self.this_host.clone(),
        };
        urls.into_iter().map(source).collect()
    }
}
