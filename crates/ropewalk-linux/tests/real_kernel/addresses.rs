//! Addresses, routes, neighbours, and the questions plugins ask about them.

use ropewalk_addr::{Family, Prefix, Subnet};
use ropewalk_netstate::{
    Kernel, Partial, Resource, Step,
    resource::{
        Address, AddressGuard, Attribute, Await, Conflicting, Neighbour, Route, RouteScope, Until,
    },
};

use crate::support::{HOST, INSIDE, Lab, attribute, in_lab, output_of, veth};

fn address(link: &str, prefix: &str) -> Address {
    let (link, prefix) = (link.parse().unwrap(), prefix.parse().unwrap());
    Address::new(link, prefix)
}

fn route(destination: &str, gateway: Option<&str>, link: &str) -> Route {
    let gateway = gateway.map(|text| text.parse().unwrap());
    Route::new(destination.parse().unwrap(), gateway, link.parse().unwrap())
}

/// `near` and `eth0`, up, with an address of each family inside.
fn connected(lab: &mut Lab) {
    lab.create(HOST, veth("near", "eth0"));
    lab.create(INSIDE, attribute("eth0", Attribute::Up(true)));
    lab.create(INSIDE, address("eth0", "10.1.0.2/24"));
    lab.create(INSIDE, address("eth0", "fd00:1::2/64"));
}

#[test]
fn addresses_obey_the_law() {
    in_lab(|lab| {
        lab.create(HOST, veth("near", "eth0"));
        for prefix in ["10.1.0.2/24", "10.1.0.3/31", "10.1.0.4/32", "fd00:1::2/64", "fd00::3/128"] {
            lab.obeys_the_law(INSIDE, address("eth0", prefix));
        }
        lab.obeys_the_law(HOST, address("lo", "10.9.9.9/32"));
        lab.create(INSIDE, address("eth0", "10.1.0.2/24"));
        let shown = output_of("ip", &["-n", "sandbox", "-4", "address", "show", "dev", "eth0"]);
        assert!(shown.contains("inet 10.1.0.2/24 brd 10.1.0.255 scope global eth0"), "{shown}");
    });
}

#[test]
fn addresses_without_a_route_to_their_subnet_obey_the_law() {
    in_lab(|lab| {
        lab.create(HOST, veth("near", "eth0"));
        lab.create(INSIDE, attribute("eth0", Attribute::Up(true)));
        for (prefix, family) in [("10.1.0.2/24", "-4"), ("fd00:1::2/64", "-6")] {
            let bare = Address { prefix_route: false, ..address("eth0", prefix) };
            lab.obeys_the_law(INSIDE, bare.clone());
            lab.create(INSIDE, bare.clone());
            let routes = output_of("ip", &["-n", "sandbox", family, "route", "show"]);
            assert!(!routes.contains(&bare.prefix.subnet().to_string()), "{routes}");
            // Whoever wants the route accepts that others have routes of their own.
            lab.has(INSIDE, &address("eth0", prefix).into());
            lab.delete(INSIDE, bare.clone());
            lab.create(INSIDE, address("eth0", prefix));
            lab.changes(INSIDE, bare);
        }
    });
}

#[test]
fn an_address_that_is_there_already_is_fine_and_another_length_is_another_address() {
    in_lab(|lab| {
        connected(lab);
        lab.create(INSIDE, address("eth0", "10.1.0.2/24"));
        lab.create(INSIDE, address("eth0", "fd00:1::2/64"));
        lab.create(INSIDE, address("eth0", "10.1.0.2/16"));
        assert_eq!(lab.refuses(INSIDE, address("eth0", "fd00:1::2/48")).errno, libc::EEXIST);
        assert_eq!(lab.find(INSIDE, &address("eth0", "fd00:1::2/48").into()), None);
    });
}

#[test]
fn an_address_without_detection_is_ready_at_once_and_one_with_it_is_awaited() {
    in_lab(|lab| {
        connected(lab);
        let ready = Await::new("eth0".parse().unwrap(), Until::AddressesReady, 100);
        lab.create(INSIDE, Address { detect_duplicates: true, ..address("eth0", "fd00:2::2/64") });
        let error = lab.refuses(INSIDE, ready);
        assert_eq!(error.reason, "link eth0 still has tentative addresses after 0 seconds");
        let ready = Await::new("eth0".parse().unwrap(), Until::AddressesReady, 10_000);
        lab.create(INSIDE, ready);
        let shown = output_of("ip", &["-n", "sandbox", "-6", "address", "show", "dev", "eth0"]);
        assert!(!shown.contains("tentative"), "{shown}");
    });
}

#[test]
fn a_duplicate_address_is_found_out() {
    in_lab(|lab| {
        connected(lab);
        lab.create(HOST, address("near", "fd00:3::2/64"));
        lab.create(INSIDE, Address { detect_duplicates: true, ..address("eth0", "fd00:3::2/64") });
        let ready = Await::new("eth0".parse().unwrap(), Until::AddressesReady, 10_000);
        let error = lab.refuses(INSIDE, ready);
        assert_eq!(error.reason, "link eth0 has address fd00:3::2 in DADFAILED state");
        let wanted: Resource = address("eth0", "fd00:3::2/64").into();
        let found = lab.find(INSIDE, &wanted).unwrap();
        assert_eq!(wanted.compare(&found)[0].field, "duplicate");
    });
}

#[test]
fn the_guard_sees_all_addresses_but_link_local_ones() {
    in_lab(|lab| {
        connected(lab);
        for (family, expected) in [(Family::V4, "10.1.0.2/24"), (Family::V6, "fd00:1::2/64")] {
            let link = "eth0".parse().unwrap();
            let guard = AddressGuard {
                link,
                family,
                keep: Vec::new(),
                conflicting: Conflicting::Any,
                replace: false,
                present: Vec::new(),
            };
            lab.create(INSIDE, guard.clone());
            let Resource::AddressGuard(found) = lab.has(INSIDE, &guard.clone().into()) else {
                panic!()
            };
            assert_eq!(found.present, [expected.parse::<Prefix>().unwrap()]);
            let link = "eth9".parse().unwrap();
            assert_eq!(lab.find(INSIDE, &AddressGuard { link, ..guard }.into()), None);
        }
    });
}

#[test]
fn routes_obey_the_law() {
    in_lab(|lab| {
        connected(lab);
        let plain = [
            route("0.0.0.0/0", Some("10.1.0.1"), "eth0"),
            route("::/0", Some("fd00:1::1"), "eth0"),
            route("10.2.0.0/16", None, "eth0"),
            route("fd00:2::/64", None, "eth0"),
            route("10.3.0.0/16", Some("10.1.0.1"), "eth0"),
            route("10.4.0.0/16", Some("fd00:1::1"), "eth0"),
        ];
        for wanted in plain {
            lab.obeys_the_law(INSIDE, wanted.clone());
            let mut rich = Route { priority: 7, table: 1000, mtu: Some(1300), ..wanted };
            rich.advmss = Some(1200);
            lab.obeys_the_law(INSIDE, rich);
        }
        let mut exact = route("10.5.0.0/16", None, "eth0");
        exact.scope = Some(RouteScope::UNIVERSE);
        exact.source = Some("10.1.0.2".parse().unwrap());
        lab.obeys_the_law(INSIDE, exact.clone());
        lab.create(INSIDE, exact.clone());
        lab.changes(INSIDE, Route { scope: Some(RouteScope::LINK), ..exact });
        let explicit = Route { priority: 1024, ..route("fd00:5::/64", None, "eth0") };
        lab.obeys_the_law(INSIDE, explicit);
    });
}

#[test]
fn the_same_route_again_is_fine_and_does_not_become_two() {
    in_lab(|lab| {
        connected(lab);
        for (destination, gateway) in [("0.0.0.0/0", "10.1.0.1"), ("::/0", "fd00:1::1")] {
            let wanted = route(destination, Some(gateway), "eth0");
            lab.create(INSIDE, wanted.clone());
            lab.create(INSIDE, wanted.clone());
            lab.deletes(INSIDE, wanted);
        }
    });
}

#[test]
fn routes_with_one_destination_stand_side_by_side() {
    in_lab(|lab| {
        connected(lab);
        lab.create(HOST, veth("near1", "eth1"));
        lab.create(INSIDE, attribute("eth1", Attribute::Up(true)));
        lab.create(INSIDE, address("eth1", "10.2.0.2/24"));
        lab.create(INSIDE, address("eth1", "fd00:2::2/64"));
        for (destination, gateways) in [
            ("0.0.0.0/0", ["10.1.0.1", "10.1.0.9", "10.2.0.1"]),
            ("::/0", ["fd00:1::1", "fd00:1::9", "fd00:2::1"]),
        ] {
            let routes: Vec<Resource> = ["eth0", "eth0", "eth1"]
                .into_iter()
                .zip(gateways)
                .map(|(link, gateway)| route(destination, Some(gateway), link).into())
                .collect();
            for wanted in &routes {
                lab.creates(INSIDE, wanted.clone());
            }
            for wanted in &routes {
                lab.has(INSIDE, wanted);
            }
            lab.deletes(INSIDE, routes[1].clone());
            lab.has(INSIDE, &routes[0]);
            lab.deletes(INSIDE, routes[0].clone());
            lab.has(INSIDE, &routes[2]);
        }
    });
}

#[test]
fn an_unreachable_gateway_is_told_with_the_words_of_the_kernel() {
    in_lab(|lab| {
        connected(lab);
        let error = lab.refuses(INSIDE, route("0.0.0.0/0", Some("10.77.0.1"), "eth0"));
        let text = "network is unreachable (RTNETLINK: Nexthop has invalid gateway)";
        assert_eq!(error.reason, text);
    });
}

#[test]
fn addresses_and_routes_in_one_go_are_made_in_order() {
    in_lab(|lab| {
        lab.create(HOST, veth("near", "eth0"));
        let wanted: [Resource; 5] = [
            attribute("eth0", Attribute::Up(true)).into(),
            address("eth0", "10.1.0.2/24").into(),
            route("0.0.0.0/0", Some("10.1.0.1"), "eth0").into(),
            address("eth0", "fd00:1::2/64").into(),
            route("::/0", Some("fd00:1::1"), "eth0").into(),
        ];
        let mut steps: Vec<Step> =
            wanted.iter().map(|resource| Step::Create(INSIDE, resource.clone())).collect();
        lab.apply(&steps);
        for resource in &wanted {
            lab.has(INSIDE, resource);
        }
        steps.insert(2, Step::Create(INSIDE, attribute("eth7", Attribute::Up(true)).into()));
        let Partial { done, failed, error } = lab.linux.apply(&steps).unwrap_err();
        assert_eq!((done, failed), (vec![0, 1], 2), "what is behind a missing link is not tried");
        assert_eq!(error.reason, "Link not found");
    });
}

#[test]
fn neighbours_obey_the_law() {
    in_lab(|lab| {
        connected(lab);
        for ip in ["10.1.0.7", "fd00:1::7"] {
            let mac = "02:00:00:00:00:07".parse().unwrap();
            let ip = ip.parse().unwrap();
            let neighbour = Neighbour { link: "eth0".parse().unwrap(), ip, mac };
            lab.obeys_the_law(INSIDE, neighbour.clone());
            lab.create(INSIDE, neighbour.clone());
            let mac = "02:00:00:00:00:08".parse().unwrap();
            lab.changes(INSIDE, Neighbour { mac, ..neighbour });
        }
    });
}

#[test]
fn what_stood_on_a_link_that_is_gone_is_gone_and_deleting_it_succeeds() {
    in_lab(|lab| {
        connected(lab);
        lab.delete(HOST, veth("near", "eth0"));
        let mac = "02:00:00:00:00:07".parse().unwrap();
        let ip = "10.1.0.7".parse().unwrap();
        let link = "eth0".parse().unwrap();
        for resource in [
            Resource::from(address("eth0", "10.1.0.2/24")),
            route("0.0.0.0/0", Some("10.1.0.1"), "eth0").into(),
            attribute("eth0", Attribute::Up(true)).into(),
            Neighbour { link, ip, mac }.into(),
        ] {
            assert_eq!(lab.find(INSIDE, &resource), None);
            lab.delete(INSIDE, resource);
        }
    });
}

#[test]
fn plugins_can_ask_where_packets_go_and_what_a_link_is_like() {
    in_lab(|lab| {
        connected(lab);
        let linux = &mut lab.linux;
        assert_eq!(linux.default_route_link(INSIDE), Ok(None));
        assert_eq!(linux.route_to(INSIDE, "192.0.2.1".parse().unwrap()), Ok(None));
        let near = linux.route_to(INSIDE, "10.1.0.9".parse().unwrap()).unwrap().unwrap();
        assert_eq!(&*near, "eth0");
        let near = linux.route_to(INSIDE, "fd00:1::9".parse().unwrap()).unwrap().unwrap();
        assert_eq!(&*near, "eth0");
        let addresses = linux.link_addresses(INSIDE, &near).unwrap();
        assert!(addresses.contains(&"10.1.0.2/24".parse().unwrap()));
        assert!(addresses.contains(&"fd00:1::2/64".parse().unwrap()));
        let state = linux.link_state(INSIDE, &near).unwrap().unwrap();
        assert!(state.up && !state.promiscuous);
        assert_eq!((state.mtu, state.kind.as_deref()), (Some(1500), Some("veth")));
        assert_eq!(linux.link_state(INSIDE, &"eth9".parse().unwrap()), Ok(None));
        lab.create(INSIDE, route("::/0", Some("fd00:1::1"), "eth0"));
        assert_eq!(lab.linux.default_route_link(INSIDE), Ok(Some("eth0".parse().unwrap())));
        lab.create(INSIDE, Route::new(Subnet::default_route(Family::V4), None, near));
        assert_eq!(lab.linux.default_route_link(INSIDE), Ok(Some("eth0".parse().unwrap())));
    });
}

#[test]
fn a_gateway_address_pins_the_mac_of_a_bridge_that_others_made() {
    let ip = |arguments: &str| output_of("ip", &arguments.split_whitespace().collect::<Vec<_>>());
    in_lab(|lab| {
        ip("link add br0 type bridge");
        ip("link set br0 up");
        lab.create(HOST, Address { pins_mac: true, ..address("br0", "10.1.2.1/24") });
        let before = mac_of(&ip("-o link show br0"));
        assert!(before.is_some());
        ip("link add v0 address 02:00:00:00:00:01 type veth peer name v1");
        ip("link set v0 master br0");
        assert_eq!(mac_of(&ip("-o link show br0")), before);
    });
}

fn mac_of(line: &str) -> Option<String> {
    Some(line.split("link/ether ").nth(1)?.split(' ').next()?.to_owned())
}
