//! ST: static gives the addresses that the configuration names.

use ropewalk_e2e::{Lab, Plugin, Value, json};

fn static_ipam<'lab>(lab: &'lab Lab, version: &str, ipam: &Value) -> Plugin<'lab> {
    let config = json!({ "cniVersion": version, "name": "net", "type": "bridge", "ipam": ipam });
    lab.plugin("static").on("c1").config(config)
}

fn one_address() -> Value {
    json!({ "addresses": [{ "address": "10.1.0.5/24", "gateway": "10.1.0.1" }] })
}

#[test]
fn st_251_addresses_routes_and_name_servers_are_echoed() {
    let lab = Lab::new();
    let ipam = json!({
        "type": "static",
        "addresses": [
            { "address": "10.1.0.5/24", "gateway": "10.1.0.1" }, { "address": "fd00::5/64" },
        ],
        "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "10.9.0.0/16", "gw": "10.1.0.9" }],
        "dns": { "nameservers": ["10.1.0.1"], "domain": "x", "search": ["y"], "options": ["z"] },
    });
    let result = static_ipam(&lab, "1.0.0", &ipam).add().result();
    assert_eq!(result["ips"], ipam["addresses"]);
    assert_eq!(result["routes"], ipam["routes"]);
    assert_eq!(result["dns"], ipam["dns"]);
}

#[test]
fn st_251_no_addresses_are_no_error_here() {
    let lab = Lab::new();
    let result = static_ipam(&lab, "1.0.0", &json!({ "type": "static" })).add().result();
    assert_eq!(result["ips"], Value::Null);
    let plugin = static_ipam(&lab, "1.0.0", &Value::Null);
    assert_eq!(plugin.add().invalid_config(), "IPAM config missing 'ipam' key");
}

#[test]
fn st_252_addresses_of_the_environment_are_appended_with_their_gateways() {
    let lab = Lab::new();
    let plugin = static_ipam(&lab, "1.0.0", &one_address());
    let args = "IP=10.2.0.7/24,fd00::7/64,10.3.0.7/24;GATEWAY=fd00::1,10.2.0.1,10.1.0.254";
    assert_eq!(
        plugin.args(args).add().result()["ips"],
        json!([
            { "address": "10.1.0.5/24", "gateway": "10.1.0.1" },
            { "address": "10.2.0.7/24", "gateway": "10.2.0.1" },
            { "address": "fd00::7/64", "gateway": "fd00::1" },
            { "address": "10.3.0.7/24" },
        ])
    );
}

#[test]
fn st_252_the_environment_names_addresses_with_prefix_and_valid_gateways() {
    let lab = Lab::new();
    let plugin = static_ipam(&lab, "1.0.0", &one_address());
    let message = |args: &str| plugin.clone().args(args).add().invalid_config();
    assert_eq!(
        message("IP=10.1.0.7"),
        "the 'ip' field is expected to be in CIDR notation, got: '10.1.0.7'"
    );
    assert_eq!(message("IP=10.1.0.7/24;GATEWAY=zz"), "invalid gateway address: zz");
}

#[test]
fn st_253_addresses_of_the_arguments_replace_and_those_of_the_runtime_replace_all() {
    let lab = Lab::new();
    let plugin = static_ipam(&lab, "1.0.0", &one_address())
        .args("IP=10.4.0.7/24")
        .key("args", &json!({ "cni": { "ips": ["10.2.0.7/24", "fd00::7/64"] } }));
    assert_eq!(
        plugin.add().result()["ips"],
        json!([{ "address": "10.2.0.7/24" }, { "address": "fd00::7/64" }])
    );
    let plugin = plugin.key("runtimeConfig", &json!({ "ips": ["10.3.0.7/24"] }));
    assert_eq!(plugin.add().result()["ips"], json!([{ "address": "10.3.0.7/24" }]));
}

#[test]
fn st_254_an_address_has_a_prefix() {
    let lab = Lab::new();
    let plugin = static_ipam(&lab, "1.0.0", &json!({ "addresses": [{ "address": "10.1.0.7" }] }));
    let message = plugin.add().invalid_config();
    let start = "the 'address' field is expected to be in CIDR notation, got: '10.1.0.7'";
    assert!(message.starts_with(start), "{message}");
    let plugin = static_ipam(&lab, "1.0.0", &one_address());
    let start = "an entry in the 'ips' field is NOT in CIDR notation, got: '10.1.0.7'";
    for (key, value) in [
        ("args", json!({ "cni": { "ips": ["10.1.0.7"] } })),
        ("runtimeConfig", json!({ "ips": ["10.1.0.7"] })),
    ] {
        let message = plugin.clone().key(key, &value).add().invalid_config();
        assert!(message.starts_with(start), "{message}");
    }
}

#[test]
fn st_255_two_addresses_of_one_family_need_0_3_0() {
    let lab = Lab::new();
    let two = json!({ "addresses": [{ "address": "10.1.0.5/24" }, { "address": "10.2.0.5/24" }] });
    let message = static_ipam(&lab, "0.2.0", &two).add().invalid_config();
    assert_eq!(message, "CNI version 0.2.0 does not support more than 1 address per family");
    static_ipam(&lab, "0.3.0", &two).add().result();
    let dual = json!({ "addresses": [{ "address": "10.1.0.5/24" }, { "address": "fd00::5/64" }] });
    static_ipam(&lab, "0.2.0", &dual).add().result();
}

#[test]
fn st_256_del_is_content_with_anything() {
    let lab = Lab::new();
    for ipam in [one_address(), json!({ "addresses": [{ "address": "zz" }] }), Value::Null] {
        static_ipam(&lab, "1.0.0", &ipam).del_without_result().silent();
        static_ipam(&lab, "1.0.0", &ipam).without("CNI_NETNS").del_without_result().silent();
    }
    let plugin = static_ipam(&lab, "9.9.9", &one_address());
    assert_eq!(plugin.del_without_result().error_with_code(1), "incompatible CNI versions");
}

#[test]
fn st_257_check_compares_the_gateways_of_known_addresses() {
    let lab = Lab::new();
    let plugin = static_ipam(&lab, "1.0.0", &one_address());
    let previous = |address: &str, gateway: &str| json!({ "cniVersion": "1.0.0", "ips": [{ "address": address, "gateway": gateway }] });
    plugin.check(&previous("10.1.0.5/24", "10.1.0.1")).silent();
    plugin.check(&previous("10.7.0.5/24", "10.7.0.1")).silent();
    let message = plugin.check(&previous("10.1.0.5/24", "10.1.0.2")).failure();
    assert!(message.starts_with("static: Failed to match addr "), "{message}");
    assert!(message.ends_with(" on interface eth0"), "{message}");
    let without = plugin.command("CHECK").run().refused();
    assert!(without.to_lowercase().contains("required prevresult missing"), "{without}");
}
