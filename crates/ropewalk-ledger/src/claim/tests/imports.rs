//! Leases of others in a real SQLite file: no address that somebody has is given again.

use super::*;
use crate::survey::Imported;

fn lease(container: &str, text: &str) -> Lease {
    foreign(container, ip(text), "10.0.0.0/29")
}

fn all(books: &mut Books) -> Vec<Lease> {
    let mut leases = Vec::new();
    books.ledger.leases(&Filter::default(), |lease| leases.push(lease)).unwrap();
    leases
}

#[test]
fn what_is_free_or_kept_becomes_the_leases() {
    let mut books = Books::new();
    let pool = pool("10.0.0.0/29");
    let kept = Claim { name: Some("web".to_owned()), is_kept: true, ..wish("c1", &[&pool]) };
    assert_eq!(books.claim(&kept).unwrap(), "10.0.0.2");
    assert_eq!(books.claim(&wish("c2", &[&pool])).unwrap(), "10.0.0.3");
    books.release("c1", SLOWLY);
    books.release("c2", AT_ONCE);
    let live = [lease("x1", "10.0.0.2"), lease("x2", "10.0.0.3")];
    assert_eq!(books.ledger.import(&live).unwrap(), [Imported::New, Imported::New]);
    assert_eq!(books.ledger.import(&live).unwrap(), [Imported::Known, Imported::Known]);
    let again = Claim { holder: holder("c3"), ..kept };
    assert_eq!(books.claim(&again).unwrap(), "10.0.0.4");
    assert_eq!(all(&mut books)[..2], live);
}

#[test]
fn what_is_reserved_is_the_leases_until_it_is_given_back() {
    let mut books = Books::new();
    let pool = pool("10.0.0.0/29");
    for (text, name) in [("10.0.0.2", Some("web")), ("10.0.0.3", None)] {
        assert!(books.ledger.reserve("lan", ip(text), name, 90).unwrap());
    }
    let live = [lease("x1", "10.0.0.2"), lease("x2", "10.0.0.3")];
    assert_eq!(books.ledger.import(&live).unwrap(), [Imported::New, Imported::New]);
    let named = Claim { name: Some("web".to_owned()), ..wish("c1", &[&pool]) };
    assert_eq!(books.claim(&named).unwrap(), "10.0.0.4", "it is not the name's yet");
    for container in ["c1", "x1", "x2"] {
        assert_eq!(books.release(container, AT_ONCE), 1);
    }
    assert_eq!(books.claim(&named).unwrap(), "10.0.0.2");
    assert_eq!(all(&mut books)[1].state, State::Reserved(None));
}

#[test]
fn who_has_an_address_keeps_it_and_is_named() {
    let mut books = Books::new();
    let pool = pool("10.0.0.0/29");
    assert_eq!(books.claim(&wish("c1", &[&pool])).unwrap(), "10.0.0.2");
    let fates = books.ledger.import(&[lease("x1", "10.0.0.2")]).unwrap();
    let there = all(&mut books).remove(0);
    assert_eq!(there.holder, holder("c1"));
    assert_eq!(fates, [Imported::Taken(Box::new(there))]);
}

#[test]
fn several_addresses_of_one_holder_are_all_written() {
    let mut books = Books::new();
    let pool = pool("10.0.0.0/29");
    let both = [lease("x1", "10.0.0.2"), lease("x1", "10.0.0.4")];
    for expected in [Imported::New, Imported::Known] {
        assert_eq!(books.ledger.import(&both).unwrap(), [expected.clone(), expected]);
    }
    for (container, expected) in [("c1", "10.0.0.3"), ("c2", "10.0.0.5")] {
        assert_eq!(books.claim(&wish(container, &[&pool])).unwrap(), expected);
    }
    assert_eq!(books.release("x1", AT_ONCE), 2);
}

#[test]
fn what_an_empty_ledger_imports_is_what_was_there() {
    let (mut books, mut other) = (Books::new(), Books::new());
    let blocks = Blocks { prefix: 30, most: 9, borrow: true };
    let pool = Pool { blocks: Some(blocks), ..pool("10.0.0.0/28") };
    let named = |container, name: &str| Claim {
        name: Some(name.to_owned()),
        is_kept: true,
        ..wish(container, &[&pool])
    };
    for (text, name) in [("10.0.0.3", Some("db")), ("10.0.0.9", None)] {
        assert!(books.ledger.reserve("lan", ip(text), name, 90).unwrap());
    }
    for (container, name) in [("c1", "db"), ("c2", "web"), ("c3", "mail")] {
        books.claim(&named(container, name)).unwrap();
    }
    books.release("c3", SLOWLY);
    let leases = all(&mut books);
    assert!(leases.iter().any(|lease| matches!(lease.state, State::Kept(..))), "{leases:?}");
    let fates = other.ledger.import(&leases).unwrap();
    assert!(fates.iter().all(|fate| *fate == Imported::New), "{fates:?}");
    assert_eq!(all(&mut other), leases);
    let fates = other.ledger.import(&leases).unwrap();
    assert!(fates.iter().all(|fate| *fate == Imported::Known), "{fates:?}");
}
