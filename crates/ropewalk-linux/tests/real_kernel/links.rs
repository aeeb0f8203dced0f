//! Links: bridges, veth pairs, ports, attributes, and waiting for them.

use ropewalk_linux::Linux;
use ropewalk_netstate::{
    Kernel, Owner, Partial, Resource, Scope, Step,
    resource::{
        Announcement, AnyLink, Attribute, Await, BridgePort, PortVlans, Until, VethPeer, VlanRange,
    },
};

use crate::support::{
    HOST, INSIDE, Lab, SANDBOX, attribute, bridge, in_lab, not_run_here, output_of, veth,
};

fn tag() -> ropewalk_netstate::Tag {
    let text = |text: &str| text.to_string();
    Owner { network: text("lan"), container: text("c1"), interface: text("eth0") }.tag()
}

fn port(link: &str, hairpin: bool, isolated: bool) -> BridgePort {
    let (hairpin, isolated) = (Some(hairpin), Some(isolated));
    BridgePort { link: link.parse().unwrap(), hairpin, isolated, vlans: None }
}

fn has_vlan_filtering(lab: &mut Lab) -> bool {
    let mut probe = bridge("brprobe");
    probe.vlan_filtering = true;
    let result = lab.linux.apply(&[Step::Create(HOST, probe.clone().into())]);
    lab.delete(HOST, probe);
    result.is_ok()
}

#[test]
fn bridges_obey_the_law() {
    in_lab(|lab| {
        lab.obeys_the_law(HOST, bridge("br0"));
        let mut special = bridge("br1");
        special.mac = Some("02:00:00:00:00:05".parse().unwrap());
        special.mtu = Some(1400);
        special.promiscuous = true;
        let Resource::Bridge(found) = lab.creates(HOST, special.clone()) else { panic!() };
        assert_eq!(found.mtu, Some(1400));
        special.promiscuous = false;
        special.mac = Some("02:00:00:00:00:06".parse().unwrap());
        lab.changes(HOST, special.clone());
        lab.create(HOST, attribute("br1", Attribute::Up(false)));
        lab.changes(HOST, special.clone());
        lab.deletes(HOST, special);
    });
}

#[test]
fn a_bridge_keeps_its_random_mac_when_ports_come() {
    in_lab(|lab| {
        let Resource::Bridge(before) = lab.creates(HOST, bridge("br0")) else { panic!() };
        let mut pair = veth("near", "eth0");
        pair.bridge = Some("br0".parse().unwrap());
        pair.mac = Some("00:00:00:00:00:01".parse().unwrap());
        lab.creates(HOST, pair);
        let Resource::Bridge(after) = lab.has(HOST, &bridge("br0").into()) else { panic!() };
        assert_eq!(before.mac, after.mac);
        assert_eq!(before.mac.unwrap().0[0] & 3, 2, "unicast and locally administered");
    });
}

#[test]
fn a_bridge_that_a_parallel_add_has_just_made_is_as_good() {
    in_lab(|lab| {
        let Resource::Bridge(first) = lab.creates(HOST, bridge("br0")) else { panic!() };
        let Resource::Bridge(second) = lab.creates(HOST, bridge("br0")) else { panic!() };
        assert_eq!(first.mac, second.mac);
    });
}

#[test]
fn a_link_that_is_no_bridge_is_found_as_what_it_is() {
    in_lab(|lab| {
        lab.creates(HOST, veth("br0", "eth0"));
        let found = lab.find(HOST, &bridge("br0").into()).unwrap();
        assert_eq!(found.kind(), "AnyLink");
        assert_eq!(lab.refuses(HOST, bridge("br0")).errno, libc::EEXIST);
    });
}

#[test]
fn bridge_vlan_filtering_works_or_is_refused_clearly() {
    in_lab(|lab| {
        let mut wanted = bridge("br0");
        wanted.vlan_filtering = true;
        if has_vlan_filtering(lab) {
            return lab.obeys_the_law(HOST, wanted);
        }
        let error = lab.refuses(HOST, wanted.clone());
        let text = "operation not supported (the kernel has no bridge VLAN filtering)";
        assert_eq!(error.reason, text);
        assert_eq!(lab.find(HOST, &wanted.into()), None, "it must not stay half-made");
        lab.create(HOST, bridge("br1"));
        wanted = bridge("br1");
        wanted.vlan_filtering = true;
        let from = bridge("br1").into();
        let step = Step::Change { place: HOST, from, to: wanted.into() };
        assert_eq!(lab.linux.apply(&[step]).unwrap_err().error.reason, text);
        lab.has(HOST, &bridge("br1").into());
    });
}

#[test]
fn veth_pairs_obey_the_law() {
    in_lab(|lab| {
        lab.obeys_the_law(HOST, veth("near", "eth0"));
        lab.create(HOST, bridge("br0"));
        let mut full = veth("near", "eth0");
        full.bridge = Some("br0".parse().unwrap());
        full.mtu = Some(1400);
        full.mac = Some("02:00:00:00:00:07".parse().unwrap());
        full.tag = Some(tag());
        full.peer.as_mut().unwrap().mac = Some("02:00:00:00:00:08".parse().unwrap());
        let Resource::Veth(found) = lab.creates(HOST, full.clone()) else { panic!() };
        assert_eq!(found, full, "everything comes back");
        lab.has(INSIDE, &attribute("eth0", Attribute::Mtu(1400)).into());
        let queues = std::fs::read_dir("/sys/class/net/near/queues").unwrap().count();
        assert_eq!(queues, 2, "one to receive and one to send");
        full.mac = Some("02:00:00:00:00:09".parse().unwrap());
        full.peer.as_mut().unwrap().mac = Some("02:00:00:00:00:0a".parse().unwrap());
        lab.changes(HOST, full.clone());
        lab.deletes(HOST, full);
    });
}

#[test]
fn a_pair_may_have_both_ends_on_the_host_or_start_in_the_sandbox() {
    in_lab(|lab| {
        let mut both = veth("left", "right");
        both.peer.as_mut().unwrap().place = HOST;
        lab.obeys_the_law(HOST, both);
        let mut outward = veth("eth0", "near");
        outward.peer.as_mut().unwrap().place = HOST;
        lab.obeys_the_law(INSIDE, outward);
    });
}

#[test]
fn a_peer_that_is_not_this_ones_is_not_found() {
    in_lab(|lab| {
        lab.create(HOST, veth("first", "eth0"));
        lab.create(HOST, veth("second", "eth1"));
        let swapped = veth("first", "eth1");
        let Some(Resource::Veth(found)) = lab.find(HOST, &swapped.clone().into()) else { panic!() };
        assert_eq!(found.peer, None);
        assert!(!Resource::from(swapped).compare(&found.into()).is_empty());
        let mut elsewhere = veth("first", "eth0");
        elsewhere.peer.as_mut().unwrap().place = HOST;
        let Some(Resource::Veth(found)) = lab.find(HOST, &elsewhere.into()) else { panic!() };
        assert_eq!(found.peer, None);
    });
}

#[test]
fn equal_indices_in_two_namespaces_do_not_make_a_pair() {
    in_lab(|lab| {
        let mut pair = veth("left", "right");
        pair.peer.as_mut().unwrap().place = HOST;
        lab.create(HOST, pair.clone());
        pair.peer.as_mut().unwrap().place = INSIDE;
        lab.create(INSIDE, pair.clone());
        let indices = |lines: String| -> Vec<String> {
            lines.lines().map(|line| line.split(':').take(2).collect()).collect()
        };
        let on_host = indices(output_of("ip", &["-o", "link"]));
        let inside = indices(output_of("ip", &["-n", "sandbox", "-o", "link"]));
        assert_eq!(on_host, inside, "the test needs equal indices to mean something");
        let Some(Resource::Veth(found)) = lab.find(HOST, &pair.into()) else { panic!() };
        assert_eq!(found.peer, None);
    });
}

#[test]
fn a_taken_name_is_told_in_the_words_of_the_reference() {
    in_lab(|lab| {
        lab.create(HOST, veth("first", "eth0"));
        let error = lab.refuses(HOST, veth("second", "eth0"));
        let text = r#"container veth name ("eth0") peer provided ("second") already exists"#;
        assert_eq!((error.errno, error.reason.as_str()), (libc::EEXIST, text));
        assert_eq!(lab.refuses(HOST, veth("first", "eth1")).reason, "link first: file exists");
    });
}

#[test]
fn a_missing_bridge_is_named() {
    in_lab(|lab| {
        let mut pair = veth("near", "eth0");
        pair.bridge = Some("br9".parse().unwrap());
        assert_eq!(lab.refuses(HOST, pair.clone()).reason, "bridge br9: Link not found");
        assert_eq!(lab.find(HOST, &pair.into()), None);
    });
}

#[test]
fn any_link_can_be_found_and_deleted() {
    in_lab(|lab| {
        output_of("ip", &["link", "add", "vx0", "type", "vxlan", "id", "7", "dstport", "4789"]);
        let any: Resource = AnyLink { name: "vx0".parse().unwrap(), mac: None }.into();
        lab.has(HOST, &any);
        lab.deletes(HOST, any);
    });
}

#[test]
fn bridge_ports_are_set_and_changed() {
    in_lab(|lab| {
        lab.create(HOST, bridge("br0"));
        assert_eq!(lab.find(HOST, &port("near", false, false).into()), None);
        let mut pair = veth("near", "eth0");
        lab.create(HOST, pair.clone());
        assert_eq!(lab.find(HOST, &port("near", false, false).into()), None, "no port");
        lab.delete(HOST, pair.clone());
        pair.bridge = Some("br0".parse().unwrap());
        lab.create(HOST, pair);
        lab.has(HOST, &port("near", false, false).into());
        lab.changes(HOST, port("near", true, false));
        lab.changes(HOST, port("near", false, true));
        lab.changes(HOST, port("near", true, true));
        let shown = output_of("bridge", &["-d", "link", "show", "dev", "near"]);
        assert!(shown.contains("hairpin on") && shown.contains("isolated on"), "{shown}");
        lab.delete(HOST, port("near", true, true));
    });
}

#[test]
fn port_vlans_are_found_as_they_were_set() {
    in_lab(|lab| {
        if !has_vlan_filtering(lab) {
            let mut pair = veth("near", "eth0");
            pair.bridge = Some("br0".parse().unwrap());
            lab.create(HOST, bridge("br0"));
            lab.create(HOST, pair);
            let vlans = PortVlans { untagged: Some(7), ..PortVlans::default() };
            let port = BridgePort { vlans: Some(vlans), ..port("near", false, false) };
            let text = "operation not supported (the kernel has no bridge VLAN filtering)";
            assert_eq!(lab.refuses(HOST, port).reason, text);
            return not_run_here("VLANs of bridge ports need CONFIG_BRIDGE_VLAN_FILTERING");
        }
        let mut filtering = bridge("br0");
        filtering.vlan_filtering = true;
        lab.create(HOST, filtering);
        let range = |first, last| VlanRange { first, last };
        for (number, vlans) in [
            PortVlans { untagged: Some(100), tagged: Vec::new(), keep_default: false },
            PortVlans { untagged: Some(100), tagged: vec![range(200, 210)], keep_default: true },
            PortVlans { untagged: None, tagged: vec![range(2, 4094)], keep_default: true },
            PortVlans {
                untagged: None,
                tagged: vec![range(7, 7), range(9, 12)],
                keep_default: false,
            },
            PortVlans { untagged: Some(1), tagged: Vec::new(), keep_default: false },
        ]
        .into_iter()
        .enumerate()
        {
            let near = format!("near{number}");
            let mut pair = veth(&near, &format!("eth{number}"));
            pair.bridge = Some("br0".parse().unwrap());
            lab.create(HOST, pair);
            lab.creates(HOST, BridgePort { vlans: Some(vlans), ..port(&near, false, false) });
        }
    });
}

#[test]
fn link_attributes_are_set_and_given_back() {
    in_lab(|lab| {
        lab.create(HOST, veth("near", "eth0"));
        let mac = |last: u8| ropewalk_addr::Mac([2, 0, 0, 0, 0, last]);
        for (first, second) in [
            (Attribute::Mac(mac(1)), Attribute::Mac(mac(2))),
            (Attribute::Mtu(1400), Attribute::Mtu(1300)),
            (Attribute::Promiscuous(true), Attribute::Promiscuous(false)),
            (Attribute::AllMulticast(true), Attribute::AllMulticast(false)),
            (Attribute::TxQueueLength(500), Attribute::TxQueueLength(1000)),
            (Attribute::PacketSize(190_000), Attribute::PacketSize(65_000)),
        ] {
            let is_size = matches!(first, Attribute::PacketSize(_));
            if is_size && lab.find(INSIDE, &attribute("eth0", first).into()).is_none() {
                not_run_here("packets of more than 64 KB");
                continue;
            }
            lab.creates(INSIDE, attribute("eth0", first));
            lab.changes(INSIDE, attribute("eth0", second));
            lab.delete(INSIDE, attribute("eth0", second));
            lab.has(INSIDE, &attribute("eth0", second).into());
        }
        lab.obeys_the_law(INSIDE, attribute("eth0", Attribute::Up(true)));
        let nowhere = attribute("eth9", Attribute::Up(true));
        assert_eq!(lab.refuses(INSIDE, nowhere.clone()).reason, "Link not found");
        lab.delete(INSIDE, nowhere);
    });
}

#[test]
fn steps_behind_a_failing_one_in_a_batch_are_reported_as_they_went() {
    in_lab(|lab| {
        lab.create(HOST, veth("near", "eth0"));
        let steps = [
            Step::Create(INSIDE, attribute("eth0", Attribute::Up(true)).into()),
            Step::Create(INSIDE, attribute("eth0", Attribute::Mtu(1)).into()),
            Step::Create(INSIDE, attribute("eth0", Attribute::TxQueueLength(7)).into()),
            Step::Create(HOST, attribute("near", Attribute::Mtu(1400)).into()),
        ];
        let Partial { done, failed, error } = lab.linux.apply(&steps).unwrap_err();
        assert_eq!((done, failed), (vec![0, 2], 1));
        assert_eq!(error.errno, libc::EINVAL);
        assert!(error.reason.starts_with("invalid argument (RTNETLINK: "), "{error}");
        lab.has(INSIDE, &attribute("eth0", Attribute::TxQueueLength(7)).into());
        lab.has(HOST, &attribute("near", Attribute::Mtu(1500)).into());
    });
}

#[test]
fn a_port_is_awaited_and_its_state_is_told() {
    in_lab(|lab| {
        lab.create(HOST, bridge("br0"));
        let mut pair = veth("near", "eth0");
        pair.bridge = Some("br0".parse().unwrap());
        lab.create(HOST, pair);
        let link = || "near".parse().unwrap();
        let error = lab.refuses(HOST, Await::new(link(), Until::LinkUp, 20));
        // Linux 6.1 tells of a pair with one end down that the lower layer is.
        let states =
            ["down", "lower-layer-down"].map(|it| format!("bridge port in error state: {it}"));
        assert!(states.contains(&error.reason), "{error}");
        lab.create(INSIDE, attribute("eth0", Attribute::Up(true)));
        lab.create(HOST, Await::new(link(), Until::LinkUp, 5000));
        lab.create(INSIDE, attribute("eth0", Attribute::Up(false)));
        std::thread::scope(|scope| {
            // A carrier that comes later is noticed by its event.
            let raise = || output_of("ip", &["-n", "sandbox", "link", "set", "eth0", "up"]);
            scope.spawn(raise);
            lab.create(HOST, Await::new(link(), Until::LinkUp, 10_000));
        });
        let missing = Await::new("none".parse().unwrap(), Until::LinkUp, 10);
        assert_eq!(lab.refuses(HOST, missing).reason, "Link not found");
    });
}

#[test]
fn what_is_announced_waits_for_the_port() {
    in_lab(|lab| {
        lab.create(HOST, bridge("br0"));
        let mut pair = veth("near", "eth0");
        pair.bridge = Some("br0".parse().unwrap());
        let near = || "near".parse().unwrap();
        let arrival = |up: bool, deadline_ms| {
            vec![
                Step::Create(HOST, pair.clone().into()),
                Step::Create(INSIDE, attribute("eth0", Attribute::Up(true)).into()),
                Step::Create(HOST, attribute("near", Attribute::Up(up)).into()),
                Step::Create(HOST, Await::new(near(), Until::LinkUp, deadline_ms).into()),
                Step::Create(INSIDE, Announcement { link: "eth0".parse().unwrap() }.into()),
            ]
        };
        let Partial { failed, error, .. } = lab.linux.apply(&arrival(false, 20)).unwrap_err();
        assert_eq!((failed, &*error.reason), (3, "bridge port in error state: down"));
        lab.delete(HOST, pair.clone());
        lab.linux.apply(&arrival(true, 10_000)).unwrap();
    });
}

#[test]
fn links_with_an_owner_are_listed() {
    in_lab(|lab| {
        let mut pair = veth("near", "eth0");
        pair.tag = Some(tag());
        lab.create(HOST, pair.clone());
        lab.create(HOST, veth("other", "eth1"));
        output_of("ip", &["link", "set", "other", "alias", "uplink of the office"]);
        let owned = lab.linux.owned(&Scope::TaggedLinks).unwrap();
        assert_eq!(owned.len(), 1);
        assert!(owned[0].tag.same_owner(&tag()));
        lab.delete(HOST, owned[0].resource.clone());
        assert_eq!(lab.find(HOST, &pair.into()), None);
    });
}

#[test]
fn the_peer_of_a_pair_can_be_told_without_asking_for_its_mac() {
    in_lab(|lab| {
        lab.create(HOST, veth("near", "eth0"));
        let Resource::Veth(found) = lab.has(HOST, &veth("near", "eth0").into()) else { panic!() };
        let Some(VethPeer { place, name, mac: Some(_) }) = found.peer else { panic!() };
        assert_eq!((place, &*name), (INSIDE, "eth0"));
    });
}

#[test]
fn who_leaves_early_finds_the_link_gone_all_the_same() {
    in_lab(|lab| {
        let sandbox = ropewalk_linux::Netns::open(SANDBOX).unwrap();
        lab.linux = Linux::with_sandbox(sandbox).leaving_early();
        lab.create(HOST, bridge("br0"));
        for _ in 0..20 {
            let mut pair = veth("near", "eth0");
            pair.bridge = Some("br0".parse().unwrap());
            lab.obeys_the_law(HOST, pair.clone());
            lab.create(HOST, pair.clone());
            lab.deletes(HOST, pair.clone());
            assert_eq!(lab.find(INSIDE, &attribute("eth0", Attribute::Mtu(1500)).into()), None);
        }
        let mut outward = veth("eth0", "near");
        outward.peer.as_mut().unwrap().place = HOST;
        lab.obeys_the_law(INSIDE, outward);
        let loopback = AnyLink { name: "lo".parse().unwrap(), mac: None }.into();
        let failure = lab.linux.apply(&[Step::Delete(HOST, loopback)]).unwrap_err();
        assert_eq!(failure.error.reason, "operation not supported");
    });
}

#[test]
fn the_child_that_finishes_a_deletion_holds_nothing_open() {
    in_lab(|lab| {
        let (reader, writer) = std::io::pipe().unwrap();
        let clear = rustix::io::FdFlags::empty();
        rustix::io::fcntl_setfd(&writer, clear).unwrap();
        lab.linux = Linux::host_only().leaving_early();
        let mut pair = veth("near", "far");
        pair.peer.as_mut().unwrap().place = HOST;
        lab.create(HOST, pair.clone());
        lab.delete(HOST, pair);
        drop(writer);
        let start = std::time::Instant::now();
        let mut rest = Vec::new();
        std::io::Read::read_to_end(&mut { reader }, &mut rest).unwrap();
        let waited = start.elapsed();
        assert!(waited.as_millis() < 5, "the pipe stayed open for {waited:?}");
    });
}
