//! `ropewalk ipam check`: the books against the addresses that containers of this host have.

use std::fs;
use std::process::ExitCode;

use clap::Args;
use ropewalk_linux::survey::{Depth, Selection, survey};
use ropewalk_topology::{
    doctor::books::{Disagreement, Found, judge},
    model::Namespace,
};
use serde_json::json;

use super::books::Books;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::options::CacheOptions;
use crate::output::Output;

/// Where containers are.
#[derive(Debug, Args)]
pub(super) struct Where {
    /// Look at the namespaces of all processes, too
    #[arg(long)]
    processes: bool,

    #[command(flatten)]
    cache: CacheOptions,
}

/// Folders in which namespaces have names.
const NAMED: [&str; 2] = ["/run/netns", "/run/docker/netns"];

pub(super) fn run(books: &mut Books, place: &Where, output: Output) -> Result<ExitCode, Failure> {
    let host = survey(Depth::WithoutConnections, &selection(place, output)?).host;
    let namespaces: Vec<&Namespace> = host.namespaces.iter().filter(|one| !one.is_own).collect();
    let mut found = Found::new();
    for namespace in &namespaces {
        let name = namespace.paths.first().cloned().unwrap_or_else(|| namespace.name());
        match &namespace.content {
            Ok(content) => {
                for address in content.addresses.iter().filter(|one| one.is_global()) {
                    found.entry(address.ip).or_default().push(name.clone());
                }
            }
            Err(reason) => output.warn(&format!("skipped {name}: {reason}")),
        }
    }
    for places in found.values_mut() {
        places.sort();
        places.dedup();
    }
    let books = books.model()?;
    let findings = judge(&found, &books);
    let exit = if findings.is_empty() { Exit::Ok } else { Exit::Failed };
    let text = || {
        let line =
            |one: &Disagreement<'_>| format!("{}: {} {}\n", one.kind.name(), one.ip, one.text);
        let lines: Vec<String> = findings.iter().map(line).collect();
        let count = namespaces.len();
        format!("{}{} findings in {count} namespaces\n", lines.concat(), findings.len())
    };
    let value = |one: &Disagreement<'_>| json!({ "kind": one.kind.name(), "address": one.ip.to_string(), "text": one.text });
    output.answer(text, || findings.iter().map(value).collect())?;
    Ok(exit.into())
}

/// The namespaces with names, those of attachments on record, and perhaps those of processes.
fn selection(place: &Where, output: Output) -> Result<Selection, Failure> {
    if place.processes {
        return Ok(Selection::All);
    }
    let entries = NAMED.iter().flat_map(fs::read_dir).flatten().flatten();
    let mut paths: Vec<String> = entries.map(|one| one.path().display().to_string()).collect();
    paths.extend(place.cache.records(output)?.into_iter().map(|record| record.netns));
    Ok(Selection::Named(paths))
}
