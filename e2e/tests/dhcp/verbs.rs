//! The verbs, against one server.

use ropewalk_e2e::{Value, json};

use crate::servers::{Server, Software, serve};
use crate::stage::{Daemon, SOCKET, address, bridge, direct, lab_with_bridge};

#[test]
fn dh_258_an_address_with_gateway_and_routes_is_leased() {
    let lab = lab_with_bridge();
    let (_server, _daemon) = serve(&lab, Software::Dnsmasq);
    let plugin = bridge(&lab, &json!({}));
    let result = plugin.add().result();
    assert!(address(&result).starts_with("10.7.0.1"), "{result}");
    assert_eq!(result["ips"][0]["gateway"], "10.7.0.1");
    assert_eq!(result["routes"], json!([{ "dst": "0.0.0.0/0", "gw": "10.7.0.1" }]));
    assert!(lab.sh_in("c1", "ip -4 address show eth0").contains(&address(&result)));
    assert!(lab.sh_in("c1", "ip route").contains("default via 10.7.0.1 dev eth0"));
    lab.sh_in("c1", "ping -c 1 -W 5 10.7.0.1");
    plugin.del(&result).silent();
}

#[test]
fn dh_258_a_second_add_gets_the_same_lease() {
    let lab = lab_with_bridge();
    let (_server, _daemon) = serve(&lab, Software::Dnsmasq);
    let plugin = direct(&lab, &json!({}));
    let first = plugin.add().result();
    assert_eq!(plugin.add().result(), first);
}

#[test]
fn dh_259_check_finds_the_lease_that_is_held() {
    let lab = lab_with_bridge();
    let (_server, _daemon) = serve(&lab, Software::Dnsmasq);
    let plugin = bridge(&lab, &json!({}));
    let result = plugin.add().result();
    plugin.check(&result).silent();
}

#[test]
fn dh_260_del_drops_the_lease_and_an_unknown_one_is_fine() {
    let lab = lab_with_bridge();
    let (_server, _daemon) = serve(&lab, Software::Dnsmasq);
    let plugin = direct(&lab, &json!({}));
    plugin.del_without_result().silent();
    let result = plugin.add().result();
    plugin.del(&result).silent();
    plugin.del(&result).silent();
    plugin.container("nobody").del_without_result().silent();
}

#[test]
fn dh_259_check_without_a_lease_fails_and_leases_nothing() {
    let lab = lab_with_bridge();
    let (server, _daemon) = serve(&lab, Software::Dnsmasq);
    let plugin = direct(&lab, &json!({}));
    if lab.reference_fails("its CHECK leases an address") {
        return;
    }
    let result = plugin.add().result();
    let mut other = result.clone();
    other["ips"][0]["address"] = "10.7.0.7/24".into();
    let message = plugin.check(&other).failure();
    assert!(message.ends_with("which is not in prevResult"), "{message}");
    plugin.check(&result).silent();
    plugin.del(&result).silent();
    let searches = server.received("DHCPDISCOVER");
    assert_eq!(
        plugin.check(&result).failure(),
        "error calling DHCP.Confirm: no lease is held for c1/lan/eth0"
    );
    assert_eq!(server.received("DHCPDISCOVER"), searches);
}

#[test]
fn dh_262_without_a_daemon_everything_fails_and_status_says_so() {
    let lab = lab_with_bridge();
    let before = lab.snapshot();
    let message = "error dialing DHCP daemon: dial unix /run/cni/dhcp.sock: connect: \
                   no such file or directory";
    let plugin = direct(&lab, &json!({}));
    assert_eq!(plugin.add().failure(), message);
    assert_eq!(plugin.check(&json!({ "cniVersion": "1.0.0" })).failure(), message);
    assert_eq!(plugin.del_without_result().failure(), message);
    lab.sh("ip link del port");
    assert_eq!(bridge(&lab, &json!({})).add().failure(), message);
    if lab.reference_fails("STATUS succeeds, and a failed ADD leaves the link") {
        return;
    }
    assert_eq!(plugin.status().error_with_code(50), message);
    lab.nothing_left(&before);
    let _daemon = Daemon::start(&lab);
    plugin.status().silent();
}

#[test]
fn dh_263_options_are_names_or_numbers_of_one_byte() {
    let lab = lab_with_bridge();
    let _daemon = Daemon::start(&lab);
    for (key, option) in [("provide", "hostname"), ("request", "256"), ("request", "")] {
        let plugin = direct(&lab, &json!({ key: [{ "option": option, "value": "x" }] }));
        let message = plugin.add().invalid_config();
        assert!(message.contains(&format!("Can not parse option {option:?}: ")), "{message}");
    }
    let long = json!({ "provide": [{ "option": "12", "value": "x".repeat(256) }] });
    let message = direct(&lab, &long).add().invalid_config();
    assert!(message.contains("value too long for option \"12\""), "{message}");
}

#[test]
fn dh_264_an_interface_and_a_namespace_that_are_missing_are_named() {
    let lab = lab_with_bridge();
    let _daemon = Daemon::start(&lab);
    let plugin = direct(&lab, &json!({}));
    let message = plugin.clone().ifname("eth7").add().failure();
    assert!(message.contains("error looking up \"eth7\": Link not found"), "{message}");
    let message = plugin.netns("/run/netns/nope").add().failure();
    let reason = "failed to Statfs \"/run/netns/nope\": no such file or directory";
    assert!(message.contains(reason), "{message}");
}

#[test]
fn dh_265_the_socket_may_be_anywhere() {
    let lab = lab_with_bridge();
    let _server = Server::start(&lab, Software::Dnsmasq);
    let socket = "/run/lab/deep/er/dhcp.sock";
    let _daemon = Daemon::start_at(&lab, socket, &[]);
    assert!(!lab.exists(SOCKET));
    assert_eq!(lab.mode("/run/lab/deep/er"), 0o700);
    let plugin = direct(&lab, &json!({ "daemonSocketPath": socket }));
    let result = plugin.add().result();
    plugin.del(&result).silent();
}

#[test]
fn dh_269_without_a_server_the_search_ends_and_nothing_stays() {
    let lab = lab_with_bridge();
    if lab.reference_fails("version 1.1.1 does not know the flag, and waits for minutes") {
        return;
    }
    let before = lab.snapshot();
    let _daemon = Daemon::start_with(&lab, &["-resendtimeout", "2s", "-timeout=1s"]);
    let plugin = bridge(&lab, &json!({}));
    assert_eq!(plugin.add().failure(), "error calling DHCP.Allocate: no more tries");
    lab.nothing_left(&before);
    plugin.del_without_result().silent();
}

#[test]
fn p_29_gc_gives_back_the_leases_of_a_network_that_are_not_valid() {
    let lab = lab_with_bridge();
    let (server, _daemon) = serve(&lab, Software::Dnsmasq);
    if lab.reference_fails("its GC does nothing") {
        return;
    }
    lab.netns("c2");
    let plugin = bridge(&lab, &json!({}));
    let kept = plugin.add().result();
    let gone = plugin.clone().on("c2").add().result();
    let elsewhere = plugin.clone().key("name", &Value::from("elsewhere")).gc(&[]);
    elsewhere.silent();
    plugin.gc(&[("c1", "eth0")]).silent();
    server.drops(&address(&gone));
    assert!(!server.has_dropped(&address(&kept)));
    plugin.check(&kept).silent();
}
