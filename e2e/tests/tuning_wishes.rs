//! Row 29 of the wishes: tuning sets offloads, sets sysctls in a given order, and gives all back.

use std::collections::BTreeMap;

use ropewalk_e2e::chain::{self, chained, names_all, pair};
use ropewalk_e2e::{Lab, Plugin, Value, json};

const BACKUP: &str = "/run/cni/tuning/c1_eth0.json";

/// A host whose container has one end of a pair, `eth0`; nothing for the reference plugin.
fn lab_with_pair() -> Option<Lab> {
    let lab = chain::lab_with_pair();
    let refuses = lab.reference_fails("it knows neither offloads nor an order of sysctls");
    (!refuses).then_some(lab)
}

fn tuning<'lab>(lab: &'lab Lab, keys: &Value) -> Plugin<'lab> {
    chained(lab, "tuning", keys)
}

fn add(plugin: &Plugin<'_>) -> Value {
    plugin.clone().previous(&pair()).add().result()
}

/// What `ethtool` says of the container's interface, by name: `on`, `off`, `off [fixed]`.
fn offloads(lab: &Lab) -> BTreeMap<String, String> {
    let shown = lab.sh_in("c1", "ethtool -k eth0");
    let pairs = shown.lines().filter_map(|line| line.trim().split_once(": "));
    pairs.map(|(name, state)| (name.to_owned(), state.to_owned())).collect()
}

#[test]
fn row_29_offloads_are_set_compared_and_given_back() {
    let Some(lab) = lab_with_pair() else { return };
    let before = offloads(&lab);
    let keys = json!({ "ethtool": {
        "tx-checksum-ip-generic": false, "tso": false, "gro": true, "rx": false, "txvlan": false,
    }});
    let plugin = tuning(&lab, &keys);
    let result = add(&plugin);
    let now = offloads(&lab);
    for (name, state) in [
        ("tx-checksum-ip-generic", "off"),
        ("tx-tcp-segmentation", "off"),
        ("tx-tcp6-segmentation", "off"),
        ("generic-receive-offload", "on"),
        ("rx-checksumming", "off"),
        ("tx-vlan-offload", "off"),
        ("scatter-gather", "on"),
    ] {
        assert_eq!(now[name], state, "{name}");
    }
    plugin.check(&result).silent();
    lab.sh_in("c1", "ethtool -K eth0 gro off");
    let found = plugin.check(&result).failure();
    names_all(&found, &["eth0", "ethtool", "rx-gro on", "current value is off"]);
    lab.sh_in("c1", "ethtool -K eth0 gro on tso on tx on");
    names_all(&plugin.check(&result).failure(), &["off", "current value is on"]);
    plugin.del(&result).silent();
    assert_eq!(offloads(&lab), before);
    assert!(!lab.exists(BACKUP));
}

#[test]
fn row_29_a_second_add_does_not_spoil_what_is_given_back() {
    let Some(lab) = lab_with_pair() else { return };
    let before = offloads(&lab);
    add(&tuning(&lab, &json!({ "ethtool": { "tso": false } })));
    let plugin = tuning(&lab, &json!({ "ethtool": { "tso": true, "sg": false } }));
    plugin.clone().previous(&pair()).add();
    let plugin = tuning(&lab, &json!({ "ethtool": { "tso": false, "sg": false } }));
    add(&plugin);
    plugin.del_without_result().silent();
    assert_eq!(offloads(&lab), before);
}

#[test]
fn row_29_what_a_link_cannot_do_is_an_error_and_changes_nothing() {
    let Some(lab) = lab_with_pair() else { return };
    let before = offloads(&lab);
    for (ethtool, words) in [
        (json!({ "rx": false, "tx-warp-drive": true }), ["tx-warp-drive", "no offload"]),
        (json!({ "rx": false, "rx-hashing": true }), ["rx-hashing", "cannot be changed"]),
        (
            json!({ "tx-checksum-ip-generic": false, "tx-tcp-segmentation": true }),
            ["tx-tcp-segmentation", "without others"],
        ),
    ] {
        let keys = json!({ "mtu": 1400, "ethtool": ethtool });
        let found = tuning(&lab, &keys).previous(&pair()).add().failure();
        names_all(&found, &words);
        assert_eq!(offloads(&lab), before, "{found}");
        assert_eq!(lab.ip_json_in("c1", "link show dev eth0")[0]["mtu"], 1500);
        assert!(!lab.exists(BACKUP));
    }
    // What is as it shall be needs no change.
    let plugin = tuning(&lab, &json!({ "ethtool": { "rx-hashing": false, "lro": false } }));
    let result = add(&plugin);
    plugin.check(&result).silent();
    let wrong = tuning(&lab, &json!({ "ethtool": { "tso": "off" } })).previous(&pair()).add();
    names_all(&wrong.invalid_config(), &["ethtool.tso", "bool"]);
}

#[test]
fn row_29_offloads_may_come_with_the_arguments_and_a_gone_namespace_is_fine() {
    let Some(lab) = lab_with_pair() else { return };
    let arguments = json!({ "cni": { "ethtool": { "tso": false } } });
    let keys = json!({ "ethtool": { "tso": true, "sg": false }, "args": arguments });
    let plugin = tuning(&lab, &keys);
    let result = add(&plugin);
    assert_eq!(offloads(&lab)["tcp-segmentation-offload"], "off");
    assert_eq!(offloads(&lab)["scatter-gather"], "off");
    plugin.check(&result).silent();
    lab.sh("ip netns del c1");
    plugin.del(&result).silent();
    assert!(!lab.exists(BACKUP));
}

/// Switching forwarding sets whether redirects are accepted, so that the order shows.
#[test]
fn row_29_sysctls_of_a_list_are_set_in_its_order() {
    let Some(lab) = lab_with_pair() else { return };
    let redirects = "net.ipv4.conf.all.accept_redirects";
    let read = || {
        let files = "/proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/all/accept_redirects";
        lab.sh_in("c1", &format!("cat {files}"))
    };
    let before = read();
    assert_eq!(before, "0\n1");
    let forward = json!({ "net.ipv4.ip_forward": "1" });
    let accept = json!({ redirects: "1" });
    let plugin = tuning(&lab, &json!({ "sysctl": [forward, accept] }));
    let result = add(&plugin);
    assert_eq!(read(), "1\n1", "forwarding first, then redirects");
    plugin.check(&result).silent();
    plugin.del(&result).silent();
    assert_eq!(read(), before);
    let sorted = tuning(&lab, &json!({ "sysctl": { redirects: "1", "net.ipv4.ip_forward": "1" } }));
    add(&sorted);
    assert_eq!(read(), "1\n0", "an object has no order of its own");
}

#[test]
fn row_29_a_list_of_sysctls_is_checked_like_an_object() {
    let Some(lab) = lab_with_pair() else { return };
    let (filter, announce) = ("net.ipv4.conf.eth0.arp_filter", "net.ipv4.conf.eth0.arp_announce");
    let refused = |list: Value| {
        let keys = json!({ "sysctl": list });
        tuning(&lab, &keys).previous(&pair()).add().invalid_config()
    };
    let twice = refused(json!([{ filter: "1" }, { filter: "2" }]));
    assert_eq!(twice, "duplicated sysctl keys are not allowed");
    let two = "an entry of sysctl must have one name";
    assert_eq!(refused(json!([{ filter: "1", announce: "2" }])), two);
    assert_eq!(refused(json!([{}])), two);
    let key = "invalid net sysctl key: \"kernel.shmmax\"";
    assert_eq!(refused(json!([{ filter: "1" }, { "kernel.shmmax": "2" }])), key);
    let arguments = json!({ "cni": { "sysctl": { announce: "1", filter: "0" } } });
    let keys = json!({ "sysctl": [{ filter: "1" }, { announce: "2" }], "args": arguments });
    let plugin = tuning(&lab, &keys);
    let result = add(&plugin);
    let conf = "/proc/sys/net/ipv4/conf/eth0";
    assert_eq!(lab.sh_in("c1", &format!("cat {conf}/arp_filter {conf}/arp_announce")), "0\n1");
    plugin.check(&result).silent();
    plugin.del(&result).silent();
}
