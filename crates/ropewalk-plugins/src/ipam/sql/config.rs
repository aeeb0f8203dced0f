//! Reading the configuration of `sql`.

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf};

use ropewalk_addr::Family;
use ropewalk_cni::{CniArgs, CniError, Dns, Fields, Request, RouteConfig, parse_args};

use super::{
    super::host_local::{
        addresses, addresses_of_args, path, ranges::Range, raw_range, resolv_conf,
    },
    Wanting,
};
use crate::config;

/// The configuration, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The URL of the database.
    pub database: String,
    /// A file with the password.
    pub password_file: Option<PathBuf>,
    /// The pools, in the order in which they are tried.
    pub pools: Vec<PoolConfig>,
    /// The space in which no address is given twice.
    pub space: String,
    /// The name of this host; the system's if it is not given.
    pub host: Option<String>,
    /// Seconds that an address rests when it was given back.
    pub cooldown: u64,
    /// Seconds that an address is kept for the name that had it.
    pub keep: u64,
    /// Seconds that everything may take.
    pub deadline: u64,
    /// Whether a lease is on the disk before it is told.
    pub sync: bool,
    /// Passed on into the result.
    pub routes: Vec<RouteConfig>,
    /// A file that DNS settings are read from.
    pub resolv_conf: Option<PathBuf>,
    /// Addresses that the interface wants.
    pub requested: Vec<IpAddr>,
    /// For whom addresses are wanted.
    pub wanting: Wanting,
}

/// Addresses of a subnet, and who gets some of them.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// The name in the database.
    pub name: String,
    /// An attachment gets one address of each group.
    pub group: String,
    /// The addresses.
    pub range: Range,
    /// Addresses that are given to these names alone.
    pub reserved: BTreeMap<String, IpAddr>,
    /// How hosts share the pool; `None`: address by address.
    pub share: Option<Share>,
    /// Networks, namespaces and owners that it is for; empty: all.
    pub networks: Vec<String>,
    /// See `networks`.
    pub namespaces: Vec<String>,
    /// See `networks`.
    pub owners: Vec<String>,
    /// Labels that a pod must have, all of them.
    pub labels: BTreeMap<String, String>,
}

/// A pool whose hosts take whole blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The length of a block's prefix.
    pub prefix: u8,
    /// How many blocks a host may have.
    pub most: u32,
    /// Whether a host takes addresses of other hosts' blocks when it can have no more blocks.
    pub borrow: bool,
}

/// The variables that runtimes tell pods in, and that we need.
const POD_NAME: &str = "K8S_POD_NAME";
const POD_NAMESPACE: &str = "K8S_POD_NAMESPACE";
const VARIABLES: [&str; 5] =
    ["IP", POD_NAME, POD_NAMESPACE, "K8S_POD_INFRA_CONTAINER_ID", "K8S_POD_UID"];

impl Config {
    /// Reads a request's configuration and arguments; all that is wrong is told at once.
    pub fn read(request: &Request) -> Result<Self, CniError> {
        let args = parse_args(&request.args, &VARIABLES)?;
        let fields = Fields::new(&request.raw, "");
        let Some(ipam) = fields.object("ipam") else {
            return Err(CniError::invalid_config("IPAM config missing 'ipam' key"));
        };
        let mut requested = addresses_of_args(&args)?;
        let config = read(&fields, &ipam);
        requested.extend(&config.requested);
        let wanting = Wanting {
            network: request.network.clone(),
            pod: text(&args, POD_NAME),
            namespace: text(&args, POD_NAMESPACE),
            ..config.wanting
        };
        let space =
            if config.space.is_empty() { request.network.clone() } else { config.space.clone() };
        config::finish(&fields, "")?;
        Ok(Self { space, requested, wanting, ..config })
    }
}

impl Config {
    /// The DNS settings of the file that the configuration names.
    pub fn dns(&self) -> Result<Dns, CniError> {
        self.resolv_conf
            .as_deref()
            .map(resolv_conf::read)
            .transpose()
            .map(Option::unwrap_or_default)
    }
}

fn text(args: &CniArgs, key: &str) -> Option<String> {
    args.get(key).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Reads everything, so that `lint` finds what is wrong without a request.
pub(super) fn lint(fields: &Fields<'_>) {
    if let Some(ipam) = fields.object("ipam") {
        ipam.allow(&["type"]);
        read(fields, &ipam);
    }
}

/// All that the configuration says.
fn read(fields: &Fields<'_>, ipam: &Fields<'_>) -> Config {
    let sources = ["args.cni", "runtimeConfig"].into_iter();
    let args = config::nested(fields, "args.cni");
    let labels = args.as_ref().map(labels).unwrap_or_default();
    let owner = args.and_then(|args| args.text("owner"));
    Config {
        database: database(ipam),
        password_file: path(ipam, "passwordFile"),
        pools: pools(ipam),
        space: ipam.text("space").unwrap_or_default(),
        host: ipam.text("host"),
        cooldown: ipam.u32("cooldown").unwrap_or(60).into(),
        keep: ipam.u32("keepFor").unwrap_or_default().into(),
        deadline: deadline(ipam),
        sync: ipam.bool("sync").unwrap_or_default(),
        routes: config::routes(ipam, "routes"),
        resolv_conf: path(ipam, "resolvConf"),
        requested: sources.flat_map(|source| addresses(fields, source)).collect(),
        wanting: Wanting { labels, owner, ..Wanting::default() },
    }
}

/// Labels as the conventions of CNI write them.
fn labels(args: &Fields<'_>) -> BTreeMap<String, String> {
    let entries = args.objects("labels").unwrap_or_default();
    let entry = |entry: &Fields<'_>| Some((entry.text("key")?, entry.string("value")?));
    entries.iter().filter_map(entry).collect()
}

fn database(ipam: &Fields<'_>) -> String {
    let url = ipam.text("database").unwrap_or_default();
    let schemes = ["sqlite:///", "postgres://", "postgresql://"];
    if url.is_empty() {
        ipam.report_at("database", "no database given");
    } else if !schemes.iter().any(|scheme| url.starts_with(scheme)) {
        // The URL is not repeated: it may have a password.
        let text = "unknown kind of database: expected sqlite:///… or postgres://…";
        ipam.report_at("database", text);
    }
    url
}

fn deadline(ipam: &Fields<'_>) -> u64 {
    let deadline = ipam.u32("deadline").unwrap_or(10);
    if !(1..=100).contains(&deadline) {
        ipam.report_at(
            "deadline",
            format!("deadline is {deadline}, must be from 1 to 100 seconds"),
        );
    }
    deadline.into()
}

fn pools(ipam: &Fields<'_>) -> Vec<PoolConfig> {
    let entries = ipam.objects("pools").unwrap_or_default();
    if entries.is_empty() {
        ipam.report_at("pools", "no pools given");
    }
    let mut pools: Vec<PoolConfig> = Vec::new();
    for entry in entries {
        let Some(pool) = pool(&entry) else { continue };
        if pools.iter().any(|other| other.name == pool.name) {
            entry.report(format!("there are two pools named {}", pool.name));
        }
        pools.push(pool);
    }
    pools
}

fn pool(entry: &Fields<'_>) -> Option<PoolConfig> {
    let range = raw_range(entry);
    let name = entry.text("name");
    let group = entry.text("group");
    let reserved = entry.string_map("reservations").unwrap_or_default();
    let selectors = ["networks", "namespaces", "owners"];
    let [networks, namespaces, owners] =
        selectors.map(|key| entry.strings(key).unwrap_or_default());
    let labels = entry.string_map("labels").unwrap_or_default();
    let (length, most) = (entry.u32("blockSize"), entry.u32("maxBlocks"));
    if most == Some(0) {
        entry.report_at("maxBlocks", "maxBlocks is 0, must be at least 1");
    }
    let borrow = entry.bool("borrow").unwrap_or(true);
    let range = range?.resolve();
    let range = range.map_err(|message| entry.report(format!("invalid pool: {message}"))).ok()?;
    let family = range.subnet.family();
    let share = length.and_then(|length| {
        let prefix = block_prefix(entry, length, &range)?;
        Some(Share { prefix, most: most.unwrap_or(u32::MAX), borrow })
    });
    Some(PoolConfig {
        name: name.unwrap_or_else(|| range.subnet.to_string()),
        group: group.unwrap_or_else(|| if family == Family::V4 { "IPv4" } else { "IPv6" }.into()),
        reserved: reservations(entry, reserved, &range),
        share,
        range,
        networks,
        namespaces,
        owners,
        labels,
    })
}

/// A block is a part of the subnet with at least two addresses.
fn block_prefix(entry: &Fields<'_>, length: u32, range: &Range) -> Option<u8> {
    let (shortest, longest) = (range.subnet.length(), range.subnet.family().bits() - 1);
    let prefix = u8::try_from(length).ok().filter(|length| (shortest..=longest).contains(length));
    if prefix.is_none() {
        let text = format!("blockSize is {length}, must be from {shortest} to {longest}");
        entry.report_at("blockSize", text);
    }
    prefix
}

fn reservations(
    entry: &Fields<'_>,
    texts: BTreeMap<String, String>,
    range: &Range,
) -> BTreeMap<String, IpAddr> {
    let mut reserved = BTreeMap::new();
    for (name, text) in texts {
        match text.parse::<IpAddr>().ok().filter(|ip| range.contains(*ip)) {
            Some(ip) if !range.excludes(ip) && ip != range.gateway => {
                reserved.insert(name, ip);
            }
            _ => {
                let text = format!("cannot reserve {text:?}: it is no address of {range}");
                entry.report_at("reservations", text);
            }
        }
    }
    reserved
}
