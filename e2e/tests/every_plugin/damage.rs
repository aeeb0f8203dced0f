//! CHECK looks at everything that ADD has made.

use ropewalk_e2e::{Host, Role, Sample, Value};

/// What can be done to an attachment, as scripts for the container.
fn damages(host: &Host, result: &Value) -> Vec<String> {
    let ifname = host.sample.ifname();
    let mut scripts = Vec::new();
    if host.sample.role == Role::Interface {
        scripts.push(format!("ip link set {ifname} down"));
    }
    if host.sample.role == Role::Interface && host.sample.name != "loopback" {
        for ip in result["ips"].as_array().into_iter().flatten() {
            let address = ip["address"].as_str().expect("an address");
            scripts.push(format!("ip address del {address} dev {ifname}"));
        }
        scripts.push("ip -4 route del default".to_owned());
        scripts.push("ip -6 route del default".to_owned());
        scripts.push(format!("ip link set {ifname} down; ip link set {ifname} name other"));
    }
    match host.sample.name {
        "tuning" => {
            scripts.push("ip link set eth0 mtu 1300".to_owned());
            scripts.push("ip link set eth0 promisc off".to_owned());
            scripts.push("echo 0 >/proc/sys/net/ipv4/conf/eth0/arp_filter".to_owned());
        }
        "sbr" => {
            scripts.push("ip rule del table 100".to_owned());
            scripts.push("ip route flush table 100".to_owned());
            scripts.push("ip -6 rule del table 101".to_owned());
        }
        "vrf" => {
            scripts.push("ip link set eth0 nomaster".to_owned());
            scripts.push("ip link del blue".to_owned());
        }
        _ => {}
    }
    scripts
}

/// The same for the host.
fn damages_on_the_host(host: &Host) -> Vec<&'static str> {
    match host.sample.name {
        "bandwidth" => vec![
            "tc qdisc del dev $(ip -br link | grep -o '^veth[^@ ]*') root",
            "tc qdisc del dev $(ip -br link | grep -o '^veth[^@ ]*') ingress",
            "ip link del $(ip -br link | grep -o '^bwp[^@ ]*')",
            "tc qdisc del dev $(ip -br link | grep -o '^bwp[^@ ]*') root",
        ],
        "portmap" | "firewall" => vec!["nft delete table inet ropewalk"],
        "bridge" => vec![
            "nft delete table inet ropewalk",
            "nft delete table bridge ropewalk",
            "ip address flush dev cni0",
            "rm /var/lib/cni/networks/net/10.1.2.*  /var/lib/cni/networks/net/fd00*",
        ],
        "ptp" => vec![
            "nft delete table inet ropewalk",
            "ip route del $(ip route | grep -o '^10.1.2.[0-9]*')",
            "rm /var/lib/cni/networks/net/10.1.2.*  /var/lib/cni/networks/net/fd00*",
        ],
        "host-local" => {
            vec!["rm /var/lib/cni/networks/net/10.1.2.*  /var/lib/cni/networks/net/fd00*"]
        }
        _ => Vec::new(),
    }
}

/// CHECK is silent before each damage and an error after it; DEL succeeds all the same.
pub(crate) fn is_noticed(name: &str) {
    let Some(host) = Sample::of(name).host() else { return };
    if host.lab.reference_fails("its CHECK looks at little") || host.lab.lacks_nftables() {
        return;
    }
    host.settle();
    let before = host.lab.snapshot();
    let mut number = 0;
    loop {
        let plugin = host.plugin(0);
        let result = plugin.add().result();
        plugin.check(&result).silent();
        let (inside, outside) = (damages(&host, &result), damages_on_the_host(&host));
        let Some(script) = inside.iter().map(String::as_str).chain(outside).nth(number) else {
            break;
        };
        if number < inside.len() {
            host.lab.sh_in("c1", script);
        } else {
            host.lab.sh(script);
        }
        let outcome = plugin.check(&result);
        assert_eq!(outcome.code, 1, "not noticed: {script}: {outcome}");
        outcome.error();
        let list = host.list(0);
        list.del(&result);
        host.renew("c1");
        if number >= inside.len() {
            // What is Shared may be damaged too.
            host.settle();
        }
        host.lab.nothing_left(&before);
        number += 1;
    }
}
