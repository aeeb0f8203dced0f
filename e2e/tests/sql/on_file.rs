//! SQ: `sql` gives addresses from pools whose books SQLite keeps in a file of this host.

use std::collections::BTreeSet;

use ropewalk_e2e::{Lab, Plugin, Value, json};

use super::books::{addresses, kept_ipam, sql};
use super::file::Books;

const FILE: &str = "sqlite:///var/lib/ropewalk/ipam.db";

fn refused_config(ipam: &Value, expected: &str) {
    let lab = Lab::new();
    assert_eq!(sql(&lab, FILE, ipam).on("c1").add().invalid_config(), expected);
}

/// ADD for each of these containers, at once.
fn all_at_once(plugin: &Plugin<'_>, containers: &[String]) -> Vec<String> {
    let add = |container: &String| plugin.clone().on(container).command("ADD").start();
    let running: Vec<_> = containers.iter().map(add).collect();
    running.into_iter().flat_map(|add| addresses(&add.finish().result())).collect()
}

#[test]
fn sq_1_addresses_are_given_in_order_until_there_are_none() {
    let lab = Lab::new();
    let plugin = sql(&lab, FILE, &json!({ "pools": [{ "subnet": "10.0.0.0/29" }] }));
    for number in 2..=6 {
        let result = plugin.clone().on(&format!("c{number}")).add().result();
        assert_eq!(result["ips"][0]["address"], format!("10.0.0.{number}/29"));
        assert_eq!(result["ips"][0]["gateway"], "10.0.0.1");
    }
    let exhausted = "failed to allocate: no IP addresses available in pool: 10.0.0.1-10.0.0.6";
    assert_eq!(plugin.clone().on("c7").add().failure(), exhausted);
    assert_eq!(plugin.clone().status().error_with_code(50), exhausted);
    plugin.clone().on("c4").del_without_result().silent();
    plugin.clone().status().silent();
    assert_eq!(addresses(&plugin.on("c7").add().result()), ["10.0.0.4"]);
}

#[test]
fn sq_2_one_interface_gets_one_address_of_a_group() {
    let lab = Lab::new();
    let pools = json!([{ "subnet": "10.0.0.0/24" }, { "subnet": "fd00::/64" },
                       { "subnet": "10.9.0.0/24", "group": "storage" }]);
    let plugin = sql(&lab, FILE, &json!({ "pools": pools })).on("c8");
    assert_eq!(addresses(&plugin.add().result()), ["10.0.0.2", "fd00::2", "10.9.0.2"]);
    assert_eq!(
        plugin.add().failure(),
        "failed to allocate: 10.0.0.2 has been allocated to c8, duplicate allocation is not allowed"
    );
    let second = plugin.clone().ifname("eth1").add().result();
    assert_eq!(addresses(&second), ["10.0.0.3", "fd00::3", "10.9.0.3"]);
    plugin.del_without_result().silent();
    plugin.del_without_result().silent();
    let books = Books::of_file(&lab);
    assert_eq!(books.held(), ["10.0.0.3 c8", "10.9.0.3 c8", "fd00::3 c8"]);
}

#[test]
fn sq_3_check_finds_a_lease_or_says_so() {
    let lab = Lab::new();
    let plugin = sql(&lab, FILE, &json!({ "pools": [{ "subnet": "10.0.0.0/24" }] })).on("c1");
    let result = plugin.add().result();
    plugin.check(&result).silent();
    plugin.del(&result).silent();
    let missing = "sql: Failed to find address added by container c1";
    assert_eq!(plugin.check(&result).failure(), missing);
}

#[test]
fn sq_4_a_bridge_gets_its_addresses_from_it() {
    let lab = Lab::new();
    let netns = lab.netns("c1");
    let ipam = kept_ipam(FILE, &json!({ "pools": [{ "subnet": "10.0.0.0/24" }] }));
    let config = json!({ "cniVersion": "1.1.0", "name": "net", "type": "bridge", "bridge": "br0",
                         "isGateway": true, "ipam": ipam });
    let plugin = lab.plugin("bridge").config(config).container("c1").netns(&netns).ifname("eth0");
    let result = plugin.add().result();
    assert_eq!(result["ips"][0]["address"], "10.0.0.2/24");
    plugin.check(&result).silent();
    assert!(lab.sh("ip -n c1 -4 -o address show eth0").contains("10.0.0.2/24"));
    assert_eq!(Books::of_file(&lab).held(), ["10.0.0.2 c1"]);
    // A second ADD is refused, and leaves the first one's lease alone.
    plugin.add().failure();
    assert_eq!(Books::of_file(&lab).held(), ["10.0.0.2 c1"]);
    plugin.del(&result).silent();
    assert_eq!(Books::of_file(&lab).held(), [""; 0]);
}

#[test]
fn sq_5_gc_gives_back_what_is_not_valid_and_not_new() {
    let lab = Lab::new();
    let plugin = sql(&lab, FILE, &json!({ "pools": [{ "subnet": "10.0.0.0/24" }] }));
    let other_host =
        sql(&lab, FILE, &json!({ "pools": [{ "subnet": "10.0.0.0/24" }], "host": "h2" }));
    for container in ["c1", "c2", "c3"] {
        plugin.clone().on(container).add().result();
    }
    other_host.on("c4").add().result();
    let books = Books::of_file(&lab);
    let old = plugin.clone().key("cni.dev/valid-attachments-time", &json!(1000));
    old.gc(&[("c1", "eth0")]).silent();
    assert_eq!(books.held().len(), 4, "all leases are newer than the list");
    plugin.gc(&[("c1", "eth0"), ("c2", "eth9")]).silent();
    assert_eq!(books.held(), ["10.0.0.2 c1", "10.0.0.5 c4"]);
    plugin.command("GC").run().silent();
    assert_eq!(books.held().len(), 2, "without a list nothing is known");
}

#[test]
fn sq_6_eight_at_once_get_eight_addresses() {
    let lab = Lab::new();
    let plugin = sql(&lab, FILE, &json!({ "pools": [{ "subnet": "10.0.0.0/16" }] }));
    let mut given = BTreeSet::new();
    for round in 0..5 {
        let containers: Vec<String> = (0..8).map(|number| format!("c{round}-{number}")).collect();
        given.extend(all_at_once(&plugin, &containers));
    }
    assert_eq!(given.len(), 40);
    assert_eq!(Books::of_file(&lab).held().len(), 40);
}

#[test]
fn sq_7_a_pod_is_told_in_the_lease_and_gets_its_address_again() {
    let lab = Lab::new();
    let ipam = json!({ "pools": [{ "subnet": "10.0.0.0/24" }], "keepFor": 3600 });
    let plugin = sql(&lab, FILE, &ipam);
    let pod = "IgnoreUnknown=1;K8S_POD_NAMESPACE=prod;K8S_POD_NAME=web-0;K8S_POD_UID=1";
    let named = |container| plugin.clone().on(container).args(pod);
    assert_eq!(addresses(&named("c1").add().result()), ["10.0.0.2"]);
    let row = Books::of_file(&lab).row("10.0.0.2");
    assert_eq!(
        (&row["pod"], &row["namespace"], &row["network"]),
        (&json!("web-0"), &json!("prod"), &json!("net"))
    );
    named("c1").del_without_result().silent();
    assert_eq!(addresses(&plugin.clone().on("c2").add().result()), ["10.0.0.3"]);
    assert_eq!(addresses(&named("c3").add().result()), ["10.0.0.2"]);
}

#[test]
fn sq_8_addresses_can_be_asked_for_excluded_and_reserved() {
    let lab = Lab::new();
    let pool = json!({ "subnet": "10.0.0.0/24", "exclude": ["10.0.0.2-10.0.0.4"],
                       "reservations": { "prod/db-0": "10.0.0.6" } });
    let plugin = sql(&lab, FILE, &json!({ "pools": [pool] }));
    for (container, expected) in [("c1", "10.0.0.5"), ("c2", "10.0.0.7")] {
        assert_eq!(addresses(&plugin.clone().on(container).add().result()), [expected]);
    }
    let asking = |ip| plugin.clone().on("c3").args(&format!("IP={ip}")).add();
    assert_eq!(addresses(&asking("10.0.0.99").result()), ["10.0.0.99"]);
    let plugin = plugin.on("c4");
    let asking = |ip| plugin.clone().args(&format!("IP={ip}")).add().failure();
    let range = "10.0.0.1-10.0.0.254";
    assert_eq!(asking("10.0.0.1"), "failed to allocate: requested ip 10.0.0.1 is subnet's gateway");
    for ip in ["10.0.0.3", "10.0.0.6"] {
        let excluded = format!("failed to allocate: requested ip {ip} is excluded from {range}");
        assert_eq!(asking(ip), excluded);
    }
    let taken = "requested IP address 10.0.0.99 is not available in pool";
    assert_eq!(asking("10.0.0.99"), format!("failed to allocate: {taken} {range}"));
    let left = "failed to allocate: failed to allocate all requested IPs: 10.1.0.1";
    assert_eq!(asking("10.1.0.1"), left);
    let pod = "K8S_POD_NAMESPACE=prod;K8S_POD_NAME=db-0";
    assert_eq!(addresses(&plugin.args(pod).add().result()), ["10.0.0.6"]);
}

#[test]
fn sq_9_pools_are_chosen_by_namespace_label_owner_and_network() {
    let lab = Lab::new();
    let pools = json!([
        { "subnet": "10.1.0.0/24", "namespaces": ["prod"] },
        { "subnet": "10.2.0.0/24", "labels": { "app": "web" } },
        { "subnet": "10.3.0.0/24", "owners": ["red"] },
        { "subnet": "10.4.0.0/24", "networks": ["other"] },
    ]);
    let plugin = sql(&lab, FILE, &json!({ "pools": pools }));
    assert_eq!(plugin.clone().on("c0").add().failure(), "no pool is for this attachment");
    let prod = plugin.clone().on("c1").args("K8S_POD_NAMESPACE=prod");
    assert_eq!(addresses(&prod.add().result()), ["10.1.0.2"]);
    let labels = json!({ "cni": { "labels": [{ "key": "app", "value": "web" }] } });
    let web = plugin.clone().on("c2").key("args", &labels);
    assert_eq!(addresses(&web.add().result()), ["10.2.0.2"]);
    let red = plugin.clone().on("c3").key("args", &json!({ "cni": { "owner": "red" } }));
    assert_eq!(addresses(&red.add().result()), ["10.3.0.2"]);
    let other = plugin.on("c4").key("name", &json!("other"));
    assert_eq!(addresses(&other.add().result()), ["10.4.0.2"]);
}

#[test]
fn sq_10_invalid_configurations_are_refused() {
    let pools = json!([{ "subnet": "10.0.0.0/24" }]);
    refused_config(&json!({}), "no pools given");
    refused_config(
        &json!({ "pools": pools, "database": "sqlite:///" }),
        "the path of an SQLite \
        database must be absolute, as in sqlite:///var/lib/ropewalk/ipam.db",
    );
    let url = "postgres://a:secret@h/d?sslmode=require";
    refused_config(
        &json!({ "pools": pools, "database": url }),
        "this program cannot encrypt its connection to the database; reach it over a Unix socket \
         or a tunnel, with sslmode=disable",
    );
    refused_config(
        &json!({ "pools": [{ "subnet": "10.0.0.0/24", "blockSize": 16 }] }),
        "blockSize is 16, must be from 24 to 31",
    );
}

#[test]
fn sq_11_a_file_that_cannot_be_written_or_is_none_is_an_error() {
    let lab = Lab::new();
    let pools = json!([{ "subnet": "10.0.0.0/24" }]);
    lab.sh("echo this is no database, and long enough to be seen as such >/run/text");
    let text = sql(&lab, FILE, &json!({ "pools": pools, "database": "sqlite:///run/text" }));
    let outcome = text.on("c1").add();
    assert!(outcome.failure().contains("file is not a database"), "{}", outcome.failure());
    lab.sh("mkdir /run/small && mount -t tmpfs -o size=64k tmpfs /run/small");
    let database = json!("sqlite:///run/small/ipam.db");
    let small = sql(&lab, FILE, &json!({ "pools": pools, "database": database }));
    let failed = (0..200).find_map(|number| {
        let outcome = small.clone().on(&format!("c{number}")).add();
        (outcome.code != 0).then(|| outcome.error_with_code(11))
    });
    assert_eq!(failed.expect("64 KiB are not enough"), "database or disk is full");
    small.clone().on("c0").del_without_result().silent();
    lab.sh("mount -o remount,ro /run/small");
    let read_only = small.on("c999").add().error_with_code(11);
    assert!(read_only.contains("readonly database"), "{read_only}");
}

#[test]
fn sq_12_tables_of_a_newer_program_are_not_touched() {
    let lab = Lab::new();
    let plugin = sql(&lab, FILE, &json!({ "pools": [{ "subnet": "10.0.0.0/24" }] }));
    plugin.clone().on("c1").add().result();
    let books = Books::of_file(&lab);
    books.run("PRAGMA user_version = 9");
    let newer = "the database's tables have version 9, this program knows versions up to 2";
    assert_eq!(plugin.clone().on("c2").add().failure(), newer);
    books.run("PRAGMA user_version = 1");
    assert_eq!(addresses(&plugin.on("c2").add().result()), ["10.0.0.3"]);
    assert_eq!(books.run("PRAGMA user_version").trim(), "[{\"user_version\": 2}]");
}
