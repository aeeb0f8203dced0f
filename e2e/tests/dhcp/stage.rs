//! A network with a DHCP server, and the daemon that leases addresses from it.
//!
//! The server is Debian's and listens on the bridge `lan0` of the private host.

use std::time::{Duration, Instant};

use ropewalk_e2e::{Lab, Plugin, Process, Value, json, reference};

/// The bridge that servers listen on.
pub(crate) const BRIDGE: &str = "lan0";

/// Where the daemon listens.
pub(crate) const SOCKET: &str = "/run/cni/dhcp.sock";

/// Debian's reference plugin, which is its own daemon.
pub(crate) const REFERENCE: &str = "/usr/lib/cni/dhcp";

/// Where the daemon's words go.
const LOG: &str = "/run/lab/daemon.log";

/// A private host with the bridge and without a server. A bridge has the least MAC address of its
/// ports: with this first port it stays the same when containers come and go, so that what they
/// send to the server does not get lost.
pub(crate) fn lab_with_bridge() -> Lab {
    let lab = Lab::new();
    lab.sh(&format!(
        "ip link add {BRIDGE} type bridge; ip address add 10.7.0.1/24 dev {BRIDGE}; \
         ip netns add wall; \
         ip link add first address 00:00:5e:00:53:01 type veth peer name eth0 netns wall; \
         ip link set first master {BRIDGE} up; ip -n wall link set eth0 up; \
         ip link set {BRIDGE} up; ip netns add c1"
    ));
    // Servers do not listen where there is no carrier.
    lab.wait_until("the bridge runs", || {
        lab.ip_json(&format!("link show {BRIDGE}"))[0]["operstate"] == "UP"
    });
    lab
}

/// A running daemon.
pub(crate) struct Daemon<'lab> {
    lab: &'lab Lab,
    process: Process,
}

impl<'lab> Daemon<'lab> {
    /// Starts the daemon of the plugins under test.
    pub(crate) fn start(lab: &'lab Lab) -> Self {
        Self::start_with(lab, &[])
    }

    /// Starts it with more flags.
    pub(crate) fn start_with(lab: &'lab Lab, flags: &[&str]) -> Self {
        let program = format!("{}/dhcp", lab.plugin_directory());
        Self::start_words(lab, &[&[&*program, "daemon"], flags].concat(), SOCKET)
    }

    /// Starts it with another socket.
    pub(crate) fn start_at(lab: &'lab Lab, socket: &str, flags: &[&str]) -> Self {
        let program = format!("{}/dhcp", lab.plugin_directory());
        let flags = [&[&*program, "daemon", "-socketpath", socket], flags].concat();
        Self::start_words(lab, &flags, socket)
    }

    /// Starts any daemon, and waits until it listens.
    pub(crate) fn start_words(lab: &'lab Lab, words: &[&str], socket: &str) -> Self {
        let process = Process::start(lab, "containernetworking-plugins", words, LOG);
        lab.wait_until("the daemon listens", || lab.sh("ss -xlH").contains(socket));
        Self { lab, process }
    }

    /// What it has said so far.
    pub(crate) fn log(&self) -> String {
        self.lab.read(LOG)
    }

    /// Waits until it has said something this many times, with a deadline for short leases.
    #[track_caller]
    pub(crate) fn says(&self, what: &str, times: usize) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.log().matches(what).count() < times {
            assert!(Instant::now() < deadline, "not said {times} times: {what}: {}", self.log());
            std::thread::yield_now();
        }
    }

    /// Asks it to end and waits until it has.
    pub(crate) fn terminate(self) {
        self.process.terminate();
    }
}

/// The bridge plugin for `c1`, with more keys for `ipam`.
pub(crate) fn bridge<'lab>(lab: &'lab Lab, ipam: &Value) -> Plugin<'lab> {
    lab.plugin("bridge").on("c1").config(configuration(ipam))
}

/// A configuration of a network on the bridge.
pub(crate) fn configuration(ipam: &Value) -> Value {
    let mut own = json!({ "type": "dhcp" });
    for (key, value) in ipam.as_object().into_iter().flatten() {
        own[key] = value.clone();
    }
    let version = if reference() { "1.0.0" } else { "1.1.0" };
    json!({
        "cniVersion": version, "name": "lan", "type": "bridge", "bridge": BRIDGE, "ipam": own,
    })
}

/// The one address of a result, without its prefix length.
#[track_caller]
pub(crate) fn address(result: &Value) -> String {
    let address = result["ips"][0]["address"].as_str().expect("a result with an address");
    address.split('/').next().unwrap_or_default().to_owned()
}

/// A link from `c1` to the bridge.
pub(crate) fn link(lab: &Lab) {
    lab.sh(&format!(
        "ip link add port type veth peer name eth0 netns c1; ip link set port master {BRIDGE} up"
    ));
}

/// The plugin `dhcp` itself, called for a link that is there: `eth0` of `c1`, a port of the bridge.
pub(crate) fn direct<'lab>(lab: &'lab Lab, ipam: &Value) -> Plugin<'lab> {
    if !lab.has_link("c1", "eth0") {
        link(lab);
    }
    lab.plugin("dhcp").on("c1").config(configuration(ipam))
}
