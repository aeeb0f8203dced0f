//! What exists on a private host and could be left behind by a plugin.
//!
//! Links, packet-filter rules and elements, and files of state, each as one line of text. A
//! comparison allows what is Shared (it outlives an attachment by design) and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::Lab;

/// Tables that iptables keeps in nftables; they are compared as iptables prints them.
const XTABLES: [&str; 5] = ["filter", "nat", "mangle", "raw", "security"];

/// Chains that the reference plugins make once and keep: their rules are Shared.
const SHARED_CHAINS: [&str; 7] = [
    "CNI-ADMIN",
    "CNI-FORWARD",
    "CNI-HOSTPORT-DNAT",
    "CNI-HOSTPORT-MASQ",
    "CNI-HOSTPORT-SETMARK",
    "CNI-ISOLATION-STAGE-1",
    "CNI-ISOLATION-STAGE-2",
];

/// What existed at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    lines: BTreeMap<String, Sharing>,
    tables: BTreeSet<String>,
}

/// Whether a line may appear and stay.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sharing {
    /// It belongs to one attachment.
    Private,
    /// It may stay for all.
    Shared,
    /// It may stay if it came together with this table.
    SharedWithTable(String),
}

impl Snapshot {
    pub(crate) fn take(lab: &Lab) -> Self {
        let mut snapshot = Self { lines: BTreeMap::new(), tables: BTreeSet::new() };
        snapshot.take_links(lab);
        snapshot.take_nft(lab);
        snapshot.take_iptables(lab);
        snapshot.take_files(lab);
        snapshot
    }

    /// Everything, Shared or not, a line each.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.keys().map(String::as_str)
    }

    /// What appeared (`+`) and what is missing (`-`), apart from new Shared things.
    pub(crate) fn difference(&self, after: &Self) -> Vec<String> {
        let allowed = |sharing: &Sharing| match sharing {
            Sharing::Private => false,
            Sharing::Shared => true,
            Sharing::SharedWithTable(table) => !self.tables.contains(table),
        };
        let appeared = after
            .lines
            .iter()
            .filter(|(line, sharing)| !self.lines.contains_key(*line) && !allowed(sharing))
            .map(|(line, _)| format!("+ {line}"));
        let missing = self.lines.keys().filter(|line| !after.lines.contains_key(*line));
        appeared.chain(missing.map(|line| format!("- {line}"))).collect()
    }

    fn put(&mut self, line: String, sharing: Sharing) {
        self.lines.insert(line, sharing);
    }

    fn take_links(&mut self, lab: &Lab) {
        for link in lab.ip_json("address show").as_array().expect("ip answers a list") {
            let name = link["ifname"].as_str().expect("a link has a name");
            let kind = link["linkinfo"]["info_kind"].as_str().unwrap_or("device");
            if kind == "bridge" {
                self.put(format!("link {name} {kind}"), Sharing::Shared);
                continue;
            }
            // Link-local ones come by themselves, when the link has found its carrier.
            let addresses: Vec<&str> = link["addr_info"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|address| address["local"].as_str())
                .filter(|address| !address.starts_with("fe80:"))
                .collect();
            let line = format!("link {name} {kind} mtu {} {addresses:?}", link["mtu"]);
            self.put(line, Sharing::Private);
        }
    }

    fn take_nft(&mut self, lab: &Lab) {
        for object in lab.nft_json() {
            let Some((kind, body)) = object.as_object().and_then(|object| object.iter().next())
            else {
                continue;
            };
            let name = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
            let table = match kind.as_str() {
                "metainfo" => continue,
                "table" => format!("{} {}", name("family"), name("name")),
                _ => format!("{} {}", name("family"), name("table")),
            };
            let is_xtables =
                XTABLES.iter().any(|x| table == format!("ip {x}") || table == format!("ip6 {x}"));
            if is_xtables {
                continue;
            }
            if kind == "table" {
                self.tables.insert(table.clone());
            }
            let elements = body["elem"].as_array().into_iter().flatten();
            for element in elements.filter(|element| !is_ending(element)) {
                self.put(
                    format!("nft {table} {} element {element}", name("name")),
                    Sharing::Private,
                );
            }
            let line = format!("nft {kind} {table} {}", without_counters(body));
            self.put(line, Sharing::SharedWithTable(table));
        }
    }

    fn take_iptables(&mut self, lab: &Lab) {
        for program in ["iptables", "ip6tables"] {
            let mut table = String::new();
            for line in lab.sh(&format!("{program}-save")).lines() {
                match line.as_bytes().first() {
                    Some(b'*') => line.clone_into(&mut table),
                    Some(b':') if line.contains(" - [") => {
                        let chain = line.split(' ').next().unwrap_or(line);
                        let sharing = chain_sharing(chain.trim_start_matches(':'));
                        self.put(format!("{program} {table} {chain}"), sharing);
                    }
                    Some(b'-') => {
                        let sharing = rule_sharing(line);
                        self.put(format!("{program} {table} {line}"), sharing);
                    }
                    _ => {}
                }
            }
        }
    }

    /// Records of attachments. Locks, the address given last and the index of leases are a network's.
    fn take_files(&mut self, lab: &Lab) {
        let script = "find /var/lib/cni /run/cni /var/lib/ropewalk /run/ropewalk -type f \
                      ! -name lock ! -name '*.lock' ! -name 'last_reserved_ip.*' \
                      ! -path '/run/ropewalk/leases/*' 2>/dev/null || true";
        for path in lab.sh(script).lines() {
            self.put(format!("file {path}"), Sharing::Private);
        }
    }
}

fn chain_sharing(chain: &str) -> Sharing {
    if SHARED_CHAINS.contains(&chain) { Sharing::Shared } else { Sharing::Private }
}

/// A rule is Shared when it jumps to a Shared chain or is one chain's fixed content: it names no
/// address and no per-container chain.
fn rule_sharing(line: &str) -> Sharing {
    let words: Vec<&str> = line.split(' ').collect();
    let in_shared = words.get(1).is_some_and(|chain| SHARED_CHAINS.contains(chain));
    let to_shared = words.iter().skip(2).any(|word| SHARED_CHAINS.contains(word));
    let names_address = words.contains(&"-s") || words.contains(&"-d");
    let per_container = words.iter().any(|word| word.starts_with("CNI-DN-"));
    if (in_shared || to_shared) && !names_address && !per_container {
        Sharing::Shared
    } else {
        Sharing::Private
    }
}

/// Whether an element lives its last milliseconds. No other has an end.
fn is_ending(element: &Value) -> bool {
    match element {
        Value::Object(object) => object.contains_key("expires") || object.values().any(is_ending),
        Value::Array(values) => values.iter().any(is_ending),
        _ => false,
    }
}

/// The object without handles, counters and elements, which have lines of their own.
fn without_counters(value: &Value) -> Value {
    match value {
        Value::Object(object) => object
            .iter()
            .filter(|(key, _)| {
                !["handle", "packets", "bytes", "elem", "expires"].contains(&key.as_str())
            })
            .map(|(key, value)| (key.clone(), without_counters(value)))
            .collect(),
        Value::Array(values) => values.iter().map(without_counters).collect(),
        other => other.clone(),
    }
}
