//! HL: host-local gives addresses from ranges and keeps its books in files that others read.

use ropewalk_e2e::{Lab, Plugin, Value, json};

/// host-local with this `ipam` object, on network `net`.
fn host_local<'lab>(lab: &'lab Lab, ipam: &Value) -> Plugin<'lab> {
    let config = json!({ "cniVersion": "1.0.0", "name": "net", "type": "bridge", "ipam": ipam });
    lab.plugin("host-local").config(config)
}

/// The addresses that ADD for this container answers, without their prefix lengths.
fn addresses(plugin: &Plugin<'_>, container: &str) -> Vec<String> {
    let result = plugin.clone().on(container).add().result();
    let address = |ip: &Value| ip["address"].as_str().expect("an address").to_owned();
    let addresses = result["ips"].as_array().expect("addresses").iter().map(address);
    addresses.map(|text| text.split('/').next().unwrap_or_default().to_owned()).collect()
}

fn release(plugin: &Plugin<'_>, container: &str) {
    plugin.clone().on(container).del_without_result().silent();
}

fn refused_config(ipam: &Value, expected: &str) {
    let lab = Lab::new();
    let outcome = host_local(&lab, ipam).on("c1").add();
    assert_eq!(outcome.invalid_config(), expected);
    assert!(lab.leases("net").is_empty());
}

const DIRECTORY: &str = "/var/lib/cni/networks/net";

#[test]
fn hl_229_addresses_are_given_in_order_until_there_are_none() {
    let lab = Lab::new();
    let plugin = host_local(&lab, &json!({ "type": "host-local", "subnet": "10.0.0.0/29" }));
    for number in 2..=6 {
        let given = addresses(&plugin, &format!("c{number}"));
        assert_eq!(given, [format!("10.0.0.{number}")]);
    }
    assert_eq!(
        plugin.clone().on("c7").add().failure(),
        "failed to allocate for range 0: no IP addresses available in range set: \
         10.0.0.1-10.0.0.6"
    );
    assert_eq!(lab.leases("net").len(), 5);
    release(&plugin, "c4");
    assert_eq!(addresses(&plugin, "c7"), ["10.0.0.4"]);
}

#[test]
fn hl_230_a_released_address_is_not_given_again_at_once() {
    let lab = Lab::new();
    let plugin = host_local(&lab, &json!({ "subnet": "10.0.0.0/29" }));
    assert_eq!(addresses(&plugin, "c1"), ["10.0.0.2"]);
    release(&plugin, "c1");
    assert_eq!(addresses(&plugin, "c1"), ["10.0.0.3"]);
    assert_eq!(addresses(&plugin, "c2"), ["10.0.0.4"]);
    release(&plugin, "c1");
    for expected in ["10.0.0.5", "10.0.0.6", "10.0.0.2", "10.0.0.3"] {
        assert_eq!(addresses(&plugin, expected), [expected]);
    }
}

#[test]
fn hl_231_one_interface_gets_one_address_of_a_range() {
    let lab = Lab::new();
    let plugin = host_local(&lab, &json!({ "subnet": "10.0.0.0/24" })).on("c8");
    plugin.add().result();
    assert_eq!(
        plugin.add().failure(),
        "failed to allocate for range 0: 10.0.0.2 has been allocated to c8, duplicate allocation \
         is not allowed"
    );
    let second = plugin.ifname("eth1").add().result();
    assert_eq!(second["ips"][0]["address"], "10.0.0.3/24");
    assert_eq!(lab.leases("net"), ["10.0.0.2", "10.0.0.3"]);
}

#[test]
fn hl_232_the_files_have_the_form_that_other_tools_read() {
    let lab = Lab::new();
    let plugin = host_local(&lab, &json!({ "subnet": "10.0.0.0/24" }));
    plugin.on("c1").ifname("net7").add().result();
    assert_eq!(lab.list(DIRECTORY), ["10.0.0.2", "last_reserved_ip.0", "lock"]);
    assert_eq!(lab.read(&format!("{DIRECTORY}/10.0.0.2")), "c1\r\nnet7");
    assert_eq!(lab.read(&format!("{DIRECTORY}/last_reserved_ip.0")), "10.0.0.2");
    assert_eq!(lab.read(&format!("{DIRECTORY}/lock")), "");
    assert_eq!(lab.mode(DIRECTORY), 0o755);
    if !lab.reference_fails("1.1.1 lets everybody read the addresses") {
        assert_eq!(lab.mode(&format!("{DIRECTORY}/10.0.0.2")), 0o600);
        assert_eq!(lab.mode(&format!("{DIRECTORY}/last_reserved_ip.0")), 0o600);
    }
    assert_eq!(lab.mode(&format!("{DIRECTORY}/lock")), 0o750);
}

#[test]
fn hl_233_a_network_without_room_is_too_small() {
    for subnet in ["10.0.0.0/31", "10.0.0.1/32", "fd00::/127", "fd00::1/128"] {
        let expected = format!("invalid range set 0: Network {subnet} too small to allocate from");
        refused_config(&json!({ "subnet": subnet }), &expected);
    }
}

#[test]
fn hl_233_the_smallest_networks_have_one_and_two_addresses() {
    let lab = Lab::new();
    let plugin = host_local(&lab, &json!({ "subnet": "10.0.0.0/30" }));
    assert_eq!(addresses(&plugin, "c1"), ["10.0.0.2"]);
    let message = plugin.on("c2").add().failure();
    assert!(message.ends_with("available in range set: 10.0.0.1-10.0.0.2"), "{message}");
    let lab = Lab::new();
    let plugin = host_local(&lab, &json!({ "subnet": "fd00::/126" }));
    assert_eq!(addresses(&plugin, "c1"), ["fd00::2"]);
    assert_eq!(addresses(&plugin, "c2"), ["fd00::3"]);
    let message = plugin.on("c3").add().failure();
    assert!(message.ends_with("available in range set: fd00::1-fd00::3"), "{message}");
}

#[test]
fn hl_234_ranges_that_make_no_sense_are_refused() {
    let start = |start: &str| json!({ "subnet": "10.0.0.0/24", "rangeStart": start });
    let end = |end: &str| json!({ "subnet": "10.0.0.0/24", "rangeEnd": end });
    let crossed = json!({
        "subnet": "10.0.0.0/24", "rangeStart": "10.0.0.50", "rangeEnd": "10.0.0.40",
    });
    let cases = [
        (
            json!({ "subnet": "10.0.0.9/24" }),
            "invalid range set 0: Network has host bits set. For a subnet mask of length 24 the \
             network address is 10.0.0.0",
        ),
        (start("10.0.1.1"), "invalid range set 0: RangeStart 10.0.1.1 not in network 10.0.0.0/24"),
        (end("10.0.1.1"), "invalid range set 0: RangeEnd 10.0.1.1 not in network 10.0.0.0/24"),
        (crossed, "invalid range set 0: RangeStart 10.0.0.50 not in network 10.0.0.0/24"),
        (json!({}), "no IP ranges specified"),
        (json!({ "ranges": [] }), "no IP ranges specified"),
        (json!({ "ranges": [[]] }), "invalid range set 0: empty range set"),
        (
            json!({ "ranges": [[{ "subnet": "10.0.0.0/24" }, { "subnet": "fd00::/64" }]] }),
            "invalid range set 0: mixed address families",
        ),
        (
            json!({ "ranges": [[{ "subnet": "10.0.0.0/24" }, { "subnet": "10.0.0.0/25" }]] }),
            "invalid range set 0: subnets 10.0.0.1-10.0.0.254 and 10.0.0.1-10.0.0.126 overlap",
        ),
        (
            json!({ "ranges": [[{ "subnet": "10.0.0.0/24" }], [{ "subnet": "10.0.0.0/25" }]] }),
            "range set 0 overlaps with 1",
        ),
        (
            json!({ "ranges": [[{ "subnet": "10.0.0.0/24" }], [{ "subnet": "10.0.1.0/31" }]] }),
            "invalid range set 1: Network 10.0.1.0/31 too small to allocate from",
        ),
    ];
    for (ipam, expected) in cases {
        refused_config(&ipam, expected);
    }
}

#[test]
fn hl_234_an_address_plugin_needs_its_part_of_the_configuration() {
    let lab = Lab::new();
    let plugin = host_local(&lab, &Value::Null).on("c1");
    assert_eq!(plugin.add().invalid_config(), "IPAM config missing 'ipam' key");
    let config = json!({ "cniVersion": "1.0.0", "name": "net" });
    assert_eq!(plugin.config(config).add().invalid_config(), "IPAM config missing 'ipam' key");
}

#[test]
fn hl_235_the_gateway_is_the_first_address_unless_it_is_given() {
    let gateway = |ipam: &Value| {
        let result = host_local(&Lab::new(), ipam).on("c1").add().result();
        (result["ips"][0]["address"].clone(), result["ips"][0]["gateway"].clone())
    };
    assert_eq!(
        gateway(&json!({ "subnet": "10.0.0.0/24" })),
        (json!("10.0.0.2/24"), json!("10.0.0.1"))
    );
    assert_eq!(
        gateway(&json!({ "subnet": "10.0.0.0/24", "gateway": "10.0.0.2" })),
        (json!("10.0.0.1/24"), json!("10.0.0.2"))
    );
    assert_eq!(
        gateway(&json!({ "subnet": "10.0.0.0/24", "gateway": "10.9.9.9" })),
        (json!("10.0.0.1/24"), json!("10.9.9.9"))
    );
    assert_eq!(gateway(&json!({ "subnet": "fd00::/64" })), (json!("fd00::2/64"), json!("fd00::1")));
}

#[test]
fn hl_235_an_explicit_gateway_is_skipped_within_the_range() {
    let lab = Lab::new();
    let ipam = json!({
        "subnet": "10.0.0.0/24", "rangeStart": "10.0.0.10", "rangeEnd": "10.0.0.12",
        "gateway": "10.0.0.11",
    });
    let plugin = host_local(&lab, &ipam);
    assert_eq!(addresses(&plugin, "c1"), ["10.0.0.10"]);
    assert_eq!(addresses(&plugin, "c2"), ["10.0.0.12"]);
    let message = plugin.on("c3").add().failure();
    assert!(message.ends_with("available in range set: 10.0.0.10-10.0.0.12"), "{message}");
}

#[test]
fn hl_236_the_second_range_of_a_set_is_used_after_the_first() {
    let lab = Lab::new();
    let ipam = json!({ "ranges": [[
        { "subnet": "10.0.0.0/24", "rangeStart": "10.0.0.10", "rangeEnd": "10.0.0.11" },
        { "subnet": "10.0.5.0/30" },
    ]] });
    let plugin = host_local(&lab, &ipam);
    assert_eq!(addresses(&plugin, "c1"), ["10.0.0.10"]);
    assert_eq!(addresses(&plugin, "c2"), ["10.0.0.11"]);
    let third = plugin.clone().on("c3").add().result();
    assert_eq!(third["ips"], json!([{ "address": "10.0.5.2/30", "gateway": "10.0.5.1" }]));
    assert_eq!(
        plugin.clone().on("c4").add().failure(),
        "failed to allocate for range 0: no IP addresses available in range set: \
         10.0.0.10-10.0.0.11,10.0.5.1-10.0.5.2"
    );
    release(&plugin, "c1");
    assert_eq!(addresses(&plugin, "c4"), ["10.0.0.10"]);
}

#[test]
fn hl_237_the_old_style_range_comes_before_the_new_style_ranges() {
    let lab = Lab::new();
    let ipam = json!({
        "subnet": "10.0.0.0/24", "ranges": [[{ "subnet": "10.0.1.0/24" }], [{ "subnet": "fd00::/64" }]],
    });
    let given = addresses(&host_local(&lab, &ipam), "c1");
    assert_eq!(given, ["10.0.0.2", "10.0.1.2", "fd00::2"]);
    assert_eq!(lab.read(&format!("{DIRECTORY}/last_reserved_ip.0")), "10.0.0.2");
    assert_eq!(lab.read(&format!("{DIRECTORY}/last_reserved_ip.2")), "fd00::2");
}

#[test]
fn hl_238_a_requested_address_is_given_once() {
    let lab = Lab::new();
    let plugin = host_local(&lab, &json!({ "subnet": "10.0.0.0/24" }));
    let request = |container: &str, address: &str| {
        plugin.clone().on(container).args(&format!("IP={address}")).add()
    };
    assert_eq!(request("c1", "10.0.0.77").result()["ips"][0]["address"], "10.0.0.77/24");
    assert_eq!(
        request("c2", "10.0.0.77").failure(),
        "failed to allocate for range 0: requested IP address 10.0.0.77 is not available in range \
         set 10.0.0.1-10.0.0.254"
    );
    assert_eq!(
        request("c2", "10.0.0.1").failure(),
        "failed to allocate for range 0: requested ip 10.0.0.1 is subnet's gateway"
    );
    assert_eq!(
        request("c2", "10.9.0.1").failure(),
        "failed to allocate all requested IPs: 10.9.0.1"
    );
    assert_eq!(
        request("c2", "zz").failure(),
        "ARGS: error parsing value of pair \"IP=zz\": invalid IP address zz"
    );
    assert_eq!(lab.leases("net"), ["10.0.0.77"]);
}

#[test]
fn hl_239_the_network_address_cannot_be_requested() {
    let lab = Lab::new();
    let plugin = host_local(&lab, &json!({ "subnet": "10.0.0.0/24" })).on("c1");
    for address in ["10.0.0.0", "10.0.0.255"] {
        let message = plugin.clone().args(&format!("IP={address}")).add().failure();
        assert_eq!(message, format!("failed to allocate all requested IPs: {address}"));
    }
    assert!(lab.leases("net").is_empty());
}

#[test]
fn hl_240_requests_of_the_runtime_the_arguments_and_the_environment_are_united() {
    let lab = Lab::new();
    let ipam = json!({ "ranges": [
        [{ "subnet": "10.0.0.0/24" }], [{ "subnet": "fd00::/64" }], [{ "subnet": "10.0.1.0/24" }],
    ] });
    let plugin = host_local(&lab, &ipam)
        .on("c1")
        .key("runtimeConfig", &json!({ "ips": ["10.0.0.50/24"] }))
        .key("args", &json!({ "cni": { "ips": ["fd00::50"] } }))
        .args("IP=10.0.1.50");
    let ips = plugin.add().result()["ips"].take();
    assert_eq!(
        ips,
        json!([
            { "address": "10.0.0.50/24", "gateway": "10.0.0.1" },
            { "address": "fd00::50/64", "gateway": "fd00::1" },
            { "address": "10.0.1.50/24", "gateway": "10.0.1.1" },
        ])
    );
}

#[test]
fn hl_241_ranges_of_the_runtime_come_first() {
    let lab = Lab::new();
    let plugin = host_local(&lab, &json!({ "subnet": "10.0.0.0/24" }));
    let runtime =
        json!({ "ipRanges": [[{ "subnet": "10.7.0.0/24" }], [{ "subnet": "fd00::/64" }]] });
    let plugin = plugin.key("runtimeConfig", &runtime);
    assert_eq!(addresses(&plugin, "c1"), ["10.7.0.2", "fd00::2", "10.0.0.2"]);
    for (index, address) in ["10.7.0.2", "fd00::2", "10.0.0.2"].iter().enumerate() {
        let last = lab.read(&format!("{DIRECTORY}/last_reserved_ip.{index}"));
        assert_eq!(last, *address);
    }
    let alone = host_local(&lab, &json!({})).key("runtimeConfig", &runtime);
    assert_eq!(addresses(&alone, "c2"), ["10.7.0.3", "fd00::3"]);
}
