//! What an operator changes, by configuration and by command: nobody's address moves, and every
//! address that is free can be had.

use std::collections::BTreeSet;

use super::*;

/// Every address that anybody may have of these pools.
fn addresses(pools: &[&Pool]) -> BTreeSet<IpAddr> {
    let of = |pool: &&Pool| {
        let fresh = |next: Option<IpAddr>| next.and_then(|next| pool.fresh(next, pool.end));
        let next = |ip: &IpAddr| fresh(crate::pool::behind(*ip, pool.end));
        std::iter::successors(fresh(Some(pool.start)), next).collect::<Vec<_>>()
    };
    pools.iter().flat_map(of).collect()
}

fn held(books: &mut Books) -> BTreeMap<IpAddr, String> {
    let mut held = BTreeMap::new();
    let filter = Filter { is_held: true, ..Filter::default() };
    books.ledger.leases(&filter, |one| drop(held.insert(one.ip, one.holder.container))).unwrap();
    held
}

/// Claims `most` addresses, or as many as there are.
fn fill(books: &mut Books, pools: &[&Pool], who: &str, most: usize) {
    for number in 0..most {
        match books.claim(&wish(&format!("{who}{number}"), pools)) {
            Ok(_) => {}
            Err(trouble) if trouble.kind == Kind::Exhausted => return,
            Err(trouble) => panic!("{trouble}"),
        }
    }
}

/// Gives back every second address that is held.
fn release_half(books: &mut Books) {
    for container in held(books).into_values().step_by(2) {
        assert_eq!(books.release(&container, AT_ONCE), 1);
    }
}

/// After a change: who has an address keeps it, all others can be had, and again when some are
/// given back.
fn all_can_be_had(books: &mut Books, pools: &[&Pool], what: &str) {
    let all = addresses(pools);
    for round in ["first", "second"] {
        let before = held(books);
        fill(books, pools, &format!("{what} {round} "), all.len() + 1);
        let after = held(books);
        assert!(before.iter().all(|(ip, who)| after.get(ip) == Some(who)), "{what} {round}");
        let missing: Vec<_> = all.iter().filter(|ip| !after.contains_key(ip)).collect();
        assert!(missing.is_empty(), "{what} {round}: {missing:?}");
        release_half(books);
    }
}

fn in_blocks(pool: &Pool, prefix: u8) -> Pool {
    Pool { blocks: Some(Blocks { prefix, most: 99, borrow: false }), ..pool.clone() }
}

/// Blocks of which other hosts may take addresses.
fn lending(pool: &Pool, prefix: u8) -> Pool {
    Pool { blocks: Some(Blocks { prefix, most: 99, borrow: true }), ..pool.clone() }
}

fn renamed(pool: &Pool, name: &str) -> Pool {
    Pool { name: name.to_owned(), ..pool.clone() }
}

/// Pools that follow each other in the configuration, with few, half and all addresses given.
fn in_turn(turns: &[&[&Pool]]) {
    for share in [3, 30, 99] {
        let mut books = Books::new();
        fill(&mut books, turns[0], "c", share);
        release_half(&mut books);
        for (number, pools) in turns.iter().enumerate().skip(1) {
            all_can_be_had(&mut books, pools, &format!("{share} change {number}"));
        }
    }
}

#[test]
fn blocks_become_smaller_or_larger() {
    let pool = pool("10.0.0.0/26");
    let [small, middle, large] = [30, 29, 27].map(|prefix| in_blocks(&pool, prefix));
    in_turn(&[&[&middle], &[&small], &[&large], &[&middle]]);
}

#[test]
fn blocks_come_and_go() {
    let whole = pool("10.0.0.0/26");
    let blocks = in_blocks(&whole, 28);
    in_turn(&[&[&blocks], &[&whole], &[&blocks]]);
    in_turn(&[&[&whole], &[&blocks], &[&whole]]);
}

#[test]
fn pools_are_renamed_and_named_again_as_they_were() {
    let one = pool("10.0.0.0/26");
    for one in [in_blocks(&one, 28), one] {
        let other = renamed(&one, "other");
        in_turn(&[&[&one], &[&other], &[&one], &[&other]]);
    }
}

#[test]
fn a_range_moves_from_one_pool_to_another_and_back() {
    let [mut low, mut high] = ["low", "high"].map(|name| renamed(&pool("10.0.0.0/26"), name));
    (low.end, high.start) = (ip("10.0.0.15"), ip("10.0.0.16"));
    let (mut less, mut more) = (low.clone(), high.clone());
    (less.end, more.start) = (ip("10.0.0.7"), ip("10.0.0.8"));
    in_turn(&[&[&low, &high], &[&less, &more], &[&low, &high]]);
    let [low, high, less, more] = [low, high, less, more].map(|pool| in_blocks(&pool, 29));
    in_turn(&[&[&low, &high], &[&less, &more], &[&low, &high]]);
    in_turn(&[&[&low, &high], &[&more, &less], &[&high, &low]]);
}

#[test]
fn a_reservation_ends_that_was_passed_over() {
    let whole = pool("10.0.0.0/28");
    for pool in [in_blocks(&whole, 30), whole] {
        let mut books = Books::new();
        for text in ["10.0.0.3", "10.0.0.9"] {
            assert!(books.ledger.reserve("lan", ip(text), None, 100).unwrap());
        }
        fill(&mut books, &[&pool], "c", 3);
        assert_eq!(held(&mut books).len(), 3);
        for text in ["10.0.0.3", "10.0.0.9"] {
            assert!(books.ledger.free("lan", ip(text), AT_ONCE).unwrap());
        }
        all_can_be_had(&mut books, &[&pool], "released");
    }
}

#[test]
fn leases_are_imported_before_and_behind_the_cursor() {
    let whole = pool("10.0.0.0/28");
    for pool in [in_blocks(&whole, 30), whole] {
        let mut books = Books::new();
        fill(&mut books, &[&pool], "c", 3);
        books.release("c1", AT_ONCE);
        let lease = |text: &str| foreign(text, ip(text), &pool.name);
        let imported = ["10.0.0.3", "10.0.0.5", "10.0.0.12"];
        books.ledger.import(&imported.map(lease)).unwrap();
        let lasting = held(&mut books).into_values().filter(|who| who.starts_with("10.")).count();
        fill(&mut books, &[&pool], "d", 99);
        for text in &imported[..lasting] {
            books.release(text, AT_ONCE);
        }
        all_can_be_had(&mut books, &[&pool], "imported");
    }
}

#[test]
fn hosts_are_told_of_a_change_one_after_the_other() {
    let whole = pool("10.0.0.0/26");
    let changes = [
        (whole.clone(), renamed(&whole, "other")),
        (whole.clone(), lending(&whole, 28)),
        (lending(&whole, 28), lending(&whole, 29)),
        (lending(&whole, 28), renamed(&lending(&whole, 29), "other")),
    ];
    for (old, new) in &changes {
        let mut books = Books::new();
        for number in 0..60 {
            let pool = if number % 3 == 0 { new } else { old };
            let host = if number % 3 == 0 { "h2" } else { "h1" }.to_owned();
            let claim = Claim { host, ..wish(&format!("c{number}"), &[pool]) };
            books.claim(&claim).unwrap();
            if number % 20 == 19 {
                release_half(&mut books);
            }
        }
        all_can_be_had(&mut books, &[new], &format!("{} {}", old.shape(), new.shape()));
    }
}

#[test]
fn a_name_finds_what_is_kept_for_it_under_another_name_of_the_pool() {
    let mut books = Books::new();
    let one = pool("10.0.0.0/28");
    let other = renamed(&one, "other");
    fill(&mut books, &[&one], "c", 3);
    let named = |container, pool| Claim {
        name: Some("web-0".to_owned()),
        is_kept: true,
        ..wish(container, &[pool])
    };
    assert_eq!(books.claim(&named("w1", &one)).unwrap(), "10.0.0.5");
    books.release("w1", SLOWLY);
    fill(&mut books, &[&other], "d", 99);
    assert_eq!(books.claim(&named("w2", &other)).unwrap(), "10.0.0.5");
    books.release("w2", SLOWLY);
    let late = Claim { now: 700, ..wish("late", &[&other]) };
    assert_eq!(books.claim(&late).unwrap(), "10.0.0.5");
}
