//! Chains with scripted plugins, which need neither root nor processes.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::time::SystemTime;

use ropewalk_cni::AttachmentId;
use serde_json::json;

use super::*;
use crate::ValidSet;
use crate::exec::{Finished, Invocation};

/// Plugins that answer as told: `fails` holds `VERB type`, for example `DEL b`.
#[derive(Debug, Default)]
struct Scripted {
    fails: BTreeSet<&'static str>,
    calls: RefCell<Vec<Seen>>,
}

#[derive(Clone, Debug)]
struct Seen {
    call: String,
    stdin: Value,
    variables: Vec<(&'static str, String)>,
}

impl Execute for Scripted {
    fn is_file(&self, path: &str) -> bool {
        !path.ends_with("/missing")
    }

    fn execute(&self, invocation: &Invocation) -> Finished {
        let verb = &invocation.variables[0].1;
        let kind = invocation.program.rsplit('/').next().unwrap();
        let call = format!("{verb} {kind}");
        let stdin: Value = serde_json::from_str(&invocation.stdin).unwrap();
        let variables = invocation.variables.clone();
        self.calls.borrow_mut().push(Seen { call: call.clone(), stdin: stdin.clone(), variables });
        if self.fails.contains(call.as_str()) {
            return Finished::failure(r#"{"code": 111, "msg": "no", "details": "dd"}"#);
        }
        match verb.as_str() {
            "ADD" => {
                let before = stdin["prevResult"]["interfaces"].as_array().cloned();
                let mut interfaces = before.unwrap_or_default();
                interfaces.push(json!({ "name": kind }));
                let version = &stdin["cniVersion"];
                Finished::success(
                    json!({ "cniVersion": version, "interfaces": interfaces }).to_string(),
                )
            }
            "VERSION" => Finished::success(
                r#"{"cniVersion": "1.1.0", "supportedVersions": ["1.0.0", "1.1.0"]}"#,
            ),
            _ => Finished::success(""),
        }
    }
}

struct Bench {
    runtime: Runtime<Scripted>,
    list: NetworkList,
    attachment: Attachment,
    _directory: tempfile::TempDir,
}

impl Bench {
    #[expect(clippy::needless_pass_by_value, reason = "callers write a json! literal")]
    fn new(version: &str, plugins: Value) -> Self {
        let list = json!({ "cniVersion": version, "name": "lan", "plugins": plugins });
        let directory = tempfile::tempdir().unwrap();
        let runtime = Runtime {
            paths: vec!["/p".to_owned(), "/q".to_owned()],
            cache: Cache::new(directory.path()),
            deadline: DEFAULT_DEADLINE,
            execute: Scripted::default(),
        };
        Self {
            runtime,
            list: NetworkList::parse(list.to_string().as_bytes()).unwrap(),
            attachment: Attachment::new("c1", "/run/netns/c1", "eth0"),
            _directory: directory,
        }
    }

    fn abc(version: &str) -> Self {
        Self::new(version, json!([{ "type": "a" }, { "type": "b" }, { "type": "c" }]))
    }

    fn failing(mut self, calls: &[&'static str]) -> Self {
        self.runtime.execute.fails = calls.iter().copied().collect();
        self
    }

    fn add(&self) -> Result<CniResult, RuntimeError> {
        self.runtime.add(&self.list, &self.attachment)
    }

    fn del(&self) -> Result<(), RuntimeError> {
        self.runtime.del(&self.list, &self.attachment)
    }

    fn check(&self) -> Result<(), RuntimeError> {
        self.runtime.check(&self.list, &self.attachment)
    }

    /// What was called since the last question.
    fn seen(&self) -> Vec<Seen> {
        self.runtime.execute.calls.take()
    }

    fn calls(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.call).collect()
    }

    fn record(&self) -> std::path::PathBuf {
        self.runtime.cache.path("lan", "c1", "eth0").unwrap()
    }
}

#[test]
fn add_hands_each_plugin_the_result_of_the_one_before_and_keeps_a_record() {
    let mut bench = Bench::abc("1.0.0");
    bench.attachment.args = vec![("IgnoreUnknown".to_owned(), "1".to_owned())];
    let result = bench.add().unwrap();
    let names: Vec<&str> = result.interfaces.iter().map(|link| link.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    let seen = bench.seen();
    assert_eq!(seen[0].stdin["prevResult"], Value::Null);
    assert_eq!(seen[1].stdin["prevResult"]["interfaces"], json!([{ "name": "a" }]));
    assert_eq!(
        seen[2].variables,
        [
            ("CNI_COMMAND", "ADD"),
            ("CNI_CONTAINERID", "c1"),
            ("CNI_NETNS", "/run/netns/c1"),
            ("CNI_ARGS", "IgnoreUnknown=1"),
            ("CNI_IFNAME", "eth0"),
            ("CNI_PATH", "/p:/q"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
    );
    let entry = bench.runtime.record(&bench.list, &bench.attachment).unwrap();
    assert_eq!(entry.result, Some(result.to_value(Version::V1_0_0).unwrap()));
    assert_eq!(Attachment::from(entry), bench.attachment);
}

#[test]
fn a_failed_add_is_rolled_back_from_the_plugin_that_failed() {
    let bench = Bench::abc("1.0.0").failing(&["ADD b"]);
    let error = bench.add().unwrap_err();
    assert_eq!(error.to_string(), r#"plugin type="b" failed (add): no; dd"#);
    assert_eq!(error.to_cni_error().code, 111);
    let seen = bench.seen();
    let calls: Vec<&str> = seen.iter().map(|seen| seen.call.as_str()).collect();
    assert_eq!(calls, ["ADD a", "ADD b", "DEL b", "DEL a"]);
    assert_eq!(seen[3].stdin["prevResult"]["interfaces"], json!([{ "name": "a" }]));
    assert!(!bench.record().exists());
}

#[test]
fn a_rollback_before_0_4_0_has_no_previous_result() {
    let bench = Bench::abc("0.3.1").failing(&["ADD b"]);
    bench.add().unwrap_err();
    assert_eq!(bench.seen()[3].stdin["prevResult"], Value::Null);
}

#[test]
fn what_a_rollback_cannot_undo_is_said() {
    let bench = Bench::abc("1.0.0").failing(&["ADD c", "DEL b"]);
    let error = bench.add().unwrap_err();
    assert_eq!(bench.calls(), ["ADD a", "ADD b", "ADD c", "DEL c", "DEL b", "DEL a"]);
    let expected = "plugin type=\"c\" failed (add): no; dd\nnot everything could be undone:\n\
                    plugin type=\"b\" failed (delete): no; dd";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_second_add_never_takes_down_the_first() {
    let mut bench = Bench::abc("1.0.0");
    bench.add().unwrap();
    let record = fs::read(bench.record()).unwrap();
    bench = bench.failing(&["ADD a"]);
    bench.calls();
    let error = bench.add().unwrap_err();
    assert!(matches!(error, RuntimeError::Add { rollback: Rollback::AttachedBefore, .. }));
    assert_eq!(bench.calls(), ["ADD a"]);
    assert_eq!(fs::read(bench.record()).unwrap(), record);
}

#[test]
fn an_add_that_cannot_be_recorded_is_rolled_back() {
    let mut bench = Bench::abc("1.0.0");
    bench.runtime.cache = Cache::new("/proc/no/such/place");
    let error = bench.add().unwrap_err();
    assert!(error.to_string().starts_with("failed to write record /proc/no/such/place/results/"));
    assert_eq!(bench.calls()[3..], ["DEL c", "DEL b", "DEL a"]);
}

#[test]
fn nothing_runs_unless_every_plugin_is_there_and_the_names_are_good() {
    let missing = Bench::new("1.0.0", json!([{ "type": "a" }, { "type": "missing" }]));
    let expected =
        r#"plugin type="missing" failed (add): failed to find plugin "missing" in path [/p /q]"#;
    assert_eq!(missing.add().unwrap_err().to_string(), expected);
    assert_eq!(missing.calls(), Vec::<String>::new());
    let mut bench = Bench::new("1.0.0", json!([{ "type": "missing" }, { "type": "a" }]));
    bench.list.name = "n p".to_owned();
    let text = bench.add().unwrap_err().to_string();
    assert!(text.contains(r#"failed to find plugin "missing" in path [/p /q]"#), "{text}");
    bench.list.plugins.remove(0);
    let reason = |bench: &Bench| {
        let text = bench.add().unwrap_err().to_string();
        text.replace(r#"plugin type="a" failed (add): "#, "")
    };
    assert_eq!(reason(&bench), "invalid characters found in network name; n p");
    bench.attachment.container_id = "-c".to_owned();
    assert_eq!(reason(&bench), "invalid characters in containerID; -c");
    bench.attachment.container_id = "c1".to_owned();
    bench.list.name = "lan".to_owned();
    bench.attachment.ifname = "a/b".to_owned();
    assert_eq!(reason(&bench), "interface name contains / or : or whitespace characters");
    assert_eq!(bench.calls(), Vec::<String>::new());
}

#[test]
fn del_runs_in_reverse_with_the_recorded_result_and_removes_the_record() {
    let bench = Bench::abc("1.0.0");
    bench.add().unwrap();
    bench.calls();
    bench.del().unwrap();
    let seen = bench.seen();
    let calls: Vec<&str> = seen.iter().map(|seen| seen.call.as_str()).collect();
    assert_eq!(calls, ["DEL c", "DEL b", "DEL a"]);
    for call in &seen {
        assert_eq!(call.stdin["prevResult"]["interfaces"].as_array().unwrap().len(), 3);
    }
    assert!(!bench.record().exists());
    bench.del().unwrap();
    assert_eq!(bench.seen()[0].stdin["prevResult"], Value::Null);
}

#[test]
fn del_before_0_4_0_has_no_previous_result() {
    let bench = Bench::new("0.3.1", json!([{ "type": "a" }]));
    bench.add().unwrap();
    bench.del().unwrap();
    assert_eq!(bench.seen()[1].stdin["prevResult"], Value::Null);
    assert!(!bench.record().exists());
}

#[test]
fn del_goes_on_after_failures_and_keeps_the_record() {
    let mut bench = Bench::abc("1.0.0");
    bench.add().unwrap();
    bench = bench.failing(&["DEL c", "DEL a"]);
    bench.calls();
    let expected = "plugin type=\"c\" failed (delete): no; dd\n\
                    plugin type=\"a\" failed (delete): no; dd";
    assert_eq!(bench.del().unwrap_err().to_string(), expected);
    assert_eq!(bench.calls(), ["DEL c", "DEL b", "DEL a"]);
    assert!(bench.record().exists());
}

#[test]
fn a_broken_record_stops_check_and_not_del() {
    let bench = Bench::abc("1.0.0");
    bench.add().unwrap();
    fs::write(bench.record(), "").unwrap();
    bench.calls();
    let expected = "failed to get network \"lan\" cached result: \
                    decoding version from network config: unexpected end of JSON input";
    assert_eq!(bench.check().unwrap_err().to_string(), expected);
    assert_eq!(bench.calls(), Vec::<String>::new());
    bench.del().unwrap();
    assert_eq!(bench.calls(), ["DEL c", "DEL b", "DEL a"]);
    assert!(!bench.record().exists());
}

#[test]
fn a_bare_result_is_a_record_too() {
    let bench = Bench::new("1.0.0", json!([{ "type": "a" }]));
    bench.add().unwrap();
    fs::write(bench.record(), r#"{"cniVersion": "0.4.0", "interfaces": [{"name": "x"}]}"#).unwrap();
    bench.check().unwrap();
    let expected = json!({ "cniVersion": "1.0.0", "interfaces": [{ "name": "x" }] });
    assert_eq!(bench.seen()[1].stdin["prevResult"], expected);
}

#[test]
fn check_needs_0_4_0_and_can_be_disabled() {
    let old = Bench::abc("0.3.1");
    let text = old.check().unwrap_err().to_string();
    assert_eq!(text, "configuration version \"0.3.1\" does not support the CHECK command");
    let mut bench = Bench::abc("1.0.0").failing(&["CHECK b"]);
    assert_eq!(bench.check().unwrap_err().to_string(), "no; dd");
    assert_eq!(bench.calls(), ["CHECK a", "CHECK b"]);
    bench.list.disable_check = true;
    bench.check().unwrap();
    assert_eq!(bench.calls(), Vec::<String>::new());
}

#[test]
fn status_needs_1_1_0_and_stops_at_the_first_failure() {
    let old = Bench::abc("1.0.0");
    old.runtime.status(&old.list).unwrap();
    assert_eq!(old.calls(), Vec::<String>::new());
    let bench = Bench::abc("1.1.0").failing(&["STATUS a"]);
    assert_eq!(bench.runtime.status(&bench.list).unwrap_err().to_string(), "no; dd");
    let seen = bench.seen();
    assert_eq!(seen.len(), 1);
    assert!(seen[0].variables.contains(&("CNI_CONTAINERID", String::new())));
}

fn id(container_id: &str) -> AttachmentId {
    AttachmentId { container_id: container_id.to_owned(), ifname: "eth0".to_owned() }
}

#[test]
fn gc_deletes_what_is_not_valid_and_tells_the_plugins() {
    let mut bench = Bench::new("1.1.0", json!([{ "type": "a" }]));
    for name in ["c1", "c2"] {
        bench.attachment.container_id = name.to_owned();
        bench.add().unwrap();
    }
    bench.calls();
    let deleted = bench.runtime.gc(&bench.list, &ValidSet::Exactly(vec![id("c2")])).unwrap();
    assert_eq!(deleted, [id("c1")]);
    let seen = bench.seen();
    let calls: Vec<&str> = seen.iter().map(|seen| seen.call.as_str()).collect();
    assert_eq!(calls, ["DEL a", "GC a"]);
    assert!(seen[0].variables.contains(&("CNI_NETNS", "/run/netns/c1".to_owned())));
    let valid = json!([{ "containerID": "c2", "ifname": "eth0" }]);
    assert_eq!(seen[1].stdin["cni.dev/valid-attachments"], valid);
    assert_eq!(seen[1].stdin["cni.dev/attachments"], valid);
}

#[test]
fn repair_takes_down_and_makes_again_what_check_misses_and_never_the_interface() {
    let bench = Bench::abc("1.0.0").failing(&["CHECK a", "CHECK c"]);
    bench.add().unwrap();
    bench.calls();
    let error = bench.runtime.repair(&bench.list, &bench.attachment).unwrap_err();
    assert_eq!(error.to_string(), "no; dd");
    assert_eq!(bench.calls(), ["CHECK a", "CHECK b", "CHECK c", "DEL c", "ADD c"]);
    assert!(bench.record().exists());
}

#[test]
fn gc_keeps_what_was_recorded_after_the_list_was_taken() {
    let bench = Bench::new("1.1.0", json!([{ "type": "a" }]));
    let early = SystemTime::now();
    bench.add().unwrap();
    bench.calls();
    bench.runtime.gc(&bench.list, &ValidSet::AsOf(Vec::new(), early)).unwrap();
    let seen = bench.seen();
    assert_eq!(seen.len(), 1, "GC alone");
    let valid = json!([{ "containerID": "c1", "ifname": "eth0" }]);
    assert_eq!(seen[0].stdin["cni.dev/valid-attachments"], valid);
    assert!(seen[0].stdin["cni.dev/valid-attachments-time"].is_u64());
    let late = SystemTime::now() + Duration::from_hours(1);
    bench.runtime.gc(&bench.list, &ValidSet::AsOf(Vec::new(), late)).unwrap();
    assert_eq!(bench.calls(), ["DEL a", "GC a"]);
}

#[test]
fn gc_waits_for_an_add_that_is_under_way() {
    let bench = Bench::new("1.1.0", json!([{ "type": "a" }]));
    let cache = &bench.runtime.cache;
    let under_way = cache.lock_shared("lan").unwrap();
    let another = cache.lock_shared("lan").unwrap();
    std::thread::scope(|scope| {
        let gc = scope.spawn(|| cache.lock_alone("lan").unwrap());
        assert!(!gc.is_finished());
        assert!(cache.lock_alone("dmz").unwrap().is_some(), "another network does not wait");
        drop((under_way, another));
        assert!(gc.join().unwrap().is_some());
    });
}

#[test]
fn gc_without_knowledge_deletes_what_is_on_record_and_nothing_else() {
    let bench = Bench::abc("1.1.0").failing(&["GC a"]);
    bench.add().unwrap();
    bench.calls();
    let error = bench.runtime.gc(&bench.list, &ValidSet::Unspecified).unwrap_err();
    assert_eq!(error.to_string(), "failed to GC plugin a: no; dd");
    let seen = bench.seen();
    assert_eq!(seen.len(), 6, "three DEL and three GC");
    assert_eq!(seen[5].stdin.get("cni.dev/valid-attachments"), None);
    assert!(!bench.record().exists());
}

#[test]
fn gc_leaves_other_networks_alone_and_old_plugins_in_peace() {
    let mut bench = Bench::new("1.0.0", json!([{ "type": "a" }]));
    bench.add().unwrap();
    bench.list.name = "dmz".to_owned();
    bench.add().unwrap();
    bench.calls();
    let deleted = bench.runtime.gc(&bench.list, &ValidSet::Unspecified).unwrap();
    assert_eq!(deleted, [id("c1")]);
    assert_eq!(bench.calls(), ["DEL a"]);
    assert!(bench.record().exists());
}

#[test]
fn gc_names_the_attachment_it_could_not_delete() {
    let mut bench = Bench::abc("1.0.0").failing(&["DEL b"]);
    bench.add().unwrap();
    let error = bench.runtime.gc(&bench.list, &ValidSet::Unspecified).unwrap_err();
    let expected = "failed to delete stale attachment c1 eth0: \
                    plugin type=\"b\" failed (delete): no; dd";
    assert_eq!(error.to_string(), expected);
    bench.list.disable_gc = true;
    bench.calls();
    bench.runtime.gc(&bench.list, &ValidSet::Exactly(Vec::new())).unwrap();
    assert_eq!(bench.calls(), Vec::<String>::new());
}

#[test]
fn validation_wants_every_plugin_in_the_lists_version() {
    let plugins = json!([
        { "type": "a", "capabilities": { "mac": true, "ips": false } },
        { "type": "missing" },
    ]);
    let mut bench = Bench::new("1.0.0", plugins);
    let text = bench.runtime.validate(&bench.list).unwrap_err().to_string();
    assert_eq!(text, r#"failed to find plugin "missing" in path [/p /q]"#);
    bench.list.plugins.pop();
    let capabilities = bench.runtime.validate(&bench.list).unwrap();
    assert_eq!(capabilities.into_iter().collect::<Vec<_>>(), ["mac"]);
    bench.list.cni_version = "0.4.0".to_owned();
    let text = bench.runtime.validate(&bench.list).unwrap_err().to_string();
    assert_eq!(text, "plugin a does not support config version \"0.4.0\"");
}
