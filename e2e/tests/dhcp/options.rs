//! What a server says and what it is told, beyond an address.

use ropewalk_e2e::{Value, json};

use crate::servers::{Server, Settings, Software, serve};
use crate::stage::{Daemon, bridge, direct, lab_with_bridge};

/// The routes of an ADD, against Kea with these options.
#[track_caller]
fn routes(ipam: &Value, options: &str) -> Value {
    let lab = lab_with_bridge();
    let settings = Settings { options, ..Settings::default() };
    let _server = Server::start_with(&lab, Software::Kea, settings);
    let _daemon = Daemon::start(&lab);
    direct(&lab, ipam).add().result()["routes"].take()
}

/// 10.9.0.0/16 through 10.7.0.9, and 10.8.0.0/16 on the link.
const CLASSLESS: &str =
    r#"{ "code": 121, "csv-format": false, "data": "100A090A070009100A0800000000" }"#;

/// 192.168.5.0 through 10.7.0.8.
const CLASSFUL: &str = r#"{ "code": 33, "csv-format": false, "data": "C0A805000A070008" }"#;

fn requesting(options: &[&str]) -> Value {
    let entries = options.iter().map(|option| json!({ "option": option }));
    json!({ "request": entries.collect::<Vec<_>>() })
}

#[test]
fn dh_266_routes_with_masks_replace_the_others_and_may_be_on_the_link() {
    let options = format!("{CLASSLESS}, {CLASSFUL}");
    let routes = routes(&requesting(&["121", "33"]), &options);
    assert_eq!(routes[0], json!({ "dst": "10.9.0.0/16", "gw": "10.7.0.9" }));
    assert_eq!(routes[1]["dst"], "10.8.0.0/16");
    assert_eq!(routes.as_array().map(Vec::len), Some(2), "{routes}");
    if !ropewalk_e2e::reference() {
        assert_eq!(routes[1], json!({ "dst": "10.8.0.0/16", "scope": 253 }));
    }
}

#[test]
fn dh_266_routes_of_a_class_come_before_the_default_route() {
    let routes = routes(&requesting(&["33"]), CLASSFUL);
    let expected = json!([
        { "dst": "192.168.5.0/24", "gw": "10.7.0.8" },
        { "dst": "0.0.0.0/0", "gw": "10.7.0.1" },
    ]);
    assert_eq!(routes, expected);
}

#[test]
fn dh_268_the_priority_is_that_of_every_route() {
    let mut ipam = requesting(&["33"]);
    ipam["priority"] = 70.into();
    let lab = lab_with_bridge();
    let settings = Settings { options: CLASSFUL, ..Settings::default() };
    let _server = Server::start_with(&lab, Software::Kea, settings);
    let _daemon = Daemon::start(&lab);
    if lab.reference_fails("version 1.1.1 does not know the key") {
        return;
    }
    let plugin = bridge(&lab, &ipam);
    let result = plugin.add().result();
    for route in result["routes"].as_array().expect("routes") {
        assert_eq!(route["priority"], 70, "{result}");
    }
    assert_eq!(lab.sh_in("c1", "ip route").matches("metric 70").count(), 2);
    plugin.check(&result).silent();
}

/// What dnsmasq says about the messages of one ADD.
#[track_caller]
fn told(ipam: &Value, args: &str) -> String {
    let lab = lab_with_bridge();
    let (server, _daemon) = serve(&lab, Software::Dnsmasq);
    direct(&lab, ipam).args(args).add().result();
    server.log()
}

#[test]
fn dh_267_options_are_provided_from_the_configuration_and_from_arguments() {
    let ipam = json!({ "provide": [
        { "option": "host-name", "value": "overridden", "fromArg": "K8S_POD_NAME" },
        { "option": "vendor-class-identifier", "value": "ropes" },
        { "option": "77", "value": "deck" },
    ] });
    let log = told(&ipam, "IgnoreUnknown=1;K8S_POD_NAME=web-0");
    for words in ["client provides name: web-0", "vendor class: ropes", "user class: deck"] {
        assert!(log.contains(words), "{words}: {log}");
    }
    assert!(!log.contains("overridden"), "{log}");
}

#[test]
fn dh_267_options_are_requested_besides_the_default_ones_or_alone() {
    let log = told(&json!({ "request": [{ "option": "42" }] }), "");
    let requested: Vec<&str> = log.lines().filter(|line| line.contains("requested")).collect();
    for option in ["42:ntp-server", "1:netmask", "3:router"] {
        assert!(requested.iter().any(|line| line.contains(option)), "{option}: {requested:?}");
    }
    let alone = json!({ "request": [
        { "option": "1", "skipDefault": true }, { "option": "host-name" },
    ] });
    let log = told(&alone, "");
    assert!(log.contains("requested options: 1:netmask, 12:hostname"), "{log}");
    assert!(!log.contains("3:router"), "{log}");
}

#[test]
fn row_08_name_servers_domains_and_mtu_of_the_server_are_in_the_result() {
    let lab = lab_with_bridge();
    let options = "dhcp-option=option:dns-server,10.7.0.53,10.7.0.54\n\
                   dhcp-option=option:domain-name,example.org\n\
                   dhcp-option=option:domain-search,example.org,net.example.org\n\
                   dhcp-option=option:mtu,1400";
    let settings = Settings { options, ..Settings::default() };
    let _server = Server::start_with(&lab, Software::Dnsmasq, settings);
    let _daemon = Daemon::start(&lab);
    if lab.reference_fails("it returns no DNS") {
        return;
    }
    let plugin = bridge(&lab, &json!({}));
    let result = plugin.add().result();
    let dns = json!({
        "nameservers": ["10.7.0.53", "10.7.0.54"],
        "domain": "example.org",
        "search": ["example.org", "net.example.org"],
    });
    assert_eq!(result["dns"], dns);
    assert_eq!(result["routes"][0]["mtu"], 1400);
    assert!(lab.sh_in("c1", "ip route").contains("mtu 1400"));
    plugin.check(&result).silent();
}

#[test]
fn row_08_a_client_is_known_by_its_attachment_or_by_its_mac() {
    let lab = lab_with_bridge();
    let (_server, _daemon) = serve(&lab, Software::Dnsmasq);
    let own = direct(&lab, &json!({}));
    let result = own.add().result();
    // The last word of a lease is the client's identifier: 0 and "c1/lan/eth0".
    assert!(lab.read("/run/lab/server.leases").contains(" 00:63:31:2f:6c:61:6e:2f:65:74:68:30"));
    own.del(&result).silent();
    if lab.reference_fails("it does not know the key") {
        return;
    }
    direct(&lab, &json!({ "clientId": "mac" })).add().result();
    let link = lab.ip_json_in("c1", "link show eth0");
    let mac = link[0]["address"].as_str().expect("a link with an address");
    let leases = lab.read("/run/lab/server.leases");
    assert!(leases.contains(&format!(" 01:{mac}")), "{mac}: {leases}");
}

#[test]
fn row_08_answers_are_broadcast_where_the_configuration_or_the_daemon_says_so() {
    for (key, flags, expected) in [
        (json!({}), &[][..], false),
        (json!({ "broadcast": true }), &[][..], true),
        (json!({}), &["-broadcast"][..], true),
    ] {
        let lab = lab_with_bridge();
        let server = Server::start(&lab, Software::Dnsmasq);
        if lab.reference_fails("it ignores its flag") {
            return;
        }
        let _daemon = Daemon::start_with(&lab, flags);
        direct(&lab, &key).add().result();
        let log = server.log();
        assert_eq!(log.contains("broadcast response"), expected, "{key} {flags:?}: {log}");
    }
}
