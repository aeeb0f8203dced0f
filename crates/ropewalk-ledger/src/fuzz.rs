//! Rows that somebody else has written, and addresses of databases that nobody would.

use std::collections::BTreeMap;

use ropewalk_testkit::fuzz;

use crate::{
    Claim, Group, Holder, Ledger, Location, Options, Pool, Rest,
    database::{Database, Statement},
    sqlite::Sqlite,
};

#[test]
fn fuzz_locations() {
    fuzz("location", |bytes| {
        let text = String::from_utf8_lossy(bytes);
        match Location::parse(&text) {
            Ok(location) => assert!(!location.to_string().is_empty()),
            Err(error) => assert!(!error.is_empty()),
        }
    });
}

/// Columns of text, and of numbers as far as SQLite minds.
const COLUMNS: [(&str, &str); 12] = [
    ("ropewalk_lease", "address"),
    ("ropewalk_lease", "pool"),
    ("ropewalk_lease", "slot"),
    ("ropewalk_lease", "since"),
    ("ropewalk_lease", "free_at"),
    ("ropewalk_lease", "kept_for"),
    ("ropewalk_lease", "host"),
    ("ropewalk_lease", "is_reserved"),
    ("ropewalk_pool", "first"),
    ("ropewalk_pool", "last"),
    ("ropewalk_pool", "next"),
    ("ropewalk_pool", "shape"),
];

#[test]
fn fuzz_rows() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ipam.db");
    let subnet: ropewalk_addr::Subnet = "10.0.0.0/28".parse().unwrap();
    let ip = |text: &str| text.parse().unwrap();
    let pool = Pool {
        name: subnet.to_string(),
        subnet,
        start: ip("10.0.0.1"),
        end: ip("10.0.0.14"),
        gateway: ip("10.0.0.1"),
        excluded: Vec::new(),
        reserved: BTreeMap::new(),
        blocks: None,
    };
    let holder = |container: &str| Holder {
        network: "lan".to_owned(),
        container: container.to_owned(),
        interface: "eth0".to_owned(),
    };
    let claim = |container: &str| Claim {
        holder: holder(container),
        space: "lan".to_owned(),
        pod: None,
        namespace: None,
        host: "h1".to_owned(),
        name: None,
        is_kept: false,
        now: 100,
        groups: vec![Group { name: "IPv4".to_owned(), pools: vec![&pool] }],
        wanted: Vec::new(),
    };
    let location = Location::File(path.clone());
    let mut ledger = Ledger::open(&location, &Options::default()).unwrap();
    let mut database = Sqlite::open(&path, &Options::default()).unwrap();
    // The first one makes the tables.
    ledger.claim(&claim("c1")).unwrap();
    let mut number = 0;
    fuzz("row", |bytes| {
        for table in ["ropewalk_lease", "ropewalk_pool"] {
            database.one(&format!("DELETE FROM {table}"), Vec::new()).unwrap();
        }
        ledger.claim(&claim("c1")).unwrap();
        let (table, column) = COLUMNS[number % COLUMNS.len()];
        number += 1;
        let text = String::from_utf8_lossy(bytes).replace('\0', "");
        let update = Statement::new(format!("UPDATE {table} SET {column} = $1"), vec![Some(text)]);
        database.one(&update.sql, update.values).unwrap();
        for container in ["c1", "c2"] {
            if let Err(trouble) = ledger.claim(&claim(container)) {
                assert!(!trouble.message.is_empty());
            }
            let _ = ledger.held(&holder(container));
        }
        let _ = ledger.release(&holder("c2"), Rest { now: 200, cooldown: 5, keep: 5 });
    });
}
