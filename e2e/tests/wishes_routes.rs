//! What users asked of routes and gateways and never got: rows 15 to 17 and 22.

use ropewalk_e2e::chain::names_all;
use ropewalk_e2e::{Lab, Plugin, Value, json};

/// A bridge for `c1` with these keys, whose network gives these routes.
fn bridge<'lab>(lab: &'lab Lab, keys: &Value, routes: &Value) -> Plugin<'lab> {
    let ipam = json!({
        "type": "host-local", "ranges": [[{ "subnet": "10.1.2.0/24" }], [{ "subnet": "fd00:1::/64" }]],
        "routes": routes,
    });
    let config = json!({ "cniVersion": "1.0.0", "name": "net", "bridge": "lan0", "ipam": ipam });
    let keys = keys.as_object().expect("an object").iter();
    let plugin = lab.plugin("bridge").on("c1").config(config);
    keys.fold(plugin, |plugin, (key, value)| plugin.key(key, value))
}

/// A second network of the container, on `net1`.
fn second(lab: &Lab, keys: &Value, routes: &Value) -> Value {
    second_plugin(lab, keys, routes).add().result()
}

fn second_plugin<'lab>(lab: &'lab Lab, keys: &Value, routes: &Value) -> Plugin<'lab> {
    let ranges = json!([[{ "subnet": "10.7.0.0/24" }], [{ "subnet": "fd00:7::/64" }]]);
    let ipam = json!({ "type": "host-local", "ranges": ranges, "routes": routes });
    let plugin = bridge(lab, keys, routes).ifname("net1").key("bridge", &json!("lan1"));
    plugin.key("name", &json!("net1")).key("ipam", &ipam)
}

fn defaults() -> Value {
    json!([{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }])
}

/// The links of the container's default routes of both families.
fn default_links(lab: &Lab) -> Vec<String> {
    let text = lab.sh_in("c1", "ip route show default; ip -6 route show default");
    assert!(!text.contains("nexthop"), "one route, one way: {text}");
    let link = |line: &str| line.split(" dev ").nth(1)?.split(' ').next().map(str::to_owned);
    text.lines().filter_map(link).collect()
}

fn lab() -> Lab {
    let lab = Lab::new();
    lab.netns("c1");
    lab
}

#[test]
fn row_15_the_attributes_of_routes_are_applied_and_checked() {
    let lab = lab();
    if lab.reference_fails("it passes them on and applies none") {
        return;
    }
    let routes = json!([
        { "dst": "0.0.0.0/0", "mtu": 1400, "advmss": 1300, "priority": 50 },
        { "dst": "10.66.0.0/16", "gw": "10.1.2.9", "table": 77 },
        { "dst": "10.67.0.0/16", "scope": 253 },
        { "dst": "fd00:66::/64", "gw": "fd00:1::9", "mtu": 1390, "advmss": 1200, "priority": 20 },
    ]);
    let plugin = bridge(&lab, &json!({ "isGateway": true }), &routes);
    let result = plugin.add().result();
    assert_eq!(result["routes"], routes);
    let show = |what: &str| lab.sh_in("c1", &format!("ip -d route show {what}"));
    let show6 = |what: &str| lab.sh_in("c1", &format!("ip -6 -d route show {what}"));
    names_all(&show("default"), &["via 10.1.2.1", "metric 50", "mtu 1400", "advmss 1300"]);
    names_all(&show("10.66.0.0/16 table 77"), &["via 10.1.2.9", "scope global"]);
    names_all(&show("10.67.0.0/16"), &["scope link"]);
    names_all(&show6("fd00:66::/64"), &["via fd00:1::9", "metric 20", "mtu 1390", "advmss 1200"]);
    plugin.check(&result).silent();
    for change in [
        "ip route change default via 10.1.2.1 dev eth0 metric 50 mtu 1400 advmss 1299",
        "ip route change default via 10.1.2.1 dev eth0 metric 50 mtu 1401 advmss 1300",
        "ip route change default via 10.1.2.1 dev eth0 metric 50 mtu 1400 advmss 1300 &&
         ip route del 10.66.0.0/16 table 77",
        "ip route add 10.66.0.0/16 via 10.1.2.9 table 77 &&
         ip -6 route change fd00:66::/64 via fd00:1::9 dev eth0 metric 20 mtu 1380 advmss 1200",
    ] {
        lab.sh_in("c1", change);
        names_all(&plugin.check(&result).failure(), &["route"]);
    }
}

#[test]
fn row_16_routes_that_are_there_already_are_no_error() {
    let lab = lab();
    if lab.reference_fails("file exists") {
        return;
    }
    // Twice the same, two ways to one place, and what the kernel makes by itself.
    let routes = json!([
        { "dst": "10.66.0.0/16" }, { "dst": "10.66.0.0/16", "gw": "10.1.2.1" },
        { "dst": "10.67.0.0/16", "gw": "10.1.2.8" }, { "dst": "10.67.0.0/16", "gw": "10.1.2.9" },
        { "dst": "fd00:66::/64", "gw": "fd00:1::8" }, { "dst": "fd00:66::/64", "gw": "fd00:1::9" },
        { "dst": "fd00:66::/64", "gw": "fd00:1::9" },
    ]);
    let plugin = bridge(&lab, &json!({ "isDefaultGateway": true }), &routes);
    let result = plugin.add().result();
    plugin.check(&result).silent();
    let count = |text: String| text.matches("via").count();
    assert_eq!(count(lab.sh_in("c1", "ip route show 10.66.0.0/16")), 1);
    assert_eq!(count(lab.sh_in("c1", "ip route show 10.67.0.0/16")), 2);
    assert_eq!(count(lab.sh_in("c1", "ip -6 route show fd00:66::/64")), 2);
    assert_eq!(default_links(&lab), ["eth0", "eth0"]);
    plugin.del(&result).silent();
    // The same again, with the default routes given twice.
    let routes = json!([
        { "dst": "0.0.0.0/0" }, { "dst": "0.0.0.0/0", "gw": "10.1.2.1" }, { "dst": "::/0" },
    ]);
    let plugin = bridge(&lab, &json!({ "isDefaultGateway": true }), &routes);
    let result = plugin.add().result();
    plugin.check(&result).silent();
    assert_eq!(default_links(&lab), ["eth0", "eth0"]);
}

#[test]
fn row_17_a_network_can_be_told_to_give_no_default_route() {
    let lab = lab();
    if lab.reference_fails("it does not know the key") {
        return;
    }
    let routes = json!([
        { "dst": "0.0.0.0/0" }, { "dst": "10.66.0.0/16" }, { "dst": "::/0", "gw": "fd00:1::1" },
    ]);
    let keys = json!({ "isGateway": true, "defaultRoute": false });
    let plugin = bridge(&lab, &keys, &routes);
    let result = plugin.add().result();
    assert_eq!(result["routes"], json!([{ "dst": "10.66.0.0/16" }]));
    assert_eq!(default_links(&lab), [""; 0]);
    names_all(&lab.sh_in("c1", "ip route show 10.66.0.0/16"), &["via 10.1.2.1"]);
    lab.sh_in("c1", "ping -c1 -W2 10.1.2.1");
    plugin.check(&result).silent();
    plugin.del(&result).silent();
    let text = plugin.key("isDefaultGateway", &json!(true)).add().invalid_config();
    assert_eq!(text, "cannot be the default gateway without a default route");
}

#[test]
fn row_17_the_first_network_keeps_the_default_route() {
    let lab = lab();
    if lab.reference_fails("the second network cannot be joined: file exists") {
        return;
    }
    let keys = json!({ "isDefaultGateway": true });
    let first = bridge(&lab, &keys, &json!([]));
    let result = first.add().result();
    let other = second_plugin(&lab, &keys, &defaults());
    let second_result = second(&lab, &keys, &defaults());
    for (address, link) in [("192.0.2.1", "eth0"), ("2001:db8::1", "eth0")] {
        let route = lab.sh_in("c1", &format!("ip route get {address}"));
        names_all(&route, &[&format!(" dev {link} ")]);
    }
    default_links(&lab);
    first.check(&result).silent();
    other.check(&second_result).silent();
    // The other order of leaving.
    other.del(&second_result).silent();
    assert_eq!(default_links(&lab), ["eth0", "eth0"]);
    let second_result = other.add().result();
    first.del(&result).silent();
    names_all(&lab.sh_in("c1", "ip route get 192.0.2.1"), &[" dev net1 "]);
    // What nobody has any more is missing.
    names_all(&other.check(&second_result).failure(), &["::/0"]);
}

#[test]
fn row_22_a_gateway_comes_in_every_combination() {
    // Switches, the address on the bridge, the gateway in the result, the default route.
    for (keys, on_bridge, told, default) in [
        (json!({}), false, true, true),
        (json!({ "isGateway": true }), true, true, true),
        (json!({ "isGateway": true, "defaultRoute": false }), true, true, false),
        (json!({ "defaultRoute": false }), false, true, false),
        (json!({ "isDefaultGateway": true }), true, true, true),
    ] {
        let lab = lab();
        if lab.reference_fails("it does not know the key") {
            return;
        }
        let plugin = bridge(&lab, &keys, &defaults());
        let result = plugin.add().result();
        let addresses = lab.sh("ip -4 -o addr show dev lan0");
        assert_eq!(addresses.contains("10.1.2.1/24"), on_bridge, "{keys}");
        let forwards = lab.sh("cat /proc/sys/net/ipv4/ip_forward") == "1";
        assert_eq!(forwards, on_bridge, "{keys}");
        assert_eq!(result["ips"][0]["gateway"] == "10.1.2.1", told, "{keys}");
        assert_eq!(!default_links(&lab).is_empty(), default, "{keys}");
        plugin.check(&result).silent();
    }
}
