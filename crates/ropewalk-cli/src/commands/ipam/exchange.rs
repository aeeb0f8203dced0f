//! Leases that come from other plugins' books, and go to others.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use clap::Args;
use ropewalk_addr::{InvalidPrefix, Prefix, Subnet};
use ropewalk_cni::Cidr;
use ropewalk_ledger::{Filter, Holder, Imported, Lease, State};
use serde_json::{Value, json};

use super::{
    books::{Books, failure, in_folder},
    now, show,
};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

/// How many leases are written at once.
const PIECE: usize = 500;

/// Where leases come from.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// A folder of the plugin host-local, or a JSON file: what "ropewalk ipam export" has written,
    /// or IPPools of whereabouts as kubectl lists them
    from: PathBuf,

    /// The pool they belong to, as the configuration names it; with several, that of each subnet,
    /// as lan=10.0.0.0/24 [default: what an export tells,
    /// else the pool that comes by the address]
    #[arg(long, value_name = "NAME[=SUBNET]")]
    pool: Vec<PoolOf>,

    /// The space of addresses [default: what an export tells, else the network's name]
    #[arg(long, value_name = "NAME")]
    space: Option<String>,

    /// The network of leases that do not tell it
    #[arg(long, value_name = "NAME", default_value = "whereabouts")]
    network: String,
}

/// A pool, and which addresses belong to it: all or those of a subnet.
#[derive(Clone, Debug)]
struct PoolOf {
    name: String,
    subnet: Option<Subnet>,
}

impl FromStr for PoolOf {
    type Err = InvalidPrefix;

    fn from_str(text: &str) -> Result<Self, InvalidPrefix> {
        let (name, subnet) = match text.rsplit_once('=') {
            Some((name, subnet)) => (name, Some(subnet.parse()?)),
            None => (text, None),
        };
        Ok(Self { name: name.to_owned(), subnet })
    }
}

/// Everything is looked at before anything is written.
pub(super) fn import(
    books: &mut Books,
    wanted: &Import,
    output: Output,
) -> Result<ExitCode, Failure> {
    let mut leases = read(wanted, &books.host)?;
    place(&mut leases, wanted)?;
    let mut progress = output.bar("leases", leases.len());
    let (mut new, mut known, mut taken) = (0, 0, Vec::new());
    for piece in leases.chunks(PIECE) {
        for fate in books.database()?.import(piece).map_err(|trouble| failure(&trouble))? {
            match fate {
                Imported::New => new += 1,
                Imported::Known => known += 1,
                Imported::Taken(lease) => taken.push(lease),
            }
            progress.step();
        }
    }
    drop(progress);
    let text = || {
        let of = |lease: &Lease| match lease.state {
            State::Held => format!("somebody else has it: {}", show::holder(lease)),
            _ => show::state(&lease.state),
        };
        let line = |lease: &Lease| format!("skipped {}: {}\n", lease.ip, of(lease));
        let lines: String = taken.iter().map(|lease| line(lease)).collect();
        format!("{lines}{new} leases are new, {known} were there, {} are skipped\n", taken.len())
    };
    output.answer(text, || {
        let taken: Vec<_> = taken.iter().map(|lease| show::value(lease)).collect();
        json!({ "new": new, "known": known, "taken": taken })
    })?;
    let exit = if taken.is_empty() { Exit::Ok } else { Exit::Failed };
    Ok(exit.into())
}

/// Says of each lease in which space and of which pool it is.
fn place(leases: &mut [Lease], wanted: &Import) -> Result<(), Failure> {
    const HINT: &str = "give each pool with its subnet: --pool lan=10.0.0.0/24 --pool \
                        lan6=fd00::/64";
    let failed = |text| Failure::failed(format!("failed to import: {text}")).with_hint(HINT);
    let whole = wanted.pool.iter().find(|pool| pool.subnet.is_none());
    if let Some(whole) = whole {
        if wanted.pool.len() > 1 {
            return Err(failed(format!("which addresses are of pool {} is not said", whole.name)));
        }
        let is_mixed = |lease: &Lease| lease.ip.is_ipv4() != leases[0].ip.is_ipv4();
        if leases.iter().any(is_mixed) {
            return Err(failed(format!("pool {} cannot have IPv4 and IPv6", whole.name)));
        }
    }
    for lease in leases {
        if let Some(space) = &wanted.space {
            lease.space.clone_from(space);
        }
        let is_its = |pool: &&PoolOf| pool.subnet.is_none_or(|subnet| subnet.contains(lease.ip));
        match wanted.pool.iter().find(is_its) {
            // What nobody has had is of no pool.
            _ if lease.pool.is_empty() && lease.state != State::Held => {}
            Some(pool) if pool.name != lease.pool => {
                lease.pool.clone_from(&pool.name);
                lease.block.clear();
            }
            None if !wanted.pool.is_empty() => {
                return Err(failed(format!("no pool is given for {}", lease.ip)));
            }
            Some(_) | None => {}
        }
    }
    Ok(())
}

/// Writes down everything but what is free.
pub(super) fn export(books: &mut Books, output: Output) -> Result<(), Failure> {
    let leases = books.leases(&Filter::default())?;
    let leases = leases.iter().filter(|lease| !matches!(lease.state, State::Free(_)));
    let leases: Vec<Value> = leases.map(show::value).collect();
    output.json(&json!({ "leases": leases }))
}

fn read(wanted: &Import, host: &str) -> Result<Vec<Lease>, Failure> {
    let path = wanted.from.display();
    if wanted.from.is_dir() {
        return networks(&wanted.from, host);
    }
    let text = fs::read_to_string(&wanted.from)
        .map_err(|error| Failure::failed(format!("failed to read {path}: {error}")))?;
    let document: Value = serde_json::from_str(&text)
        .map_err(|error| Failure::failed(format!("failed to read {path}: {error}")))?;
    let leases = match &document["leases"] {
        Value::Array(leases) => leases.iter().map(|lease| exported(lease, host)).collect(),
        _ => whereabouts(&document, wanted),
    };
    leases.ok_or_else(|| Failure::failed(format!("failed to read {path}: it has no leases")))
}

/// The leases of a folder with a folder for each network.
fn networks(folder: &Path, host: &str) -> Result<Vec<Lease>, Failure> {
    let leases = in_folder(folder, host)?;
    let mut entries = fs::read_dir(folder).into_iter().flatten().flatten();
    if leases.is_empty() && !entries.any(|entry| entry.path().is_dir()) {
        let path = folder.display();
        let text = format!("failed to read {path}: it has no folders of networks");
        return Err(Failure::failed(text)
            .with_hint("give the folder above a network's, as /var/lib/cni/networks"));
    }
    Ok(leases)
}

fn text(value: &Value, key: &str) -> Option<String> {
    value[key].as_str().map(str::to_owned)
}

/// A lease as we write it.
fn exported(value: &Value, host: &str) -> Option<Lease> {
    let ip: IpAddr = text(value, "address")?.parse().ok()?;
    let moment = |key| show::seconds(&text(value, key)?);
    let name = text(value, "name");
    let state = match value["state"].as_str() {
        None | Some("held") => State::Held,
        Some("kept") => State::Kept(name.clone()?, moment("until")?),
        Some("reserved") => State::Reserved(name.clone()),
        Some(_) => return None,
    };
    let names = [text(value, "network")?, text(value, "containerID")?, text(value, "ifname")?];
    let known = lease(ip, names, &text(value, "host").unwrap_or_else(|| host.to_owned()));
    Some(Lease {
        space: text(value, "space").unwrap_or_else(|| known.space.clone()),
        pool: text(value, "pool").unwrap_or_default(),
        block: text(value, "block").unwrap_or_default(),
        group: text(value, "group").unwrap_or_else(|| known.group.clone()),
        pod: text(value, "pod"),
        namespace: text(value, "namespace"),
        since: moment("since").unwrap_or(known.since),
        is_reserved: value["reserved"] == true || matches!(state, State::Reserved(_)),
        name,
        state,
        ..known
    })
}

/// Pools of whereabouts: an address is the range's first and a number behind it. They do not tell
/// on which host it is, and so no host may give it back but for its owner.
fn whereabouts(document: &Value, wanted: &Import) -> Option<Vec<Lease>> {
    let alone = [document.clone()];
    let pools = document["items"].as_array().map_or(&alone[..], Vec::as_slice);
    let mut leases = Vec::new();
    for pool in pools {
        let range: Cidr = pool["spec"]["range"].as_str()?.parse().ok()?;
        for (offset, allocation) in pool["spec"]["allocations"].as_object()? {
            let subnet = Prefix::new(range.ip, range.prefix).ok()?.subnet();
            let ip = Prefix::host(subnet.ip()).offset(offset.parse().ok()?)?;
            let reference = text(allocation, "podref").unwrap_or_default();
            let (namespace, pod) = reference.split_once('/').unwrap_or(("", &reference));
            let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            let interface = text(allocation, "ifname").unwrap_or_default();
            let names = [wanted.network.clone(), text(allocation, "id")?, interface];
            leases.push(Lease {
                pod: some(pod),
                namespace: some(namespace),
                ..lease(ip, names, "")
            });
        }
    }
    Some(leases)
}

fn group(ip: IpAddr) -> &'static str {
    if ip.is_ipv4() { "IPv4" } else { "IPv6" }
}

fn lease(ip: IpAddr, names: [String; 3], host: &str) -> Lease {
    let [network, container, interface] = names;
    Lease {
        ip,
        space: network.clone(),
        pool: String::new(),
        block: String::new(),
        group: group(ip).to_owned(),
        holder: Holder { network, container, interface },
        pod: None,
        namespace: None,
        host: host.to_owned(),
        since: now(),
        state: State::Held,
        name: None,
        is_reserved: false,
    }
}
