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
