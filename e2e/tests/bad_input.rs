//! Everything a plugin is given may be wrong: what it reads, where it works, and the disk it writes
//! on. It must say what is wrong with which object, and leave everything as it was.

#[path = "bad_input/disk.rs"]
mod disk;

use ropewalk_e2e::chain::{Chain, bridge_result, chained, names_all, portmap, whole_text};
use ropewalk_e2e::{Lab, Plugin, Role, Sample, Snapshot, Value, json};

const VERBS: [&str; 5] = ["ADD", "CHECK", "DEL", "GC", "STATUS"];
const LEASES: &str = "/var/lib/cni/networks/net";
const TUNING: &str = "/run/cni/tuning";

fn lab_with_containers() -> Lab {
    let lab = Lab::new();
    lab.netns("c1");
    lab.netns("c2");
    lab
}

/// A configuration that the plugin accepts.
fn config(plugin: &str) -> Value {
    let mut config = Sample::of(plugin).config("1.0.0");
    match plugin {
        "bridge" | "host-local" => {
            config["ipam"] = json!({ "type": "host-local", "subnet": "10.1.2.0/24" });
        }
        "portmap" => config["runtimeConfig"] = json!({}),
        "tuning" => config["sysctl"] = json!({}),
        _ => {}
    }
    if Sample::of(plugin).role == Role::Chained {
        config["prevResult"] = bridge_result();
    }
    config
}

fn plugin<'lab>(lab: &'lab Lab, name: &str) -> Plugin<'lab> {
    lab.plugin(name).on("c1").config(config(name))
}

/// The bridge with these `ipam` keys.
fn bridge<'lab>(lab: &'lab Lab, ipam: &Value) -> Plugin<'lab> {
    plugin(lab, "bridge").key("ipam", ipam)
}

/// Nothing has changed, not even Shared things.
#[track_caller]
fn unchanged(lab: &Lab, before: &Snapshot) {
    assert_eq!(&lab.snapshot(), before);
}

#[test]
fn text_that_is_no_json_object_is_refused_by_every_verb() {
    let lab = lab_with_containers();
    let before = lab.snapshot();
    let valid = config("bridge").to_string();
    let texts =
        ["", " ", "{", "[]", "\"net\"", "7", "{\"name\":}", &format!("{valid}x"), &valid[1..]];
    for name in lab.plugin_names() {
        for verb in VERBS {
            for text in &texts {
                let outcome = plugin(&lab, name).stdin(text).command(verb).run();
                let message = outcome.error_with_code(6);
                assert!(message.starts_with("error unmarshall network config: "), "{message}");
            }
        }
    }
    unchanged(&lab, &before);
}

#[test]
fn values_of_the_wrong_type_are_all_told_with_their_keys() {
    let lab = lab_with_containers();
    if lab.reference_fails("it tells the first") {
        return;
    }
    let before = lab.snapshot();
    for (name, keys) in [
        (
            "bridge",
            json!({ "mtu": "x", "vlan": [], "isGateway": 1, "bridge": {}, "ipMasq": "yes" }),
        ),
        ("portmap", json!({ "snat": 1, "markMasqBit": "x", "conditionsV4": "-s", "backend": 7 })),
        ("firewall", json!({ "backend": [], "ingressPolicy": 1, "iptablesAdminChainName": {} })),
        ("tuning", json!({ "mtu": "x", "promisc": "on", "sysctl": 7, "dataDir": 1, "mac": {} })),
    ] {
        let keys = keys.as_object().expect("an object");
        let plugin = keys.iter().fold(plugin(&lab, name), |p, (key, value)| p.key(key, value));
        let outcome = plugin.add();
        names_all(&outcome.error_with_code(7), &["json: cannot unmarshal "]);
        let keys: Vec<&str> = keys.keys().map(String::as_str).collect();
        names_all(&whole_text(&outcome), &keys);
    }
    unchanged(&lab, &before);
}

#[test]
fn a_port_of_the_wrong_type_is_told_once() {
    let lab = lab_with_containers();
    if lab.reference_fails("its text is another one") {
        return;
    }
    let mappings = json!([{ "hostPort": "80", "containerPort": 80, "protocol": "tcp" }]);
    let outcome = portmap(&lab, &mappings, &json!({})).previous(&bridge_result()).add();
    outcome.error_with_code(7);
    let text = whole_text(&outcome);
    names_all(&text, &["runtimeConfig.portMappings[0].hostPort of type int"]);
    assert!(!text.contains("Invalid host port number"), "not a second error: {text}");
}

#[test]
fn an_unknown_version_is_refused_with_those_that_are_known() {
    let lab = lab_with_containers();
    let before = lab.snapshot();
    for name in lab.plugin_names() {
        for verb in ["ADD", "DEL"] {
            let plugin = plugin(&lab, name).key("cniVersion", &json!("9.9.9")).command(verb);
            let error = plugin.run().error();
            assert_eq!((error.code, error.msg.as_str()), (1, "incompatible CNI versions"));
            names_all(&error.details, &["9.9.9", "1.0.0"]);
            let plugin = plugin.key("cniVersion", &json!(1.0));
            names_all(&plugin.run().error_with_code(6), &["decoding version"]);
        }
    }
    unchanged(&lab, &before);
}

#[test]
fn names_that_are_none_are_refused_with_the_name() {
    let lab = lab_with_containers();
    let before = lab.snapshot();
    for name in lab.plugin_names() {
        for verb in ["ADD", "DEL"] {
            let plugin = plugin(&lab, name).command(verb);
            for network in ["../net", "a b", ".net", "net/1"] {
                let error = plugin.clone().key("name", &json!(network)).run().error();
                let message = "invalid characters found in network name";
                assert_eq!((error.code, error.msg.as_str()), (7, message));
                assert_eq!(error.details, network);
            }
            let outcome = plugin.clone().key("name", &json!("")).run();
            assert_eq!(outcome.error_with_code(7), "missing network name");
            for container in ["../c1", "a b", "-c1", "c1/x", "c1\n"] {
                let error = plugin.clone().container(container).run().error();
                let message = "invalid characters in containerID";
                assert_eq!((error.code, error.msg.as_str()), (4, message));
                assert_eq!(error.details, container);
            }
            for ifname in ["eth0/..", "a b", "a:b", "..", "sixteen-letters-"] {
                let outcome = plugin.clone().ifname(ifname).run();
                names_all(&outcome.error_with_code(4), &["interface name "]);
            }
        }
    }
    unchanged(&lab, &before);
}

#[test]
fn a_namespace_that_is_none_is_named_and_del_does_not_need_it() {
    let lab = lab_with_containers();
    lab.write("/run/lab/file", "not a namespace");
    let before = lab.snapshot();
    for name in ["bridge", "loopback", "tuning"] {
        for path in ["/run/netns/nope", "/run/lab/file", "/run/lab"] {
            let plugin = plugin(&lab, name).netns(path);
            names_all(&plugin.add().failure(), &[path]);
            lab.nothing_left(&before);
        }
        plugin(&lab, name).netns("/run/netns/nope").del_without_result().silent();
        lab.nothing_left(&before);
    }
    assert!(lab.leases("net").is_empty());
}

#[test]
fn the_plugins_own_namespace_is_refused_before_anything_is_done() {
    let lab = lab_with_containers();
    if lab.reference_fails("it notices afterwards") {
        return;
    }
    lab.sh("ip netns attach host $$");
    let before = lab.snapshot();
    for name in ["bridge", "loopback", "portmap", "firewall", "tuning"] {
        for verb in ["ADD", "DEL"] {
            let plugin = plugin(&lab, name).netns("/run/netns/host").key("mtu", &json!(1400));
            assert_eq!(
                plugin.command(verb).run().error_with_code(8),
                "plugin's netns and netns from CNI_NETNS should not be the same"
            );
        }
    }
    unchanged(&lab, &before);
}

#[test]
fn an_exhausted_range_is_named_and_nobody_loses_anything() {
    let lab = lab_with_containers();
    let ipam = json!({ "type": "host-local", "subnet": "10.1.2.0/30" });
    let first = bridge(&lab, &ipam);
    let result = first.add().result();
    let before = lab.snapshot();
    let second = first.clone().on("c2");
    let range = "no IP addresses available in range set: 10.1.2.1-10.1.2.2";
    assert_eq!(second.add().failure(), format!("failed to allocate for range 0: {range}"));
    if lab.reference_fails("it leaves the pair of links") {
        return;
    }
    unchanged(&lab, &before);
    assert!(!lab.has_link("c2", "eth0"));
    first.check(&result).silent();
    let status = second.clone().key("cniVersion", &json!("1.1.0")).status();
    assert_eq!(status.error_with_code(50), range);
    names_all(&status.error().details, &["hint: "]);
    second.del_without_result().silent();
    unchanged(&lab, &before);
    first.del(&result).silent();
    second.add().result();
}

#[test]
fn overlapping_ranges_are_refused_before_anything_is_done() {
    let within = json!([[{ "subnet": "10.1.2.0/24" }, { "subnet": "10.1.2.128/25" }]]);
    let between = json!([[{ "subnet": "10.1.2.0/24" }], [{ "subnet": "10.1.2.128/25" }]]);
    let overlap =
        "invalid range set 0: subnets 10.1.2.1-10.1.2.254 and 10.1.2.129-10.1.2.254 overlap";
    for (ranges, message) in [(within, overlap), (between, "range set 0 overlaps with 1")] {
        let lab = lab_with_containers();
        let before = lab.snapshot();
        let plugin = bridge(&lab, &json!({ "type": "host-local", "ranges": ranges }));
        assert_eq!(plugin.add().invalid_config(), message);
        if !lab.reference_fails("it leaves the pair of links") {
            unchanged(&lab, &before);
        }
    }
}

#[test]
fn a_chain_whose_port_is_taken_leaves_nothing_once_it_is_deleted() {
    let lab = lab_with_containers();
    if lab.reference_fails("the first rule wins silently") || lab.lacks_nftables() {
        return;
    }
    let mappings = json!([{ "hostPort": 8080, "containerPort": 80, "protocol": "tcp" }]);
    let chain =
        Chain(vec![ropewalk_e2e::chain::bridge(&lab), portmap(&lab, &mappings, &json!({}))]);
    let result = chain.add();
    let before = lab.snapshot();
    let second = chain.on("c2");
    let (partial, failure) = second.try_add();
    let failure = failure.expect("the port is taken");
    names_all(&whole_text(&failure), &["8080", "already used by", "net/c1/eth0"]);
    failure.failure();
    second.del(&partial.expect("the bridge succeeded"));
    unchanged(&lab, &before);
    chain.check(&result);
}

#[test]
fn a_second_add_is_an_error_and_takes_nothing_from_the_first() {
    let lab = lab_with_containers();
    if lab.reference_fails("it gives the address of the first back") {
        return;
    }
    for (name, words) in [
        ("bridge", ["eth0", "already exists"]),
        ("host-local", ["c1", "duplicate allocation is not allowed"]),
        ("firewall", ["net/c1/eth0", "already exists"]),
    ] {
        if name == "firewall" && lab.lacks_nftables() {
            return;
        }
        let plugin = plugin(&lab, name);
        let result = plugin.add().result();
        let before = lab.snapshot();
        names_all(&plugin.add().failure(), &words);
        unchanged(&lab, &before);
        plugin.check(&result).silent();
        plugin.del(&result).silent();
    }
}

#[test]
fn a_second_add_without_addresses_is_an_error_too() {
    let lab = lab_with_containers();
    let plugin = bridge(&lab, &json!({}));
    let result = plugin.add().result();
    let before = lab.snapshot();
    names_all(&plugin.add().failure(), &["eth0", "already exists"]);
    unchanged(&lab, &before);
    if !lab.reference_fails("its CHECK needs an address plugin") {
        plugin.check(&result).silent();
    }
}

#[test]
fn del_of_nothing_is_silent_and_makes_nothing() {
    let lab = lab_with_containers();
    let before = lab.snapshot();
    // Without its daemon, dhcp cannot know whether there is a lease.
    for name in lab.plugin_names().filter(|name| *name != "dhcp") {
        let plugin = plugin(&lab, name);
        plugin.clone().command("DEL").run().silent();
        plugin.key("prevResult", &Value::Null).del_without_result().silent();
        unchanged(&lab, &before);
    }
    assert!(!lab.exists("/sys/class/net/cni0"));
}

#[test]
fn corrupt_leases_are_nobodys_and_are_kept_until_gc_and_empty_ones_until_del() {
    let lab = lab_with_containers();
    let plugin = plugin(&lab, "host-local");
    let corrupt = [
        ("10.1.2.2", ""),
        ("10.1.2.3", "garbage\n\n\n"),
        ("10.1.2.4", "c1\r\neth0\r\nmore"),
        ("10.1.2.5", "\u{0}\u{0}\u{0}\u{0}"),
        ("10.1.2.300", "c1\r\neth0x"),
        ("README", "not an address"),
    ];
    for (name, content) in corrupt {
        lab.write(&format!("{LEASES}/{name}"), content);
    }
    let result = plugin.add().result();
    assert_eq!(result["ips"][0]["address"], "10.1.2.6/24");
    plugin.check(&result).silent();
    plugin.del(&result).silent();
    if lab.reference_fails("it does not see that an empty one was left by a killed ADD") {
        return;
    }
    assert!(!lab.exists(&format!("{LEASES}/10.1.2.2")));
    for (name, content) in &corrupt[1..] {
        assert_eq!(lab.read(&format!("{LEASES}/{name}")), *content);
    }
    let plugin = plugin.key("cniVersion", &json!("1.1.0"));
    plugin.gc(&[("c1", "eth0")]).silent();
    let kept = ["10.1.2.300", "10.1.2.4", "10.1.2.5", "README"];
    assert_eq!(lab.leases("net"), kept, "one of them may have been the lease of c1");
    plugin.gc(&[]).silent();
    assert_eq!(lab.leases("net"), ["10.1.2.300", "README"], "what is no lease is not ours");
}

#[test]
fn a_lease_that_cannot_be_read_keeps_nobody_else_from_an_address() {
    let lab = lab_with_containers();
    let plugin = plugin(&lab, "host-local");
    if lab.reference_fails("it ends with an error that names nothing") {
        return;
    }
    lab.sh(&format!("mkdir -p {LEASES}/10.1.2.2 {LEASES}/10.1.2.9"));
    let result = plugin.add().result();
    assert_eq!(result["ips"][0]["address"], "10.1.2.3/24");
    plugin.check(&result).silent();
    plugin.del(&result).silent();
}

/// The container's interface is one end of a pair; its MTU is 1500.
fn tuned(lab: &Lab) -> Plugin<'_> {
    lab.sh("ip link add host0 type veth peer name eth0 netns c1");
    chained(lab, "tuning", &json!({ "mtu": 1400 })).previous(&json!({ "cniVersion": "1.0.0" }))
}

fn mtu(lab: &Lab) -> Value {
    lab.ip_json_in("c1", "link show dev eth0")[0]["mtu"].take()
}

#[test]
fn a_corrupt_tuning_backup_stops_nobody() {
    for text in [
        "",
        "garbage",
        "[]",
        "{\"mtu\":",
        r#"{"mtu":"x","mac":"zz","promisc":7,"sysctl":[]}"#,
        r#"{"mtu":-1}"#,
        r#"{"sysctl":{"net/core/nope":"1","../../etc/x":"1"}}"#,
    ] {
        let lab = lab_with_containers();
        let before = lab.snapshot();
        let plugin = tuned(&lab);
        lab.write(&format!("{TUNING}/c1_eth0.json"), text);
        let deleted = plugin.clone().command("DEL").run();
        if lab.reference_fails("it keeps the file") {
            return;
        }
        deleted.silent();
        assert!(lab.list(TUNING).is_empty(), "{text:?} is still there");
        assert_eq!(mtu(&lab), 1500);
        // An ADD over it remembers what it finds.
        lab.write(&format!("{TUNING}/c1_eth0.json"), text);
        plugin.add().result();
        assert_eq!(mtu(&lab), 1400);
        plugin.command("DEL").run().silent();
        assert_eq!(mtu(&lab), 1500, "after {text:?}");
        lab.sh("ip link del host0");
        unchanged(&lab, &before);
    }
}

#[test]
fn a_directory_in_place_of_a_tuning_backup_is_named() {
    let lab = lab_with_containers();
    let plugin = tuned(&lab);
    lab.sh(&format!("mkdir -p {TUNING}/c1_eth0.json"));
    let message = plugin.add().failure();
    names_all(&message, &["/run/cni/tuning/c1_eth0.json", "is a directory"]);
    if !lab.reference_fails("it has changed the interface before") {
        assert_eq!(mtu(&lab), 1500);
    }
}
