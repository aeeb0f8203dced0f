//! Namespaces: opening, creating, deleting, entering.

use std::{fs, path::Path};

use ropewalk_linux::{Linux, Netns, NetnsError};
use ropewalk_netstate::{Kernel, Place, Probe, Resource, Step, resource::Attribute};

use crate::support::{SANDBOX, attribute, in_lab, veth};

#[test]
fn what_is_no_namespace_is_refused_in_the_words_of_the_reference() {
    let error = Netns::open("/nope").unwrap_err();
    assert_eq!(error.to_string(), r#"failed to Statfs "/nope": no such file or directory"#);
    assert!(matches!(error, NetnsError::Missing { .. }));
    let error = Netns::open("/sys").unwrap_err();
    assert_eq!(error.to_string(), r#"unknown FS magic on "/sys": 62656572"#);
    assert!(matches!(error, NetnsError::NotNamespace { .. }));
}

#[test]
fn a_created_namespace_is_another_one_and_can_be_deleted_twice() {
    in_lab(|_| {
        let path = "/run/netns/other";
        let before = Netns::current().unwrap();
        let other = Netns::create(path).unwrap();
        assert!(before.is_current().unwrap(), "creating must not move the caller");
        assert!(!other.is_current().unwrap());
        assert!(other.is_same(&Netns::open(path).unwrap()).unwrap());
        assert!(Netns::create(path).is_err(), "the name is taken");
        assert!(other.within(|| Netns::current().unwrap().is_same(&other).unwrap()).unwrap());
        assert!(before.is_current().unwrap());
        Netns::delete(path).unwrap();
        assert!(!Path::new(path).exists());
        Netns::delete(path).unwrap();
    });
}

#[test]
fn a_panic_inside_a_namespace_comes_home() {
    in_lab(|_| {
        let before = Netns::current().unwrap();
        let other = Netns::open(SANDBOX).unwrap();
        let result = std::panic::catch_unwind(|| other.within(|| panic!("inside")));
        assert!(result.is_err());
        assert!(before.is_current().unwrap());
    });
}

#[test]
fn a_private_host_has_empty_directories_and_nothing_but_loopback() {
    in_lab(|_| {
        assert_eq!(fs::read_dir("/run/netns").unwrap().count(), 1, "the sandbox alone");
        let links = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
        assert!(!links.contains("eth0"), "{links}");
    });
}

#[test]
fn in_a_sandbox_that_is_gone_nothing_is_found_and_deleting_succeeds() {
    in_lab(|lab| {
        let mut linux = Linux::with_missing_sandbox();
        let lo: Resource = attribute("lo", Attribute::Up(true)).into();
        let place = Place::Sandbox;
        let found = linux.observe(&[Probe { place, resource: &lo }]).unwrap();
        assert_eq!(found.iter().count(), 0);
        linux.apply(&[Step::Delete(place, lo.clone())]).unwrap();
        let failure = linux.apply(&[Step::Create(place, lo)]).unwrap_err();
        assert_eq!(failure.error.reason, "the network namespace is gone");
        let pair: Resource = veth("near", "eth0").into();
        lab.create(Place::Host, pair.clone());
        let found = linux.observe(&[Probe { place: Place::Host, resource: &pair }]).unwrap();
        let Some(Resource::Veth(found)) = found.find(Place::Host, &pair.key()) else { panic!() };
        assert_eq!(found.peer, None, "the peer is nowhere to be seen");
    });
}

#[test]
fn a_sandbox_that_was_not_given_is_an_error() {
    in_lab(|_| {
        let lo: Resource = attribute("lo", Attribute::Up(true)).into();
        let probe = Probe { place: Place::Sandbox, resource: &lo };
        let error = Linux::host_only().observe(&[probe]).unwrap_err();
        assert_eq!(error.reason, "no network namespace was given");
    });
}
