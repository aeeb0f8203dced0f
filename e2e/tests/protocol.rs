//! P: what every plugin shares: environment, standard input, versions and errors.

use ropewalk_e2e::{Lab, Plugin, Sample, Value, json};

fn bridge_config(version: &str) -> Value {
    json!({ "cniVersion": version, "name": "net", "type": "bridge" })
}

/// The bridge plugin on container `c1`, whose namespace exists.
fn bridge(lab: &Lab) -> Plugin<'_> {
    lab.netns("c1");
    lab.plugin("bridge").on("c1").config(bridge_config("1.0.0"))
}

#[test]
fn p_1_without_a_command_every_plugin_tells_about_itself_on_stderr() {
    let lab = Lab::new();
    for name in lab.plugin_names() {
        let outcome = lab.plugin(name).without("CNI_PATH").run();
        assert_eq!((outcome.code, outcome.stdout.as_str()), (0, ""), "{outcome}");
        let lines: Vec<&str> = outcome.stderr.lines().collect();
        assert_eq!(lines.len(), 2, "{outcome}");
        assert!(lines[0].starts_with(&format!("CNI {name} plugin ")), "{outcome}");
        if !lab.reference_fails("1.1.1 knows the specification to 1.0.0 only") {
            let versions = Sample::of(name).versions().join(", ");
            assert_eq!(lines[1], format!("CNI protocol versions supported: {versions}"));
        }
    }
}

#[test]
fn p_2_without_a_command_standard_input_is_ignored() {
    let lab = Lab::new();
    let outcome = lab.plugin("bridge").stdin("not JSON").run();
    assert_eq!((outcome.code, outcome.stdout.as_str()), (0, ""), "{outcome}");
    assert!(outcome.stderr.starts_with("CNI bridge plugin "), "{outcome}");
}

#[test]
fn p_3_version_answers_one_compact_line_without_reading_standard_input() {
    let lab = Lab::new();
    if lab.reference_fails("1.1.1 knows the specification to 1.0.0 only") {
        return;
    }
    for stdin in ["", "not JSON"] {
        let outcome = lab.plugin("bridge").command("VERSION").stdin(stdin).run();
        assert_eq!(
            outcome.stdout,
            concat!(
                r#"{"cniVersion":"1.1.0","supportedVersions":"#,
                r#"["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}"#,
                "\n"
            ),
            "{outcome}"
        );
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome}");
    }
}

#[test]
fn p_4_version_lists_what_each_plugin_supports() {
    let lab = Lab::new();
    if lab.reference_fails("1.1.1 knows the specification to 1.0.0 only") {
        return;
    }
    for name in lab.plugin_names() {
        let answer = lab.plugin(name).command("VERSION").run().result();
        let expected =
            json!({ "cniVersion": "1.1.0", "supportedVersions": Sample::of(name).versions() });
        assert_eq!(answer, expected, "{name}");
    }
}

#[test]
fn p_5_an_unknown_command_is_an_error() {
    let lab = Lab::new();
    let outcome = bridge(&lab).command("FOO").run();
    assert_eq!(outcome.error_with_code(4), "unknown CNI_COMMAND: FOO");
}

#[test]
fn p_6_commands_are_upper_case() {
    let lab = Lab::new();
    let outcome = bridge(&lab).command("add").run();
    assert_eq!(outcome.error_with_code(4), "unknown CNI_COMMAND: add");
    assert!(!lab.exists("/sys/class/net/cni0"));
}

fn missing(verb: &str) -> String {
    let lab = Lab::new();
    let message = |plugin: &str| {
        let plugin = lab.plugin(plugin).without("CNI_PATH").command(verb);
        plugin.config(bridge_config("1.1.0")).run().error_with_code(4)
    };
    let answer = message("bridge");
    for name in lab.plugin_names() {
        assert_eq!(message(name), answer, "{name}");
    }
    answer
}

#[test]
fn p_7_add_lists_every_missing_variable() {
    assert_eq!(
        missing("ADD"),
        "required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH] missing"
    );
}

#[test]
fn p_8_del_does_not_need_a_namespace() {
    assert_eq!(
        missing("DEL"),
        "required env variables [CNI_CONTAINERID,CNI_IFNAME,CNI_PATH] missing"
    );
}

#[test]
fn p_9_check_needs_what_add_needs() {
    assert_eq!(
        missing("CHECK"),
        "required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH] missing"
    );
}

#[test]
fn p_10_gc_needs_the_plugin_path_only() {
    if Lab::new().reference_fails("1.1.1 has no GC") {
        return;
    }
    assert_eq!(missing("GC"), "required env variables [CNI_PATH] missing");
}

#[test]
fn p_11_container_id_with_a_leading_dash_is_refused() {
    let lab = Lab::new();
    let error = bridge(&lab).container("-abc").add().error();
    assert_eq!((error.code, error.msg.as_str()), (4, "invalid characters in containerID"));
    assert_eq!(error.details, "-abc");
}

#[test]
fn p_12_container_ids_have_a_small_alphabet() {
    let lab = Lab::new();
    let bridge = bridge(&lab);
    for id in ["a/b", "a b", "ü", "_a", ".a", "a\nb"] {
        let error = bridge.clone().container(id).add().error();
        assert_eq!((error.code, error.msg.as_str()), (4, "invalid characters in containerID"));
        assert_eq!(error.details, id);
    }
    let long = "Az09_.-".repeat(40);
    bridge.clone().container(&long).add().result();
}

#[test]
fn p_13_a_bad_container_id_is_reported_before_missing_variables() {
    let lab = Lab::new();
    if lab.reference_fails("1.1.1 looks for missing variables first") {
        return;
    }
    let outcome = bridge(&lab).container("a/b").without("CNI_IFNAME").add();
    assert_eq!(outcome.error_with_code(4), "invalid characters in containerID");
}

#[test]
fn p_14_interface_names_have_at_most_fifteen_bytes() {
    let lab = Lab::new();
    let bridge = bridge(&lab);
    for name in ["a234567890123456", "üüüüüüüü"] {
        let error = bridge.clone().ifname(name).add().error();
        assert_eq!((error.code, error.msg.as_str()), (4, "interface name is too long"));
        assert_eq!(error.details, "interface name should be less than 16 characters");
    }
    let result = bridge.ifname("a23456789012345").add().result();
    assert_eq!(result["interfaces"][2]["name"], "a23456789012345");
}

#[test]
fn p_15_dots_are_not_interface_names() {
    let lab = Lab::new();
    let bridge = bridge(&lab);
    for name in [".", ".."] {
        let outcome = bridge.clone().ifname(name).add();
        assert_eq!(outcome.error_with_code(4), "interface name is . or ..");
    }
}

#[test]
fn p_16_interface_names_have_no_slash_colon_or_white_space() {
    let lab = Lab::new();
    let bridge = bridge(&lab);
    for name in ["a/b", "a:b", "a b", "a\tb", "a\u{a0}b", "a\u{2003}b"] {
        let outcome = bridge.clone().ifname(name).add();
        assert_eq!(
            outcome.error_with_code(4),
            "interface name contains / or : or whitespace characters",
            "{name:?}"
        );
    }
}

#[test]
fn p_17_empty_standard_input_is_a_decode_failure() {
    let lab = Lab::new();
    let outcome = bridge(&lab).stdin("").add();
    assert_eq!(
        outcome.error_with_code(6),
        "error unmarshall network config: unexpected end of JSON input"
    );
}

#[test]
fn p_18_junk_after_the_configuration_is_a_decode_failure() {
    let lab = Lab::new();
    let bridge = bridge(&lab);
    for stdin in [r#"{"cniVersion":"1.0.0","name":"net"} junk"#, "[]", "{", "\"net\""] {
        let message = bridge.clone().stdin(stdin).add().error_with_code(6);
        assert!(message.starts_with("error unmarshall network config: "), "{stdin}: {message}");
    }
}

#[test]
fn p_19_a_network_has_a_name() {
    let lab = Lab::new();
    lab.netns("c1");
    for plugin in lab.plugin_names() {
        for verb in ["ADD", "DEL"] {
            for name in [Value::Null, json!("")] {
                let plugin = lab.plugin(plugin).on("c1").config(Sample::of(plugin).config("1.0.0"));
                let outcome = plugin.key("name", &name).command(verb).run();
                assert_eq!(outcome.error_with_code(7), "missing network name");
            }
        }
    }
}

#[test]
fn p_20_network_names_have_a_small_alphabet() {
    let lab = Lab::new();
    let bridge = bridge(&lab);
    for name in ["a b", "a/b", "-a"] {
        let error = bridge.clone().key("name", &json!(name)).add().error();
        assert_eq!(error.code, 7);
        assert_eq!(error.msg, "invalid characters found in network name");
        assert_eq!(error.details, name);
    }
}

#[test]
fn p_21_an_unknown_version_is_refused_by_add_and_del() {
    let lab = Lab::new();
    let bridge = bridge(&lab);
    for version in ["9.9.9", "0.4.1", "1.0"] {
        for verb in ["ADD", "DEL"] {
            let plugin = bridge.clone().key("cniVersion", &json!(version));
            let error = plugin.command(verb).run().error();
            assert_eq!((error.code, error.msg.as_str()), (1, "incompatible CNI versions"));
            let start = format!(
                r#"config is "{version}", plugin supports ["0.1.0" "0.2.0" "0.3.0" "0.3.1" "0.4.0" "1.0.0""#
            );
            assert!(error.details.starts_with(&start), "{}", error.details);
        }
    }
}

#[test]
fn p_22_the_version_is_a_string() {
    let lab = Lab::new();
    let outcome = bridge(&lab).key("cniVersion", &json!(5)).add();
    let message = outcome.error_with_code(6);
    assert!(message.starts_with("decoding version from network config: "), "{message}");
}

#[test]
fn p_23_a_configuration_without_version_means_the_first() {
    let lab = Lab::new();
    lab.netns("c1");
    let ipam = json!({ "type": "host-local", "subnet": "10.1.2.0/24" });
    let bridge = lab.plugin("bridge").on("c1").config(bridge_config("")).key("ipam", &ipam);
    let result = bridge.add().result();
    assert_eq!(result["cniVersion"], "0.1.0");
    assert_eq!(result["ip4"]["ip"], "10.1.2.2/24");
    bridge.key("cniVersion", &Value::Null).del_without_result().silent();
}

fn refused_version(verb: &str, version: &str) -> (i64, String) {
    let lab = Lab::new();
    let plugin = bridge(&lab).key("cniVersion", &json!(version)).command(verb);
    let error = plugin.run().error();
    (error.code, error.msg)
}

#[test]
fn p_24_check_is_younger_than_0_3_1() {
    let expected = (1, "config version does not allow CHECK".to_owned());
    assert_eq!(refused_version("CHECK", "0.3.1"), expected);
    assert_eq!(refused_version("CHECK", ""), expected);
}

#[test]
fn p_25_check_of_a_future_version_is_refused() {
    let expected = (1, "plugin version does not allow CHECK".to_owned());
    assert_eq!(refused_version("CHECK", "9.9.9"), expected);
}

#[test]
fn p_26_check_of_a_version_between_two_is_refused() {
    let expected = (1, "incompatible CNI versions".to_owned());
    assert_eq!(refused_version("CHECK", "0.4.1"), expected);
}

#[test]
fn p_27_check_of_a_version_that_is_no_number_is_a_decode_failure() {
    let (code, message) = refused_version("CHECK", "abc");
    assert_eq!(code, 6);
    assert!(message.contains(r#"failed to convert major version part "abc""#), "{message}");
}

#[test]
fn p_28_gc_and_status_are_younger_than_1_0_0() {
    if Lab::new().reference_fails("1.1.1 has neither GC nor STATUS") {
        return;
    }
    for verb in ["GC", "STATUS"] {
        let expected = (1, format!("config version does not allow {verb}"));
        assert_eq!(refused_version(verb, "1.0.0"), expected);
        let expected = (1, format!("plugin version does not allow {verb}"));
        assert_eq!(refused_version(verb, "9.9.9"), expected);
        assert_eq!(refused_version(verb, "abc").0, 6);
    }
}
