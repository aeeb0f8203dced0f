//! Random lives of pools: hosts claim and release, names come back, pools change, time passes. What
//! must hold afterwards is asked of the table, not of the code that wrote it.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::{
    address::{address, number},
    pool::behind,
    survey::Imported,
};

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

/// The pools of one life: two that share a subnet, and one of another.
fn pools(dice: &mut Dice) -> Vec<Pool> {
    let subnets = [
        ["10.0.0.0/27", "10.0.1.0/28", "10.0.0.0/27"],
        ["fd00::/123", "fd00:1::/124", "fd00::/123"],
    ];
    let mut pools: Vec<Pool> = subnets[dice.below(2)].iter().map(|subnet| pool(subnet)).collect();
    pools[2].name = "high".to_owned();
    let border = pools[2].end;
    set_border(&mut pools, border);
    for pool in &mut pools {
        pool.blocks = blocks(dice, pool);
        if dice.is_one_in(2) {
            let number = number(pool.start) + 5;
            pool.excluded.push(number..=number + 2);
            let ip = address(number + 4, pool.subnet.family());
            pool.reserved.insert("n1".to_owned(), ip);
        }
        let (start, end) = (pool.start, pool.end);
        pool.reserved.retain(|_, ip| start <= *ip && *ip <= end);
    }
    pools
}

fn blocks(dice: &mut Dice, pool: &Pool) -> Option<Blocks> {
    let prefix = pool.subnet.length() + 1 + u8::try_from(dice.below(3)).unwrap();
    let most = u32::try_from(dice.below(3) + 1).unwrap();
    let blocks = Blocks { prefix, most, borrow: dice.is_one_in(2) };
    Some(blocks).filter(|_| dice.is_one_in(2))
}

/// The last pool begins behind the last address of the first.
fn set_border(pools: &mut [Pool], border: IpAddr) {
    pools[0].end = border;
    pools[2].start = address(number(border) + 1, pools[2].subnet.family());
}

/// What an operator does to the configuration.
fn change(dice: &mut Dice, pools: &mut [Pool]) {
    let which = dice.below(3);
    match dice.below(3) {
        0 => {
            let border = number(pools[0].start) + u128::try_from(dice.below(30)).unwrap();
            let family = pools[0].subnet.family();
            set_border(pools, address(border, family));
            for pool in pools {
                let (start, end) = (pool.start, pool.end);
                pool.reserved.retain(|_, ip| start <= *ip && *ip <= end);
            }
        }
        1 => pools[which].blocks = blocks(dice, &pools[which]),
        _ => pools[which].name = format!("{which}-{}", dice.below(3)),
    }
}

/// What an operator does to the books.
fn command(dice: &mut Dice, books: &mut Books, pools: &[Pool], now: u64, model: &mut Model) {
    let pool = &pools[dice.below(3)];
    let within = u128::try_from(dice.below(32)).unwrap();
    let ip = address(number(pool.subnet.ip()) + within, pool.subnet.family());
    let container = format!("c{}", dice.below(60));
    match dice.below(4) {
        0 => {
            let name = Some(format!("n{}", dice.below(6))).filter(|_| dice.is_one_in(2));
            books.ledger.reserve("lan", ip, name.as_deref(), now).unwrap();
        }
        1 => {
            books.ledger.free("lan", ip, Rest { now, cooldown: 0, keep: 0 }).unwrap();
            model.retain(|_, held| *held != ip.to_string());
        }
        2 => drop(books.ledger.sweep(&format!("h{}", dice.below(3)), now).unwrap()),
        _ if model.contains_key(&container) => {}
        _ => {
            let names = ["", "gone", &pool.name];
            let lease = foreign(&container, ip, names[dice.below(3)]);
            if books.ledger.import(&[lease]).unwrap() == [Imported::New] {
                model.insert(container, ip.to_string());
            }
        }
    }
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
            next = behind(ip, pool.end);
        }
        count
    });
    all.sum()
}

fn live(seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut books = Books::new();
    let mut pools = pools(&mut dice);
    // Hosts hear of a change one after the other.
    let mut known = [pools.clone(), pools.clone(), pools.clone()];
    let mut model = Model::new();
    crate::schema::migrate(&mut **books.ledger.database).unwrap();
    let mut now = 100;
    for step in 0..250 {
        let what = format!("seed {seed} step {step}");
        now += u64::try_from(dice.below(20)).unwrap();
        let container = format!("c{}", dice.below(60));
        let host = dice.below(3);
        match dice.below(24) {
            0 => change(&mut dice, &mut pools),
            1..4 => known[host].clone_from(&pools),
            4 | 5 => command(&mut dice, &mut books, &pools, now, &mut model),
            6..12 => {
                let rest = Rest { now, cooldown: 30, keep: 90 };
                let released = books.ledger.release(&holder(&container), rest).unwrap();
                assert_eq!(released == 1, model.remove(&container).is_some(), "{what}");
            }
            _ => {
                let name = Some(format!("n{}", dice.below(6))).filter(|_| dice.is_one_in(3));
                let claim = Claim {
                    host: format!("h{host}"),
                    is_kept: dice.is_one_in(2),
                    now,
                    name,
                    ..wish(&container, &known[host].iter().collect::<Vec<_>>())
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
    let mut reserved = Vec::new();
    let is_reserved = |lease: &Lease| matches!(lease.state, State::Reserved(_));
    let tell = |lease: Lease| reserved.extend(Some(lease.ip).filter(|_| is_reserved(&lease)));
    books.ledger.leases(&Filter::default(), tell).unwrap();
    for ip in reserved {
        assert!(books.ledger.free("lan", ip, AT_ONCE).unwrap());
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
