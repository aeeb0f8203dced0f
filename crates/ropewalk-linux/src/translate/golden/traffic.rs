//! Messages of traffic control and of offloads. Those that the reference plugin sends as well are
//! as it sends them, but for marks on nests.

use ropewalk_netstate::resource::{
    Offload, Offloads, Qdisc, TrafficClass, TrafficFilter,
    traffic::{Discipline, Hook, Rate, Selector, Verdict},
};

use super::check;
use crate::{
    netlink::{Message, Reply},
    translate::{offload, traffic},
};

fn bucket() -> Qdisc {
    let rate = Rate { bytes_per_second: 1_000_000, burst_bytes: 100_000 };
    let discipline = Discipline::TokenBucket { rate, limit_bytes: 125_000 };
    Qdisc::root("near".parse().unwrap(), discipline)
}

fn class() -> TrafficClass {
    let rate = Rate { bytes_per_second: 0x1_0000_0000, burst_bytes: 100_000_000 };
    TrafficClass { link: "near".parse().unwrap(), number: 0x30, rate }
}

fn filter(hook: Hook, selector: Selector, verdict: Verdict) -> TrafficFilter {
    TrafficFilter { link: "near".parse().unwrap(), hook, priority: 1, selector, verdict }
}

fn detour() -> TrafficFilter {
    filter(Hook::Ingress, Selector::All, Verdict::Redirect("ifb".parse().unwrap()))
}

fn toward_subnet() -> TrafficFilter {
    filter(Hook::Root, Selector::To("fd00:1::/36".parse().unwrap()), Verdict::Class(0x30))
}

fn offloads() -> Offloads {
    let tso = ("tx-tcp-segmentation".to_owned(), Offload { on: true, optional: false });
    Offloads { link: "near".parse().unwrap(), offloads: [tso].into() }
}

/// Messages that look like answers.
pub(super) fn samples() -> Vec<Message> {
    let mut samples = vec![
        traffic::set_class(&class(), 7),
        offload::set(21, 7, &[("rx-gro", true), ("rx-lro", false)].into()),
    ];
    samples.extend(traffic::create_qdisc(&bucket(), 7));
    samples.extend(traffic::create_filter(&detour(), 7, 3));
    samples.extend(traffic::create_filter(&toward_subnet(), 7, 0));
    samples
}

/// Gives an answer to every reader there is.
pub(super) fn read_all(reply: &Reply<'_>) {
    let _ = traffic::read_qdisc(reply, &bucket());
    let _ = traffic::read_class(reply, &class());
    let _ = traffic::read_filter(reply, &detour(), Some(3));
    let _ = traffic::read_filter(reply, &toward_subnet(), None);
    let _ = offload::read_family(reply);
    let _ = offload::read(reply).map(|states| offload::found(&offloads(), &states));
}

#[test]
fn a_bucket_is_told_in_time_and_bytes() {
    let expected = r#"    000000000700000000000100ffffffff00000000
    1 "tbf"
    2
      1 000000000000000040420f0000000000000000000000000048e8010084d7170000000000"#;
    check(&traffic::create_qdisc(&bucket(), 7).unwrap(), 20, expected);
    // A burst of a microsecond is told in bytes, a rate beyond 32 bits on its own.
    let rate = Rate { bytes_per_second: 0x2_0000_0000, burst_bytes: 9000 };
    let discipline = Discipline::TokenBucket { rate, limit_bytes: 9001 };
    let fast = Qdisc { discipline, ..bucket() };
    let expected = r#"    000000000700000000000100ffffffff00000000
    1 "tbf"
    2
      1 0000000000000000ffffffff000000000000000000000000292300001000000000000000
      6 28230000
      4 0000000002000000"#;
    check(&traffic::create_qdisc(&fast, 7).unwrap(), 20, expected);
}

#[test]
fn hooks_and_classes_are_disciplines_too() {
    let ingress = Qdisc::ingress("near".parse().unwrap());
    let expected = r#"    00000000070000000000fffff1ffffff00000000
    1 "ingress""#;
    check(&traffic::create_qdisc(&ingress, 7).unwrap(), 20, expected);
    let classes = Qdisc { discipline: Discipline::Classes { default_class: 0x30 }, ..bucket() };
    let expected = r#"    000000000700000000000100ffffffff00000000
    1 "htb"
    2
      2 030000000a000000300000000000000000000000
      5 e8030000"#;
    check(&traffic::create_qdisc(&classes, 7).unwrap(), 20, expected);
    let expected = r#"    0000000007000000300001000000010000000000
    1 "htb"
    2
      1 0001000000000000ffffffff0001000000000000ffffffff158d0500158d0500400d03000000000000000000
      6 0000000001000000
      7 0000000001000000"#;
    check(&traffic::set_class(&class(), 7), 20, expected);
}

#[test]
fn filters_tell_what_to_compare_and_what_to_do() {
    let expected = r#"    0000000007000000000000000000ffff00030100
    1 "u32"
    2
      5 0100010000000000000000000000000000000000000000000000000000000000
      7
        1
          1 "mirred"
          2
            2 00000000000000000400000000000000000000000100000003000000"#;
    check(&traffic::create_filter(&detour(), 7, 3).unwrap(), 20, expected);
    let expected = r#"    0000000007000000000000000000010086dd0100
    1 "u32"
    2
      5 01000200000000000000000000000000fffffffffd0000011800000000000000f0000000000000001c00000000000000
      1 30000100"#;
    check(&traffic::create_filter(&toward_subnet(), 7, 0).unwrap(), 20, expected);
}

#[test]
fn offloads_are_set_by_name() {
    let expected = r#"    0c010000
    1
      1 07000000
    3
      3
        1
          2 "rx-gro"
          3 
        1
          2 "rx-lro""#;
    let changes = [("rx-gro", true), ("rx-lro", false)].into();
    check(&offload::set(21, 7, &changes), 4, expected);
}
