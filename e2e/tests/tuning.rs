//! TU 305 to 315: what tuning sets, gives back and refuses.
//!
//! The container has one end of a veth pair, `eth0`; the other is the host's `host0`.

use ropewalk_e2e::chain::{chained, lab_with_pair, names_all, pair};
use ropewalk_e2e::{Lab, Plugin, Value, json, reference};

const BACKUP: &str = "/run/cni/tuning/c1_eth0.json";

fn tuning<'lab>(lab: &'lab Lab, keys: &Value) -> Plugin<'lab> {
    chained(lab, "tuning", keys)
}

fn add(plugin: &Plugin<'_>) -> Value {
    plugin.clone().previous(&pair()).add().result()
}

/// Attributes of the container's interface.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Attributes {
    mac: String,
    mtu: i64,
    queue: i64,
    promiscuous: bool,
    all_multicast: bool,
}

fn attributes(lab: &Lab) -> Attributes {
    let link = &lab.ip_json_in("c1", "link show dev eth0")[0];
    Attributes {
        mac: link["address"].as_str().expect("a MAC address").to_owned(),
        mtu: link["mtu"].as_i64().expect("an MTU"),
        queue: link["txqlen"].as_i64().expect("a queue length"),
        promiscuous: link["promiscuity"] == 1,
        all_multicast: link["flags"].as_array().is_some_and(|f| f.contains(&json!("ALLMULTI"))),
    }
}

/// A sysctl of the container, as a path below `/proc/sys/net`.
fn sysctl(lab: &Lab, path: &str) -> String {
    lab.sh_in("c1", &format!("cat /proc/sys/net/{path}"))
}

/// All attributes and two sysctls.
fn everything() -> Value {
    json!({
        "mac": "02:00:00:00:00:11", "promisc": true, "mtu": 1400, "allmulti": true, "txQLen": 555,
        "sysctl": { "net.ipv4.conf.eth0.arp_filter": "1", "net/core/somaxconn": "500" },
    })
}

#[test]
fn tu_305_everything_is_set_and_the_result_tells_the_mac() {
    let lab = lab_with_pair();
    let host = lab.sh("cat /proc/sys/net/core/somaxconn");
    let plugin = tuning(&lab, &everything());
    let result = add(&plugin);
    let expected = Attributes {
        mac: "02:00:00:00:00:11".into(),
        mtu: 1400,
        // 1.1.1 does not know txQLen.
        queue: if reference() { 1000 } else { 555 },
        promiscuous: true,
        all_multicast: true,
    };
    assert_eq!(attributes(&lab), expected);
    assert_eq!(sysctl(&lab, "ipv4/conf/eth0/arp_filter"), "1");
    assert_eq!(sysctl(&lab, "core/somaxconn"), "500");
    assert_eq!(lab.sh("cat /proc/sys/net/core/somaxconn"), host, "the host keeps its own");
    assert_eq!(result["interfaces"][0]["mac"], "00:00:00:00:00:01");
    assert_eq!(result["interfaces"][1]["mac"], "02:00:00:00:00:11");
    assert_eq!(result["interfaces"][1]["sandbox"], "/run/netns/c1");
    plugin.check(&result).silent();
}

#[test]
fn tu_305_the_backup_has_what_was_there_and_only_what_is_changed() {
    let lab = lab_with_pair();
    let before = attributes(&lab);
    add(&tuning(&lab, &everything()));
    let backup: Value = lab.read(BACKUP).parse().expect("the backup is JSON");
    let mut expected = json!({ "mac": before.mac, "promisc": false, "mtu": 1500, "allmulti": false, "txQLen": 1000 });
    if reference() {
        expected.as_object_mut().expect("an object").remove("txQLen");
    }
    for (key, value) in expected.as_object().expect("an object") {
        assert_eq!(&backup[key], value, "{key}");
    }
    assert_eq!(lab.mode(BACKUP), 0o600);
    let other = tuning(&lab, &json!({ "mtu": 1300 })).container("c2");
    add(&other);
    let backup: Value = lab.read("/run/cni/tuning/c2_eth0.json").parse().expect("JSON");
    assert_eq!(backup["mtu"], 1400);
    for key in ["mac", "promisc", "allmulti", "txQLen"] {
        assert_eq!(backup[key], Value::Null, "{key}");
    }
}

#[test]
fn tu_305_without_keys_nothing_is_done() {
    let lab = lab_with_pair();
    let before = (attributes(&lab), lab.snapshot());
    let plugin = tuning(&lab, &json!({}));
    assert_eq!(add(&plugin)["interfaces"], pair()["interfaces"]);
    plugin.check(&pair()).silent();
    assert_eq!((attributes(&lab), lab.snapshot()), before);
    plugin.del(&pair()).silent();
}

#[test]
fn tu_306_del_gives_everything_back_and_removes_the_backup() {
    let lab = lab_with_pair();
    if lab.reference_fails("it does not give back sysctls and the queue length") {
        return;
    }
    lab.sh_in(
        "c1",
        "echo 2 >/proc/sys/net/ipv4/conf/eth0/arp_announce; ip link set eth0 txqlen 77",
    );
    let before = attributes(&lab);
    let plugin = tuning(&lab, &everything());
    let plugin = plugin.key(
        "sysctl",
        &json!({
            "net.ipv4.conf.eth0.arp_announce": "1", "net.core.somaxconn": "500",
            "net.ipv4.ip_local_port_range": "20000\t30000",
        }),
    );
    let sysctls = ["ipv4/conf/eth0/arp_announce", "core/somaxconn", "ipv4/ip_local_port_range"];
    let values = || sysctls.map(|path| sysctl(&lab, path));
    let values_before = values();
    let dels: [&dyn Fn(&Value); 3] = [
        &|result| plugin.del(result).silent(),
        &|_| plugin.del_without_result().silent(),
        // The configuration may be another one by now.
        &|_| tuning(&lab, &json!({})).del_without_result().silent(),
    ];
    for del in dels {
        let result = add(&plugin);
        assert_ne!(attributes(&lab), before);
        assert_eq!(values(), ["1", "500", "20000\t30000"]);
        plugin.check(&result).silent();
        del(&result);
        assert_eq!(attributes(&lab), before);
        assert_eq!(values(), values_before);
        assert!(!lab.exists(BACKUP));
        del(&result);
    }
}

#[test]
fn tu_306_a_second_add_does_not_spoil_what_is_given_back() {
    let lab = lab_with_pair();
    let before = attributes(&lab);
    add(&tuning(&lab, &json!({ "mtu": 1400 })));
    let second = tuning(&lab, &json!({ "mtu": 1300 }));
    second.clone().previous(&pair()).add();
    if lab.reference_fails("it remembers what the first ADD has set") {
        return;
    }
    second.del(&pair()).silent();
    assert_eq!(attributes(&lab), before);
}

#[test]
fn tu_306_a_failing_add_leaves_everything_as_it_was() {
    let lab = lab_with_pair();
    if lab.reference_fails("it leaves what it has set, and the backup") {
        return;
    }
    let before = (attributes(&lab), lab.snapshot());
    let port_range = sysctl(&lab, "ipv4/ip_local_port_range");
    let mut keys = everything();
    // The kernel refuses the last one.
    keys["sysctl"] = json!({
        "net.ipv4.ip_local_port_range": "20000 30000", "net.ipv6.conf.eth0.mtu": "7",
    });
    let message = tuning(&lab, &keys).previous(&pair()).add().failure();
    names_all(&message, &["net/ipv6/conf/eth0/mtu", "invalid argument"]);
    assert_eq!((attributes(&lab), lab.snapshot()), before);
    assert_eq!(sysctl(&lab, "ipv4/ip_local_port_range"), port_range);
}

#[test]
fn tu_307_del_without_the_namespace_is_silent_and_removes_the_backup() {
    for netns in ["/run/netns/c1", ""] {
        let lab = lab_with_pair();
        let plugin = tuning(&lab, &everything());
        add(&plugin);
        assert!(lab.exists(BACKUP));
        lab.sh("ip netns del c1");
        plugin.clone().netns(netns).del_without_result().silent();
        if !lab.reference_fails("it keeps the backup") {
            assert!(!lab.exists(BACKUP));
            assert!(lab.list("/run/cni/tuning").is_empty());
        }
    }
}

#[test]
fn tu_307_gc_removes_the_backups_of_attachments_that_are_not_valid() {
    let lab = lab_with_pair();
    if lab.reference_fails("1.1.1 knows the specification to 1.0.0 only") {
        return;
    }
    let plugin = tuning(&lab, &json!({ "cniVersion": "1.1.0", "mtu": 1400 }));
    add(&plugin);
    add(&plugin.clone().container("c2").key("mtu", &json!(1300)));
    add(&plugin.clone().key("name", &json!("lan")).container("c3").key("mtu", &json!(1200)));
    let files = || lab.list("/run/cni/tuning");
    plugin.gc(&[("c1", "eth0"), ("c2", "eth0")]).silent();
    assert_eq!(files(), ["c1_eth0.json", "c2_eth0.json", "c3_eth0.json"]);
    plugin.gc(&[("c2", "eth0"), ("c1", "eth1")]).silent();
    assert_eq!(files(), ["c2_eth0.json", "c3_eth0.json"]);
    plugin.gc(&[]).silent();
    assert_eq!(files(), ["c3_eth0.json"], "another network's stay");
}

#[test]
fn tu_308_only_sysctls_of_the_network_can_be_set() {
    let lab = lab_with_pair();
    let before = (attributes(&lab), lab.snapshot());
    let refused = |key: &str| {
        let plugin = tuning(&lab, &json!({ "mtu": 1400, "sysctl": { key: "1" } }));
        plugin.previous(&pair()).add().invalid_config()
    };
    assert_eq!(refused("kernel/shmmax"), r#"invalid net sysctl key: "kernel/shmmax""#);
    names_all(&refused("kernel.shmmax"), &["invalid net sysctl key: "]);
    if lab.reference_fails("1.1.1 joins the path to /proc/sys/net") {
        return;
    }
    for key in ["net/../kernel/shmmax", "../net/core/somaxconn", "vm.swappiness"] {
        names_all(&refused(key), &["invalid net sysctl key: "]);
    }
    assert_eq!((attributes(&lab), lab.snapshot()), before);
}

#[test]
fn tu_308_a_sysctl_that_does_not_exist_is_an_error() {
    let lab = lab_with_pair();
    let before = (attributes(&lab), lab.snapshot());
    let keys = json!({ "mtu": 1400, "sysctl": { "net.core.nope": "1" } });
    let message = tuning(&lab, &keys).previous(&pair()).add().failure();
    assert_eq!(message, "open /proc/sys/net/core/nope: no such file or directory");
    assert_eq!((attributes(&lab), lab.snapshot()), before);
}

#[test]
fn tu_308_a_sysctl_may_be_named_once() {
    let lab = lab_with_pair();
    if lab.reference_fails("1.1.1 takes the last") {
        return;
    }
    let before = lab.snapshot();
    let text = r#"{ "cniVersion": "1.0.0", "name": "net", "type": "tuning", "prevResult": {},
        "sysctl": { "net.core.somaxconn": "500", "net.core.somaxconn": "501" } }"#;
    let outcome = tuning(&lab, &json!({})).stdin(text).add();
    assert_eq!(outcome.invalid_config(), "duplicated sysctl keys are not allowed");
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn tu_309_the_allowlist_decides_by_regular_expressions() {
    let lab = lab_with_pair();
    if lab.reference_fails("1.1.1 does not know the list") {
        return;
    }
    lab.write("/etc/cni/tuning/allowlist.conf", "^net\\.core\\.somaxconn$\n^net\\.ipv4\\..*arp_\n");
    let plugin = |key: &str| tuning(&lab, &json!({ "sysctl": { key: "1" } }));
    for key in ["net.core.somaxconn", "net.ipv4.conf.IFNAME.arp_filter"] {
        let plugin = plugin(key);
        add(&plugin);
        plugin.del(&pair()).silent();
    }
    for key in ["net.core.netdev_budget", "net.ipv4.ip_forward", "net/core/somaxconn"] {
        let before = lab.snapshot();
        let message = plugin(key).previous(&pair()).add().refused();
        let start =
            format!("Sysctl {key} is not allowed. Only the following sysctls are allowed: ");
        assert!(message.starts_with(&start), "{message}");
        names_all(&message, &["somaxconn", "arp_"]);
        assert_eq!(lab.snapshot(), before);
        // Only ADD asks the list: what was set before it came can still be removed.
        plugin(key).del(&pair()).silent();
    }
}

#[test]
fn tu_310_the_interface_can_be_named_by_a_placeholder() {
    let lab = lab_with_pair();
    let keys = json!({ "sysctl": { "net.ipv4.conf.IFNAME.arp_filter": "1" } });
    let plugin = tuning(&lab, &keys);
    let result = add(&plugin);
    assert_eq!(sysctl(&lab, "ipv4/conf/eth0/arp_filter"), "1");
    assert_eq!(sysctl(&lab, "ipv4/conf/all/arp_filter"), "0");
    if !lab.reference_fails("1.1.1 looks for an interface IFNAME") {
        plugin.check(&result).silent();
    }
}

#[test]
fn tu_311_args_go_before_the_configuration() {
    let lab = lab_with_pair();
    let mut keys = everything();
    keys["promisc"] = json!(false);
    keys["args"] = json!({ "cni": {
        "mac": "02:00:00:00:00:22", "promisc": true, "mtu": 1300, "allmulti": true, "txQLen": 12,
        "sysctl": { "net.core.somaxconn": "700", "net.ipv4.conf.eth0.arp_filter": "0" },
    } });
    let plugin = tuning(&lab, &keys);
    let result = add(&plugin);
    let expected = Attributes {
        mac: "02:00:00:00:00:22".into(),
        mtu: 1300,
        queue: if reference() { 1000 } else { 12 },
        promiscuous: true,
        all_multicast: true,
    };
    assert_eq!(attributes(&lab), expected);
    assert_eq!(result["interfaces"][1]["mac"], "02:00:00:00:00:22");
    assert_eq!(sysctl(&lab, "ipv4/conf/eth0/arp_filter"), "0");
    if lab.reference_fails("two spellings of a sysctl are set in random order") {
        return;
    }
    assert_eq!(sysctl(&lab, "core/somaxconn"), "700");
    plugin.check(&result).silent();
}

#[test]
fn tu_311_a_sysctl_in_args_needs_none_in_the_configuration() {
    let lab = lab_with_pair();
    if lab.reference_fails("it crashes") {
        return;
    }
    let args = json!({ "cni": { "sysctl": { "net.core.somaxconn": "600" } } });
    let plugin = tuning(&lab, &json!({ "args": args }));
    let before = sysctl(&lab, "core/somaxconn");
    let result = add(&plugin);
    assert_eq!(sysctl(&lab, "core/somaxconn"), "600");
    plugin.check(&result).silent();
    plugin.del(&result).silent();
    assert_eq!(sysctl(&lab, "core/somaxconn"), before);
}

#[test]
fn tu_311_the_mac_may_come_from_four_places() {
    let lab = lab_with_pair();
    let plugin = tuning(&lab, &json!({ "mac": "02:00:00:00:00:01" }));
    let mac = |plugin: &Plugin<'_>| {
        let result = add(plugin);
        assert_eq!(result["interfaces"][1]["mac"], attributes(&lab).mac);
        plugin.del(&result).silent();
        result["interfaces"][1]["mac"].clone()
    };
    assert_eq!(mac(&plugin), "02:00:00:00:00:01");
    let plugin = plugin.args("IgnoreUnknown=1;MAC=02:00:00:00:00:02");
    assert_eq!(mac(&plugin), "02:00:00:00:00:02");
    let plugin = plugin.key("runtimeConfig", &json!({ "mac": "02:00:00:00:00:03" }));
    assert_eq!(mac(&plugin), "02:00:00:00:00:03");
    let plugin = plugin.key("args", &json!({ "cni": { "mac": "02:00:00:00:00:04" } }));
    assert_eq!(mac(&plugin), "02:00:00:00:00:04");
}

#[test]
fn tu_312_it_must_be_chained() {
    let lab = lab_with_pair();
    let plugin = tuning(&lab, &json!({ "mtu": 1400 }));
    assert_eq!(plugin.add().failure(), "Required prevResult missing");
    assert_eq!(attributes(&lab).mtu, 1500);
    plugin.del_without_result().silent();
}

#[test]
fn tu_313_a_mac_that_is_none_is_refused() {
    let lab = lab_with_pair();
    let before = (attributes(&lab), lab.snapshot());
    for keys in [
        json!({ "mac": "zz" }),
        json!({ "runtimeConfig": { "mac": "zz" } }),
        json!({ "args": { "cni": { "mac": "zz" } } }),
    ] {
        let message = tuning(&lab, &keys).previous(&pair()).add().invalid_config();
        assert!(message.starts_with("invalid args zz for MAC addr: "), "{message}");
    }
    if lab.reference_fails("it writes the backup before it looks") {
        return;
    }
    assert_eq!((attributes(&lab), lab.snapshot()), before);
}

/// What CHECK says after this script has run in the container.
fn check_after(keys: &Value, script: &str) -> String {
    let lab = lab_with_pair();
    let plugin = tuning(&lab, keys);
    let result = add(&plugin);
    plugin.check(&result).silent();
    lab.sh_in("c1", script);
    plugin.check(&result).failure()
}

#[test]
fn tu_314_check_names_attribute_configured_and_current_value() {
    let mut cases = vec![
        (
            json!({ "mac": "02:00:00:00:00:11" }),
            "ip link set eth0 address 02:00:00:00:00:12",
            ["eth0", "02:00:00:00:00:11", "02:00:00:00:00:12"],
        ),
        (json!({ "mtu": 1400 }), "ip link set eth0 mtu 1300", ["eth0", "1400", "1300"]),
        (json!({ "promisc": true }), "ip link set eth0 promisc off", ["eth0", "promisc", "true"]),
        (
            json!({ "promisc": false }),
            "ip link set eth0 promisc on",
            ["Error: Tuning link eth0 configured promisc is ", "false", "current value is "],
        ),
        (
            json!({ "sysctl": { "net.core.somaxconn": "500" } }),
            "echo 501 >/proc/sys/net/core/somaxconn",
            ["net/core/somaxconn", "500", "501"],
        ),
    ];
    if !reference() {
        // 1.1.1 fails for the promiscuous mode that nobody has configured.
        let all = json!({ "allmulti": true });
        cases.push((all, "ip link set eth0 allmulticast off", ["eth0", "multi", "true"]));
        let queue = json!({ "txQLen": 555 });
        cases.push((queue, "ip link set eth0 txqlen 556", ["eth0", "555", "556"]));
    }
    for (keys, script, words) in cases {
        names_all(&check_after(&keys, script), &words);
    }
}

#[test]
fn tu_314_several_values_of_a_sysctl_may_be_separated_by_any_blanks() {
    let lab = lab_with_pair();
    if lab.reference_fails("it compares texts") {
        return;
    }
    let keys = json!({ "sysctl": { "net.ipv4.ip_local_port_range": "20000 30000" } });
    let plugin = tuning(&lab, &keys);
    let result = add(&plugin);
    assert_eq!(sysctl(&lab, "ipv4/ip_local_port_range"), "20000\t30000");
    plugin.check(&result).silent();
}

#[test]
fn tu_314_check_compares_what_the_configuration_names_and_nothing_else() {
    let lab = lab_with_pair();
    let plugin = tuning(&lab, &json!({ "mtu": 1400 }));
    let result = add(&plugin);
    // A packet sniffer makes an interface promiscuous.
    lab.sh_in("c1", "ip link set eth0 promisc on; ip link set eth0 allmulticast on txqlen 5");
    if !lab.reference_fails("an absent promisc is false for it") {
        plugin.check(&result).silent();
    }
    let named = plugin.key("promisc", &json!(false));
    let message = named.check(&result).failure();
    names_all(
        &message,
        &["Error: Tuning link eth0 configured promisc is false, current value is "],
    );
}

#[test]
fn tu_315_the_directory_of_the_backup_can_be_chosen() {
    let lab = lab_with_pair();
    let plugin = tuning(&lab, &json!({ "mtu": 1400, "dataDir": "/run/lab/tuning" }));
    let result = add(&plugin);
    assert_eq!(lab.list("/run/lab/tuning"), ["c1_eth0.json"]);
    assert!(!lab.exists("/run/cni/tuning"));
    plugin.del(&result).silent();
    assert_eq!(attributes(&lab).mtu, 1500);
    assert!(lab.list("/run/lab/tuning").is_empty());
}
