//! TAP 222 to 228: interfaces whose other end is a program.

use ropewalk_e2e::{Lab, Plugin, Value, dual_stack, json, reference, with_unreachable_route};

/// A tap for `c1`, whose namespace is made here; nothing if there cannot be one.
fn tap(lab: &Lab) -> Option<Plugin<'_>> {
    if reference() && !lab.exists(&format!("{}/tap", lab.plugin_directory())) {
        lab.reference_fails("the package has no tap");
        return None;
    }
    if lab.try_sh("ip tuntap add mode tap name probe && ip link del probe").code != 0 {
        lab.not_here("taps");
        return None;
    }
    lab.netns("c1");
    let config = json!({ "cniVersion": "1.0.0", "name": "net", "type": "tap" });
    Some(lab.plugin("tap").on("c1").config(config))
}

/// What the kernel says of the tap.
fn data(lab: &Lab) -> Value {
    let mut information = lab.link_in("c1", "eth0")["linkinfo"].take();
    assert_eq!(information["info_kind"], "tun");
    information["info_data"].take()
}

/// Whether a flag is set, which `ip` prints as a word or as a value.
fn has(data: &Value, flag: &str) -> bool {
    match &data[flag] {
        Value::Bool(on) => *on,
        Value::Null => false,
        other => other == "on",
    }
}

#[test]
fn tap_222_queues_owner_and_group() {
    let lab = Lab::new();
    let Some(plugin) = tap(&lab) else { return };
    let before = lab.snapshot();
    let plugin =
        plugin.key("multiQueue", &json!(true)).key("owner", &json!(65530)).key("group", &json!(0));
    let result = plugin.add().result();
    let data = data(&lab);
    assert_eq!(data["type"], "tap");
    assert_eq!(data["user"].to_string().trim_matches('"'), "65530");
    assert_eq!(data["group"], "root");
    for flag in ["multi_queue", "persist", "vnet_hdr"] {
        assert!(has(&data, flag), "{flag}: {data}");
    }
    assert!(!has(&data, "pi"), "{data}");
    let link = lab.link_in("c1", "eth0");
    assert!(link["flags"].as_array().expect("flags").contains(&json!("UP")), "{link}");
    let interfaces = json!([
        { "name": "eth0", "mac": link["address"], "sandbox": "/run/netns/c1" },
    ]);
    assert_eq!(result["interfaces"], interfaces);
    plugin.check(&result).silent();
    let message = plugin.clone().key("owner", &json!(7)).check(&result).failure();
    assert_eq!(message, "Error: Tuning link eth0 configured owner is 7, current value is 65530");
    plugin.del(&result).silent();
    assert!(!lab.has_link("c1", "eth0"));
    plugin.del(&result).silent();
    lab.nothing_left(&before);
}

#[test]
fn tap_222_without_keys_it_is_one_queue_for_whoever_may() {
    let lab = Lab::new();
    let Some(plugin) = tap(&lab) else { return };
    plugin.add().result();
    let data = data(&lab);
    for flag in ["multi_queue", "vnet_hdr", "pi"] {
        assert!(!has(&data, flag), "{flag}: {data}");
    }
    assert!(has(&data, "persist"), "{data}");
    assert_eq!((data.get("user"), data.get("group")), (None, None));
}

#[test]
fn tap_222_no_program_is_started() {
    let lab = Lab::new();
    let Some(plugin) = tap(&lab) else { return };
    let plugin = plugin.variable("PATH", "/nowhere").key("mtu", &json!(1400));
    plugin.add().result();
    assert_eq!(lab.link_in("c1", "eth0")["mtu"], 1400);
}

#[test]
fn tap_223_mtu_and_mac_without_owner() {
    let lab = Lab::new();
    let Some(plugin) = tap(&lab) else { return };
    let plugin = plugin.key("mtu", &json!(1400)).key("mac", &json!("02:00:00:00:00:01"));
    let result = plugin.add().result();
    let link = lab.link_in("c1", "eth0");
    assert_eq!((&link["mtu"], &link["address"]), (&json!(1400), &json!("02:00:00:00:00:01")));
    assert_eq!(result["interfaces"][0]["mac"], "02:00:00:00:00:01");
    plugin.check(&result).silent();
}

#[test]
fn tap_224_mtu_and_mac_with_owner_and_group() {
    let lab = Lab::new();
    let Some(plugin) = tap(&lab) else { return };
    let plugin = plugin
        .key("owner", &json!(0))
        .key("group", &json!(0))
        .key("mtu", &json!(1400))
        .key("mac", &json!("02:00:00:00:00:01"));
    plugin.add().result();
    if !lab.reference_fails("it ignores both") {
        let link = lab.link_in("c1", "eth0");
        assert_eq!((&link["mtu"], &link["address"]), (&json!(1400), &json!("02:00:00:00:00:01")));
    }
}

#[test]
fn tap_224_the_strongest_mac_is_the_runtimes() {
    let lab = Lab::new();
    let Some(plugin) = tap(&lab) else { return };
    let requested = plugin.key("mac", &json!("02:00:00:00:00:01")).args("MAC=02:00:00:00:00:02");
    let runtime = json!({ "mac": "02:00:00:00:00:03" });
    let by_runtime = requested.clone().ifname("eth1").key("runtimeConfig", &runtime);
    requested.add().result();
    by_runtime.add().result();
    assert_eq!(lab.link_in("c1", "eth0")["address"], "02:00:00:00:00:02");
    assert_eq!(lab.link_in("c1", "eth1")["address"], "02:00:00:00:00:03");
    let message = requested.ifname("eth2").args("MAC=zz").add().invalid_config();
    assert_eq!(message, "invalid args zz for MAC addr: address zz: invalid MAC address");
}

#[test]
fn tap_225_a_bridge_in_the_container_gets_it_as_a_port() {
    let lab = Lab::new();
    let Some(plugin) = tap(&lab) else { return };
    lab.sh_in("c1", "ip link add br0 type bridge; ip link add br1 type bridge");
    let plugin = plugin.key("bridge", &json!("br0"));
    let result = plugin.add().result();
    assert_eq!(lab.link_in("c1", "eth0")["master"], "br0");
    plugin.check(&result).silent();
    if !lab.reference_fails("it does not look") {
        lab.sh_in("c1", "ip link set eth0 master br1");
        assert!(plugin.check(&result).failure().contains("master"));
    }
    plugin.del(&result).silent();
    assert!(!lab.has_link("c1", "eth0"));
}

#[test]
fn tap_225_an_unknown_bridge_is_an_error_that_leaves_nothing() {
    let lab = Lab::new();
    let Some(plugin) = tap(&lab) else { return };
    let plugin = plugin.key("bridge", &json!("nobr")).key("ipam", &dual_stack());
    let before = lab.snapshot();
    assert_eq!(plugin.add().failure(), "failed to get bridge nobr: Link not found");
    if !lab.reference_fails("the tap stays") {
        lab.nothing_made(&before);
    }
}

#[test]
fn tap_226_addresses_are_those_of_the_address_plugin() {
    let lab = Lab::new();
    let Some(plugin) = tap(&lab) else { return };
    let mut ipam = dual_stack();
    ipam["ranges"].as_array_mut().expect("ranges").truncate(1);
    ipam["routes"].as_array_mut().expect("routes").truncate(1);
    let plugin = plugin.key("ipam", &ipam);
    let before = lab.snapshot();
    let result = plugin.add().result();
    assert_eq!(lab.setting("c1", "ipv4", "arp_notify"), "1");
    assert_eq!(lab.addresses_in("c1"), ["10.9.0.10/24"]);
    assert_eq!(result["ips"][0]["interface"], 0);
    plugin.check(&result).silent();
    lab.sh_in("c1", "ip address del 10.9.0.10/24 dev eth0");
    let message = plugin.check(&result).failure();
    assert_eq!(message, "Failed to match addr 10.9.0.10/24 on interface eth0");
    lab.sh("ip netns del c1");
    plugin.del(&result).silent();
    lab.nothing_left(&before);
}

#[test]
fn tap_226_a_configuration_that_fails_leaves_neither_link_nor_lease() {
    let lab = Lab::new();
    let Some(plugin) = tap(&lab) else { return };
    let plugin = plugin.key("ipam", &with_unreachable_route());
    let before = lab.snapshot();
    let message = plugin.add().failure();
    assert!(message.starts_with("failed to add route"), "{message}");
    assert!(lab.leases("net").is_empty());
    if !lab.reference_fails("the tap stays") {
        lab.nothing_made(&before);
    }
}

#[test]
fn tap_227_an_interface_that_exists_is_not_taken_over() {
    let lab = Lab::new();
    let Some(plugin) = tap(&lab) else { return };
    if lab.reference_fails("it answers with the interface that exists, and leaves another") {
        return;
    }
    lab.sh_in("c1", "ip link add eth0 type bridge");
    let state = || (lab.snapshot(), lab.ipv4_in("c1"));
    let before = state();
    for ipam in [json!(null), dual_stack()] {
        let message = plugin.clone().key("ipam", &ipam).add().failure();
        assert_eq!(message, "failed to create tap: file exists");
        assert_eq!(state(), before);
    }
    lab.sh_in("c1", "ip link del eth0");
    let result = plugin.add().result();
    let before = lab.sh_in("c1", "ip link");
    assert_eq!(plugin.add().failure(), "failed to create tap: file exists");
    assert_eq!(lab.sh_in("c1", "ip link"), before);
    plugin.check(&result).silent();
}

#[test]
fn tap_228_ipv6_addresses_do_not_wait_for_a_program() {
    let lab = Lab::new();
    let Some(plugin) = tap(&lab) else { return };
    // Looking for duplicates would never end, since nobody is there who could answer.
    let plugin = plugin.key("ipam", &dual_stack()).key("enabledad", &json!(true));
    let before = std::time::Instant::now();
    let result = plugin.add().result();
    if !lab.reference_fails("it waits for five seconds") {
        assert!(before.elapsed().as_secs() < 4, "{:?}", before.elapsed());
        assert_eq!(lab.sh_in("c1", "ip -6 -o address show dev eth0 tentative scope global"), "");
    }
    assert_eq!(lab.addresses_in("c1"), ["10.9.0.10/24", "fd00:9::10/64"]);
    plugin.check(&result).silent();
}

/// `ip` opens the tap as any program would, to tell it that it need not stay.
#[test]
fn tap_222_a_program_can_open_the_other_end() {
    for (queues, option) in [(false, ""), (true, "multi_queue")] {
        let lab = Lab::new();
        let Some(plugin) = tap(&lab) else { return };
        plugin.key("multiQueue", &json!(queues)).add().result();
        lab.sh_in("c1", &format!("ip tuntap del mode tap name eth0 {option}"));
        assert!(!lab.has_link("c1", "eth0"));
    }
}

#[test]
fn tap_222_a_label_needs_selinux() {
    let lab = Lab::new();
    let Some(plugin) = tap(&lab) else { return };
    if lab.sh("cat /proc/filesystems").contains("selinuxfs") {
        return lab.not_here("a kernel without SELinux");
    }
    let plugin = plugin.key("selinuxContext", &json!("system_u:system_r:container_t:s0"));
    let before = lab.snapshot();
    let message = plugin.add().failure();
    if !reference() {
        let expected = "failed to create tap: SELinux context \
                        \"system_u:system_r:container_t:s0\" cannot be set: the kernel runs \
                        without SELinux";
        assert_eq!(message, expected);
    }
    lab.nothing_made(&before);
}
