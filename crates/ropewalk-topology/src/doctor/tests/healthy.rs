//! Hosts on which all is well although it looks unusual at first sight, and what differs from them
//! just enough to be wrong.

use alloc::vec;

use super::*;
use crate::{
    model::{BridgeVlan, HardwareAddress, Neighbour, Route, RoutingRule},
    samples::{ip, loopback, prefix},
};

/// `BRIDGE_VLAN_INFO_…`.
const ACCESS: u16 = 2 | 4;
const TRUNK: u16 = 0;

fn vlans(all: &[(u16, u16)]) -> Vec<BridgeVlan> {
    all.iter().map(|&(id, flags)| BridgeVlan { id, flags }).collect()
}

fn vlan(index: u32, name: &str, lower: u32, id: u16) -> Link {
    Link {
        details: Details::Vlan { id, protocol: 0x8100 },
        ..on(link(index, name, "vlan"), lower, None)
    }
}

/// The healthy host with its bridge keeping VLANs apart, the containers in VLAN 100.
fn filtering() -> (Host, Papers) {
    let (mut host, papers) = healthy();
    let content = own(&mut host);
    content.links[0].details =
        Details::Bridge { vlan_filtering: true, spanning_tree: false, ageing: 0 };
    content.links[0].vlans = vlans(&[(1, ACCESS)]);
    for port in 1..=2 {
        content.links[port].vlans = vlans(&[(100, ACCESS)]);
    }
    (host, papers)
}

/// The same with the gateway as the plugin makes it: a pair with one end in the VLAN.
fn with_gateway_in_vlan() -> (Host, Papers) {
    let (mut host, papers) = filtering();
    let content = own(&mut host);
    content.addresses.clear();
    content.links.push(on(link(20, "br0.100", "veth"), 21, None));
    let port = on(link(21, "veth0123", "veth"), 20, None);
    content.links.push(Link { master: Some(2), vlans: vlans(&[(100, ACCESS)]), ..port });
    content.addresses.push(address(20, "10.1.0.1/24"));
    (host, papers)
}

#[test]
fn the_gateway_of_a_vlan_is_the_pair_that_the_plugin_makes() {
    let (mut host, papers) = with_gateway_in_vlan();
    assert_eq!(examine(&host, &papers), []);
    // It is the gateway in every respect.
    own(&mut host).settings[0].value = "0".into();
    assert!(one(&host, &papers, "forwarding-off").evidence.contains("br0.100"));
    own(&mut host).settings[0].value = "1".into();
    of(&mut host, 2).addresses[0] = address(2, "10.1.0.11/24");
    assert_eq!(one(&host, &papers, "duplicate-address").object, "10.1.0.11");
    of(&mut host, 2).addresses[0] = address(2, "10.1.0.12/24");
    own(&mut host).links[4].vlans = vlans(&[(200, ACCESS)]);
    assert_eq!(names(&host, &papers), ["gateway-missing", "gateway-missing"], "in another VLAN");
}

#[test]
fn a_vlan_of_the_bridges_own_interface_is_a_gateway_too() {
    let (mut host, papers) = filtering();
    let content = own(&mut host);
    content.addresses = vec![address(20, "10.1.0.1/24")];
    content.links.push(vlan(20, "br0.100", 2, 100));
    assert_eq!(names(&host, &papers), ["gateway-missing", "gateway-missing"], "br0 is not in it");
    own(&mut host).links[0].vlans = vlans(&[(1, ACCESS), (100, TRUNK)]);
    assert_eq!(examine(&host, &papers), []);
}

#[test]
fn a_vlan_leads_outside_where_a_trunk_does() {
    let (mut host, papers) = filtering();
    let content = own(&mut host);
    content.addresses.clear();
    content.links.push(Link { master: Some(2), ..link(20, "enp1", "") });
    for (trunk, is_missing) in [(&[(1, ACCESS)][..], true), (&[(1, ACCESS), (100, TRUNK)], false)] {
        own(&mut host).links[3].vlans = vlans(trunk);
        let found = names(&host, &papers);
        assert_eq!(found.contains(&"gateway-missing"), is_missing, "{trunk:?}: {found:?}");
    }
}

#[test]
fn a_trunk_may_lead_to_the_gateway_through_another_bridge() {
    let (mut host, papers) = filtering();
    let content = own(&mut host);
    let trunk = || vlans(&[(1, ACCESS), (100, TRUNK)]);
    let bridge = Link { index: 30, name: "br1".into(), ..content.links[0].clone() };
    for (index, other, master) in [(20, 21, 2), (21, 20, 30)] {
        let end = on(link(index, &alloc::format!("t{index}"), "veth"), other, None);
        content.links.push(Link { master: Some(master), vlans: trunk(), ..end });
    }
    content.links.push(on(link(22, "gw", "veth"), 23, None));
    let port = on(link(23, "gwp", "veth"), 22, None);
    content.links.push(Link { master: Some(30), vlans: vlans(&[(100, ACCESS)]), ..port });
    content.links.push(bridge);
    content.addresses = vec![address(22, "10.1.0.1/24")];
    assert_eq!(examine(&host, &papers), []);
}

#[test]
fn a_container_in_a_trunk_has_its_gateway_in_the_vlan() {
    let (mut host, papers) = with_gateway_in_vlan();
    own(&mut host).links[1].vlans = vlans(&[(1, ACCESS), (100, TRUNK)]);
    let inner = of(&mut host, 1);
    inner.links.push(vlan(3, "eth0.100", 2, 100));
    inner.addresses = vec![address(3, "10.1.0.11/24")];
    inner.routes = vec![route("0.0.0.0/0", 3, Some("10.1.0.1"))];
    assert_eq!(examine(&host, &papers), []);
    own(&mut host).links[1].vlans = vlans(&[(1, ACCESS)]);
    assert_eq!(names(&host, &papers), ["gateway-missing"]);
}

#[test]
fn a_gateway_need_not_have_its_address_on_the_wire() {
    // Linux answers for all its addresses on every link.
    let (mut host, papers) = healthy();
    let content = own(&mut host);
    content.addresses.clear();
    content.links.insert(0, loopback());
    let local = Route { table: 255, kind: 2, ..route("10.1.0.1/32", 1, None) };
    content.routes.push(local);
    assert_eq!(examine(&host, &papers), []);
    own(&mut host).links[1].ipv4_settings[18 - 1] = 1;
    assert_eq!(examine(&host, &papers), [], "another setting");
    own(&mut host).links.iter_mut().for_each(|link| link.ipv4_settings[18] = 1);
    assert_eq!(names(&host, &papers), ["gateway-missing", "gateway-missing"], "arp_ignore");
}

#[test]
fn a_gateway_need_not_be_there_where_its_neighbour_entry_is_certain() {
    // As in pods whose plugin points them at the host's end of the pair.
    let entry = |state| Neighbour {
        link: 2,
        ip: ip("169.254.1.1"),
        mac: Some(HardwareAddress(vec![2, 0, 0, 0, 0, 1])),
        state,
        flags: 0,
    };
    for (state, is_missing) in [(0x80, false), (0x02, false), (0x04, true), (0x20, true)] {
        let (mut host, papers) = healthy();
        for number in 1..=2 {
            let inner = of(&mut host, number);
            inner.routes = vec![route("0.0.0.0/0", 2, Some("169.254.1.1"))];
            inner.neighbours = vec![entry(state)];
        }
        let found = names(&host, &papers);
        assert_eq!(found.contains(&"gateway-missing"), is_missing, "{state:#x}: {found:?}");
    }
    let (mut host, papers) = healthy();
    own(&mut host).settings.push(setting("ipv4/conf/all/proxy_arp", "1"));
    own(&mut host).addresses.clear();
    assert_eq!(examine(&host, &papers), [], "it answers for everybody");
}

#[test]
fn a_bridge_on_layer_2_alone_is_idle_without_containers() {
    let (mut host, papers) = healthy();
    let bridge = Link { index: 30, name: "br1".into(), ..own(&mut host).links[0].clone() };
    own(&mut host).links.push(bridge);
    assert_eq!(examine(&host, &papers), []);
    own(&mut host).links[3].flags = 0;
    assert_eq!(one(&host, &papers, "half-made-bridge").object, "br1");
}

#[test]
fn two_uplinks_may_be_in_one_lan() {
    let (mut host, papers) = healthy();
    let content = own(&mut host);
    content.links.extend([link(20, "enp1", ""), link(21, "wlan0", "")]);
    content.addresses.extend([address(20, "192.0.2.10/24"), address(21, "192.0.2.11/24")]);
    assert_eq!(examine(&host, &papers), []);
    own(&mut host).addresses.push(address(20, "10.1.0.200/16"));
    assert!(one(&host, &papers, "overlapping-subnets").object.contains("br0"));
}

fn rule_to(table: u32, priority: u32) -> RoutingRule {
    RoutingRule { priority, action: 1, table, ..RoutingRule::default() }
}

/// The healthy host with two uplinks and strict reverse path filters; the first has the route.
fn strict_with_uplinks() -> (Host, Papers) {
    let (mut host, papers) = healthy();
    let content = own(&mut host);
    content.links.extend([link(20, "enp1", ""), link(21, "enp2", "")]);
    content.addresses.extend([address(20, "192.0.2.10/24"), address(21, "203.0.113.10/24")]);
    content.routes = vec![
        route("192.0.2.0/24", 20, None),
        route("203.0.113.0/24", 21, None),
        route("0.0.0.0/0", 20, Some("192.0.2.1")),
    ];
    content.settings.push(setting("ipv4/conf/all/rp_filter", "1"));
    content.rules = vec![rule_to(255, 0), rule_to(254, 32766), rule_to(253, 32767)];
    (host, papers)
}

#[test]
fn two_default_routes_trap_unless_the_source_decides() {
    let (mut host, papers) = strict_with_uplinks();
    assert_eq!(examine(&host, &papers), []);
    let second = Route { priority: 100, ..route("0.0.0.0/0", 21, Some("203.0.113.1")) };
    own(&mut host).routes.push(second.clone());
    let found = one(&host, &papers, "reverse-path");
    assert!(found.object == "enp2" && found.evidence.contains("metric 100"), "{found:?}");
    let by_source = RoutingRule { source: Some(prefix("203.0.113.10/32")), ..rule_to(100, 1000) };
    own(&mut host).rules.push(by_source);
    assert_eq!(names(&host, &papers), ["reverse-path"], "the table is empty");
    own(&mut host).routes.push(Route { table: 100, ..second });
    assert_eq!(examine(&host, &papers), []);
}

#[test]
fn a_way_for_marked_packets_is_a_trap_unless_marks_count() {
    let (mut host, papers) = strict_with_uplinks();
    let content = own(&mut host);
    content.rules.push(RoutingRule { mark: Some((7, u32::MAX)), ..rule_to(100, 1000) });
    content.routes.push(Route { table: 100, ..route("0.0.0.0/0", 21, Some("203.0.113.1")) });
    assert!(one(&host, &papers, "reverse-path").evidence.contains("mark 0x7"));
    own(&mut host).settings.push(setting("ipv4/conf/all/src_valid_mark", "1"));
    assert_eq!(examine(&host, &papers), []);
}

#[test]
fn a_tunnel_for_all_but_its_own_packets_is_no_trap() {
    // As wg-quick makes it, with and without the mark counting.
    let (mut host, papers) = strict_with_uplinks();
    let content = own(&mut host);
    content.links.push(link(22, "wg0", "wireguard"));
    content.addresses.push(address(22, "10.9.0.2/32"));
    content.routes.push(Route { table: 51820, ..route("0.0.0.0/0", 22, None) });
    content.rules.extend([
        RoutingRule { suppressed_length: Some(0), ..rule_to(254, 32764) },
        RoutingRule { is_inverted: true, mark: Some((0xca6c, u32::MAX)), ..rule_to(51820, 32765) },
    ]);
    assert_eq!(examine(&host, &papers), []);
    own(&mut host).settings.push(setting("ipv4/conf/all/src_valid_mark", "1"));
    assert_eq!(examine(&host, &papers), []);
}
