//! Devices that are moved into a sandbox and given back.

use ropewalk_linux::DeviceSelector;
use ropewalk_netstate::{
    Resource,
    resource::{Attribute, MovedDevice},
};

use crate::support::{HOST, INSIDE, Lab, attribute, bridge, in_lab, output_of, veth};

/// `dev0` of the host, with its other end in the sandbox, to be moved under this name.
fn device(lab: &mut Lab, name: &str, up: bool) -> MovedDevice {
    lab.create(HOST, veth("dev0", "far0"));
    lab.create(HOST, attribute("dev0", Attribute::Up(up)));
    moved(name, up)
}

fn moved(name: &str, was_up: bool) -> MovedDevice {
    let original = Some("dev0".parse().unwrap());
    MovedDevice { name: name.parse().unwrap(), original, mac: None, was_up }
}

fn has_link(lab: &mut Lab, name: &str) -> bool {
    let selector = DeviceSelector::Name(name.parse().unwrap());
    lab.linux.find_device(&selector).is_ok()
}

/// The host has it under its own name and without an alias.
#[track_caller]
fn assert_is_back(lab: &mut Lab, up: bool) {
    let found = lab.linux.find_device(&DeviceSelector::Name("dev0".parse().unwrap())).unwrap();
    assert_eq!((found.up, found.alias), (up, None));
}

#[test]
fn moved_devices_obey_the_law() {
    for (name, up) in [("eth0", false), ("eth0", true), ("dev0", true)] {
        in_lab(|lab| {
            let wanted = device(lab, name, up);
            let found = lab.creates(INSIDE, wanted.clone());
            let Resource::MovedDevice(device) = &found else { panic!("{found}") };
            assert_eq!((&device.original, device.was_up), (&wanted.original, false));
            assert!(!has_link(lab, "dev0"));
            // An ADD that fails takes back what it wanted, a DEL what it found.
            lab.deletes(INSIDE, wanted.clone());
            assert_is_back(lab, up);
            lab.create(INSIDE, wanted);
            lab.create(INSIDE, attribute(name, Attribute::Up(true)));
            lab.deletes(INSIDE, found);
            assert_is_back(lab, false);
        });
    }
}

#[test]
fn a_device_that_is_missing_and_a_name_that_is_taken_are_told() {
    in_lab(|lab| {
        let wanted = moved("eth0", true);
        assert_eq!(lab.refuses(INSIDE, wanted).reason, "Link not found");
        let wanted = device(lab, "eth0", true);
        lab.create(INSIDE, bridge("eth0"));
        let error = lab.refuses(INSIDE, wanted.clone());
        assert_eq!(error.errno, libc::EEXIST);
        let expected = r#"failed to move "eth0" (host: "dev0") to container NS: file exists"#;
        assert_eq!(error.reason, expected);
        assert_is_back(lab, true);
        let nobody = MovedDevice { original: None, ..wanted };
        let error = lab.refuses(INSIDE, nobody);
        assert_eq!(error.reason, "nobody said which device of the host is to be moved");
    });
}

#[test]
fn other_links_of_the_old_name_are_in_nobodys_way() {
    in_lab(|lab| {
        let wanted = device(lab, "eth0", true);
        lab.create(INSIDE, bridge("dev0"));
        lab.creates(INSIDE, wanted.clone());
        lab.deletes(INSIDE, wanted);
        assert_is_back(lab, true);
        lab.has(INSIDE, &bridge("dev0").into());
    });
}

#[test]
fn a_name_that_the_host_has_given_away_is_an_error_and_the_device_stays_as_it_is() {
    in_lab(|lab| {
        let wanted = device(lab, "eth0", false);
        let found = lab.creates(INSIDE, wanted.clone());
        lab.create(INSIDE, attribute("eth0", Attribute::Up(true)));
        lab.create(HOST, bridge("dev0"));
        let step = ropewalk_netstate::Step::Delete(INSIDE, found);
        let error = ropewalk_netstate::Kernel::apply(&mut lab.linux, &[step]).unwrap_err().error;
        assert_eq!(error.reason, r#"failed to move "dev0" to hostNS: file exists"#);
        lab.has(INSIDE, &wanted.into());
        lab.has(INSIDE, &attribute("eth0", Attribute::Up(true)).into());
    });
}

#[test]
fn a_device_on_the_host_with_another_name_gets_its_own() {
    in_lab(|lab| {
        device(lab, "eth0", false);
        output_of("ip", &["link", "set", "dev0", "name", "dev7"]);
        output_of("ip", &["link", "set", "dev7", "alias", "dev0", "up"]);
        let stray = lab.has(HOST, &moved("dev7", false).into());
        lab.deletes(HOST, stray);
        assert_is_back(lab, false);
    });
}
