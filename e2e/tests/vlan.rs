//! VL 190 to 197, P 31, D 72, and row 24 of what users asked for: VLANs of a link of the host.

use ropewalk_e2e::{
    CniError, Lab, Plugin, UPLINK, Value, dual_stack, json, reference, with_unreachable_route,
};

const MISSING: &str = "links of kind vlan";

fn config(ipam: &Value) -> Value {
    json!({
        "cniVersion": "1.0.0", "name": "net", "type": "vlan", "master": UPLINK, "vlanId": 5,
        "ipam": ipam,
    })
}

/// VLAN 5 of the uplink, which is made here, with addresses of both families.
fn vlan(lab: &Lab) -> Plugin<'_> {
    lab.uplink();
    lab.netns("c1");
    lab.plugin("vlan").on("c1").config(config(&dual_stack()))
}

fn has_vlans(lab: &Lab) -> bool {
    let has = lab.has_kind("vlan");
    if !has {
        lab.not_here(MISSING);
    }
    has
}

fn id(lab: &Lab) -> Value {
    lab.link_in("c1", "eth0")["linkinfo"]["info_data"]["id"].take()
}

#[test]
fn vl_190_the_link_has_the_id_and_the_mtu() {
    let lab = Lab::new();
    if !has_vlans(&lab) {
        return;
    }
    let plugin = vlan(&lab).key("mtu", &json!(1400));
    let before = lab.snapshot();
    let result = plugin.add().result();
    let link = lab.link_in("c1", "eth0");
    assert_eq!(link["linkinfo"]["info_kind"], "vlan");
    assert_eq!(link["linkinfo"]["info_data"]["protocol"], "802.1Q");
    assert_eq!(id(&lab), 5);
    assert_eq!(link["mtu"], 1400);
    assert!(lab.stands_on("c1", UPLINK));
    let interfaces = result["interfaces"].as_array().expect("interfaces");
    assert_eq!(interfaces.len(), 1);
    assert_eq!(interfaces[0]["mac"], link["address"]);
    assert_eq!(interfaces[0]["sandbox"], "/run/netns/c1");
    assert_eq!(result["ips"][0]["interface"], 0);
    assert_eq!(lab.addresses_in("c1"), ["10.9.0.10/24", "fd00:9::10/64"]);
    plugin.check(&result).silent();
    plugin.del(&result).silent();
    assert!(!lab.has_link("c1", "eth0"));
    plugin.del(&result).silent();
    lab.nothing_left(&before);
}

#[test]
fn vl_190_frames_arrive_tagged() {
    let lab = Lab::new();
    if !has_vlans(&lab) {
        return;
    }
    let plugin = vlan(&lab);
    plugin.add().result();
    // Whoever is in no VLAN or another one does not answer.
    assert!(lab.does_not_reach("c1", "10.9.0.2:9"));
    lab.sh(&format!(
        "ip -n {UPLINK} address flush dev eth0
         ip -n {UPLINK} link add link eth0 name six type vlan id 6
         ip -n {UPLINK} address add 10.9.0.2/24 dev six
         ip -n {UPLINK} link set six up"
    ));
    assert!(lab.does_not_reach("c1", "10.9.0.2:9"));
    lab.sh(&format!(
        "ip -n {UPLINK} link del six
         ip -n {UPLINK} link add link eth0 name five type vlan id 5
         ip -n {UPLINK} address add 10.9.0.2/24 dev five
         ip -n {UPLINK} address add fd00:9::2/64 dev five nodad
         ip -n {UPLINK} link set five up"
    ));
    assert!(lab.reaches("c1", "10.9.0.2:9"));
    assert!(lab.reaches("c1", "[fd00:9::2]:9"));
}

#[test]
fn vl_191_the_id_has_bounds() {
    let lab = Lab::new();
    if !has_vlans(&lab) {
        return;
    }
    let plugin = vlan(&lab);
    let before = lab.snapshot();
    for wrong in [4095, -1] {
        let message = plugin.clone().key("vlanId", &json!(wrong)).add().invalid_config();
        let expected = format!("invalid VLAN ID {wrong} (must be between 0 and 4095 inclusive)");
        assert_eq!(message, expected);
        lab.nothing_made(&before);
    }
    for right in [0, 4094] {
        let plugin = plugin.clone().key("vlanId", &json!(right));
        let result = plugin.add().result();
        assert_eq!(id(&lab), right);
        plugin.del(&result).silent();
    }
}

#[test]
fn vl_191_the_mtu_is_not_larger_than_the_masters() {
    let lab = Lab::new();
    let plugin = vlan(&lab);
    let before = lab.snapshot();
    for mtu in [9000, -1] {
        let message = plugin.clone().key("mtu", &json!(mtu)).add().invalid_config();
        assert_eq!(message, format!("invalid MTU {mtu}, must be [0, master MTU(1500)]"));
        lab.nothing_made(&before);
    }
}

#[test]
fn vl_192_there_has_to_be_a_master() {
    let lab = Lab::new();
    let plugin = vlan(&lab);
    let before = lab.snapshot();
    let message = plugin.clone().key("master", &json!(null)).add().invalid_config();
    let expected = "\"master\" field is required. It specifies the host interface name to create \
                    the VLAN for";
    // 1.1.1 ends it with a full stop.
    assert_eq!(message.trim_end_matches('.'), expected);
    assert_eq!(plugin.key("master", &json!("nope")).add().failure(), "Link not found");
    lab.nothing_made(&before);
}

#[test]
fn vl_193_a_vlan_is_there_once_wherever_it_is() {
    let lab = Lab::new();
    if !has_vlans(&lab) {
        return;
    }
    let plugin = vlan(&lab);
    lab.netns("c2");
    let result = plugin.clone().on("c2").add().result();
    let before = lab.snapshot();
    let message = plugin.add().failure();
    // The kernel may add which of the two names it is that exists.
    assert!(message.starts_with("failed to create vlan: file exists"), "{message}");
    assert_eq!(lab.leases("net").len(), 2);
    lab.nothing_made(&before);
    plugin.clone().key("vlanId", &json!(6)).add().result();
    plugin.on("c2").check(&result).silent();
}

#[test]
fn vl_193_an_interface_that_exists_is_not_taken_over() {
    let lab = Lab::new();
    if !has_vlans(&lab) {
        return;
    }
    let plugin = vlan(&lab);
    let result = plugin.add().result();
    let state = || (lab.snapshot(), lab.ipv4_in("c1"));
    let before = state();
    let twice = plugin.add().failure();
    let other = plugin.clone().key("vlanId", &json!(6)).add().failure();
    let taken = "failed to rename vlan to \"eth0\": file exists";
    assert!([taken, "failed to create vlan: file exists"].contains(&twice.as_str()), "{twice}");
    assert_eq!(other, taken);
    if !lab.reference_fails("a link with a random name stays") {
        assert_eq!(state(), before);
    }
    plugin.check(&result).silent();
}

#[test]
fn vl_194_addresses_are_mandatory() {
    let lab = Lab::new();
    if !has_vlans(&lab) {
        return;
    }
    let plugin = vlan(&lab);
    let before = lab.snapshot();
    for ipam in [json!(null), json!({}), json!({ "type": "" })] {
        let message = plugin.clone().key("ipam", &ipam).add().invalid_config();
        assert_eq!(message, "failed to execute IPAM delegate: no plugin name provided");
        if lab.reference_fails("the link stays") {
            return;
        }
        lab.nothing_made(&before);
    }
}

#[test]
fn vl_195_row_24_del_works_when_the_master_is_gone() {
    let lab = Lab::new();
    if !has_vlans(&lab) || lab.reference_fails("it wants the master, and the lease stays") {
        return;
    }
    let plugin = vlan(&lab);
    let result = plugin.add().result();
    lab.sh(&format!("ip link del {UPLINK}"));
    assert!(!lab.has_link("c1", "eth0"));
    plugin.del(&result).silent();
    assert!(lab.leases("net").is_empty());
    plugin.del_without_result().silent();
}

#[test]
fn vl_195_row_24_del_does_not_mind_an_mtu_that_the_master_has_no_more() {
    let lab = Lab::new();
    if !has_vlans(&lab) || lab.reference_fails("it wants the MTU to fit") {
        return;
    }
    let plugin = vlan(&lab).key("mtu", &json!(1400));
    let result = plugin.add().result();
    lab.sh(&format!("ip link set {UPLINK} mtu 1300"));
    plugin.del(&result).silent();
    assert!(!lab.has_link("c1", "eth0"));
    assert!(lab.leases("net").is_empty());
}

#[test]
fn vl_195_del_works_when_the_namespace_is_gone() {
    let lab = Lab::new();
    if !has_vlans(&lab) {
        return;
    }
    let plugin = vlan(&lab);
    let result = plugin.add().result();
    lab.sh("ip netns del c1");
    plugin.del(&result).silent();
    assert!(lab.leases("net").is_empty());
    plugin.del_without_result().silent();
}

#[test]
fn vl_196_check_finds_what_is_different() {
    let lab = Lab::new();
    if !has_vlans(&lab) {
        return;
    }
    let plugin = vlan(&lab).key("mtu", &json!(1400));
    let result = plugin.add().result();
    plugin.check(&result).silent();
    let message = plugin.clone().key("vlanId", &json!(6)).check(&result).failure();
    if reference() {
        let expected = "Error: Tuning link eth0 configured promisc is 6, current value is 5";
        assert_eq!(message, expected);
    } else {
        assert_eq!(message, "Error: Tuning link eth0 configured id is 6, current value is 5");
    }
    let message = plugin.clone().key("mtu", &json!(1300)).check(&result).failure();
    assert!(message.ends_with("is 1300, current value is 1400"), "{message}");
    let mut other = result.clone();
    other["interfaces"][0]["mac"] = json!("02:00:00:00:00:99");
    let message = plugin.check(&other).failure().to_lowercase();
    assert!(message.contains("interface eth0 mac 02:00:00:00:00:99 doesn't match"), "{message}");
    lab.sh_in("c1", "ip -4 route del default");
    assert!(plugin.check(&result).failure().starts_with("Expected Route {"));
    lab.sh_in("c1", "ip address del 10.9.0.10/24 dev eth0");
    let message = plugin.check(&result).failure();
    assert_eq!(message, "Failed to match addr 10.9.0.10/24 on interface eth0");
    lab.sh_in("c1", "ip link del eth0");
    let message = plugin.check(&result).failure();
    let expected = "Container Interface name in prevResult: eth0 not found";
    assert!(message.ends_with(expected), "{message}");
}

#[test]
fn vl_197_a_configuration_that_fails_leaves_neither_link_nor_lease() {
    let lab = Lab::new();
    if !has_vlans(&lab) {
        return;
    }
    let plugin = vlan(&lab).key("ipam", &with_unreachable_route());
    let before = lab.snapshot();
    let message = plugin.add().failure();
    assert!(message.starts_with("failed to add route"), "{message}");
    assert!(lab.leases("net").is_empty());
    if !lab.reference_fails("the link stays") {
        lab.nothing_made(&before);
    }
}

#[test]
fn vl_197_dns_of_the_configuration_goes_before_that_of_the_address_plugin() {
    let lab = Lab::new();
    if !has_vlans(&lab) {
        return;
    }
    let ipam = json!({
        "type": "static",
        "addresses": [{ "address": "10.9.0.10/24" }],
        "dns": { "nameservers": ["10.9.0.53"] },
    });
    let plugin = vlan(&lab).key("ipam", &ipam);
    let result = plugin.add().result();
    let dns = if reference() { json!({}) } else { ipam["dns"].clone() };
    assert_eq!(result.get("dns").unwrap_or(&json!({})), &dns);
    plugin.del(&result).silent();
    let own = json!({ "nameservers": ["10.9.0.54"] });
    assert_eq!(plugin.key("dns", &own).add().result()["dns"], own);
}

#[test]
fn vl_190_the_master_can_be_in_the_container() {
    let lab = Lab::new();
    if !has_vlans(&lab) || lab.reference_fails("1.1.1 does not know linkInContainer") {
        return;
    }
    let plugin = vlan(&lab).key("linkInContainer", &json!(true));
    assert_eq!(plugin.add().failure(), "Link not found");
    lab.sh_in("c1", "ip link add inner type veth peer name far; ip link set inner up");
    let plugin = plugin.key("master", &json!("inner"));
    let result = plugin.add().result();
    assert_eq!(lab.link_in("c1", "eth0")["link"], "inner");
    plugin.check(&result).silent();
    plugin.del(&result).silent();
}

#[test]
fn p_31_status_of_plugins_whose_addresses_are_mandatory_wants_an_address_plugin() {
    let lab = Lab::new();
    if lab.reference_fails("1.1.1 does not know STATUS") {
        return;
    }
    for name in ["vlan", "dummy"] {
        let plugin = lab.plugin(name).config(json!({
            "cniVersion": "1.1.0", "name": "net", "type": name, "master": "nope",
        }));
        assert_eq!(plugin.status().invalid_config(), "no plugin name provided");
        plugin.key("ipam", &dual_stack()).status().silent();
    }
}

#[test]
fn d_72_vlan_passes_an_error_of_the_address_plugin_on_unchanged() {
    let lab = Lab::new();
    if !has_vlans(&lab) || lab.reference_fails("1.1.1 puts its own words before it") {
        return;
    }
    let script = r#"echo '{"code":11,"msg":"try","details":"dd"}'; exit 1"#;
    let path = lab.delegate("pool", script);
    let plugin = vlan(&lab).key("ipam", &json!({ "type": "pool" })).path(&path);
    let before = lab.snapshot();
    let expected = CniError { code: 11, msg: "try".to_owned(), details: "dd".to_owned() };
    assert_eq!(plugin.add().error(), expected);
    lab.nothing_made(&before);
}
