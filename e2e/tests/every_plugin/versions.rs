//! Every version of the specification that a plugin speaks.

use ropewalk_e2e::{Role, Sample, VERSIONS, Value, json, reference};

use ropewalk_e2e::State;

/// ADD, CHECK where there is one, and DEL in every version; the others are refused.
pub(crate) fn all(name: &str) {
    let Some(host) = Sample::of(name).host() else { return };
    host.settle();
    let before = State::of(&host);
    let mut modern = Value::Null;
    for version in VERSIONS.iter().rev().filter(|version| !(reference() && **version == "1.1.0")) {
        let mut list = host.list(0);
        // What makes the link for a plugin that gives addresses cannot tell of none in all versions.
        let skipped = if host.sample.role == Role::Addresses { list.0.len() - 1 } else { 0 };
        for plugin in &mut list.0[skipped..] {
            *plugin = plugin.clone().key("cniVersion", &json!(version));
        }
        if !host.sample.versions().contains(version) {
            let plugin = list.0.last().expect("a list has a plugin");
            assert_eq!(plugin.add().error_with_code(1), "incompatible CNI versions");
            continue;
        }
        let result = list.add();
        assert_eq!(result["cniVersion"], *version);
        if modern.is_null() {
            modern = result.clone();
        }
        same_addresses(&modern, &result, version);
        if ["0.4.0", "1.0.0", "1.1.0"].contains(version) {
            host.check(&list, &result);
        }
        list.del(&result);
        before.is_still_so(&host, version);
    }
    if host.sample.role != Role::Chained && name != "loopback" {
        assert!(modern["ips"][0]["address"].is_string(), "{modern}");
    }
}

/// Addresses as in the newest version, but for those that leases gave; in the shape of this one.
#[track_caller]
fn same_addresses(modern: &Value, result: &Value, version: &str) {
    let count = modern["ips"].as_array().map_or(0, Vec::len);
    if version >= "0.3.0" {
        assert_eq!(result["ips"].as_array().map_or(0, Vec::len), count, "{version}: {result}");
        for ip in result["ips"].as_array().into_iter().flatten() {
            assert_eq!(ip["version"].is_string(), version < "1.0.0", "{version}: {result}");
        }
    } else {
        let families = ["ip4", "ip6"].iter().filter(|family| result[**family]["ip"].is_string());
        assert_eq!(families.count(), count, "{version}: {result}");
    }
}
