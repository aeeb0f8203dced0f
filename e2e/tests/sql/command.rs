//! IP: `ropewalk ipam` shows and mends the books of addresses, in a file, on a server and in the
//! folder of host-local.

use ropewalk_e2e::{Lab, Outcome, Value, command_path, json};

use super::books::{addresses, sql};
use super::server::Server;

const FILE: &str = "sqlite:///var/lib/ropewalk/ipam.db";

/// Runs `ropewalk ipam` with words for the shell.
fn ipam(lab: &Lab, words: &str) -> Outcome {
    lab.try_sh(&format!("{} ipam {words}", command_path().display()))
}

fn json_of(lab: &Lab, words: &str) -> Value {
    ipam(lab, &format!("--json {words}")).result()
}

/// A table without the moments in it, its columns one blank apart.
fn table(lab: &Lab, words: &str) -> Vec<String> {
    let outcome = ipam(lab, words);
    assert_eq!(outcome.code, 0, "{outcome}");
    let is_moment = |word: &&str| !(word.len() == 20 && word.ends_with('Z'));
    let line = |line: &str| line.split_whitespace().filter(is_moment).collect::<Vec<_>>().join(" ");
    outcome.stdout.lines().map(line).collect()
}

#[test]
fn ip_1_pools_leases_and_holders_are_told() {
    let lab = Lab::new();
    let missing = ipam(&lab, "pools");
    assert_eq!((missing.code, missing.stdout.as_str()), (1, ""));
    assert!(missing.stderr.contains("failed to open database /var/lib/ropewalk/ipam.db"));
    let pools = json!([{ "name": "lan", "subnet": "10.0.0.0/24", "blockSize": 28 },
                       { "subnet": "fd00::/64" }]);
    let plugin = sql(&lab, FILE, &json!({ "pools": pools, "host": "h1", "keepFor": 100 }));
    plugin.clone().on("c1").add().result();
    let pod = "K8S_POD_NAMESPACE=prod;K8S_POD_NAME=web-0";
    plugin.clone().on("c2").args(pod).add().result();
    assert_eq!(
        table(&lab, "pools"),
        [
            "SPACE POOL BLOCK FIRST LAST HOST HELD KEPT",
            "net fd00::/64 - fd00::1 fd00::ffff:ffff:ffff:ffff - 2 1",
            "net lan - 10.0.0.1 10.0.0.254 - 0 0",
            "net lan 10.0.0.0 10.0.0.0 10.0.0.15 h1 2 1",
        ]
    );
    let heading = "ADDRESS SPACE NETWORK CONTAINER INTERFACE POD HOST SINCE STATE";
    let one = "10.0.0.2 net net c1 eth0 - h1 held";
    let two = "10.0.0.3 net net c2 eth0 prod/web-0 h1 held";
    assert_eq!(table(&lab, "leases")[..3], [heading, one, two]);
    assert_eq!(table(&lab, "leases --container-id c2").len(), 3);
    assert_eq!(table(&lab, "leases --network other"), ["no leases"]);
    assert_eq!(table(&lab, "who 10.0.0.3"), [heading, two]);
    plugin.on("c2").args(pod).del_without_result().silent();
    let kept = "10.0.0.3 net net c2 eth0 prod/web-0 h1 kept for prod/web-0 until";
    assert_eq!(table(&lab, "who 10.0.0.3"), [heading, kept]);
    assert_eq!(json_of(&lab, "who 10.0.0.3")[0]["name"], "prod/web-0");
    assert_eq!(ipam(&lab, "who 10.0.0.99").code, 1);
}

#[test]
fn ip_2_addresses_are_reserved_and_released() {
    let lab = Lab::new();
    let plugin = sql(&lab, FILE, &json!({ "pools": [{ "subnet": "10.0.0.0/24" }] }));
    plugin.clone().on("c1").add().result();
    ipam(&lab, "reserve 10.0.0.3 net --for prod/db-0").silent();
    ipam(&lab, "reserve 10.0.0.4 net").silent();
    assert!(ipam(&lab, "reserve 10.0.0.2 net").stderr.contains("it is in use"));
    assert_eq!(addresses(&plugin.clone().on("c2").add().result()), ["10.0.0.5"]);
    let db = plugin.clone().on("c3").args("K8S_POD_NAMESPACE=prod;K8S_POD_NAME=db-0");
    for _ in 0..2 {
        assert_eq!(addresses(&db.add().result()), ["10.0.0.3"]);
        db.del_without_result().silent();
    }
    assert!(table(&lab, "who 10.0.0.4")[1].ends_with("reserved"));
    ipam(&lab, "release 10.0.0.4 net").silent();
    assert!(ipam(&lab, "release 10.0.0.4 net").stderr.contains("nobody has it"));
    let blind = ipam(&lab, "gc --older-than 0");
    assert!(blind.stderr.contains("there is no /var/lib/cni/results"), "{blind}");
    assert_eq!(json_of(&lab, "leases").as_array().expect("a list").len(), 2);
    lab.sh("mkdir -p /var/lib/cni/results && echo {} >/var/lib/cni/results/net-c1-eth0");
    let refused = ipam(&lab, "release 10.0.0.2 net");
    assert!(refused.code == 1 && refused.stderr.contains("on record"), "{refused}");
    ipam(&lab, "release 10.0.0.2 net --force").silent();
    assert_eq!(json_of(&lab, "leases").as_array().expect("a list").len(), 1);
}

#[test]
fn ip_3_the_books_are_held_against_the_kernel() {
    let lab = Lab::new();
    let plugin = sql(&lab, FILE, &json!({ "pools": [{ "subnet": "10.0.0.0/24" }] }));
    for container in ["c1", "c2", "c3"] {
        lab.netns(container);
        plugin.clone().on(container).add().result();
    }
    let give = |container: &str, ip: &str| {
        lab.sh_in(container, &format!("ip link set lo up; ip address add {ip}/24 dev lo"));
    };
    for (container, ip) in [("c1", "10.0.0.2"), ("c2", "10.0.0.3"), ("c3", "10.0.0.4")] {
        give(container, ip);
    }
    give("c1", "192.168.7.7");
    assert_eq!(table(&lab, "check"), ["0 findings in 3 namespaces"]);
    lab.sh_in("c3", "ip address del 10.0.0.4/24 dev lo");
    give("c3", "10.0.0.2");
    give("c2", "10.0.0.99");
    let outcome = ipam(&lab, "--json check");
    assert_eq!(outcome.code, 1);
    let findings: Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    let finding = |finding: &Value| (finding["kind"].clone(), finding["address"].clone());
    let found: Vec<_> = findings.as_array().expect("a list").iter().map(finding).collect();
    let expected = [("duplicate", "10.0.0.2"), ("stranger", "10.0.0.99"), ("leak", "10.0.0.4")];
    assert_eq!(found, expected.map(|(kind, ip)| (json!(kind), json!(ip))));
    let text = ipam(&lab, "check").stdout;
    assert!(text.contains("duplicate: 10.0.0.2 is in /run/netns/c1 and /run/netns/c3\n"), "{text}");
}

#[test]
fn ip_4_gc_gives_back_what_is_not_on_record() {
    let lab = Lab::new();
    let pools = json!([{ "subnet": "10.0.0.0/24", "blockSize": 28 }]);
    let plugin = sql(&lab, FILE, &json!({ "pools": pools }));
    for container in ["c1", "c2"] {
        plugin.clone().on(container).add().result();
    }
    lab.sh("mkdir -p /var/lib/cni/results && echo {} >/var/lib/cni/results/net-c1-eth0");
    let young = table(&lab, "gc");
    assert_eq!(young, ["0 names have expired, 0 blocks are given up"]);
    let dry = table(&lab, "gc --older-than 0 --dry-run");
    assert_eq!(dry[0], "would give back 10.0.0.3 of net/c2/eth0");
    assert_eq!(json_of(&lab, "leases").as_array().expect("a list").len(), 2);
    let done = table(&lab, "gc --older-than 0");
    assert_eq!(done[0], "gave back 10.0.0.3 of net/c2/eth0");
    // What others have on record is not ours to give back.
    lab.sh("mkdir -p /var/lib/cni/multus/results
            mv /var/lib/cni/results/net-c1-eth0 /var/lib/cni/multus/results");
    assert_eq!(table(&lab, "gc --older-than 0").len(), 1);
    lab.sh("rm /var/lib/cni/multus/results/net-c1-eth0");
    let last = table(&lab, "gc --older-than 0");
    assert_eq!(last[1], "0 names have expired, 1 blocks are given up");
    assert_eq!(addresses(&plugin.on("c9").add().result()).len(), 1);
}

#[test]
fn ip_5_leases_move_from_host_local_and_whereabouts_and_between_databases() {
    let lab = Lab::new();
    let config = json!({ "cniVersion": "1.1.0", "name": "net", "type": "bridge",
                         "ipam": { "type": "host-local", "subnet": "10.0.0.0/24" } });
    for container in ["c1", "c2"] {
        lab.plugin("host-local").config(config.clone()).on(container).add().result();
    }
    let folder = "--database host-local:///var/lib/cni/networks";
    assert_eq!(table(&lab, &format!("leases {folder}")).len(), 3);
    assert!(table(&lab, &format!("who 10.0.0.3 {folder}"))[1].starts_with("10.0.0.3 net net c2"));
    assert!(ipam(&lab, &format!("pools {folder}")).stderr.contains("it takes a database"));
    let plugin = sql(&lab, FILE, &json!({ "pools": [{ "name": "lan", "subnet": "10.0.0.0/24" }] }));
    plugin.clone().on("c0").args("IP=10.0.0.3").add().result();
    let moved = ipam(&lab, "import /var/lib/cni/networks --pool lan");
    let skipped = "skipped 10.0.0.3: somebody else has it: net/c0/eth0\n";
    let expected = format!("{skipped}1 leases are new, 0 were there, 1 are skipped\n");
    assert_eq!((moved.code, moved.stdout), (1, expected));
    let below = ipam(&lab, "import /var/lib/cni/networks/net --pool lan");
    assert!(below.code == 1 && below.stderr.contains("it has no folders of networks"), "{below}");
    ipam(&lab, &format!("release 10.0.0.2 net {folder}")).silent();
    assert_eq!(lab.leases("net"), ["10.0.0.3"]);
    // What was imported is not given again, and is released by its owner's DEL.
    assert_eq!(addresses(&plugin.clone().on("c4").add().result()), ["10.0.0.4"]);
    plugin.clone().on("c1").del_without_result().silent();
    let pools = json!({ "items": [{ "spec": { "range": "10.0.0.0/24", "allocations": {
        "9": { "id": "w1", "podref": "prod/web-0", "ifname": "net1" } } } }] });
    lab.write("/run/pools.json", &pools.to_string());
    let moved = table(&lab, "import /run/pools.json --pool lan --network net");
    assert_eq!(moved, ["1 leases are new, 0 were there, 0 are skipped"]);
    // Nobody knows on which host it is, and so no host may give it back.
    assert_eq!(table(&lab, "who 10.0.0.9")[1], "10.0.0.9 net net w1 net1 prod/web-0 - held");
    lab.sh(&format!("{} ipam export >/run/all.json", command_path().display()));
    let server = Server::new(&lab, "pg", 5432);
    let url = format!("--database '{}'", server.url());
    let moved = table(&lab, &format!("import /run/all.json {url}"));
    assert_eq!(moved, ["3 leases are new, 0 were there, 0 are skipped"]);
    assert_eq!(server.held(), ["10.0.0.3 c0", "10.0.0.4 c4", "10.0.0.9 w1"]);
    assert_eq!(table(&lab, &format!("leases {url}")).len(), 4);
    ipam(&lab, &format!("reserve 10.0.0.77 net {url}")).silent();
    ipam(&lab, &format!("release 10.0.0.77 net {url}")).silent();
    lab.sh("mkdir -p /var/lib/cni/results");
    assert_eq!(ipam(&lab, &format!("check {url}")).code, 1);
    table(&lab, &format!("gc {url} --older-than 0"));
    assert_eq!(server.held(), ["10.0.0.9 w1"]);
}

#[test]
fn ip_6_an_export_imported_elsewhere_is_the_same() {
    let lab = Lab::new();
    let pools = json!([{ "name": "lan", "subnet": "10.0.0.0/24", "blockSize": 28 },
                       { "name": "lan6", "subnet": "fd00::/64" }]);
    let settings = json!({ "pools": pools, "space": "campus", "host": "h1", "keepFor": 100 });
    let plugin = sql(&lab, FILE, &settings);
    let pod = |name: &str| format!("K8S_POD_NAMESPACE=prod;K8S_POD_NAME={name}");
    plugin.clone().on("c1").add().result();
    ipam(&lab, "reserve 10.0.0.3 campus --for prod/db-0").silent();
    ipam(&lab, "reserve 10.0.0.77 campus").silent();
    plugin.clone().on("c2").args(&pod("db-0")).add().result();
    plugin.clone().on("c3").args(&pod("web-0")).add().result();
    plugin.on("c3").args(&pod("web-0")).del_without_result().silent();
    let command = command_path().display().to_string();
    lab.sh(&format!("{command} ipam export >/run/all.json"));
    let server = Server::new(&lab, "pg", 5432);
    for database in ["sqlite:///run/other.db".to_owned(), server.url()] {
        let url = format!("--database '{database}'");
        lab.sh("touch /run/other.db");
        let moved = table(&lab, &format!("import /run/all.json {url}"));
        assert_eq!(moved, ["7 leases are new, 0 were there, 0 are skipped"]);
        let moved = table(&lab, &format!("import /run/all.json {url}"));
        assert_eq!(moved, ["0 leases are new, 7 were there, 0 are skipped"]);
        lab.sh(&format!("{command} ipam export {url} >/run/again.json"));
        lab.sh("cmp /run/all.json /run/again.json");
        let other = sql(&lab, &database, &settings);
        let given = addresses(&other.clone().on("c4").add().result());
        assert_eq!(given, ["10.0.0.5", "fd00::5"]);
        let web = other.on("c5").args(&pod("web-0")).add().result();
        assert_eq!(addresses(&web), ["10.0.0.4", "fd00::4"]);
    }
}

#[test]
fn ip_7_nothing_that_is_imported_lands_in_a_wrong_pool_or_is_given_again() {
    let lab = Lab::new();
    let folder = "/var/lib/cni/networks/net";
    let files = [("10.0.0.2", "c1"), ("10.0.0.5", "c1"), ("10.0.0.3", "c2"), ("fd00::2", "c2")];
    lab.sh(&format!("mkdir -p {folder}"));
    for (ip, container) in files {
        lab.sh(&format!("printf '{container}\\r\\neth0' >{folder}/{ip}"));
    }
    let pools = json!([{ "name": "lan", "subnet": "10.0.0.0/24" },
                       { "name": "lan6", "subnet": "fd00::/64" }]);
    sql(&lab, FILE, &json!({ "pools": pools })).on("c9").del_without_result().silent();
    let import = "import /var/lib/cni/networks --pool lan";
    for (words, expected) in [
        (import.to_owned(), "pool lan cannot have IPv4 and IPv6"),
        (format!("{import}=10.0.0.0/24"), "no pool is given for fd00::2"),
        (format!("{import} --pool lan6=fd00::/64"), "which addresses are of pool lan is not said"),
    ] {
        let refused = ipam(&lab, &words);
        assert!(refused.code == 1 && refused.stderr.contains(expected), "{refused}");
    }
    let server = Server::new(&lab, "pg", 5432);
    for database in [FILE.to_owned(), server.url()] {
        let plugin = sql(&lab, &database, &json!({ "pools": pools, "cooldown": 0 }));
        let url = format!("--database '{database}'");
        // Somebody had what is in use elsewhere.
        plugin.clone().on("c0").add().result();
        plugin.clone().on("c0").del_without_result().silent();
        assert_eq!(table(&lab, &format!("leases {url}")), ["no leases"]);
        let moved = table(&lab, &format!("{import}=10.0.0.0/24 --pool lan6=fd00::/64 {url}"));
        assert_eq!(moved, ["4 leases are new, 0 were there, 0 are skipped"]);
        let others = [("c3", ["10.0.0.4", "fd00::3"]), ("c4", ["10.0.0.6", "fd00::4"])];
        for (container, expected) in others {
            assert_eq!(addresses(&plugin.clone().on(container).add().result()), expected);
        }
        plugin.clone().on("c2").del_without_result().silent();
        assert_eq!(addresses(&plugin.on("c5").add().result()), ["10.0.0.3", "fd00::2"]);
    }
}
