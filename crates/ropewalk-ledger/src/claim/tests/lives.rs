//! Random lives of pools: hosts claim and release, names come back, pools change, time passes. What
//! must hold afterwards is asked of the table, not of the code that wrote it.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn is_one_in(&mut self, sides: usize) -> bool {
        self.below(sides) == 0
    }
}

/// The pools of one life.
fn pools(dice: &mut Dice) -> Vec<Pool> {
    let subnets = [["10.0.0.0/27", "10.0.1.0/28"], ["fd00::/123", "fd00:1::/124"]];
    let mut pools: Vec<Pool> = subnets[dice.below(2)].iter().map(|subnet| pool(subnet)).collect();
    for pool in &mut pools {
        if dice.is_one_in(2) {
            let prefix = pool.subnet.length() + 2;
            let most = u32::try_from(dice.below(3) + 1).unwrap();
            pool.blocks = Some(Blocks { prefix, most, borrow: dice.is_one_in(2) });
        }
        if dice.is_one_in(2) {
            let number = crate::address::number(pool.start) + 5;
            pool.excluded.push(number..=number + 2);
            let ip = crate::address::address(number + 4, pool.subnet.family());
            pool.reserved.insert("n1".to_owned(), ip);
        }
    }
    pools
}

/// Who should have what.
type Model = BTreeMap<String, String>;

fn check(books: &mut Books, model: &Model, what: &str) {
    let sql = "SELECT address, container, kept_for FROM ropewalk_lease WHERE free_at IS NULL";
    let rows = books.ledger.database.one(sql, Vec::new()).unwrap().rows;
    let mut seen = Model::new();
    for row in rows {
        let [Some(address), Some(container), _] = &row[..] else { panic!("{row:?}") };
        assert!(seen.insert(container.clone(), address.clone()).is_none(), "{what}: {container}");
    }
    assert_eq!(&seen, model, "{what}");
    let addresses: BTreeSet<&String> = model.values().collect();
    assert_eq!(addresses.len(), model.len(), "{what}: an address was given twice: {model:?}");
}

/// How many addresses there are for somebody without a name.
fn capacity(pools: &[Pool]) -> usize {
    let all = pools.iter().map(|pool| {
        let mut next = Some(pool.start);
        let mut count = 0;
        while let Some(ip) = next.and_then(|next| pool.fresh(next, pool.end)) {
            count += 1;
            next = crate::pool::behind(ip, pool.end);
        }
        count
    });
    all.sum()
}

fn live(seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut books = Books::new();
    let mut pools = pools(&mut dice);
    let mut model = Model::new();
    crate::schema::migrate(&mut **books.ledger.database).unwrap();
    let mut now = 100;
    for step in 0..250 {
        let what = format!("seed {seed} step {step}");
        now += u64::try_from(dice.below(20)).unwrap();
        let container = format!("c{}", dice.below(60));
        match dice.below(20) {
            0 => {
                // The configuration changes on all hosts at once.
                let pool = &mut pools[0];
                pool.end = if dice.is_one_in(2) { pool.start } else { pool.subnet.last() };
                pool.reserved.retain(|_, ip| *ip <= pool.end);
            }
            1..8 => {
                let rest = Rest { now, cooldown: 30, keep: 90 };
                let released = books.ledger.release(&holder(&container), rest).unwrap();
                assert_eq!(released == 1, model.remove(&container).is_some(), "{what}");
            }
            _ => {
                let name = Some(format!("n{}", dice.below(6))).filter(|_| dice.is_one_in(3));
                let claim = Claim {
                    host: format!("h{}", dice.below(3)),
                    is_kept: dice.is_one_in(2),
                    now,
                    name,
                    ..wish(&container, &pools.iter().collect::<Vec<_>>())
                };
                match books.ledger.claim(&claim) {
                    Ok(given) => {
                        let [given] = &given[..] else { panic!("{given:?}") };
                        assert!(
                            given.pool.allows(given.ip, claim.name.as_deref()),
                            "{what}: {given:?}"
                        );
                        let earlier = model.insert(container, given.ip.to_string());
                        assert_eq!(earlier, None, "{what}");
                    }
                    Err(trouble) => match trouble.kind {
                        Kind::Duplicate => assert!(model.contains_key(&container), "{what}"),
                        Kind::Unavailable => {
                            assert!(trouble.message.contains("reserved"), "{what}");
                        }
                        Kind::Exhausted => assert!(!model.contains_key(&container), "{what}"),
                        other => panic!("{what}: {other:?} {trouble}"),
                    },
                }
            }
        }
        check(&mut books, &model, &what);
    }
    every_address_can_be_had_in_the_end(&mut books, &mut pools, now + 1000, &model, seed);
}

/// When all is given back and no name has a claim any more, nothing is lost.
fn every_address_can_be_had_in_the_end(
    books: &mut Books,
    pools: &mut [Pool],
    now: u64,
    model: &Model,
    seed: u64,
) {
    for container in model.keys() {
        books.release(container, AT_ONCE);
    }
    for pool in pools.iter_mut() {
        pool.blocks = pool.blocks.map(|blocks| Blocks { most: u32::MAX, borrow: true, ..blocks });
    }
    let mut given = BTreeSet::new();
    let all: Vec<&Pool> = pools.iter().collect();
    for number in 0..capacity(pools) {
        let claim = Claim { now, ..wish(&format!("last{number}"), &all) };
        let ip = books.claim(&claim).unwrap_or_else(|trouble| {
            let tables = [dump(books, "ropewalk_pool"), dump(books, "ropewalk_lease")].join("\n");
            panic!("seed {seed}: {number} of {}: {trouble}\n{tables}", capacity(pools))
        });
        assert!(given.insert(ip), "seed {seed}");
    }
    let claim = Claim { now, ..wish("none", &all) };
    assert_eq!(books.claim(&claim).unwrap_err().kind, Kind::Exhausted, "seed {seed}");
}

/// A table as text.
fn dump(books: &mut Books, table: &str) -> String {
    let rows = books.ledger.database.one(&format!("SELECT * FROM {table}"), Vec::new()).unwrap();
    let lines: Vec<String> = rows.rows.iter().map(|row| format!("{row:?}")).collect();
    lines.join("\n")
}

#[test]
fn no_life_of_a_pool_gives_an_address_twice_or_loses_one() {
    for seed in 1..=40 {
        live(seed);
    }
}
