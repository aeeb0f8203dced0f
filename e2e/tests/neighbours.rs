//! Row 30 of what users asked for: neighbours learn a new container's addresses at once, and an
//! address that somebody else uses is not taken.

use ropewalk_e2e::{Lab, Plugin, Value, json};

fn bridge<'lab>(lab: &'lab Lab, container: &str, addresses: &[&str]) -> Plugin<'lab> {
    lab.netns(container);
    let addresses: Vec<Value> =
        addresses.iter().map(|address| json!({ "address": address })).collect();
    lab.plugin("bridge").on(container).config(json!({
        "cniVersion": "1.0.0",
        "name": "net",
        "type": "bridge",
        "ipam": { "type": "static", "addresses": addresses },
    }))
}

/// The hardware address under which a namespace knows a neighbour.
fn known(lab: &Lab, netns: &str, address: &str) -> Option<String> {
    let entries = lab.ip_json_in(netns, &format!("neigh show {address}"));
    Some(entries[0]["lladdr"].as_str()?.to_owned())
}

#[test]
fn row_30_a_neighbour_with_a_stale_entry_learns_the_new_hardware_address_at_once() {
    let lab = Lab::new();
    if lab.reference_fails("what it announces is lost before the bridge's port forwards") {
        return;
    }
    bridge(&lab, "c1", &["10.1.2.1/24", "fd00:1::1/64"]).add().result();
    let addresses = ["10.1.2.7", "fd00:1::7"];
    for address in addresses {
        lab.sh(&format!(
            "ip -n c1 neigh replace {address} dev eth0 lladdr 02:00:00:00:00:07 nud reachable"
        ));
    }
    let second = bridge(&lab, "c2", &["10.1.2.7/24", "fd00:1::7/64"]).add().result();
    let mac = second["interfaces"][2]["mac"].as_str().expect("a MAC").to_owned();
    for address in addresses {
        lab.wait_until(&format!("c1 learns where {address} is"), || {
            known(&lab, "c1", address).as_deref() == Some(&mac)
        });
    }
    let entries = lab.ip_json_in("c1", "neigh show 10.1.2.7");
    assert_ne!(entries[0]["state"], json!(["REACHABLE"]), "nobody has asked");
}

#[test]
fn row_30_an_address_that_somebody_has_is_not_taken_if_detection_is_asked_for() {
    let lab = Lab::new();
    if lab.reference_fails("enabledad is about IPv6 alone") {
        return;
    }
    let first = bridge(&lab, "c1", &["10.1.2.7/24"]).add().result();
    let owner = first["interfaces"][2]["mac"].as_str().expect("a MAC");
    let before = lab.snapshot();
    let second = bridge(&lab, "c2", &["10.1.2.7/24"]).key("enabledad", &json!(true));
    let error = second.add().error();
    let message = &error.msg;
    assert!(message.contains(&format!("10.1.2.7 is in use by {owner}")), "{message}");
    lab.nothing_left(&before);
    assert!(!lab.has_link("c2", "eth0"));
    let free = bridge(&lab, "c3", &["10.1.2.8/24", "fd00:1::8/64"]).key("enabledad", &json!(true));
    let result = free.add().result();
    free.check(&result).silent();
    assert!(lab.reaches("c3", "10.1.2.7:9"));
}
