//! Leases that come from other plugins' books, and go to others.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use ropewalk_addr::Prefix;
use ropewalk_cni::Cidr;
use ropewalk_ledger::{Filter, Holder, Lease, State};
use serde_json::{Value, json};

use super::{
    books::{Books, failure, in_folder},
    now, show,
};
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

    /// The pool they belong to, as the configuration names it; it must not have blocks
    #[arg(long, value_name = "NAME")]
    pool: String,

    /// The space of addresses [default: the network's name]
    #[arg(long, value_name = "NAME")]
    space: Option<String>,

    /// The network of leases that do not tell it
    #[arg(long, value_name = "NAME", default_value = "whereabouts")]
    network: String,
}

pub(super) fn import(books: &mut Books, wanted: &Import, output: Output) -> Result<(), Failure> {
    let mut leases = read(wanted, &books.host)?;
    for lease in &mut leases {
        lease.pool.clone_from(&wanted.pool);
        lease.space = wanted.space.clone().unwrap_or_else(|| lease.holder.network.clone());
    }
    let mut progress = output.bar("leases", leases.len());
    let mut count = 0;
    for piece in leases.chunks(PIECE) {
        count += books.database()?.import(piece).map_err(|trouble| failure(&trouble))?;
        for _ in piece {
            progress.step();
        }
    }
    drop(progress);
    let others = leases.len() as u64 - count;
    let text = || format!("{count} leases are new, {others} were there\n");
    output.answer(text, || json!({ "new": count, "known": others }))
}

pub(super) fn export(books: &mut Books, output: Output) -> Result<(), Failure> {
    let leases = books.leases(&Filter { is_held: true, ..Filter::default() })?;
    let leases: Vec<Value> = leases.iter().map(show::value).collect();
    output.json(&json!({ "leases": leases }))
}

fn read(wanted: &Import, host: &str) -> Result<Vec<Lease>, Failure> {
    let path = wanted.from.display();
    if wanted.from.is_dir() {
        return in_folder(&wanted.from, host);
    }
    let text = fs::read_to_string(&wanted.from)
        .map_err(|error| Failure::failed(format!("failed to read {path}: {error}")))?;
    let document: Value = serde_json::from_str(&text)
        .map_err(|error| Failure::failed(format!("failed to read {path}: {error}")))?;
    let leases = match &document["leases"] {
        Value::Array(leases) => leases.iter().map(|lease| exported(lease, host)).collect(),
        _ => whereabouts(&document, wanted, host),
    };
    leases.ok_or_else(|| Failure::failed(format!("failed to read {path}: it has no leases")))
}

fn text(value: &Value, key: &str) -> Option<String> {
    value[key].as_str().map(str::to_owned)
}

/// A lease as we write it.
fn exported(value: &Value, host: &str) -> Option<Lease> {
    let ip: IpAddr = text(value, "address")?.parse().ok()?;
    Some(Lease {
        pod: text(value, "pod"),
        namespace: text(value, "namespace"),
        group: text(value, "group").unwrap_or_else(|| group(ip).to_owned()),
        ..lease(
            ip,
            [text(value, "network")?, text(value, "containerID")?, text(value, "ifname")?],
            &text(value, "host").unwrap_or_else(|| host.to_owned()),
        )
    })
}

/// Pools of whereabouts: an address is the range's first and a number behind it.
fn whereabouts(document: &Value, wanted: &Import, host: &str) -> Option<Vec<Lease>> {
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
                ..lease(ip, names, host)
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
        space: String::new(),
        pool: String::new(),
        group: group(ip).to_owned(),
        holder: Holder { network, container, interface },
        pod: None,
        namespace: None,
        host: host.to_owned(),
        since: now(),
        state: State::Held,
    }
}
