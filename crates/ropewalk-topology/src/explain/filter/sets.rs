//! Whether a set has a value, and what a map makes of it.

use alloc::vec::Vec;

use super::super::packet::{Cell, at_least, equal, known};
use crate::model::{Data, Element, Set};

/// `NFT_SET_INTERVAL`.
const INTERVAL: u32 = 4;
/// `NFT_SET_ELEM_INTERVAL_END`.
const INTERVAL_END: u32 = 1;
/// `NFT_SET_ELEM_CATCHALL`.
const CATCH_ALL: u32 = 2;

/// What a set says of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It is there, and a map makes this of it.
    Yes(Option<Data>),
    No,
    /// What is known does not say.
    Unsure,
}

pub(super) fn look_up(set: &Set, value: &[Cell]) -> Found {
    let found = if set.elements.iter().any(|element| element.last.is_some()) {
        ranges(set, value)
    } else if set.flags & INTERVAL != 0 {
        intervals(set, value)
    } else {
        exact(set, value)
    };
    let rest = || set.elements.iter().find(|element| element.flags & CATCH_ALL != 0);
    match (found, rest()) {
        (Found::No, Some(rest)) => Found::Yes(rest.data.clone()),
        (found, _) => found,
    }
}

/// Elements that are keys.
fn keys(set: &Set) -> impl Iterator<Item = &Element> {
    set.elements.iter().filter(|element| element.flags & CATCH_ALL == 0)
}

fn exact(set: &Set, value: &[Cell]) -> Found {
    first_certain(keys(set).map(|element| (equal(value, &element.key), element)))
}

/// The first that is there for certain, unless one that comes before it may be there.
fn first_certain<'a>(answers: impl Iterator<Item = (Option<bool>, &'a Element)>) -> Found {
    let mut may_be = false;
    for (is_there, element) in answers {
        match is_there {
            Some(true) => return Found::Yes(element.data.clone()),
            Some(false) => {}
            None => may_be = true,
        }
    }
    if may_be { Found::Unsure } else { Found::No }
}

/// Keys of several fields, each with a range of its own; fields begin at multiples of four bytes.
/// How long they are is not told, so what is compared are pieces of four bytes, joined where the
/// ends differ: a range of a field of up to four bytes is understood, and single longer values.
fn ranges(set: &Set, value: &[Cell]) -> Found {
    let is_within = |element: &Element| {
        let last = element.last.as_deref().unwrap_or(&element.key);
        let pieces = element.key.chunks(4).zip(last.chunks(4)).enumerate();
        let mut answer = Some(true);
        for (number, (first, last)) in pieces {
            let cells = value.get(number * 4..number * 4 + first.len())?;
            match within(cells, first, last) {
                Some(true) => {}
                Some(false) => return Some(false),
                None => answer = None,
            }
        }
        answer
    };
    first_certain(keys(set).map(|element| (is_within(element), element)))
}

/// Whether a value is between two others, both ends counted.
pub(super) fn within(value: &[Cell], first: &[u8], last: &[u8]) -> Option<bool> {
    let is_above = at_least(value, first);
    let is_beyond = match equal(value, last) {
        Some(true) => Some(false),
        _ => at_least(value, last).and_then(|above| {
            // At least the last, and perhaps the last itself.
            match (above, equal(value, last)) {
                (false, _) => Some(false),
                (true, Some(is_last)) => Some(!is_last),
                (true, None) => None,
            }
        }),
    };
    match (is_above, is_beyond) {
        (Some(false), _) | (_, Some(true)) => Some(false),
        (Some(true), Some(false)) => Some(true),
        _ => None,
    }
}

/// Elements begin an interval, or end the one before; the next begins where one ends.
fn intervals(set: &Set, value: &[Cell]) -> Found {
    let mut sorted: Vec<&Element> = keys(set).collect();
    // Where one ends and another begins, the beginning counts.
    sorted.sort_by(|a, b| {
        let is_start = |element: &Element| element.flags & INTERVAL_END == 0;
        a.key.cmp(&b.key).then(is_start(a).cmp(&is_start(b)))
    });
    let mut current: Option<&Element> = None;
    let mut is_unsure = false;
    for element in sorted {
        match at_least(value, &element.key) {
            Some(true) => current = Some(element),
            Some(false) => break,
            None => {
                is_unsure = true;
                break;
            }
        }
    }
    if is_unsure && known(value).is_none() {
        return Found::Unsure;
    }
    match current {
        Some(element) if element.flags & INTERVAL_END == 0 => Found::Yes(element.data.clone()),
        _ => Found::No,
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::explain::packet::bytes;

    fn set(flags: u32, keys: &[(u8, u32)]) -> Set {
        let element =
            |&(key, flags): &(u8, u32)| Element { key: vec![0, key], flags, ..Element::default() };
        Set {
            name: "s".into(),
            handle: 1,
            flags,
            key_type: 13,
            key_length: 2,
            data_type: None,
            timeout: None,
            elements: keys.iter().map(element).collect(),
        }
    }

    fn has(set: &Set, value: u8) -> bool {
        let cells: Vec<Cell> = bytes(&[0, value]).collect();
        look_up(set, &cells) == Found::Yes(None)
    }

    #[test]
    fn intervals_have_their_first_and_not_the_one_after_their_last() {
        // 10-19 and 20-29, in the odd order in which kernels tell them.
        let set = set(INTERVAL, &[(30, 1), (20, 0), (20, 1), (10, 0), (0, 1)]);
        let inside: Vec<u8> = (0..40).filter(|value| has(&set, *value)).collect();
        assert_eq!(inside, (10..30).collect::<Vec<u8>>());
    }

    #[test]
    fn values_are_found_and_the_rest_is_for_whoever_catches_all() {
        let mut plain = set(0, &[(80, 0)]);
        assert!(has(&plain, 80) && !has(&plain, 81));
        plain.elements.push(Element { flags: CATCH_ALL, ..Element::default() });
        assert!(has(&plain, 81));
    }

    #[test]
    fn a_port_that_the_kernel_chooses_is_none_of_the_low_ones() {
        let chosen = [Cell::Chosen(true), Cell::Chosen(false)];
        assert_eq!(look_up(&set(0, &[(80, 0)]), &chosen), Found::No);
        let mut high = set(0, &[(80, 0)]);
        high.elements[0].key = 40000_u16.to_be_bytes().to_vec();
        assert_eq!(look_up(&high, &chosen), Found::Unsure);
        let everything = set(INTERVAL, &[(0, 0)]);
        assert_eq!(look_up(&everything, &chosen), Found::Yes(None));
    }

    #[test]
    fn ranges_of_several_fields_are_compared_field_by_field() {
        let mut both = set(INTERVAL, &[]);
        both.key_length = 8;
        both.elements.push(Element {
            key: vec![10, 0, 0, 0, 0, 80, 0, 0],
            last: Some(vec![10, 0, 0, 255, 0, 90, 0, 0]),
            ..Element::default()
        });
        let cells =
            |ip: u8, port: u8| -> Vec<Cell> { bytes(&[10, 0, 0, ip, 0, port, 0, 0]).collect() };
        assert_eq!(look_up(&both, &cells(7, 85)), Found::Yes(None));
        assert_eq!(look_up(&both, &cells(7, 79)), Found::No);
        assert_eq!(look_up(&both, &cells(7, 91)), Found::No);
    }
}
