//! Row 7 of what users asked for: addresses of DHCPv6, alone or beside those of DHCPv4.

use std::time::{Duration, Instant};

use ropewalk_e2e::{Lab, Process, Value, json};

use crate::stage::{BRIDGE, Daemon, bridge, direct, lab_with_bridge};

const LOG: &str = "/run/lab/server6.log";
const LEASES: &str = "/run/lab/server6.leases";

/// The bridge with an IPv6 subnet, too.
fn lab() -> Lab {
    let lab = lab_with_bridge();
    lab.sh(&format!(
        "sysctl -qw net.ipv6.conf.{BRIDGE}.accept_dad=0; \
         ip address add fd00:9::1/64 dev {BRIDGE} nodad"
    ));
    lab
}

/// A server of both versions that is the link's router. Its subnet may be one from which hosts
/// choose addresses, too.
fn dnsmasq(lab: &Lab, subnet: &str) -> Process {
    lab.write(
        "/run/lab/server6.conf",
        &format!(
            "port=0\nno-ping\ndhcp-authoritative\ninterface={BRIDGE}\nbind-interfaces\nlog-dhcp\n\
             dhcp-leasefile={LEASES}\nuser=root\nenable-ra\n\
             dhcp-range=10.7.0.100,10.7.0.149,255.255.255.0,1h\n\
             dhcp-range=fd00:9::10,fd00:9::ff,{subnet},1h\n\
             dhcp-option=option:dns-server,10.7.0.53\n\
             dhcp-option=option6:dns-server,[fd00:9::53]\n\
             dhcp-option=option6:domain-search,lab.example,example\n"
        ),
    );
    let words = ["/usr/sbin/dnsmasq", "--no-daemon", "--conf-file=/run/lab/server6.conf"];
    let process = Process::start(lab, "dnsmasq-base", &words, LOG);
    lab.wait_until("dnsmasq is ready", || lab.read(LOG).contains("DHCPv6, IP range"));
    process
}

/// ISC's server gives leases as short as one likes.
fn isc(lab: &Lab, seconds: u32) -> Process {
    lab.write(LEASES, "");
    lab.write(
        "/run/lab/server6.conf",
        &format!(
            "authoritative; default-lease-time {seconds}; max-lease-time {seconds};\n\
             preferred-lifetime {seconds}; option dhcp-renewal-time {};\n\
             option dhcp-rebinding-time {};\n\
             subnet6 fd00:9::/64 {{ range6 fd00:9::10 fd00:9::ff; }}\n",
            seconds / 4,
            seconds / 2,
        ),
    );
    let words = [
        "/usr/sbin/dhcpd",
        "-f",
        "-d",
        "-6",
        "--no-pid",
        "-cf",
        "/run/lab/server6.conf",
        "-lf",
        LEASES,
        BRIDGE,
    ];
    let process = Process::start(lab, "isc-dhcp-server", &words, LOG);
    lab.wait_until("ISC is ready", || lab.read(LOG).contains("Server starting service"));
    process
}

fn six() -> Value {
    json!({ "families": ["ipv6"] })
}

/// The address of a result at a position, without its prefix length.
#[track_caller]
fn address(result: &Value, index: usize) -> String {
    let address = result["ips"][index]["address"].as_str().expect("an address");
    let address = address.strip_suffix("/128").expect("an address without a subnet");
    assert!(address.starts_with("fd00:9::"), "{address}");
    address.to_owned()
}

/// Asserts that dnsmasq drops a lease, with a deadline.
#[track_caller]
fn is_dropped(lab: &Lab, address: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while lab.read(LEASES).contains(&format!(" {address} ")) {
        assert!(Instant::now() < deadline, "{address} is not dropped: {}", lab.read(LOG));
    }
}

#[test]
fn row_07_an_address_of_dhcpv6_is_leased_and_given_back() {
    let lab = lab();
    let _server = dnsmasq(&lab, "64");
    let daemon = Daemon::start(&lab);
    if lab.reference_fails("it leases no IPv6 addresses") {
        return;
    }
    let plugin = bridge(&lab, &six());
    let result = plugin.add().result();
    let address = address(&result, 0);
    assert_eq!(result["ips"].as_array().map(Vec::len), Some(1), "{result}");
    assert_eq!(result["dns"]["nameservers"], json!(["fd00:9::53"]));
    assert_eq!(result["dns"]["search"], json!(["lab.example", "example"]));
    let seen = lab.sh_in("c1", "ip -6 address show eth0");
    assert!(seen.contains(&format!("inet6 {address}/128")), "{seen}");
    assert!(lab.read(LEASES).contains(&format!(" {address} ")), "{}", lab.read(LEASES));
    lab.wait_until("the router is heard", || {
        lab.sh_in("c1", "ip -6 route show default").contains("proto ra")
    });
    lab.sh_in("c1", &format!("ping -c 1 -W 5 -I {address} fd00:9::1"));
    plugin.check(&result).silent();
    plugin.del(&result).silent();
    is_dropped(&lab, &address);
    assert_eq!(lab.list("/var/lib/cni/dhcp"), [""; 0]);
    let message = plugin.check(&result).failure();
    assert!(message.contains("c1/lan/eth0"), "{message}: {}", daemon.log());
}

#[test]
fn row_07_a_new_link_asks_at_once() {
    let lab = lab();
    let _server = dnsmasq(&lab, "64");
    let daemon = Daemon::start(&lab);
    if lab.reference_fails("it leases no IPv6 addresses") {
        return;
    }
    let plugin = bridge(&lab, &six());
    // The fastest of three: other tests may have the processor.
    let add = |_| {
        let begin = Instant::now();
        let result = plugin.add().result();
        let elapsed = begin.elapsed();
        plugin.del(&result).silent();
        elapsed
    };
    let fastest = (0..3).map(add).min().expect("three");
    // The kernel takes more than a second to find out that nobody has the link-local address.
    assert!(fastest < Duration::from_secs(1), "{fastest:?}: {}", daemon.log());
}

#[test]
fn row_07_one_add_leases_of_both_families_and_the_router_says_the_rest() {
    let lab = lab();
    let _server = dnsmasq(&lab, "slaac,64");
    let daemon = Daemon::start(&lab);
    if lab.reference_fails("it leases no IPv6 addresses") {
        return;
    }
    let plugin = bridge(&lab, &json!({ "families": ["ipv4", "ipv6"] }));
    let plugin = plugin.key("waitForRA", &json!(true));
    let result = plugin.add().result();
    let first = result["ips"][0]["address"].as_str().expect("an address");
    assert!(first.starts_with("10.7.0.") && first.ends_with("/24"), "{result}");
    let six = address(&result, 1);
    assert_eq!(result["dns"]["nameservers"], json!(["10.7.0.53", "fd00:9::53"]));
    assert!(lab.sh_in("c1", "ip -6 route show default").contains("proto ra"));
    lab.sh_in("c1", &format!("ping -c 1 -W 5 -I {six} fd00:9::1"));
    plugin.check(&result).silent();
    assert_eq!(lab.list("/var/lib/cni/dhcp").len(), 2, "{}", daemon.log());
    plugin.del(&result).silent();
    is_dropped(&lab, &six);
    is_dropped(&lab, first.trim_end_matches("/24"));
    assert_eq!(lab.list("/var/lib/cni/dhcp"), [""; 0]);
}

#[test]
fn row_07_a_daemon_that_was_killed_goes_on_with_leases_of_dhcpv6() {
    let lab = lab();
    let _server = dnsmasq(&lab, "64");
    let daemon = Daemon::start(&lab);
    if lab.reference_fails("it leases no IPv6 addresses") {
        return;
    }
    let plugin = direct(&lab, &six());
    let result = plugin.add().result();
    let address = address(&result, 0);
    assert_eq!(plugin.add().result(), result, "a second ADD has the same lease");
    let questions = lab.read(LOG).matches("DHCPREQUEST").count();
    drop(daemon);
    let daemon = Daemon::start(&lab);
    daemon.says(&format!("c1/lan/eth0 (IPv6): still has {address}"), 1);
    plugin.check(&result).silent();
    assert_eq!(lab.read(LOG).matches("DHCPREQUEST").count(), questions);
    plugin.del(&result).silent();
    is_dropped(&lab, &address);
}

#[test]
fn row_07_gc_gives_leases_of_dhcpv6_back() {
    let lab = lab();
    let _server = dnsmasq(&lab, "64");
    let _daemon = Daemon::start(&lab);
    if lab.reference_fails("it leases no IPv6 addresses") {
        return;
    }
    let plugin = direct(&lab, &six());
    let result = plugin.add().result();
    plugin.gc(&[]).silent();
    is_dropped(&lab, &address(&result, 0));
}

#[test]
fn row_07_a_lease_of_dhcpv6_is_renewed_rebound_and_ends() {
    let lab = lab();
    let server = isc(&lab, 8);
    let daemon = Daemon::start(&lab);
    if lab.reference_fails("it leases no IPv6 addresses") {
        return;
    }
    let plugin = bridge(&lab, &six());
    let result = plugin.add().result();
    let address = address(&result, 0);
    daemon.says("renewed", 2);
    assert!(lab.read(LOG).contains("Renew message"), "{}", lab.read(LOG));
    plugin.check(&result).silent();
    drop(server);
    daemon.says("c1/lan/eth0 (IPv6): the lease has expired", 1);
    let seen = lab.sh_in("c1", "ip -6 address show eth0");
    assert!(!seen.contains(&address), "{seen}");
    assert!(plugin.check(&result).failure().contains("no lease is held for c1/lan/eth0 (IPv6)"));
}

#[test]
fn row_07_without_a_server_nothing_is_leased_of_either_family() {
    let lab = lab();
    let server = crate::servers::Server::start(&lab, crate::servers::Software::Dnsmasq);
    let daemon = Daemon::start_with(&lab, &["-resendtimeout", "1s"]);
    if lab.reference_fails("it leases no IPv6 addresses") {
        return;
    }
    let plugin = direct(&lab, &json!({ "families": ["ipv4", "ipv6"] }));
    let message = plugin.add().failure();
    assert!(message.contains("no more tries"), "{message}");
    daemon.says("c1/lan/eth0: releasing lease", 1);
    let deadline = Instant::now() + Duration::from_secs(10);
    while server.received("DHCPRELEASE") == 0 {
        assert!(Instant::now() < deadline, "{}", server.log());
    }
    assert_eq!(lab.list("/var/lib/cni/dhcp"), [""; 0]);
}
