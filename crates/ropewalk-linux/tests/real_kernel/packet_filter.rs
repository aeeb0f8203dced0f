//! nftables: tables, sets, maps, elements of owners.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use ropewalk_linux::Linux;
use ropewalk_netstate::{
    Kernel, Owner, Partial, Resource, Scope, Step, Tag,
    resource::{
        NftElements, NftSet, NftTable,
        nft::{DataType, Datum, ElementData, MapsTo, NftFamily, SetRef, TableRef, Verdict},
    },
};

use crate::support::{HOST, INSIDE, Lab, in_lab_with_nftables, not_run_here, output_of};

pub(crate) fn table() -> TableRef {
    TableRef::new(NftFamily::Inet, "ropewalk")
}

pub(crate) fn set_ref(name: &str) -> SetRef {
    SetRef { table: table(), name: name.into() }
}

pub(crate) fn set(name: &str, key_type: &[DataType], maps_to: MapsTo) -> NftSet {
    NftSet { set: set_ref(name), key_type: key_type.into(), maps_to }
}

pub(crate) fn tag(container: &str) -> Tag {
    let text = |text: &str| text.to_string();
    Owner { network: text("lan"), container: text(container), interface: text("eth0") }.tag()
}

pub(crate) fn ip(text: &str) -> Datum {
    Datum::Ip(text.parse::<IpAddr>().unwrap())
}

fn port_key(port: u16) -> Vec<Datum> {
    vec![Datum::Protocol(6), Datum::Port(port)]
}

fn target(text: &str, port: u16) -> ElementData {
    ElementData::Values(vec![ip(text), Datum::Port(port)])
}

/// A map from protocol and port to address and port, as for port mappings.
pub(crate) fn port_map() -> NftSet {
    let values = MapsTo::Values(vec![DataType::Ip4, DataType::Port]);
    set("ports", &[DataType::Protocol, DataType::Port], values)
}

pub(crate) fn with_table(test: impl FnOnce(&mut Lab) + Send) {
    in_lab_with_nftables(|lab| {
        lab.create(HOST, NftTable { table: table() });
        test(lab);
    });
}

#[test]
fn tables_obey_the_law_in_every_family() {
    in_lab_with_nftables(|lab| {
        for family in [NftFamily::Inet, NftFamily::Ip, NftFamily::Ip6, NftFamily::Bridge] {
            let table = TableRef::new(family, "ropewalk");
            lab.obeys_the_law(HOST, NftTable { table: table.clone() });
            lab.obeys_the_law(INSIDE, NftTable { table: table.clone() });
            lab.create(HOST, NftTable { table: table.clone() });
            lab.create(HOST, NftTable { table });
        }
    });
}

#[test]
fn sets_and_maps_obey_the_law() {
    with_table(|lab| {
        use DataType::{Interface, Ip4, Ip6, Mac, Port, Protocol};
        let one_of_each: [&[DataType]; 8] = [
            &[Ip4],
            &[Ip6],
            &[Mac],
            &[Protocol],
            &[Port],
            &[Interface],
            &[Protocol, Port],
            &[Ip4, Interface, Mac],
        ];
        for (number, key) in one_of_each.into_iter().enumerate() {
            lab.obeys_the_law(HOST, set(&format!("set{number}"), key, MapsTo::Nothing));
            lab.obeys_the_law(HOST, set(&format!("jump{number}"), key, MapsTo::Verdict));
            let values = MapsTo::Values(vec![Ip6, Port]);
            lab.obeys_the_law(HOST, set(&format!("map{number}"), key, values));
        }
    });
}

#[test]
fn the_same_set_again_is_fine_and_another_type_is_a_change() {
    with_table(|lab| {
        let wanted = set("s", &[DataType::Ip4], MapsTo::Nothing);
        lab.creates(HOST, wanted.clone());
        lab.creates(HOST, wanted);
        let other = set("s", &[DataType::Ip6], MapsTo::Nothing);
        assert_eq!(lab.refuses(HOST, other.clone()).errno, libc::EEXIST);
        lab.changes(HOST, other);
    });
}

#[test]
fn a_missing_table_is_not_an_error_to_look_into() {
    in_lab_with_nftables(|lab| {
        let elements = NftElements::new(set_ref("s"), tag("c1"));
        for resource in [
            Resource::from(NftTable { table: table() }),
            set("s", &[DataType::Ip4], MapsTo::Nothing).into(),
            elements.clone().into(),
            elements.with(vec![ip("10.0.0.1")], ElementData::Nothing).into(),
        ] {
            assert_eq!(lab.find(HOST, &resource), None);
            lab.delete(HOST, resource.clone());
        }
        let Partial { error, .. } = lab
            .linux
            .apply(&[Step::Create(HOST, set("s", &[DataType::Ip4], MapsTo::Nothing).into())])
            .unwrap_err();
        assert_eq!(error.errno, libc::ENOENT);
    });
}

#[test]
fn elements_obey_the_law() {
    with_table(|lab| {
        use DataType::{Interface, Ip4, Ip6, Mac, Port, Protocol};
        let mac = Datum::Mac("02:00:00:00:00:01".parse().unwrap());
        let near = || Datum::Interface("near".parse().unwrap());
        let nothing = || ElementData::Nothing;
        let verdict = |verdict| ElementData::Verdict(verdict);
        let values = |types: &[DataType]| MapsTo::Values(types.into());
        let v6 = || vec![ip("fd00::1"), Datum::Port(80)];
        for (number, (types, maps_to, key, data)) in [
            (&[Ip4][..], MapsTo::Nothing, vec![ip("10.0.0.1")], nothing()),
            (&[Ip6], MapsTo::Nothing, vec![ip("fd00::1")], nothing()),
            (&[Interface, Mac], MapsTo::Nothing, vec![near(), mac], nothing()),
            (
                &[Interface, Ip4],
                MapsTo::Verdict,
                vec![near(), ip("10.0.0.1")],
                verdict(Verdict::Accept),
            ),
            (&[Port], MapsTo::Verdict, vec![Datum::Port(80)], verdict(Verdict::Drop)),
            (&[Ip6], MapsTo::Verdict, vec![ip("::1")], verdict(Verdict::Return)),
            (&[Protocol, Port], values(&[Ip4, Port]), port_key(80), target("10.0.0.1", 8080)),
            (&[Protocol, Port], values(&[Ip6, Port]), port_key(80), ElementData::Values(v6())),
            (&[Interface], values(&[Ip4]), vec![near()], ElementData::Values(vec![ip("10.1.1.1")])),
        ]
        .into_iter()
        .enumerate()
        {
            let name = format!("s{number}");
            lab.create(HOST, set(&name, types, maps_to));
            let wanted = NftElements::new(set_ref(&name), tag("c1")).with(key, data);
            lab.obeys_the_law(HOST, wanted.clone());
            lab.create(HOST, wanted.clone());
            let anything = NftElements::new(set_ref(&name), tag("c1"));
            let found = lab.find(HOST, &anything.into()).expect("found by its owner");
            assert_eq!(found, wanted.into());
        }
    });
}

#[test]
fn an_element_may_jump_to_a_chain() {
    with_table(|lab| {
        output_of("nft", &["add", "chain", "inet", "ropewalk", "policy-c1"]);
        lab.create(HOST, set("dispatch", &[DataType::Ip4], MapsTo::Verdict));
        for (last, verdict) in
            [Verdict::Jump("policy-c1".into()), Verdict::Goto("policy-c1".into())]
                .into_iter()
                .enumerate()
        {
            let key = vec![ip(&format!("10.0.0.{last}"))];
            let wanted = NftElements::new(set_ref("dispatch"), tag("c1"));
            lab.obeys_the_law(HOST, wanted.with(key, ElementData::Verdict(verdict)));
        }
    });
}

#[test]
fn owners_leave_each_others_elements_alone() {
    with_table(|lab| {
        lab.create(HOST, port_map());
        let first = NftElements::new(set_ref("ports"), tag("c1"))
            .with(port_key(80), target("10.0.0.1", 80))
            .with(port_key(81), target("10.0.0.1", 81));
        let second = NftElements::new(set_ref("ports"), tag("c2"))
            .with(port_key(90), target("10.0.0.2", 90));
        lab.creates(HOST, first.clone());
        lab.creates(HOST, second.clone());
        let greedy = NftElements::new(set_ref("ports"), tag("c2"))
            .with(port_key(81), target("10.0.0.2", 81))
            .with(port_key(91), target("10.0.0.2", 91));
        let Some(Resource::NftElements(found)) = lab.find(HOST, &greedy.clone().into()) else {
            panic!()
        };
        assert!(found.elements.is_empty());
        assert_eq!(found.taken, [(port_key(81), Some(tag("c1")))]);
        let error = lab.refuses(HOST, greedy.clone());
        assert_eq!(error.errno, libc::EEXIST);
        assert_eq!(error.reason, "tcp.81 is already used by lan/c1/eth0");
        lab.delete(HOST, greedy.clone());
        lab.has(HOST, &first.clone().into());
        lab.has(HOST, &second.clone().into());
        let owned = lab.linux.owned(&Scope::Elements(set_ref("ports"))).unwrap();
        let mut found: Vec<Resource> = owned.into_iter().map(|owned| owned.resource).collect();
        found.sort_by_key(Resource::key);
        let mut expected = [Resource::from(first.clone()), second.clone().into()];
        expected.sort_by_key(Resource::key);
        assert_eq!(found, expected);
        lab.deletes(HOST, NftElements { elements: first.elements.clone(), ..first });
        lab.has(HOST, &second.into());
    });
}

#[test]
fn elements_of_nobody_are_taken_and_can_be_taken_over() {
    with_table(|lab| {
        lab.create(HOST, set("s", &[DataType::Ip4], MapsTo::Nothing));
        output_of("nft", &["add", "element", "inet", "ropewalk", "s", "{ 10.0.0.1 }"]);
        let wanted = NftElements::replacing(set_ref("s"), tag("c1"))
            .with(vec![ip("10.0.0.1")], ElementData::Nothing);
        let Some(Resource::NftElements(found)) = lab.find(HOST, &wanted.clone().into()) else {
            panic!()
        };
        assert_eq!(found.taken, [(vec![ip("10.0.0.1")], None)]);
        let text = "10.0.0.1 is already used in inet ropewalk s";
        assert_eq!(lab.refuses(HOST, wanted.clone()).reason, text);
        let wanted: Resource = wanted.into();
        lab.apply(&[Step::Delete(HOST, wanted.clone()), Step::Create(HOST, wanted.clone())]);
        lab.has(HOST, &wanted);
    });
}

#[test]
fn deleted_elements_are_gone_for_nft_too_a_moment_later() {
    with_table(|lab| {
        lab.create(HOST, port_map());
        let group = NftElements::new(set_ref("ports"), tag("c1"));
        let wanted = group.with(port_key(80), target("10.0.0.1", 80));
        lab.create(HOST, wanted.clone());
        lab.deletes(HOST, wanted);
        let start = Instant::now();
        let is_listed = || output_of("nft", &["list", "ruleset"]).contains("10.0.0.1");
        while is_listed() {
            assert!(start.elapsed() < Duration::from_secs(10), "it does not go away");
        }
    });
}

/// How long it takes to delete elements one by one and to be done with the socket each time.
fn time_of_deletions(lab: &mut Lab, name: &str) -> Duration {
    let element = |last: u8| {
        let group = NftElements::new(set_ref(name), tag("c1"));
        group.with(vec![ip(&format!("10.0.0.{last}"))], ElementData::Nothing)
    };
    (0..20).for_each(|last| lab.create(HOST, element(last)));
    let start = Instant::now();
    for last in 0..20 {
        let step = Step::Delete(HOST, element(last).into());
        ropewalk_linux::Linux::host_only().apply(&[step]).unwrap();
    }
    start.elapsed()
}

#[test]
fn letting_elements_expire_is_much_faster_than_deleting_them() {
    with_table(|lab| {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let mut numbers = release.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
        let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        if version < (6, 12) {
            return not_run_here("elements can be made to expire since Linux 6.12");
        }
        lab.create(HOST, set("fast", &[DataType::Ip4], MapsTo::Nothing));
        output_of("nft", &["add", "set", "inet", "ropewalk", "slow", "{ type ipv4_addr; }"]);
        let (fast, slow) = (time_of_deletions(lab, "fast"), time_of_deletions(lab, "slow"));
        assert!(fast * 2 < slow, "{fast:?} against {slow:?}");
    });
}

#[test]
fn in_sets_without_a_time_to_live_elements_are_deleted() {
    with_table(|lab| {
        output_of("nft", &["add", "set", "inet", "ropewalk", "s", "{ type ipv4_addr; }"]);
        let group = NftElements::new(set_ref("s"), tag("c1"));
        lab.obeys_the_law(HOST, group.with(vec![ip("10.0.0.1")], ElementData::Nothing));
    });
}

#[test]
fn what_has_gone_since_it_was_seen_is_no_error_to_delete() {
    with_table(|lab| {
        output_of("nft", &["add", "set", "inet", "ropewalk", "s", "{ type ipv4_addr; }"]);
        let group = NftElements::new(set_ref("s"), tag("c1"));
        let group = Resource::from(group.with(vec![ip("10.0.0.1")], ElementData::Nothing));
        lab.create(HOST, group.clone());
        let seen = lab.find(HOST, &group).unwrap();
        output_of("nft", &["delete", "element", "inet", "ropewalk", "s", "{ 10.0.0.1 }"]);
        lab.delete(HOST, seen);
    });
}

#[test]
fn a_key_that_another_owner_has_by_now_stays_the_other_ones() {
    with_table(|lab| {
        lab.create(HOST, port_map());
        let of = |container: &str, to: &str| {
            let group = NftElements::new(set_ref("ports"), tag(container));
            Resource::from(group.with(port_key(80), target(to, 80)))
        };
        lab.create(HOST, of("c1", "10.0.0.1"));
        let seen = lab.find(HOST, &of("c1", "10.0.0.1")).unwrap();
        let mut other = Linux::host_only();
        other.apply(&[Step::Delete(HOST, seen.clone())]).unwrap();
        other.apply(&[Step::Create(HOST, of("c2", "10.0.0.2"))]).unwrap();
        lab.delete(HOST, seen);
        let theirs = of("c2", "10.0.0.2");
        assert_eq!(lab.find(HOST, &theirs).unwrap(), theirs);
    });
}

#[test]
fn elements_are_changed_one_by_one() {
    with_table(|lab| {
        lab.create(HOST, port_map());
        let group = || NftElements::new(set_ref("ports"), tag("c1"));
        let before = group()
            .with(port_key(80), target("10.0.0.1", 80))
            .with(port_key(81), target("10.0.0.1", 81));
        lab.create(HOST, before);
        let after = group()
            .with(port_key(80), target("10.0.0.1", 80))
            .with(port_key(81), target("10.0.0.1", 8181));
        lab.changes(HOST, after);
    });
}

#[test]
fn many_elements_fit() {
    with_table(|lab| {
        lab.create(HOST, port_map());
        let mut many = NftElements::new(set_ref("ports"), tag("c1"));
        for port in 1..=5000 {
            many = many.with(port_key(port), target("10.0.0.1", port));
        }
        lab.obeys_the_law(HOST, many.clone());
        lab.create(HOST, many.clone());
        let all = NftElements::new(set_ref("ports"), tag("c1"));
        assert_eq!(lab.find(HOST, &all.into()).unwrap(), many.into());
    });
}

#[test]
fn steps_of_one_transaction_stand_or_fall_together() {
    with_table(|lab| {
        lab.create(HOST, port_map());
        let element = |container: &str, port: u16| -> Resource {
            let group = NftElements::new(set_ref("ports"), tag(container));
            group.with(port_key(port), target("10.0.0.1", port)).into()
        };
        lab.create(HOST, element("c1", 80));
        let steps = [
            Step::Create(HOST, element("c2", 79)),
            Step::Create(HOST, element("c2", 80)),
            Step::Create(HOST, element("c2", 81)),
        ];
        let Partial { done, failed, error } = lab.linux.apply(&steps).unwrap_err();
        assert_eq!((done, failed), (Vec::new(), 1));
        assert_eq!(error.reason, "tcp.80 is already used by lan/c1/eth0");
        assert_eq!(lab.find(HOST, &element("c2", 79)), None);
    });
}

#[test]
fn of_two_owners_that_race_for_a_key_one_wins() {
    with_table(|lab| {
        lab.create(HOST, port_map());
        let wins: usize = std::thread::scope(|scope| {
            let race = |container: String| {
                let mut linux = ropewalk_linux::Linux::host_only();
                let group = NftElements::new(set_ref("ports"), tag(&container));
                let wanted = group.with(port_key(80), target("10.0.0.1", 80));
                let result = linux.apply(&[Step::Create(HOST, wanted.into())]);
                result.is_ok()
            };
            let racers: Vec<_> =
                (0..8).map(|n| scope.spawn(move || race(format!("c{n}")))).collect();
            racers.into_iter().map(|racer| usize::from(racer.join().unwrap())).sum()
        });
        assert_eq!(wins, 1);
    });
}

/// A set grows while elements are put in, and goes on growing for a moment.
#[test]
fn elements_are_all_found_while_the_kernel_moves_them() {
    with_table(|lab| {
        let missing = (0..50).map(|round| {
            let name = format!("set{round}");
            lab.create(HOST, set(&name, &[DataType::Port], MapsTo::Nothing));
            let group = || NftElements::new(set_ref(&name), tag("c1"));
            let add =
                |many: NftElements, port| many.with(vec![Datum::Port(port)], ElementData::Nothing);
            lab.create(HOST, (1..=3000).fold(group(), add));
            match lab.find(HOST, &group().into()) {
                Some(Resource::NftElements(found)) => 3000 - found.elements.len(),
                other => panic!("{other:?}"),
            }
        });
        assert_eq!(missing.sum::<usize>(), 0);
    });
}
