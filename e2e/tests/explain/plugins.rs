//! A host whose containers were attached by the plugins: bridge with masquerading, published ports,
//! firewall, and a pair of ptp.

use ropewalk_e2e::{Lab, Random, Value, json};

use super::questions::Question;

/// Its namespaces.
pub(crate) const NAMES: &[&str] = &["k1", "k2", "k3", "kout"];

/// What the containers of the bridge publish.
const PUBLISHED: [(&str, u16, u16, &str); 2] = [("k1", 8081, 80, "tcp"), ("k2", 8053, 53, "udp")];

fn bridge() -> Value {
    json!({
        "cniVersion": "1.0.0", "name": "lan", "type": "bridge", "bridge": "cni0",
        "isGateway": true, "ipMasq": true,
        "ipam": {
            "type": "host-local",
            "ranges": [[{ "subnet": "10.7.0.0/24" }], [{ "subnet": "fd00:7::/64" }]],
            "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }],
        },
    })
}

/// Makes the host.
pub(crate) fn make() -> Lab {
    let lab = Lab::new();
    lab.outer_network(
        "kout",
        &[("192.0.2.1/24", "192.0.2.2/24"), ("2001:db8::1/64", "2001:db8::2/64")],
    );
    lab.sh("echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding");
    for container in ["k1", "k2"] {
        lab.netns(container);
        lab.sh_in(container, "ip link set lo up");
        let added = lab.plugin("bridge").on(container).config(bridge()).add().result();
        let ports: Vec<Value> = PUBLISHED
            .iter()
            .filter(|(name, ..)| *name == container)
            .map(|(_, host, inner, protocol)| {
                json!({ "hostPort": host, "containerPort": inner, "protocol": protocol })
            })
            .collect();
        let portmap = json!({
            "cniVersion": "1.0.0", "name": "lan", "type": "portmap",
            "capabilities": { "portMappings": true },
            "runtimeConfig": { "portMappings": ports },
        });
        let added = lab.plugin("portmap").on(container).config(portmap).previous(&added).add();
        let firewall = json!({ "cniVersion": "1.0.0", "name": "lan", "type": "firewall" });
        let added = added.result();
        lab.plugin("firewall").on(container).config(firewall).previous(&added).add().result();
    }
    lab.netns("k3");
    lab.sh_in("k3", "ip link set lo up");
    let ptp = json!({
        "cniVersion": "1.0.0", "name": "pair", "type": "ptp", "ipMasq": true,
        "ipam": { "type": "host-local", "subnet": "10.8.0.0/24",
            "routes": [{ "dst": "0.0.0.0/0" }] },
    });
    lab.plugin("ptp").on("k3").config(ptp).add().result();
    lab.wait_until("addresses are usable", || {
        lab.sh("ip -6 address show tentative").is_empty()
            && lab.sh_in("k1", "ip -6 address show tentative").is_empty()
            && lab.sh_in("k2", "ip -6 address show tentative").is_empty()
    });
    lab
}

/// What is asked of it.
pub(crate) fn questions(random: &mut Random) -> Vec<Question> {
    let ends = ["k1", "k2", "k3", "kout", "host"];
    let targets = [
        "k1",
        "k2",
        "k3",
        "kout",
        "192.0.2.1",
        "10.7.0.1",
        "-6 k1",
        "-6 k2",
        "-6 kout",
        "127.0.0.1",
        "2001:db8::1",
    ];
    let services = ["80", "8081", "8081", "8053/udp", "53/udp", "icmp"];
    let mut all = Vec::new();
    for source in ends {
        for target in targets {
            // Not all have IPv6.
            let is_six = target.contains(':') || target.contains("-6");
            if source == "k3" && is_six {
                continue;
            }
            all.push(Question {
                source: source.to_owned(),
                destination: target.to_owned(),
                service: (*random.choose(&services)).to_owned(),
            });
        }
    }
    all
}
