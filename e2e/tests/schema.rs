//! The JSON Schema of configurations, held against a validator that is not ours.
//!
//! What a plugin makes of a configuration is no question here.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use ropewalk_e2e::{Lab, Value, command_path, json};

/// Debian's Python, whatever other may come first on `PATH`.
const PYTHON: &str = "/usr/bin/python3";

/// Answers, for each schema and each of its documents, what is wrong; fails if a schema is none.
const VALIDATE: &str = r"
import json, sys
from jsonschema import Draft202012Validator as Draft
answer = []
for schema, documents in json.load(sys.stdin):
    Draft.check_schema(schema)
    draft = Draft(schema)
    answer.append([[error.message for error in draft.iter_errors(d)] for d in documents])
json.dump(answer, sys.stdout)
";

fn ropewalk(arguments: &[&str]) -> String {
    let output = Command::new(command_path()).args(arguments).output().expect("the command starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the command prints UTF-8")
}

/// The schema of a list, or of one plugin.
fn schema(plugin: &[&str]) -> Value {
    let text = ropewalk(&[&["schema"], plugin].concat());
    text.parse().unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// What is wrong with each of several documents, for each of several schemas.
fn ask(questions: &[(Value, Vec<Value>)]) -> Vec<Vec<Vec<String>>> {
    let mut python = Command::new(PYTHON);
    python.args(["-c", VALIDATE]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = python.spawn().expect("Python is installed");
    let pairs = questions.iter().map(|(schema, documents)| json!([schema, documents]));
    let text = Value::Array(pairs.collect()).to_string();
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(text.as_bytes()).expect("Python reads");
    drop(stdin);
    let output = child.wait_with_output().expect("Python ends");
    assert!(output.status.success(), "the validator fails; is python3-jsonschema installed?");
    let text = String::from_utf8(output.stdout).expect("Python prints UTF-8");
    let answer: Value = text.parse().expect("Python prints JSON");
    let inner = |value: &Value| value.as_array().expect("a list").clone();
    let errors = |document: &Value| {
        inner(document).iter().map(|error| error.as_str().expect("a text").to_owned()).collect()
    };
    let documents = |documents: &Value| inner(documents).iter().map(errors).collect();
    inner(&answer).iter().map(documents).collect()
}

fn validate(schema: &Value, documents: &[Value]) -> Vec<Vec<String>> {
    ask(&[(schema.clone(), documents.to_vec())]).remove(0)
}

#[track_caller]
fn valid(schema: &Value, documents: &[Value]) {
    for (document, errors) in documents.iter().zip(validate(schema, documents)) {
        assert!(errors.is_empty(), "{errors:#?} in {document:#}");
    }
}

/// A list with one plugin.
fn list(plugin: &Value) -> Value {
    json!({ "cniVersion": "1.1.0", "name": "lan", "plugins": [plugin] })
}

/// Every network on a page: blocks of code that are one JSON object with plugins.
fn networks(page: &Path) -> Vec<Value> {
    let text = fs::read_to_string(page).expect("the page can be read");
    let blocks = text.split("```").skip(1).step_by(2);
    let json = blocks.filter_map(|block| block.trim_start_matches("json").parse::<Value>().ok());
    json.filter(|value| value["plugins"].is_array()).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn plugins() -> Vec<String> {
    let list = schema(&[]);
    list["$defs"].as_object().expect("definitions").keys().cloned().collect()
}

#[test]
fn every_example_of_a_page_is_valid() {
    let mut shown_networks = Vec::new();
    for plugin in plugins() {
        let page = root().join(format!("docs/plugins/{plugin}.md"));
        let networks = networks(&page);
        let shown = networks.iter().any(|network| {
            let text = network.to_string();
            text.contains(&format!("\"type\":\"{plugin}\""))
        });
        assert!(shown, "no network on {} has the plugin", page.display());
        shown_networks.extend(networks);
    }
    for page in ["README.md", "docs/guide/editors.md"] {
        let others = networks(&root().join(page));
        assert!(!others.is_empty(), "no network on {page}");
        shown_networks.extend(others);
    }
    valid(&schema(&[]), &shown_networks);
}

#[test]
fn the_configuration_of_the_demo_is_valid() {
    let lab = Lab::new();
    let program = command_path();
    let program = program.display();
    let script = format!(
        "mount -t tmpfs t /run && {program} demo --keep >/dev/null && \
         cat /run/ropewalk-demo/net.d/demo.conflist && {program} demo --clean >/dev/null"
    );
    let output = lab.enter().args(["unshare", "-m", "sh", "-c", &script]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let network = text.parse().unwrap_or_else(|error| panic!("{error}: {text}"));
    valid(&schema(&[]), &[network]);
}

/// Every schema in a schema that has examples, with its place.
fn with_examples(schema: &Value, place: &str, found: &mut Vec<(String, Value)>) {
    match schema {
        Value::Object(object) => {
            if object.get("examples").is_some_and(Value::is_array) {
                found.push((place.to_owned(), schema.clone()));
            }
            for (key, inner) in object {
                with_examples(inner, &format!("{place}/{key}"), found);
            }
        }
        Value::Array(elements) => {
            for inner in elements {
                with_examples(inner, place, found);
            }
        }
        _ => {}
    }
}

#[test]
fn the_examples_of_every_key_fit_its_schema() {
    let mut found = Vec::new();
    with_examples(&schema(&[])["$defs"], "", &mut found);
    assert!(found.len() > 50, "only {} keys have examples", found.len());
    let question = |(_, schema): &(String, Value)| {
        let mut values = schema["examples"].as_array().expect("a list").clone();
        values.extend(schema.get("default").cloned());
        (schema.clone(), values)
    };
    let answers = ask(&found.iter().map(question).collect::<Vec<_>>());
    for ((place, _), answers) in found.iter().zip(answers) {
        let errors = answers.concat();
        assert!(errors.is_empty(), "{place}: {errors:?}");
    }
}

#[test]
fn every_plugin_has_a_schema_of_its_own() {
    let wrong = json!({ "type": 5, "ipam": 5 });
    let plugins = plugins();
    let question = |plugin: &String| (schema(&[plugin]), vec![wrong.clone()]);
    let answers = ask(&plugins.iter().map(question).collect::<Vec<_>>());
    for (plugin, errors) in plugins.iter().zip(answers) {
        assert_ne!(errors.concat(), [""; 0], "{plugin}");
    }
}

#[test]
fn broken_configurations_are_not_valid() {
    let host_local = |rest: Value| {
        let mut ipam = json!({ "type": "host-local" });
        ipam.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        json!({ "type": "bridge", "ipam": ipam })
    };
    let statics = |address: Value| json!({ "type": "bridge", "ipam": { "type": "static", "addresses": [address] } });
    let broken = [
        json!({ "bridge": "lan0" }),
        json!({ "type": 5 }),
        json!({ "type": "bridge", "bridge": 5 }),
        json!({ "type": "bridge", "bridge": "a name that is long" }),
        json!({ "type": "bridge", "isGateway": "yes" }),
        json!({ "type": "bridge", "vlan": 4095 }),
        json!({ "type": "bridge", "vlanTrunk": [{ "minID": 0, "maxID": 7 }] }),
        json!({ "type": "bridge", "ipMasqBackend": "nft" }),
        json!({ "type": "bridge", "hairpinMode": true, "promiscMode": true }),
        json!({ "type": "bridge", "disableContainerInterface": true, "ipam": { "type": "static" } }),
        json!({ "type": "bridge", "args": { "cni": { "mac": "zz" } } }),
        json!({ "type": "bridge", "capabilities": { "mac": "yes" } }),
        host_local(json!({ "subnet": "10.0.0.0" })),
        host_local(json!({ "ranges": [{ "subnet": "10.0.0.0/24" }] })),
        host_local(json!({ "ranges": [[{ "rangeStart": "10.0.0.9" }]] })),
        host_local(json!({ "routes": [{ "gw": "10.0.0.1" }] })),
        statics(json!({ "gateway": "10.0.0.1" })),
        statics(json!({ "address": "10.0.0.9" })),
        json!({ "type": "portmap", "markMasqBit": 32 }),
        json!({ "type": "portmap", "markMasqBit": 3, "externalSetMarkChain": "X" }),
        json!({ "type": "portmap", "runtimeConfig": { "portMappings": [{ "hostPort": 80 }] } }),
        json!({ "type": "firewall", "ingressPolicy": "closed" }),
        json!({ "type": "tuning", "sysctl": { "net.core.somaxconn": 5 } }),
    ];
    let lists: Vec<Value> = broken.iter().map(list).collect();
    let answers = validate(&schema(&[]), &lists);
    for (plugin, errors) in broken.iter().zip(answers) {
        assert!(!errors.is_empty(), "nobody minds {plugin}");
    }
    let nameless = json!({ "cniVersion": "1.1.0", "plugins": [] });
    let versionless = json!({ "cniVersion": "9.9.9", "name": "lan", "plugins": [] });
    for errors in validate(&schema(&[]), &[nameless, versionless]) {
        assert!(!errors.is_empty());
    }
}

#[test]
fn what_cni_allows_is_valid() {
    let allowed = [
        json!({ "type": "flannel", "delegate": { "isDefaultGateway": true } }),
        json!({ "type": "bridge", "org.example.colour": "red" }),
        json!({ "type": "bridge", "ipam": { "type": "whereabouts", "range": "10.0.0.0/8" } }),
        json!({ "type": "bridge", "ipam": {} }),
        json!({ "type": "bridge", "hairpinMode": true, "promiscMode": false }),
        json!({ "type": "bridge", "capabilities": { "mac": true, "ips": true, "dns": true } }),
        json!({ "type": "bridge", "ipam": { "type": "host-local" },
                "capabilities": { "ipRanges": true } }),
        json!({ "type": "firewall", "backend": "nftables" }),
        json!({ "type": "portmap", "runtimeConfig": { "portMappings": [
            { "hostPort": 80, "containerPort": 80, "protocol": "TCP" }] } }),
    ];
    valid(&schema(&[]), &allowed.iter().map(list).collect::<Vec<_>>());
}
