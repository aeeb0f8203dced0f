//! Every version rule of table 1.3, and the texts that list versions.

use super::*;

const SEVEN: &str = r#"["0.1.0" "0.2.0" "0.3.0" "0.3.1" "0.4.0" "1.0.0" "1.1.0"]"#;

/// Only what firewall supports, which is the shortest list of all plugins.
const FIREWALL: &[Version] = &[Version::V0_4_0, Version::V1_0_0, Version::V1_1_0];

#[track_caller]
fn check(command: Command, config: &str, supported: &[Version], expected: Result<Version, &str>) {
    let outcome = admit(command, config, supported);
    let shown = outcome.map_err(|error| format!("{} {error}", error.code));
    assert_eq!(shown, expected.map_err(str::to_owned), "{command} with {config:?}");
}

#[test]
fn add_and_del_admit_exactly_the_listed_versions() {
    for command in [Command::Add, Command::Del] {
        for version in ALL {
            check(command, version.as_str(), ALL, Ok(*version));
        }
        check(command, "", ALL, Ok(Version::V0_1_0));
        for config in ["9.9.9", "0.4.1", "1.0", "abc"] {
            let details = format!(r#"config is "{config}", plugin supports {SEVEN}"#);
            let expected = format!("1 incompatible CNI versions; {details}");
            check(command, config, ALL, Err(&expected));
        }
        let details = r#"config is "0.1.0", plugin supports ["0.4.0" "1.0.0" "1.1.0"]"#;
        check(command, "", FIREWALL, Err(&format!("1 incompatible CNI versions; {details}")));
    }
}

#[test]
fn check_needs_0_4_0_first_and_the_listed_version_then() {
    check(Command::Check, "0.4.0", ALL, Ok(Version::V0_4_0));
    check(Command::Check, "1.1.0", FIREWALL, Ok(Version::V1_1_0));
    for config in ["", "0.1.0", "0.3.1", "0.3"] {
        check(Command::Check, config, ALL, Err("1 config version does not allow CHECK"));
    }
    check(Command::Check, "9.9.9", ALL, Err("1 plugin version does not allow CHECK"));
    check(
        Command::Check,
        "0.4.1",
        ALL,
        Err(&format!(r#"1 incompatible CNI versions; config is "0.4.1", plugin supports {SEVEN}"#)),
    );
}

#[test]
fn gc_and_status_need_1_1_0() {
    for command in [Command::Gc, Command::Status] {
        check(command, "1.1.0", ALL, Ok(Version::V1_1_0));
        let floor = format!("1 config version does not allow {command}");
        for config in ["", "0.4.0", "1.0.0"] {
            check(command, config, ALL, Err(&floor));
        }
        let ceiling = format!("1 plugin version does not allow {command}");
        check(command, "1.1.1", ALL, Err(&ceiling));
        check(command, "1.1.0", &[Version::V1_0_0], Err(&ceiling));
    }
}

#[test]
fn versions_that_are_not_numbers_cannot_be_compared() {
    let atoi = "strconv.Atoi: parsing";
    for (config, expected) in [
        (
            "abc",
            format!(r#"failed to convert major version part "abc": {atoi} "abc": invalid syntax"#),
        ),
        ("1.x", format!(r#"failed to convert minor version part "x": {atoi} "x": invalid syntax"#)),
        ("1.1.", format!(r#"failed to convert micro version part "": {atoi} "": invalid syntax"#)),
        ("1.1.0.0", r#"invalid version "1.1.0.0": too many parts"#.to_owned()),
    ] {
        for command in [Command::Check, Command::Gc, Command::Status] {
            check(command, config, ALL, Err(&format!("6 {expected}")));
        }
    }
    let huge = parse_numbers("99999999999999999999").unwrap_err();
    assert!(huge.ends_with("value out of range"), "{huge}");
}

#[test]
fn missing_numbers_are_zero_when_versions_are_compared() {
    for (version, floor, expected) in [
        ("0.4", "0.4.0", true),
        ("1", "0.4.0", true),
        ("", "0.1.0", true),
        ("", "0.2.0", false),
        ("0.10.0", "0.9.0", true),
    ] {
        assert_eq!(at_least(version, floor), Ok(expected), "{version} and {floor}");
    }
}

#[test]
fn the_version_document_is_one_line_with_our_newest_version() {
    let all = r#""0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0""#;
    let expected = format!("{{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[{all}]}}\n");
    assert_eq!(version_document(ALL), expected);
    let expected =
        "{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"0.4.0\",\"1.0.0\",\"1.1.0\"]}\n";
    assert_eq!(version_document(FIREWALL), expected);
}

#[test]
fn the_about_text_has_two_lines() {
    let expected = "CNI firewall plugin v0.1.0\n\
                    CNI protocol versions supported: 0.4.0, 1.0.0, 1.1.0\n";
    assert_eq!(about("firewall", "v0.1.0", FIREWALL), expected);
    assert!(about("bridge", "", ALL).starts_with("CNI bridge plugin version unknown\n"));
}

#[test]
fn version_texts_can_be_read_back() {
    for version in ALL {
        assert_eq!(version.to_string().parse(), Ok(*version));
    }
    assert_eq!("".parse(), Ok(Version::V0_1_0));
    let error = "0.4.1".parse::<Version>().unwrap_err();
    assert_eq!((error.code, error.msg.as_str()), (1, r#"unknown CNI version "0.4.1""#));
    assert!(ALL.is_sorted());
}
