//! A host with bridges, a router's links, a pair without a network, a macvlan and somebody outside.
//! Names end in the host's number, so that no two hosts have the same.

use ropewalk_e2e::Lab;

use super::changes::Change;

/// The namespaces of a host.
const ENDS: [&str; 6] = ["c1", "c2", "c3", "p1", "m1", "out"];

/// Made once for each host; `@` becomes its suffix.
const WORLD: &str = "
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
for name in c1 c2 c3 p1 m1 out; do
    ip netns add ${name}@
    ip -n ${name}@ link set lo up
done
for net in 1 2; do
    ip link add br${net}@ type bridge
    ip address add 10.$net.0.1/24 dev br${net}@
    ip -6 address add fd00:$net::1/64 dev br${net}@ nodad
    ip link set br${net}@ up
done
for pair in 1:1 1:2 2:3; do
    net=${pair%:*} number=${pair#*:}
    ip link add v${number}@ type veth peer name eth0 netns c${number}@
    ip link set v${number}@ master br${net}@ up
    ip -n c${number}@ link set eth0 up
    ip -n c${number}@ address add 10.$net.0.1$number/24 dev eth0
    ip -n c${number}@ -6 address add fd00:$net::1$number/64 dev eth0 nodad
    ip -n c${number}@ route add default via 10.$net.0.1
    ip -n c${number}@ -6 route add default via fd00:$net::1
done
ip link add vp@ type veth peer name eth0 netns p1@
ip address add 10.3.0.1/32 dev vp@
ip link set vp@ up
ip -n p1@ link set eth0 up
ip -n p1@ address add 10.3.0.2/32 dev eth0
ip -n p1@ route add 10.3.0.1 dev eth0 scope link
ip -n p1@ route add default via 10.3.0.1
ip route add 10.3.0.2 dev vp@ scope link
ip link add up@ type veth peer name eth0 netns out@
ip address add 192.0.2.1/24 dev up@
ip -6 address add 2001:db8::1/64 dev up@ nodad
ip link set up@ up
ip -n out@ link set eth0 up
ip -n out@ address add 192.0.2.2/24 dev eth0
ip -n out@ -6 address add 2001:db8::2/64 dev eth0 nodad
ip -n out@ address add 198.51.100.1/32 dev lo
ip -n out@ route add default via 192.0.2.1
ip -n out@ -6 route add default via 2001:db8::1
ip route add default via 192.0.2.2
ip -6 route add default via 2001:db8::2
ip link add mv@ link up@ type macvlan mode bridge
ip link set mv@ netns m1@ name eth0
ip -n m1@ link set eth0 up
ip -n m1@ address add 192.0.2.5/24 dev eth0
ip -n m1@ route add default via 192.0.2.2
";

/// The suffix of a host's names.
pub(crate) fn suffix(host: usize) -> String {
    format!("w{host}")
}

/// The names of its namespaces, for the command line.
pub(crate) fn names(host: usize) -> Vec<String> {
    ENDS.iter().map(|end| format!("{end}{}", suffix(host))).collect()
}

/// Makes the host.
pub(crate) fn make(host: usize) -> Lab {
    let lab = Lab::new();
    lab.sh(&format!("set -e\n{}", WORLD.replace('@', &suffix(host))));
    settle(&lab, host);
    lab
}

/// Waits until the links are up for everybody: bridges let nothing through before.
fn settle(lab: &Lab, host: usize) {
    let suffix = suffix(host);
    lab.wait_until("ports forward", || {
        lab.sh("bridge link").lines().filter(|line| line.contains("state forwarding")).count() == 3
    });
    let tentative = format!(
        "for name in c1 c2 c3 out; do ip -n ${{name}}{suffix} -6 address show tentative; done
         ip -6 address show tentative"
    );
    lab.wait_until("addresses are usable", || lab.sh(&tentative).is_empty());
}

/// Makes changes, and answers those that could be made: some exclude each other.
pub(crate) fn change(lab: &Lab, changes: Vec<Change>) -> Vec<Change> {
    let can_be = |change: &Change| {
        let is_made = lab.try_sh(&format!("set -e\n{}", change.script)).code == 0;
        if !is_made {
            lab.try_sh(&change.undo);
        }
        is_made
    };
    changes.into_iter().filter(can_be).collect()
}

/// Undoes changes, and forgets what was learned under them.
pub(crate) fn restore(lab: &Lab, host: usize, changes: &[Change]) {
    for change in changes.iter().rev() {
        lab.sh(&change.undo);
    }
    let forget = "nft flush ruleset; ip neighbour flush all; ip -6 neighbour flush all";
    lab.sh(forget);
    for name in names(host) {
        lab.sh_in(&name, forget);
    }
}
