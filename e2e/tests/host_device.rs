//! HD 198 to 209 and row 4 of the users' wishes: devices of the host that a container has for a
//! while. Ends of veth pairs play the devices; hardware is played by the NICs of an emulated host.

#[path = "host_device/given_back.rs"]
mod given_back;

use ropewalk_e2e::{Lab, Outcome, Plugin, Value, json, reference};

/// A host with the device `dev0`, whose other end is `far0`, and the namespace `c1`.
fn lab_with_device() -> Lab {
    let lab = Lab::new();
    lab.netns("c1");
    lab.sh("ip link add dev0 address 02:00:00:00:00:d0 type veth peer name far0
            ip link set far0 addrgenmode none up");
    lab
}

fn host_device<'lab>(lab: &'lab Lab, keys: &Value) -> Plugin<'lab> {
    let plugin = lab.plugin("host-device").on("c1");
    let config = json!({ "cniVersion": "1.0.0", "name": "net", "type": "host-device" });
    let keys = keys.as_object().expect("keys are an object").iter();
    keys.fold(plugin.config(config), |plugin, (key, value)| plugin.key(key, value))
}

/// The device `dev0` by its name.
fn by_name(lab: &Lab) -> Plugin<'_> {
    host_device(lab, &json!({ "device": "dev0" }))
}

/// Addresses of both families.
fn dual_stack() -> Value {
    json!({
        "type": "host-local",
        "ranges": [[{ "subnet": "10.1.2.0/24" }], [{ "subnet": "fd00:1::/64" }]],
        "routes": [{ "dst": "0.0.0.0/0" }],
    })
}

fn is_up(link: &Value) -> bool {
    link["flags"].as_array().expect("a link has flags").contains(&json!("UP"))
}

/// Whether the host has `dev0` as at the beginning: with its own name, without an alias (which
/// 1.1.1 leaves).
#[track_caller]
fn assert_is_back(lab: &Lab, up: bool) {
    let link = lab.ip_json("link show dev dev0")[0].take();
    assert_eq!(link["address"], "02:00:00:00:00:d0");
    assert!(link.get("ifalias").is_none() || reference(), "{link}");
    assert_eq!(is_up(&link), up, "{link}");
    if lab.exists("/run/netns/c1") {
        assert!(!lab.has_link("c1", "dev0"));
    }
}

/// What the reference plugin says only when it acts, and so also as an ordinary failure.
#[track_caller]
fn refusal(outcome: &Outcome) -> String {
    outcome.refused()
}

#[test]
fn hd_198_a_device_is_moved_renamed_and_set_up() {
    let lab = lab_with_device();
    let plugin = by_name(&lab);
    let result = plugin.add().result();
    assert!(!lab.exists("/sys/class/net/dev0"));
    let link = lab.ip_json_in("c1", "link show dev eth0")[0].take();
    assert_eq!((&link["ifalias"], is_up(&link)), (&json!("dev0"), true));
    let interface = json!({
        "name": "eth0", "mac": "02:00:00:00:00:d0", "sandbox": "/run/netns/c1",
    });
    assert_eq!(result["interfaces"], json!([interface]));
    plugin.check(&result).silent();
}

#[test]
fn hd_198_a_device_that_was_up_and_has_the_name_already() {
    let lab = Lab::new();
    lab.netns("c1");
    lab.sh("ip link add eth0 type veth peer name far0; ip link set eth0 up");
    let plugin = host_device(&lab, &json!({ "device": "eth0" }));
    let result = plugin.add().result();
    let link = lab.ip_json_in("c1", "link show dev eth0")[0].take();
    assert_eq!((&link["ifalias"], is_up(&link)), (&json!("eth0"), true));
    plugin.check(&result).silent();
    plugin.del(&result).silent();
    let link = lab.ip_json("link show dev eth0")[0].take();
    assert!(!is_up(&link) && (link.get("ifalias").is_none() || reference()), "{link}");
}

#[test]
fn hd_198_every_version_has_its_result() {
    for version in ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] {
        if version == "1.1.0" && reference() {
            return;
        }
        let lab = lab_with_device();
        let plugin = by_name(&lab).key("cniVersion", &json!(version)).key("ipam", &dual_stack());
        let result = plugin.add().result();
        assert_eq!(result["cniVersion"], version);
        plugin.del_without_result().silent();
        assert_is_back(&lab, false);
    }
}

#[test]
fn hd_199_a_device_is_found_by_its_hardware_address_and_by_its_path() {
    let lab = lab_with_device();
    // Software links have no folders of their own; the first in theirs is `dev0`.
    for (key, value) in [("hwaddr", "02:00:00:00:00:D0"), ("kernelpath", "/sys/devices/virtual")] {
        let plugin = host_device(&lab, &json!({ key: value }));
        let result = plugin.add().result();
        assert_eq!(result["interfaces"][0]["mac"], "02:00:00:00:00:d0", "{key}");
        plugin.del(&result).silent();
        assert_is_back(&lab, false);
    }
    for (keys, expected) in [
        (
            json!({ "kernelpath": "/tmp/dev0" }),
            r#"kernel device path "/tmp/dev0" must be absolute and begin with /sys/devices/"#,
        ),
        (
            json!({ "hwaddr": "zz" }),
            r#"failed to parse MAC address "zz": address zz: invalid MAC address"#,
        ),
        (json!({ "hwaddr": "02:00:00:00:00:99" }), "failed to find physical interface"),
    ] {
        let message = refusal(&host_device(&lab, &keys).add());
        assert_eq!(message, format!("failed to find host device: {expected}"));
    }
    let message = host_device(&lab, &json!({ "kernelpath": "/sys/devices/nope" })).add().failure();
    assert!(message.contains("/sys/devices/nope/net"), "{message}");
}

#[test]
fn hd_199_the_first_selector_counts() {
    let lab = lab_with_device();
    let keys =
        json!({ "device": "dev0", "hwaddr": "02:00:00:00:00:99", "kernelpath": "/sys/devices/x" });
    let plugin = host_device(&lab, &keys);
    plugin.del(&plugin.add().result()).silent();
    assert_is_back(&lab, false);
}

#[test]
fn hd_200_something_has_to_be_selected() {
    let lab = lab_with_device();
    for keys in [json!({}), json!({ "device": "", "hwaddr": "" }), json!({ "dpdkMode": true })] {
        let plugin = host_device(&lab, &keys);
        let expected = r#"specify either "device", "hwaddr", "kernelpath" or "pciBusID""#;
        assert_eq!(plugin.add().invalid_config(), expected);
    }
}

#[test]
fn hd_201_a_device_that_does_not_exist() {
    let lab = Lab::new();
    lab.netns("c1");
    let before = lab.snapshot();
    let plugin = by_name(&lab).key("ipam", &dual_stack());
    assert_eq!(plugin.add().failure(), "failed to find host device: Link not found");
    lab.nothing_left(&before);
}

#[test]
fn hd_202_a_bus_without_the_device() {
    let lab = lab_with_device();
    let plugin = host_device(&lab, &json!({ "pciBusID": "0000:ff:00.0" }));
    let expected = "error with host device: lstat /sys/bus/pci/devices/0000:ff:00.0: \
                    no such file or directory";
    assert_eq!(plugin.add().failure(), expected);
    if lab.reference_fails("1.1.1 takes every deviceID for one on the PCI bus") {
        return;
    }
    for id in ["mlx5_core.sf.99", "../devices"] {
        let plugin = host_device(&lab, &json!({ "runtimeConfig": { "deviceID": id } }));
        let message = plugin.add().failure();
        assert_eq!(message, format!("runtime config DeviceID {id} not found or unsupported"));
        // DEL has nothing to do with a device that is gone.
        plugin.del_without_result().silent();
    }
}

#[test]
fn hd_203_a_name_that_is_taken_is_an_error_and_the_device_stays() {
    for up in [false, true] {
        let lab = lab_with_device();
        if lab.reference_fails("1.1.1 leaves the device in the container") {
            return;
        }
        lab.sh_in("c1", "ip link add eth0 type bridge");
        if up {
            lab.sh("ip link set dev0 up; ip address add 10.9.9.1/24 dev dev0");
        }
        let message = by_name(&lab).add().failure();
        let expected = "failed to move link failed to move \"eth0\" (host: \"dev0\") \
                        to container NS: file exists";
        assert_eq!(message, expected);
        assert_is_back(&lab, up);
        assert_eq!(lab.ip_json("-4 address show dev dev0")[0]["addr_info"].is_array(), up);
    }
}

#[test]
fn hd_203_the_container_may_have_another_link_of_the_devices_name() {
    let lab = lab_with_device();
    if lab.reference_fails("1.1.1 moves it under its old name") {
        return;
    }
    lab.sh_in("c1", "ip link add dev0 type bridge");
    let plugin = by_name(&lab);
    let result = plugin.add().result();
    assert_eq!(result["interfaces"][0]["mac"], "02:00:00:00:00:d0");
    plugin.check(&result).silent();
    plugin.del(&result).silent();
    assert_eq!(lab.ip_json("link show dev dev0")[0]["address"], "02:00:00:00:00:d0");
    assert!(lab.has_link("c1", "dev0") && !lab.has_link("c1", "eth0"));
}

#[test]
fn hd_203_whatever_fails_later_gives_the_device_back_as_it_was() {
    for up in [false, true] {
        let lab = lab_with_device();
        if lab.reference_fails("it leaves the device in the container") {
            return;
        }
        if up {
            lab.sh("ip link set dev0 up");
        }
        let before = lab.snapshot();
        let ipam = json!({
            "type": "static", "addresses": [{ "address": "10.1.2.2/24" }],
            "routes": [{ "dst": "10.5.0.0/16", "gw": "10.77.0.1" }],
        });
        let message = by_name(&lab).key("ipam", &ipam).add().failure();
        assert!(message.contains("unreachable"), "{message}");
        assert_is_back(&lab, up);
        lab.nothing_left(&before);
    }
}

#[test]
fn hd_204_the_device_has_the_addresses_and_the_configuration_the_name_servers() {
    let lab = lab_with_device();
    let mut ipam = dual_stack();
    ipam["dns"] = json!({ "nameservers": ["10.9.9.9"] });
    let dns = json!({ "nameservers": ["10.1.2.53"] });
    let plugin = by_name(&lab).key("ipam", &ipam).key("dns", &dns);
    let result = plugin.add().result();
    assert_eq!(result["dns"], dns);
    assert_eq!(result["ips"][0]["interface"], 0);
    assert_eq!(result["ips"][0]["address"], "10.1.2.2/24");
    lab.sh("ip address add 10.1.2.1/24 dev far0; ip address add fd00:1::1/64 dev far0 nodad");
    for destination in ["10.1.2.1:9", "[fd00:1::1]:9"] {
        assert!(lab.reaches("c1", destination), "{destination}");
    }
    let routes = lab.ip_json_in("c1", "route show default");
    assert_eq!((&routes[0]["gateway"], &routes[0]["dev"]), (&json!("10.1.2.1"), &json!("eth0")));
    plugin.check(&result).silent();
    if !reference() {
        for path in ["ipv4/conf/eth0/arp_notify", "ipv6/conf/eth0/ndisc_notify"] {
            assert_eq!(lab.sh_in("c1", &format!("cat /proc/sys/net/{path}")), "1", "{path}");
        }
    }
}

#[test]
fn hd_209_an_address_plugin_that_fails_leaves_the_device() {
    for up in [false, true] {
        let lab = lab_with_device();
        if lab.reference_fails("it leaves the device in the container") {
            return;
        }
        if up {
            lab.sh("ip link set dev0 up");
        }
        let path = lab.delegate("pool", r#"echo '{"code":11,"msg":"later"}'; exit 1"#);
        let plugin = by_name(&lab).path(&path).key("ipam", &json!({ "type": "pool" }));
        assert_eq!(plugin.add().error_with_code(11), "later");
        assert_is_back(&lab, up);
    }
}

#[test]
fn hd_check_notices_what_is_not_as_it_was() {
    for change in [
        "ip link set eth0 address 02:00:00:00:00:99",
        "ip address del 10.1.2.2/24 dev eth0",
        "ip route del default",
    ] {
        let lab = lab_with_device();
        let plugin = by_name(&lab).key("ipam", &dual_stack());
        let result = plugin.add().result();
        plugin.check(&result).silent();
        lab.sh_in("c1", change);
        plugin.check(&result).failure();
    }
}

#[test]
fn hd_a_device_left_to_programs_is_not_moved() {
    let lab = lab_with_device();
    let ipam = json!({ "type": "host-local", "subnet": "10.1.2.0/24" });
    let plugin = by_name(&lab).key("dpdkMode", &json!(true)).key("ipam", &ipam);
    let result = plugin.add().result();
    assert_is_back(&lab, false);
    assert_eq!(result["ips"][0]["address"], "10.1.2.2/24");
    if !lab.reference_fails("1.1.1 tells no interface") {
        let interface = json!({ "name": "eth0", "sandbox": "/run/netns/c1" });
        assert_eq!(result["interfaces"], json!([interface]));
        plugin.check(&result).silent();
    }
    plugin.del(&result).silent();
    assert!(lab.leases("net").is_empty());
    assert_is_back(&lab, false);
}

#[test]
fn hd_a_second_add_is_refused_and_changes_nothing() {
    let lab = lab_with_device();
    let plugin = by_name(&lab).key("ipam", &dual_stack());
    let result = plugin.add().result();
    let leases = lab.leases("net");
    plugin.add().failure();
    plugin.check(&result).silent();
    assert_eq!(lab.leases("net"), leases);
}

#[test]
fn hd_row_18_duplicates_are_looked_for_on_request() {
    let lab = lab_with_device();
    if lab.reference_fails("it always looks for duplicates") {
        return;
    }
    for detects in [false, true] {
        let plugin = by_name(&lab).key("ipam", &dual_stack()).key("enabledad", &json!(detects));
        let result = plugin.add().result();
        let addresses = lab.ip_json_in("c1", "-6 address show dev eth0 scope global");
        assert_eq!(addresses[0]["addr_info"][0]["nodad"] == json!(true), !detects);
        plugin.del(&result).silent();
    }
}

#[test]
fn hd_204_a_card_carries_traffic() {
    let lab = Lab::new();
    let (Some(card), Some(other)) = (lab.take_card(2), lab.take_card(1)) else {
        return lab.not_here("two cards that nobody uses");
    };
    lab.netns("c1");
    lab.netns("outer");
    lab.sh(&format!(
        "ip link set {0} netns outer
         ip -n outer address add 10.1.2.1/24 dev {0}
         ip -n outer address add fd00:1::1/64 dev {0} nodad
         ip -n outer link set {0} up",
        other.name
    ));
    let plugin = host_device(&lab, &json!({ "pciBusID": card.bus_address }));
    let plugin = plugin.key("ipam", &dual_stack());
    let result = plugin.add().result();
    lab.wait_until("the wire carries packets", || lab.reaches("c1", "10.1.2.1:9"));
    assert!(lab.reaches("c1", "[fd00:1::1]:9"));
    plugin.del(&result).silent();
}
