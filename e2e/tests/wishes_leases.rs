//! What users asked of host-local and never got: rows 2 and 31. Leases that end with the boot, and
//! addresses that are nobody's to give.

use ropewalk_e2e::chain::names_all;
use ropewalk_e2e::{Lab, Plugin, Value, json};

fn host_local<'lab>(lab: &'lab Lab, ipam: &Value) -> Plugin<'lab> {
    let mut config = json!({ "cniVersion": "1.1.0", "name": "lan", "ipam": ipam });
    config["ipam"]["type"] = json!("host-local");
    lab.plugin("host-local").on("c1").config(config)
}

/// The last parts of all addresses that a range set gives until there are no more.
fn given(plugin: &Plugin<'_>) -> Vec<String> {
    let mut given = Vec::new();
    loop {
        let outcome = plugin.clone().container(&format!("n{}", given.len())).add();
        if outcome.code != 0 {
            names_all(&outcome.failure(), &["no IP addresses available in range set"]);
            return given;
        }
        let address = outcome.result()["ips"][0]["address"].as_str().expect("text").to_owned();
        let ip = address.split('/').next().unwrap_or_default();
        given.push(ip.rsplit(['.', ':']).next().unwrap_or_default().to_owned());
    }
}

#[test]
fn row_31_excluded_addresses_are_never_leased() {
    let lab = Lab::new();
    if lab.reference_fails("it does not know the key") {
        return;
    }
    let exclude = json!(["10.1.0.3", "10.1.0.4-10.1.0.6", "10.1.0.12/30"]);
    let old_style = host_local(&lab, &json!({ "subnet": "10.1.0.0/28", "exclude": exclude }));
    old_style.status().silent();
    assert_eq!(given(&old_style), ["2", "7", "8", "9", "10", "11"]);
    // Room is counted without them.
    let error = old_style.status().error();
    assert_eq!(error.code, 50, "{}", error.msg);
    // Those that go are given again, the others still not.
    for name in ["n0", "n3"] {
        old_style.clone().container(name).del_without_result().silent();
    }
    assert_eq!(given(&old_style.clone().ifname("eth1")), ["2", "9"]);
}

#[test]
fn row_31_each_range_has_its_own_exclusions() {
    let lab = Lab::new();
    if lab.reference_fails("it does not know the key") {
        return;
    }
    let ranges = json!([[
        { "subnet": "10.1.0.0/29", "exclude": ["10.1.0.2-10.1.0.5"] },
        { "subnet": "10.2.0.0/29", "rangeStart": "10.2.0.4", "exclude": ["10.2.0.5"] },
    ]]);
    assert_eq!(given(&host_local(&lab, &json!({ "ranges": ranges }))), ["6", "4", "6"]);
    // However many they are, they cost no time.
    let six = json!([[{ "subnet": "fd00:1::/64", "exclude": ["fd00:1::/65", "fd00:1::8000:0:0:0/66",
        "fd00:1::c000:0:0:0-fd00:1::ffff:ffff:ffff:fffd"] }]]);
    let six = host_local(&lab, &json!({ "ranges": six, "dataDir": "/run/six" }));
    assert_eq!(given(&six), ["fffe", "ffff"]);
}

#[test]
fn row_31_an_excluded_address_cannot_be_requested() {
    let lab = Lab::new();
    if lab.reference_fails("it does not know the key") {
        return;
    }
    let plugin =
        host_local(&lab, &json!({ "subnet": "10.1.0.0/28", "exclude": ["10.1.0.8-10.1.0.9"] }));
    let text = plugin.clone().args("IP=10.1.0.9").add().failure();
    let expected = "failed to allocate for range 0: requested ip 10.1.0.9 is excluded from \
                    10.1.0.1-10.1.0.14";
    assert_eq!(text, expected);
    assert!(lab.leases("lan").is_empty());
    let result = plugin.args("IP=10.1.0.10").add().result();
    assert_eq!(result["ips"][0]["address"], "10.1.0.10/28");
}

#[test]
fn row_31_exclusions_that_make_no_sense_are_refused_and_overlaps_stay_errors() {
    let lab = Lab::new();
    if lab.reference_fails("it does not know the key") {
        return;
    }
    for (exclude, reason) in [
        (json!(["zz"]), "it is no address, subnet or pair first-last"),
        (json!(["10.2.0.1"]), "it is not in network 10.1.0.0/28"),
        (json!(["10.1.0.9-10.1.0.8"]), "it is not in network 10.1.0.0/28"),
        (json!(["10.1.0.0/24"]), "it is not in network 10.1.0.0/28"),
        (json!("10.1.0.1"), "json: cannot unmarshal"),
    ] {
        let plugin = host_local(&lab, &json!({ "subnet": "10.1.0.0/28", "exclude": exclude }));
        names_all(&plugin.add().invalid_config(), &[reason]);
    }
    let halves = json!([
        [{ "subnet": "10.1.0.0/28", "exclude": ["10.1.0.8/29"] }],
        [{ "subnet": "10.1.0.0/28", "exclude": ["10.1.0.0/29"] }],
    ]);
    let text = host_local(&lab, &json!({ "ranges": halves })).add().invalid_config();
    assert_eq!(text, "range set 0 overlaps with 1");
}

/// Lets the kernel's name of this boot be another.
fn reboot(lab: &Lab, id: &str) {
    lab.write("/run/lab/boot_id", &format!("{id}\n"));
    lab.try_sh("umount /proc/sys/kernel/random/boot_id");
    lab.sh("mount --bind /run/lab/boot_id /proc/sys/kernel/random/boot_id");
}

#[test]
fn row_02_leases_of_an_earlier_boot_are_forgotten_if_that_is_wanted() {
    let lab = Lab::new();
    if lab.reference_fails("it does not know the key") {
        return;
    }
    reboot(&lab, "first");
    let range = json!({ "subnet": "10.1.0.0/29", "forgetOnReboot": true });
    let plugin = host_local(&lab, &range);
    let without = host_local(&lab, &json!({ "subnet": "10.1.0.0/29" }));
    // Leases from before the key was set are not of an earlier boot, as far as anybody knows.
    without.clone().container("old").add().result();
    assert_eq!(given(&plugin).len(), 4);
    assert_eq!(lab.read("/var/lib/cni/networks/lan/boot_id"), "first");
    assert_eq!(plugin.status().error().code, 50);
    reboot(&lab, "second");
    assert_eq!(without.status().error().code, 50, "without the key nothing is forgotten");
    plugin.status().silent();
    names_all(&plugin.clone().container("n1").check(&json!({})).failure(), &["Failed to find"]);
    assert_eq!(given(&plugin).len(), 5, "the lease from before the key went too");
    // The new boot's leases stay.
    plugin.clone().container("n4").check(&json!({})).silent();
}

#[test]
fn row_02_leases_outlive_the_boot_otherwise() {
    let lab = Lab::new();
    reboot(&lab, "first");
    let plugin = host_local(&lab, &json!({ "subnet": "10.1.0.0/24" }));
    plugin.add().result();
    reboot(&lab, "second");
    plugin.clone().container("c2").add().result();
    assert_eq!(lab.leases("lan"), ["10.1.0.2", "10.1.0.3"]);
    plugin.check(&json!({})).silent();
}
