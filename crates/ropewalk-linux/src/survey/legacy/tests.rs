//! Tables as Linux 6.18 (x86-64) gives them; and every reader fed with broken ones.

use std::fmt::Write as _;

use ropewalk_topology::{
    model::{Expression, FilterFamily, Table},
    xtables::{Action, Condition},
};

use super::block::{Block, HOOKS};

/// A block behind what the kernel tells of it.
fn block(bytes: &[u8]) -> Option<Block> {
    let number = |at: usize| Some(u32::from_ne_bytes(bytes.get(4 * at..)?.first_chunk().copied()?));
    let numbers = |first: usize| {
        let mut all = [0; HOOKS];
        for (at, one) in all.iter_mut().enumerate() {
            *one = number(first + at)?;
        }
        Some(all)
    };
    let rest = bytes.get(4 * (1 + 2 * HOOKS)..)?.to_vec();
    Some(Block { hooks: number(0)?, starts: numbers(1)?, policies: numbers(6)?, bytes: rest })
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn words(family: FilterFamily, step: &Expression) -> Option<String> {
    match step {
        Expression::Match { name, revision, info } => {
            Condition::read(family, name, *revision, info).map(|one| one.to_string())
        }
        Expression::Target { name, revision, info } => {
            Action::read(family, name, *revision, info).map(|one| one.to_string())
        }
        _ => None,
    }
}

/// Chains with the number of steps of each rule, and what extensions mean.
fn outline(table: &Table) -> String {
    let mut text = String::new();
    for chain in &table.chains {
        let base = chain.base.as_ref().map(|base| (base.hook, base.priority, base.accepts));
        let _ = writeln!(text, "{} {base:?}", chain.name);
        for rule in &chain.rules {
            let steps = rule.expressions.iter();
            let words: Vec<String> =
                steps.clone().filter_map(|step| words(table.family, step)).collect();
            let _ = writeln!(text, "  {} {} {}", rule.handle, steps.len(), words.join(" "));
        }
    }
    text
}

#[test]
fn chains_are_found_with_their_policies_and_without_what_iptables_adds() {
    let bytes = unhex(include_str!("../../../../../fuzz/corpus/xtables/ip-filter.hex"));
    let table = block(&bytes).unwrap().table(FilterFamily::Ip, "filter").unwrap();
    let expected = "\
INPUT Some((1, 0, true))
  1 12 --dport 80:81 --tcp-flags SYN,ACK SYN
  2 7 ! --sport 53
  3 3 
FORWARD Some((2, 0, false))
OUTPUT Some((3, 0, true))
EMPTY None
MINE None
  1 3 --ctstate RELATED,ESTABLISHED
  2 5 
  3 4 --reject-with tcp-reset
";
    assert_eq!(outline(&table), expected);
    let bytes = unhex(include_str!("../../../../../fuzz/corpus/xtables/ip6-filter.hex"));
    let table = block(&bytes).unwrap().table(FilterFamily::Ip6, "filter").unwrap();
    let expected = "\
INPUT Some((1, 0, true))
  1 8 --icmpv6-type 135 --log-prefix \"six \"
FORWARD Some((2, 0, true))
OUTPUT Some((3, 0, true))
";
    assert_eq!(outline(&table), expected);
}

#[test]
fn fuzz_xtables() {
    ropewalk_testkit::fuzz("xtables", |bytes| {
        let Some(block) = block(bytes) else { return };
        for family in [FilterFamily::Ip, FilterFamily::Ip6] {
            if let Some(table) = block.table(family, "filter") {
                outline(&table);
            }
        }
    });
}
