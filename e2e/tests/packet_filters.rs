//! Configurations that only one packet filter can serve, on hosts that have the other: they are
//! refused before anything is made.

use ropewalk_e2e::chain::{bridge_result, portmap};
use ropewalk_e2e::{Lab, Plugin, Value, json};

/// A plugin that makes an interface, with more keys.
fn interface<'lab>(lab: &'lab Lab, name: &str, keys: &Value) -> Plugin<'lab> {
    let plugin = lab.plugin(name).on("c1").config(json!({
        "cniVersion": "1.0.0", "name": "net", "type": name,
        "ipam": { "type": "host-local", "subnet": "10.1.2.0/24" },
    }));
    let keys = keys.as_object().expect("keys are an object").iter();
    keys.fold(plugin, |plugin, (key, value)| plugin.key(key, value))
}

/// `portmap` with these keys, behind a plugin that made an interface.
fn published<'lab>(lab: &'lab Lab, keys: &Value) -> Plugin<'lab> {
    let mappings = json!([{ "hostPort": 8080, "containerPort": 80, "protocol": "tcp" }]);
    portmap(lab, &mappings, keys).previous(&bridge_result())
}

/// Asserts that ADD fails with all these words and has made nothing, not even what is Shared.
#[track_caller]
fn is_refused(lab: &Lab, plugin: &Plugin<'_>, words: &[&str]) {
    let before = lab.snapshot();
    let outcome = plugin.add();
    let error = outcome.error();
    let text = format!("{} {}", error.msg, error.details);
    for word in words.iter().chain(&["hint: "]) {
        assert!(text.contains(word), "{word:?} is not in {outcome}");
    }
    assert_eq!(lab.snapshot(), before, "{outcome}");
}

#[test]
fn pm_277_what_only_nftables_can_do_is_refused_without_it() {
    let lab = Lab::new();
    if lab.has_nftables() {
        return lab.not_here("a kernel without nftables");
    }
    lab.netns("c1");
    let masquerade = json!({ "ipMasq": true, "ipMasqBackend": "nftables" });
    for plugin in [
        published(&lab, &json!({ "backend": "nftables" })),
        published(&lab, &json!({ "conditionsV4": ["ip", "saddr", "10.99.0.2/32"] })),
        published(&lab, &json!({ "conditionsV6": ["ip6", "saddr", "!=", "fd00::1"] })),
        interface(&lab, "bridge", &masquerade),
        interface(&lab, "ptp", &masquerade),
        interface(&lab, "bridge", &json!({ "macspoofchk": true })),
    ] {
        is_refused(&lab, &plugin, &["nf_tables"]);
    }
}

#[test]
fn pm_277_what_only_iptables_can_do_is_refused_without_it() {
    let lab = Lab::new();
    if lab.reference_fails("it has leased an address by then") {
        return;
    }
    lab.netns("c1");
    let masquerade = json!({ "ipMasq": true, "ipMasqBackend": "iptables" });
    for plugin in [
        published(&lab, &json!({ "backend": "iptables" })),
        published(&lab, &json!({ "externalSetMarkChain": "KUBE-MARK-MASQ" })),
        published(&lab, &json!({ "conditionsV4": ["!", "-s", "10.99.0.2/32"] })),
        interface(&lab, "bridge", &masquerade),
        interface(&lab, "ptp", &masquerade),
    ] {
        let plugin = plugin.variable("PATH", "/nowhere");
        is_refused(&lab, &plugin, &["\"iptables\"", "not found"]);
    }
}
