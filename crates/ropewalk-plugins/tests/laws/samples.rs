//! Configurations of every plugin, with what each is given and what must be there before it.

use ropewalk_addr::{IfName, Mac};
use ropewalk_cni::{ALL, CniResult, Environment, Request};
use ropewalk_linux::{LinkAddress, LinkRoute, PacketLimit, Routing};
use ropewalk_netstate::{
    Desired, Place,
    resource::{AnyLink, Attribute, LinkAttribute, Offload, Offloads, Route, Sysctl},
};
use ropewalk_plugins::{
    device::{Attachment, Device, Facts, Firewalld, Given, HostDevice, Master, Passage},
    table::{self, Kind},
};
use ropewalk_testkit::FakeKernel;
use serde_json::{Value, json};

/// One way to use one plugin.
pub(crate) struct Sample {
    /// What it shows; part of every failure message.
    pub(crate) name: &'static str,
    pub(crate) plugin: &'static str,
    pub(crate) config: Value,
    pub(crate) facts: Facts,
    /// Whether the plugin changes a link that is there, so that only one container can have it.
    pub(crate) has_link: bool,
}

fn sample(name: &'static str, plugin: &'static str, config: Value) -> Sample {
    let has_link =
        matches!(plugin, "bandwidth" | "host-device" | "tuning" | "loopback" | "sbr" | "vrf");
    Sample { name, plugin, config, facts: Facts::default(), has_link }
}

/// Every plugin of the table that declares state, in its main shapes.
pub(crate) fn samples() -> Vec<Sample> {
    let mut samples = bridges();
    samples.extend(pairs());
    samples.extend(bandwidths());
    samples.extend(devices());
    samples.extend(single_links());
    samples.extend(chained());
    samples.extend(routed());
    samples.push(sample("loopback", "loopback", json!({})));
    for plugin in table::PLUGINS.iter().filter(|plugin| matches!(plugin.kind, Kind::Device(_))) {
        let covered = samples.iter().any(|sample| sample.plugin == plugin.name);
        assert!(covered, "the plugin {} has no sample: add one here", plugin.name);
    }
    samples
}

fn bridges() -> Vec<Sample> {
    let linked = |sample| Sample { has_link: true, ..sample };
    let limited = |mut sample: Sample| {
        sample.facts.packet_limit = PacketLimit::Of { link: "uplink".into(), size: 100_000 };
        sample
    };
    let ipam = json!({"type": "host-local"});
    vec![
        sample("layer 2", "bridge", json!({"bridge": "br0"})),
        sample(
            "gateway",
            "bridge",
            json!({"bridge": "br0", "isDefaultGateway": true, "ipam": ipam}),
        ),
        sample(
            "masquerade",
            "bridge",
            json!({"bridge": "br0", "isGateway": true, "ipMasq": true, "ipam": ipam}),
        ),
        sample(
            "masquerade with iptables",
            "bridge",
            json!({"isGateway": true, "ipMasq": true, "ipMasqBackend": "iptables", "ipam": ipam}),
        ),
        sample("big packets", "bridge", json!({"bigTCP": true, "ipam": ipam})),
        limited(sample("packets as big as they may be", "bridge", json!({"bigTCP": "auto"}))),
        sample("a fast path", "bridge", json!({"fastPath": "ebpf", "ipam": ipam})),
        sample("no default route", "bridge", json!({"defaultRoute": false, "ipam": ipam})),
        sample(
            "spoof check, hairpin and isolation",
            "bridge",
            json!({"macspoofchk": true, "hairpinMode": true, "portIsolation": true, "ipam": ipam}),
        ),
        sample(
            "an uplink and a port with VLANs, removed when unused",
            "bridge",
            json!({
                "uplink": "up0", "removeUnused": true, "ipam": ipam,
                "ports": [{"name": "up1", "vlan": 3, "vlanTrunk": [{"id": 4}]}],
            }),
        ),
        linked(sample(
            "chained",
            "bridge",
            json!({"bridge": "br0", "chained": true, "isGateway": true, "hairpinMode": true,
                "ipMasq": true, "removeUnused": true}),
        )),
        sample(
            "VLANs",
            "bridge",
            json!({"vlan": 7, "vlanTrunk": [{"id": 9}], "isGateway": true, "ipam": ipam}),
        ),
    ]
}

fn pairs() -> Vec<Sample> {
    let ipam = json!({"type": "host-local"});
    vec![
        sample("a pair", "ptp", json!({"ipam": ipam, "mtu": 1400})),
        sample("a pair with detection", "ptp", json!({"ipam": ipam, "enabledad": true})),
        sample("a pair with big packets", "ptp", json!({"ipam": ipam, "bigTCP": true})),
        sample("a masqueraded pair", "ptp", json!({"ipam": ipam, "ipMasq": true})),
        sample(
            "a pair masqueraded with iptables",
            "ptp",
            json!({"ipam": ipam, "ipMasq": true, "ipMasqBackend": "iptables"}),
        ),
    ]
}

fn devices() -> Vec<Sample> {
    let with = |host_device: HostDevice, mut sample: Sample| {
        sample.facts.host_device = host_device;
        sample
    };
    let link = |up| HostDevice::Link { name: "dev0".parse().expect("a valid name"), up };
    let ipam = json!({"type": "host-local"});
    let hardware = json!({"hwaddr": "02:00:00:00:00:01", "ipam": ipam});
    let programs = json!({"device": "dev0", "dpdkMode": true, "ipam": ipam});
    vec![
        with(link(false), sample("a device", "host-device", json!({"device": "dev0"}))),
        with(link(true), sample("a device with addresses", "host-device", hardware)),
        with(HostDevice::UserSpace, sample("a device of programs", "host-device", programs)),
    ]
}

/// A bridge in the sandbox.
const INNER: &str = "inner0";

/// Interfaces that are one link, some of them on a master.
fn single_links() -> Vec<Sample> {
    let ipam = json!({"type": "host-local"});
    let on_uplink = |name, plugin, config: Value| {
        let mut sample = sample(name, plugin, config);
        let name = "uplink".parse().expect("a valid name");
        sample.facts.master = Master::There { name, mtu: 1500 };
        sample
    };
    vec![
        on_uplink("macvlan on layer 2", "macvlan", json!({"mode": "private", "bcqueuelen": 200})),
        on_uplink(
            "macvlan with everything",
            "macvlan",
            json!({"mac": "02:00:00:00:00:77", "mtu": 1400, "enabledad": true, "ipam": ipam}),
        ),
        on_uplink("ipvlan", "ipvlan", json!({"mode": "l3", "flag": "vepa", "ipam": ipam})),
        on_uplink(
            "ipvlan in a chain",
            "ipvlan",
            json!({"prevResult": {
                "cniVersion": "1.0.0",
                "interfaces": [{"name": "uplink"}],
                "ips": [{"address": "10.1.2.9/24", "gateway": "10.1.2.1", "interface": 0}],
                "routes": [{"dst": "0.0.0.0/0"}],
            }}),
        ),
        on_uplink(
            "a VLAN",
            "vlan",
            json!({"master": "uplink", "vlanId": 5, "mtu": 1400, "ipam": ipam}),
        ),
        sample("dummy", "dummy", json!({"ipam": ipam})),
        sample("tap", "tap", json!({"multiQueue": true, "owner": 1000, "ipam": ipam})),
        sample("tap on a bridge", "tap", json!({"bridge": INNER, "mtu": 1400})),
    ]
}

fn chained() -> Vec<Sample> {
    let ports = json!({"portMappings": [
        {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
        {"hostPort": 5353, "containerPort": 53, "protocol": "udp", "hostIP": "10.9.9.9"},
    ]});
    let drop = |mut sample: Sample| {
        sample.facts.forward_drop = [true; 2];
        sample
    };
    let running = |mut sample: Sample| {
        sample.facts.firewalld = Firewalld::Running;
        sample
    };
    let publish = |backend: &str| json!({"runtimeConfig": ports, "backend": backend});
    vec![
        sample("ports", "portmap", publish("nftables")),
        sample("ports with iptables", "portmap", publish("iptables")),
        drop(sample("ports where FORWARD drops", "portmap", publish("nftables"))),
        sample("no ports", "portmap", json!({})),
        sample("open", "firewall", json!({})),
        sample("same bridge", "firewall", json!({"ingressPolicy": "same-bridge"})),
        drop(sample(
            "isolated, where FORWARD drops",
            "firewall",
            json!({"ingressPolicy": "isolated"}),
        )),
        sample("strict", "firewall", json!({"dropInvalid": true})),
        running(sample("strict, with firewalld", "firewall", json!({"dropInvalid": true}))),
        sample(
            "strict, with iptables",
            "firewall",
            json!({"dropInvalid": true, "backend": "iptables"}),
        ),
        sample("firewall with iptables", "firewall", json!({"backend": "iptables"})),
        sample("firewalld", "firewall", json!({"backend": "firewalld", "firewalldZone": "home"})),
        running(sample("firewalld, which runs", "firewall", json!({}))),
        running(sample(
            "isolated, with firewalld",
            "firewall",
            json!({"ingressPolicy": "isolated"}),
        )),
        sample(
            "everything tuned",
            "tuning",
            json!({"mac": "02:00:00:00:00:77", "mtu": 1400, "promisc": true, "allmulti": true,
                   "txQLen": 500, "sysctl": {"net.ipv4.conf.IFNAME.arp_filter": "1"},
                   "ethtool": {"tso": false, "rx-gro": false}}),
        ),
        sample(
            "sysctls in order",
            "tuning",
            json!({"sysctl": [{"net.ipv4.conf.IFNAME.arp_filter": "1"},
                              {"net.ipv4.conf.IFNAME.arp_announce": "2"}]}),
        ),
    ]
}

/// Plugins that change the routes of a link; the first container's has these.
fn routed() -> Vec<Sample> {
    let has_route = true;
    let prefixes = ["10.1.2.1/24", "fd00:1::1/64"].map(|text| text.parse().expect("a prefix"));
    let route = |destination: &str, gateway: Option<&str>| {
        let gateway = gateway.map(|text| text.parse().expect("an address"));
        let destination = destination.parse().expect("a subnet");
        let route = Route::new(destination, gateway, "eth0".parse().expect("a valid name"));
        LinkRoute { route, shared: false }
    };
    let routing = Routing {
        has_link: true,
        addresses: prefixes.map(|prefix| LinkAddress { prefix, has_route }).to_vec(),
        routes: vec![
            route("10.1.2.0/24", None),
            route("fd00:1::/64", None),
            route("0.0.0.0/0", Some("10.1.2.1")),
            route("::/0", Some("fe80::1")),
        ],
        used_tables: [100, Route::MAIN_TABLE].into(),
        ..Routing::default()
    };
    let routed = |name: &'static str, plugin: &'static str, config: Value| {
        let mut sample = sample(name, plugin, config);
        sample.facts.routing = Ok(routing.clone());
        sample
    };
    vec![
        routed("routed by source", "sbr", json!({})),
        routed("routed by source, with hints", "sbr", json!({"addSourceHints": true})),
        routed(
            "routed by source, main table kept",
            "sbr",
            json!({"keepMain": true, "gateways": ["10.1.2.9"]}),
        ),
        routed("routed to a table of somebody else", "sbr", json!({"table": 250})),
        routed("first of a domain", "vrf", json!({"vrfname": "blue"})),
        routed("first of a domain with a table", "vrf", json!({"vrfname": "blue", "table": 7})),
    ]
}

fn bandwidths() -> Vec<Sample> {
    let rates = json!({"ingressRate": 8_000_000, "ingressBurst": 800_000,
                       "egressRate": 16_000_000, "egressBurst": 1_600_000});
    let but = |key: &str| {
        let mut rates = rates.clone();
        rates[key] = json!(["10.0.0.0/8", "fd00::/8"]);
        rates
    };
    let at = |passage: Passage, mut sample: Sample| {
        sample.facts.passage = passage;
        sample
    };
    let host_end = || Passage::HostEnd(host_end(), Some(1500));
    let itself = || Passage::Itself(Some(1500));
    let sample = |name, config| sample(name, "bandwidth", config);
    vec![
        at(host_end(), sample("slow pair", rates.clone())),
        at(host_end(), sample("slow pair but for subnets", but("unshapedSubnets"))),
        at(itself(), sample("slow interface", rates.clone())),
        at(itself(), sample("slow interface toward subnets", but("shapedSubnets"))),
        sample("as fast as it goes", json!({})),
    ]
}

/// One attachment of a sample, as the n-th container.
pub(crate) struct Case {
    pub(crate) device: Box<dyn Device>,
    pub(crate) attachment: Attachment,
    pub(crate) given: Given,
}

impl Sample {
    /// The case of the n-th container, with other addresses and ports for each.
    pub(crate) fn case(&self, n: u8) -> Case {
        let request = self.request(n);
        let Some(Kind::Device(load)) = table::find(self.plugin).map(|plugin| &plugin.kind) else {
            panic!("{} is no plugin that declares state", self.plugin);
        };
        let device = load(&request).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let attachment = Attachment::of(&request).expect("a valid attachment");
        let facts = self.facts.clone();
        let previous = device.is_chained().then(|| previous(n));
        let layer3 = device.ipam().map(|_| leased(n));
        Case { device, attachment, given: Given { layer3, previous, facts, ..Given::default() } }
    }

    fn request(&self, n: u8) -> Request {
        let mut config = self.config.clone();
        config["cniVersion"] = "1.0.0".into();
        config["name"] = "lan".into();
        config["type"] = self.plugin.into();
        if let Some(mappings) = config.pointer_mut("/runtimeConfig/portMappings") {
            for mapping in mappings.as_array_mut().expect("a list") {
                let port = mapping["hostPort"].as_u64().expect("a number");
                mapping["hostPort"] = (port + u64::from(n)).into();
            }
        }
        let environment = Environment {
            command: "ADD".into(),
            container_id: format!("c{n}"),
            netns: format!("/run/netns/c{n}"),
            ifname: "eth0".into(),
            path: "/opt/cni/bin".into(),
            ..Environment::default()
        };
        Request::parse(environment, config.to_string().as_bytes(), ALL).expect("a valid request")
    }

    /// A kernel with what plugins before this one made.
    pub(crate) fn kernel(&self) -> FakeKernel {
        let mut kernel = FakeKernel::new();
        if self.config["bridge"] == INNER {
            // In the other sandbox, too.
            for _ in 0..2 {
                let name = INNER.parse().expect("a valid name");
                kernel.put(Place::Sandbox, AnyLink { name, mac: None });
                kernel.swap_sandboxes();
            }
        }
        if let Master::There { name, .. } = &self.facts.master {
            kernel.put(Place::Host, AnyLink { name: name.clone(), mac: None });
        }
        match self.plugin {
            "host-device" => {
                let name = "dev0".parse().expect("a valid name");
                kernel.put(Place::Host, AnyLink { name, mac: None });
            }
            "bridge" => {
                for name in ["up0", "up1"].map(|name| name.parse().expect("a valid name")) {
                    kernel.put(Place::Host, AnyLink { name, mac: None });
                }
                kernel.put(Place::Host, AnyLink { name: host_end(), mac: None });
            }
            "loopback" => add_link(&mut kernel, "lo"),
            _ if self.has_link => {
                kernel.put(Place::Host, AnyLink { name: host_end(), mac: None });
                add_link(&mut kernel, "eth0");
            }
            _ => {}
        }
        for found in self.facts.routing.iter().flat_map(|routing| &routing.routes) {
            kernel.put(Place::Sandbox, found.route.clone());
        }
        for chain in ["POSTROUTING", "PREROUTING", "OUTPUT", "FORWARD"] {
            assert!(chain.chars().all(char::is_uppercase), "built-in chains need no creation");
        }
        kernel
    }
}

fn host_end() -> IfName {
    "veth0".parse().expect("a valid name")
}

fn add_link(kernel: &mut FakeKernel, name: &str) {
    let link: IfName = name.parse().expect("a valid name");
    kernel.put(Place::Sandbox, AnyLink { name: link.clone(), mac: None });
    for attribute in [
        Attribute::Mac(Mac([2, 0, 0, 0, 0, 1])),
        Attribute::Mtu(1500),
        Attribute::Promiscuous(false),
        Attribute::AllMulticast(false),
        Attribute::TxQueueLength(1000),
    ] {
        kernel.put(Place::Sandbox, LinkAttribute { link: link.clone(), attribute });
    }
    for parameter in ["arp_filter", "arp_announce"] {
        kernel.put(Place::Sandbox, Sysctl::new(format!("net/ipv4/conf/{link}/{parameter}"), "0"));
    }
    let on = Offload { on: true, optional: false };
    let names = [
        "rx-gro",
        "tx-tcp-segmentation",
        "tx-tcp-ecn-segmentation",
        "tx-tcp-mangleid-segmentation",
        "tx-tcp6-segmentation",
    ];
    let offloads = names.map(|name| (name.to_owned(), on)).into();
    kernel.put(Place::Sandbox, Offloads { link, offloads });
}

impl Case {
    /// What ADD and CHECK want.
    pub(crate) fn desired(&self) -> Desired {
        self.device.declare(&self.attachment, &self.given).expect("a declaration")
    }

    /// What DEL looks for when nobody remembers anything.
    pub(crate) fn blind(&self) -> Desired {
        let facts = self.given.facts.clone();
        let given = Given { deleting: true, facts, ..Given::default() };
        self.device.declare(&self.attachment, &given).expect("a declaration")
    }

    /// What DEL looks for when it has the result.
    pub(crate) fn knowing(&self) -> Desired {
        let given = Given { deleting: true, ..self.given.clone() };
        self.device.declare(&self.attachment, &given).expect("a declaration")
    }
}

fn result(text: &Value) -> CniResult {
    CniResult::from_value(text, "1.0.0").expect("a valid result")
}

fn leased(n: u8) -> CniResult {
    result(&json!({
        "cniVersion": "1.0.0",
        "ips": [
            {"address": format!("10.1.2.{n}/24"), "gateway": "10.1.2.1"},
            {"address": format!("fd00:1::{n}/64"), "gateway": "fd00:1::1"},
        ],
        "routes": [{"dst": "0.0.0.0/0", "mtu": 1400}, {"dst": "192.168.0.0/16", "table": 77}],
    }))
}

fn previous(n: u8) -> CniResult {
    result(&json!({
        "cniVersion": "1.0.0",
        "interfaces": [
            {"name": "br0"}, {"name": "veth0"},
            {"name": "eth0", "sandbox": format!("/run/netns/c{n}")},
        ],
        "ips": [
            {"address": format!("10.1.2.{n}/24"), "gateway": "10.1.2.1", "interface": 2},
            {"address": format!("fd00:1::{n}/64"), "gateway": "fd00:1::1", "interface": 2},
        ],
    }))
}
