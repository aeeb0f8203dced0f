//! LO: loopback brings `lo` up, whatever interface it is asked for.

use ropewalk_e2e::{Lab, Plugin, Value, json};

fn loopback<'lab>(lab: &'lab Lab, version: &str) -> Plugin<'lab> {
    lab.netns("c1");
    let config = json!({ "cniVersion": version, "name": "net", "type": "loopback" });
    lab.plugin("loopback").on("c1").config(config)
}

fn is_up(lab: &Lab) -> bool {
    let flags = lab.ip_json_in("c1", "link show dev lo")[0]["flags"].take();
    flags.as_array().expect("a link has flags").contains(&json!("UP"))
}

#[test]
fn lo_210_add_brings_lo_up_and_answers_its_addresses() {
    let lab = Lab::new();
    let plugin = loopback(&lab, "1.0.0");
    assert!(!is_up(&lab));
    let result = plugin.ifname("eth7").add().result();
    assert!(is_up(&lab));
    assert_eq!(
        result["interfaces"],
        json!([{ "name": "lo", "mac": "00:00:00:00:00:00", "sandbox": "/run/netns/c1" }])
    );
    assert_eq!(
        result["ips"],
        json!([
            { "interface": 0, "address": "127.0.0.1/8" }, { "interface": 0, "address": "::1/128" },
        ])
    );
    assert!(!lab.has_link("c1", "eth7"));
}

#[test]
fn lo_210_add_again_is_no_error() {
    let lab = Lab::new();
    let plugin = loopback(&lab, "1.0.0");
    let first = plugin.add().result();
    assert_eq!(plugin.add().result(), first);
}

#[test]
fn lo_211_del_brings_lo_down_and_is_content_without_a_namespace() {
    let lab = Lab::new();
    let plugin = loopback(&lab, "1.0.0");
    let result = plugin.add().result();
    plugin.del(&result).silent();
    assert!(!is_up(&lab));
    plugin.del(&result).silent();
    plugin.clone().netns("/run/netns/gone").del_without_result().silent();
    plugin.clone().netns("").del_without_result().silent();
    plugin.clone().without("CNI_NETNS").del_without_result().silent();
    lab.sh("ip netns del c1");
    plugin.del(&result).silent();
}

#[test]
fn lo_212_check_notices_that_lo_is_down() {
    let lab = Lab::new();
    let plugin = loopback(&lab, "1.0.0");
    let result = plugin.add().result();
    plugin.check(&result).silent();
    lab.sh_in("c1", "ip link set lo down");
    assert_eq!(plugin.check(&result).failure(), "loopback interface is down");
}

#[test]
fn lo_213_a_foreign_address_on_lo_is_an_error() {
    let lab = Lab::new();
    let plugin = loopback(&lab, "1.0.0");
    lab.sh_in("c1", "ip addr add 10.3.3.3/32 dev lo");
    let message = plugin.add().failure();
    assert!(message.contains("loopback interface found with non-loopback address"), "{message}");
    assert!(message.contains("10.3.3.3"), "{message}");
}

#[test]
fn lo_214_a_previous_result_is_echoed_unchanged() {
    let lab = Lab::new();
    let previous = json!({
        "cniVersion": "1.0.0",
        "interfaces": [{ "name": "eth0", "mac": "02:00:00:00:00:01", "sandbox": "/run/netns/c1" }],
        "ips": [{ "interface": 0, "address": "10.1.2.2/24", "gateway": "10.1.2.1" }],
        "routes": [{ "dst": "0.0.0.0/0" }],
        "dns": { "nameservers": ["10.1.2.1"] },
    });
    let result = loopback(&lab, "1.0.0").previous(&previous).add().result();
    assert_eq!(result, previous);
    assert!(is_up(&lab));
}

fn shape(version: &str) -> Value {
    let lab = Lab::new();
    loopback(&lab, version).add().result()
}

#[test]
fn lo_215_the_result_has_the_form_of_its_version() {
    if Lab::new().reference_fails("it prints the modern form under any version") {
        return;
    }
    for version in ["0.4.0", "0.3.1", "0.3.0"] {
        assert_eq!(
            shape(version),
            json!({
                "cniVersion": version,
                "interfaces": [
                    { "name": "lo", "mac": "00:00:00:00:00:00", "sandbox": "/run/netns/c1" },
                ],
                "ips": [
                    { "version": "4", "interface": 0, "address": "127.0.0.1/8" },
                    { "version": "6", "interface": 0, "address": "::1/128" },
                ],
                "dns": {},
            })
        );
    }
    for version in ["0.2.0", "0.1.0"] {
        assert_eq!(
            shape(version),
            json!({
                "cniVersion": version, "ip4": { "ip": "127.0.0.1/8" }, "ip6": { "ip": "::1/128" },
                "dns": {},
            })
        );
    }
}
