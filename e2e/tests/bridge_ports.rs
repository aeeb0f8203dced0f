//! Rows 19 to 21 of the users' wishes: ports beside the containers', a bridge behind another
//! plugin, and bridges that go when nobody uses them. The reference plugin has none of these.

use std::io::Read;
use std::process::{Child, Stdio};

use ropewalk_e2e::{Lab, Plugin, Value, json};

const NOT_KNOWN: &str = "it knows none of these keys";

/// A bridge with these keys on container `c1`, whose namespace exists.
fn bridge<'lab>(lab: &'lab Lab, keys: &Value) -> Plugin<'lab> {
    if !lab.exists("/run/netns/c1") {
        lab.netns("c1");
    }
    let config = json!({ "cniVersion": "1.1.0", "name": "net", "type": "bridge" });
    let keys = keys.as_object().expect("keys are an object").iter();
    let plugin = lab.plugin("bridge").on("c1").config(config);
    keys.fold(plugin, |plugin, (key, value)| plugin.key(key, value))
}

fn ipam() -> Value {
    json!({ "type": "host-local", "subnet": "10.1.2.0/24", "rangeStart": "10.1.2.50" })
}

/// `up0` of the host leads to `eth0` of the namespace `outer`, which has 10.1.2.1.
fn uplink(lab: &Lab) {
    lab.netns("outer");
    lab.sh("ip link add up0 type veth peer name eth0 netns outer
            ip -n outer address add 10.1.2.1/24 dev eth0
            ip -n outer link set eth0 up");
}

fn master(lab: &Lab, link: &str) -> Value {
    lab.ip_json(&format!("link show dev {link}"))[0]["master"].take()
}

fn has_bridge(lab: &Lab, name: &str) -> bool {
    lab.host_links().iter().any(|link| link == name)
}

#[test]
fn row_21_an_uplink_joins_the_containers_to_the_network_outside() {
    let lab = Lab::new();
    if lab.reference_fails(NOT_KNOWN) {
        return;
    }
    uplink(&lab);
    let plugin = bridge(&lab, &json!({ "uplink": "up0", "ipam": ipam() }));
    let result = plugin.add().result();
    assert_eq!(master(&lab, "up0"), "cni0");
    assert!(lab.reaches("c1", "10.1.2.1:9"));
    plugin.check(&result).silent();
    lab.netns("c2");
    let second = plugin.clone().on("c2").add().result();
    assert!(lab.reaches("c2", "10.1.2.1:9"));
    plugin.del(&result).silent();
    plugin.clone().on("c2").del(&second).silent();
    assert_eq!(master(&lab, "up0"), "cni0");
    plugin.add().result();
    assert!(lab.reaches("c1", "10.1.2.1:9"));
}

#[test]
fn row_21_several_ports_of_any_kind() {
    let lab = Lab::new();
    if lab.reference_fails(NOT_KNOWN) {
        return;
    }
    uplink(&lab);
    lab.sh("test -e /dev/net/tun || modprobe tun; ip tuntap add tap0 mode tap");
    let ports = json!([{ "name": "up0" }, { "name": "tap0" }]);
    let plugin = bridge(&lab, &json!({ "ports": ports }));
    let result = plugin.add().result();
    assert_eq!((master(&lab, "up0"), master(&lab, "tap0")), (json!("cni0"), json!("cni0")));
    let interfaces = result["interfaces"].as_array().expect("interfaces");
    assert_eq!(interfaces.len(), 3, "ports are not the container's");
    for change in ["ip link set up0 nomaster", "ip link set tap0 down"] {
        lab.sh(change);
        let message = plugin.check(&result).failure();
        assert!(message.contains("up0") || message.contains("tap0"), "{message}");
        plugin.clone().ifname("eth1").add().result();
        plugin.check(&result).silent();
        plugin.clone().ifname("eth1").del_without_result().silent();
    }
}

#[test]
fn row_21_a_port_that_cannot_be_one_is_refused_and_nothing_is_left() {
    let lab = Lab::new();
    if lab.reference_fails(NOT_KNOWN) {
        return;
    }
    uplink(&lab);
    lab.sh("ip link add busy0 type veth peer name busy1; ip address add 10.9.0.1/24 dev busy0
            ip link add other type bridge; ip link add used0 type veth peer name used1
            ip link set used0 master other");
    let before = lab.snapshot();
    for (name, expected) in [
        ("nope", "Link not found"),
        ("busy0", "it has the address 10.9.0.1/24, which nobody would reach any more"),
        ("used0", "membership of used0 in cni0 cannot be made: it is a port of other"),
    ] {
        let plugin = bridge(&lab, &json!({ "uplink": name, "ipam": ipam() }));
        let message = plugin.add().failure();
        assert!(message.contains(expected), "{message}");
        lab.nothing_left(&before);
        assert!(!lab.has_link("c1", "eth0"));
    }
    assert_eq!(master(&lab, "used0"), "other");
    assert_eq!(master(&lab, "busy0"), Value::Null);
}

#[test]
fn row_21_ports_are_checked_before_anything_is_made() {
    let lab = Lab::new();
    if lab.reference_fails(NOT_KNOWN) {
        return;
    }
    for (keys, expected) in [
        (json!({ "ports": [{}] }), "a port of the bridge has no name"),
        (json!({ "uplink": "a/b" }), "interface name contains / or :"),
        (
            json!({ "uplink": "up0", "ports": [{ "name": "up0" }] }),
            "up0 is a port of the bridge twice",
        ),
        (json!({ "ports": [{ "name": "up0", "vlan": 5000 }] }), "invalid VLAN ID 5000"),
        (json!({ "chained": true, "ipam": ipam() }), "ipam cannot be used with chained"),
    ] {
        let message = bridge(&lab, &keys).add().invalid_config();
        assert!(message.contains(expected), "{message}");
    }
    assert!(!has_bridge(&lab, "cni0"));
}

/// The VLANs of a port as `id flags`.
fn vlans(lab: &Lab, port: &str) -> Vec<String> {
    let text = lab.sh(&format!("bridge -j vlan show dev {port}"));
    let answer: Value = text.parse().expect("bridge answers JSON");
    let vlan = |entry: &Value| {
        let flags = entry["flags"].as_array().into_iter().flatten();
        let flags: Vec<&str> = flags.filter_map(Value::as_str).collect();
        format!("{} {}", entry["vlan"], flags.join(" ")).trim().to_owned()
    };
    answer[0]["vlans"].as_array().into_iter().flatten().map(vlan).collect()
}

#[test]
fn row_19_row_21_an_uplink_has_a_native_vlan_and_carries_others_tagged() {
    let lab = Lab::new();
    if lab.reference_fails(NOT_KNOWN) {
        return;
    }
    if !lab.has_vlan_filtering() {
        return lab.not_here("bridge VLAN filtering");
    }
    uplink(&lab);
    let ports = json!([{ "name": "up0", "vlan": 10, "vlanTrunk": [{ "id": 100 }] }]);
    let plugin = bridge(&lab, &json!({ "vlan": 100, "ports": ports, "ipam": ipam() }));
    let result = plugin.add().result();
    assert_eq!(vlans(&lab, "up0"), ["10 PVID Egress Untagged", "100"]);
    plugin.check(&result).silent();
    // The world outside sees the container in VLAN 100.
    assert!(!lab.reaches("c1", "10.1.2.1:9"));
    lab.sh("ip -n outer address flush dev eth0
            ip -n outer link add link eth0 name eth0.100 type vlan id 100
            ip -n outer address add 10.1.2.1/24 dev eth0.100
            ip -n outer link set eth0.100 up");
    assert!(lab.reaches("c1", "10.1.2.1:9"));
    lab.sh("bridge vlan del vid 100 dev up0");
    let message = plugin.check(&result).failure();
    assert!(message.contains("up0"), "{message}");
}

/// What a plugin that makes a tap of the host answers, and the tap.
fn tap(lab: &Lab) -> Value {
    lab.sh("test -e /dev/net/tun || modprobe tun; ip tuntap add tap0 mode tap");
    json!({
        "cniVersion": "1.1.0",
        "interfaces": [
            { "name": "tap0", "mac": "02:00:00:00:00:07" },
            { "name": "eth0", "sandbox": "/run/netns/c1" },
        ],
        "ips": [{ "address": "10.1.2.7/24", "gateway": "10.1.2.1", "interface": 1 }],
        "routes": [{ "dst": "0.0.0.0/0" }],
    })
}

#[test]
fn row_21_behind_another_plugin_its_interface_becomes_the_port() {
    let lab = Lab::new();
    if lab.reference_fails(NOT_KNOWN) {
        return;
    }
    lab.netns("c1");
    let previous = tap(&lab);
    let before = lab.snapshot();
    let keys = json!({ "chained": true, "isGateway": true, "hairpinMode": true, "ipMasq": true });
    let plugin = bridge(&lab, &keys);
    assert_eq!(plugin.add().failure(), "must be called as chained plugin");
    let result = plugin.clone().previous(&previous).add().result();
    assert_eq!(master(&lab, "tap0"), "cni0");
    assert_eq!(lab.sh("cat /sys/class/net/tap0/brport/hairpin_mode"), "1");
    let names: Vec<&Value> =
        result["interfaces"].as_array().expect("a list").iter().map(|i| &i["name"]).collect();
    assert_eq!(names, ["cni0", "tap0", "eth0"]);
    assert_eq!(result["ips"][0]["interface"], 2);
    assert_eq!(result["routes"], previous["routes"]);
    let addresses = lab.ip_json("-4 address show dev cni0");
    assert_eq!(addresses[0]["addr_info"][0]["local"], "10.1.2.1");
    plugin.check(&result).silent();
    lab.sh("ip link set tap0 nomaster");
    let message = plugin.check(&result).failure();
    assert!(message.contains("tap0"), "{message}");
    lab.sh("ip link set tap0 master cni0; ip link set tap0 type bridge_slave hairpin on");
    plugin.del(&result).silent();
    plugin.del(&result).silent();
    plugin.del_without_result().silent();
    assert_eq!(master(&lab, "tap0"), Value::Null);
    lab.nothing_left(&before);
}

#[test]
fn row_21_behind_another_plugin_there_must_be_one_interface() {
    let lab = Lab::new();
    if lab.reference_fails(NOT_KNOWN) {
        return;
    }
    let mut previous = tap(&lab);
    previous["interfaces"][1]["sandbox"] = "".into();
    let plugin = bridge(&lab, &json!({ "chained": true }));
    let message = plugin.clone().previous(&previous).add().failure();
    assert_eq!(message, "prevResult has several interfaces of the host: tap0, eth0");
    let previous = json!({ "cniVersion": "1.1.0", "interfaces": [] });
    let message = plugin.previous(&previous).add().failure();
    assert_eq!(message, "prevResult has no interface of the host that could be a port");
    assert!(!has_bridge(&lab, "cni0"));
}

/// A gateway that goes when nobody uses it, with other keys.
fn removable<'lab>(lab: &'lab Lab, keys: &Value) -> Plugin<'lab> {
    bridge(lab, keys)
        .key("removeUnused", &json!(true))
        .key("isGateway", &json!(true))
        .key("ipam", &json!({ "type": "host-local", "subnet": "10.1.2.0/24" }))
}

#[test]
fn row_20_a_bridge_goes_with_its_last_container() {
    let lab = Lab::new();
    if lab.reference_fails(NOT_KNOWN) {
        return;
    }
    lab.netns("c2");
    let plugin = removable(&lab, &json!({}));
    let second = plugin.clone().on("c2");
    for knowing in [true, false] {
        let results = [plugin.add().result(), second.add().result()];
        for (plugin, result) in [&plugin, &second].into_iter().zip(&results) {
            assert!(has_bridge(&lab, "cni0"));
            if knowing {
                plugin.del(result).silent();
            } else {
                plugin.del_without_result().silent();
            }
        }
        assert!(!has_bridge(&lab, "cni0"));
    }
    plugin.del_without_result().silent();
    // The namespace may be gone, and nobody has to have asked before.
    lab.sh("ip link add keep type bridge");
    plugin.clone().key("removeUnused", &json!(false)).add().result();
    lab.sh("ip netns del c1");
    plugin.del_without_result().silent();
    assert!(!has_bridge(&lab, "cni0") && has_bridge(&lab, "keep"));
}

#[test]
fn row_20_without_the_wish_a_bridge_stays() {
    let lab = Lab::new();
    if lab.reference_fails(NOT_KNOWN) {
        return;
    }
    let plugin = removable(&lab, &json!({})).key("removeUnused", &json!(false));
    let result = plugin.add().result();
    plugin.del(&result).silent();
    assert!(has_bridge(&lab, "cni0"));
}

#[test]
fn row_20_a_bridge_that_others_made_or_use_stays() {
    for use_of_it in [
        // Made by others; a port of theirs; a link that stands on it; an uplink.
        "ip link set cni0 alias ''",
        "ip link add v0 type veth peer name v1; ip link set v0 master cni0",
        "ip link add link cni0 name mv0 type macvlan",
        "",
    ] {
        let lab = Lab::new();
        if lab.reference_fails(NOT_KNOWN) {
            return;
        }
        uplink(&lab);
        lab.sh("ip -n outer address flush dev eth0");
        let keys = if use_of_it.is_empty() { json!({ "uplink": "up0" }) } else { json!({}) };
        let plugin = removable(&lab, &keys);
        let result = plugin.add().result();
        lab.sh(use_of_it);
        plugin.del(&result).silent();
        assert!(has_bridge(&lab, "cni0"), "{use_of_it}");
    }
    let lab = Lab::new();
    lab.sh("ip link add cni0 type bridge");
    let plugin = removable(&lab, &json!({}));
    plugin.del(&plugin.add().result()).silent();
    assert!(has_bridge(&lab, "cni0"));
}

#[test]
fn row_20_gc_takes_an_idle_bridge_too() {
    let lab = Lab::new();
    if lab.reference_fails(NOT_KNOWN) {
        return;
    }
    lab.netns("c2");
    let plugin = removable(&lab, &json!({}));
    plugin.add().result();
    plugin.clone().on("c2").add().result();
    plugin.gc(&[("c2", "eth0")]).silent();
    assert!(has_bridge(&lab, "cni0") && lab.reaches("c2", "10.1.2.1:9"));
    plugin.gc(&[]).silent();
    assert!(!has_bridge(&lab, "cni0"));
}

/// Locks the host's namespace, `-s` with others or `-x` alone, until its input is closed.
fn lock(lab: &Lab, how: &str) -> Child {
    let script = format!("exec 9</proc/self/ns/net; flock {how} 9; echo locked; cat");
    let mut command = lab.enter();
    command.args(["sh", "-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("flock (util-linux) is installed");
    let mut line = [0; 7];
    let stdout = child.stdout.as_mut().expect("standard output is a pipe");
    stdout.read_exact(&mut line).expect("the lock is taken");
    child
}

fn unlock(mut holder: Child) {
    drop(holder.stdin.take());
    holder.wait().expect("a child can be waited for");
}

/// Waits until somebody waits for the lock.
fn wait_for_waiting(lab: &Lab) {
    let inode = lab.sh("stat -Lc %i /proc/self/ns/net");
    let waits = |line: &str| line.contains("-> FLOCK") && line.contains(&format!(":{inode} "));
    lab.wait_until("somebody waits", || lab.read("/proc/locks").lines().any(waits));
}

#[test]
fn row_20_nobody_uses_a_bridge_while_somebody_looks_whether_it_is_used() {
    let lab = Lab::new();
    if lab.reference_fails(NOT_KNOWN) {
        return;
    }
    let plugin = removable(&lab, &json!({}));
    let looking = lock(&lab, "-x");
    let mut adding = plugin.clone().command("ADD").start();
    wait_for_waiting(&lab);
    assert!(!adding.has_ended() && !has_bridge(&lab, "cni0"));
    unlock(looking);
    let result = adding.finish().result();
    let using = lock(&lab, "-s");
    // Others may use bridges at the same time.
    plugin.clone().ifname("eth1").add().result();
    plugin.clone().ifname("eth1").key("removeUnused", &json!(false)).del_without_result().silent();
    let mut deleting = plugin.clone().command("DEL").previous(&result).start();
    wait_for_waiting(&lab);
    assert!(!deleting.has_ended() && has_bridge(&lab, "cni0"));
    unlock(using);
    deleting.finish().silent();
    assert!(!has_bridge(&lab, "cni0"));
}

#[test]
fn row_20_containers_that_come_and_go_at_once_never_lose_their_bridge() {
    let lab = Lab::new();
    if lab.reference_fails(NOT_KNOWN) {
        return;
    }
    let plugin = removable(&lab, &json!({}));
    let names: Vec<String> = (0..6).map(|number| format!("p{number}")).collect();
    let attachments: Vec<Plugin<'_>> = names
        .iter()
        .map(|name| {
            lab.netns(name);
            plugin.clone().on(name)
        })
        .collect();
    // Half of them come while the other half go.
    let (mut here, mut away) = attachments.split_at(3);
    let mut results: Vec<Value> = here.iter().map(|plugin| plugin.add().result()).collect();
    for _ in 0..12 {
        let going: Vec<_> =
            here.iter().map(|plugin| plugin.clone().command("DEL").start()).collect();
        let coming: Vec<_> =
            away.iter().map(|plugin| plugin.clone().command("ADD").start()).collect();
        for running in going {
            running.finish().silent();
        }
        results = coming.into_iter().map(|running| running.finish().result()).collect();
        (here, away) = (away, here);
        for (plugin, result) in here.iter().zip(&results) {
            plugin.check(result).silent();
        }
    }
    for (plugin, result) in here.iter().zip(&results) {
        plugin.del(result).silent();
    }
    assert!(!has_bridge(&lab, "cni0"));
}

#[test]
fn row_19_row_20_the_gateway_of_a_vlan_goes_with_the_last_container_in_it() {
    let lab = Lab::new();
    if lab.reference_fails(NOT_KNOWN) {
        return;
    }
    if !lab.has_vlan_filtering() {
        return lab.not_here("bridge VLAN filtering");
    }
    lab.netns("c2");
    let in_vlan = |vlan: u16, network: &str| {
        let plugin = removable(&lab, &json!({ "vlan": vlan })).key("name", &json!(network));
        let subnet = format!("10.1.{}.0/24", vlan % 100);
        plugin.key("ipam", &json!({ "type": "host-local", "subnet": subnet }))
    };
    let (first, second) = (in_vlan(101, "one"), in_vlan(102, "two").ifname("eth1"));
    let results = [first.add().result(), second.add().result()];
    let third = first.clone().on("c2");
    let third_result = third.add().result();
    assert!(has_bridge(&lab, "cni0.101") && has_bridge(&lab, "cni0.102"));
    second.del(&results[1]).silent();
    assert!(has_bridge(&lab, "cni0.101") && !has_bridge(&lab, "cni0.102"));
    first.del(&results[0]).silent();
    assert!(lab.reaches("c2", "10.1.1.1:9"));
    third.del(&third_result).silent();
    assert!(!has_bridge(&lab, "cni0.101") && !has_bridge(&lab, "cni0"));
    assert!(lab.host_links().iter().all(|name| !name.starts_with("veth")));
}

#[test]
fn row_20_a_link_that_leases_over_itself_is_made_while_nobody_looks_for_idle_bridges() {
    let lab = Lab::new();
    if lab.reference_fails(NOT_KNOWN) {
        return;
    }
    let plugin = removable(&lab, &json!({})).key("ipam", &json!({ "type": "dhcp" }));
    let looking = lock(&lab, "-x");
    let mut adding = plugin.command("ADD").start();
    wait_for_waiting(&lab);
    assert!(!adding.has_ended() && !has_bridge(&lab, "cni0"));
    unlock(looking);
    let message = adding.finish().failure();
    assert!(message.contains("error dialing DHCP daemon"), "{message}");
    assert!(!lab.has_link("c1", "eth0"));
}
