//! Every message of section 2.1 and the constructions of section 2.2.

use super::*;
use serde_json::json;
use std::time::Duration;

#[track_caller]
fn refused(text: &str, expected: &str) {
    let error = NetworkList::parse(text.as_bytes()).unwrap_err();
    assert_eq!((error.code, error.to_string().as_str()), (7, expected), "{text}");
}

#[track_caller]
fn refused_list(text: &str, expected: &str) {
    refused(text, &format!("error parsing configuration list: {expected}"));
}

fn parse(value: &Value) -> NetworkList {
    NetworkList::parse(value.to_string().as_bytes()).unwrap()
}

#[test]
fn a_list_needs_a_name_and_texts_where_texts_belong() {
    refused_list("", "unexpected end of JSON input");
    let wanted = "Go value of type map[string]interface {}";
    refused_list("[]", &format!("json: cannot unmarshal array into {wanted}"));
    refused_list("{}", "no name");
    refused_list(r#"{"name": 5}"#, "invalid name type float64");
    refused_list(r#"{"name": null}"#, "invalid name type <nil>");
    refused_list(r#"{"name": "x", "cniVersion": 1}"#, "invalid cniVersion type float64");
}

#[test]
fn switches_are_booleans_or_texts_of_booleans() {
    for key in ["disableCheck", "disableGC", "loadOnlyInlinedPlugins"] {
        for (value, expected) in [
            (json!(true), Ok(true)),
            (json!(false), Ok(false)),
            (json!("TRUE"), Ok(true)),
            (json!("false"), Ok(false)),
            (json!("yes"), Err(format!("invalid value \"yes\" for {key}"))),
            (json!(1), Err(format!("invalid type float64 for {key}"))),
            (json!({}), Err(format!("invalid type map[string]interface {{}} for {key}"))),
        ] {
            let document = json!({"name": "x", key: value, "plugins": [{"type": "a"}]});
            match expected {
                Ok(expected) => {
                    let list = parse(&document);
                    let found = match key {
                        "disableCheck" => list.disable_check,
                        "disableGC" => list.disable_gc,
                        _ => list.load_only_inlined_plugins,
                    };
                    assert_eq!(found, expected, "{document}");
                }
                Err(reason) => refused_list(&document.to_string(), &reason),
            }
        }
    }
}

#[test]
fn plugins_must_be_objects_with_a_type() {
    refused_list(r#"{"name": "x", "plugins": []}"#, "no plugins in list");
    refused_list(r#"{"name": "x", "plugins": "a"}"#, "invalid 'plugins' type string: \"a\"");
    refused_list(
        r#"{"name": "x", "loadOnlyInlinedPlugins": true}"#,
        "`loadOnlyInlinedPlugins` is true, and no 'plugins' key",
    );
    let missing = "error parsing configuration: missing 'type'";
    refused(
        r#"{"name": "x", "plugins": [{}]}"#,
        &format!("failed to parse plugin config 0: {missing}"),
    );
    refused(
        r#"{"name": "x", "plugins": [{"type": "a"}, {"name": "b"}]}"#,
        &format!("failed to parse plugin config 1: {missing}"),
    );
}

#[test]
fn the_newest_version_we_speak_is_picked() {
    for (written, offered, expected) in [
        (json!(null), json!(["0.4.0", "1.0.0", "9.9.9"]), "1.0.0"),
        (json!("1.1.0"), json!(["0.4.0", "1.0.0"]), "1.1.0"),
        (json!("0.4.0"), json!(["1.0.0", "0.3.1"]), "1.0.0"),
        (json!("9.0.0"), json!(["1.0.0"]), "1.0.0"),
        (json!("9.0.0"), json!(["9.9.9"]), "9.0.0"),
        (json!(null), json!(["9.9.9"]), ""),
        (json!("0.4.0"), json!([]), "0.4.0"),
        (json!("0.4.0"), json!(null), "0.4.0"),
    ] {
        let mut document = json!({"name": "x", "plugins": [{"type": "a"}]});
        if !written.is_null() {
            document["cniVersion"] = written;
        }
        if !offered.is_null() {
            document["cniVersions"] = offered;
        }
        assert_eq!(parse(&document).cni_version, expected, "{document}");
    }
}

#[test]
fn malformed_versions_are_named_with_their_index() {
    let atoi = |part| {
        let conversion = format!("failed to convert major version part \"{part}\"");
        format!("{conversion}: strconv.Atoi: parsing \"{part}\": invalid syntax")
    };
    refused_list(
        r#"{"name": "x", "cniVersions": ["abc"]}"#,
        &format!("invalid cniVersions entry abc at index 0: {}", atoi("abc")),
    );
    refused_list(
        r#"{"name": "x", "cniVersion": "zz", "cniVersions": ["1.0.0"]}"#,
        &format!("invalid cniVersion zz: {}", atoi("zz")),
    );
    refused_list(
        r#"{"name": "x", "cniVersions": ["1.0.0", 5]}"#,
        "invalid type for cniVersions index 1: float64",
    );
    refused_list(r#"{"name": "x", "cniVersions": "1"}"#, "invalid type for cniVersions: string");
}

#[test]
fn plugins_of_the_folder_are_appended() {
    let text = br#"{"name": "x", "plugins": [{"type": "a"}]}"#;
    let mut list = NetworkList::parse(text).unwrap();
    list.append_plugin(br#"{"type": "b"}"#).unwrap();
    let types: Vec<_> = list.plugins.iter().map(|plugin| plugin.plugin_type.as_str()).collect();
    assert_eq!(types, ["a", "b"]);
    assert_eq!(list.bytes, text);
    let error = list.append_plugin(b"{}").unwrap_err();
    assert_eq!(error.msg, "error parsing configuration: missing 'type'");
}

#[test]
fn a_network_without_plugins_cannot_run() {
    let list = parse(&json!({"name": "x"}));
    assert_eq!(list.require_plugins().unwrap_err().msg, "no plugin configs found");
    let list = parse(&json!({"name": "x", "plugins": [{"type": "a"}]}));
    assert_eq!(list.require_plugins(), Ok(()));
}

#[test]
fn a_single_plugin_becomes_a_list_with_a_made_up_text() {
    let text = br#"{"type": "bridge", "name": "s", "cniVersion": "0.4.0", "bridge": "b<0>"}"#;
    let list = NetworkList::parse_single(text).unwrap();
    let expected = concat!(
        r#"{"cniVersion":"0.4.0","name":"s","plugins":[{"bridge":"b\u003c0\u003e","#,
        r#""cniVersion":"0.4.0","name":"s","type":"bridge"}]}"#,
    );
    assert_eq!(String::from_utf8_lossy(&list.bytes), expected);
    assert_eq!(NetworkList::parse(&list.bytes), Ok(list));
    assert!(NetworkList::parse_single(br#"{"name": "s"}"#).is_err());
}

#[test]
fn networks_that_are_not_there_are_named() {
    assert_eq!(no_configurations("/d").msg, "no net configurations found in /d");
    let expected = r#"no net configuration with name "s" in /d"#;
    assert_eq!(no_such_network("s", "/d").msg, expected);
}

#[test]
fn a_plugin_receives_name_version_previous_result_and_its_capabilities() {
    let list = parse(&json!({
        "name": "lan", "cniVersion": "1.0.0",
        "plugins": [{
            "type": "x", "name": "own", "cniVersion": "0.1.0", "z": 1.0,
            "capabilities": {"mac": true, "portMappings": false, "ips": true},
        }],
    }));
    let arguments = json!({"mac": "m", "portMappings": [], "dns": {}});
    let arguments = arguments.as_object().unwrap();
    let result = json!({"ips": [], "cniVersion": "1.0.0"});
    let expected = concat!(
        r#"{"capabilities":{"ips":true,"mac":true,"portMappings":false},"cniVersion":"1.0.0","#,
        r#""name":"lan","prevResult":{"cniVersion":"1.0.0","ips":[]},"#,
        r#""runtimeConfig":{"mac":"m"},"type":"x","z":1}"#,
    );
    assert_eq!(list.plugin_stdin(&list.plugins[0], Some(&result), arguments), expected);
}

#[test]
fn what_is_not_there_is_not_injected() {
    let list = parse(&json!({"name": "lan", "plugins": [{"type": "x"}]}));
    let arguments = json!({"mac": "m"});
    let stdin = list.plugin_stdin(&list.plugins[0], None, arguments.as_object().unwrap());
    assert_eq!(stdin, r#"{"cniVersion":"","name":"lan","type":"x"}"#);
    assert_eq!(list.gc_stdin(&list.plugins[0], None), stdin);
}

#[test]
fn gc_names_the_valid_attachments_under_both_keys() {
    let list = parse(&json!({"name": "n", "cniVersion": "1.1.0", "plugins": [{"type": "x"}]}));
    let id = AttachmentId { container_id: "c1".to_owned(), ifname: "eth0".to_owned() };
    let ids = r#"[{"containerID":"c1","ifname":"eth0"}]"#;
    let valid = ValidAttachments { attachments: vec![id], until: None };
    let stdin = list.gc_stdin(&list.plugins[0], Some(&valid));
    let expected = format!(
        "{{\"cni.dev/attachments\":{ids},\"cni.dev/valid-attachments\":{ids},\
         \"cniVersion\":\"1.1.0\",\"name\":\"n\",\"type\":\"x\"}}"
    );
    assert_eq!(stdin, expected);
    let none = ValidAttachments { until: Some(Duration::from_secs(2)), ..Default::default() };
    let stdin = list.gc_stdin(&list.plugins[0], Some(&none));
    assert!(stdin.contains(r#"attachments":[],"cni.dev/valid-attachments-time":2000,"#), "{stdin}");
}
