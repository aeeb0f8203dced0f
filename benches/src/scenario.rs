//! What is measured: lists of plugins, as networks have them.

use serde_json::{Value, json};

/// A network whose containers are measured.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name on the command line and in tables.
    pub name: &'static str,
    /// What it is made of, for people.
    pub about: &'static str,
    plugins: fn() -> Vec<Value>,
    /// What has to be on the host.
    pub host: &'static str,
}

/// All of them.
pub const ALL: [Scenario; 6] = [
    Scenario {
        name: "bridge",
        about: "bridge, host-local",
        plugins: || vec![bridge(false)],
        host: "",
    },
    Scenario {
        name: "masquerade",
        about: "bridge with masquerading, host-local",
        plugins: || vec![bridge(true)],
        host: "",
    },
    Scenario {
        name: "ports",
        about: "bridge with masquerading, host-local; portmap with one port",
        plugins: || vec![bridge(true), portmap()],
        host: "",
    },
    Scenario {
        name: "chain",
        about: "bridge with masquerading, host-local; portmap, firewall, tuning",
        plugins: || vec![bridge(true), portmap(), firewall(), tuning()],
        host: "",
    },
    Scenario { name: "ptp", about: "ptp, host-local", plugins: || vec![ptp()], host: "" },
    Scenario {
        name: "macvlan",
        about: "macvlan, host-local",
        plugins: || vec![macvlan()],
        host: "ip link add parent0 type veth peer name parent1; ip link set parent0 up; \
               ip link set parent1 up",
    },
];

impl Scenario {
    /// The scenario of a name.
    pub fn find(name: &str) -> Option<Self> {
        ALL.into_iter().find(|scenario| scenario.name == name)
    }

    /// The configuration of each plugin in the list.
    pub fn plugins(&self, network: &str) -> Vec<Value> {
        let mut plugins = (self.plugins)();
        for plugin in &mut plugins {
            plugin["cniVersion"] = json!("1.0.0");
            plugin["name"] = json!(network);
        }
        plugins
    }
}

fn bridge(is_masqueraded: bool) -> Value {
    json!({
        "type": "bridge",
        "bridge": "bench0",
        "isDefaultGateway": true,
        "ipMasq": is_masqueraded,
        "ipam": { "type": "host-local", "subnet": "10.1.0.0/16" },
    })
}

fn portmap() -> Value {
    json!({ "type": "portmap", "capabilities": { "portMappings": true } })
}

fn firewall() -> Value {
    json!({ "type": "firewall" })
}

fn tuning() -> Value {
    json!({ "type": "tuning", "sysctl": { "net.core.somaxconn": "500" } })
}

fn ptp() -> Value {
    json!({ "type": "ptp", "ipam": routed() })
}

fn macvlan() -> Value {
    json!({ "type": "macvlan", "master": "parent0", "ipam": routed() })
}

fn routed() -> Value {
    json!({ "type": "host-local", "subnet": "10.1.0.0/16", "routes": [{ "dst": "0.0.0.0/0" }] })
}
