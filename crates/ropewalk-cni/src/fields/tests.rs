//! The JSON dialect, the collected errors and the unknown keys.

use super::*;
use serde_json::json;

/// What a view reports after it was read.
#[track_caller]
fn check(value: &Value, read: impl FnOnce(&Fields), expected: &[&str]) {
    let fields = Fields::new(value, "");
    read(&fields);
    let errors = fields.finish().err().unwrap_or_default();
    let shown: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(shown, expected, "{value}");
}

#[test]
fn keys_match_in_any_letter_case_and_null_is_absent() {
    let value = json!({"Bridge": "b0", "ISGATEWAY": true, "mtu": null});
    let fields = Fields::new(&value, "");
    assert_eq!(fields.string("bridge").as_deref(), Some("b0"));
    assert_eq!(fields.bool("isGateway"), Some(true));
    assert_eq!(fields.u32("mtu"), None);
    assert_eq!(fields.keys(), ["Bridge", "ISGATEWAY"]);
    assert_eq!(fields.finish(), Ok(()));
}

#[test]
fn wrong_types_are_reported_with_their_path() {
    let value = json!({"s": 5, "b": "x", "n": "x", "o": [], "a": {}, "l": ["x", 5, null]});
    check(
        &value,
        |fields| {
            assert_eq!(fields.string("s"), None);
            assert_eq!(fields.bool("b"), None);
            assert_eq!(fields.u32("n"), None);
            assert!(fields.object("o").is_none());
            assert!(fields.array("a").is_none());
            let expected = vec!["x".to_owned(), String::new()];
            assert_eq!(fields.strings("l"), Some(expected));
        },
        &[
            "json: cannot unmarshal number into field s of type string",
            "json: cannot unmarshal string into field b of type bool",
            "json: cannot unmarshal string into field n of type int",
            "json: cannot unmarshal array into field o of type object",
            "json: cannot unmarshal object into field a of type array",
            "json: cannot unmarshal number into field l[1] of type string",
        ],
    );
}

#[test]
fn numbers_must_be_whole_and_fit() {
    let value = json!({
        "half": 1.5, "whole": 1.0, "below": -1, "above": 4_294_967_296_u64,
        "huge": 18_446_744_073_709_551_615_u64, "max": 4_294_967_295_u64,
    });
    check(
        &value,
        |fields| {
            assert_eq!(fields.u32("half"), None);
            assert_eq!(fields.u32("whole"), None);
            assert_eq!(fields.u32("below"), None);
            assert_eq!(fields.u32("above"), None);
            assert_eq!(fields.i64("huge"), None);
            assert_eq!(fields.u64("below"), None);
            assert_eq!(fields.u64("huge"), Some(u64::MAX));
            assert_eq!(fields.u32("max"), Some(u32::MAX));
            assert_eq!(fields.i64("below"), Some(-1));
        },
        &[
            "json: cannot unmarshal number 1.5 into field half of type int",
            "json: cannot unmarshal number 1.0 into field whole of type int",
            "json: cannot unmarshal number -1 into field below of type uint32",
            "json: cannot unmarshal number 4294967296 into field above of type uint32",
            "json: cannot unmarshal number 18446744073709551615 into field huge of type int",
            "json: cannot unmarshal number -1 into field below of type uint64",
        ],
    );
}

#[test]
fn inner_views_report_to_the_same_list() {
    let value = json!({"mtu": "x", "ipam": {"ranges": [[{}, {"subnet": 5}], 7]}});
    check(
        &value,
        |fields| {
            fields.u32("mtu");
            let ipam = fields.object("ipam").unwrap();
            for (path, range_set) in ipam.array("ranges").unwrap() {
                for (path, range) in ipam.read_array(&path, range_set).unwrap_or_default() {
                    let range = ipam.child(path, range);
                    if range.string("subnet").is_none() {
                        range.report("missing subnet");
                    }
                }
            }
            ipam.report_at("gateway", "not in subnet");
        },
        &[
            "json: cannot unmarshal string into field mtu of type int",
            "ipam.ranges[0][0]: missing subnet",
            "json: cannot unmarshal number into field ipam.ranges[0][1].subnet of type string",
            "ipam.ranges[0][1]: missing subnet",
            "json: cannot unmarshal number into field ipam.ranges[1] of type array",
            "ipam.gateway: not in subnet",
        ],
    );
}

#[test]
fn objects_in_arrays_are_viewed_one_by_one() {
    check(
        &json!({"routes": [{"dst": "a"}, "b", null]}),
        |fields| {
            let routes = fields.objects("routes").unwrap();
            let dst: Vec<_> = routes.iter().map(|route| route.string("dst")).collect();
            assert_eq!(dst, [Some("a".to_owned()), None]);
            assert_eq!(routes[1].path(), "routes[2]");
        },
        &["json: cannot unmarshal string into field routes[1] of type object"],
    );
}

#[test]
fn a_document_that_is_no_object_is_reported_and_empty() {
    check(
        &json!("x"),
        |fields| {
            assert_eq!(fields.string("name"), None);
            assert!(fields.unknown_keys().is_empty());
        },
        &["json: cannot unmarshal string into Go value of type object"],
    );
    check(&Value::Null, |fields| assert!(fields.keys().is_empty()), &[]);
}

#[test]
fn a_parser_reports_in_its_own_words() {
    check(
        &json!({"good": "7", "bad": "seven"}),
        |fields| {
            assert_eq!(fields.parsed("good", str::parse::<u8>), Some(7));
            assert_eq!(fields.parsed("bad", str::parse::<u8>), None);
            assert_eq!(fields.parsed("absent", str::parse::<u8>), None);
        },
        &["bad: invalid digit found in string"],
    );
}

#[test]
fn string_maps_keep_their_keys_as_written() {
    check(
        &json!({"sysctl": {"net.ipv4.Conf": "1", "b": 2}}),
        |fields| {
            let map = fields.string_map("sysctl").unwrap();
            assert_eq!(map.into_iter().collect::<Vec<_>>(), [("net.ipv4.Conf".into(), "1".into())]);
            assert!(fields.unknown_keys().is_empty());
        },
        &["json: cannot unmarshal number into field sysctl.b of type string"],
    );
}

#[test]
fn keys_nobody_asked_for_are_listed_with_their_paths() {
    let value = json!({
        "name": "lan", "Type": "x", "mtU": 1, "extra": 1,
        "ipam": {"type": "y", "rangs": []}, "ipamx": {"z": 1}, "unread": {"inner": 1},
    });
    let fields = Fields::new(&value, "");
    fields.allow(&["name", "type"]);
    fields.u32("mtu");
    let ipam = fields.object("ipam").unwrap();
    ipam.string("type");
    fields.object("ipamx").unwrap();
    assert_eq!(fields.unknown_keys(), ["extra", "unread", "ipam.rangs", "ipamx.z"]);
    assert_eq!(ipam.unknown_keys(), ["ipam.rangs"]);
    assert_eq!(ipam.asked_keys(), ["ipam.type"]);
    fields.object("ipam").unwrap().value("rangs");
    assert!(ipam.unknown_keys().is_empty());
    let asked = ["ipam", "ipamx", "mtu", "name", "type", "ipam.rangs", "ipam.type"];
    assert_eq!(fields.asked_keys(), asked);
}

#[test]
fn one_problem_keeps_its_message_and_gets_its_place_as_details() {
    let error =
        |path: &str, message: &str| FieldError { path: path.into(), message: message.into() };
    for (prefix, errors, expected) in [
        ("", vec![error("mtu", "invalid mtu 5")], "invalid mtu 5"),
        ("", vec![error("ipam.ips[0]", "no such range")], "no such range; at ipam.ips[0]"),
        ("failed to load netconf", vec![error("", "bad")], "failed to load netconf: bad"),
        (
            "failed to load netconf",
            vec![error("a", "first"), error("b", "wrong b")],
            "failed to load netconf: first; a: first; wrong b",
        ),
        ("", vec![], "invalid configuration"),
    ] {
        let error = config_error(prefix, &errors);
        assert_eq!((error.code, error.to_string().as_str()), (7, expected));
    }
}
