//! Traffic control: disciplines, classes, filters.

use ropewalk_netstate::resource::{
    Qdisc, TrafficClass, TrafficFilter,
    traffic::{Discipline, Hook, Rate, Selector, Verdict},
};

use crate::support::{HOST, INSIDE, Lab, in_lab, output_of, veth};

fn rate(bytes_per_second: u64, burst_bytes: u32) -> Rate {
    Rate { bytes_per_second, burst_bytes }
}

fn limited(link: &str, rate: Rate) -> Qdisc {
    let limit_bytes = rate.burst_bytes.saturating_add(1000);
    Qdisc::root(link.parse().unwrap(), Discipline::TokenBucket { rate, limit_bytes })
}

fn classes(link: &str, default_class: u16) -> Qdisc {
    Qdisc::root(link.parse().unwrap(), Discipline::Classes { default_class })
}

fn class(link: &str, number: u16, rate: Rate) -> TrafficClass {
    TrafficClass { link: link.parse().unwrap(), number, rate }
}

fn filter(link: &str, priority: u16, selector: Selector, verdict: Verdict) -> TrafficFilter {
    let link = link.parse().unwrap();
    TrafficFilter { link, hook: Hook::Root, priority, selector, verdict }
}

fn pairs(lab: &mut Lab) {
    lab.create(HOST, veth("near", "eth0"));
    lab.create(HOST, veth("other", "eth1"));
}

/// From a byte a second to rates that need 64 bits, with bursts that take longer than the kernel's
/// clock can tell.
const RATES: [(u64, u32); 9] = [
    (1, 1_600),
    (10, 4_294_967_294),
    (125, 2_000),
    (1_000_000, 100_000),
    (1_234_567, 7_654_321),
    (12_345_678, 1_515),
    (4_294_967_295, 4_000_000),
    (4_294_967_296, 4_000_000),
    (12_500_000_000, 4_294_967_294),
];

#[test]
fn disciplines_obey_the_law() {
    in_lab(|lab| {
        pairs(lab);
        for (bytes_per_second, burst) in RATES {
            lab.obeys_the_law(HOST, limited("near", rate(bytes_per_second, burst)));
        }
        for link in ["near", "other"] {
            lab.obeys_the_law(HOST, Qdisc::ingress(link.parse().unwrap()));
            lab.obeys_the_law(HOST, classes(link, 0));
            lab.obeys_the_law(HOST, classes(link, 0x30));
        }
        lab.obeys_the_law(INSIDE, limited("eth0", rate(1_000_000, 100_000)));
        lab.obeys_the_law(INSIDE, Qdisc::ingress("eth0".parse().unwrap()));
    });
}

#[test]
fn tc_shows_what_was_meant() {
    in_lab(|lab| {
        lab.create(HOST, veth("near", "eth0"));
        lab.create(HOST, limited("near", rate(1_000_000, 100_000)));
        let shown = output_of("tc", &["qdisc", "show", "dev", "near"]);
        assert!(shown.contains("qdisc tbf 1: root refcnt"), "{shown}");
        assert!(shown.contains("rate 8Mbit burst 100000b"), "{shown}");
    });
}

#[test]
fn what_the_kernel_chose_is_no_discipline_and_what_others_made_is_another() {
    in_lab(|lab| {
        pairs(lab);
        let wanted = limited("near", rate(1_000_000, 100_000));
        assert_eq!(lab.find(HOST, &wanted.clone().into()), None);
        output_of("tc", &["qdisc", "add", "dev", "near", "root", "handle", "7:", "pfifo"]);
        let found = lab.find(HOST, &wanted.clone().into());
        let discipline = Discipline::Other("pfifo".into());
        let other = Qdisc { discipline, ..wanted.clone() };
        assert_eq!(found, Some(other.clone().into()));
        assert_eq!(lab.refuses(HOST, wanted.clone()).errno, libc::EEXIST);
        lab.delete(HOST, other.clone());
        lab.has(HOST, &other.into());
        output_of("tc", &["qdisc", "del", "dev", "near", "root"]);
        lab.create(HOST, wanted);
        lab.changes(HOST, limited("near", rate(2_000_000, 100_000)));
        lab.changes(HOST, classes("near", 1));
        let nowhere = limited("nowhere", rate(1, 2000));
        assert_eq!(lab.find(HOST, &nowhere.clone().into()), None);
        lab.deletes(HOST, nowhere);
    });
}

#[test]
fn classes_obey_the_law() {
    in_lab(|lab| {
        pairs(lab);
        lab.create(HOST, classes("near", 0x30));
        for (bytes_per_second, burst) in RATES {
            lab.obeys_the_law(HOST, class("near", 0x30, rate(bytes_per_second, burst)));
        }
        lab.create(HOST, class("near", 0x30, rate(1_000_000, 100_000)));
        lab.obeys_the_law(HOST, class("near", 1, rate(5_000_000_000, 100_000)));
        lab.changes(HOST, class("near", 0x30, rate(3_000_000, 100_000)));
        lab.changes(HOST, class("near", 0x30, rate(3_000_000, 50_000)));
        let shown = output_of("tc", &["class", "show", "dev", "near"]);
        assert!(shown.contains("class htb 1:30 root"), "{shown}");
        assert!(shown.contains("rate 24Mbit ceil 24Mbit"), "{shown}");
    });
}

#[test]
fn filters_obey_the_law() {
    in_lab(|lab| {
        pairs(lab);
        lab.create(HOST, classes("near", 0x30));
        lab.create(HOST, class("near", 0x30, rate(1_000_000, 100_000)));
        let subnets = [
            "10.1.0.0/16",
            "192.0.2.0/25",
            "192.0.2.1/32",
            "0.0.0.0/0",
            "fd00:1:2::/48",
            "fd00:1:2:3::/77",
            "fd00::1/128",
            "::/0",
        ];
        for (subnet, priority) in subnets.iter().zip(1..) {
            let subnet = subnet.parse().unwrap();
            for selector in [Selector::From(subnet), Selector::To(subnet)] {
                for class in [0, 0x30] {
                    let filter = filter("near", priority, selector, Verdict::Class(class));
                    lab.obeys_the_law(HOST, filter.clone());
                }
            }
            lab.create(HOST, filter("near", priority, Selector::To(subnet), Verdict::Class(0)));
        }
        for (subnet, priority) in subnets.iter().zip(1..) {
            let subnet = subnet.parse().unwrap();
            let there = filter("near", priority, Selector::To(subnet), Verdict::Class(0));
            lab.has(HOST, &there.into());
            let other = filter("near", priority, Selector::From(subnet), Verdict::Class(0x30));
            lab.changes(HOST, other);
        }
    });
}

#[test]
fn redirections_obey_the_law_and_tell_where_they_lead() {
    in_lab(|lab| {
        pairs(lab);
        let verdict = Verdict::Redirect("other".parse().unwrap());
        let wanted = TrafficFilter {
            hook: Hook::Ingress,
            ..filter("near", 1, Selector::All, verdict.clone())
        };
        assert_eq!(lab.find(HOST, &wanted.clone().into()), None, "there is no discipline");
        lab.create(HOST, Qdisc::ingress("near".parse().unwrap()));
        lab.obeys_the_law(HOST, wanted.clone());
        lab.create(HOST, wanted.clone());
        let elsewhere = Verdict::Redirect("lo".parse().unwrap());
        let elsewhere = TrafficFilter { verdict: elsewhere, ..wanted.clone() };
        let found = lab.find(HOST, &elsewhere.clone().into());
        let other = TrafficFilter { verdict: Verdict::Other, ..wanted.clone() };
        assert_eq!(found, Some(other.into()));
        lab.changes(HOST, elsewhere);
        lab.changes(HOST, wanted);
        let shown = output_of("tc", &["filter", "show", "dev", "near", "ingress"]);
        assert!(shown.contains("mirred (Egress Redirect to device other) stolen"), "{shown}");
    });
}
