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

/// What Docker makes: a bridge, a namespace that is mounted in its own place, iptables.
pub(crate) const AS_DOCKER: &str = "
mkdir -p /run/docker/netns
touch /run/docker/netns/3f2a11bb77cc
ip link add docker0 type bridge
ip address add 172.17.0.1/16 dev docker0
ip link set docker0 up
unshare --net=/run/docker/netns/3f2a11bb77cc true
ip link add vethdock type veth peer name dockend
ip link set dockend netns /run/docker/netns/3f2a11bb77cc
nsenter --net=/run/docker/netns/3f2a11bb77cc ip link set dockend name eth0 up
ip link set vethdock master docker0 up
iptables-nft -t nat -N DOCKER
iptables-nft -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
iptables-nft -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
iptables-nft -t nat -A DOCKER ! -i docker0 -p tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
iptables-nft -N DOCKER-USER
iptables-nft -A FORWARD -j DOCKER-USER
iptables-nft -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
";

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
