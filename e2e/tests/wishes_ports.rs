//! What users asked of published ports and packet filters and never got: rows 9, 10, 12, 13, 35
//! and 37.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ropewalk_e2e::chain::packets::{Server, UdpClient, tcp_source, udp_source};
use ropewalk_e2e::chain::{
    Chain, bridge, chain_rules, chained, lab_with_outside, names_all, portmap, whole_text,
};
use ropewalk_e2e::{Lab, Plugin, Value, json};

const BACKENDS: [&str; 2] = ["nftables", "iptables"];

fn web() -> Value {
    json!([{ "hostPort": 8080, "containerPort": 80 }])
}

/// bridge with masquerading, portmap with these mappings, firewall.
fn chain<'lab>(lab: &'lab Lab, mappings: &Value, keys: &Value) -> Chain<'lab> {
    let bridge = bridge(lab).key("ipMasq", &json!(true));
    Chain(vec![bridge, portmap(lab, mappings, keys), chained(lab, "firewall", &json!({}))])
}

#[test]
fn row_09_nftables_needs_no_program_at_all() {
    let lab = lab_with_outside();
    if lab.reference_fails("it needs iptables or nft") {
        return;
    }
    let chain = chain(&lab, &web(), &json!({})).map(|plugin| plugin.variable("PATH", "/nowhere"));
    let before = chain.settled(&lab);
    let result = chain.add();
    let web = Server("c1", 80);
    for (from, to, seen) in [
        ("outer", "10.99.0.1:8080", "10.99.0.2"),
        ("outer", "[fd00:99::1]:8080", "fd00:99::2"),
        ("host", "127.0.0.1:8080", "10.1.2.1"),
        ("c1", "10.99.0.1:8080", "10.1.2.1"),
    ] {
        let source = tcp_source(&lab, from, to, web).map(|ip| ip.to_string());
        assert_eq!(source.as_deref(), Some(seen), "from {from} to {to}");
    }
    // Masqueraded: outer has no way back to the container.
    let source = tcp_source(&lab, "c1", "10.99.0.2:7000", Server("outer", 7000));
    assert_eq!(source.map(|ip| ip.to_string()).as_deref(), Some("10.99.0.1"));
    chain.check(&result);
    chain.del(&result);
    lab.nothing_left(&before);
}

/// A plugin that writes down every program that it and its children start.
fn traced<'lab>(lab: &'lab Lab, plugin: &Plugin<'lab>, name: &str) -> Plugin<'lab> {
    let script = format!(
        "#!/bin/sh\nexec strace -f -qq -e trace=execve -e signal=none -o /run/lab/trace -A \
         /run/lab/plugins/{name}\n"
    );
    lab.write("/run/lab/script", &script);
    lab.sh(&format!("install -m 755 /run/lab/script /run/lab/plugins/traced-{name}"));
    plugin.clone().program(&format!("/run/lab/plugins/traced-{name}"))
}

#[test]
fn row_10_no_verb_starts_a_program() {
    let lab = lab_with_outside();
    if lab.reference_fails("it starts dozens") {
        return;
    }
    let names = ["bridge", "portmap", "firewall"];
    let plain = chain(&lab, &web(), &json!({}));
    let plugins = plain.0.iter().zip(names).map(|(plugin, name)| traced(&lab, plugin, name));
    let chain = Chain(plugins.collect());
    let started = |verb: &str| {
        let trace = lab.read("/run/lab/trace");
        let starts: Vec<_> = trace.lines().filter(|line| line.contains("execve(")).collect();
        assert_eq!(starts.len(), names.len(), "{verb}: {trace}");
        lab.sh("rm /run/lab/trace");
    };
    for _ in 0..2 {
        let result = chain.add();
        started("ADD");
        chain.check(&result);
        started("CHECK");
        chain.del(&result);
        started("DEL");
        chain.del_without_result();
        started("DEL");
    }
}

/// The tracked connections over UDP toward a port and their destinations behind it.
fn flows(lab: &Lab, port: u16) -> Vec<String> {
    let text = lab.sh(&format!("conntrack -L -p udp --orig-port-dst {port} 2>/dev/null || true"));
    let field = |line: &str| {
        let mut sources = line.split("src=").skip(1).filter_map(|rest| rest.split(' ').next());
        sources.nth(1).unwrap_or_default().to_owned()
    };
    text.lines().map(field).collect()
}

/// Ends a client also when the test fails.
struct EndsWithTest<'a>(&'a AtomicBool);

impl Drop for EndsWithTest<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn row_12_udp_flows_of_a_client_that_never_stops_do_not_outlive_the_container() {
    for backend in BACKENDS {
        let lab = lab_with_outside();
        if lab.reference_fails("it does not flush on DEL") {
            return;
        }
        let mappings = json!([{ "hostPort": 5353, "containerPort": 53, "protocol": "udp" }]);
        let chain = chain(&lab, &mappings, &json!({ "backend": backend }));
        // Without any rule nothing is tracked.
        chain.settled(&lab);
        let client = UdpClient::open(&lab, "outer", "10.99.0.1:5353");
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let _end = EndsWithTest(&done);
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    client.send();
                }
            });
            lab.wait_until("the host tracks the client", || !flows(&lab, 5353).is_empty());
            for _ in 0..3 {
                let result = chain.add();
                let address = result["ips"][0]["address"].as_str().expect("text").to_owned();
                let container = address.split('/').next().unwrap_or_default().to_owned();
                lab.wait_until("packets go to the container", || {
                    flows(&lab, 5353) == [container.clone()]
                });
                chain.del(&result);
                lab.wait_until("the host tracks the client", || !flows(&lab, 5353).is_empty());
                assert_eq!(flows(&lab, 5353), ["10.99.0.1"], "{backend}: the host is meant now");
            }
        });
    }
}

#[test]
fn row_12_flows_to_another_address_of_the_host_stay() {
    for backend in BACKENDS {
        let lab = lab_with_outside();
        if lab.reference_fails("it flushes by port") {
            return;
        }
        lab.sh("ip addr add 10.99.0.3/24 dev outer");
        let mappings = json!([
            { "hostPort": 5353, "containerPort": 53, "protocol": "udp", "hostIP": "10.99.0.1" },
        ]);
        let chain = chain(&lab, &mappings, &json!({ "backend": backend }));
        chain.settled(&lab);
        let [own, other] = ["10.99.0.1:5353", "10.99.0.3:5353"]
            .map(|address| UdpClient::open(&lab, "outer", address));
        let see = |expected: &[&str]| {
            let mut flows = flows(&lab, 5353);
            flows.sort();
            assert_eq!(flows, expected, "{backend}");
        };
        assert!(own.is_refused() && other.is_refused());
        see(&["10.99.0.1", "10.99.0.3"]);
        let result = chain.add();
        see(&["10.99.0.3"]);
        assert!(own.source(&lab, Server("c1", 53)).is_some());
        chain.del(&result);
        see(&["10.99.0.3"]);
    }
}

#[test]
fn row_13_one_entry_publishes_a_range_of_ports() {
    for backend in BACKENDS {
        let lab = lab_with_outside();
        if lab.reference_fails("it does not know the key") {
            return;
        }
        let mappings = json!([
            { "hostPort": 8000, "containerPort": 80, "range": 10 },
            { "hostPort": 8000, "containerPort": 90, "range": 3, "protocol": "udp" },
            { "hostPort": 9000, "containerPort": 9000, "range": 1 },
            { "hostPort": 9001, "containerPort": 9001, "range": 0 },
        ]);
        let chain = chain(&lab, &mappings, &json!({ "backend": backend }));
        let before = chain.settled(&lab);
        let result = chain.add();
        for (host, container) in [(8000, 80), (8005, 85), (8009, 89), (9000, 9000), (9001, 9001)] {
            let to = format!("10.99.0.1:{host}");
            assert!(tcp_source(&lab, "outer", &to, Server("c1", container)).is_some(), "{to}");
        }
        assert!(lab.reaches("outer", "10.99.0.1:8010"), "the host itself refuses");
        let udp = Server("c1", 92);
        assert!(udp_source(&lab, "outer", "[fd00:99::1]:8002", udp).is_some());
        chain.check(&result);
        chain.del(&result);
        lab.nothing_left(&before);
    }
}

#[test]
fn row_13_a_range_ends_at_the_last_port_and_takes_little_time() {
    let lab = lab_with_outside();
    if lab.reference_fails("it does not know the key") {
        return;
    }
    for (first, count) in [(65530, 7), (80, 70000), (1, 65536)] {
        let mappings = json!([{ "hostPort": first, "containerPort": 1, "range": count }]);
        let plugin = portmap(&lab, &mappings, &json!({}));
        let text = plugin.previous(&ropewalk_e2e::chain::bridge_result()).add().invalid_config();
        names_all(&text, &["failed to parse config: Invalid port range: ", "above 65535"]);
    }
    let mappings = json!([
        { "hostPort": 10000, "containerPort": 10000, "range": 4000, "protocol": "udp" },
    ]);
    let plugins = chain(&lab, &mappings, &json!({}));
    let before = plugins.settled(&lab);
    let begin = Instant::now();
    let result = plugins.add();
    plugins.check(&result);
    let last = Server("c1", 13999);
    assert!(udp_source(&lab, "outer", "10.99.0.1:13999", last).is_some());
    // Somebody who wants one of them is told whose it is.
    let one = json!([{ "hostPort": 12000, "containerPort": 1, "protocol": "udp" }]);
    let (_, failure) = chain(&lab, &one, &json!({})).on("c2").try_add();
    names_all(&whole_text(&failure.expect("the port is taken")), &["udp.12000", "net/c1/eth0"]);
    chain(&lab, &one, &json!({})).on("c2").del_without_result();
    plugins.del(&result);
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    lab.nothing_left(&before);
}

#[test]
fn row_35_a_container_reaches_its_own_published_port() {
    for (backend, filtered) in [("nftables", "1"), ("nftables", "0"), ("iptables", "1")] {
        for mode in ["hairpinMode", "promiscMode", "portIsolation", "none"] {
            let lab = lab_with_outside();
            if lab.reference_fails("it needs hairpinMode where bridged packets are filtered") {
                return;
            }
            lab.try_sh(&format!(
                "cd /proc/sys/net/bridge && echo {filtered} >bridge-nf-call-iptables &&
                 echo {filtered} >bridge-nf-call-ip6tables"
            ));
            let mut chain = chain(&lab, &web(), &json!({ "backend": backend }));
            let bridge = chain.0[0].clone().key("hairpinMode", &json!(null));
            chain.0[0] = if mode == "none" { bridge } else { bridge.key(mode, &json!(true)) };
            let result = chain.add();
            for to in ["10.99.0.1:8080", "10.1.2.1:8080", "[fd00:99::1]:8080"] {
                // The kernel keeps an isolated port from itself.
                if mode != "portIsolation" || filtered == "0" {
                    let source = tcp_source(&lab, "c1", to, Server("c1", 80));
                    assert!(source.is_some(), "{backend} {mode} {filtered}: {to}");
                }
            }
            chain.check(&result);
            chain.del(&result);
        }
    }
}

/// A connection between the container and somebody outside, as long as both live.
struct Connection {
    client: TcpStream,
    server: TcpStream,
}

impl Connection {
    fn open(lab: &Lab) -> Self {
        let listener = lab.inside("outer", || TcpListener::bind("10.99.0.2:7000")).expect("free");
        let address = "10.99.0.2:7000".parse().expect("an address");
        let patience = Duration::from_secs(3);
        let client = lab.inside("c1", || TcpStream::connect_timeout(&address, patience));
        let (server, _) = listener.accept().expect("the connection was made");
        Self { client: client.expect("outer is reached"), server }
    }

    /// Whether what the client says arrives within a moment.
    fn arrives(&mut self) -> bool {
        self.client.write_all(b"x").expect("it is kept for sending");
        self.server.set_read_timeout(Some(Duration::from_millis(700))).expect("a timeout");
        match self.server.read(&mut [0]) {
            Ok(count) => count == 1,
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn row_37_packets_of_no_connection_are_dropped_if_that_is_wanted() {
    for backend in BACKENDS {
        for strict in [false, true] {
            let lab = lab_with_outside();
            if lab.reference_fails("it does not know the key") {
                return;
            }
            lab.sh_in("outer", "ip route add 10.1.2.0/24 via 10.99.0.1");
            let keys = json!({ "dropInvalid": strict });
            let firewall = chained(&lab, "firewall", &keys);
            let firewall = match backend {
                "iptables" => firewall.key("backend", &json!(backend)),
                _ => firewall,
            };
            let chain = Chain(vec![bridge(&lab), firewall]);
            let before = chain.settled(&lab);
            let result = chain.add();
            let mut connection = Connection::open(&lab);
            assert!(connection.arrives());
            // What the host sees from now on belongs to nothing that it knows, as when it sees one
            // direction only.
            lab.sh("echo 0 >/proc/sys/net/netfilter/nf_conntrack_tcp_loose; conntrack -F 2>&1");
            assert_eq!(connection.arrives(), !strict, "{backend}");
            assert!(Connection::open(&lab).arrives(), "new connections are not concerned");
            chain.check(&result);
            chain.del(&result);
            lab.nothing_left(&before);
        }
    }
}

#[test]
fn row_37_the_rules_that_drop_come_first_and_concern_nobody_else() {
    let lab = lab_with_outside();
    if lab.reference_fails("it does not know the key") {
        return;
    }
    let keys = json!({ "backend": "iptables", "dropInvalid": true });
    let firewall = chained(&lab, "firewall", &keys);
    firewall.clone().previous(&ropewalk_e2e::chain::bridge_result()).add().result();
    let rules = chain_rules(&lab, "iptables", "filter", "CNI-FORWARD");
    assert_eq!(
        rules[1..],
        [
            "-d 10.1.2.5/32 -m conntrack --ctstate INVALID -j DROP",
            "-s 10.1.2.5/32 -m conntrack --ctstate INVALID -j DROP",
            "-d 10.1.2.5/32 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            "-s 10.1.2.5/32 -j ACCEPT",
        ]
    );
    let open = chained(&lab, "firewall", &json!({})).on("c2");
    open.previous(&ropewalk_e2e::chain::second_result()).add().result();
    let strict = chained(&lab, "firewall", &json!({ "dropInvalid": true }));
    strict.clone().previous(&ropewalk_e2e::chain::bridge_result()).add().result();
    assert_eq!(lab.sh("nft list set inet ropewalk strict4").matches("comment").count(), 1);
    strict.gc(&[("c2", "eth0")]).error_with_code(1);
    strict.key("cniVersion", &json!("1.1.0")).gc(&[("c2", "eth0")]).silent();
    lab.wait_until("the kernel has forgotten the element", || {
        !lab.sh("nft list set inet ropewalk strict4").contains("comment")
    });
}
