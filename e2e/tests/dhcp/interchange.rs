//! Our plugin with the reference's daemon, and the reference's plugin with ours.

use ropewalk_e2e::{Lab, Plugin, json};

use crate::servers::{Server, Software, serve};
use crate::stage::{Daemon, REFERENCE, SOCKET, address, configuration, direct, lab_with_bridge};

fn cannot(lab: &Lab) -> bool {
    assert!(lab.exists(REFERENCE), "this test needs the package containernetworking-plugins");
    lab.reference_fails("it is the reference plugin")
}

fn reference_plugin(lab: &Lab) -> Plugin<'_> {
    lab.sh("ln -s /usr/lib/cni /run/lab/reference");
    let mut config = configuration(&json!({}));
    config["cniVersion"] = "1.0.0".into();
    lab.plugin("../reference/dhcp").on("c1").config(config)
}

#[test]
fn dh_258_our_plugin_speaks_with_the_daemon_of_the_reference() {
    let lab = lab_with_bridge();
    if cannot(&lab) {
        return;
    }
    let _server = Server::start(&lab, Software::Dnsmasq);
    let _daemon = Daemon::start_words(&lab, &[REFERENCE, "daemon"], SOCKET);
    let plugin = direct(&lab, &json!({}));
    plugin.status().silent();
    let result = plugin.add().result();
    assert_eq!(result["ips"][0]["gateway"], "10.7.0.1");
    assert_eq!(result["routes"], json!([{ "dst": "0.0.0.0/0", "gw": "10.7.0.1" }]));
    plugin.check(&result).silent();
    plugin.gc(&[]).silent();
    plugin.del(&result).silent();
    let message = plugin.ifname("eth7").add().failure();
    assert!(message.starts_with("error calling DHCP.Allocate: "), "{message}");
}

#[test]
fn dh_258_the_plugin_of_the_reference_speaks_with_our_daemon() {
    let lab = lab_with_bridge();
    if cannot(&lab) {
        return;
    }
    let (server, _daemon) = serve(&lab, Software::Dnsmasq);
    let ours = direct(&lab, &json!({}));
    let plugin = reference_plugin(&lab);
    let result = plugin.add().result();
    assert_eq!(
        result["ips"],
        json!([{ "address": format!("{}/24", address(&result)), "gateway": "10.7.0.1" }])
    );
    assert_eq!(result["routes"], json!([{ "dst": "0.0.0.0/0", "gw": "10.7.0.1" }]));
    plugin.check(&result).silent();
    ours.check(&result).silent();
    plugin.del(&result).silent();
    server.drops(&address(&result));
    let message = plugin.ifname("eth7").add().failure();
    let expected = "error calling DHCP.Allocate: error looking up \"eth7\": Link not found";
    assert_eq!(message, expected);
}

#[test]
fn dh_260_what_one_plugin_has_leased_the_other_gives_back() {
    let lab = lab_with_bridge();
    if cannot(&lab) {
        return;
    }
    let (server, _daemon) = serve(&lab, Software::Isc);
    let ours = direct(&lab, &json!({}));
    let result = reference_plugin(&lab).add().result();
    ours.del(&result).silent();
    server.drops(&address(&result));
}
