//! `ropewalk leases`: the leases of the host-local plugin, and taking one back by hand.
//!
//! It must never take a lease from an attachment that is on record unless it is forced to.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use ropewalk_cni::CacheEntry;
use ropewalk_cni::names::check_network_name;
use ropewalk_store::{Holder, Lease, LeaseDirectory, StoreError};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::options::CacheOptions;
use crate::output::Output;
use crate::table;

/// List the leases of the host-local plugin, or take one back
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    List(ListOptions),
    Release(ReleaseOptions),
}

/// List leases, and whether their attachments are on record
#[derive(Debug, Args)]
struct ListOptions {
    /// Name of the network [default: all that have leases]
    network: Option<String>,

    #[command(flatten)]
    books: Books,
}

/// Release the lease of an address, or those of a container
///
/// Nothing else of the attachment goes: "ropewalk del" and "ropewalk gc" are for that. An
/// attachment that is on record keeps its lease unless --force is given.
#[derive(Debug, Args)]
struct ReleaseOptions {
    /// Name of the network
    network: String,

    /// The leased address
    #[arg(required_unless_present = "container_id")]
    address: Option<IpAddr>,

    /// Only leases of this container
    #[arg(long, value_name = "ID")]
    container_id: Option<String>,

    /// Only leases of this interface of the container
    #[arg(short, long, value_name = "NAME", requires = "container_id")]
    ifname: Option<String>,

    /// Release the leases of an attachment that is on record, too
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    books: Books,
}

/// Where leases and records are.
#[derive(Debug, Args)]
pub(crate) struct Books {
    #[command(flatten)]
    pub(crate) cache: CacheOptions,

    /// Folder with the leases of the host-local plugin
    #[arg(long, value_name = "DIR", default_value = LeaseDirectory::DEFAULT)]
    pub(crate) lease_dir: PathBuf,
}

/// The columns of [`row`].
pub(crate) const HEADING: &[&str] = &["NETWORK", "ADDRESS", "CONTAINER", "INTERFACE", "RECORD"];

/// A lease, and whether its attachment is on record.
pub(crate) struct Booked {
    network: String,
    lease: Lease,
    is_recorded: bool,
}

pub(crate) fn run(options: &Options, output: Output) -> Result<(), Failure> {
    match &options.action {
        Action::List(options) => list(options, output),
        Action::Release(options) => release(options, output),
    }
}

fn list(options: &ListOptions, output: Output) -> Result<(), Failure> {
    let mut booked = booked(&options.books)?;
    booked.retain(|booked| options.network.as_ref().is_none_or(|name| *name == booked.network));
    let rows: Vec<_> = booked.iter().map(Booked::row).collect();
    let text = || match &rows[..] {
        [] => "no leases\n".to_owned(),
        rows => table::render(HEADING, rows),
    };
    output.answer(text, || booked.iter().map(Booked::value).collect())
}

fn release(options: &ReleaseOptions, output: Output) -> Result<(), Failure> {
    let network = &options.network;
    let action = format!("release a lease of network {network:?}");
    let refused = |reason: &str| Failure::failed(format!("failed to {action}: {reason}"));
    check_network_name(network).map_err(|error| refused(&error.to_string()))?;
    let directory = LeaseDirectory::new(&options.books.lease_dir, network);
    if directory.leases().map_err(|error| of_store(&error))?.is_empty() {
        return Err(refused("the network has no leases"));
    }
    let leases = directory.lock().map_err(|error| of_store(&error))?;
    let records = options.books.records()?;
    let all = leases.leases().map_err(|error| of_store(&error))?.into_iter();
    let wanted: Vec<Booked> = all
        .filter(|lease| options.names(lease))
        .map(|lease| options.books.judge(network, lease, &records))
        .collect();
    if wanted.is_empty() {
        return Err(refused("there is no such lease"));
    }
    if let Some(booked) = wanted.iter().find(|booked| booked.is_recorded && !options.force) {
        let ip = booked.lease.ip;
        let reason = format!("{ip} is of {}, which is on record", booked.holder());
        let hint = format!("hint: run \"ropewalk del {network}\" for it, or use --force");
        return Err(refused(&format!("{reason}; {hint}")));
    }
    for booked in &wanted {
        leases.release(booked.lease.ip).map_err(|error| of_store(&error))?;
    }
    output.done(|| {
        let released: Vec<Value> = wanted.iter().map(Booked::value).collect();
        json!({ "network": network, "released": released })
    })
}

impl ReleaseOptions {
    fn names(&self, lease: &Lease) -> bool {
        let Holder { container, interface } = &lease.holder;
        self.address.is_none_or(|ip| ip == lease.ip)
            && self.container_id.as_ref().is_none_or(|id| id == container)
            && self.ifname.as_ref().is_none_or(|name| Some(name) == interface.as_ref())
    }
}

impl Books {
    fn records(&self) -> Result<Vec<CacheEntry>, Failure> {
        let records = self.cache.cache().records().map_err(|error| Failure::of_cache(&error))?;
        Ok(records.entries)
    }

    /// Finds out whether the lease's attachment is on record. A damaged record is one, too; a lease
    /// that names no interface may be of any of its container's.
    fn judge(&self, network: &str, lease: Lease, records: &[CacheEntry]) -> Booked {
        let Holder { container, interface } = &lease.holder;
        let is_recorded = match interface {
            Some(interface) => {
                let path = self.cache.cache().path(network, container, interface);
                path.is_some_and(|path| path.exists())
            }
            None => records
                .iter()
                .any(|entry| entry.network_name == network && entry.container_id == *container),
        };
        Booked { network: network.to_owned(), lease, is_recorded }
    }
}

/// All leases, by network and address.
pub(crate) fn booked(books: &Books) -> Result<Vec<Booked>, Failure> {
    let records = books.records()?;
    let mut booked = Vec::new();
    for network in networks(&books.lease_dir)? {
        let leases = LeaseDirectory::new(&books.lease_dir, &network).leases();
        let leases = leases.map_err(|error| of_store(&error))?.into_iter();
        booked.extend(leases.map(|lease| books.judge(&network, lease, &records)));
    }
    Ok(booked)
}

impl Booked {
    fn holder(&self) -> String {
        let Holder { container, interface } = &self.lease.holder;
        match interface {
            Some(interface) => format!("{interface} of {container}"),
            None => container.clone(),
        }
    }

    /// The lease as a row of a table.
    pub(crate) fn row(&self) -> Vec<String> {
        let holder = &self.lease.holder;
        vec![
            self.network.clone(),
            self.lease.ip.to_string(),
            holder.container.clone(),
            holder.interface.clone().unwrap_or_else(|| "-".to_owned()),
            if self.is_recorded { "yes" } else { "no" }.to_owned(),
        ]
    }

    /// The lease as JSON.
    pub(crate) fn value(&self) -> Value {
        json!({
            "network": self.network,
            "address": self.lease.ip.to_string(),
            "containerID": self.lease.holder.container,
            "ifname": self.lease.holder.interface,
            "recorded": self.is_recorded,
        })
    }
}

fn of_store(error: &StoreError) -> Failure {
    Failure::failed(error.to_string())
}

/// The networks that have leases, by name.
fn networks(directory: &Path) -> Result<Vec<String>, Failure> {
    let failed = |error: io::Error| {
        let exit = match error.kind() {
            io::ErrorKind::PermissionDenied => Exit::NotPermitted,
            _ => Exit::Failed,
        };
        Failure::new(exit, format!("failed to list {}: {error}", directory.display()))
    };
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if entry.path().is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
