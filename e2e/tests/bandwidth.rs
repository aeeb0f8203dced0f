//! BW 287 to 294: what bandwidth makes at the host's end of a pair, and what it refuses.
//!
//! The container has one end of a veth pair, `eth0`; the other is the host's `host0`.

use ropewalk_e2e::chain::{self, chained, pair, without};
use ropewalk_e2e::{Lab, Plugin, Value, json, reference};

/// What the reference plugin calls the link of `c1` on `net`.
const SHAPER: &str = "bwp623e1c388032";

fn lab_with_pair() -> Lab {
    let lab = chain::lab_with_pair();
    lab.sh("ip link set host0 mtu 1400 addrgenmode none up");
    lab
}

/// 8 Mbit/s toward the container and 16 from there.
fn rates() -> Value {
    json!({
        "ingressRate": 8_000_000, "ingressBurst": 800_000,
        "egressRate": 16_000_000, "egressBurst": 1_600_000,
    })
}

fn bandwidth<'lab>(lab: &'lab Lab, keys: &Value) -> Plugin<'lab> {
    chained(lab, "bandwidth", keys)
}

fn add(plugin: &Plugin<'_>) -> Value {
    plugin.clone().previous(&pair()).add().result()
}

/// The disciplines of a link that are not the kernel's own choice, without counters.
fn qdiscs(lab: &Lab, link: &str) -> Value {
    let shown = lab.sh(&format!("tc -j qdisc show dev {link}"));
    let shown: Vec<Value> = serde_json_list(&shown);
    shown
        .into_iter()
        .filter(|qdisc| qdisc["handle"] != "0:")
        .map(|q| without(&q, "refcnt"))
        .collect()
}

fn serde_json_list(text: &str) -> Vec<Value> {
    let list: Value = text.parse().expect("tc answers JSON");
    list.as_array().cloned().expect("a list")
}

/// A limit as `tc` shows it.
fn bucket(bytes_per_second: u64, burst: u64) -> Value {
    json!({ "kind": "tbf", "handle": "1:", "root": true, "options": {
        "rate": bytes_per_second, "burst": burst, "lat": 25_000,
    }})
}

fn links(lab: &Lab) -> Vec<String> {
    let links = lab.ip_json("link show");
    let names = links.as_array().into_iter().flatten().filter_map(|l| l["ifname"].as_str());
    names.map(str::to_owned).collect()
}

fn has_shaper(lab: &Lab) -> bool {
    links(lab).iter().any(|name| name.starts_with("bwp"))
}

#[test]
fn bw_287_both_directions_are_limited_at_the_hosts_end() {
    let lab = lab_with_pair();
    let result = add(&bandwidth(&lab, &rates()));
    let shaper = &lab.ip_json(&format!("link show dev {SHAPER}"))[0];
    assert_eq!(shaper["linkinfo"]["info_kind"], "ifb");
    assert_eq!(shaper["mtu"], 1400);
    assert!(shaper["flags"].as_array().is_some_and(|flags| flags.contains(&json!("UP"))));
    let mut interfaces = pair()["interfaces"].as_array().cloned().expect("a list");
    interfaces.push(json!({ "name": SHAPER, "mac": shaper["address"] }));
    assert_eq!(result["interfaces"], Value::Array(interfaces));
    let at_the_end = json!([
        bucket(1_000_000, 100_000),
        { "kind": "ingress", "handle": "ffff:", "parent": "ffff:fff1", "options": {} },
    ]);
    assert_eq!(qdiscs(&lab, "host0"), at_the_end);
    assert_eq!(qdiscs(&lab, SHAPER), json!([bucket(2_000_000, 200_000)]));
    let filters = serde_json_list(&lab.sh("tc -j filter show dev host0 parent ffff:"));
    let filter = filters.iter().find(|f| f["options"]["match"].is_object()).expect("a filter");
    assert_eq!((&filter["protocol"], &filter["pref"]), (&json!("all"), &json!(1)));
    assert_eq!(filter["options"]["match"]["mask"], "0");
    let action = &filter["options"]["actions"][0];
    assert_eq!(action["mirred_action"], "redirect");
    assert_eq!(action["to_dev"], SHAPER);
    assert_eq!(action["control_action"]["type"], "stolen");
}

#[test]
fn bw_287_one_direction_alone() {
    let lab = lab_with_pair();
    let ingress = json!({ "ingressRate": 8_000_000, "ingressBurst": 800_000 });
    let plugin = bandwidth(&lab, &ingress);
    let result = add(&plugin);
    assert_eq!(result["interfaces"], pair()["interfaces"]);
    assert_eq!(qdiscs(&lab, "host0"), json!([bucket(1_000_000, 100_000)]));
    assert!(!has_shaper(&lab));
    plugin.check(&result).silent();
    lab.sh("tc qdisc del dev host0 root");
    let egress = json!({ "egressRate": 8_000_000, "egressBurst": 800_000 });
    let plugin = bandwidth(&lab, &egress);
    let result = add(&plugin);
    assert_eq!(result["interfaces"][2]["name"], SHAPER);
    assert_eq!(qdiscs(&lab, "host0")[0]["kind"], "ingress");
    assert_eq!(qdiscs(&lab, SHAPER), json!([bucket(1_000_000, 100_000)]));
    plugin.check(&result).silent();
}

#[test]
fn bw_287_extreme_rates_are_what_tc_shows() {
    for (rate, burst, shown) in [
        (100_000_000_000_u64, 34_359_738_352_u64, 12_500_000_000_u64),
        (34_359_738_368, 8_000_000, 4_294_967_296),
        (8_000, 16_000, 1_000),
    ] {
        let lab = lab_with_pair();
        let plugin = bandwidth(&lab, &json!({ "ingressRate": rate, "ingressBurst": burst }));
        let result = add(&plugin);
        assert_eq!(qdiscs(&lab, "host0")[0]["options"]["rate"], shown);
        plugin.check(&result).silent();
    }
}

#[test]
fn bw_287_two_interfaces_of_a_container_do_not_meet() {
    let lab = lab_with_pair();
    if lab.reference_fails("it gives both the same link") {
        return;
    }
    lab.sh("ip link add host1 type veth peer name net1 netns c1; ip link set host1 up");
    let first = bandwidth(&lab, &rates());
    let first_result = add(&first);
    let second = bandwidth(&lab, &rates()).ifname("net1");
    let previous: Value =
        pair().to_string().replace("eth0", "net1").replace("host0", "host1").parse().expect("JSON");
    let second_result = second.clone().previous(&previous).add().result();
    let name = second_result["interfaces"][2]["name"].as_str().expect("a name").to_owned();
    assert_ne!(name, SHAPER);
    second.check(&second_result).silent();
    second.del(&second_result).silent();
    second.del_without_result().silent();
    assert!(!links(&lab).contains(&name));
    first.check(&first_result).silent();
}

#[test]
fn bw_288_what_the_runtime_says_counts_where_the_configuration_says_nothing() {
    let lab = lab_with_pair();
    let plugin = bandwidth(&lab, &json!({ "runtimeConfig": { "bandwidth": rates() } }));
    let result = add(&plugin);
    assert_eq!(qdiscs(&lab, "host0")[0], bucket(1_000_000, 100_000));
    plugin.check(&result).silent();
    plugin.del(&result).silent();
    assert!(!has_shaper(&lab));
}

#[test]
fn bw_288_a_zero_in_the_configuration_hides_what_the_runtime_says() {
    let lab = lab_with_pair();
    let before = lab.snapshot();
    let hidden = json!({ "ingressRate": 0, "runtimeConfig": { "bandwidth": rates() } });
    assert_eq!(add(&bandwidth(&lab, &hidden))["interfaces"], pair()["interfaces"]);
    assert_eq!(qdiscs(&lab, "host0"), json!([]));
    lab.nothing_left(&before);
    let other = json!({
        "ingressRate": 4_000_000, "ingressBurst": 400_000, "runtimeConfig": { "bandwidth": rates() },
    });
    add(&bandwidth(&lab, &other));
    assert_eq!(qdiscs(&lab, "host0"), json!([bucket(500_000, 50_000)]));
    assert!(!has_shaper(&lab));
}

#[test]
fn bw_288_an_absent_or_empty_object_of_the_runtime_limits_nothing() {
    let lab = lab_with_pair();
    for keys in
        [json!({}), json!({ "runtimeConfig": {} }), json!({ "runtimeConfig": { "bandwidth": {} } })]
    {
        assert_eq!(add(&bandwidth(&lab, &keys))["interfaces"], pair()["interfaces"]);
    }
    assert_eq!(qdiscs(&lab, "host0"), json!([]));
}

#[test]
fn bw_289_rate_and_burst_belong_together() {
    let lab = lab_with_pair();
    let too_much = 34_359_738_360_u64;
    for (keys, message) in [
        (json!({ "ingressRate": 8000 }), "if rate is set, burst must also be set"),
        (json!({ "egressRate": 8000 }), "if rate is set, burst must also be set"),
        (json!({ "ingressBurst": 8000 }), "if burst is set, rate must also be set"),
        (json!({ "egressBurst": 8000 }), "if burst is set, rate must also be set"),
        (json!({ "ingressRate": 8, "ingressBurst": too_much }), "burst cannot be more than 4GB"),
        (json!({ "egressRate": 8, "egressBurst": too_much }), "burst cannot be more than 4GB"),
    ] {
        for keys in [keys.clone(), json!({ "runtimeConfig": { "bandwidth": keys } })] {
            let plugin = bandwidth(&lab, &keys).previous(&pair());
            assert_eq!(plugin.add().invalid_config(), message, "{keys}");
        }
    }
    assert_eq!(qdiscs(&lab, "host0"), json!([]));
}

#[test]
fn bw_289_a_version_without_interfaces_is_refused() {
    let lab = lab_with_pair();
    let plugin = bandwidth(&lab, &rates()).key("cniVersion", &json!("0.2.0"));
    plugin.add().error_with_code(1);
    let versions = lab.plugin("bandwidth").command("VERSION").stdin("{}").run().result();
    let mut expected = vec!["0.3.0", "0.3.1", "0.4.0", "1.0.0"];
    if !reference() {
        expected.push("1.1.0");
    }
    assert_eq!(versions["supportedVersions"], json!(expected));
}

#[test]
fn bw_290_the_previous_result_must_tell_the_hosts_end() {
    let lab = lab_with_pair();
    let plugin = bandwidth(&lab, &rates());
    assert_eq!(plugin.add().failure(), "must be called as chained plugin");
    let told = |interfaces: Value| {
        let previous = json!({ "cniVersion": "1.0.0", "interfaces": interfaces });
        plugin.clone().previous(&previous).add().failure()
    };
    let inside = json!({ "name": "eth0", "sandbox": "/run/netns/c1" });
    let nobody = "no veth peer of container interface found in host ns";
    assert_eq!(told(json!([inside])), nobody);
    assert_eq!(told(json!([{ "name": "host9" }, inside])), nobody);
    assert_eq!(told(json!([{ "name": "host0", "sandbox": "/run/netns/c1" }, inside])), nobody);
    assert_eq!(told(json!([])), "no interfaces provided");
    let missing = plugin.clone().ifname("eth9").previous(&pair()).add().failure();
    assert!(missing.starts_with("container interface eth9 has no veth peer: "), "{missing}");
    assert!(missing.contains("Link not found"), "{missing}");
    assert_eq!(qdiscs(&lab, "host0"), json!([]));
    assert!(!has_shaper(&lab));
}

#[test]
fn bw_291_without_rates_and_without_a_result_there_is_an_error_object() {
    let lab = lab_with_pair();
    if lab.reference_fails("it crashes") {
        return;
    }
    assert_eq!(bandwidth(&lab, &json!({})).add().failure(), "must be called as chained plugin");
}

#[test]
fn bw_292_a_second_add_is_refused_and_changes_nothing() {
    let lab = lab_with_pair();
    let plugin = bandwidth(&lab, &rates());
    let result = add(&plugin);
    let second = plugin.clone().previous(&pair()).add().failure();
    assert_eq!(second, "create qdisc: file exists");
    plugin.check(&result).silent();
    let ingress = json!({ "ingressRate": 8_000_000, "ingressBurst": 800_000 });
    let second = bandwidth(&lab, &ingress).previous(&pair()).add().failure();
    assert_eq!(second, "create qdisc: file exists");
    let egress = json!({ "egressRate": 8_000_000, "egressBurst": 800_000 });
    let second = bandwidth(&lab, &egress).previous(&pair()).add().failure();
    assert_eq!(second, "adding link: file exists");
    plugin.check(&result).silent();
}

#[test]
fn bw_292_a_discipline_of_somebody_else_is_not_touched() {
    let lab = lab_with_pair();
    lab.sh("tc qdisc add dev host0 root handle 7: pfifo");
    let plugin = bandwidth(&lab, &rates());
    assert_eq!(plugin.clone().previous(&pair()).add().failure(), "create qdisc: file exists");
    assert!(!has_shaper(&lab));
    plugin.del(&pair()).silent();
    assert_eq!(qdiscs(&lab, "host0")[0]["kind"], "pfifo");
}

#[test]
fn bw_293_check_is_content_and_del_takes_everything_twice() {
    let lab = lab_with_pair();
    let before = lab.snapshot();
    let plugin = bandwidth(&lab, &rates());
    let result = add(&plugin);
    plugin.check(&result).silent();
    plugin.del(&result).silent();
    lab.nothing_left(&before);
    plugin.del(&result).silent();
    plugin.del_without_result().silent();
    if !reference() {
        assert_eq!(qdiscs(&lab, "host0"), json!([]));
        add(&plugin);
    }
}

#[test]
fn bw_293_del_needs_neither_result_nor_namespace() {
    let lab = lab_with_pair();
    let before = lab.snapshot();
    let plugin = bandwidth(&lab, &rates());
    add(&plugin);
    plugin.del_without_result().silent();
    lab.nothing_left(&before);
    lab.try_sh("tc qdisc del dev host0 root; tc qdisc del dev host0 ingress");
    add(&plugin);
    lab.sh("ip netns del c1");
    plugin.without("CNI_NETNS").del_without_result().silent();
    assert!(!has_shaper(&lab));
}

#[test]
fn bw_293_gc_takes_the_links_of_the_invalid() {
    let lab = lab_with_pair();
    if lab.reference_fails("it does nothing at GC") {
        return;
    }
    let plugin = bandwidth(&lab, &rates()).key("cniVersion", &json!("1.1.0"));
    let result = add(&plugin);
    plugin.gc(&[("c1", "eth0")]).silent();
    plugin.check(&result).silent();
    plugin.clone().key("name", &json!("other")).gc(&[]).silent();
    plugin.check(&result).silent();
    plugin.gc(&[("c1", "eth1"), ("c2", "eth0")]).silent();
    assert!(!has_shaper(&lab));
    plugin.status().silent();
}

#[test]
fn bw_294_check_notices_every_number() {
    let lab = lab_with_pair();
    let plugin = bandwidth(&lab, &rates());
    let result = add(&plugin);
    let changed = |key: &str, value: u64| {
        let outcome = plugin.clone().key(key, &json!(value)).check(&result);
        outcome.failure()
    };
    for (key, value, message) in [
        ("ingressRate", 9_000_000, "Rate doesn't match"),
        ("ingressBurst", 900_000, "Limit doesn't match"),
        ("egressRate", 17_000_000, "Rate doesn't match"),
        ("egressBurst", 1_700_000, "Limit doesn't match"),
    ] {
        let found = changed(key, value);
        assert!(found.starts_with(message), "{key}: {found}");
    }
    for (link, rate, burst, limit) in
        [("host0", "8mbit", 100_000, 125_000), (SHAPER, "16mbit", 200_000, 250_000)]
    {
        let set = |rate: &str, limit: u64| {
            let bucket = format!("rate {rate} burst {burst} limit {limit}");
            lab.sh(&format!("tc qdisc change dev {link} root tbf {bucket}"));
        };
        set("5mbit", limit);
        let found = plugin.check(&result).failure();
        assert!(found.starts_with("Rate doesn't match"), "{found}");
        set(rate, limit + 1);
        let found = plugin.check(&result).failure();
        assert!(found.starts_with("Limit doesn't match"), "{found}");
        set(rate, limit);
        plugin.check(&result).silent();
    }
}

#[test]
fn bw_294_check_notices_everything_that_is_gone() {
    let lab = lab_with_pair();
    if lab.reference_fails("it looks at the buckets alone") {
        return;
    }
    let plugin = bandwidth(&lab, &rates());
    for (removal, word) in [
        ("tc qdisc del dev host0 root".to_owned(), "host0"),
        ("tc qdisc del dev host0 ingress".to_owned(), "ingress"),
        ("tc filter del dev host0 ingress".to_owned(), "filter"),
        (format!("ip link set {SHAPER} down"), "down"),
        (format!("tc qdisc del dev {SHAPER} root"), SHAPER),
        (format!("ip link del {SHAPER}"), "get ifb device: Link not found"),
    ] {
        let result = add(&plugin);
        lab.sh(&removal);
        let found = plugin.check(&result).failure();
        assert!(found.contains(word), "{removal}: {found}");
        plugin.del(&result).silent();
    }
}
