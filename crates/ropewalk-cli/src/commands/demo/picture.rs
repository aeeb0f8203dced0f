//! What the demo has made, as a drawing for a terminal.

use std::fmt::Write as _;

use ropewalk_cni::CniResult;

use super::stage::{CONTAINERS, PORT, PUBLISHED, Stage, UPLINK};

/// Draws the namespaces, their interfaces and addresses.
pub(crate) fn draw(stage: &Stage) -> String {
    let mut text = String::new();
    let [host, outside] = UPLINK;
    let first = stage.result(CONTAINERS[0]);
    let gateways: Vec<String> = first
        .ips
        .iter()
        .filter_map(|ip| Some(format!("{}/{}", ip.gateway?, ip.address.prefix)))
        .collect();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "  outside      eth0 {outside}");
    let _ = writeln!(text, "                │");
    let _ = writeln!(text, "  host         eth0 {host}     port {PUBLISHED} → c2 port {PORT}");
    let _ = writeln!(text, "                │ masquerade");
    let _ = writeln!(text, "               demo0 {}", gateways.join(", "));
    for (index, name) in CONTAINERS.iter().enumerate() {
        let last = index + 1 == CONTAINERS.len();
        let branch = if last { "└" } else { "├" };
        let result = stage.result(name);
        let _ = writeln!(
            text,
            "                {branch}─ {} ── {name} eth0 {}",
            host_end(result),
            addresses(result)
        );
    }
    text
}

/// The host's end of the pair: the second interface of the result.
fn host_end(result: &CniResult) -> &str {
    result.interfaces.get(1).map_or("?", |interface| &interface.name)
}

fn addresses(result: &CniResult) -> String {
    let addresses: Vec<String> = result.ips.iter().map(|ip| ip.address.to_string()).collect();
    addresses.join(", ")
}
