//! BR 133 and 134: `macspoofchk` lets a container send under its own MAC address only.
//!
//! The layout of the rules is our own, so the tests look at traffic and at what is left.

use ropewalk_e2e::{Lab, Plugin, json};

const GATEWAY: &str = "10.1.2.1:9";

fn bridge<'lab>(lab: &'lab Lab, container: &str) -> Plugin<'lab> {
    lab.netns(container);
    lab.plugin("bridge").on(container).config(json!({
        "cniVersion": "1.0.0", "name": "net", "type": "bridge", "isGateway": true,
        "macspoofchk": true, "ipam": { "type": "host-local", "subnet": "10.1.2.0/24" },
    }))
}

#[test]
fn br_133_a_container_with_another_mac_is_silenced() {
    let lab = Lab::new();
    if lab.lacks_nftables() {
        return;
    }
    let plugin = bridge(&lab, "c1");
    let before = lab.settled(&plugin);
    let result = plugin.add().result();
    let other = bridge(&lab, "c2");
    other.add().result();
    assert!(lab.reaches("c1", GATEWAY));
    lab.sh_in("c1", "ip link set eth0 address 02:00:00:00:00:99");
    assert!(lab.does_not_reach("c1", GATEWAY));
    assert!(lab.reaches("c2", GATEWAY), "the other container is not affected");
    let mac = result["interfaces"][2]["mac"].as_str().expect("a MAC address");
    lab.sh_in("c1", &format!("ip link set eth0 address {mac}; ip neigh flush dev eth0"));
    assert!(lab.reaches("c1", GATEWAY));
    plugin.check(&result).silent();
    plugin.del(&result).silent();
    other.del_without_result().silent();
    lab.nothing_left(&before);
}

#[test]
fn br_133_without_the_check_another_mac_is_accepted() {
    let lab = Lab::new();
    let plugin = bridge(&lab, "c1").key("macspoofchk", &json!(false));
    plugin.add().result();
    lab.sh_in("c1", "ip link set eth0 address 02:00:00:00:00:99");
    assert!(lab.reaches("c1", GATEWAY));
}

#[test]
fn br_133_check_notices_that_the_guard_is_gone() {
    let lab = Lab::new();
    if lab.reference_fails("nobody checks the guard") || lab.lacks_nftables() {
        return;
    }
    let plugin = bridge(&lab, "c1");
    let result = plugin.add().result();
    plugin.check(&result).silent();
    lab.sh("nft flush ruleset");
    plugin.check(&result).failure();
}

#[test]
fn br_134_del_twice_is_silent_and_so_is_del_without_a_namespace() {
    let lab = Lab::new();
    if lab.lacks_nftables() {
        return;
    }
    let plugin = bridge(&lab, "c1");
    let before = lab.settled(&plugin);
    let result = plugin.add().result();
    plugin.del(&result).silent();
    plugin.del(&result).silent();
    lab.nothing_left(&before);
    if lab.reference_fails("it leaks the rules without a namespace") {
        return;
    }
    plugin.add().result();
    lab.sh("ip netns del c1");
    plugin.del_without_result().silent();
    lab.wait_until("the kernel has removed the pair", || {
        lab.host_links().iter().all(|name| !name.starts_with("veth"))
    });
    lab.nothing_left(&before);
}
