//! Messages as text, compared with what they are meant to be; and every reader fed with broken
//! bytes. Attributes are printed by number, as in the kernel's headers.

mod traffic;

use std::fmt::Write as _;

use ropewalk_addr::Mac;
use ropewalk_netstate::{
    Place,
    resource::{
        Address, Attribute, Bridge, BridgePort, Hop, MacvlanMode, Neighbour, NftChain, NftElements,
        NftSet, Route, RouteScope, RoutingRule, StaleFlows, Veth, VethPeer, VirtualKind,
        VirtualLink,
        nft::{
            Connection, DataType, Datum, ElementData, Field, MapsTo, NftFamily, Rule, SetRef,
            Statement, TableRef, Verdict,
        },
    },
};

use super::{
    address, bridge_port, flow, link, moved_device, neighbour, nft,
    nft::{chain, element, set},
    route, routing_rule, virtual_link,
};
use crate::{
    netlink::{Message, Replies},
    uapi::NLA_F_NESTED,
};

/// The header of the family in hexadecimal, then one attribute a line, nests indented.
fn text_of(message: &Message, header: usize) -> String {
    let (start, attributes) = message.payload().split_at(header);
    let mut text = format!("{}\n", hexadecimal(start));
    write_attributes(&mut text, attributes, 0);
    text
}

fn write_attributes(text: &mut String, mut bytes: &[u8], depth: usize) {
    while let [a, b, c, d, ..] = *bytes {
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let kind = u16::from_ne_bytes([c, d]);
        let payload = &bytes[4..length];
        let _ = write!(text, "{}{}", "  ".repeat(depth), kind & !NLA_F_NESTED);
        if kind & NLA_F_NESTED == 0 {
            let _ = writeln!(text, " {}", value(payload));
        } else {
            text.push('\n');
            write_attributes(text, payload, depth + 1);
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
}

/// A text in quotes, anything else in hexadecimal.
fn value(bytes: &[u8]) -> String {
    match bytes.split_last() {
        Some((0, text)) if text.len() > 1 && text.iter().all(u8::is_ascii_graphic) => {
            format!("{:?}", String::from_utf8_lossy(text))
        }
        _ => hexadecimal(bytes),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

#[track_caller]
fn check(message: &Message, header: usize, expected: &str) {
    let found = text_of(message, header);
    let expected: Vec<_> = expected.lines().map(|line| format!("{}\n", &line[4..])).collect();
    let expected = expected.concat();
    assert_eq!(found, expected, "found:\n{found}");
}

fn veth() -> Veth {
    let peer = VethPeer {
        place: Place::Sandbox,
        name: "eth0".parse().unwrap(),
        mac: Some(Mac([2, 0, 0, 0, 0, 8])),
    };
    Veth {
        name: "near".parse().unwrap(),
        mac: None,
        bridge: Some("br0".parse().unwrap()),
        peer: Some(peer),
        mtu: Some(1400),
        tag: None,
        up: true,
    }
}

fn bridge() -> Bridge {
    Bridge {
        name: "br0".parse().unwrap(),
        mtu: None,
        vlan_filtering: true,
        promiscuous: true,
        mac: None,
        up: true,
    }
}

fn table() -> TableRef {
    TableRef::new(NftFamily::Inet, "rw")
}

fn ports() -> NftSet {
    let set = SetRef { table: table(), name: "ports".into() };
    let maps_to = MapsTo::Values(vec![DataType::Ip4, DataType::Port]);
    NftSet { set, key_type: vec![DataType::Protocol, DataType::Port], maps_to }
}

fn elements() -> NftElements {
    let owner = ropewalk_netstate::Owner {
        network: "n".into(),
        container: "c".into(),
        interface: "i".into(),
    };
    let data = ElementData::Values(vec![Datum::Ip([10, 0, 0, 1].into()), Datum::Port(80)]);
    let key = vec![Datum::Protocol(6), Datum::Port(8080)];
    NftElements::new(ports().set, owner.tag()).with(key, data)
}

fn rules() -> NftChain {
    let rule = Rule::new([
        Statement::Within(Field::Ip4Source, "10.1.0.0/16".parse().unwrap()),
        Statement::Connection(Connection::DestinationTranslated),
        Statement::VerdictMap(vec![Field::Ip4Source], "m".into()),
        Statement::Verdict(Verdict::Jump("x".into())),
    ]);
    NftChain::regular(table(), "c", vec![rule])
}

#[test]
fn a_pair_is_one_message() {
    let around = link::VethSurroundings { master: Some(5), peer_namespace: Some(7) };
    let message = link::create_veth(&veth(), around);
    // VETH_INFO_PEER starts with a header of its own, so that it is not printed as a nest.
    let peer = [
        "0000000000000000".repeat(2),
        "0900030065746830".into(),
        "00000000".into(),
        "08001f0001000000".into(),
        "0800200001000000".into(),
        "0a00010002000000".into(),
        "00080000".into(),
        "0800040078050000".into(),
        "08001c0007000000".into(),
    ];
    let expected = r#"    00000000000000000100000001000000
    3 "near"
    31 01000000
    32 01000000
    4 78050000
    10 05000000
    18
      1 "veth"
      2
        1 PEER"#;
    check(&message, 16, &expected.replace("PEER", &peer.concat()));
}

#[test]
fn a_bridge_is_one_message() {
    check(
        &link::create_bridge(&bridge(), Mac([2, 0, 0, 0, 0, 1])),
        16,
        r#"    00000000000000000101000001010000
    3 "br0"
    1 020000000001
    18
      1 "bridge"
      2
        7 01"#,
    );
}

fn macvlan() -> VirtualLink {
    let kind = VirtualKind::Macvlan { mode: MacvlanMode::Vepa, broadcast_queue: Some(200) };
    VirtualLink { mtu: Some(1400), ..VirtualLink::new("eth0".parse().unwrap(), kind) }
}

#[test]
fn a_virtual_link_on_a_parent_elsewhere_is_one_message() {
    let below = virtual_link::Below { index: 9, namespace: Some(3) };
    let expected = r#"    00000000000000000000000000000000
    3 "eth0"
    4 78050000
    5 09000000
    37 03000000
    18
      1 "macvlan"
      2
        1 02000000
        7 c8000000"#;
    check(&virtual_link::create(&macvlan().name, &macvlan(), Some(below)), 16, expected);
}

#[test]
fn a_device_is_moved_renamed_and_marked_in_one_message() {
    let name = "eth0".parse().unwrap();
    let arrival = moved_device::Arrival { name: &name, alias: "ens5", up: false };
    check(
        &moved_device::send(7, Some(9), arrival),
        16,
        r#"    00000000070000000000000001000000
    28 09000000
    3 "eth0"
    20 656e7335"#,
    );
}

#[test]
fn an_address_without_a_route_to_its_subnet_says_so() {
    let plain = Address::new("eth0".parse().unwrap(), "10.1.0.2/24".parse().unwrap());
    check(
        &address::create(&Address { prefix_route: false, ..plain }, 7),
        8,
        r"    0218000007000000
    2 0a010002
    1 0a010002
    4 0a0100ff
    8 00020000",
    );
}

#[test]
fn an_element_carries_its_key_its_data_and_its_owner() {
    let elements = elements();
    let all: Vec<_> = elements.elements.iter().collect();
    let messages = element::create(&elements.set, &elements.tag, &all);
    let owner = elements.tag.text();
    let comment = [&[0, u8::try_from(owner.len() + 1).unwrap()], owner.as_bytes(), &[0]].concat();
    let expected = format!(
        r#"    01000000
    1 "rw"
    2 "ports"
    3
      1
        1
          1 060000001f900000
        2
          1 0a00000100500000
        6 {}"#,
        hexadecimal(&comment)
    );
    assert_eq!(messages.len(), 1);
    check(&messages[0], 4, &expected);
}

#[test]
fn a_map_knows_its_types() {
    check(
        &set::create(&ports(), 3),
        4,
        r#"    01000000
    1 "rw"
    2 "ports"
    4 0000030d
    5 00000008
    10 00000003
    3 00000018
    6 000001cd
    7 00000008"#,
    );
}

#[test]
fn a_rule_checks_the_protocol_once_and_carries_its_digest() {
    let messages = chain::create(&rules());
    let digest = rules().rules[0].digest();
    let comment = [&[0, 17], digest.as_bytes(), &[0]].concat();
    let expression = |name: &str, lines: &[&str]| {
        let lines: Vec<_> = lines.iter().map(|line| format!("          {line}\n")).collect();
        let lines = lines.concat();
        format!("      1\n        1 {name:?}\n        2\n{lines}")
    };
    let compare = |operation: &str, value: &str| {
        let operation = format!("2 {operation}");
        let value = format!("  1 {value}");
        expression("cmp", &["1 00000008", &operation, "3", &value])
    };
    let mask = |value: &str| {
        let value = format!("  1 {value}");
        let lines = ["1 00000008", "2 00000008", "3 00000004", "4", &value, "5", "  1 00000000"];
        expression("bitwise", &lines)
    };
    let source = expression("payload", &["1 00000008", "2 00000001", "3 0000000c", "4 00000004"]);
    let expected = [
        "    01000000\n    1 \"rw\"\n    2 63 00\n    4\n".replace("63 00", "6300"),
        expression("meta", &["1 00000008", "2 0000000f"]),
        compare("00000000", "02"),
        source.clone(),
        mask("ffff0000"),
        compare("00000000", "0a010000"),
        expression("ct", &["1 00000008", "2 00000002"]),
        mask("20000000"),
        compare("00000001", "00000000"),
        source,
        expression("lookup", &["1 6d00", "2 00000008", "3 00000000"]),
        expression("immediate", &["1 00000000", "2", "  2", "    1 fffffffd", "    2 7800"]),
        format!("    7 {}\n", hexadecimal(&comment)),
    ];
    check(&messages[2], 4, &expected.concat());
}

fn rule() -> RoutingRule {
    RoutingRule { source: "10.1.0.2/32".parse().unwrap(), table: 300, priority: Some(77) }
}

#[test]
fn a_rule_tells_its_source_and_its_table() {
    let message = routing_rule::create(&rule());
    check(
        &message,
        12,
        "    020020000000000100000000
    2 0a010002
    15 2c010000
    6 4d000000",
    );
}

#[test]
fn the_size_of_packets_is_set_in_both_directions() {
    check(
        &link::set_attribute(3, Attribute::PacketSize(190_000)),
        16,
        "    00000000030000000000000000000000
    63 30e60200
    64 30e60200",
    );
}

fn shared_route() -> Route {
    let gateway = |n| Some([10, 1, 0, n].into());
    let mut route = Route::new("0.0.0.0/0".parse().unwrap(), gateway(1), "eth0".parse().unwrap());
    route.hops =
        vec![Hop { gateway: gateway(1), weight: 1 }, Hop { gateway: gateway(9), weight: 3 }];
    (route.table, route.onlink, route.protocol) = (100, true, Some(2));
    route.scope = Some(RouteScope::UNIVERSE);
    route
}

#[test]
fn a_route_with_several_hops_is_one_message() {
    check(
        &route::create(&shared_route(), 3),
        12,
        "    020000000002000104000000
    15 64000000
    9 1000040003000000080005000a0100011000040203000000080005000a010009",
    );
    check(
        &route::delete(&shared_route(), 3),
        12,
        "    020000000000ff0004000000
    15 64000000
    9 1000040003000000080005000a0100011000040203000000080005000a010009",
    );
}

/// Messages that look like answers: the kernel's have the same attributes.
fn samples() -> Vec<Vec<u8>> {
    let index = 3;
    let prefix = "10.1.0.2/24".parse().unwrap();
    let name = || "eth0".parse().unwrap();
    let address = Address { detect_duplicates: true, ..Address::new(name(), prefix) };
    let mut route = Route::new(prefix.subnet(), Some([10, 1, 0, 1].into()), name());
    (route.mtu, route.advmss) = (Some(1400), Some(1360));
    let neighbour = Neighbour { link: name(), ip: [10, 1, 0, 7].into(), mac: Mac([2; 6]) };
    let port = BridgePort { link: name(), hairpin: Some(true), isolated: Some(true), vlans: None };
    let vlans = ropewalk_netstate::resource::VlanRange { first: 7, last: 9 };
    let membership = bridge_port::Membership { vlans, flags: 2 };
    let around = link::VethSurroundings { master: Some(5), peer_namespace: None };
    let elements = elements();
    let all: Vec<_> = elements.elements.iter().collect();
    let mut messages = vec![
        link::create_veth(&veth(), around),
        link::create_bridge(&bridge(), Mac([2; 6])),
        link::set_alias(&name(), elements.tag.text()),
        link::finish_veth(&veth(), true),
        bridge_port::set_flags(index, &port),
        bridge_port::add_vlans(index, &[membership]),
        address::create(&address, index),
        route::create(&route, index),
        route::create(&shared_route(), index),
        routing_rule::create(&rule()),
        neighbour::create(&neighbour, index),
        virtual_link::create(&name(), &macvlan(), None),
        virtual_link::number_namespace(7),
        set::create(&ports(), 1),
        flow::list(&stale()),
    ];
    messages.extend(element::create(&elements.set, &elements.tag, &all));
    messages.extend(chain::create(&rules()));
    messages.extend(traffic::samples());
    messages.iter_mut().map(|message| message.finish(1).to_vec()).collect()
}

fn stale() -> StaleFlows {
    let family = ropewalk_addr::Family::V4;
    StaleFlows { family, protocol: 17, ports: (53, 53), destination: None }
}

/// Gives bytes to every reader there is.
fn read_all(bytes: &[u8]) {
    for reply in Replies(bytes).take(1000) {
        let _ = reply.verdict("TEST");
        let _ = link::read(&reply);
        let _ = bridge_port::read_vlans(&reply, 3);
        let _ = address::read(&reply);
        let _ = route::read(&reply);
        let _ = routing_rule::read(&reply);
        let _ = neighbour::read(&reply);
        let _ = virtual_link::read_namespace_number(&reply);
        let _ = nft::set::read(&reply, &ports().set);
        let _ = element::read(&reply, &ports());
        let _ = chain::read_rule(&reply);
        let _ = chain::read_drops_by_default(&reply);
        let _ = flow::read(&reply, &stale());
        traffic::read_all(&reply);
        crate::survey::read_all(&reply);
    }
}

#[test]
fn no_bytes_make_a_reader_panic() {
    // A fixed sequence of numbers (xorshift), so that a failure can be repeated.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut number = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(below).unwrap()).unwrap()
    };
    // Types of messages that readers look for: new link, address, route, neighbour, rule, those of
    // nftables and connection tracking, and of traffic control.
    let kinds: [u16; 15] = [16, 20, 24, 28, 32, 2, 3, 2563, 2566, 2569, 2572, 256, 36, 40, 44];
    for sample in samples() {
        for kind in kinds {
            let mut sample = sample.clone();
            sample[4..6].copy_from_slice(&kind.to_ne_bytes());
            read_all(&sample);
            for end in 0..sample.len() {
                read_all(&sample[..end]);
            }
            for _ in 0..200 {
                let mut bytes = sample.clone();
                for _ in 0..=number(4) {
                    let at = number(bytes.len());
                    bytes[at] = [0, 1, 4, 0x7f, 0x80, 0xff][number(6)];
                }
                read_all(&bytes);
            }
        }
    }
}

#[test]
fn fuzz_netlink() {
    ropewalk_testkit::fuzz("netlink", read_all);
}
