//! The packaged reference plugins and ours in one place: either deletes what the other attached,
//! each is the other's delegate, and both keep the same books.

mod clients {
    pub(crate) mod packaged;
    pub(crate) mod runtime;
}

use std::collections::BTreeSet;

use clients::packaged;
use clients::runtime::Runtime;
use ropewalk_e2e::{Lab, Plugin, Snapshot, Value, json};

/// A chain with everything that leaves traces: leases, masquerade, published ports, firewall
/// rules, a saved link setting.
fn chain(network: &str, subnets: &[&str]) -> Value {
    let ranges: Vec<Value> = subnets.iter().map(|it| json!([{ "subnet": it }])).collect();
    json!({ "cniVersion": "1.0.0", "name": network, "plugins": [
        {
            "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true,
            "hairpinMode": true,
            "ipam": {
                "type": "host-local", "ranges": ranges,
                "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }],
            },
        },
        { "type": "portmap", "capabilities": { "portMappings": true } },
        { "type": "firewall" },
        { "type": "tuning", "mtu": 1400, "sysctl": { "net.ipv4.conf.eth0.arp_filter": "1" } },
    ]})
}

const BOTH: [&str; 2] = ["10.1.2.0/24", "fd00:1:2::/64"];

/// A host with a neighbour at 10.9.0.2, and the network `net` of both families.
fn host() -> Lab {
    let lab = Lab::new();
    lab.outer_network("outer", &[("10.9.0.1/24", "10.9.0.2/24")]);
    configure(&lab, |network| chain(network, &BOTH));
    lab
}

/// Configures the network `net`, and `settled`, which is the same but for its name.
fn configure(lab: &Lab, list: impl Fn(&str) -> Value) {
    for network in ["net", "settled"] {
        let path = format!("/etc/cni/net.d/{network}.conflist");
        lab.write(&path, &list(network).to_string());
    }
}

/// Capabilities that publish one host port as container port 80.
fn publish(port: u16) -> Value {
    json!({ "portMappings": [{ "hostPort": port, "containerPort": 80, "protocol": "tcp" }] })
}

/// Attaches and detaches once with each set of plugins, so that what is Shared is there and a
/// comparison with this snapshot is exact.
fn settle(lab: &Lab, runtimes: &[&Runtime<'_>]) -> Snapshot {
    lab.netns("settled");
    for runtime in runtimes {
        let runtime = (*runtime).clone().capabilities(&publish(7999));
        runtime.add("settled", "settled");
        runtime.quiet("del", "settled", "settled");
    }
    lab.sh("ip netns del settled");
    lab.snapshot()
}

/// One of the packaged plugins, to be run alone.
#[track_caller]
fn packaged_plugin<'lab>(lab: &'lab Lab, name: &str) -> Plugin<'lab> {
    packaged::require_them();
    // A laboratory gives plugins by their names in the directory of those under test; the parent
    // of the root is the root.
    let directory = packaged::DIRECTORY;
    lab.plugin(&format!("../../../../../../../../../..{directory}/{name}")).path(directory)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not text: {value}")).to_owned()
}

/// The first address of a result without its prefix length.
fn address(result: &Value) -> String {
    let address = text(&result["ips"][0]["address"]);
    address.split_once('/').expect("an address has a prefix length").0.to_owned()
}

/// Asserts that the reference plugins left their traces, or a test of their removal would be idle.
#[track_caller]
fn traces_of_the_packaged_plugins(lab: &Lab, addresses: &[&str]) {
    let rules = lab.sh("iptables-save; ip6tables-save");
    for address in addresses {
        for part in ["-A POSTROUTING -s", "-A CNI-FORWARD -s"] {
            assert!(rules.contains(&format!("{part} {address}/32 ")), "{part} {address}: {rules}");
        }
        assert!(rules.contains(&format!("--to-destination {address}:80")), "{rules}");
    }
    // A chain and a lease for each family.
    assert_eq!(rules.matches(":CNI-DN-").count(), lab.leases("net").len(), "{rules}");
    assert_eq!(lab.list("/run/cni/tuning").len(), addresses.len());
}

#[test]
fn our_command_drives_the_packaged_plugins() {
    let lab = host();
    let packaged = Runtime::packaged(&lab);
    let before = settle(&lab, &[&packaged]);
    lab.netns("c1");
    let runtime = packaged.capabilities(&publish(8080));
    runtime.quiet("status", "net", "c1");
    let result = runtime.add("net", "c1");
    let address = address(&result);
    traces_of_the_packaged_plugins(&lab, &[&address]);
    assert_eq!(lab.list("/var/lib/cni/results").len(), 1);
    assert_eq!(lab.ip_json_in("c1", "link show dev eth0")[0]["mtu"], 1400);
    let host = Some("10.9.0.1".parse().expect("an address"));
    assert_eq!(lab.source_seen("c1", "outer", "10.9.0.2:80"), host);
    assert!(lab.reaches("outer", "10.9.0.1:8080"));

    runtime.quiet("del", "net", "c1");
    assert!(!lab.has_link("c1", "eth0"));
    lab.nothing_left(&before);
    runtime.quiet("del", "net", "c1");
}

/// Without published ports: the packaged portmap looks for the rules of either family in both.
#[test]
fn our_command_checks_what_the_packaged_plugins_attached() {
    let lab = host();
    let runtime = Runtime::packaged(&lab);
    let before = settle(&lab, &[&runtime]);
    lab.netns("c1");
    runtime.add("net", "c1");
    runtime.quiet("check", "net", "c1");
    lab.sh_in("c1", "ip -4 route del default");
    let complaint = runtime.run("check", "net", "c1");
    assert_eq!(complaint.code, 1, "{complaint}");
    assert!(complaint.stderr.contains("Expected Route {Dst:{IP:0.0.0.0"), "{complaint}");
    runtime.quiet("del", "net", "c1");
    lab.nothing_left(&before);
}

#[test]
fn our_command_collects_what_the_packaged_plugins_attached() {
    let lab = host();
    let packaged = Runtime::packaged(&lab);
    let before = settle(&lab, &[&packaged]);
    for (name, port) in [("c1", 8081), ("c2", 8082)] {
        lab.netns(name);
        packaged.clone().capabilities(&publish(port)).add("net", name);
    }
    assert_eq!(lab.leases("net").len(), 4);
    packaged.quiet("gc", "net", "none");
    lab.nothing_left(&before);
    assert!(!lab.has_link("c1", "eth0"));
}

#[test]
fn what_the_packaged_plugins_attached_our_plugins_delete() {
    let lab = host();
    let (packaged, ours) = (Runtime::packaged(&lab), Runtime::ours(&lab));
    let before = settle(&lab, &[&packaged, &ours]);
    let mut addresses = Vec::new();
    for (name, port) in [("c1", 8081), ("c2", 8082)] {
        lab.netns(name);
        addresses.push(address(&packaged.clone().capabilities(&publish(port)).add("net", name)));
    }
    traces_of_the_packaged_plugins(&lab, &[&addresses[0], &addresses[1]]);
    assert_eq!(lab.leases("net").len(), 4);
    assert!(lab.reaches("outer", "10.9.0.1:8081"));

    ours.clone().capabilities(&publish(8081)).quiet("del", "net", "c1");
    assert!(!lab.has_link("c1", "eth0"));
    traces_of_the_packaged_plugins(&lab, &[&addresses[1]]);
    assert!(!lab.sh("iptables-save").contains(&format!("{}/32", addresses[0])));
    let host = Some("10.9.0.1".parse().expect("an address"));
    assert_eq!(lab.source_seen("c2", "outer", "10.9.0.2:80"), host);

    // What was published is on record.
    ours.quiet("del", "net", "c2");
    lab.nothing_left(&before);
    assert_eq!(lab.sh("iptables-save; ip6tables-save").matches(":CNI-DN-").count(), 0);
}

#[test]
fn it_is_deleted_even_when_the_namespace_is_gone() {
    let lab = host();
    if lab.reference_fails("without a namespace they leave the rules for masquerade") {
        return;
    }
    let (packaged, ours) = (Runtime::packaged(&lab), Runtime::ours(&lab));
    let before = settle(&lab, &[&packaged, &ours]);
    lab.netns("c1");
    let result = packaged.capabilities(&publish(8081)).add("net", "c1");
    traces_of_the_packaged_plugins(&lab, &[&address(&result)]);
    lab.sh("ip netns del c1");
    ours.capabilities(&publish(8081)).quiet("del", "net", "c1");
    lab.nothing_left(&before);
}

#[test]
fn our_garbage_collection_takes_what_the_packaged_plugins_attached() {
    let lab = host();
    let (packaged, ours) = (Runtime::packaged(&lab), Runtime::ours(&lab));
    let before = settle(&lab, &[&packaged, &ours]);
    for (name, port) in [("c1", 8081), ("c2", 8082)] {
        lab.netns(name);
        packaged.clone().capabilities(&publish(port)).add("net", name);
    }
    assert_eq!(lab.leases("net").len(), 4);
    ours.quiet("gc", "net", "none");
    lab.nothing_left(&before);
}

/// The way back from an upgrade, where the back end that both know was asked for.
#[test]
fn what_our_plugins_attached_with_iptables_the_packaged_plugins_delete() {
    let lab = host();
    configure(&lab, |network| {
        let mut list = chain(network, &BOTH);
        list["plugins"][0]["ipMasqBackend"] = json!("iptables");
        list["plugins"][1]["backend"] = json!("iptables");
        list["plugins"][2]["backend"] = json!("iptables");
        list
    });
    let (packaged, ours) = (Runtime::packaged(&lab), Runtime::ours(&lab));
    let before = settle(&lab, &[&packaged, &ours]);
    lab.netns("c1");
    let result = ours.capabilities(&publish(8081)).add("net", "c1");
    traces_of_the_packaged_plugins(&lab, &[&address(&result)]);
    assert!(lab.reaches("outer", "10.9.0.1:8081"));
    packaged.capabilities(&publish(8081)).quiet("del", "net", "c1");
    assert!(!lab.has_link("c1", "eth0"));
    lab.nothing_left(&before);
}

fn bridge_config() -> Value {
    json!({
        "cniVersion": "1.0.0", "name": "net", "type": "bridge", "isGateway": true,
        "ipam": { "type": "host-local", "subnet": "10.1.2.0/24",
                  "routes": [{ "dst": "0.0.0.0/0" }] },
    })
}

/// ADD, CHECK and DEL of a bridge whose `CNI_PATH` has one plugin only: a `host-local` that is
/// `delegate`, which writes down its verbs.
#[track_caller]
fn delegates(lab: &Lab, bridge: Plugin<'_>, delegate: &str) {
    let script = format!("echo $CNI_COMMAND >>/run/lab/calls; exec {delegate}");
    let path = lab.delegate("host-local", &script);
    let directory = path.split(':').next().expect("a directory");
    lab.netns("c1");
    let bridge = bridge.path(directory).on("c1").config(bridge_config());
    let before = lab.snapshot();
    let result = bridge.add().result();
    assert_eq!(result["ips"][0]["address"], "10.1.2.2/24");
    assert_eq!(result["ips"][0]["gateway"], "10.1.2.1");
    assert_eq!(lab.read("/var/lib/cni/networks/net/10.1.2.2"), "c1\r\neth0");
    assert!(lab.reaches("c1", "10.1.2.1:9"));
    bridge.check(&result).silent();
    lab.sh("mv /var/lib/cni/networks/net/10.1.2.2 /run/lab/lease");
    let complaint = bridge.check(&result).refused();
    assert!(complaint.contains("Failed to find address added by container c1"), "{complaint}");
    lab.sh("mv /run/lab/lease /var/lib/cni/networks/net/10.1.2.2");
    bridge.del(&result).silent();
    assert_eq!(lab.read("/run/lab/calls"), "ADD\nCHECK\nCHECK\nDEL\n");
    assert!(lab.leases("net").is_empty());
    lab.nothing_left(&before);
}

#[test]
fn the_packaged_host_local_serves_our_bridge() {
    let lab = Lab::new();
    packaged::require_them();
    let delegate = format!("{}/host-local", packaged::DIRECTORY);
    delegates(&lab, lab.plugin("bridge"), &delegate);
}

#[test]
fn our_host_local_serves_the_packaged_bridge() {
    let lab = Lab::new();
    let delegate = format!("{}/host-local", lab.plugin_directory());
    delegates(&lab, packaged_plugin(&lab, "bridge"), &delegate);
}

/// Both `host-local`s for one network.
fn both_books<'lab>(lab: &'lab Lab, ipam: &Value) -> [Plugin<'lab>; 2] {
    let config = json!({ "cniVersion": "1.0.0", "name": "net", "type": "bridge", "ipam": ipam });
    [packaged_plugin(lab, "host-local"), lab.plugin("host-local")]
        .map(|plugin| plugin.config(config.clone()))
}

#[test]
fn each_honours_and_releases_the_leases_of_the_other() {
    let lab = Lab::new();
    let ipam = json!({ "ranges": [[{ "subnet": "10.1.2.0/29" }], [{ "subnet": "fd00:1::/125" }]] });
    let [theirs, ours] = both_books(&lab, &ipam);
    let mut results = Vec::new();
    for (index, plugin) in [&theirs, &ours, &theirs, &ours, &theirs].iter().enumerate() {
        let result = (*plugin).clone().on(&format!("c{index}")).add().result();
        assert_eq!(result["ips"][0]["address"], format!("10.1.2.{}/29", index + 2));
        assert_eq!(result["ips"][1]["address"], format!("fd00:1::{}/125", index + 2));
        results.push(result);
    }
    for plugin in [&theirs, &ours] {
        let full = plugin.clone().on("more").add().failure();
        assert!(
            full.contains("no IP addresses available in range set: 10.1.2.1-10.1.2.6"),
            "{full}"
        );
    }
    for (index, result) in results.iter().enumerate() {
        for plugin in [&theirs, &ours] {
            let twice = plugin.clone().on(&format!("c{index}")).add().failure();
            assert!(twice.contains("duplicate allocation is not allowed"), "{twice}");
            plugin.clone().on(&format!("c{index}")).check(result).silent();
        }
    }
    // Each releases what the other leased; the last address handed out is remembered by both.
    ours.clone().on("c0").del(&results[0]).silent();
    theirs.clone().on("c1").del(&results[1]).silent();
    assert_eq!(lab.leases("net").len(), 6);
    let next = ours.clone().on("d0").add().result();
    assert_eq!(next["ips"][0]["address"], "10.1.2.2/29");
    let next = theirs.clone().on("d1").add().result();
    assert_eq!(next["ips"][0]["address"], "10.1.2.3/29");
    assert_eq!(lab.read("/var/lib/cni/networks/net/last_reserved_ip.0"), "10.1.2.3");
    for name in ["d0", "d1", "c2", "c3", "c4"] {
        ours.clone().on(name).del_without_result().silent();
    }
    assert!(lab.leases("net").is_empty());
}

#[test]
fn a_requested_address_that_the_other_leased_is_refused() {
    let lab = Lab::new();
    let pair = both_books(&lab, &json!({ "subnet": "10.1.2.0/24" }));
    for (index, (first, second)) in [(0, 1), (1, 0)].into_iter().enumerate() {
        let wanted = format!("10.1.2.{}", 77 + index);
        let asks = |plugin: &Plugin<'_>, name: &str| {
            let args = format!("IgnoreUnknown=1;IP={wanted}");
            plugin.clone().on(name).args(&args).add()
        };
        let given = asks(&pair[first], &format!("a{index}")).result();
        assert_eq!(given["ips"][0]["address"], format!("{wanted}/24"));
        let refused = asks(&pair[second], &format!("b{index}")).failure();
        assert!(refused.contains(&format!("requested IP address {wanted} is not available")));
    }
}

/// Starts many at once, half of them each; answers the addresses.
fn many(pair: &[Plugin<'_>; 2], names: &[String]) -> Vec<String> {
    let started: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(index, name)| pair[index % 2].clone().on(name).command("ADD").start())
        .collect();
    started.into_iter().map(|running| address(&running.finish().result())).collect()
}

#[test]
fn one_address_is_never_given_twice_when_both_work_in_one_directory() {
    let lab = Lab::new();
    let pair = both_books(&lab, &json!({ "subnet": "10.1.2.0/25" }));
    let names: Vec<String> = (0..60).map(|index| format!("c{index}")).collect();
    for _ in 0..3 {
        let addresses = many(&pair, &names);
        let distinct: BTreeSet<&String> = addresses.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{addresses:?}");
        for (name, address) in names.iter().zip(&addresses) {
            let lease = lab.read(&format!("/var/lib/cni/networks/net/{address}"));
            assert_eq!(lease, format!("{name}\r\neth0"));
        }
        assert_eq!(lab.leases("net").len(), names.len());
        // Crosswise, so that each releases the leases of the other.
        let deleting: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(index, name)| pair[(index + 1) % 2].clone().on(name).command("DEL").start())
            .collect();
        for running in deleting {
            running.finish().silent();
        }
        assert!(lab.leases("net").is_empty());
    }
}

/// Additions and deletions at the same time: a name is attached again as soon as it is free.
#[test]
fn leases_that_come_and_go_at_once_never_meet() {
    let lab = Lab::new();
    let pair = both_books(&lab, &json!({ "subnet": "10.1.2.0/28" }));
    let lab = &lab;
    std::thread::scope(|scope| {
        for worker in 0..6 {
            let (adder, deleter) = (&pair[worker % 2], &pair[worker / 2 % 2]);
            scope.spawn(move || {
                let name = format!("w{worker}");
                for _ in 0..10 {
                    let address = address(&adder.clone().on(&name).add().result());
                    let lease = lab.read(&format!("/var/lib/cni/networks/net/{address}"));
                    assert_eq!(lease, format!("{name}\r\neth0"));
                    deleter.clone().on(&name).del_without_result().silent();
                }
            });
        }
    });
    assert!(lab.leases("net").is_empty());
}

#[test]
fn our_garbage_collection_knows_the_leases_of_the_packaged_host_local() {
    let lab = Lab::new();
    if lab.reference_fails("it collects nothing") {
        return;
    }
    let [theirs, ours] = both_books(&lab, &json!({ "subnet": "10.1.2.0/24" }));
    for name in ["c1", "c2", "c3"] {
        theirs.clone().on(name).add().result();
    }
    let collector = ours.key("cniVersion", &json!("1.1.0"));
    collector.gc(&[("c2", "eth0")]).silent();
    assert_eq!(lab.leases("net"), ["10.1.2.3"]);
}
