//! `ropewalk ipam check`: the books against the addresses that containers of this host have.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use ropewalk_linux::{Linux, Netns};
use ropewalk_netstate::Place;
use ropewalk_topology::doctor::books::{Disagreement, Found, judge};
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
    let namespaces = namespaces(place, output)?;
    let mut progress = output.bar("namespaces", namespaces.len());
    let mut found = Found::new();
    for path in &namespaces {
        let name = path.display().to_string();
        for ip in addresses(path, output) {
            found.entry(ip).or_default().push(name.clone());
        }
        progress.step();
    }
    drop(progress);
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

/// Every namespace once: those with names, those of attachments on record, those of processes.
fn namespaces(place: &Where, output: Output) -> Result<Vec<PathBuf>, Failure> {
    let list = |folder: &str| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let mut paths: Vec<PathBuf> = NAMED.iter().flat_map(|folder| list(folder)).collect();
    paths.extend(place.cache.records(output)?.iter().map(|record| PathBuf::from(&record.netns)));
    if place.processes {
        paths.extend(list("/proc").into_iter().map(|process| process.join("ns/net")));
    }
    paths.sort();
    let id = |path: &PathBuf| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    let own = id(&PathBuf::from("/proc/self/ns/net"));
    let mut seen = BTreeSet::new();
    paths.retain(|path| id(path).is_some_and(|id| Some(id) != own && seen.insert(id)));
    Ok(paths)
}

/// The addresses in a namespace, but for those that every namespace has.
fn addresses(path: &PathBuf, output: Output) -> Vec<IpAddr> {
    let read = || -> Result<Vec<IpAddr>, String> {
        let netns = Netns::open(path).map_err(|error| error.to_string())?;
        let mut kernel = Linux::with_sandbox(netns);
        let links = kernel.domain_links(Place::Sandbox).map_err(|error| error.reason)?;
        let mut all = Vec::new();
        for name in links.iter().filter_map(|link| link.name.parse().ok()) {
            let found = kernel.link_addresses(Place::Sandbox, &name);
            all.extend(found.map_err(|error| error.reason)?.iter().map(|prefix| prefix.ip()));
        }
        Ok(all)
    };
    let mut found = read().unwrap_or_else(|reason| {
        output.warn(&format!("skipped {}: {reason}", path.display()));
        Vec::new()
    });
    found.retain(|ip| match ip {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
        IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local(),
    });
    found
}
