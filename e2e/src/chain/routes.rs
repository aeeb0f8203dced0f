//! Containers with interfaces toward routers, and what their rules and tables of routing are.

use super::chained;
use crate::{Lab, Plugin, Value, json};

/// A pair from `c1` to a router, with addresses (container, router) of each.
pub fn connect(lab: &Lab, router: &str, link: &str, addresses: &[(&str, &str)]) {
    lab.netns(router);
    lab.sh(&format!(
        "ip link add {link} netns c1 type veth peer name wan netns {router}
         for here in c1 {router}; do ip -n $here link set lo up; done
         ip -n c1 link set {link} up
         ip -n {router} link set wan up"
    ));
    for (own, other) in addresses {
        let nodad = if own.contains(':') { "nodad" } else { "" };
        lab.sh(&format!(
            "ip -n c1 addr add {own} dev {link} {nodad}
             ip -n {router} addr add {other} dev wan {nodad}"
        ));
    }
}

/// The addresses of `net1` and of its router `r1`.
const ADDRESSES: [(&str, &str); 3] = [
    ("10.1.0.2/24", "10.1.0.1/24"),
    ("10.1.7.2/24", "10.1.7.1/24"),
    ("fd00:1::2/64", "fd00:1::1/64"),
];

/// The container `c1` with `net1` toward the router `r1`: two IPv4 subnets and an IPv6 one, with
/// default routes and routes to elsewhere.
pub fn lab_with_net1() -> Lab {
    let lab = Lab::new();
    lab.netns("c1");
    connect_net1(&lab);
    lab
}

/// Makes `net1` and its router.
pub fn connect_net1(lab: &Lab) {
    connect(lab, "r1", "net1", &ADDRESSES);
    lab.sh("ip -n c1 route add default via 10.1.0.1
            ip -n c1 route add 10.55.0.0/16 via 10.1.7.9
            ip -n c1 route add 10.56.0.0/16 dev net1
            ip -n c1 -6 route add default via fd00:1::1");
}

/// Ends the interface and makes a new one, as between two attachments.
pub fn renew_net1(lab: &Lab) {
    lab.sh("ip -n c1 link del net1; ip netns del r1");
    connect_net1(lab);
}

/// What the plugin that made `net1` has told.
pub fn net1_result() -> Value {
    json!({
        "cniVersion": "1.0.0",
        "interfaces": [
            { "name": "host1" }, { "name": "net1", "sandbox": "/run/netns/c1" },
            { "name": "eth0", "sandbox": "/run/netns/c1" },
        ],
        "ips": [
            { "interface": 1, "address": "10.1.0.2/24", "gateway": "10.1.0.1" },
            { "interface": 1, "address": "10.1.7.2/24", "gateway": "10.1.7.1" },
            { "interface": 1, "address": "fd00:1::2/64", "gateway": "fd00:1::1" },
            { "interface": 2, "address": "10.8.8.8/24", "gateway": "10.8.8.1" },
        ],
        "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }, { "dst": "10.99.0.0/16" }],
    })
}

/// sbr with these keys, for `net1` of `c1`.
pub fn sbr<'lab>(lab: &'lab Lab, keys: &Value) -> Plugin<'lab> {
    chained(lab, "sbr", keys).ifname("net1")
}

/// ADD behind the plugin that made `net1`.
#[track_caller]
pub fn add(plugin: &Plugin<'_>) -> Value {
    plugin.clone().previous(&net1_result()).add().result()
}

/// The rules that somebody made, `SOURCE TABLE`, IPv4 first.
pub fn rules(lab: &Lab) -> Vec<String> {
    let mut rules = Vec::new();
    for family in ["-4", "-6"] {
        let mut own: Vec<String> = lab
            .ip_json_in("c1", &format!("{family} rule show"))
            .as_array()
            .expect("a list")
            .iter()
            .filter(|rule| rule["src"] != "all")
            .map(|rule| format!("{} {}", text(&rule["src"]), text(&rule["table"])))
            .collect();
        own.sort();
        rules.extend(own);
    }
    rules
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The routes of a table, each as `DESTINATION GATEWAY LINK`, sorted, without link-local ones.
pub fn routes(lab: &Lab, table: &str) -> Vec<String> {
    let show = |family| lab.try_sh_in("c1", &format!("ip -j {family} route show table {table}"));
    let mut routes = Vec::new();
    for family in ["-4", "-6"] {
        let shown: Value = show(family).stdout.parse().unwrap_or_default();
        let shown = shown.as_array().cloned().unwrap_or_default().into_iter();
        let shown = shown.filter(|route| !text(&route["dst"]).starts_with("fe80"));
        // A routing domain has its local and broadcast routes in the same table.
        let shown = shown.filter(|route| ["", "unicast"].contains(&text(&route["type"]).as_str()));
        routes.extend(shown.map(|route| {
            let gateway = route["gateway"].as_str().unwrap_or("-");
            format!("{} {gateway} {}", text(&route["dst"]), text(&route["dev"]))
        }));
    }
    routes.sort();
    routes
}

/// Rules, routes of the main table and of those that sbr takes.
pub fn everything(lab: &Lab) -> (Vec<String>, Vec<Vec<String>>) {
    let tables = ["main", "100", "101", "102", "250"];
    (rules(lab), tables.iter().map(|table| routes(lab, table)).collect())
}
