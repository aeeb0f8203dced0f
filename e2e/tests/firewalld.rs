//! FW 302 to 304: containers' addresses are sources of a zone of firewalld, where it is asked for
//! and where it runs. Bus and firewalld are real and run in the private host.

mod services;

use ropewalk_e2e::chain::packets::{Server, passes};
use ropewalk_e2e::chain::{
    Chain, bridge, bridge_result, chained, lab_with_bridge, lab_with_outside, names_all,
    second_result,
};
use ropewalk_e2e::{Lab, Plugin, Value, json};
use services::{Bus, Firewalld, SOCKET};

/// The addresses of `c1`, and of `c2`.
const FIRST: [&str; 2] = ["10.1.2.5/32", "fd00:1::5/128"];
const SECOND: [&str; 2] = ["10.1.2.6/32", "fd00:1::6/128"];

fn firewall<'lab>(lab: &'lab Lab, keys: &Value) -> Plugin<'lab> {
    chained(lab, "firewall", keys)
}

fn firewalld(lab: &Lab) -> Plugin<'_> {
    firewall(lab, &json!({ "backend": "firewalld" }))
}

/// ADD with the result of `c1`, which comes back.
#[track_caller]
fn add(plugin: &Plugin<'_>) {
    let result = plugin.clone().previous(&bridge_result()).add().result();
    for key in ["interfaces", "ips"] {
        assert_eq!(result[key], bridge_result()[key]);
    }
}

#[track_caller]
fn add_error(plugin: &Plugin<'_>) -> String {
    plugin.clone().previous(&bridge_result()).add().failure()
}

/// Whether nftables accepts an address of `c1` by our own means.
fn is_accepted_by_nftables(lab: &Lab) -> bool {
    lab.sh("nft list ruleset").contains("10.1.2.5 comment")
}

#[test]
fn fw_302_without_a_bus_add_and_check_fail_to_dial_and_del_succeeds() {
    let lab = lab_with_bridge();
    let before = lab.snapshot();
    let plugin = firewalld(&lab);
    let reason = "system_bus_socket: connect: no such file or directory";
    names_all(&add_error(&plugin), &["dial unix /", reason]);
    if lab.reference_fails("DEL fails to dial") {
        return;
    }
    let text = format!("failed to connect to the system bus: dial unix /run/dbus/{reason}");
    assert_eq!(add_error(&plugin), text);
    assert_eq!(plugin.check(&bridge_result()).failure(), text);
    plugin.del(&bridge_result()).silent();
    plugin.del_without_result().silent();
    lab.nothing_left(&before);
}

#[test]
fn fw_302_a_bus_that_does_not_listen_is_none() {
    let lab = lab_with_bridge();
    if lab.reference_fails("DEL fails to dial") {
        return;
    }
    drop(Bus::start(&lab));
    assert!(lab.exists(SOCKET), "a killed bus leaves its socket");
    let plugin = firewalld(&lab);
    names_all(&add_error(&plugin), &["system_bus_socket: connect: connection refused"]);
    plugin.del(&bridge_result()).silent();
    add(&firewall(&lab, &json!({})));
    assert!(is_accepted_by_nftables(&lab));
}

#[test]
fn fw_302_the_environment_names_the_bus() {
    let lab = lab_with_bridge();
    let at = |address| firewalld(&lab).variable("DBUS_SYSTEM_BUS_ADDRESS", address);
    let elsewhere = at("unix:path=/run/lab/bus");
    names_all(&add_error(&elsewhere), &["dial unix /run/lab/bus: connect: no such file"]);
    if lab.reference_fails("its words are others, and DEL fails") {
        return;
    }
    names_all(&add_error(&at("tcp:host=x")), &["DBUS_SYSTEM_BUS_ADDRESS names no socket: tcp"]);
    at("tcp:host=x").del(&bridge_result()).silent();
    let _bus = Bus::start_at(&lab, "/run/lab/bus");
    names_all(&add_error(&elsewhere), &["org.fedoraproject.FirewallD1"]);
}

#[test]
fn fw_302_without_firewalld_add_says_so_and_del_succeeds() {
    let lab = lab_with_bridge();
    let _bus = Bus::start(&lab);
    let plugin = firewalld(&lab);
    let error = add_error(&plugin);
    names_all(&error, &["The name org.fedoraproject.FirewallD1 was not provided"]);
    assert_ne!(plugin.check(&bridge_result()).code, 0);
    plugin.del(&bridge_result()).silent();
    add(&firewall(&lab, &json!({})));
    assert!(
        lab.reference_fails("its automatic choice is iptables") || is_accepted_by_nftables(&lab)
    );
}

#[test]
fn fw_303_addresses_are_sources_of_the_zone_trusted() {
    let lab = lab_with_bridge();
    let _bus = Bus::start(&lab);
    let daemon = Firewalld::start(&lab);
    let plugin = firewalld(&lab);
    for _ in 0..2 {
        add(&plugin);
        assert_eq!(daemon.sources("trusted"), FIRST);
        plugin.check(&bridge_result()).silent();
    }
    let neighbour = plugin.clone().on("c2");
    neighbour.clone().previous(&second_result()).add().result();
    assert_eq!(daemon.sources("trusted"), [FIRST[0], SECOND[0], FIRST[1], SECOND[1]]);
    for _ in 0..2 {
        plugin.del(&bridge_result()).silent();
        assert_eq!(daemon.sources("trusted"), SECOND);
    }
    neighbour.check(&second_result()).silent();
    neighbour.del(&second_result()).silent();
    assert!(daemon.sources("trusted").is_empty());
    assert!(!is_accepted_by_nftables(&lab));
}

#[test]
fn fw_303_check_notices_what_firewalld_has_lost() {
    let lab = lab_with_bridge();
    if lab.reference_fails("it asks, and does not listen") {
        return;
    }
    let _bus = Bus::start(&lab);
    let daemon = Firewalld::start(&lab);
    let plugin = firewalld(&lab);
    for loss in ["--zone=trusted --remove-source=fd00:1::5/128", "--reload"] {
        add(&plugin);
        plugin.check(&bridge_result()).silent();
        daemon.command(loss);
        let error = plugin.check(&bridge_result()).failure();
        names_all(&error, &["source ", "of firewalld's zone \"trusted\" is missing"]);
    }
    plugin.del(&bridge_result()).silent();
    add(&plugin);
    drop(daemon);
    names_all(&plugin.check(&bridge_result()).failure(), &["10.1.2.5/32", "is missing"]);
    plugin.del(&bridge_result()).silent();
}

#[test]
fn fw_303_the_zone_can_be_another() {
    let lab = lab_with_bridge();
    let _bus = Bus::start(&lab);
    let daemon = Firewalld::start(&lab);
    let of_zone =
        |zone: &str| firewall(&lab, &json!({ "backend": "firewalld", "firewalldZone": zone }));
    let home = of_zone("home");
    add(&home);
    assert_eq!(daemon.sources("home"), FIRST);
    assert!(daemon.sources("trusted").is_empty());
    names_all(&add_error(&of_zone("nowhere")), &["INVALID_ZONE: nowhere"]);
    names_all(&add_error(&of_zone("trusted")), &["ZONE_CONFLICT"]);
    of_zone("nowhere").del(&bridge_result()).silent();
    of_zone("trusted").del(&bridge_result()).silent();
    assert_eq!(daemon.sources("home"), FIRST);
    home.del(&bridge_result()).silent();
    assert!(daemon.sources("home").is_empty());
}

#[test]
fn fw_303_what_no_zone_can_be_called_is_refused() {
    let lab = lab_with_bridge();
    if lab.reference_fails("it dials before it looks") {
        return;
    }
    for zone in ["tru\0sted", &"x".repeat(256)] {
        let plugin = firewall(&lab, &json!({ "backend": "firewalld", "firewalldZone": zone }));
        let text = plugin.clone().previous(&bridge_result()).add().invalid_config();
        names_all(&text, &["invalid firewalld zone: "]);
    }
}

#[test]
fn fw_303_a_failing_add_leaves_no_source() {
    let lab = lab_with_bridge();
    if lab.reference_fails("it takes nothing back") {
        return;
    }
    let _bus = Bus::start(&lab);
    let daemon = Firewalld::start(&lab);
    daemon.command("--zone=drop --add-source=fd00:1::5/128");
    names_all(&add_error(&firewalld(&lab)), &["ZONE_CONFLICT", "fd00:1::5/128"]);
    assert!(daemon.sources("trusted").is_empty());
    assert_eq!(daemon.sources("drop"), [FIRST[1]]);
}

#[test]
fn fw_304_firewalld_is_chosen_where_it_runs() {
    let lab = lab_with_bridge();
    let bus = Bus::start(&lab);
    for keys in [json!({}), json!({ "backend": "whatever" })] {
        let daemon = Firewalld::start(&lab);
        let plugin = firewall(&lab, &keys);
        add(&plugin);
        assert_eq!(daemon.sources("trusted"), FIRST);
        plugin.check(&bridge_result()).silent();
        assert!(!is_accepted_by_nftables(&lab));
        plugin.del(&bridge_result()).silent();
        assert!(daemon.sources("trusted").is_empty());
        add(&firewall(&lab, &json!({ "backend": "iptables" })));
        assert!(daemon.sources("trusted").is_empty());
        firewall(&lab, &json!({ "backend": "iptables" })).del(&bridge_result()).silent();
    }
    drop(bus);
}

#[test]
fn fw_304_what_was_made_without_firewalld_goes_when_it_runs() {
    let lab = lab_with_bridge();
    if lab.reference_fails("it knows no nftables") {
        return;
    }
    let plugin = firewall(&lab, &json!({}));
    add(&plugin);
    assert!(is_accepted_by_nftables(&lab));
    let _bus = Bus::start(&lab);
    let daemon = Firewalld::start(&lab);
    assert_eq!(plugin.check(&bridge_result()).code, 1, "firewalld does not know the address");
    plugin.del(&bridge_result()).silent();
    lab.wait_until("the element is gone", || !is_accepted_by_nftables(&lab));
    add(&plugin);
    drop(daemon);
    plugin.del(&bridge_result()).silent();
}

/// The bridge and the firewall, for `c1`; the network outside knows the way to the containers.
fn chain<'lab>(lab: &'lab Lab, keys: &Value) -> Chain<'lab> {
    lab.sh_in("outer", "ip route replace 10.1.2.0/24 via 10.99.0.1");
    lab.sh_in("outer", "ip -6 route replace fd00:1::/64 via fd00:99::1");
    Chain(vec![bridge(lab), firewall(lab, keys)])
}

#[test]
fn fw_303_traffic_passes_that_firewalld_would_stop() {
    let lab = lab_with_outside();
    let _bus = Bus::start(&lab);
    let daemon = Firewalld::start(&lab);
    let chain = chain(&lab, &json!({}));
    let outer = Server("outer", 80);
    let result = chain.add();
    assert_eq!(daemon.sources("trusted").len(), 2);
    for destination in ["10.99.0.2:80", "[fd00:99::2]:80"] {
        passes(&lab, "c1", destination, outer, true);
    }
    chain.0[1].del(&result).silent();
    for destination in ["10.99.0.2:80", "[fd00:99::2]:80"] {
        passes(&lab, "c1", destination, outer, false);
    }
    chain.del(&result);
}

#[test]
fn fw_303_a_policy_keeps_containers_apart_beside_firewalld() {
    let lab = lab_with_outside();
    let _bus = Bus::start(&lab);
    let daemon = Firewalld::start(&lab);
    lab.netns("c3");
    let of = |container: &str, bridge: &str, subnet: &str| {
        let keys = json!({ "ingressPolicy": "same-bridge" });
        let ipam = json!({ "type": "host-local", "subnet": subnet,
                           "routes": [{ "dst": "0.0.0.0/0" }] });
        let chain =
            chain(&lab, &keys).on(container).map(|plugin| plugin.key("name", &json!(bridge)));
        Chain(vec![
            chain.0[0].clone().key("bridge", &json!(bridge)).key("ipam", &ipam),
            chain.0[1].clone(),
        ])
    };
    let chains = [
        of("c1", "cni0", "10.1.2.0/24"),
        of("c2", "cni0", "10.1.2.0/24"),
        of("c3", "cni1", "10.1.3.0/24"),
    ];
    let results: Vec<Value> = chains.iter().map(Chain::add).collect();
    assert_eq!(daemon.sources("trusted").len(), 3);
    passes(&lab, "c1", "10.1.2.3:80", Server("c2", 80), true);
    passes(&lab, "c1", "10.1.3.2:80", Server("c3", 80), false);
    passes(&lab, "c1", "10.99.0.2:80", Server("outer", 80), true);
    for (chain, result) in chains.iter().zip(&results) {
        chain.check(result);
        chain.del(result);
    }
    assert!(daemon.sources("trusted").is_empty());
}
