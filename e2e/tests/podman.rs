//! Podman from Debian with `network_backend = "cni"`: its own four-plugin chain (bridge, portmap,
//! firewall, tuning) over the plugins under test.

mod clients {
    pub(crate) mod image;
    pub(crate) mod packaged;
    pub(crate) mod podman;
    pub(crate) mod reaper;
}

use clients::image::{ask, try_ask};
use clients::packaged;
use clients::podman::{NETWORKS, Podman};
use ropewalk_e2e::{Lab, Snapshot, Value, json};

const SLEEP: &str = "sleep 1000";

/// A host with a neighbour at 10.9.0.2, and podman with its default network.
fn host<'lab>(lab: &'lab Lab, plugins: &str) -> Podman<'lab> {
    lab.outer_network("outer", &[("10.9.0.1/24", "10.9.0.2/24")]);
    Podman::new(lab, plugins)
}

/// Attaches a container to networks once, so that what is Shared is there and a comparison with
/// this snapshot is exact.
fn settled(lab: &Lab, podman: &Podman<'_>, networks: &str) -> Snapshot {
    podman.start("first", &format!("--network {networks} -p 7999:80"), SLEEP);
    podman.run("rm -f first");
    lab.snapshot()
}

/// Asserts that a published port answers to the neighbour, under whose own address.
#[track_caller]
fn published(lab: &Lab, port: u16, container: &str) {
    let answer = ask(lab, Some("outer"), &format!("10.9.0.1:{port}"));
    assert_eq!(answer, (container.to_owned(), "10.9.0.2".to_owned()));
}

#[test]
fn containers_of_the_default_network_reach_each_other_and_publish_ports() {
    let lab = Lab::new();
    let podman = host(&lab, lab.plugin_directory());
    let before = settled(&lab, &podman, "podman");
    podman.serve("web", "-p 8080:80");
    podman.start("peer", "", SLEEP);
    let (web, peer) = (podman.address("web", "podman"), podman.address("peer", "podman"));
    assert!(web.starts_with("10.88.0.") && peer.starts_with("10.88.0."), "{web} {peer}");
    assert_eq!(lab.leases("podman"), [web.clone(), peer.clone()]);

    podman.ping("peer", &web);
    podman.ping("web", &peer);
    assert_eq!(podman.ask("peer", &format!("{web}:80")), ("web".to_owned(), peer));
    published(&lab, 8080, "web");
    assert_eq!(ask(&lab, None, "127.0.0.1:8080").0, "web");
    assert_eq!(podman.ask("peer", "10.9.0.1:8080").0, "web");
    assert_eq!(podman.ask("web", "10.9.0.1:8080").0, "web");
    let host = Some("10.9.0.1".parse().expect("an address"));
    assert_eq!(lab.source_seen(&podman.netns("peer"), "outer", "10.9.0.2:80"), host);

    let network = podman.json("network inspect podman");
    assert_eq!(network[0]["driver"], "bridge");
    assert_eq!(network[0]["network_interface"], "cni-podman0");
    assert_eq!(
        network[0]["subnets"],
        json!([{ "subnet": "10.88.0.0/16", "gateway": "10.88.0.1" }])
    );

    podman.run("stop web peer");
    assert!(lab.leases("podman").is_empty());
    assert_ne!(try_ask(&lab, Some("outer"), "10.9.0.1:8080").code, 0);
    lab.nothing_left(&before);
    podman.run("rm web peer");
    podman.nothing_left();
    lab.nothing_left(&before);
}

#[test]
fn a_container_that_starts_again_is_reached_again() {
    let lab = Lab::new();
    let podman = host(&lab, lab.plugin_directory());
    let before = settled(&lab, &podman, "podman");
    podman.serve("web", "-p 8080:80");
    podman.serve("other", "-p 8081:80 -p 10.9.0.1:8082:80");
    podman.run("stop web");
    assert_ne!(try_ask(&lab, Some("outer"), "10.9.0.1:8080").code, 0);
    published(&lab, 8081, "other");
    podman.run("start web");
    podman.listens("web");
    published(&lab, 8080, "web");
    published(&lab, 8082, "other");
    assert_ne!(try_ask(&lab, None, "127.0.0.1:8082").code, 0, "published at one address only");
    podman.run("restart other");
    podman.listens("other");
    published(&lab, 8081, "other");
    podman.run("rm -f -a");
    podman.nothing_left();
    lab.nothing_left(&before);
}

#[test]
fn rules_that_somebody_flushed_are_back_after_a_reload() {
    let lab = Lab::new();
    let podman = host(&lab, lab.plugin_directory());
    let before = settled(&lab, &podman, "podman");
    podman.serve("web", "-p 8080:80");
    published(&lab, 8080, "web");
    let address = podman.address("web", "podman");
    lab.sh("nft flush ruleset");
    assert_ne!(try_ask(&lab, Some("outer"), "10.9.0.1:8080").code, 0);
    podman.run("network reload web");
    published(&lab, 8080, "web");
    assert_eq!(podman.address("web", "podman"), address);
    let host = Some("10.9.0.1".parse().expect("an address"));
    assert_eq!(lab.source_seen(&podman.netns("web"), "outer", "10.9.0.2:80"), host);
    podman.run("rm -f web");
    podman.nothing_left();
    lab.nothing_left(&before);
}

/// The plugins of the list that podman wrote for a network.
fn chain(lab: &Lab, network: &str) -> Vec<String> {
    let list: Value =
        serde_json::from_str(&lab.read(&format!("{NETWORKS}/{network}.conflist"))).expect("JSON");
    let plugins = list["plugins"].as_array().expect("a list has plugins");
    plugins.iter().map(|plugin| plugin["type"].as_str().expect("a type").to_owned()).collect()
}

#[test]
fn networks_that_podman_makes_have_both_families_and_take_chosen_addresses() {
    let lab = Lab::new();
    let podman = host(&lab, lab.plugin_directory());
    podman.run("network create --subnet 10.77.0.0/24 --subnet fd00:77::/64 --ipv6 blue");
    let before = settled(&lab, &podman, "blue");
    assert_eq!(chain(&lab, "blue"), ["bridge", "portmap", "firewall", "tuning"]);
    let chosen = "--ip 10.77.0.9 --mac-address 02:00:00:00:77:09";
    podman.serve("web", &format!("--network blue {chosen} -p 8080:80"));
    podman.start("peer", "--network blue", SLEEP);
    assert_eq!(podman.address("web", "blue"), "10.77.0.9");
    let link = lab.ip_json_in(&podman.netns("web"), "address show dev eth0");
    assert_eq!(link[0]["address"], "02:00:00:00:77:09");
    let six = link[0]["addr_info"].as_array().into_iter().flatten();
    let mut six = six.filter(|it| it["scope"] == "global" && it["family"] == "inet6");
    let six = six.next().and_then(|it| it["local"].as_str()).expect("an address of each family");
    assert!(six.starts_with("fd00:77::"), "{six}");
    podman.ping("peer", "10.77.0.9");
    podman.run(&format!("exec peer ping -6 -c 1 -w 5 {six}"));
    published(&lab, 8080, "web");

    let taken = podman.try_start("twin", "--network blue --ip 10.77.0.9", SLEEP);
    assert_ne!(taken.code, 0, "{taken}");
    assert!(taken.stderr.contains("10.77.0.9"), "{taken}");
    podman.run("rm -f web peer twin");
    podman.nothing_left();
    lab.nothing_left(&before);
    assert!(lab.sh("ip -o link show").contains("cni-podman1"));
    podman.run("network rm blue");
    assert!(!lab.sh("ip -o link show").contains("cni-podman1"));
}

#[test]
fn a_second_network_is_connected_and_disconnected_while_the_container_runs() {
    let lab = Lab::new();
    let podman = host(&lab, lab.plugin_directory());
    podman.run("network create --subnet 10.77.0.0/24 blue");
    let before = settled(&lab, &podman, "podman,blue");
    podman.serve("web", "--network podman -p 8080:80");
    podman.start("peer", "--network blue", SLEEP);
    let netns = podman.netns("web");
    assert!(!lab.has_link(&netns, "eth1"));
    podman.run("network connect blue web");
    assert!(lab.has_link(&netns, "eth1"));
    let address = podman.address("web", "blue");
    podman.ping("peer", &address);
    assert_eq!(podman.ask("peer", &format!("{address}:80")).0, "web");
    assert_eq!(ask(&lab, None, "127.0.0.1:8080").0, "web");

    podman.run("network disconnect blue web");
    assert!(!lab.has_link(&netns, "eth1"));
    assert!(!lab.leases("blue").contains(&address));
    published(&lab, 8080, "web");
    podman.run("rm -f web peer");
    podman.nothing_left();
    lab.nothing_left(&before);
}

/// The firewall plugin accepts for its containers, and nobody does for others.
#[test]
fn containers_reach_the_world_where_the_host_drops_what_nobody_accepts() {
    let lab = Lab::new();
    lab.sh("iptables -P FORWARD DROP");
    let podman = host(&lab, lab.plugin_directory());
    let bare = json!({ "cniVersion": "0.4.0", "name": "bare", "plugins": [
        { "type": "bridge", "bridge": "cni-bare", "isGateway": true, "ipMasq": true,
          "ipam": { "type": "host-local", "routes": [{ "dst": "0.0.0.0/0" }],
                    "ranges": [[{ "subnet": "10.66.0.0/24", "gateway": "10.66.0.1" }]] } },
    ]});
    lab.write(&format!("{NETWORKS}/bare.conflist"), &bare.to_string());
    settled(&lab, &podman, "podman");
    let before = settled(&lab, &podman, "bare");
    podman.start("web", "", SLEEP);
    podman.start("bare", "--network bare", SLEEP);
    let host = Some("10.9.0.1".parse().expect("an address"));
    assert_eq!(lab.source_seen(&podman.netns("web"), "outer", "10.9.0.2:80"), host);
    assert_eq!(lab.source_seen(&podman.netns("bare"), "outer", "10.9.0.2:80"), None);
    podman.run("rm -f web bare");
    podman.nothing_left();
    lab.nothing_left(&before);
}

/// Podman publishes the ports in every network of the container.
#[test]
fn a_published_port_outlives_the_first_of_two_networks() {
    let lab = Lab::new();
    let podman = host(&lab, lab.plugin_directory());
    podman.run("network create --subnet 10.77.0.0/24 blue");
    let before = settled(&lab, &podman, "podman,blue");
    podman.serve("web", "--network podman,blue -p 8080:80");
    podman.start("peer", "--network blue", SLEEP);
    assert_eq!(ask(&lab, None, "127.0.0.1:8080").0, "web");
    podman.run("network disconnect podman web");
    published(&lab, 8080, "web");
    assert_eq!(podman.ask("peer", "10.9.0.1:8080").0, "web");
    podman.run("rm -f web peer");
    assert_ne!(try_ask(&lab, None, "127.0.0.1:8080").code, 0);
    podman.nothing_left();
    lab.nothing_left(&before);
}

/// Podman cannot read a result of 1.1.0: it asks every plugin to undo what was done.
#[test]
fn an_attachment_that_podman_does_not_understand_leaves_nothing() {
    let lab = Lab::new();
    let podman = host(&lab, lab.plugin_directory());
    let list = json!({ "cniVersion": "1.1.0", "name": "new", "plugins": [
        { "type": "bridge", "bridge": "cni-new", "isGateway": true, "ipMasq": true,
          "ipam": { "type": "host-local", "ranges": [[{ "subnet": "10.66.0.0/24" }]] } },
        { "type": "portmap", "capabilities": { "portMappings": true } },
        { "type": "firewall" }, { "type": "tuning" },
    ]});
    lab.write(&format!("{NETWORKS}/new.conflist"), &list.to_string());
    let refused = |name: &str| {
        let outcome = podman.try_start(name, "--network new -p 8080:80", SLEEP);
        assert_ne!(outcome.code, 0, "{outcome}");
        assert!(outcome.stderr.contains("1.1.0"), "{outcome}");
        podman.run(&format!("rm -f -i {name}"));
        podman.nothing_left();
    };
    let nothing = lab.snapshot();
    refused("first");
    lab.nothing_left(&nothing);
    let before = lab.snapshot();
    refused("second");
    lab.nothing_left(&before);
}

/// Replaces the plugins in a directory, as an upgrade does.
fn install(lab: &Lab, from: &str) {
    lab.sh(&format!("mkdir -p /run/lab/swap; ln -sf {from}/* /run/lab/swap/"));
}

#[test]
fn containers_started_with_the_packaged_plugins_survive_the_upgrade() {
    let lab = Lab::new();
    packaged::require_them();
    install(&lab, packaged::DIRECTORY);
    let podman = host(&lab, "/run/lab/swap");
    let before = settled(&lab, &podman, "podman");
    podman.serve("old", "-p 8080:80");
    podman.serve("kept", "-p 8081:80");
    assert!(lab.sh("iptables-save -t nat").contains("--to-destination"));

    install(&lab, lab.plugin_directory());
    podman.serve("new", "-p 8082:80");
    for (port, container) in [(8080, "old"), (8081, "kept"), (8082, "new")] {
        published(&lab, port, container);
    }
    podman.ping("new", &podman.address("old", "podman"));
    assert_eq!(lab.leases("podman").len(), 3);
    podman.run("rm -f old");
    assert_ne!(try_ask(&lab, Some("outer"), "10.9.0.1:8080").code, 0);
    for (port, container) in [(8081, "kept"), (8082, "new")] {
        published(&lab, port, container);
    }
    podman.run("restart kept");
    podman.listens("kept");
    published(&lab, 8081, "kept");
    podman.run("rm -f kept new");
    podman.nothing_left();
    lab.nothing_left(&before);
}
