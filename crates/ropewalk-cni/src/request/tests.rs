//! Every row of table 1.3 that concerns a request, and the order of the checks.

use super::*;
use crate::version::ALL;

const CONFIG: &str = r#"{"cniVersion": "1.1.0", "name": "lan", "type": "bridge"}"#;

/// An environment that is complete for every command.
fn environment(command: &str) -> Environment {
    Environment {
        command: command.to_owned(),
        container_id: "c1".to_owned(),
        netns: "/run/netns/c1".to_owned(),
        ifname: "eth0".to_owned(),
        path: "/opt/cni/bin".to_owned(),
        ..Environment::default()
    }
}

fn only_command(command: &str) -> Environment {
    Environment { command: command.to_owned(), ..Environment::default() }
}

#[track_caller]
fn refused(environment: Environment, stdin: &str, expected: &str) {
    let error = Request::parse(environment, stdin.as_bytes(), ALL).unwrap_err();
    assert_eq!(format!("{} {error}", error.code), expected, "stdin {stdin:?}");
}

#[test]
fn missing_variables_are_listed_together_in_a_fixed_order() {
    for (command, list) in [
        ("ADD", "CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH"),
        ("CHECK", "CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH"),
        ("DEL", "CNI_CONTAINERID,CNI_IFNAME,CNI_PATH"),
        ("GC", "CNI_PATH"),
        ("STATUS", "CNI_PATH"),
        ("", "CNI_COMMAND"),
    ] {
        let expected = format!("4 required env variables [{list}] missing");
        refused(only_command(command), "garbage", &expected);
    }
    assert_eq!(validate(&only_command("VERSION")), Ok(Some(Command::Version)));
}

#[test]
fn malformed_variables_are_reported_before_missing_ones() {
    let bad_id = Environment { container_id: "-abc".to_owned(), ..only_command("ADD") };
    refused(bad_id, CONFIG, "4 invalid characters in containerID; -abc");
    let bad_name = Environment { ifname: "a/b".to_owned(), ..only_command("DEL") };
    let expected = "4 interface name contains / or : or whitespace characters";
    refused(bad_name, CONFIG, expected);
    let both = Environment {
        container_id: "a b".to_owned(),
        ifname: "..".to_owned(),
        ..environment("ADD")
    };
    refused(both, CONFIG, "4 invalid characters in containerID; a b");
}

#[test]
fn variables_a_command_does_not_require_are_not_looked_at() {
    let gc =
        Environment { container_id: "-".to_owned(), ifname: "a/b".to_owned(), ..environment("GC") };
    assert_eq!(validate(&gc), Ok(Some(Command::Gc)));
}

#[test]
fn standard_input_must_hold_one_json_object() {
    let prefix = "6 error unmarshall network config";
    for (stdin, reason) in [
        ("", "unexpected end of JSON input"),
        (r#"{"name": "lan"} x"#, "invalid character 'x' after top-level value"),
        ("[]", "json: cannot unmarshal array into Go value of type object"),
        (r#"{"name": 5}"#, "json: cannot unmarshal number into field name of type string"),
    ] {
        refused(environment("ADD"), stdin, &format!("{prefix}: {reason}"));
    }
}

#[test]
fn the_network_name_is_required_and_checked() {
    for stdin in ["{}", r#"{"name": ""}"#, r#"{"name": null}"#, "null"] {
        refused(environment("DEL"), stdin, "7 missing network name");
    }
    let expected = "7 invalid characters found in network name; a b";
    refused(environment("ADD"), r#"{"name": "a b"}"#, expected);
}

#[test]
fn an_unknown_command_is_reported_after_the_configuration_and_before_its_version() {
    assert_eq!(validate(&only_command("FOO")), Ok(None));
    refused(
        only_command("FOO"),
        r#"{"name": "lan", "cniVersion": 5}"#,
        "4 unknown CNI_COMMAND: FOO",
    );
    refused(environment("add"), CONFIG, "4 unknown CNI_COMMAND: add");
    refused(only_command("FOO"), "{}", "7 missing network name");
}

#[test]
fn the_version_comes_last() {
    let expected = "6 decoding version from network config: \
                    json: cannot unmarshal number into field cniVersion of type string";
    refused(environment("ADD"), r#"{"name": "lan", "cniVersion": 5}"#, expected);
    refused(
        environment("CHECK"),
        r#"{"name": "lan", "cniVersion": "0.3.1"}"#,
        "1 config version does not allow CHECK",
    );
}

#[test]
fn a_request_holds_everything_that_was_given() {
    let add = Environment {
        args: "IgnoreUnknown=1".to_owned(),
        path: ":/a::/b/".to_owned(),
        netns_override: "TRUE".to_owned(),
        ..environment("ADD")
    };
    let request = Request::parse(add, CONFIG.as_bytes(), ALL).unwrap();
    assert_eq!(request.command, Command::Add);
    assert_eq!((request.container_id.as_str(), request.ifname.as_str()), ("c1", "eth0"));
    assert_eq!(request.netns.as_deref(), Some("/run/netns/c1"));
    assert_eq!(request.path, ["/a", "/b/"]);
    assert!(request.netns_override);
    assert_eq!((request.raw["type"].as_str(), request.stdin.as_str()), (Some("bridge"), CONFIG));
    assert_eq!((request.version, request.network.as_str()), (Version::V1_1_0, "lan"));
    assert_eq!(request.args, "IgnoreUnknown=1");
}

#[test]
fn del_needs_no_network_namespace_and_an_old_configuration_no_version() {
    let del = Environment { netns: String::new(), ..environment("DEL") };
    let request = Request::parse(del, br#"{"NAME": "lan"}"#, ALL).unwrap();
    assert_eq!((request.netns, request.version), (None, Version::V0_1_0));
    assert!(!request.netns_override);
}

#[test]
fn the_override_is_1_or_true_in_any_case() {
    for (text, expected) in
        [("1", true), ("true", true), ("True", true), ("yes", false), ("0", false), ("", false)]
    {
        let add = Environment { netns_override: text.to_owned(), ..environment("ADD") };
        let request = Request::parse(add, CONFIG.as_bytes(), ALL).unwrap();
        assert_eq!(request.netns_override, expected, "{text:?}");
    }
}

#[test]
fn variables_are_read_by_their_names() {
    let environment = Environment::read(|name| (name != "CNI_COMMAND").then(|| name.to_owned()));
    assert!(wants_about(&environment));
    assert_eq!(environment.container_id, "CNI_CONTAINERID");
    assert_eq!(environment.netns, "CNI_NETNS");
    assert_eq!(environment.ifname, "CNI_IFNAME");
    assert_eq!(environment.args, "CNI_ARGS");
    assert_eq!(environment.path, "CNI_PATH");
    assert_eq!(environment.netns_override, "CNI_NETNS_OVERRIDE");
}

#[test]
fn commands_are_upper_case() {
    for command in Command::ALL {
        assert_eq!(Command::parse(&command.to_string()), Ok(command));
        assert!(Command::parse(&command.to_string().to_lowercase()).is_err());
    }
}
