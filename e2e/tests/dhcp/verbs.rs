//! The verbs, against one server.

use ropewalk_e2e::json;

use crate::servers::{Server, Software};
use crate::stage::{Daemon, address, bridge, direct, lab_with_bridge};

#[test]
fn dh_258_an_address_with_gateway_and_routes_is_leased() {
    let lab = lab_with_bridge();
    let _server = Server::start(&lab, Software::Dnsmasq);
    let _daemon = Daemon::start(&lab);
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
    let _server = Server::start(&lab, Software::Dnsmasq);
    let _daemon = Daemon::start(&lab);
    let plugin = direct(&lab, &json!({}));
    let first = plugin.add().result();
    assert_eq!(plugin.add().result(), first);
}

#[test]
fn dh_259_check_finds_the_lease_that_is_held() {
    let lab = lab_with_bridge();
    let _server = Server::start(&lab, Software::Dnsmasq);
    let _daemon = Daemon::start(&lab);
    let plugin = bridge(&lab, &json!({}));
    let result = plugin.add().result();
    plugin.check(&result).silent();
}

#[test]
fn dh_260_del_drops_the_lease_and_an_unknown_one_is_fine() {
    let lab = lab_with_bridge();
    let _server = Server::start(&lab, Software::Dnsmasq);
    let _daemon = Daemon::start(&lab);
    let plugin = direct(&lab, &json!({}));
    plugin.del_without_result().silent();
    let result = plugin.add().result();
    plugin.del(&result).silent();
    plugin.del(&result).silent();
    plugin.container("nobody").del_without_result().silent();
}
