//! C: the form of results in every version of the specification, and of previous results.

use ropewalk_e2e::{Lab, Plugin, Value, json, reference};

/// A bridge in two families with a few routes.
fn dual_stack(version: &str) -> Value {
    json!({
        "cniVersion": version, "name": "net", "type": "bridge", "isGateway": true,
        "ipam": {
            "type": "host-local",
            "ranges": [[{ "subnet": "10.1.2.0/24" }], [{ "subnet": "fd00:1::/64" }]],
            "routes": [
                { "dst": "0.0.0.0/0" },
                { "dst": "10.9.0.0/16", "gw": "10.1.2.7" },
                { "dst": "fd00:9::/48", "gw": "fd00:1::7" },
            ],
        },
    })
}

fn plugin(lab: &Lab, config: Value) -> Plugin<'_> {
    lab.netns("c1");
    lab.plugin("bridge").on("c1").config(config)
}

/// Replaces what differs from run to run: MAC addresses and the name of the host interface.
fn with_fixed_names(text: &str, result: &Value) -> String {
    let mut text = text.to_owned();
    let names = ["BRIDGE", "HOST", "CONTAINER"];
    for (interface, name) in result["interfaces"].as_array().into_iter().flatten().zip(names) {
        let mac = interface["mac"].as_str().expect("an interface has a MAC address");
        text = text.replacen(&format!("\"{mac}\""), &format!("\"{name} MAC\""), 1);
    }
    if let Some(host) = result["interfaces"][1]["name"].as_str() {
        text = text.replace(&format!("\"{host}\""), "\"HOST\"");
    }
    text
}

/// `serde_json` sorts the keys and indents by two; results are indented by four.
fn sorted_and_indented(value: &Value) -> String {
    let text = serde_json::to_string_pretty(value).expect("a value can be printed");
    let lines: Vec<String> = text
        .lines()
        .map(|line| {
            let content = line.trim_start();
            format!("{}{content}", " ".repeat(2 * (line.len() - content.len())))
        })
        .collect();
    lines.join("\n")
}

fn modern_shape(version: &str) {
    let lab = Lab::new();
    if lab.reference_fails("1.1.1 prints keys in the order of declaration") {
        return;
    }
    let outcome = plugin(&lab, dual_stack(version)).add();
    let mut result = outcome.result();
    assert_eq!(outcome.stdout, sorted_and_indented(&result), "keys are sorted, no last newline");
    for interface in result["interfaces"].as_array_mut().expect("there are interfaces") {
        let interface = interface.as_object_mut().expect("an interface is an object");
        assert!(interface.remove("mac").is_some());
        interface.remove("mtu");
    }
    assert!(result["interfaces"][1]["name"].take().as_str().is_some());
    assert_eq!(
        result,
        json!({
            "cniVersion": version,
            "interfaces": [
                { "name": "cni0" }, { "name": null },
                { "name": "eth0", "sandbox": "/run/netns/c1" },
            ],
            "ips": [
                { "address": "10.1.2.2/24", "gateway": "10.1.2.1", "interface": 2 },
                { "address": "fd00:1::2/64", "gateway": "fd00:1::1", "interface": 2 },
            ],
            "routes": [
                { "dst": "0.0.0.0/0" },
                { "dst": "10.9.0.0/16", "gw": "10.1.2.7" },
                { "dst": "fd00:9::/48", "gw": "fd00:1::7" },
            ],
        })
    );
}

#[test]
fn c_44_at_1_1_0_keys_are_sorted_and_there_is_no_empty_dns() {
    modern_shape("1.1.0");
}

#[test]
fn c_45_at_1_0_0_only_the_version_differs() {
    modern_shape("1.0.0");
}

#[test]
fn c_45_routes_keep_their_attributes_in_every_version_with_routes() {
    let lab = Lab::new();
    if lab.reference_fails("1.1.1 does not know attributes of routes") {
        return;
    }
    let route = json!({
        "dst": "10.9.0.0/16", "gw": "10.1.2.7", "mtu": 1300, "advmss": 1200, "priority": 50,
        "table": 77, "scope": 0,
    });
    for version in ["1.1.0", "1.0.0", "0.4.0", "0.3.1", "0.3.0"] {
        let config = json!({
            "cniVersion": version, "name": "net",
            "ipam": { "subnet": "10.1.2.0/24", "routes": [route] },
        });
        let host_local = lab.plugin("host-local").on(&format!("c{version}")).config(config);
        assert_eq!(host_local.add().result()["routes"], json!([route]), "{version}");
    }
}

#[test]
fn c_46_before_1_0_0_addresses_have_a_version_and_dns_is_always_there() {
    for version in ["0.4.0", "0.3.1", "0.3.0"] {
        let lab = Lab::new();
        let outcome = plugin(&lab, dual_stack(version)).add();
        let expected = include_str!("expected/dual-stack-0.4.0.json");
        assert_eq!(
            with_fixed_names(&outcome.stdout, &outcome.result()),
            expected.replace("VERSION", version).trim_end(),
            "{outcome}"
        );
    }
}

#[test]
fn c_47_before_0_3_0_there_is_one_object_for_each_family() {
    for (version, printed) in [("0.2.0", "0.2.0"), ("0.1.0", "0.1.0"), ("", "0.1.0")] {
        let lab = Lab::new();
        let outcome = plugin(&lab, dual_stack(version)).add();
        let expected = include_str!("expected/dual-stack-0.2.0.json");
        assert_eq!(outcome.code, 0, "{outcome}");
        assert_eq!(outcome.stdout, expected.replace("VERSION", printed).trim_end());
    }
}

#[test]
fn c_48_before_0_3_0_the_first_address_of_each_family_is_printed() {
    let lab = Lab::new();
    let path = lab.delegate(
        "many",
        r#"echo '{"cniVersion":"1.0.0","ips":[{"address":"10.1.2.2/24"},{"address":"fd00::2/64"},
            {"address":"10.1.3.2/24"},{"address":"fd00::3/64"}]}'"#,
    );
    let config = json!({ "cniVersion": "0.2.0", "name": "net", "ipam": { "type": "many" } });
    let result = plugin(&lab, config).path(&path).add().result();
    assert_eq!(
        result,
        json!({
            "cniVersion": "0.2.0", "ip4": { "ip": "10.1.2.2/24" }, "ip6": { "ip": "fd00::2/64" },
            "dns": {},
        })
    );
    let addresses = lab.sh_in("c1", "ip -o address show dev eth0 scope global | wc -l");
    assert_eq!(addresses, "4");
}

#[test]
fn c_49_a_result_without_address_cannot_be_told_before_0_3_0() {
    let lab = Lab::new();
    let before = lab.snapshot();
    let bridge = plugin(&lab, json!({ "cniVersion": "0.2.0", "name": "net" }));
    assert_eq!(bridge.add().failure(), "cannot convert: no valid IP addresses");
    if !lab.reference_fails("it leaves the link") {
        lab.nothing_left(&before);
        assert!(!lab.has_link("c1", "eth0"));
    }
}

#[test]
fn c_50_two_ranges_of_one_family_need_0_3_0() {
    let lab = Lab::new();
    for version in ["0.2.0", "0.1.0"] {
        let config = json!({
            "cniVersion": version, "name": "net",
            "ipam": { "ranges": [[{ "subnet": "10.1.2.0/24" }], [{ "subnet": "10.1.3.0/24" }]] },
        });
        let outcome = lab.plugin("host-local").on("c1").config(config).add();
        assert_eq!(
            outcome.invalid_config(),
            format!("CNI version {version} does not support more than 1 address per family")
        );
    }
    assert!(lab.leases("net").is_empty());
}

/// The chained plugins and what they say before an error in their configuration.
const CHAINED: [(&str, &str); 3] = [
    ("tuning", "failed to load netconf: "),
    ("portmap", "failed to parse config: "),
    ("firewall", "failed to load netconf: "),
];

#[test]
fn c_51_a_previous_result_of_another_family_of_versions_is_refused() {
    let lab = Lab::new();
    lab.netns("c1");
    let modern = if reference() { "1.0.0" } else { "1.0.0 1.1.0" };
    let cases = [("1.0.0", "0.4.0", modern), ("0.4.0", "1.0.0", "0.3.0 0.3.1 0.4.0")];
    for (name, _) in CHAINED {
        for (version, previous, supported) in cases {
            let config = json!({ "cniVersion": version, "name": "net" });
            let plugin = lab.plugin(name).on("c1").config(config);
            let previous = json!({ "cniVersion": previous, "ips": [] });
            let message = plugin.previous(&previous).add().invalid_config();
            let end = format!(
                "could not parse prevResult: result type supports [{supported}] but unmarshalled \
                 CNIVersion is {}",
                previous["cniVersion"]
            );
            assert!(message.ends_with(&end), "{name}: {message}");
        }
    }
}

#[test]
fn c_52_a_previous_result_without_version_has_the_version_of_the_configuration() {
    let lab = Lab::new();
    lab.netns("c1");
    let config = json!({ "cniVersion": "0.4.0", "name": "net" });
    for (name, _) in CHAINED {
        let previous = json!({ "ips": [{ "version": "4", "address": "10.1.2.2/24" }] });
        let plugin = lab.plugin(name).on("c1").config(config.clone()).previous(&previous);
        let result = plugin.add().result();
        assert_eq!(result["cniVersion"], "0.4.0", "{name}");
        assert_eq!(result["ips"], previous["ips"], "{name}");
    }
}

#[test]
fn c_53_a_previous_result_is_an_object() {
    let lab = Lab::new();
    lab.netns("c1");
    let config = json!({ "cniVersion": "1.0.0", "name": "net" });
    let others = [("bridge", "failed to load netconf: "), ("loopback", "failed to parse ")];
    for (name, start) in CHAINED.into_iter().chain(others) {
        let plugin = lab.plugin(name).on("c1").config(config.clone());
        let message = plugin.previous(&json!("text")).add().invalid_config();
        assert!(message.starts_with(start), "{name}: {message}");
        assert!(message.contains("json: cannot unmarshal string"), "{name}: {message}");
        assert!(message.contains("prevResult"), "{name}: {message}");
    }
}

#[test]
fn c_54_a_bridge_ignores_a_previous_result() {
    let lab = Lab::new();
    let bridge = plugin(&lab, json!({ "cniVersion": "1.0.0", "name": "net" }));
    for previous in [
        json!({}),
        json!({ "cniVersion": "0.4.0", "ips": 7 }),
        json!({ "ips": [{ "address": "10.9.9.9/24" }], "interfaces": [{ "name": "other" }] }),
    ] {
        let result = bridge.clone().previous(&previous).add().result();
        assert_eq!(result["ips"], Value::Null);
        assert_eq!(result["interfaces"].as_array().map(Vec::len), Some(3));
        assert_eq!(result["interfaces"][0]["name"], "cni0");
        bridge.del_without_result().silent();
    }
}

#[test]
fn c_55_a_chained_plugin_at_0_2_0_echoes_the_old_shape() {
    let lab = Lab::new();
    lab.netns("c1");
    let previous = json!({
        "cniVersion": "0.2.0",
        "ip4": { "ip": "10.1.2.2/24", "gateway": "10.1.2.1", "routes": [{ "dst": "0.0.0.0/0" }] },
        "dns": { "nameservers": ["10.1.2.1"] },
    });
    let config = json!({ "cniVersion": "0.2.0", "name": "net" });
    let tuning = lab.plugin("tuning").on("c1").config(config);
    assert_eq!(tuning.previous(&previous).add().result(), previous);
}

#[test]
fn c_56_scope_zero_is_printed() {
    let lab = Lab::new();
    if lab.reference_fails("1.1.1 does not know attributes of routes") {
        return;
    }
    let routes =
        json!([{ "dst": "10.9.0.0/16", "scope": 0 }, { "dst": "10.8.0.0/16", "table": 0 }]);
    let config = json!({
        "cniVersion": "1.1.0", "name": "net",
        "ipam": { "addresses": [{ "address": "10.1.2.2/24" }], "routes": routes },
    });
    let result = lab.plugin("static").on("c1").config(config).add().result();
    assert_eq!(result["routes"], routes);
}

fn delegated(version: &str, answer: &str) -> Value {
    let lab = Lab::new();
    let path = lab.delegate("pool", &format!("echo '{answer}'"));
    let config = json!({ "cniVersion": version, "name": "net", "ipam": { "type": "pool" } });
    let result = plugin(&lab, config).path(&path).add().result();
    assert_eq!(result["cniVersion"], version);
    result
}

#[test]
fn c_57_a_delegated_result_without_version_has_the_version_of_the_configuration() {
    let result = delegated("0.4.0", r#"{"ips":[{"version":"4","address":"10.1.2.2/24"}]}"#);
    assert_eq!(
        result["ips"],
        json!([{ "version": "4", "interface": 2, "address": "10.1.2.2/24" }])
    );
    let result = delegated("1.0.0", r#"{"ips":[{"address":"10.1.2.2/24"}]}"#);
    assert_eq!(result["ips"], json!([{ "interface": 2, "address": "10.1.2.2/24" }]));
}

#[test]
fn c_58_a_delegated_result_of_an_older_version_is_converted() {
    let expected = json!([{ "interface": 2, "address": "10.1.2.2/24", "gateway": "10.1.2.1" }]);
    let answer = r#"{"cniVersion":"0.2.0","ip4":{"ip":"10.1.2.2/24","gateway":"10.1.2.1",
        "routes":[{"dst":"10.9.0.0/16"}]}}"#;
    let result = delegated("1.0.0", answer);
    assert_eq!(result["ips"], expected);
    assert_eq!(result["routes"], json!([{ "dst": "10.9.0.0/16" }]));
    let answer = r#"{"cniVersion":"0.3.1",
        "ips":[{"version":"4","address":"10.1.2.2/24","gateway":"10.1.2.1"}]}"#;
    assert_eq!(delegated("1.0.0", answer)["ips"], expected);
}
