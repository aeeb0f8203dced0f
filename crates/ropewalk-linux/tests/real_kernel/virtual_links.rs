//! Virtual links: every kind on its own, on a parent here and on one elsewhere; membership.

use std::path::Path;

use ropewalk_netstate::{
    Owner, Place, Resource, Scope, Step,
    resource::{
        Attribute, Await, IpvlanFlag, IpvlanMode, MacvlanMode, Membership, Parent, Sysctl, Tap,
        Until, VirtualKind, VirtualLink,
    },
};
use rustix::io::Errno;

use crate::support::{HOST, INSIDE, Lab, attribute, bridge, in_lab, not_run_here, output_of, veth};
use ropewalk_netstate::Kernel as _;

fn link(name: &str, kind: VirtualKind) -> VirtualLink {
    VirtualLink::new(name.parse().unwrap(), kind)
}

fn on(parent: (Place, &str), link: VirtualLink) -> VirtualLink {
    let parent = Parent { place: parent.0, name: parent.1.parse().unwrap() };
    VirtualLink { parent: Some(parent), ..link }
}

/// Whether the kernel has links of this kind; says so if not.
fn has(lab: &mut Lab, probe: VirtualLink) -> bool {
    let kind = probe.kind.name();
    match lab.linux.apply(&[Step::Create(HOST, probe.clone().into())]) {
        Ok(()) => {
            lab.delete(HOST, probe);
            true
        }
        Err(partial) => {
            assert_eq!(partial.error.errno, Errno::OPNOTSUPP.raw_os_error());
            assert!(partial.error.reason.contains(kind), "{}", partial.error);
            not_run_here(&format!("no {kind} links"));
            false
        }
    }
}

const BRIDGE_MODE: VirtualKind =
    VirtualKind::Macvlan { mode: MacvlanMode::Bridge, broadcast_queue: None };

#[test]
fn links_that_stand_on_nothing_obey_the_law() {
    in_lab(|lab| {
        for kind in [VirtualKind::Dummy, VirtualKind::Ifb, VirtualKind::Vrf { table: 77 }] {
            if has(lab, link("probe", kind.clone())) {
                lab.obeys_the_law(INSIDE, link("eth0", kind.clone()));
                let mtu = Some(1400);
                lab.obeys_the_law(HOST, VirtualLink { mtu, ..link("eth0", kind) });
            }
        }
    });
}

#[test]
fn macvlan_links_obey_the_law_on_a_parent_elsewhere() {
    in_lab(|lab| {
        lab.create(HOST, veth("parent", "other"));
        for mode in
            [MacvlanMode::Private, MacvlanMode::Vepa, MacvlanMode::Bridge, MacvlanMode::Passthru]
        {
            for broadcast_queue in [None, Some(200)] {
                let kind = VirtualKind::Macvlan { mode, broadcast_queue };
                lab.obeys_the_law(INSIDE, on((HOST, "parent"), link("eth0", kind.clone())));
                lab.obeys_the_law(HOST, on((HOST, "parent"), link("eth0", kind)));
            }
        }
        let mac = Some("02:00:00:00:00:09".parse().unwrap());
        let wanted = on((HOST, "parent"), link("eth0", BRIDGE_MODE));
        lab.obeys_the_law(INSIDE, VirtualLink { mac, mtu: Some(1300), ..wanted });
        lab.obeys_the_law(INSIDE, on((INSIDE, "other"), link("eth0", BRIDGE_MODE)));
    });
}

#[test]
fn the_host_may_have_a_link_of_the_same_name_and_the_parent_too() {
    in_lab(|lab| {
        lab.create(HOST, veth("eth0", "other"));
        lab.creates(INSIDE, on((HOST, "eth0"), link("eth0", BRIDGE_MODE)));
        let again = on((HOST, "eth0"), link("eth0", BRIDGE_MODE));
        assert_eq!(lab.refuses(INSIDE, again).errno, Errno::EXIST.raw_os_error());
        // A second one finds that the namespaces know each other by number already.
        lab.obeys_the_law(INSIDE, on((HOST, "eth0"), link("eth1", BRIDGE_MODE)));
    });
}

#[test]
fn a_link_on_another_parent_or_of_another_kind_is_found_as_it_is() {
    in_lab(|lab| {
        lab.create(HOST, veth("one", "far1"));
        lab.create(HOST, veth("two", "far2"));
        lab.create(INSIDE, on((HOST, "one"), link("eth0", BRIDGE_MODE)));
        let elsewhere: Resource = on((HOST, "two"), link("eth0", BRIDGE_MODE)).into();
        let found = lab.find(INSIDE, &elsewhere).unwrap();
        assert_eq!(elsewhere.compare(&found)[0].field, "parent");
        let other = VirtualKind::Macvlan { mode: MacvlanMode::Vepa, broadcast_queue: None };
        let other: Resource = on((HOST, "one"), link("eth0", other)).into();
        let found = lab.find(INSIDE, &other).unwrap();
        assert_eq!(other.compare(&found)[0].field, "mode");
        let pair = link("far1", VirtualKind::Dummy).into();
        assert_eq!(lab.find(INSIDE, &pair).unwrap().kind(), "AnyLink");
    });
}

#[test]
fn a_parent_that_is_missing_is_told() {
    in_lab(|lab| {
        let error = lab.refuses(INSIDE, on((HOST, "nope"), link("eth0", BRIDGE_MODE)));
        assert_eq!(error.reason, "Link not found");
    });
}

#[test]
fn vlans_obey_the_law() {
    in_lab(|lab| {
        lab.create(HOST, veth("parent", "other"));
        if !has(lab, on((HOST, "parent"), link("probe", VirtualKind::Vlan { id: 4 }))) {
            return;
        }
        for id in [0, 5, 4094] {
            lab.obeys_the_law(INSIDE, on((HOST, "parent"), link("eth0", VirtualKind::Vlan { id })));
        }
        let wanted = on((HOST, "parent"), link("eth0", VirtualKind::Vlan { id: 5 }));
        lab.creates(INSIDE, VirtualLink { mtu: Some(1400), ..wanted.clone() });
        let twice = lab.refuses(INSIDE, VirtualLink { name: "eth1".parse().unwrap(), ..wanted });
        assert_eq!(twice.errno, Errno::EXIST.raw_os_error());
    });
}

#[test]
fn ipvlans_obey_the_law() {
    in_lab(|lab| {
        lab.create(HOST, veth("parent", "other"));
        let of = |mode, flag| link("eth0", VirtualKind::Ipvlan { mode, flag });
        if !has(lab, on((HOST, "parent"), of(IpvlanMode::L2, IpvlanFlag::Bridge))) {
            return;
        }
        for mode in [IpvlanMode::L2, IpvlanMode::L3, IpvlanMode::L3s] {
            for flag in [IpvlanFlag::Bridge, IpvlanFlag::Private, IpvlanFlag::Vepa] {
                lab.obeys_the_law(INSIDE, on((HOST, "parent"), of(mode, flag)));
            }
        }
    });
}

#[test]
fn taps_obey_the_law() {
    in_lab(|lab| {
        if !Path::new("/dev/net/tun").exists() {
            return not_run_here("no taps");
        }
        let all = Tap {
            multi_queue: true,
            owner: Some(1000),
            group: Some(0),
            offload_header: true,
            context: None,
        };
        for tap in [Tap::default(), all] {
            let plain = link("tap0", VirtualKind::Tap(tap));
            lab.obeys_the_law(HOST, plain.clone());
            let mac = Some("02:00:00:00:00:09".parse().unwrap());
            lab.obeys_the_law(INSIDE, VirtualLink { mac, mtu: Some(1300), ..plain });
        }
    });
}

#[test]
fn a_tap_that_cannot_be_as_wanted_leaves_nothing() {
    in_lab(|lab| {
        if !Path::new("/dev/net/tun").exists() {
            return not_run_here("no taps");
        }
        let plain = link("tap0", VirtualKind::Tap(Tap::default()));
        let multicast = Some("01:00:00:00:00:09".parse().unwrap());
        lab.refuses(INSIDE, VirtualLink { mac: multicast, ..plain.clone() });
        assert_eq!(lab.find(INSIDE, &plain.clone().into()), None);
        lab.create(INSIDE, veth("tap0", "other"));
        let error = lab.refuses(INSIDE, plain.clone());
        assert_eq!(error.reason, "file exists");
        let known = std::fs::read_to_string("/proc/filesystems").unwrap();
        if !known.contains("selinuxfs") {
            let context = Some("system_u:object_r:tun_tap_device_t:s0".into());
            let kind = VirtualKind::Tap(Tap { context, ..Tap::default() });
            let error = lab.refuses(HOST, VirtualLink { kind, ..plain });
            assert!(error.reason.ends_with("the kernel runs without SELinux"), "{error}");
        }
    });
}

#[test]
fn a_link_on_the_host_tells_its_owner() {
    in_lab(|lab| {
        let text = |text: &str| text.to_string();
        let owner = Owner { network: text("lan"), container: text("c1"), interface: text("eth0") };
        let wanted = VirtualLink { tag: Some(owner.tag()), ..link("bwp0", VirtualKind::Ifb) };
        let Resource::VirtualLink(found) = lab.creates(HOST, wanted) else { panic!() };
        assert_eq!(found.tag, Some(owner.tag()));
        let all = lab.linux.owned(&Scope::TaggedLinks).unwrap();
        assert_eq!(all.len(), 1);
        lab.deletes(HOST, all[0].resource.clone());
    });
}

#[test]
fn membership_obeys_the_law_and_changes() {
    in_lab(|lab| {
        lab.create(HOST, bridge("br0"));
        lab.create(HOST, bridge("br1"));
        lab.create(HOST, veth("port", "eth0"));
        let of = |master: &str| Membership {
            link: "port".parse().unwrap(),
            master: master.parse().unwrap(),
        };
        lab.obeys_the_law(HOST, of("br0"));
        lab.creates(HOST, of("br0"));
        lab.changes(HOST, of("br1"));
        lab.deletes(HOST, of("br1"));
        assert_eq!(lab.refuses(HOST, of("br7")).reason, "br7: Link not found");
        lab.create(HOST, attribute("port", Attribute::Up(false)));
        assert!(Path::new("/sys/class/net/port").exists(), "the link itself stays");
    });
}

fn ip(arguments: &str) -> String {
    let arguments = format!("-n sandbox {arguments}");
    output_of("ip", &arguments.split_whitespace().collect::<Vec<_>>())
}

/// All routes and global IPv6 addresses, sorted, without the domain's table and without what comes
/// and goes by itself.
fn routes_and_addresses() -> Vec<String> {
    let show =
        ["-4 route show table all", "-6 route show table all", "-6 -o address show scope global"];
    let shown = show.map(ip).join("\n");
    let lasting = |line: &String| {
        let passing = ["fe80::/64", "ff00", "local", "broadcast"];
        !passing.iter().any(|word| line.starts_with(word) || line.contains("multicast"))
    };
    let plain = |line: &str| {
        line.trim_end().replace(" table 10", "").replace(" nodad", "").trim().to_owned()
    };
    let mut lines: Vec<String> =
        shown.lines().map(plain).filter(|line| !line.is_empty()).filter(lasting).collect();
    lines.sort();
    lines
}

#[test]
fn a_member_of_a_routing_domain_keeps_addresses_and_routes_on_both_ways() {
    in_lab(|lab| {
        let domain = link("blue", VirtualKind::Vrf { table: 10 });
        if !has(lab, domain.clone()) {
            return;
        }
        lab.create(INSIDE, domain);
        lab.create(INSIDE, attribute("blue", Attribute::Up(true)));
        lab.create(HOST, veth("near", "eth0"));
        for keeps in [0, 1] {
            lab.create(
                INSIDE,
                Sysctl::new("net/ipv6/conf/eth0/keep_addr_on_down", keeps.to_string()),
            );
            lab.create(INSIDE, attribute("eth0", Attribute::Up(true)));
            for arguments in [
                "addr add 10.1.0.2/24 dev eth0",
                "addr add fd00:1::2/64 dev eth0 nodad",
                "addr add fd00:3::2/64 dev eth0 nodad noprefixroute",
                "addr add fd00:2::2/64 dev eth0",
            ] {
                ip(arguments);
            }
            let ready = Await::new("eth0".parse().unwrap(), Until::AddressesReady, 9_000);
            lab.create(INSIDE, ready);
            for route in [
                "default via 10.1.0.1 dev eth0",
                "10.5.0.0/16 dev eth0 scope link src 10.1.0.2 mtu 1300",
                "10.6.0.0/16 nexthop via 10.1.0.3 dev eth0 weight 2 nexthop via 10.1.0.4 dev eth0",
                "10.7.0.0/16 via 10.1.0.3 dev eth0 table 100",
            ] {
                ip(&format!("route add {route}"));
            }
            for route in [
                "default via fd00:1::1 dev eth0",
                "fd00:5::/64 via fd00:2::1 dev eth0 src fd00:2::2 metric 5",
                "fd00:6::/64 via fe80::1 dev eth0 table 100",
            ] {
                ip(&format!("-6 route add {route}"));
            }
            let before = routes_and_addresses();
            assert!(before.len() > 10, "{before:#?}");
            let master = "blue".parse().unwrap();
            let membership = Membership { link: "eth0".parse().unwrap(), master };
            lab.creates(INSIDE, membership.clone());
            assert_eq!(routes_and_addresses(), before, "keep_addr_on_down is {keeps}");
            let main = ip("-4 route show");
            assert!(main.is_empty(), "{main}");
            lab.deletes(INSIDE, membership);
            assert_eq!(routes_and_addresses(), before, "keep_addr_on_down is {keeps}");
            lab.delete(HOST, veth("near", "eth0"));
            lab.create(HOST, veth("near", "eth0"));
        }
    });
}
