//! PM 270, 273, 277 to 285: what portmap accepts and refuses, and what it leaves behind.
//!
//! The containers are results on paper; traffic has a file of its own.

use ropewalk_e2e::chain::{
    bridge_result, iptables_rules, lab_with_bridge, names_all, portmap, second_result, whole_text,
    without,
};
use ropewalk_e2e::{Lab, Plugin, Value, json, reference};

/// What `backend` may be: left out, it is nftables; with the reference plugins, iptables.
const BACKENDS: [Option<&str>; 2] = [None, Some("iptables")];

fn web() -> Value {
    json!([{ "hostPort": 8080, "containerPort": 80, "protocol": "tcp" }])
}

/// A web server, and name servers of both kinds.
fn several() -> Value {
    json!([
        { "hostPort": 8080, "containerPort": 80, "protocol": "tcp" },
        { "hostPort": 5353, "containerPort": 53, "protocol": "udp", "hostIP": "127.0.0.1" },
        { "hostPort": 5353, "containerPort": 53, "protocol": "tcp", "hostIP": "fd00:99::1" },
    ])
}

/// ADD with the result of `c1`.
fn add(plugin: &Plugin<'_>) -> Value {
    plugin.clone().previous(&bridge_result()).add().result()
}

/// One ADD and DEL, so that what is Shared is there.
fn settle(lab: &Lab, plugin: &Plugin<'_>) -> ropewalk_e2e::Snapshot {
    plugin.del(&add(plugin)).silent();
    lab.snapshot()
}

#[test]
fn pm_270_it_must_be_chained() {
    let lab = lab_with_bridge();
    for mappings in [web(), json!([])] {
        let message = portmap(&lab, &mappings, &json!({})).add().failure();
        assert_eq!(message, "must be called as chained plugin");
    }
}

#[test]
fn pm_270_without_mappings_the_result_passes_through() {
    let lab = lab_with_bridge();
    let before = lab.snapshot();
    let plugin = portmap(&lab, &json!([]), &json!({}));
    assert_eq!(without(&add(&plugin), "dns"), bridge_result());
    let plugin = plugin.key("runtimeConfig", &Value::Null);
    assert_eq!(without(&add(&plugin), "dns"), bridge_result());
    assert_eq!(lab.snapshot(), before);
    plugin.check(&bridge_result()).silent();
}

#[test]
fn pm_270_with_mappings_the_result_passes_through_too() {
    for backend in BACKENDS {
        let lab = lab_with_bridge();
        let plugin = portmap(&lab, &several(), &json!({ "backend": backend }));
        assert_eq!(without(&add(&plugin), "dns"), bridge_result());
    }
}

/// ADD with these mappings and other keys is refused, and changes nothing.
fn refused(mappings: &Value, keys: &Value, expected: &str) {
    let lab = lab_with_bridge();
    let before = lab.snapshot();
    let plugin = portmap(&lab, mappings, keys).previous(&bridge_result());
    assert_eq!(plugin.add().invalid_config(), format!("failed to parse config: {expected}"));
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn pm_273_there_are_32_marks_and_one_way_to_choose_them() {
    for bit in [32, -1] {
        let keys = json!({ "markMasqBit": bit });
        refused(&web(), &keys, "MasqMarkBit must be between 0 and 31");
    }
    let keys = json!({ "markMasqBit": 3, "externalSetMarkChain": "KUBE-MARK-MASQ" });
    refused(&web(), &keys, "Cannot specify externalSetMarkChain and markMasqBit");
}

#[test]
fn pm_277_backend_and_conditions_must_fit() {
    let lab = Lab::new();
    if lab.reference_fails("1.1.1 does not know the key") {
        return;
    }
    refused(&web(), &json!({ "backend": "zz" }), r#"unrecognized backend "zz""#);
    refused(
        &web(),
        &json!({ "backend": "iptables", "conditionsV4": ["ip", "saddr", "10.0.0.1"] }),
        "iptables backend was requested but configuration contains nftables-specific options \
         [conditionsV4]",
    );
    refused(
        &web(),
        &json!({ "backend": "nftables", "conditionsV6": ["-s", "fd00::1"] }),
        "nftables backend was requested but configuration contains iptables-specific options \
         [conditionsV6]",
    );
}

#[test]
fn pm_277_conditions_for_iptables_choose_iptables() {
    let lab = lab_with_bridge();
    let plugin = portmap(&lab, &web(), &json!({ "conditionsV4": ["!", "-i", "eth9"] }));
    add(&plugin);
    let rules = iptables_rules(&lab, "iptables", "nat");
    assert!(rules.iter().any(|rule| rule.contains("! -i eth9")), "{rules:?}");
}

#[test]
fn pm_277_a_condition_that_cannot_be_expressed_is_refused_with_a_hint() {
    let lab = lab_with_bridge();
    if lab.reference_fails("1.1.1 knows iptables only") {
        return;
    }
    let before = lab.snapshot();
    let keys = json!({ "conditionsV4": ["ip", "ttl", "5"] });
    let outcome = portmap(&lab, &web(), &keys).previous(&bridge_result()).add();
    names_all(&outcome.invalid_config(), &["failed to parse config: ", "ttl", "hint: "]);
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn pm_279_a_second_add_is_an_error_and_changes_nothing() {
    let lab = lab_with_bridge();
    if lab.reference_fails("it succeeds") || lab.lacks_nftables() {
        return;
    }
    let plugin = portmap(&lab, &several(), &json!({})).previous(&bridge_result());
    plugin.add().result();
    let before = lab.snapshot();
    names_all(&plugin.add().failure(), &["already", "8080"]);
    assert_eq!(lab.snapshot(), before);
    plugin.check(&bridge_result()).silent();
}

#[test]
fn pm_279_a_second_add_duplicates_no_rule_in_iptables() {
    let lab = lab_with_bridge();
    let keys = json!({ "backend": "iptables" });
    let plugin = portmap(&lab, &several(), &keys).previous(&bridge_result());
    plugin.add().result();
    let rules = || ["iptables", "ip6tables"].map(|program| iptables_rules(&lab, program, "nat"));
    let before = rules();
    assert!(before.iter().all(|rules| rules.len() > 5), "{before:?}");
    let outcome = plugin.add();
    if !reference() && outcome.code != 0 {
        names_all(&outcome.failure(), &["already exists", "hint: DEL the attachment first"]);
    }
    assert_eq!(rules(), before);
}

#[test]
fn pm_280_a_port_is_a_number_from_1() {
    let mapping = |host: i64, container: i64| json!([{ "hostPort": host, "containerPort": container, "protocol": "tcp" }]);
    refused(&mapping(0, 80), &json!({}), "Invalid host port number: 0");
    refused(&mapping(8080, 0), &json!({}), "Invalid container port number: 0");
    refused(&mapping(-1, 80), &json!({}), "Invalid host port number: -1");
}

#[test]
fn pm_281_a_port_is_a_number_to_65535() {
    let lab = Lab::new();
    if lab.reference_fails("iptables finds it, behind an empty chain") {
        return;
    }
    for backend in BACKENDS {
        let keys = json!({ "backend": backend });
        let mapping = |host: i64, container: i64| json!([{ "hostPort": host, "containerPort": container, "protocol": "tcp" }]);
        refused(&mapping(70000, 80), &keys, "Invalid host port number: 70000");
        refused(&mapping(8080, 65536), &keys, "Invalid container port number: 65536");
    }
}

#[test]
fn pm_281_everything_that_is_wrong_is_told_at_once_with_its_place() {
    let lab = lab_with_bridge();
    if lab.reference_fails("it tells the first") {
        return;
    }
    let mappings = json!([
        { "hostPort": 0, "containerPort": 80, "protocol": "tcp" },
        { "hostPort": 80, "containerPort": 80, "protocol": "icmp" },
        { "hostPort": 80, "containerPort": 80, "protocol": "tcp", "hostIP": "localhost" },
    ]);
    let outcome = portmap(&lab, &mappings, &json!({})).previous(&bridge_result()).add();
    outcome.error_with_code(7);
    names_all(
        &whole_text(&outcome),
        &[
            "runtimeConfig.portMappings[0].hostPort",
            "Invalid host port number: 0",
            "runtimeConfig.portMappings[1].protocol",
            "icmp",
            "runtimeConfig.portMappings[2].hostIP",
            "localhost",
        ],
    );
}

#[test]
fn pm_282_a_mapping_without_protocol_is_tcp() {
    for backend in BACKENDS {
        let lab = lab_with_bridge();
        if lab.reference_fails("iptables refuses it") {
            return;
        }
        let keys = json!({ "backend": backend });
        let expected = portmap(&lab, &web(), &keys);
        let before = settle(&lab, &expected);
        add(&portmap(&lab, &json!([{ "hostPort": 8080, "containerPort": 80 }]), &keys));
        assert_ne!(lab.snapshot(), before);
        expected.check(&bridge_result()).silent();
    }
}

#[test]
fn pm_283_del_is_content_with_what_it_is_told() {
    for backend in BACKENDS {
        let lab = lab_with_bridge();
        let plugin = portmap(&lab, &several(), &json!({ "backend": backend }));
        let before = settle(&lab, &plugin);
        let result = add(&plugin);
        plugin.del(&result).silent();
        lab.nothing_left(&before);
        plugin.del(&result).silent();
        if lab.reference_fails("without its mappings it does nothing") {
            continue;
        }
        let forgetful = plugin.clone().key("runtimeConfig", &Value::Null);
        let dels: [&dyn Fn(); 4] = [
            &|| plugin.del_without_result().silent(),
            &|| forgetful.del(&result).silent(),
            &|| forgetful.del_without_result().silent(),
            &|| forgetful.clone().without("CNI_NETNS").del_without_result().silent(),
        ];
        for del in dels {
            add(&plugin);
            assert_ne!(lab.snapshot(), before);
            del();
            lab.nothing_left(&before);
            del();
        }
    }
}

#[test]
fn pm_283_del_without_mappings_is_silent_even_on_a_fresh_host() {
    let lab = lab_with_bridge();
    let before = lab.snapshot();
    let plugin = portmap(&lab, &json!([]), &json!({}));
    plugin.del(&bridge_result()).silent();
    plugin.key("runtimeConfig", &Value::Null).del_without_result().silent();
    lab.nothing_left(&before);
}

#[test]
fn pm_283_del_on_one_network_leaves_the_mappings_on_another() {
    for backend in BACKENDS {
        let lab = lab_with_bridge();
        let keys = json!({ "backend": backend });
        let first = portmap(&lab, &web(), &keys);
        let other = json!([{ "hostPort": 8090, "containerPort": 80, "protocol": "tcp" }]);
        let second = portmap(&lab, &other, &keys).key("name", &json!("second"));
        let before = settle(&lab, &first);
        add(&first);
        add(&second);
        first.del(&bridge_result()).silent();
        if !reference() {
            second.check(&bridge_result()).silent();
        }
        // While the first one's elements expire, a list may come out too short.
        lab.wait_until("the other's mapping is listed", || lab.snapshot() != before);
        second.del(&bridge_result()).silent();
        lab.nothing_left(&before);
    }
}

#[test]
fn pm_283_where_forwarding_drops_del_without_mappings_leaves_nothing() {
    let lab = lab_with_bridge();
    if lab.reference_fails("it leaves the policy alone") {
        return;
    }
    lab.sh("iptables -P FORWARD DROP; ip6tables -P FORWARD DROP");
    let plugin = portmap(&lab, &several(), &json!({}));
    let before = settle(&lab, &plugin);
    let forgetful = plugin.clone().key("runtimeConfig", &Value::Null);
    for policy in ["DROP", "ACCEPT"] {
        lab.sh("iptables -P FORWARD DROP; ip6tables -P FORWARD DROP");
        add(&plugin);
        assert!(!iptables_rules(&lab, "iptables", "filter").is_empty());
        // Docker may have been stopped in between.
        lab.sh(&format!("iptables -P FORWARD {policy}; ip6tables -P FORWARD {policy}"));
        forgetful.del_without_result().silent();
        lab.nothing_left(&before);
    }
}

#[test]
fn pm_283_where_forwarding_drops_gc_leaves_nothing() {
    let lab = lab_with_bridge();
    if lab.reference_fails("1.1.1 knows the specification to 1.0.0 only") {
        return;
    }
    lab.sh("iptables -P FORWARD DROP; ip6tables -P FORWARD DROP");
    let plugin = portmap(&lab, &several(), &json!({ "cniVersion": "1.1.0" }));
    let before = settle(&lab, &plugin);
    add(&plugin);
    let collector = plugin.key("runtimeConfig", &Value::Null);
    collector.gc(&[]).silent();
    lab.nothing_left(&before);
}

#[test]
fn pm_284_check_after_del_fails() {
    let lab = lab_with_bridge();
    let plugin = portmap(&lab, &web(), &json!({ "backend": "iptables" }));
    settle(&lab, &plugin);
    assert_eq!(
        plugin.check(&bridge_result()).failure(),
        "could not check ipv4 dnat: chain CNI-DN-623e1c388032b20529218 not found in iptables \
         table nat"
    );
    if lab.reference_fails("1.1.1 knows iptables only") || lab.lacks_nftables() {
        return;
    }
    let plugin = portmap(&lab, &web(), &json!({}));
    settle(&lab, &plugin);
    names_all(&plugin.check(&bridge_result()).failure(), &["missing", "ports4"]);
}

/// The names of chains, and of maps and sets that have elements, in our table.
fn parts(lab: &Lab) -> Vec<(String, String)> {
    let objects = lab.nft_json();
    let ours = objects.iter().flat_map(|object| object.as_object().into_iter().flatten());
    ours.filter(|(_, body)| body["table"] == "ropewalk")
        .filter(|(kind, body)| kind.as_str() == "chain" || body["elem"].is_array())
        .filter(|(kind, _)| kind.as_str() != "rule")
        .map(|(kind, body)| (kind.clone(), body["name"].as_str().unwrap_or_default().to_owned()))
        .collect()
}

#[test]
fn pm_284_check_notices_whatever_is_missing_and_del_and_add_repair_it() {
    let lab = lab_with_bridge();
    if lab.reference_fails("1.1.1 knows iptables only") || lab.lacks_nftables() {
        return;
    }
    let plugin = portmap(&lab, &several(), &json!({}));
    add(&plugin);
    let parts = parts(&lab);
    assert!(parts.len() > 6, "{parts:?}");
    for (kind, name) in parts {
        plugin.check(&bridge_result()).silent();
        lab.sh(&format!("nft flush {kind} inet ropewalk {name}"));
        let outcome = plugin.check(&bridge_result());
        assert_eq!(outcome.code, 1, "without the content of {kind} {name}: {outcome}");
        outcome.failure();
        plugin.del(&bridge_result()).silent();
        add(&plugin);
    }
}

#[test]
fn pm_284_check_notices_each_missing_rule_in_iptables() {
    let lab = lab_with_bridge();
    if lab.reference_fails("1.1.1 looks for IPv4 rules in ip6tables") {
        return;
    }
    let plugin = portmap(&lab, &several(), &json!({ "backend": "iptables" }));
    let result = add(&plugin);
    for program in ["iptables", "ip6tables"] {
        let rules = iptables_rules(&lab, program, "nat");
        assert!(rules.len() > 5, "{rules:?}");
        for rule in rules {
            plugin.check(&result).silent();
            lab.sh(&format!("{program} -t nat {}", rule.replacen("-A ", "-D ", 1)));
            let outcome = plugin.check(&result);
            assert_eq!(outcome.code, 1, "without {rule}: {outcome}");
            plugin.del(&result).silent();
            add(&plugin);
        }
    }
}

#[test]
fn pm_285_without_iptables_its_backend_says_so_and_nftables_needs_no_program() {
    let lab = lab_with_bridge();
    lab.sh("mkdir /run/lab/empty");
    let bare = |keys: &Value| portmap(&lab, &web(), keys).variable("PATH", "/run/lab/empty");
    let before = lab.snapshot();
    let outcome = bare(&json!({ "backend": "iptables" })).previous(&bridge_result()).add();
    names_all(&outcome.failure(), &["iptables"]);
    lab.nothing_left(&before);
    if lab.reference_fails("1.1.1 knows iptables only") || lab.lacks_nftables() {
        return;
    }
    let plugin = bare(&json!({}));
    add(&plugin);
    plugin.check(&bridge_result()).silent();
    plugin.del(&bridge_result()).silent();
    lab.nothing_left(&before);
}

/// This result with addresses in other subnets.
fn elsewhere(result: &str) -> Value {
    let text = result.replace("10.1.2.", "10.7.2.").replace("fd00:1:", "fd00:7:");
    text.parse().expect("still a result")
}

/// ADD of `second` fails, names port and owner of `c1`, and changes nothing.
fn port_is_taken(lab: &Lab, second: &Plugin<'_>, previous: &Value) {
    let before = lab.snapshot();
    let outcome = second.clone().previous(previous).add();
    outcome.failure();
    names_all(&whole_text(&outcome), &["8080", "already", "net/c1/eth0"]);
    assert_eq!(lab.snapshot(), before);
}

#[test]
fn pm_283_a_port_that_is_published_is_refused_to_others_with_its_owner() {
    let lab = lab_with_bridge();
    if lab.reference_fails("the first rule wins silently") || lab.lacks_nftables() {
        return;
    }
    let first = portmap(&lab, &web(), &json!({}));
    add(&first);
    port_is_taken(&lab, &first.clone().on("c2"), &second_result());
    // The same container may publish it on another interface too, as podman asks for.
    let again = first.clone().ifname("eth1");
    let result = elsewhere(&bridge_result().to_string().replace("eth0", "eth1"));
    again.clone().previous(&result).add().result();
    again.check(&result).silent();
    again.del(&result).silent();
    port_is_taken(&lab, &first.clone().on("c2").key("name", &json!("lan")), &second_result());
    first.check(&bridge_result()).silent();
    // Other ports, protocols and addresses are free.
    let other = json!([
        { "hostPort": 8080, "containerPort": 80, "protocol": "udp" },
        { "hostPort": 8081, "containerPort": 80, "protocol": "tcp" },
    ]);
    let second = portmap(&lab, &other, &json!({})).on("c2");
    second.clone().previous(&second_result()).add().result();
    // A refused second container's DEL, which runtimes send, takes nothing of the first.
    first.clone().on("c2").del(&second_result()).silent();
    first.check(&bridge_result()).silent();
    first.del(&bridge_result()).silent();
    first.clone().on("c2").previous(&second_result()).add().result();
}

#[test]
fn pm_283_gc_removes_the_mappings_of_attachments_that_are_not_valid() {
    let lab = lab_with_bridge();
    // In iptables a chain stays while another interface of its container is valid.
    let old = "1.1.1 knows the specification to 1.0.0 only";
    if lab.reference_fails(old) || lab.lacks_nftables() {
        return;
    }
    let keys = json!({ "cniVersion": "1.1.0" });
    let plugin = portmap(&lab, &several(), &keys);
    let other = json!([{ "hostPort": 8090, "containerPort": 80, "protocol": "tcp" }]);
    let second = portmap(&lab, &other, &keys).on("c2");
    let foreign = json!([{ "hostPort": 8070, "containerPort": 80, "protocol": "tcp" }]);
    let foreign = portmap(&lab, &foreign, &keys).key("name", &json!("lan"));
    let foreign_result = elsewhere(&bridge_result().to_string());
    foreign.clone().previous(&foreign_result).add().result();
    second.clone().previous(&second_result()).add().result();
    let before = settle(&lab, &plugin);
    add(&plugin);
    // GC has no runtimeConfig.
    let collector = plugin.clone().key("runtimeConfig", &Value::Null);
    collector.gc(&[("c1", "eth0"), ("c2", "eth0")]).silent();
    plugin.check(&bridge_result()).silent();
    collector.gc(&[("c2", "eth0"), ("c1", "eth1")]).silent();
    lab.nothing_left(&before);
    second.check(&second_result()).silent();
    collector.gc(&[]).silent();
    second.check(&second_result()).failure();
    foreign.check(&foreign_result).silent();
}
