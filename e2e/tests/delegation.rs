//! D: how an interface plugin runs the address plugin, and what it makes of its answers.

use ropewalk_e2e::{CniError, Lab, Outcome, Plugin, Value, json};

fn bridge<'lab>(lab: &'lab Lab, ipam: &Value) -> Plugin<'lab> {
    lab.netns("c1");
    let config = json!({ "cniVersion": "1.0.0", "name": "net", "type": "bridge", "ipam": ipam });
    lab.plugin("bridge").on("c1").config(config)
}

/// Runs ADD with an address plugin that is this script; nothing may be left when it fails.
fn add_with(script: &str) -> Outcome {
    let lab = Lab::new();
    let before = lab.snapshot();
    let path = lab.delegate("pool", script);
    let outcome = bridge(&lab, &json!({ "type": "pool" })).path(&path).add();
    if outcome.code != 0 && !lab.reference_fails("it leaves the link") {
        lab.nothing_left(&before);
        assert!(!lab.has_link("c1", "eth0"));
    }
    outcome
}

#[test]
fn d_69_the_name_of_an_address_plugin_is_not_a_path() {
    for name in ["a/b", "../bridge", "/bin/true"] {
        let lab = Lab::new();
        let plugin = bridge(&lab, &json!({ "type": name }));
        assert_eq!(plugin.add().refused(), format!("invalid plugin name: {name}"));
    }
}

#[test]
fn d_70_an_absent_address_plugin_is_named_with_the_path() {
    for (path, told) in [("/x", "[/x]"), ("/x:/y", "[/x /y]"), ("/run/lab", "[/run/lab]")] {
        let lab = Lab::new();
        lab.sh("mkdir -p /run/lab/nope");
        let before = lab.snapshot();
        let plugin = bridge(&lab, &json!({ "type": "nope" })).path(path);
        let expected = format!("failed to find plugin \"nope\" in path {told}");
        assert_eq!(plugin.add().failure(), expected);
        if !lab.reference_fails("it leaves the link") {
            lab.nothing_left(&before);
        }
    }
}

#[test]
fn d_70_the_first_directory_with_the_address_plugin_wins() {
    let lab = Lab::new();
    let answer = r#"echo '{"ips":[{"address":"10.7.7.7/24"}]}'"#;
    let path = lab.delegate("host-local", answer);
    let ipam = json!({ "type": "host-local", "subnet": "10.1.2.0/24" });
    let plugin = bridge(&lab, &ipam);
    let first = plugin.clone().path(&path).add().result();
    assert_eq!(first["ips"][0]["address"], "10.7.7.7/24");
    assert!(lab.leases("net").is_empty());
    let swapped = format!("{}:/run/lab/delegates", lab.plugin_directory());
    let second = plugin.ifname("eth1").path(&swapped).add().result();
    assert_eq!(second["ips"][0]["address"], "10.1.2.2/24");
}

#[test]
fn d_71_an_error_object_of_the_address_plugin_passes_unchanged() {
    let expected = CniError { code: 11, msg: "try".to_owned(), details: "dd".to_owned() };
    let script = r#"echo '{"code":11,"msg":"try","details":"dd"}'; exit 1"#;
    assert_eq!(add_with(script).error(), expected);
    let with_version =
        r#"echo '{"cniVersion":"1.0.0","code":11,"msg":"try","details":"dd"}'; exit 7"#;
    assert_eq!(add_with(with_version).error(), expected);
}

#[test]
fn d_71_an_error_object_passes_from_check_and_del_too() {
    let lab = Lab::new();
    let path = lab.delegate(
        "pool",
        r#"if [ $CNI_COMMAND = ADD ]; then echo '{"ips":[{"address":"10.1.2.2/24"}]}'; exit; fi
        echo '{"code":11,"msg":"try '$CNI_COMMAND'"}'; exit 1"#,
    );
    let plugin = bridge(&lab, &json!({ "type": "pool" })).path(&path);
    let result = plugin.add().result();
    assert_eq!(plugin.check(&result).error_with_code(11), "try CHECK");
    assert_eq!(plugin.del(&result).error_with_code(11), "try DEL");
}

#[test]
fn d_73_a_silent_failure_tells_its_exit_status() {
    let message = add_with("exit 3").error_with_code(0);
    assert_eq!(message, "netplugin failed with no error message: exit status 3");
}

#[test]
fn d_74_a_failure_with_text_on_stderr_only_tells_the_text() {
    let message = add_with("echo 'no \"luck\"' >&2; exit 1").error_with_code(0);
    assert!(message.starts_with(r#"netplugin failed: "no \"luck\"\n""#), "{message}");
}

#[test]
fn d_75_a_failure_with_something_else_than_json_tells_it() {
    let message = add_with("echo gibberish; exit 1").error_with_code(0);
    let start = r#"netplugin failed but error parsing its diagnostic message "gibberish\n": "#;
    assert!(message.starts_with(start), "{message}");
}

#[test]
fn d_76_success_without_json_is_a_failure() {
    let message = add_with("echo gibberish").failure();
    assert!(message.starts_with("failed to unmarshal raw result: "), "{message}");
    let message = add_with(r#"echo '{"ips":7}'"#).failure();
    assert!(message.contains("json: cannot unmarshal number"), "{message}");
}

#[test]
fn d_77_stderr_of_a_successful_address_plugin_is_passed_on() {
    let outcome =
        add_with(r#"echo "from the pool" >&2; echo '{"ips":[{"address":"10.1.2.2/24"}]}'"#);
    assert_eq!(outcome.result()["ips"][0]["address"], "10.1.2.2/24");
    assert_eq!(outcome.stderr, "from the pool\n");
}

#[test]
fn d_78_a_file_that_cannot_be_executed_is_found_and_fails() {
    let lab = Lab::new();
    let path = lab.delegate("pool", "exit 0");
    lab.sh("chmod 644 /run/lab/delegates/pool");
    let message = bridge(&lab, &json!({ "type": "pool" })).path(&path).add().error_with_code(0);
    assert!(message.contains("/run/lab/delegates/pool: permission denied"), "{message}");
}

#[test]
fn d_79_a_result_without_addresses_is_a_failure() {
    let lab = Lab::new();
    let before = lab.snapshot();
    let message = bridge(&lab, &json!({ "type": "static" })).add().failure();
    assert_eq!(message, "IPAM plugin returned missing IP config");
    if !lab.reference_fails("it leaves the link") {
        lab.nothing_left(&before);
    }
    assert_eq!(
        add_with(r#"echo '{"cniVersion":"1.0.0","routes":[{"dst":"0.0.0.0/0"}]}'"#).failure(),
        "IPAM plugin returned missing IP config"
    );
}

/// An address plugin that writes down what it is given and answers a fixed address.
const WITNESS: &str = r#"
cat >/run/lab/stdin.$CNI_COMMAND
env | grep -Ev "^(PATH|PWD|_)=" | sort >/run/lab/environment.$CNI_COMMAND
echo $CNI_COMMAND >>/run/lab/calls
echo '{"cniVersion":"1.0.0","ips":[{"address":"10.1.2.2/24","gateway":"10.1.2.1"}]}'
"#;

#[test]
fn d_80_the_address_plugin_sees_the_whole_configuration_and_environment() {
    let lab = Lab::new();
    let path = lab.delegate("witness", WITNESS);
    let plugin = bridge(&lab, &json!({ "type": "witness", "pool": ["odd", { "key": 1 }] }))
        .path(&path)
        .args("IgnoreUnknown=1;K8S_POD_NAME=pod")
        .variable("OTHER", "kept")
        .key("args", &json!({ "cni": { "ips": ["10.1.2.2"] } }))
        .key("unknown", &json!([1, 2.5, "x<&>"]));
    let result = plugin.add().result();
    assert_eq!(lab.read("/run/lab/calls"), "ADD\n");
    let stdin: Value = serde_json::from_str(&lab.read("/run/lab/stdin.ADD")).expect("JSON");
    assert_eq!(
        stdin,
        json!({
            "cniVersion": "1.0.0", "name": "net", "type": "bridge",
            "ipam": { "type": "witness", "pool": ["odd", { "key": 1 }] },
            "args": { "cni": { "ips": ["10.1.2.2"] } }, "unknown": [1, 2.5, "x<&>"],
        })
    );
    plugin.check(&result).silent();
    plugin.del(&result).silent();
    assert_eq!(lab.read("/run/lab/calls"), "ADD\nCHECK\nDEL\n");
    for verb in ["ADD", "CHECK", "DEL"] {
        let expected = format!(
            "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAME=pod\nCNI_COMMAND={verb}\n\
             CNI_CONTAINERID=c1\nCNI_IFNAME=eth0\nCNI_NETNS=/run/netns/c1\nCNI_PATH={path}\n\
             OTHER=kept\n"
        );
        let environment = lab.read(&format!("/run/lab/environment.{verb}"));
        assert_eq!(environment, expected);
    }
    let stdin: Value = serde_json::from_str(&lab.read("/run/lab/stdin.DEL")).expect("JSON");
    assert_eq!(stdin["prevResult"], result);
}

#[test]
fn d_80_the_address_plugin_is_asked_to_delete_when_its_caller_fails() {
    let lab = Lab::new();
    let path = lab.delegate("witness", WITNESS);
    lab.sh("ip link add cni0 type bridge; ip addr add 10.9.9.1/24 dev cni0");
    let plugin = bridge(&lab, &json!({ "type": "witness" })).path(&path);
    let message = plugin.key("isGateway", &json!(true)).add().failure();
    assert!(message.contains("already has an IP address different from 10.1.2.1/24"), "{message}");
    assert_eq!(lab.read("/run/lab/calls"), "ADD\nDEL\n");
    assert_eq!(lab.read("/run/lab/stdin.DEL"), lab.read("/run/lab/stdin.ADD"));
    let add = lab.read("/run/lab/environment.ADD");
    let del = lab.read("/run/lab/environment.DEL");
    assert_eq!(del.replace("CNI_COMMAND=DEL", "CNI_COMMAND=ADD"), add);
}

#[test]
fn d_80_an_address_plugin_that_failed_is_not_asked_to_delete() {
    let lab = Lab::new();
    let path = lab.delegate("pool", "echo $CNI_COMMAND >>/run/lab/calls; exit 1");
    bridge(&lab, &json!({ "type": "pool" })).path(&path).add().error_with_code(0);
    assert_eq!(lab.read("/run/lab/calls"), "ADD\n");
}

/// An address plugin that answers a second ADD with the lease of the first must not be asked to
/// release it.
#[test]
fn d_80_a_second_add_of_an_attachment_leaves_its_lease_alone() {
    let lab = Lab::new();
    let path = lab.delegate("witness", WITNESS);
    let plugin = bridge(&lab, &json!({ "type": "witness" })).path(&path);
    let result = plugin.add().result();
    let message = plugin.add().failure();
    assert!(message.contains("already exists"), "{message}");
    let calls = lab.read("/run/lab/calls");
    if !lab.reference_fails("it makes the link before it asks, and cleans up neither") {
        assert_eq!(calls, "ADD\n");
    }
    plugin.check(&result).silent();
}
