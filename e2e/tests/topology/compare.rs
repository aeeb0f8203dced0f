//! Compares `ropewalk topology` with the programs of the distribution.

use std::time::{Duration, Instant};

use ropewalk_e2e::{Lab, Value, command_path, patience};

use super::{legacy, ours, theirs};

/// What is compared: a name, ours and theirs.
type Kind = (&'static str, fn(&Value) -> Vec<String>, fn(&Lab, &str) -> Vec<String>);

const KINDS: [Kind; 13] = [
    ("links", ours::links, theirs::links),
    ("addresses", ours::addresses, theirs::addresses),
    ("routes", ours::routes, theirs::routes),
    ("rules", ours::rules, theirs::rules),
    ("neighbours", ours::neighbours, theirs::neighbours),
    ("forwarding", ours::forwarding, theirs::forwarding),
    ("next hops", ours::next_hops, theirs::next_hops),
    ("qdiscs", ours::qdiscs, theirs::qdiscs),
    ("classes", ours::classes, theirs::classes),
    ("filters", ours::traffic_filters, theirs::traffic_filters),
    ("nftables", ours::nftables, theirs::nftables),
    ("iptables", ours::iptables, theirs::iptables),
    ("old iptables", legacy::ours, legacy::theirs),
];

/// Runs the command for the host itself and some namespaces, which keeps it away from what other
/// tests have made.
#[track_caller]
pub(crate) fn command(lab: &Lab, arguments: &str, names: &str) -> String {
    lab.sh(&format!("{} topology {arguments} {names}", command_path().display()))
}

/// What the command says of a namespace; the own one is at `/proc/self/ns/net`.
#[track_caller]
pub(crate) fn namespace(lab: &Lab, path: &str, names: &str) -> Value {
    let inode: u64 = lab.sh(&format!("stat -Lc %i {path}")).parse().expect("a number");
    let document: Value = command(lab, "--json", names).parse().expect("JSON");
    let all = document["namespaces"].as_array().expect("namespaces");
    let found = all.iter().find(|one| one["inode"] == inode).cloned();
    found.unwrap_or_else(|| panic!("{path} ({inode}) is missing"))
}

/// Asserts that the command says the same of a namespace as the other programs. What the kernel
/// changes by itself meanwhile (neighbours age) is looked at again.
#[track_caller]
pub(crate) fn same(lab: &Lab, path: &str, names: &str) {
    let deadline = Instant::now() + patience(Duration::from_secs(20));
    loop {
        let said = namespace(lab, path, names);
        assert_eq!(said["error"], Value::Null, "{path}");
        assert_eq!(said["gaps"], Value::Array(Vec::new()), "{path}");
        let different: Vec<String> = KINDS
            .iter()
            .filter_map(|(name, ours, theirs)| {
                let (ours, theirs) = (ours(&said), theirs(lab, path));
                let only = |some: &[String], others: &[String]| -> Vec<String> {
                    some.iter().filter(|one| !others.contains(one)).cloned().collect()
                };
                let (mine, other) = (only(&ours, &theirs), only(&theirs, &ours));
                let is_same = ours == theirs;
                (!is_same).then(|| format!("{name}:\n  ours {mine:#?}\n  theirs {other:#?}"))
            })
            .collect();
        if different.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{path}: {}", different.join("\n"));
    }
}
