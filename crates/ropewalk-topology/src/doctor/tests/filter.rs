//! Chains that accept what containers send by what is in a set, and tables that nobody asks.

use alloc::vec;

use super::*;
use crate::model::Element;

/// `NFT_SET_INTERVAL`, `NFT_SET_ELEM_INTERVAL_END`, `NFT_SET_ELEM_CATCHALL`, `NFT_TABLE_F_DORMANT`.
const INTERVAL: u32 = 4;
const END: u32 = 1;
const CATCH_ALL: u32 = 2;
const DORMANT: u32 = 1;

/// Whether something is found if the host accepts the sources in a set.
fn is_accused(flags: u32, elements: &[(&[u8], u32)]) -> bool {
    let lookup = vec![
        Expression::Payload { base: 1, offset: 12, length: 4, into: 1 },
        Expression::Lookup { set: "names".into(), from: 1, into: None, is_inverted: false },
        verdict(Verdict::Accept),
    ];
    let mut table = strict(vec![rule(1, lookup)]);
    table.sets[0].flags = flags;
    let element =
        |&(key, flags): &(&[u8], u32)| Element { key: key.to_vec(), flags, ..Element::default() };
    table.sets[0].elements = elements.iter().map(element).collect();
    is_found(table)
}

fn is_found(table: Table) -> bool {
    let (mut host, papers) = healthy();
    own(&mut host).filter.tables.push(table);
    names(&host, &papers).contains(&"forward-dropped")
}

#[test]
fn the_second_of_two_adjacent_intervals_is_in_the_set() {
    let (first, second, end): (&[u8], &[u8], &[u8]) =
        (&[10, 0, 0, 0], &[10, 1, 0, 0], &[10, 2, 0, 0]);
    let zero: &[u8] = &[0; 4];
    // In the order in which kernels tell them, and in the other one.
    let mut all = [(end, END), (second, 0), (second, END), (first, 0), (zero, END)];
    assert!(!is_accused(INTERVAL, &all));
    all.reverse();
    assert!(!is_accused(INTERVAL, &all));
    assert!(is_accused(INTERVAL, &[(second, END), (first, 0), (zero, END)]), "the first alone");
}

#[test]
fn what_catches_all_catches_containers() {
    assert!(is_accused(0, &[]));
    assert!(!is_accused(0, &[(&[], CATCH_ALL)]));
}

#[test]
fn tables_that_are_dormant_drop_nothing() {
    assert!(is_found(strict(vec![])));
    assert!(!is_found(Table { flags: DORMANT, ..strict(vec![]) }));
}

fn payload(base: u32, offset: u32, value: &[u8]) -> Vec<Expression> {
    let length = u32::try_from(value.len()).expect("a few");
    vec![
        Expression::Payload { base, offset, length, into: 1 },
        Expression::Compare { register: 1, comparison: Comparison::Equal, value: value.to_vec() },
    ]
}

fn meta(key: u32, value: &[u8]) -> Vec<Expression> {
    vec![
        Expression::Meta { key, into: 1 },
        Expression::Compare { register: 1, comparison: Comparison::Equal, value: value.to_vec() },
    ]
}

fn connection(key: u32) -> Vec<Expression> {
    vec![
        Expression::Connection { key, direction: None, into: 1 },
        Expression::Compare { register: 1, comparison: Comparison::Equal, value: vec![6] },
    ]
}

fn matching(name: &str, revision: u32, info: Vec<u8>) -> Vec<Expression> {
    vec![Expression::Match { name: name.into(), revision, info }]
}

#[test]
fn what_is_not_known_of_connections_may_be_what_a_rule_accepts() {
    let in_names = |is_inverted| {
        vec![
            Expression::Payload { base: 1, offset: 16, length: 4, into: 1 },
            Expression::Lookup { set: "names".into(), from: 1, into: None, is_inverted },
        ]
    };
    let to_local = vec![
        Expression::Fib { result: 3, flags: 2, into: 1 },
        Expression::Compare { register: 1, comparison: Comparison::Equal, value: vec![2, 0, 0, 0] },
    ];
    let destination = matching("iprange", 1, {
        let mut info = vec![0; 65];
        info[64] = 2;
        info
    });
    let cases: [(&str, Vec<Expression>); 13] = [
        ("the destination", payload(1, 16, &[192, 0, 2, 7])),
        ("destinations in a set", in_names(false)),
        ("destinations not in a set", in_names(true)),
        ("the protocol", meta(16, &[6])),
        ("the protocol in the header", payload(1, 9, &[17])),
        ("the port", payload(2, 2, &[0, 80])),
        ("the frame", payload(0, 0, &[2, 0, 0, 0, 0, 1])),
        ("the way", meta(7, b"enp9")),
        ("the mark", meta(3, &[1, 0, 0, 0])),
        ("the connection's mark", connection(3)),
        ("the connection's protocol", connection(10)),
        ("whether it is for the host", to_local),
        ("destinations of iptables", destination),
    ];
    for (what, condition) in cases {
        let rule = |last| rule(1, [condition.clone(), vec![verdict(last)]].concat());
        assert!(!is_found(strict(vec![rule(Verdict::Accept)])), "{what}");
        assert!(is_found(strict(vec![rule(Verdict::Drop)])), "{what}");
    }
}

#[test]
fn marks_that_rules_set_end_nothing() {
    let set = vec![
        Expression::Meta { key: 3, into: 1 },
        Expression::Bitwise { from: 1, into: 1, mask: vec![0xfe, 255, 255, 255], xor: vec![1; 4] },
        Expression::SetMeta { key: 3, from: 1 },
    ];
    assert!(is_found(strict(vec![rule(1, set.clone())])));
    let accept = rule(2, [meta(3, &[1, 0, 0, 0]), vec![verdict(Verdict::Accept)]].concat());
    assert!(!is_found(strict(vec![rule(1, set), accept])));
}

#[test]
fn any_number_of_rules_that_may_drop_accept_nothing() {
    let maybe = |handle| rule(handle, [meta(16, &[6]), vec![verdict(Verdict::Drop)]].concat());
    assert!(is_found(strict((1..=40).map(maybe).collect())));
}
