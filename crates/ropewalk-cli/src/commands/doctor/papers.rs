//! What files say of this host: records, books of addresses, configured networks.
//!
//! A file that is not readable makes a warning and a check less, never a failure, but for the
//! records: without them everything would look forgotten.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use ropewalk_addr::Prefix;
use ropewalk_cni::CacheEntry;
use ropewalk_linux::survey::Parts;
use ropewalk_netstate::{Owner, Tag, resource::Bridge};
use ropewalk_runtime::{Network, Records};
use ropewalk_store::LeaseDirectory;
use ropewalk_topology::doctor::{Lacking, Mark, Papers, Record, Subnet, needs};
use ropewalk_topology::model::{Destination, Host, Namespace};
use serde_json::Value;

use super::Places;
use crate::commands::{ipam::books::Books, topology::names};
use crate::failure::Failure;
use crate::options::CacheOptions;
use crate::output::Output;

pub(super) fn read(host: &Host, places: &Places, output: Output) -> Result<Papers, Failure> {
    let cache = places.books.cache.cache();
    let records = cache.records().map_err(|error| Failure::of_cache(&error))?;
    let others = others(places.cache())?;
    let file = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into());
    let networks = networks(places, output);
    let mut papers = Papers {
        marks: marks(host),
        bridge_alias: Bridge::MARK,
        damaged: [&records.unreadable[..], &others.unreadable[..]]
            .into_iter()
            .flatten()
            .filter_map(|(path, _)| file(path))
            .collect(),
        is_unrecorded: !cache.results_directory().is_dir(),
        records: records.entries.iter().map(|entry| record(host, entry)).collect(),
        elsewhere: others.entries.iter().map(|entry| record(host, entry)).collect(),
        subnets: networks.iter().flat_map(subnets).collect(),
        lacking: lacking(&networks),
        ..Papers::default()
    };
    for source in places.sources() {
        match Books::open(&source).and_then(|mut books| books.model()) {
            Ok(books) => papers.books.push(books),
            Err(failure) => output.warn(&failure.to_string()),
        }
    }
    Ok(papers)
}

/// What others have on record.
fn others(cache: &CacheOptions) -> Result<Records, Failure> {
    let mut others = Records::default();
    for cache in cache.others()? {
        let found = cache.records().map_err(|error| Failure::of_cache(&error))?;
        others.entries.extend(found.entries);
        others.unreadable.extend(found.unreadable);
    }
    Ok(others)
}

/// Every text that tells an owner, with what it says.
fn marks(host: &Host) -> BTreeMap<String, Mark> {
    let mut marks = BTreeMap::new();
    let mut add = |text: &str, tag: Option<Tag>| {
        let Some(tag) = tag.filter(|tag| tag.attachment().bytes().any(|byte| byte != b'0')) else {
            return;
        };
        let (attachment, owner) = (tag.attachment().to_owned(), tag.label().to_owned());
        marks.insert(text.to_owned(), Mark { attachment, owner });
    };
    for content in host.namespaces.iter().filter_map(Namespace::content) {
        for alias in content.links.iter().filter_map(|link| link.alias.as_deref()) {
            add(alias, Tag::parse(alias));
        }
        for table in content.filter.tables.iter().chain(&content.filter.legacy) {
            let elements = table.sets.iter().flat_map(|set| &set.elements);
            for comment in elements.filter_map(|element| element.comment.as_deref()) {
                add(comment, Tag::parse(comment));
            }
            for chain in &table.chains {
                add(&chain.name, ropewalk_plugins::owner_of_chain(&chain.name));
            }
        }
    }
    marks
}

fn record(host: &Host, entry: &CacheEntry) -> Record {
    let result = entry.decoded_result().ok().flatten().unwrap_or_default();
    let position = names::sandbox(host, entry);
    // A namespace may be there and not be read.
    let inode = || {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(&entry.netns).ok().map(|file| file.ino())
    };
    let inode = position.map(|at| host.namespaces[at].identity.inode).or_else(inode);
    let owner = Owner {
        network: entry.network_name.clone(),
        container: entry.container_id.clone(),
        interface: entry.if_name.clone(),
    };
    Record {
        hash: owner.hash(),
        network: entry.network_name.clone(),
        container: entry.container_id.clone(),
        interface: entry.if_name.clone(),
        path: entry.netns.clone(),
        namespace: inode,
        addresses: result.ips.iter().map(|ip| ip.address.ip).collect(),
        books: books(&entry.config),
    }
}

/// The books that a recorded network has its addresses in, if they are those that are read.
fn books(config: &[u8]) -> Option<&'static str> {
    let list: Value = serde_json::from_slice(config).ok()?;
    let plugins = list["plugins"].as_array().map(Vec::as_slice).unwrap_or_default();
    let ipams: Vec<&Value> = plugins
        .iter()
        .chain([&list])
        .map(|plugin| &plugin["ipam"])
        .filter(|ipam| ipam["type"].is_string())
        .collect();
    let is_usual = |ipam: &&Value| ipam["dataDir"].as_str().unwrap_or_default().is_empty();
    match ipams[..] {
        [ipam] if ipam["type"] == "host-local" && is_usual(&ipam) => Some("host-local"),
        _ => None,
    }
}

fn networks(places: &Places, output: Output) -> Vec<Network> {
    match places.config.directory().list() {
        Ok(listing) => listing.networks,
        Err(ropewalk_runtime::FindError::Empty { .. }) => Vec::new(),
        Err(error) => {
            output.warn(&error.to_string());
            Vec::new()
        }
    }
}

/// The ranges that a network's host-local gives addresses from.
fn subnets(network: &Network) -> Vec<Subnet> {
    let plugins = network.list.plugins.iter();
    let ipams = plugins.filter(|plugin| plugin.ipam_type == "host-local");
    let ranges = ipams.flat_map(|plugin| {
        let ipam = &plugin.raw["ipam"];
        let sets = ipam["ranges"].as_array().into_iter().flatten();
        let listed = sets.filter_map(Value::as_array).flatten().map(|range| (range, "subnet"));
        let folder = ipam["dataDir"].as_str().filter(|text| !text.is_empty());
        let folder = folder.unwrap_or(LeaseDirectory::DEFAULT);
        let ranges = listed.chain([(ipam, "subnet")]);
        let space = format!("{folder}/{}", network.list.name);
        ranges
            .filter_map(|(range, _)| subnet(&network.list.name, &space, range))
            .collect::<Vec<_>>()
    });
    ranges.collect()
}

fn subnet(network: &str, space: &str, range: &Value) -> Option<Subnet> {
    let subnet: Prefix = range["subnet"].as_str()?.parse().ok()?;
    let subnet = subnet.subnet();
    let end = |key: &str| range[key].as_str().and_then(|text| text.parse::<IpAddr>().ok());
    let first = end("rangeStart").unwrap_or(subnet.ip());
    let last = end("rangeEnd").unwrap_or(subnet.last());
    Some(Subnet {
        network: network.to_owned(),
        space: space.to_owned(),
        subnet: Destination { ip: subnet.ip(), length: subnet.length() },
        ends: (first, last),
    })
}

/// What this kernel lacks for networks; each part is told once for each network.
fn lacking(networks: &[Network]) -> Vec<Lacking> {
    let parts = Parts::read();
    let mut lacking = BTreeMap::new();
    for network in networks {
        for plugin in &network.list.plugins {
            let missing = needs(&plugin.plugin_type).iter();
            for part in missing.filter(|part| !parts.has(part.modules, part.functions)) {
                let name = network.list.name.clone();
                let key = (name.clone(), part.option);
                let plugin = plugin.plugin_type.clone();
                lacking.entry(key).or_insert(Lacking { network: name, plugin, part: *part });
            }
        }
    }
    lacking.into_values().collect()
}
