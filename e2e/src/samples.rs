//! A working configuration of each plugin, with what it needs on the host: the one place where the
//! tests of all plugins learn of a new one.
//!
//! It must not know more of a plugin than its page tells.

use serde_json::{Value, json};

use crate::chain::Chain;
use crate::{Lab, Plugin, Process, UPLINK};

/// All versions of the specification, oldest first.
pub const VERSIONS: [&str; 7] = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

/// What a plugin is in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It makes an interface, and asks for addresses where it can have some.
    Interface,
    /// It follows one that made an interface.
    Chained,
    /// It gives addresses.
    Addresses,
}

/// A plugin with a configuration that works.
#[derive(Debug)]
pub struct Sample {
    /// The plugin.
    pub name: &'static str,
    /// What it is in a list.
    pub role: Role,
    /// The oldest version of the specification that it speaks.
    oldest: &'static str,
    /// The kind of link that the kernel has to have, or nothing.
    kind: &'static str,
    /// The keys of its own, for the attachment of this number.
    keys: fn(usize) -> Value,
}

/// A sample of each plugin.
pub static SAMPLES: &[Sample] = &[
    Sample::new("bandwidth", Role::Chained, |_| {
        json!({ "ingressRate": 8_000_000, "ingressBurst": 800_000,
                "egressRate": 16_000_000, "egressBurst": 1_600_000 })
    })
    .since("0.3.0"),
    Sample::new(
        "bridge",
        Role::Interface,
        |_| json!({ "isGateway": true, "ipMasq": true, "macspoofchk": true, "ipam": addresses() }),
    ),
    Sample::new("dhcp", Role::Addresses, |_| json!({ "ipam": { "type": "dhcp" } })),
    Sample::new("dummy", Role::Interface, |_| json!({ "ipam": addresses() })).on_kind("dummy"),
    Sample::new("firewall", Role::Chained, |_| json!({ "ingressPolicy": "same-bridge" }))
        .since("0.4.0"),
    Sample::new(
        "host-device",
        Role::Interface,
        |number| json!({ "device": format!("dev{number}"), "ipam": addresses() }),
    ),
    Sample::new("host-local", Role::Addresses, |_| json!({ "ipam": addresses() })),
    Sample::new("ipvlan", Role::Interface, |_| json!({ "master": UPLINK, "ipam": addresses() }))
        .on_kind("ipvlan"),
    Sample::new("loopback", Role::Interface, |_| json!({})),
    Sample::new("macvlan", Role::Interface, |_| json!({ "master": UPLINK, "ipam": addresses() })),
    Sample::new("portmap", Role::Chained, |number| {
        json!({ "runtimeConfig": { "portMappings": [
            { "hostPort": 8080 + number, "containerPort": 80, "protocol": "tcp" },
            { "hostPort": 5353 + number, "containerPort": 53, "protocol": "udp",
              "hostIP": "127.0.0.1" },
        ] } })
    }),
    Sample::new("ptp", Role::Interface, |_| json!({ "ipMasq": true, "ipam": addresses() })),
    Sample::new("sbr", Role::Chained, |_| json!({})),
    Sample::new("static", Role::Addresses, |_| {
        json!({ "ipam": { "type": "static", "addresses": [
            { "address": "10.1.2.5/24", "gateway": "10.1.2.1" }, { "address": "fd00:1::5/64" },
        ] } })
    }),
    Sample::new("tap", Role::Interface, |_| json!({ "ipam": addresses() })),
    Sample::new(
        "tuning",
        Role::Chained,
        |_| json!({ "mtu": 1400, "promisc": true, "sysctl": { "net.ipv4.conf.IFNAME.arp_filter": "1" } }),
    ),
    Sample::new(
        "vlan",
        Role::Interface,
        |number| json!({ "master": UPLINK, "vlanId": 5 + number, "ipam": addresses() }),
    )
    .on_kind("vlan"),
    Sample::new("vrf", Role::Chained, |_| json!({ "vrfname": "blue" }))
        .since("0.3.1")
        .on_kind("vrf"),
];

/// Addresses of both families from host-local, with default routes.
fn addresses() -> Value {
    json!({
        "type": "host-local",
        "ranges": [[{ "subnet": "10.1.2.0/24" }], [{ "subnet": "fd00:1::/64" }]],
        "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }],
    })
}

impl Sample {
    const fn new(name: &'static str, role: Role, keys: fn(usize) -> Value) -> Self {
        Self { name, role, oldest: "0.1.0", kind: "", keys }
    }

    const fn since(mut self, oldest: &'static str) -> Self {
        self.oldest = oldest;
        self
    }

    const fn on_kind(mut self, kind: &'static str) -> Self {
        self.kind = kind;
        self
    }

    /// The sample of a plugin.
    pub fn of(plugin: &str) -> &'static Self {
        let mut samples = SAMPLES.iter();
        samples.find(|sample| sample.name == plugin).unwrap_or_else(|| panic!("{plugin}: none"))
    }

    /// The versions of the specification that it speaks, oldest first.
    pub fn versions(&self) -> &'static [&'static str] {
        let oldest = VERSIONS.iter().position(|version| *version == self.oldest);
        &VERSIONS[oldest.expect("one of the versions")..]
    }

    /// A configuration that it accepts, for the first attachment.
    pub fn config(&self, version: &str) -> Value {
        self.numbered(version, 0)
    }

    fn numbered(&self, version: &str, number: usize) -> Value {
        let mut config = json!({ "cniVersion": version, "name": "net", "type": self.name });
        for (key, value) in (self.keys)(number).as_object().expect("keys are an object") {
            config[key] = value.clone();
        }
        config
    }

    /// The interface of the first attachment.
    pub fn ifname(&self) -> &'static str {
        if self.name == "loopback" { "lo" } else { "eth0" }
    }

    /// A host that has what the plugin needs; nothing, and says so, if this kernel has it not.
    pub fn host(&'static self) -> Option<Host> {
        let lab = Lab::new();
        if !self.kind.is_empty() && !lab.has_kind(self.kind) {
            lab.not_here(&format!("links of kind {}", self.kind));
            return None;
        }
        if !lab.exists(&format!("{}/{}", lab.plugin_directory(), self.name)) {
            lab.reference_fails("there is no such plugin");
            return None;
        }
        let mut processes = Vec::new();
        match self.name {
            "dhcp" => processes = serve_dhcp(&lab),
            "host-device" | "vrf" | "loopback" => {}
            _ => lab.uplink(),
        }
        let host = Host { lab, sample: self, _processes: processes };
        host.begin("c1");
        host.begin("c2");
        Some(host)
    }
}

/// A private host on which a plugin's sample works.
#[derive(Debug)]
pub struct Host {
    /// The host. The namespaces `c1` and `c2` are there.
    pub lab: Lab,
    /// The plugin.
    pub sample: &'static Sample,
    _processes: Vec<Process>,
}

impl Host {
    /// The list of plugins up to and with the sample's, for an attachment: 0 is `eth0` of `c1`, 1
    /// is `net1` of `c1`, 2 is `eth0` of `c2`.
    pub fn list(&self, number: usize) -> Chain<'_> {
        let before = match (self.sample.role, self.sample.name) {
            (Role::Chained, _) => Some(Sample::of("ptp").numbered("1.0.0", number)),
            (_, "dhcp") => Some(json!({
                "cniVersion": "1.0.0", "name": "net", "type": "bridge", "bridge": "lan0",
            })),
            _ => None,
        };
        let own = self.sample.numbered("1.0.0", number);
        let plugin = |config: Value| {
            let name = config["type"].as_str().expect("a plugin has a name").to_owned();
            let plugin = self.lab.plugin(&name).config(config);
            match number {
                0 => plugin.on("c1").ifname(self.sample.ifname()),
                1 => plugin.on("c1").ifname("net1"),
                _ => plugin.on("c2").ifname(self.sample.ifname()),
            }
        };
        Chain(before.into_iter().chain([own]).map(plugin).collect())
    }

    /// The plugin alone, for an attachment; with the ADD of what is before it in the list.
    #[track_caller]
    pub fn plugin(&self, number: usize) -> Plugin<'_> {
        let mut list = self.list(number);
        let plugin = list.0.pop().expect("a list has a plugin");
        if list.0.is_empty() { plugin } else { plugin.previous(&list.add()) }
    }

    /// CHECK of a list: of what only gives addresses, whose result tells no interface, alone.
    #[track_caller]
    pub fn check(&self, list: &Chain<'_>, result: &Value) {
        let skipped = if self.sample.role == Role::Addresses { list.0.len() - 1 } else { 0 };
        list.0[skipped..].iter().for_each(|plugin| plugin.check(result).silent());
    }

    /// Ends a container, if it has not ended, and makes it anew.
    pub fn renew(&self, container: &str) {
        self.lab.try_sh(&format!("ip netns del {container}"));
        self.begin(container);
    }

    /// Makes a container, with what its attachments need.
    fn begin(&self, container: &str) {
        let lab = &self.lab;
        lab.netns(container);
        match self.sample.name {
            // The kernel gives back hardware, and ends what is none.
            "host-device" => {
                let numbers = if container == "c1" { 0..2 } else { 2..3 };
                numbers.for_each(|number| make_device(lab, number));
            }
            // The kernel's own rule for all of them comes with the first and stays.
            "vrf" => {
                lab.sh_in(container, "ip link add first type vrf table 9; ip link del first");
            }
            // It keeps its addresses once it was up.
            "loopback" => {
                lab.sh_in(container, "ip link set lo up; ip link set lo down");
            }
            _ => {}
        }
    }

    /// Runs ADD and DEL once for another network, so that what is Shared is there.
    #[track_caller]
    pub fn settle(&self) {
        let list = self.list(2).map(|plugin| plugin.key("name", &json!("settled")));
        let result = list.add();
        list.del(&result);
    }
}

/// A device `dev…` with its other end, made anew: a namespace may take its time to end, and a device
/// with it.
fn make_device(lab: &Lab, number: usize) {
    lab.sh(&format!(
        "ip link del far{number} 2>/dev/null || true
         ip link add dev{number} address 02:00:00:00:00:0{number} type veth \
            peer name far{number} address 02:00:00:00:01:0{number}
         ip link set far{number} addrgenmode none up"
    ));
}

/// A server for addresses from 10.7.0.0/24 on the bridge `lan0`, and the daemon.
fn serve_dhcp(lab: &Lab) -> Vec<Process> {
    lab.sh("ip link add lan0 type bridge; ip address add 10.7.0.1/24 dev lan0
            ip link set lan0 up");
    let words = [
        "/usr/sbin/dnsmasq",
        "--no-daemon",
        "--conf-file=/dev/null",
        "--bind-interfaces",
        "--port=0",
        "--interface=lan0",
        "--dhcp-range=10.7.0.100,10.7.0.149,3600",
        "--dhcp-authoritative",
        "--no-ping",
        "--user=root",
        "--dhcp-leasefile=/run/lab/server.leases",
    ];
    let server = Process::start(lab, "dnsmasq-base", &words, "/run/lab/server.log");
    lab.wait_until("dnsmasq is ready", || lab.sh("ss -Hlun").contains(":67 "));
    let program = format!("{}/dhcp", lab.plugin_directory());
    let daemon = Process::start(
        lab,
        "containernetworking-plugins",
        &[&program, "daemon"],
        "/run/lab/daemon.log",
    );
    lab.wait_until("the daemon listens", || lab.sh("ss -xlH").contains("/run/cni/dhcp.sock"));
    vec![server, daemon]
}
