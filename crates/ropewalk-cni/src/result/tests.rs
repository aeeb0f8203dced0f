//! All seven versions in both directions, and the rules for `prevResult`.

use super::*;
use crate::version::{ALL, Version};
use serde_json::{Value, json};

/// A result that uses every key.
fn full() -> CniResult {
    let ip = |interface, address: &str, gateway: &str| IpConfig {
        interface,
        address: address.parse().unwrap(),
        gateway: gateway.parse().ok(),
    };
    let plain = |dst: &str| RouteConfig::new(dst.parse().unwrap(), None);
    CniResult {
        interfaces: vec![
            Interface {
                name: "br0".into(),
                mac: "02:00:00:00:00:01".into(),
                ..Interface::default()
            },
            Interface {
                name: "eth0".into(),
                mac: "02:00:00:00:00:02".into(),
                mtu: 1400,
                sandbox: "/run/netns/c1".into(),
                socket_path: "/s".into(),
                pci_id: "0000:00:01.0".into(),
            },
        ],
        ips: vec![
            ip(Some(1), "10.1.2.3/16", "10.1.0.1"),
            ip(Some(1), "fd00::5/64", ""),
            ip(Some(1), "10.9.0.2/24", "10.9.0.1"),
        ],
        routes: vec![
            RouteConfig {
                gw: "10.1.0.1".parse().ok(),
                mtu: Some(1300),
                advmss: Some(1200),
                priority: Some(5),
                table: Some(0),
                scope: Some(0),
                ..plain("0.0.0.0/0")
            },
            plain("::/0"),
        ],
        dns: Dns { nameservers: vec!["10.1.0.1".into()], ..Dns::default() },
    }
}

fn l2_only() -> CniResult {
    let eth0 = Interface { name: "eth0".into(), ..Interface::default() };
    CniResult { interfaces: vec![eth0], ..CniResult::default() }
}

#[test]
fn the_newest_versions_are_sorted() {
    for version in [Version::V1_0_0, Version::V1_1_0] {
        let expected = r#"{
    "cniVersion": "VERSION",
    "dns": {
        "nameservers": [
            "10.1.0.1"
        ]
    },
    "interfaces": [
        {
            "mac": "02:00:00:00:00:01",
            "name": "br0"
        },
        {
            "mac": "02:00:00:00:00:02",
            "mtu": 1400,
            "name": "eth0",
            "pciID": "0000:00:01.0",
            "sandbox": "/run/netns/c1",
            "socketPath": "/s"
        }
    ],
    "ips": [
        {
            "address": "10.1.2.3/16",
            "gateway": "10.1.0.1",
            "interface": 1
        },
        {
            "address": "fd00::5/64",
            "interface": 1
        },
        {
            "address": "10.9.0.2/24",
            "gateway": "10.9.0.1",
            "interface": 1
        }
    ],
    "routes": [
        {
            "advmss": 1200,
            "dst": "0.0.0.0/0",
            "gw": "10.1.0.1",
            "mtu": 1300,
            "priority": 5,
            "scope": 0,
            "table": 0
        },
        {
            "dst": "::/0"
        }
    ]
}"#
        .replace("VERSION", version.as_str());
        assert_eq!(full().to_json(version), Ok(expected));
    }
}

#[test]
fn the_middle_versions_keep_declaration_order_and_name_the_family() {
    for version in [Version::V0_3_0, Version::V0_3_1, Version::V0_4_0] {
        let mut result = full();
        result.ips.truncate(2);
        result.dns = Dns::default();
        let expected = r#"{
    "cniVersion": "VERSION",
    "interfaces": [
        {
            "name": "br0",
            "mac": "02:00:00:00:00:01"
        },
        {
            "name": "eth0",
            "mac": "02:00:00:00:00:02",
            "sandbox": "/run/netns/c1"
        }
    ],
    "ips": [
        {
            "version": "4",
            "interface": 1,
            "address": "10.1.2.3/16",
            "gateway": "10.1.0.1"
        },
        {
            "version": "6",
            "interface": 1,
            "address": "fd00::5/64"
        }
    ],
    "routes": [
        {
            "dst": "0.0.0.0/0",
            "gw": "10.1.0.1",
            "mtu": 1300,
            "advmss": 1200,
            "priority": 5,
            "table": 0,
            "scope": 0
        },
        {
            "dst": "::/0"
        }
    ],
    "dns": {}
}"#
        .replace("VERSION", version.as_str());
        assert_eq!(result.to_json(version), Ok(expected));
    }
}

#[test]
fn the_oldest_versions_keep_one_address_of_each_family() {
    for version in [Version::V0_1_0, Version::V0_2_0] {
        let expected = r#"{
    "cniVersion": "VERSION",
    "ip4": {
        "ip": "10.1.2.3/16",
        "gateway": "10.1.0.1",
        "routes": [
            {
                "dst": "0.0.0.0/0",
                "gw": "10.1.0.1"
            }
        ]
    },
    "ip6": {
        "ip": "fd00::5/64",
        "routes": [
            {
                "dst": "::/0"
            }
        ]
    },
    "dns": {
        "nameservers": [
            "10.1.0.1"
        ]
    }
}"#
        .replace("VERSION", version.as_str());
        assert_eq!(full().to_json(version), Ok(expected));
    }
}

#[test]
fn only_the_oldest_versions_cannot_do_without_addresses() {
    for version in ALL {
        let outcome = l2_only().to_json(*version);
        if *version <= Version::V0_2_0 {
            let error = outcome.unwrap_err();
            assert_eq!(error.code, 999);
            assert_eq!(error.msg, "cannot convert: no valid IP addresses");
        } else {
            let value: Value = serde_json::from_str(&outcome.unwrap()).unwrap();
            assert_eq!(value.get("dns").is_some(), *version < Version::V1_0_0);
            assert!(value.get("ips").is_none() && value.get("routes").is_none());
        }
    }
}

#[test]
fn zero_means_absent_except_for_table_and_scope() {
    let text = CniResult {
        routes: vec![RouteConfig {
            mtu: Some(0),
            advmss: Some(0),
            priority: Some(0),
            scope: Some(0),
            ..RouteConfig::new("10.0.0.0/8".parse().unwrap(), None)
        }],
        ..CniResult::default()
    };
    let value = text.to_value(Version::V1_1_0).unwrap();
    assert_eq!(value["routes"][0], json!({"dst": "10.0.0.0/8", "scope": 0}));
    let back = CniResult::from_value(&value, "").unwrap();
    assert_eq!((back.routes[0].mtu, back.routes[0].scope), (None, Some(0)));
}

#[test]
fn every_version_can_be_read_back_as_far_as_it_goes() {
    for version in ALL {
        let value = full().to_value(*version).unwrap();
        let back = CniResult::from_value(&value, "9.9.9").unwrap();
        assert_eq!(back, as_known_to(*version), "{version}");
        assert_eq!(back.to_value(*version), Ok(value), "{version}");
    }
}

/// What is left of [`full`] after a version that cannot express everything.
fn as_known_to(version: Version) -> CniResult {
    let mut result = full();
    if version < Version::V1_0_0 {
        let eth0 = &mut result.interfaces[1];
        (eth0.mtu, eth0.socket_path, eth0.pci_id) = (0, String::new(), String::new());
    }
    if version < Version::V0_3_0 {
        result.interfaces.clear();
        result.ips.truncate(2);
        result.ips.iter_mut().for_each(|ip| ip.interface = None);
        let bare = result.routes.iter().map(|route| RouteConfig::new(route.dst, route.gw));
        result.routes = bare.collect();
    }
    result
}

#[test]
fn a_result_without_version_has_the_configurations() {
    let value = json!({"ip4": {"ip": "10.0.0.2/24", "gateway": ""}});
    for version in ["", "0.1.0", "0.2.0"] {
        let result = CniResult::from_value(&value, version).unwrap();
        assert_eq!(result.ips[0].address.to_string(), "10.0.0.2/24");
        assert_eq!(result.ips[0].gateway, None);
    }
    let value = json!({"cniVersion": "", "IPS": [{"Address": "10.0.0.2/24", "interface": -1}]});
    let result = CniResult::from_value(&value, "0.4.0").unwrap();
    assert_eq!((result.ips.len(), result.ips[0].interface), (1, None));
}

#[test]
fn malformed_results_are_refused() {
    for (value, expected) in [
        (json!({"cniVersion": "9.9.9"}), r#"unsupported CNI result version "9.9.9""#),
        (
            json!({"cniVersion": 1}),
            "json: cannot unmarshal number into field cniVersion of type string",
        ),
        (json!("x"), "json: cannot unmarshal string into Go value of type object"),
        (json!({"ips": [{"address": "x"}]}), "ips[0].address: invalid CIDR address: x"),
        (json!({"ips": [{}]}), "ips[0].address: invalid CIDR address: "),
        (
            json!({"ips": [{"address": "10.0.0.1/8", "gateway": "y"}]}),
            "ips[0].gateway: invalid IP address: y",
        ),
        (
            json!({"routes": [{"dst": "10.0.0.0/8", "scope": 256}]}),
            "routes[0].scope: invalid route scope 256",
        ),
        (
            json!({"interfaces": "x"}),
            "json: cannot unmarshal string into field interfaces of type array",
        ),
    ] {
        let error = CniResult::from_value(&value, "1.1.0").unwrap_err();
        assert_eq!((error.code, error.msg.as_str()), (999, expected), "{value}");
    }
    let error = CniResult::from_value(&json!({}), "0.4.1").unwrap_err();
    assert_eq!(error.msg, r#"unsupported CNI result version "0.4.1""#);
}

#[test]
fn a_previous_result_of_the_same_family_is_accepted() {
    for (config, own) in [
        ("1.1.0", Some("1.0.0")),
        ("1.0.0", Some("1.1.0")),
        ("0.4.0", Some("0.3.0")),
        ("0.3.1", None),
        ("1.0.0", Some("")),
        ("1.0.0", None),
    ] {
        let mut previous = json!({"ips": [{"version": "4", "address": "10.0.0.2/24"}]});
        if let Some(own) = own {
            previous["cniVersion"] = json!(own);
        }
        let config = json!({"cniVersion": config, "prevResult": previous});
        let result = prev_result(&config).unwrap().unwrap();
        assert_eq!(result.ips[0].address.to_string(), "10.0.0.2/24", "{config}");
    }
    let oldest = json!({"prevResult": {"cniVersion": "0.2.0", "ip4": {"ip": "10.0.0.2/24"}}});
    assert_eq!(prev_result(&oldest).unwrap().unwrap().ips.len(), 1);
}

#[test]
fn a_previous_result_of_another_family_is_refused() {
    for (config, own, family) in [
        ("1.0.0", "0.4.0", "[1.0.0 1.1.0]"),
        ("1.1.0", "9.9.9", "[1.0.0 1.1.0]"),
        ("0.3.1", "1.0.0", "[0.3.0 0.3.1 0.4.0]"),
        ("0.2.0", "0.3.0", "[0.1.0 0.2.0]"),
        ("", "1.0.0", "[0.1.0 0.2.0]"),
    ] {
        let config = json!({"cniVersion": config, "prevResult": {"cniVersion": own}});
        let error = prev_result(&config).unwrap_err();
        let reason =
            format!("result type supports {family} but unmarshalled CNIVersion is \"{own}\"");
        assert_eq!((error.code, error.msg), (7, format!("could not parse prevResult: {reason}")));
    }
}

#[test]
fn a_previous_result_may_be_absent_but_not_anything() {
    for config in [json!({}), json!({"prevResult": null}), json!(null)] {
        assert_eq!(prev_result(&config), Ok(None));
    }
    let error = prev_result(&json!({"prevResult": "x"})).unwrap_err();
    let reason = "json: cannot unmarshal string into field prevResult of type object";
    assert_eq!((error.code, error.msg), (7, format!("could not parse prevResult: {reason}")));
    let config = json!({"cniVersion": "5.0.0", "prevResult": {}});
    let error = prev_result(&config).unwrap_err();
    let reason = r#"unsupported CNI result version "5.0.0""#;
    assert_eq!(error.msg, format!("could not parse prevResult: {reason}"));
}
