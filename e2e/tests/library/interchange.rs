//! The reference library itself, where Debian's `golang-go` and `golang-github-appc-cni-dev` are
//! installed: either can check and delete what the other added, and both write the same records.

use std::path::{Path, PathBuf};
use std::process::Command;

use ropewalk_e2e::{Value, json};

use crate::command::{Host, Tool};

const SOURCES: &str = "/usr/share/gocode/src/github.com/containernetworking/cni/libcni";

/// Builds the program that calls the reference library; `None` where that cannot be done.
fn reference_program() -> Option<PathBuf> {
    if !Path::new("/usr/bin/go").exists() || !Path::new(SOURCES).exists() {
        return None;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let program = folder.join("libcni");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/library/libcni.go");
    let status = Command::new("/usr/bin/go")
        .args(["build", "-o"])
        .args([&program, &source])
        .envs([("GOPATH", "/usr/share/gocode"), ("GO111MODULE", "off")])
        .env("GOCACHE", folder.join("go-cache"))
        .status();
    assert!(status.expect("go is installed").success(), "{} does not build", source.display());
    Some(program)
}

fn tool(host: &Host) -> Tool<'_> {
    let tool = host.tool().variable("CONTAINER", "c1");
    tool.variable("CNI_ARGS", "IgnoreUnknown=1;K=<v>").variable("CAP_ARGS", r#"{"mac": "m"}"#)
}

/// The record as the versions of the reference library agree on it: old ones do not write the
/// namespace and always write `dns`.
fn record(host: &Host) -> Value {
    let text = host.lab.read("/var/lib/cni/results/lan-c1-eth0");
    let mut record: Value = text.parse().expect("a record is JSON");
    record["netns"].take();
    record["result"]["dns"].take();
    record
}

#[test]
fn either_library_goes_on_where_the_other_stopped() {
    let host = Host::new();
    let Some(program) = reference_program() else {
        return host.lab.not_here("the reference library's sources are not installed");
    };
    let theirs = |verb: &str| tool(&host).run_as(&program, &[verb, "lan", "/run/netns/c1"]);
    let ours = |verb: &str| {
        let arguments = [verb, "lan", "/run/netns/c1", "--container-id", "c1"];
        tool(&host).run(&arguments)
    };
    for version in ["1.0.0", "0.4.0", "0.3.1"] {
        host.network(version, &["a", "b"]);
        theirs("add").silent();
        let their_record = record(&host);
        let their_stdin: Vec<Value> = host.calls().into_iter().map(|call| call.stdin).collect();
        if version != "0.3.1" {
            ours("check").silent();
        }
        ours("del").silent();
        assert_eq!(host.records(), Vec::<String>::new());
        host.calls();

        ours("add").result();
        assert_eq!(record(&host), their_record);
        let mut our_stdin: Vec<Value> = host.calls().into_iter().map(|call| call.stdin).collect();
        if version != "0.3.1" {
            theirs("check").silent();
        }
        theirs("del").silent();
        assert_eq!(host.records(), Vec::<String>::new());
        host.calls();
        // The one difference in what plugins get is the `dns` of old libraries.
        for (our, their) in our_stdin.iter_mut().zip(&their_stdin) {
            if their["prevResult"]["dns"] == json!({}) && our["prevResult"].is_object() {
                our["prevResult"]["dns"] = json!({});
            }
        }
        assert_eq!(our_stdin, their_stdin);
    }
}
