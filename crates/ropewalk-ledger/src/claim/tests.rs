//! Claims in a real SQLite file: examples, and long random lives of pools.

mod changes;
mod imports;
mod lives;

use std::{collections::BTreeMap, net::IpAddr};

use super::*;
use crate::{
    books::Standing,
    location::{Location, Options},
    pool::Blocks,
    survey::{Filter, Lease, State},
};

/// A ledger in a directory that vanishes with it.
struct Books {
    ledger: Ledger,
    _directory: tempfile::TempDir,
}

impl Books {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let location = Location::File(directory.path().join("ipam.db"));
        let ledger = Ledger::open(&location, &Options::default()).unwrap();
        Self { ledger, _directory: directory }
    }

    /// What a claim of one group gives: the address, or the trouble.
    fn claim(&mut self, claim: &Claim<'_>) -> Result<String, Trouble> {
        let given = self.ledger.claim(claim)?;
        Ok(given.iter().map(|given| given.ip.to_string()).collect::<Vec<_>>().join(" "))
    }

    fn release(&mut self, container: &str, rest: Rest) -> u64 {
        self.ledger.release(&holder(container), rest).unwrap()
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn pool(subnet: &str) -> Pool {
    let subnet: ropewalk_addr::Subnet = subnet.parse().unwrap();
    let [gateway, end] = [subnet.ip(), subnet.last()].map(crate::address::number);
    Pool {
        name: subnet.to_string(),
        subnet,
        start: crate::address::address(gateway + 1, subnet.family()),
        end: crate::address::address(end - 1, subnet.family()),
        gateway: crate::address::address(gateway + 1, subnet.family()),
        excluded: Vec::new(),
        reserved: BTreeMap::new(),
        blocks: None,
    }
}

fn holder(container: &str) -> Holder {
    let [network, container, interface] = ["lan", container, "eth0"].map(str::to_owned);
    Holder { network, container, interface }
}

/// A container that wants one address out of these pools.
fn wish<'a>(container: &str, pools: &[&'a Pool]) -> Claim<'a> {
    Claim {
        holder: holder(container),
        space: "lan".to_owned(),
        pod: None,
        namespace: None,
        host: "h1".to_owned(),
        name: None,
        is_kept: false,
        now: 100,
        groups: vec![Group { name: "IPv4".to_owned(), pools: pools.to_vec() }],
        wanted: Vec::new(),
    }
}

/// A lease that others have given.
fn foreign(container: &str, ip: IpAddr, pool: &str) -> Lease {
    Lease {
        ip,
        space: "lan".to_owned(),
        pool: pool.to_owned(),
        block: String::new(),
        group: "IPv4".to_owned(),
        holder: holder(container),
        pod: None,
        namespace: None,
        host: String::new(),
        since: 100,
        state: State::Held,
        name: None,
        is_reserved: false,
    }
}

const AT_ONCE: Rest = Rest { now: 100, cooldown: 0, keep: 0 };
const SLOWLY: Rest = Rest { now: 100, cooldown: 60, keep: 500 };

#[test]
fn an_address_rests_while_there_are_others() {
    let mut books = Books::new();
    let pool = pool("10.0.0.0/29");
    for (container, expected) in [("c1", "10.0.0.2"), ("c2", "10.0.0.3"), ("c3", "10.0.0.4")] {
        assert_eq!(books.claim(&wish(container, &[&pool])).unwrap(), expected);
    }
    assert_eq!(books.release("c2", SLOWLY), 1);
    assert_eq!(books.release("c2", SLOWLY), 0);
    assert_eq!(books.claim(&wish("c4", &[&pool])).unwrap(), "10.0.0.5");
    let later = Claim { now: 160, ..wish("c5", &[&pool]) };
    assert_eq!(books.claim(&later).unwrap(), "10.0.0.3");
    assert_eq!(books.claim(&wish("c6", &[&pool])).unwrap(), "10.0.0.6");
    let exhausted = books.claim(&wish("c7", &[&pool])).unwrap_err();
    assert_eq!(exhausted.kind, Kind::Exhausted);
    assert_eq!(exhausted.message, "no IP addresses available in pool: 10.0.0.1-10.0.0.6");
    books.release("c1", SLOWLY);
    assert_eq!(
        books.claim(&wish("c7", &[&pool])).unwrap(),
        "10.0.0.2",
        "the last of all rests not"
    );
}

#[test]
fn an_address_is_given_back_only_while_its_holder_has_it() {
    let mut books = Books::new();
    let pool = pool("10.0.0.0/29");
    assert_eq!(books.claim(&wish("c1", &[&pool])).unwrap(), "10.0.0.2");
    let seen = Standing { holder: holder("c1"), since: 100 };
    // The runtime was quicker, and another container has the address by now.
    assert_eq!(books.release("c1", AT_ONCE), 1);
    let mut again = Claim { now: 200, ..wish("c2", &[&pool]) };
    again.wanted = vec![ip("10.0.0.2")];
    assert_eq!(books.claim(&again).unwrap(), "10.0.0.2");
    let mut give_back = |standing: &Standing, space: &str| {
        books.ledger.give_back(space, ip("10.0.0.2"), standing, AT_ONCE).unwrap()
    };
    assert!(!give_back(&seen, "lan"));
    let now = Standing { holder: holder("c2"), since: 200 };
    assert!(!give_back(&Standing { since: 100, ..now.clone() }, "lan"), "the same one, but anew");
    assert!(!give_back(&now, "wan"));
    assert!(give_back(&now, "lan"));
    assert!(!give_back(&now, "lan"), "it has been given back");
}

#[test]
fn what_is_reserved_is_given_back_to_whom_it_is_reserved_for() {
    let mut books = Books::new();
    let pool = pool("10.0.0.0/29");
    assert!(books.ledger.reserve("lan", ip("10.0.0.3"), Some("web"), 90).unwrap());
    let named = Claim { name: Some("web".to_owned()), ..wish("c1", &[&pool]) };
    assert_eq!(books.claim(&named).unwrap(), "10.0.0.3");
    let standing = Standing { holder: holder("c1"), since: 100 };
    assert!(books.ledger.give_back("lan", ip("10.0.0.3"), &standing, AT_ONCE).unwrap());
    let mut states = Vec::new();
    books.ledger.leases(&Filter::default(), |lease| states.push(lease.state)).unwrap();
    assert_eq!(states, [State::Reserved(Some("web".to_owned()))]);
}

#[test]
fn one_holder_has_one_address_of_a_group() {
    let mut books = Books::new();
    let (four, six) = (pool("10.0.0.0/29"), pool("fd00::/64"));
    let mut both = wish("c1", &[&four]);
    both.groups.push(Group { name: "IPv6".to_owned(), pools: vec![&six] });
    assert_eq!(books.claim(&both).unwrap(), "10.0.0.2 fd00::2");
    let second = books.claim(&wish("c1", &[&four])).unwrap_err();
    assert_eq!(second.kind, Kind::Duplicate);
    assert_eq!(books.ledger.held(&holder("c1")).unwrap().len(), 2);
}

#[test]
fn a_claim_that_fails_in_its_second_group_leaves_nothing() {
    let mut books = Books::new();
    let (four, mut six) = (pool("10.0.0.0/29"), pool("fd00::/64"));
    six.excluded = vec![crate::address::number(six.start)..=crate::address::number(six.end)];
    let mut both = wish("c1", &[&four]);
    both.groups.push(Group { name: "IPv6".to_owned(), pools: vec![&six] });
    assert_eq!(books.claim(&both).unwrap_err().kind, Kind::Exhausted);
    assert_eq!(books.ledger.held(&holder("c1")).unwrap(), [""; 0]);
    assert_eq!(books.claim(&wish("c2", &[&four])).unwrap(), "10.0.0.2");
}

#[test]
fn what_is_asked_for_is_given_or_refused_and_passed_over_by_others() {
    let mut books = Books::new();
    let mut pool = pool("10.0.0.0/28");
    pool.excluded =
        vec![crate::address::number(ip("10.0.0.9"))..=crate::address::number(ip("10.0.0.9"))];
    let asking = |container, text| Claim { wanted: vec![ip(text)], ..wish(container, &[&pool]) };
    assert_eq!(books.claim(&asking("c1", "10.0.0.3")).unwrap(), "10.0.0.3");
    for (text, expected) in [
        ("10.0.0.3", "requested IP address 10.0.0.3 is not available in pool 10.0.0.1-10.0.0.14"),
        ("10.0.0.1", "requested ip 10.0.0.1 is subnet's gateway"),
        ("10.0.0.9", "requested ip 10.0.0.9 is excluded from 10.0.0.1-10.0.0.14"),
        ("10.9.0.1", "failed to allocate all requested IPs: 10.9.0.1"),
    ] {
        let refused = books.claim(&asking("c2", text)).unwrap_err();
        assert_eq!((refused.kind, &*refused.message), (Kind::Unavailable, expected));
    }
    for expected in ["10.0.0.2", "10.0.0.4"] {
        assert_eq!(books.claim(&wish(expected, &[&pool])).unwrap(), expected);
    }
}

#[test]
fn a_name_gets_its_address_again_until_its_time_is_over() {
    let mut books = Books::new();
    let pool = pool("10.0.0.0/29");
    let named = |container, name: &str, now| Claim {
        name: Some(name.to_owned()),
        is_kept: true,
        now,
        ..wish(container, &[&pool])
    };
    assert_eq!(books.claim(&named("c1", "web-0", 100)).unwrap(), "10.0.0.2");
    books.release("c1", SLOWLY);
    for container in ["c2", "c3", "c4", "c5"] {
        assert_ne!(books.claim(&wish(container, &[&pool])).unwrap(), "10.0.0.2");
    }
    assert_eq!(books.claim(&wish("c6", &[&pool])).unwrap_err().kind, Kind::Exhausted);
    assert_eq!(books.claim(&named("c7", "web-0", 200)).unwrap(), "10.0.0.2");
    books.release("c7", SLOWLY);
    let late = Claim { now: 600, ..wish("c8", &[&pool]) };
    assert_eq!(books.claim(&late).unwrap(), "10.0.0.2");
}

#[test]
fn a_reserved_address_is_for_its_name_alone() {
    let mut books = Books::new();
    let mut pool = pool("10.0.0.0/30");
    pool.reserved.insert("web-0".to_owned(), ip("10.0.0.2"));
    assert_eq!(books.claim(&wish("c1", &[&pool])).unwrap_err().kind, Kind::Exhausted);
    let named = |container| Claim { name: Some("web-0".to_owned()), ..wish(container, &[&pool]) };
    assert_eq!(books.claim(&named("c1")).unwrap(), "10.0.0.2");
    let second = books.claim(&named("c2")).unwrap_err();
    assert_eq!(second.message, "10.0.0.2, which is reserved for web-0, is in use");
}

#[test]
fn hosts_take_blocks_and_borrow_when_there_are_no_more() {
    let mut books = Books::new();
    let strict = Blocks { prefix: 30, most: 1, borrow: false };
    let mut pool = pool("10.0.0.0/28");
    pool.blocks = Some(strict);
    let mut claim = |host: &str, container: &str, blocks| {
        let pool = Pool { blocks: Some(blocks), ..pool.clone() };
        let wish = Claim { host: host.to_owned(), ..wish(container, &[&pool]) };
        books.claim(&wish).unwrap_or_else(|trouble| trouble.message)
    };
    let exhausted = "no IP addresses available in pool: 10.0.0.1-10.0.0.14";
    assert_eq!(claim("h1", "c1", strict), "10.0.0.2");
    assert_eq!(claim("h2", "c2", strict), "10.0.0.4");
    assert_eq!(claim("h1", "c3", strict), "10.0.0.3");
    assert_eq!(claim("h1", "c4", strict), exhausted);
    assert_eq!(claim("h1", "c4", Blocks { borrow: true, ..strict }), "10.0.0.5");
    assert_eq!(claim("h2", "c5", strict), "10.0.0.6");
    assert_eq!(claim("h1", "c6", Blocks { most: 2, ..strict }), "10.0.0.8");
}

#[test]
fn a_pool_that_shrinks_or_grows_moves_nobody() {
    let mut books = Books::new();
    let whole = pool("10.0.0.0/28");
    for expected in ["10.0.0.2", "10.0.0.3", "10.0.0.4"] {
        assert_eq!(books.claim(&wish(expected, &[&whole])).unwrap(), expected);
    }
    books.release("10.0.0.3", AT_ONCE);
    let mut small = whole.clone();
    (small.start, small.end) = (ip("10.0.0.4"), ip("10.0.0.5"));
    assert_eq!(books.claim(&wish("c1", &[&small])).unwrap(), "10.0.0.5");
    assert_eq!(books.claim(&wish("c2", &[&small])).unwrap_err().kind, Kind::Exhausted);
    assert_eq!(books.claim(&wish("c2", &[&whole])).unwrap(), "10.0.0.3");
    assert_eq!(books.claim(&wish("c3", &[&whole])).unwrap(), "10.0.0.6");
    assert_eq!(books.ledger.held(&holder("10.0.0.2")).unwrap(), ["10.0.0.2"]);
}

#[test]
fn a_long_run_of_taken_addresses_is_passed_once() {
    let mut books = Books::new();
    let pool = pool("10.0.0.0/16");
    let values = "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 9000)";
    books.claim(&wish("c1", &[&pool])).unwrap();
    let fill = format!(
        "{values} INSERT INTO ropewalk_lease SELECT '10.0.' || (i / 256) || '.' || (i % 256), \
         'lan', '10.0.0.0/16', '', 'IPv4', 'lan', 'x' || i, 'eth0', NULL, NULL, 'h1', 1, NULL, \
         NULL, 0 FROM n WHERE i > 2"
    );
    books.ledger.database.one(&fill, Vec::new()).unwrap();
    assert_eq!(books.claim(&wish("c2", &[&pool])).unwrap(), "10.0.35.41");
    assert_eq!(books.claim(&wish("c3", &[&pool])).unwrap(), "10.0.35.42");
}
