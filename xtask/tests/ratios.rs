//! How much faster than the reference plugins, and how near to the least possible: see BUDGETS.md.
//! Ratios of one short run with the release build, each with room for a machine that is busy with
//! something else; the exact ones are `cargo xtask bench`'s.

use serde_json::Value;
use xtask::bench;

/// A ratio may miss its target by this factor before that is a failure.
const ROOM: f64 = 2.0;

/// What a verb may take of memory that no other process shares, in KiB. A plugin gives nothing back
/// before it ends, so that this counts every allocation.
const MOST_OWN_KIB: u64 = 240;

#[test]
fn verbs_are_faster_than_the_references_and_near_to_the_least_possible() {
    let report = bench::measure(&["--quick", "bridge", "masquerade", "start"])
        .expect("the benchmark measures");
    assert_eq!(report["failures"], Value::Array(Vec::new()));
    let mut ratios = 0;
    for target in report["targets"].as_array().expect("a list of targets") {
        let what = target["what"].as_str().expect("a target has a name");
        let is_ratio = what.contains("reference/ropewalk") || what.contains("ropewalk/floor");
        // What counts there is mostly the file, see docs/decisions/benchmarks.md.
        if !is_ratio || what.starts_with("peak memory") {
            continue;
        }
        ratios += 1;
        let measured = target["measured"].as_f64().expect("a ratio was measured");
        let least = target["at_least"].as_f64().map_or(0.0, |least| least / ROOM);
        let most = target["at_most"].as_f64().map_or(f64::INFINITY, |most| most * ROOM);
        assert!((least..=most).contains(&measured), "{what}: {measured}, wanted {target}");
    }
    assert!(ratios >= 10, "only {ratios} ratios were measured: {}", report["targets"]);
    check_memory(&report);
}

fn check_memory(report: &Value) {
    let starts = report["starts"].as_array().expect("a list of starts");
    let ours = starts.iter().find(|start| start["contestant"] == "ropewalk");
    for (verb, memory) in ours.expect("ours was started")["memory"].as_object().expect("verbs") {
        let own = memory["own_kib"].as_u64().expect("a number of KiB");
        assert!((1..=MOST_OWN_KIB).contains(&own), "{verb} has {own} KiB of its own");
    }
}
