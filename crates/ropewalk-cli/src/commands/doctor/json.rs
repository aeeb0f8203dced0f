//! Findings as JSON.

use ropewalk_topology::doctor::Finding;
use serde_json::{Value, json};

/// A list of findings, the worst first. Namespaces are named by their inodes and links by their
/// indexes, as in the JSON of `ropewalk topology`.
pub(crate) fn json(findings: &[Finding]) -> Value {
    findings.iter().map(finding).collect()
}

fn finding(finding: &Finding) -> Value {
    json!({
        "check": finding.check.name,
        "severity": finding.check.severity.name(),
        "meaning": finding.check.meaning,
        "object": finding.object,
        "namespace": finding.namespace,
        "link": finding.link,
        "evidence": finding.evidence,
        "consequence": finding.check.consequence,
        "command": finding.command,
        "fixable": finding.mend.is_some(),
    })
}
