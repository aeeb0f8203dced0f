//! BR 127 to 131: VLANs on the bridge. They need a kernel whose bridges filter VLANs.

use ropewalk_e2e::{Lab, Plugin, Value, json};

const MISSING: &str = "bridge VLAN filtering";

fn bridge<'lab>(lab: &'lab Lab, container: &str) -> Plugin<'lab> {
    lab.netns(container);
    let config = json!({ "cniVersion": "1.0.0", "name": "net", "type": "bridge" });
    lab.plugin("bridge").on(container).config(config)
}

fn filters(lab: &Lab) -> bool {
    lab.sh("cat /sys/class/net/cni0/bridge/vlan_filtering") == "1"
}

/// The VLANs of a port, ranges expanded, as `id` and `PVID` or `untagged`, as `bridge` prints them.
fn vlans(lab: &Lab, port: &Value) -> Vec<String> {
    let port = port.as_str().expect("a port has a name");
    let text = lab.sh(&format!("bridge -j vlan show dev {port}"));
    let answer: Value = serde_json::from_str(&text).expect("bridge answers JSON");
    let mut lines = Vec::new();
    for entry in answer[0]["vlans"].as_array().into_iter().flatten() {
        let first = entry["vlan"].as_u64().expect("an identifier");
        let last = entry["vlanEnd"].as_u64().unwrap_or(first);
        let flags = entry["flags"].as_array().into_iter().flatten();
        let flags: Vec<&str> = flags.filter_map(Value::as_str).collect();
        lines.extend(
            (first..=last).map(|id| [&[id.to_string().as_str()], &flags[..]].concat().join(" ")),
        );
    }
    lines
}

const ACCESS: &str = "PVID Egress Untagged";

#[test]
fn br_127_a_vlan_is_the_only_one_of_the_port() {
    let lab = Lab::new();
    if !lab.has_vlan_filtering() {
        return lab.not_here(MISSING);
    }
    if lab.reference_fails("1.1.1 keeps the default VLAN") {
        return;
    }
    let plugin = bridge(&lab, "c1").key("vlan", &json!(100));
    let result = plugin.add().result();
    assert!(filters(&lab));
    assert_eq!(vlans(&lab, &result["interfaces"][1]["name"]), [format!("100 {ACCESS}")]);
    plugin.check(&result).silent();
    plugin.del(&result).silent();
}

#[test]
fn br_128_the_default_vlan_can_be_kept() {
    let lab = Lab::new();
    if !lab.has_vlan_filtering() {
        return lab.not_here(MISSING);
    }
    let plugin = bridge(&lab, "c1").key("vlan", &json!(100));
    let result = plugin.key("preserveDefaultVlan", &json!(true)).add().result();
    let expected = ["1 Egress Untagged".to_owned(), format!("100 {ACCESS}")];
    assert_eq!(vlans(&lab, &result["interfaces"][1]["name"]), expected);
}

#[test]
fn br_129_the_gateway_of_a_vlan_has_an_interface_of_its_own() {
    let lab = Lab::new();
    if !lab.has_vlan_filtering() {
        return lab.not_here(MISSING);
    }
    let with_gateway = |container: &str| {
        bridge(&lab, container)
            .key("vlan", &json!(100))
            .key("isGateway", &json!(true))
            .key("ipam", &json!({ "type": "host-local", "subnet": "10.1.2.0/24" }))
    };
    let result = with_gateway("c1").add().result();
    assert_eq!(result["interfaces"][3]["name"], "cni0.100");
    let gateway = lab.ip_json("address show dev cni0.100")[0].take();
    assert_eq!(gateway["linkinfo"]["info_kind"], "veth");
    assert_eq!(gateway["addr_info"][0]["local"], "10.1.2.1");
    assert!(lab.reaches("c1", "10.1.2.1:9"));
    let links = lab.list("/sys/class/net").len();
    let second = with_gateway("c2").add().result();
    assert_eq!(second["interfaces"][3]["name"], "cni0.100");
    assert_eq!(lab.list("/sys/class/net").len(), links + 1, "one more host interface");
    assert!(lab.reaches("c2", "10.1.2.1:9"));
}

#[test]
fn br_130_trunks_are_tagged_and_the_default_vlan_is_not() {
    let lab = Lab::new();
    if !lab.has_vlan_filtering() {
        return lab.not_here(MISSING);
    }
    if lab.reference_fails("1.1.1 does not know trunks") {
        return;
    }
    let trunk = json!([{ "minID": 200, "maxID": 203 }, { "id": 300 }]);
    let result = bridge(&lab, "c1").key("vlanTrunk", &trunk).add().result();
    assert!(filters(&lab));
    let default = format!("1 {ACCESS}");
    let expected = [default.as_str(), "200", "201", "202", "203", "300"];
    assert_eq!(vlans(&lab, &result["interfaces"][1]["name"]), expected);
}

#[test]
fn br_131_trunks_and_a_vlan_share_the_port() {
    let lab = Lab::new();
    if !lab.has_vlan_filtering() {
        return lab.not_here(MISSING);
    }
    if lab.reference_fails("1.1.1 does not know trunks") {
        return;
    }
    let plugin = bridge(&lab, "c1").key("vlanTrunk", &json!([{ "minID": 8, "maxID": 9 }]));
    let plugin = plugin.key("vlan", &json!(7));
    let result = plugin.add().result();
    let access = format!("7 {ACCESS}");
    assert_eq!(vlans(&lab, &result["interfaces"][1]["name"]), [access.as_str(), "8", "9"]);
    plugin.check(&result).silent();
}
