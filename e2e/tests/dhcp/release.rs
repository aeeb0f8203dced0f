//! The three servers that Debian has: how fast they lease, and whether they take back.

use std::time::Duration;

use ropewalk_e2e::{Lab, Value, json, patience};

use crate::servers::{Server, Settings, Software, serve};
use crate::stage::{Daemon, address, bridge, configuration, direct, lab_with_bridge};

/// What leasing one address may take, as the daemon measures it from the plugin's call to the
/// server's last word, on a machine that has a processor for everybody. The rest of an ADD has
/// nothing to do with DHCP, and waits for whoever else makes namespaces on this machine.
const LIMIT: Duration = Duration::from_millis(150);

/// The limit on this machine at this moment: where five processes want one processor, everything
/// takes five times as long.
fn limit() -> Duration {
    let load = std::fs::read_to_string("/proc/loadavg").expect("/proc is mounted");
    let load: f64 = load.split(' ').next().and_then(|load| load.parse().ok()).expect("a number");
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let processors = f64::from(u32::try_from(processors).unwrap_or(1));
    LIMIT.mul_f64((load / processors).max(1.0))
}

/// Leases twenty addresses, one container after the other.
#[track_caller]
fn twenty_of_twenty(software: Software) {
    let lab = lab_with_bridge();
    if lab.reference_fails("it waits for seconds before it sends for the first time") {
        return;
    }
    let (_server, daemon) = serve(&lab, software);
    for number in 0..20 {
        let name = format!("c{}", number + 2);
        lab.netns(&name);
        bridge(&lab, &json!({})).on(&name).add().result();
    }
    let log = daemon.log();
    let times = log.lines().filter_map(|line| {
        let (_, time) = line.split_once(" granted after ")?;
        time.strip_suffix(" ms")?.parse().map(Duration::from_millis).ok()
    });
    let mut times: Vec<Duration> = times.collect();
    assert_eq!(times.len(), 20, "{log}");
    times.sort_unstable();
    // One may have waited for a processor; none had to ask twice, which takes seconds.
    let (limit, median, slowest) = (limit(), times[10], times[19]);
    let is_slow = median >= limit || slowest >= patience(Duration::from_secs(1));
    assert!(!is_slow, "{software:?}: {limit:?}: {times:?}");
}

#[test]
fn dh_258_twenty_of_twenty_with_dnsmasq() {
    twenty_of_twenty(Software::Dnsmasq);
}

#[test]
fn dh_258_twenty_of_twenty_with_isc_dhcpd() {
    twenty_of_twenty(Software::Isc);
}

#[test]
fn dh_258_twenty_of_twenty_with_kea() {
    twenty_of_twenty(Software::Kea);
}

/// ADD and DEL of the plugin alone, so that the server must have heard the release.
#[track_caller]
fn release(software: Software) {
    let lab = lab_with_bridge();
    let (server, _daemon) = serve(&lab, software);
    if lab.reference_fails("its release goes to a broadcast MAC without a source address") {
        return;
    }
    let plugin = direct(&lab, &json!({}));
    let result = plugin.add().result();
    plugin.del(&result).silent();
    server.drops(&address(&result));
}

#[test]
fn dh_261_dnsmasq_drops_a_released_lease() {
    release(Software::Dnsmasq);
}

#[test]
fn dh_261_isc_dhcpd_drops_a_released_lease() {
    release(Software::Isc);
}

#[test]
fn dh_261_kea_drops_a_released_lease() {
    release(Software::Kea);
}

/// The bridge plugin as a whole: the lease is given back while the link is there.
#[track_caller]
fn release_of_a_bridge(lab: &Lab, software: Software) {
    let server = Server::start(lab, software);
    let _daemon = Daemon::start(lab);
    let plugin = bridge(lab, &json!({}));
    let result = plugin.add().result();
    plugin.del(&result).silent();
    server.drops(&address(&result));
}

#[test]
fn row_05_a_lease_is_given_back_before_its_link_goes() {
    for software in [Software::Dnsmasq, Software::Isc, Software::Kea] {
        let lab = lab_with_bridge();
        if lab.reference_fails("the link is deleted first") {
            return;
        }
        release_of_a_bridge(&lab, software);
    }
}

/// ADD, CHECK and DEL of an interface plugin whose link leads to the bridge some other way.
#[track_caller]
fn leases_and_gives_back(lab: &Lab, plugin: &str, keys: &Value) {
    let server = Server::start(lab, Software::Dnsmasq);
    let _daemon = Daemon::start(lab);
    let mut config = configuration(&json!({}));
    config["type"] = plugin.into();
    for (key, value) in keys.as_object().into_iter().flatten() {
        config[key] = value.clone();
    }
    let before = lab.snapshot();
    let plugin = lab.plugin(plugin).on("c1").config(config);
    let result = plugin.add().result();
    lab.sh_in("c1", "ping -c 1 -W 5 10.7.0.1");
    plugin.check(&result).silent();
    plugin.del(&result).silent();
    server.drops(&address(&result));
    lab.nothing_left(&before);
}

#[test]
fn row_05_macvlan_leases_an_address_and_gives_it_back() {
    let lab = lab_with_bridge();
    if lab.reference_fails("the link is deleted first") {
        return;
    }
    lab.sh("ip link add up0 type veth peer name up1; ip link set up1 master lan0 up; ip link set up0 up");
    leases_and_gives_back(&lab, "macvlan", &json!({ "master": "up0" }));
}

#[test]
fn row_05_host_device_leases_an_address_and_gives_it_back() {
    let lab = lab_with_bridge();
    if lab.reference_fails("its release goes to a broadcast MAC without a source address") {
        return;
    }
    lab.sh("ip link add up0 type veth peer name up1; \
         ip link set up1 addrgenmode none master lan0 up");
    leases_and_gives_back(&lab, "host-device", &json!({ "device": "up0" }));
}

#[test]
fn dh_258_an_add_that_fails_after_the_lease_gives_it_back() {
    let lab = lab_with_bridge();
    // A route through a router that cannot be reached.
    let settings =
        Settings { options: "dhcp-option=121,10.9.0.0/16,192.0.2.1", ..Settings::default() };
    let server = Server::start_with(&lab, Software::Dnsmasq, settings);
    let _daemon = Daemon::start(&lab);
    if lab.reference_fails("version 1.1.1 leaves the link") {
        return;
    }
    let before = lab.snapshot();
    let message = bridge(&lab, &json!({})).add().failure();
    assert!(message.contains("network is unreachable"), "{message}");
    lab.wait_until("the lease is given back", || server.received("DHCPRELEASE") > 0);
    assert_eq!(lab.list("/var/lib/cni/dhcp"), [""; 0]);
    lab.nothing_left(&before);
}
