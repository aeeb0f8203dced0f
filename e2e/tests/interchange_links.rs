//! Links that stand on one of the host's: the packaged reference plugins and ours delete and check
//! what the other has attached.

mod clients {
    pub(crate) mod packaged;
}

use clients::packaged;
use ropewalk_e2e::{Lab, Plugin, UPLINK, Value, dual_stack, json};

/// One of the packaged plugins, to be run alone.
#[track_caller]
fn packaged_plugin<'lab>(lab: &'lab Lab, name: &str) -> Plugin<'lab> {
    packaged::require_them();
    // A laboratory gives plugins by their names in the directory of those under test; the parent
    // of the root is the root.
    let directory = packaged::DIRECTORY;
    lab.plugin(&format!("../../../../../../../../../..{directory}/{name}")).path(directory)
}

/// ADD with one set of plugins, CHECK and DEL with the other.
#[track_caller]
fn hands_over(lab: &Lab, config: &Value, adder: &Plugin<'_>, deleter: &Plugin<'_>) {
    lab.netns("c1");
    let [adder, deleter] =
        [adder, deleter].map(|plugin| plugin.clone().on("c1").config(config.clone()));
    let before = lab.snapshot();
    let result = adder.add().result();
    assert!(lab.reaches("c1", "10.9.0.2:9") || config["type"] == "vlan");
    deleter.check(&result).silent();
    deleter.del(&result).silent();
    lab.nothing_made(&before);
    assert!(lab.leases("net").is_empty());
    adder.del(&result).silent();
    lab.sh("ip netns del c1");
}

#[track_caller]
fn either_deletes_what_the_other_attached(plugin: &str, own: &Value) {
    let lab = Lab::new();
    if !lab.has_kind(plugin) {
        return lab.not_here(&format!("links of kind {plugin}"));
    }
    lab.uplink();
    let mut config = json!({
        "cniVersion": "1.0.0", "name": "net", "type": plugin, "master": UPLINK,
        "ipam": dual_stack(),
    });
    for (key, value) in own.as_object().into_iter().flatten() {
        config[key] = value.clone();
    }
    let (theirs, ours) = (packaged_plugin(&lab, plugin), lab.plugin(plugin));
    hands_over(&lab, &config, &theirs, &ours);
    hands_over(&lab, &config, &ours, &theirs);
}

#[test]
fn either_deletes_a_macvlan_that_the_other_attached() {
    either_deletes_what_the_other_attached("macvlan", &json!({ "mode": "vepa", "mtu": 1400 }));
}

#[test]
fn either_deletes_an_ipvlan_that_the_other_attached() {
    either_deletes_what_the_other_attached("ipvlan", &json!({ "mode": "l2" }));
}

#[test]
fn either_deletes_a_vlan_that_the_other_attached() {
    either_deletes_what_the_other_attached("vlan", &json!({ "vlanId": 5, "mtu": 1400 }));
}
