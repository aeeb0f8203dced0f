//! FW 298 on hosts where packets that stay on a bridge pass the packet filters, and where not.

use ropewalk_e2e::chain::packets::{Server, passes};
use ropewalk_e2e::chain::{Chain, bridge, chained, lab_with_outside};
use ropewalk_e2e::{Lab, Value, json};

const FIRST: Server<'_> = Server("c1", 80);
const SECOND: Server<'_> = Server("c2", 80);

/// Says whether bridged packets pass the packet filters.
fn filter_bridged(lab: &Lab, is_on: &str) {
    lab.sh(&format!(
        "sysctl -qw net.bridge.bridge-nf-call-iptables={is_on} \
         net.bridge.bridge-nf-call-ip6tables={is_on}"
    ));
}

#[test]
fn fw_298_isolated_holds_whether_bridged_packets_are_filtered_or_not() {
    for is_on in ["1", "0"] {
        for backend in [Value::Null, json!("iptables")] {
            let lab = lab_with_outside();
            if lab.reference_fails("1.1.1 does not know the policy") {
                return;
            }
            filter_bridged(&lab, is_on);
            lab.sh_in("outer", "ip route replace 10.1.2.0/24 via 10.99.0.1");
            let keys = json!({ "backend": backend, "ingressPolicy": "isolated" });
            let first = Chain(vec![bridge(&lab), chained(&lab, "firewall", &keys)]);
            let second = first.on("c2");
            let results = [&first, &second].map(Chain::add);
            passes(&lab, "c1", "10.1.2.3:80", SECOND, false);
            passes(&lab, "c2", "[fd00:1::2]:80", FIRST, false);
            passes(&lab, "c1", "10.99.0.2:80", Server("outer", 80), true);
            passes(&lab, "outer", "10.1.2.2:80", FIRST, true);
            for (chain, result) in [&first, &second].into_iter().zip(&results) {
                chain.check(result);
                chain.del(result);
            }
        }
    }
}

#[test]
fn fw_298_check_notices_that_bridged_packets_are_not_filtered_any_more() {
    let lab = lab_with_outside();
    if lab.reference_fails("1.1.1 does not know the policy") {
        return;
    }
    filter_bridged(&lab, "1");
    let firewall = chained(&lab, "firewall", &json!({ "ingressPolicy": "isolated" }));
    let chain = Chain(vec![bridge(&lab), firewall]);
    let result = chain.add();
    chain.check(&result);
    filter_bridged(&lab, "0");
    let message = chain.0[1].check(&result).failure();
    assert!(message.contains("isolated"), "{message}");
}
