//! BR: the bridge plugin.

use ropewalk_e2e::{Lab, json};

#[test]
fn br_145_del_removes_link_lease_and_masquerade_and_keeps_the_bridge() {
    let lab = Lab::new();
    lab.netns("c1");
    let before = lab.snapshot();
    let bridge = lab.plugin("bridge").on("c1").config(json!({
        "cniVersion": "1.0.0", "name": "net", "type": "bridge", "isGateway": true, "ipMasq": true,
        "ipam": { "type": "host-local", "subnet": "10.1.2.0/24" },
    }));
    let result = bridge.add().result();
    assert_eq!(result["ips"][0]["address"], "10.1.2.2/24");
    assert_eq!(lab.leases("net"), ["10.1.2.2"]);
    bridge.check(&result).silent();
    bridge.del(&result).silent();
    lab.nothing_left(&before);
    assert_eq!(lab.ip_json("link show dev cni0")[0]["linkinfo"]["info_kind"], "bridge");
}
