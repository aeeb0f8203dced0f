//! HD 205 to 208 and row 4: a device is given back, whatever happened to its container.

use ropewalk_e2e::{Lab, Plugin, json, reference};

use super::{assert_is_back, by_name, dual_stack, host_device, is_up, lab_with_device};

#[test]
fn hd_205_del_gives_the_device_back_down_without_alias() {
    let lab = lab_with_device();
    let plugin = by_name(&lab).key("ipam", &dual_stack());
    let before = lab.snapshot();
    let result = plugin.add().result();
    plugin.del(&result).silent();
    assert_is_back(&lab, false);
    lab.nothing_left(&before);
    assert!(!lab.has_link("c1", "eth0"));
}

#[test]
fn hd_205_a_host_that_has_the_name_already_is_an_error_and_changes_nothing() {
    let lab = lab_with_device();
    let plugin = by_name(&lab);
    let result = plugin.add().result();
    lab.sh("ip link add dev0 type bridge");
    let message = plugin.del(&result).failure();
    assert!(message.contains(r#"failed to move "dev0" to host"#), "{message}");
    assert!(message.ends_with(": file exists"), "{message}");
    let link = lab.ip_json_in("c1", "link show dev eth0")[0].take();
    assert_eq!((&link["ifalias"], is_up(&link)), (&json!("dev0"), true));
    lab.sh("ip link del dev0");
    plugin.del(&result).silent();
    assert_is_back(&lab, false);
}

#[test]
fn hd_205_the_container_may_have_another_link_of_the_old_name() {
    let lab = lab_with_device();
    if lab.reference_fails("1.1.1 has no way around it") {
        return;
    }
    let plugin = by_name(&lab);
    let result = plugin.add().result();
    lab.sh_in("c1", "ip link add dev0 type bridge");
    plugin.del(&result).silent();
    assert_eq!(lab.ip_json("link show dev dev0")[0]["address"], "02:00:00:00:00:d0");
    assert!(lab.has_link("c1", "dev0") && !lab.has_link("c1", "eth0"));
}

#[test]
fn hd_206_del_twice_is_silent() {
    let lab = lab_with_device();
    if lab.reference_fails("the second one finds no interface") {
        return;
    }
    let plugin = by_name(&lab).key("ipam", &dual_stack());
    let result = plugin.add().result();
    for _ in 0..2 {
        plugin.del(&result).silent();
        plugin.del_without_result().silent();
        assert_is_back(&lab, false);
    }
    assert!(lab.leases("net").is_empty());
}

/// DEL without the namespace: the address is released.
fn del_without_namespace(lab: &Lab, plugin: &Plugin<'_>) {
    plugin.del_without_result().silent();
    assert!(lab.leases("net").is_empty());
    plugin.del_without_result().silent();
}

#[test]
fn hd_207_row_04_del_without_a_namespace_releases_the_address() {
    let lab = lab_with_device();
    if lab.reference_fails("it keeps the lease") {
        return;
    }
    let plugin = by_name(&lab).key("ipam", &dual_stack());
    plugin.add().result();
    assert!(!lab.leases("net").is_empty());
    del_without_namespace(&lab, &plugin.clone().netns(""));
    // The device is still there for a DEL that knows where.
    plugin.del_without_result().silent();
    assert_is_back(&lab, false);
    plugin.add().result();
    lab.sh("ip netns del c1");
    del_without_namespace(&lab, &plugin);
    plugin.add().failure();
    del_without_namespace(&lab, &plugin.without("CNI_NETNS"));
}

#[test]
fn row_04_a_device_that_came_back_under_another_name_gets_its_own() {
    let lab = lab_with_device();
    if lab.reference_fails("it does nothing without a namespace") {
        return;
    }
    // As the kernel does it with hardware when a sandbox vanishes.
    for name in ["eth0", "dev7"] {
        for keys in [json!({ "device": "dev0" }), json!({ "hwaddr": "02:00:00:00:00:d0" })] {
            let plugin = host_device(&lab, &keys).netns("/run/netns/gone");
            lab.sh(&format!("ip link set dev0 down name {name} alias dev0"));
            plugin.del_without_result().silent();
            assert_is_back(&lab, false);
        }
    }
}

#[test]
fn row_04_a_link_of_the_host_with_an_alias_keeps_its_name() {
    let lab = lab_with_device();
    if lab.reference_fails("it does nothing without a namespace") {
        return;
    }
    let plugin = host_device(&lab, &json!({ "hwaddr": "02:00:00:00:00:d0" }));
    let gone = plugin.netns("/run/netns/gone");
    for (name, state, alias) in [
        // It is used; it has a name of its own; the former name is taken; the alias is no name.
        ("eth0", "up", "uplink"),
        ("lan0", "down", "uplink"),
        ("eth0", "down", "far0"),
        ("eth0", "down", "the way to the office"),
    ] {
        lab.sh(&format!(
            "ip link set dev0 name {name}
                         ip link set {name} alias '{alias}' {state}"
        ));
        gone.del_without_result().silent();
        let found = lab.ip_json(&format!("link show dev {name}"))[0].take();
        assert_eq!(found["ifalias"], *alias);
        lab.sh(&format!("ip link set {name} down; ip link set {name} name dev0"));
    }
    // The result tells another device.
    lab.sh("ip link set dev0 name eth0; ip link set eth0 alias dev0");
    let result = json!({
        "cniVersion": "1.0.0",
        "interfaces": [
            { "name": "eth0", "mac": "02:00:00:00:00:99", "sandbox": "/run/netns/gone" },
        ],
    });
    gone.del(&result).silent();
    assert!(lab.exists("/sys/class/net/eth0"));
}

#[test]
fn hd_208_del_of_a_device_without_alias_is_an_error() {
    let lab = lab_with_device();
    let plugin = by_name(&lab).key("ipam", &dual_stack());
    let result = plugin.add().result();
    lab.sh_in("c1", "ip link set eth0 alias ''");
    if !lab.reference_fails("1.1.1 says otherwise") {
        let message = plugin.check(&result).failure();
        assert!(message.contains("original"), "{message}");
        let expected = "failed to find original ifname for \"eth0\" (alias is not set)";
        assert_eq!(plugin.del(&result).failure(), expected);
        assert!(lab.has_link("c1", "eth0"));
    }
    assert!(lab.leases("net").is_empty() || reference());
}

#[test]
fn hd_199_row_04_a_card_on_the_pci_bus_is_found_and_comes_back_even_when_its_container_vanishes() {
    let lab = Lab::new();
    let Some(card) = lab.take_card(2) else {
        return lab.not_here("a card on the PCI bus that nobody uses");
    };
    if lab.reference_fails("it does nothing without a namespace") {
        return;
    }
    let original = card.name.as_str();
    for keys in [
        json!({ "pciBusID": card.bus_address }),
        json!({ "runtimeConfig": { "deviceID": card.bus_address } }),
        json!({ "hwaddr": card.mac }),
        json!({ "device": original }),
    ] {
        lab.netns("c1");
        let plugin = host_device(&lab, &keys).key("ipam", &dual_stack());
        let result = plugin.add().result();
        assert_eq!(result["interfaces"][0]["mac"], card.mac, "{keys}");
        plugin.check(&result).silent();
        plugin.del(&result).silent();
        assert_eq!(lab.ip_json(&format!("link show dev {original}"))[0]["address"], card.mac);
        for ifname in ["eth0", "lan7"] {
            let plugin = plugin.clone().ifname(ifname);
            let result = plugin.add().result();
            lab.sh("ip netns del c1");
            let (name, alias) = lab.fetch_card(&card.mac);
            // The machine has another card called `eth0`.
            assert!(name == ifname || name.starts_with("dev"), "{name}");
            assert_eq!(alias.as_deref(), Some(original));
            plugin.del(&result).silent();
            let link = lab.ip_json(&format!("link show dev {original}"))[0].take();
            assert_eq!((&link["address"], link.get("ifalias")), (&json!(card.mac), None));
            lab.netns("c1");
        }
        lab.sh("ip netns del c1");
    }
}
