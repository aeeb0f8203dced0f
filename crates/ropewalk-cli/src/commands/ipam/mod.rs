//! `ropewalk ipam`: the books of addresses, to look at and to mend by hand.
//!
//! It must never take an address from an attachment that is on record unless it is forced to.

pub(crate) mod books;
mod check;
mod exchange;
mod show;

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{Args, Subcommand};
use ropewalk_ledger::{Filter, Holder, Lease, Rest, Standing, State};
use ropewalk_runtime::Cache;
use serde_json::json;

use self::books::Books;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::options::CacheOptions;
use crate::output::Output;

/// Look at the books of addresses, and mend them
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    action: Action,

    #[command(flatten)]
    source: Source,
}

/// The database that is taken unless somebody names another.
pub(crate) const DATABASE: &str = "sqlite:///var/lib/ropewalk/ipam.db";

/// Which books.
#[derive(Debug, Args)]
pub(crate) struct Source {
    /// sqlite:///FILE, postgres://USER@HOST/DATABASE, or host-local:///FOLDER for the leases of
    /// the plugin host-local
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "ROPEWALK_IPAM",
        hide_env_values = true,
        default_value = DATABASE
    )]
    pub(crate) database: String,

    /// File with the password of a PostgreSQL database
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,

    /// Name of this host in the books [default: the system's]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) this_host: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List pools and the blocks of hosts, and how full they are
    Pools,
    /// List leases
    Leases(show::Wanted),
    /// Say who has an address, or had it last
    Who {
        /// The address
        address: IpAddr,
    },
    /// Keep an address for a name, or from everybody
    Reserve {
        /// The address
        address: IpAddr,

        /// The space of addresses: the network's name unless the configuration says otherwise
        space: String,

        /// The name that gets it, as NAMESPACE/POD [default: nobody]
        #[arg(long = "for", value_name = "NAME")]
        name: Option<String>,
    },
    /// Give an address back, whoever has it, or end its reservation
    Release(Release),
    /// Hold the books against the addresses in the containers of this host
    Check(check::Where),
    /// Give back what attachments have that are not on record, what was kept for long enough, and
    /// empty blocks of this host
    Gc(Gc),
    /// Write leases into a database that other plugins have given
    Import(exchange::Import),
    /// Write all leases as JSON
    Export,
}

/// Which address.
#[derive(Debug, Args)]
struct Release {
    /// The address
    address: IpAddr,

    /// The space of addresses, or the network of a host-local folder
    space: String,

    /// Release it from an attachment that is on record, too
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    cache: CacheOptions,
}

/// What is collected.
#[derive(Debug, Args)]
struct Gc {
    /// Keep leases that are younger, in seconds: an ADD is on record when it is done
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    older_than: u64,

    /// Only say what would be given back
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    cache: CacheOptions,
}

pub(crate) fn run(options: &Options, output: Output) -> Result<ExitCode, Failure> {
    let mut books = Books::open(&options.source)?;
    match &options.action {
        Action::Pools => show::pools(&mut books, output)?,
        Action::Leases(wanted) => show::leases(&mut books, wanted, output)?,
        Action::Who { address } => show::who(&mut books, *address, output)?,
        Action::Reserve { address, space, name } => {
            if !books.reserve(space, *address, name.as_deref(), now())? {
                return Err(Failure::failed(format!("failed to reserve {address}: it is in use")));
            }
            output.done(|| json!({ "address": address.to_string(), "reservedFor": name }))?;
        }
        Action::Release(wanted) => release(&mut books, wanted, output)?,
        Action::Check(place) => return check::run(&mut books, place, output),
        Action::Gc(wanted) => gc(&mut books, wanted, output)?,
        Action::Import(wanted) => return exchange::import(&mut books, wanted, output),
        Action::Export => exchange::export(&mut books, output)?,
    }
    Ok(Exit::Ok.into())
}

fn release(books: &mut Books, wanted: &Release, output: Output) -> Result<(), Failure> {
    let Release { address, space, .. } = wanted;
    let refused = |reason: &str| Failure::failed(format!("failed to release {address}: {reason}"));
    let filter = Filter { ip: Some(*address), ..Filter::default() };
    let leases = books.leases(&filter)?;
    let lease = leases.iter().find(|lease| lease.space == *space);
    let caches = caches(&wanted.cache)?;
    let is_recorded = lease.is_some_and(|lease| is_recorded(&caches, lease));
    if is_recorded && !wanted.force {
        return Err(refused("its attachment is on record")
            .with_hint("delete the attachment with \"ropewalk del\", or give --force"));
    }
    let rest = Rest { now: now(), cooldown: 0, keep: 0 };
    if !books.free(space, *address, rest)? {
        return Err(refused("nobody has it, and it is not reserved"));
    }
    output.done(|| json!({ "address": address.to_string(), "space": space }))
}

/// Where we and others have attachments on record.
fn caches(options: &CacheOptions) -> Result<Vec<Cache>, Failure> {
    let mut caches = options.others()?;
    caches.push(options.cache());
    Ok(caches)
}

/// Whether the lease's attachment is on record with one of these. A damaged record is one, too.
fn is_recorded(caches: &[Cache], lease: &Lease) -> bool {
    let Holder { network, container, interface } = &lease.holder;
    let mut paths = caches.iter().filter_map(|cache| cache.path(network, container, interface));
    lease.state == State::Held && paths.any(|path| path.exists())
}

fn gc(books: &mut Books, wanted: &Gc, output: Output) -> Result<(), Failure> {
    let cache = wanted.cache.cache();
    let records = cache.results_directory();
    // Without it all would look as if nobody had them.
    if !records.is_dir() {
        let text = format!("failed to see who is on record: there is no {}", records.display());
        return Err(Failure::failed(text)
            .with_hint("name the folder of this host's runtime with --cache-dir"));
    }
    let now = now();
    let until = now.saturating_sub(wanted.older_than);
    let host = books.host.clone();
    let filter = Filter { host: Some(host), is_held: true, ..Filter::default() };
    let mut leases = books.leases(&filter)?;
    let caches = caches(&wanted.cache)?;
    leases.retain(|lease| lease.since <= until && !is_recorded(&caches, lease));
    let (mut names, mut blocks) = (0, 0);
    if !wanted.dry_run {
        let mut progress = output.bar("given back", leases.len());
        let rest = Rest { now, cooldown: 0, keep: 0 };
        for lease in std::mem::take(&mut leases) {
            // Somebody else may have the address by now.
            let standing = Standing { holder: lease.holder.clone(), since: lease.since };
            if books.give_back(&lease.space, lease.ip, &standing, rest)? {
                leases.push(lease);
            }
            progress.step();
        }
        (names, blocks) = books.sweep(now)?;
    }
    let text = || {
        let words = if wanted.dry_run { "would give back" } else { "gave back" };
        let lines =
            leases.iter().map(|lease| format!("{words} {} of {}\n", lease.ip, show::holder(lease)));
        format!(
            "{}{names} names have expired, {blocks} blocks are given up\n",
            lines.collect::<Vec<_>>().concat()
        )
    };
    output.answer(text, || {
        let leases: Vec<_> = leases.iter().map(show::value).collect();
        json!({ "released": leases, "expiredNames": names, "blocks": blocks })
    })
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
