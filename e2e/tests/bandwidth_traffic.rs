//! BW 295 and row 28 of the wishes: traffic really keeps to its rate, at both kinds of places, and
//! only where it shall.
//!
//! A busy machine can only be slower than the limit, so that one good attempt shows that the limit
//! can be reached, and no attempt may be faster.

use std::time::Duration;

use ropewalk_e2e::chain::{self, chained, pair};
use ropewalk_e2e::{Lab, Plugin, Value, json};

/// 4 Mbit/s and 1 Mbit at once: little enough for an emulated machine.
const BYTES_PER_SECOND: f64 = 500_000.0;
const BURST: f64 = 125_000.0;
/// Takes 1.5 seconds.
const AMOUNT: usize = 875_000;
const ATTEMPTS: usize = 5;

fn rates(directions: &[&str]) -> Value {
    let mut keys = json!({});
    for direction in directions {
        keys[format!("{direction}Rate")] = json!(4_000_000);
        keys[format!("{direction}Burst")] = json!(1_000_000);
    }
    keys
}

fn with(mut keys: Value, key: &str, value: Value) -> Value {
    keys[key] = value;
    keys
}

/// `c1` has `eth0` with several addresses toward the host's `host0`; the host's own namespace is
/// named `host`.
fn lab_with_pair() -> Lab {
    let lab = chain::lab_with_pair();
    lab.sh("ip netns attach host $$
            ip addr add 10.5.0.1/24 dev host0
            ip addr add 10.6.0.1/24 dev host0
            ip addr add fd00:6::1/64 dev host0 nodad
            ip link set host0 up");
    lab.sh_in(
        "c1",
        "ip addr add 10.5.0.2/24 dev eth0
         ip addr add 10.6.0.2/24 dev eth0
         ip addr add fd00:6::2/64 dev eth0 nodad",
    );
    lab
}

/// `c1` has a macvlan `eth0` on the link toward the namespace `outer`.
fn lab_with_macvlan() -> Lab {
    let lab = Lab::new();
    lab.outer_network("outer", &[("10.5.0.9/24", "10.5.0.1/24"), ("10.6.0.9/24", "10.6.0.1/24")]);
    lab.sh("ip addr flush dev outer");
    lab.netns("c1");
    lab.sh("ip link add eth0 netns c1 link outer type macvlan mode bridge");
    lab.sh_in(
        "c1",
        "ip addr add 10.5.0.2/24 dev eth0; ip addr add 10.6.0.2/24 dev eth0; ip link set eth0 up",
    );
    lab
}

fn alone() -> Value {
    let inside = json!({ "name": "eth0", "mac": "", "sandbox": "/run/netns/c1" });
    json!({ "cniVersion": "1.0.0", "interfaces": [inside] })
}

#[track_caller]
fn attach<'lab>(lab: &'lab Lab, keys: &Value, previous: &Value) -> (Plugin<'lab>, Value) {
    let plugin = chained(lab, "bandwidth", keys);
    let result = plugin.clone().previous(previous).add().result();
    plugin.check(&result).silent();
    (plugin, result)
}

/// What passed in a second behind the burst.
fn rate(duration: Duration) -> f64 {
    let amount = f64::from(u32::try_from(AMOUNT).expect("a small amount"));
    (amount - BURST) / duration.as_secs_f64()
}

/// Asserts that a transfer keeps to the rate within a tenth, or on a busy machine to half of it.
/// Headers take a twentieth.
#[track_caller]
fn is_limited(lab: &Lab, from: &str, to: &str, destination: &str) {
    let mut rates = Vec::new();
    for _ in 0..ATTEMPTS {
        let found = rate(lab.transfer(from, to, destination, AMOUNT)) / BYTES_PER_SECOND;
        assert!(found < 1.1, "{from} to {destination}: {found:.2} of the rate");
        if found > 0.9 {
            return;
        }
        rates.push(found);
    }
    let is_busy = rates.iter().any(|found| *found > 0.5);
    assert!(is_busy, "{from} to {destination} never reached the rate: {rates:.2?} of it");
}

/// Asserts that a transfer is faster than a limit would allow.
#[track_caller]
fn is_not_limited(lab: &Lab, from: &str, to: &str, destination: &str) {
    let fast = |_| rate(lab.transfer(from, to, destination, AMOUNT)) > 2.0 * BYTES_PER_SECOND;
    assert!((0..ATTEMPTS).any(fast), "{from} to {destination} is slow");
}

#[test]
fn bw_295_both_directions_keep_to_their_rates() {
    let lab = lab_with_pair();
    is_not_limited(&lab, "host", "c1", "10.5.0.2");
    let (plugin, result) = attach(&lab, &rates(&["ingress", "egress"]), &pair());
    is_limited(&lab, "host", "c1", "10.5.0.2");
    is_limited(&lab, "c1", "host", "10.5.0.1");
    is_limited(&lab, "host", "c1", "fd00:6::2");
    plugin.check(&result).silent();
    plugin.del(&result).silent();
}

#[test]
fn bw_295_one_direction_leaves_the_other_free() {
    let lab = lab_with_pair();
    let (plugin, result) = attach(&lab, &rates(&["egress"]), &pair());
    is_limited(&lab, "c1", "host", "10.5.0.1");
    is_not_limited(&lab, "host", "c1", "10.5.0.2");
    plugin.del(&result).silent();
    if lab.reference_fails("its DEL leaves the filter, which leads nowhere then") {
        return;
    }
    is_not_limited(&lab, "c1", "host", "10.5.0.1");
    let _ = attach(&lab, &rates(&["ingress"]), &pair());
    is_limited(&lab, "host", "c1", "10.5.0.2");
    is_not_limited(&lab, "c1", "host", "10.5.0.1");
}

#[test]
fn row_28_peers_in_unshaped_subnets_are_not_limited() {
    let lab = lab_with_pair();
    if lab.reference_fails("it knows no subnets") {
        return;
    }
    let keys = with(
        rates(&["ingress", "egress"]),
        "unshapedSubnets",
        json!(["10.6.0.0/24", "fd00:6::/32"]),
    );
    let _ = attach(&lab, &keys, &pair());
    is_limited(&lab, "host", "c1", "10.5.0.2");
    is_limited(&lab, "c1", "host", "10.5.0.1");
    is_not_limited(&lab, "host", "c1", "10.6.0.2");
    is_not_limited(&lab, "c1", "host", "10.6.0.1");
    is_not_limited(&lab, "host", "c1", "fd00:6::2");
    is_not_limited(&lab, "c1", "host", "fd00:6::1");
}

#[test]
fn row_28_peers_in_shaped_subnets_alone_are_limited() {
    let lab = lab_with_pair();
    if lab.reference_fails("it knows no subnets") {
        return;
    }
    let runtime = with(rates(&["ingress", "egress"]), "shapedSubnets", json!(["192.0.2.0/24"]));
    let subnets = json!(["10.6.0.1/32", "fd00:6::1/128"]);
    let keys = json!({ "shapedSubnets": subnets, "runtimeConfig": { "bandwidth": runtime } });
    let _ = attach(&lab, &keys, &pair());
    is_not_limited(&lab, "host", "c1", "10.5.0.2");
    is_not_limited(&lab, "c1", "host", "10.5.0.1");
    is_limited(&lab, "host", "c1", "10.6.0.2");
    is_limited(&lab, "c1", "host", "10.6.0.1");
    is_limited(&lab, "c1", "host", "fd00:6::1");
}

#[test]
fn row_28_an_interface_without_a_peer_is_limited_in_the_sandbox() {
    let lab = lab_with_macvlan();
    if lab.reference_fails("it refuses interfaces without a peer") {
        return;
    }
    let inside = || lab.ipv4_in("c1") + &lab.sh_in("c1", "tc qdisc show");
    let before = (lab.snapshot(), inside());
    is_not_limited(&lab, "outer", "c1", "10.5.0.2");
    let (plugin, result) = attach(&lab, &rates(&["ingress", "egress"]), &alone());
    let shaper = &result["interfaces"][1];
    assert_eq!(shaper["sandbox"], "/run/netns/c1");
    let name = shaper["name"].as_str().expect("a name");
    assert_eq!(lab.ip_json_in("c1", &format!("link show dev {name}"))[0]["address"], shaper["mac"]);
    is_limited(&lab, "outer", "c1", "10.5.0.2");
    is_limited(&lab, "c1", "outer", "10.5.0.1");
    let second = plugin.clone().previous(&alone()).add().failure();
    assert_eq!(second, "create qdisc: file exists");
    plugin.del_without_result().silent();
    plugin.del(&result).silent();
    lab.nothing_left(&before.0);
    assert_eq!(inside(), before.1);
    is_not_limited(&lab, "c1", "outer", "10.5.0.1");
}

/// Limits an interface of a kind that not every kernel has; `make` makes `eth0` in `c1`.
fn limits_a_kind(kind: &str, make: &str) {
    let lab = lab_with_macvlan();
    if lab.reference_fails("it refuses interfaces without a peer") {
        return;
    }
    lab.sh_in("c1", "ip link del eth0");
    if lab.try_sh(make).code != 0 {
        return lab.left_out(&format!("the kernel has no {kind} links"));
    }
    lab.sh_in("c1", "ip addr add 10.5.0.2/24 dev eth0; ip link set eth0 up");
    let inside = || lab.ipv4_in("c1") + &lab.sh_in("c1", "tc qdisc show dev eth0");
    let before = inside();
    let (plugin, result) = attach(&lab, &rates(&["ingress", "egress"]), &alone());
    if kind == "ipvlan" || kind == "vlan" {
        is_limited(&lab, "outer", "c1", "10.5.0.2");
        is_limited(&lab, "c1", "outer", "10.5.0.1");
    }
    plugin.del(&result).silent();
    assert_eq!(inside(), before);
}

#[test]
fn row_28_an_ipvlan_interface_is_limited() {
    limits_a_kind("ipvlan", "ip link add eth0 netns c1 link outer type ipvlan mode l2");
}

#[test]
fn row_28_a_vlan_interface_is_limited() {
    limits_a_kind(
        "vlan",
        "ip link add eth0 netns c1 link outer type vlan id 7 &&
         ip -n outer link add vlan7 link eth0 type vlan id 7 &&
         ip -n outer addr flush dev eth0 &&
         ip -n outer addr add 10.5.0.1/24 dev vlan7 && ip -n outer link set vlan7 up",
    );
}

#[test]
fn row_28_a_dummy_interface_is_limited() {
    limits_a_kind("dummy", "ip link add eth0 netns c1 type dummy");
}

#[test]
fn row_28_a_tap_interface_is_limited() {
    limits_a_kind("tap", "ip -n c1 tuntap add eth0 mode tap");
}

#[test]
fn row_28_an_end_of_a_pair_between_containers_is_limited() {
    limits_a_kind("veth", "ip netns add c2 && ip -n c2 link add eth0 type veth peer eth0 netns c1");
}

#[test]
fn row_28_subnets_count_in_the_sandbox_too() {
    let lab = lab_with_macvlan();
    if lab.reference_fails("it refuses interfaces without a peer") {
        return;
    }
    let keys = with(rates(&["ingress", "egress"]), "unshapedSubnets", json!(["10.6.0.1/24"]));
    let (plugin, result) = attach(&lab, &keys, &alone());
    is_limited(&lab, "outer", "c1", "10.5.0.2");
    is_limited(&lab, "c1", "outer", "10.5.0.1");
    is_not_limited(&lab, "outer", "c1", "10.6.0.2");
    is_not_limited(&lab, "c1", "outer", "10.6.0.1");
    lab.sh_in("c1", "tc filter del dev eth0 pref 1");
    let found = plugin.check(&result).failure();
    assert!(found.contains("10.6.0.0/24") && found.contains("missing"), "{found}");
}

#[test]
fn row_28_a_namespace_that_is_gone_took_its_limits_with_it() {
    let lab = lab_with_macvlan();
    if lab.reference_fails("it refuses interfaces without a peer") {
        return;
    }
    let (plugin, result) = attach(&lab, &rates(&["ingress", "egress"]), &alone());
    lab.sh("ip netns del c1");
    plugin.del(&result).silent();
    plugin.without("CNI_NETNS").del_without_result().silent();
}

#[test]
fn row_28_lists_of_subnets_are_checked() {
    let lab = lab_with_pair();
    if lab.reference_fails("it knows no subnets") {
        return;
    }
    let refused = |key: &str, value: Value, message: &str| {
        let keys = with(with(rates(&["egress"]), "unshapedSubnets", json!([])), key, value);
        let plugin = chained(&lab, "bandwidth", &keys).previous(&pair());
        assert_eq!(plugin.add().invalid_config(), message);
    };
    let length = "bad subnet \"10.0.0.0/33\": prefix length exceeds the address";
    refused("unshapedSubnets", json!(["10.0.0.0/8", "10.0.0.0/33"]), length);
    let form = "bad subnet \"10.0.0.0\": invalid CIDR address";
    refused("shapedSubnets", json!(["10.0.0.0"]), form);
    let keys = with(rates(&["egress"]), "unshapedSubnets", json!(["10.0.0.0/8"]));
    let keys = with(keys, "shapedSubnets", json!(["::/0"]));
    let both = chained(&lab, "bandwidth", &keys).previous(&pair()).add().invalid_config();
    assert_eq!(both, "unshapedSubnets and shapedSubnets exclude each other");
}
