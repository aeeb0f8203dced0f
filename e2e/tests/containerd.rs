//! Containerd from Debian: `ctr run --cni`, and pods through the runtime interface (CRI) that the
//! kubelet uses.

mod clients {
    pub(crate) mod containerd;
    pub(crate) mod cri;
    pub(crate) mod image;
    pub(crate) mod reaper;
}

use std::process::Child;

use clients::containerd::Containerd;
use clients::cri::Pod;
use clients::image::{IMAGE, SERVER, ask, listens, parse_who, try_ask, who};
use ropewalk_e2e::{Lab, Value, json};

/// What containerd's documentation proposes: both families, masquerade, published ports.
fn list(plugins: &[Value]) -> Value {
    let bridge = json!({
        "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "promiscMode": true,
        "ipam": {
            "type": "host-local",
            "ranges": [[{ "subnet": "10.88.0.0/16" }], [{ "subnet": "fd00:88::/64" }]],
            "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }],
        },
    });
    let mut all = vec![bridge];
    all.extend(plugins.iter().cloned());
    json!({ "cniVersion": "1.0.0", "name": "net", "plugins": all })
}

/// A container that `ctr` runs in the foreground.
struct Container<'a, 'lab> {
    lab: &'a Lab,
    containerd: &'a Containerd<'lab>,
    name: &'static str,
    ctr: Child,
}

impl<'a, 'lab> Container<'a, 'lab> {
    /// Runs the server, waits until it listens.
    #[track_caller]
    fn run(lab: &'a Lab, containerd: &'a Containerd<'lab>, name: &'static str) -> Self {
        let ctr = containerd
            .start_ctr(&format!("run --rm --cni --env HOSTNAME={name} {IMAGE} {name} {SERVER}"));
        let mut container = Self { lab, containerd, name, ctr };
        lab.wait_until("the container runs", || container.is_running());
        listens(lab, &container.netns());
        container
    }

    /// Whether it has a process; panics with what `ctr` said if `ctr` has ended.
    fn is_running(&mut self) -> bool {
        if let Some(status) = self.ctr.try_wait().expect("a child can be waited for") {
            let stderr = self.ctr.stderr.take().map(std::io::read_to_string);
            panic!("ctr run ended: {status}: {stderr:?}\n{}", self.containerd.log());
        }
        self.pid().is_some()
    }

    fn pid(&self) -> Option<String> {
        let tasks = self.containerd.ctr("tasks ls");
        let mut words = tasks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        words.find(|line| line[0] == self.name && line[2] == "RUNNING").map(|line| line[1].into())
    }

    fn netns(&self) -> String {
        format!("/proc/{}/ns/net", self.pid().expect("the container runs"))
    }

    /// The global addresses of `eth0`, the older family first.
    #[track_caller]
    fn addresses(&self) -> Vec<String> {
        let answer = self.exec("ip -o address show dev eth0 scope global");
        let words = answer.split_whitespace().collect::<Vec<_>>();
        let after = words.windows(2).filter(|pair| pair[0].starts_with("inet"));
        after.filter_map(|pair| Some(pair[1].split_once('/')?.0.to_owned())).collect()
    }

    /// Runs a command in the container.
    #[track_caller]
    fn exec(&self, command: &str) -> String {
        let name = self.name;
        self.containerd.ctr(&format!("tasks exec --exec-id e {name} {command}"))
    }

    /// Ends the container and waits until `ctr` has detached and removed it.
    #[track_caller]
    fn end(mut self) {
        self.containerd.ctr(&format!("tasks kill -s KILL {}", self.name));
        let ctr = &mut self.ctr;
        self.lab.wait_until("ctr run ends", || ctr.try_wait().expect("it can").is_some());
    }
}

#[test]
fn containers_that_ctr_runs_reach_each_other_and_the_world() {
    let lab = Lab::new();
    lab.outer_network("outer", &[("10.9.0.1/24", "10.9.0.2/24")]);
    let containerd = Containerd::new(&lab, &list(&[json!({ "type": "firewall" })]), None);
    Container::run(&lab, &containerd, "first").end();
    containerd.nothing_left();
    let before = lab.snapshot();

    let one = Container::run(&lab, &containerd, "one");
    let two = Container::run(&lab, &containerd, "two");
    let (first, second) = (one.addresses(), two.addresses());
    assert_eq!(lab.leases("net").len(), 4);
    for address in first.iter().chain(&second) {
        assert!(lab.leases("net").contains(address), "{address} of {:?}", lab.leases("net"));
    }
    two.exec(&format!("ping -c 1 -w 5 {}", first[0]));
    two.exec(&format!("ping -c 1 -w 5 {}", first[1]));
    let answer = parse_who(&two.exec(&who(&format!("{}:80", first[0]))));
    assert_eq!(answer, ("one".to_owned(), second[0].clone()));
    lab.sh(&format!("ip netns attach one {}", one.pid().expect("it runs")));
    let host = Some("10.9.0.1".parse().expect("an address"));
    assert_eq!(lab.source_seen("one", "outer", "10.9.0.2:80"), host);
    lab.sh("ip netns del one");

    one.end();
    assert_eq!(lab.leases("net").len(), 2);
    assert_eq!(parse_who(&two.exec(&who("127.0.0.1:80"))).0, "two");
    two.end();
    containerd.nothing_left();
    // `ctr` asks for the deletion when the namespace is gone already.
    if !lab.reference_fails("without a namespace they leave the rules for masquerade") {
        lab.nothing_left(&before);
    }
}

#[test]
fn pods_made_through_the_runtime_interface_publish_ports() {
    let lab = Lab::new();
    lab.outer_network("outer", &[("10.9.0.1/24", "10.9.0.2/24")]);
    let portmap = json!({ "type": "portmap", "capabilities": { "portMappings": true } });
    let list = list(&[portmap, json!({ "type": "firewall" })]);
    let containerd = Containerd::new(&lab, &list, Some("k8s.io"));
    let first = containerd.run_pod(&lab, &Pod { name: "first", ports: &[(7999, 80)] });
    containerd.remove_pod(&lab, &first);
    containerd.nothing_left();
    let before = lab.snapshot();

    let web = containerd.run_pod(&lab, &Pod { name: "web", ports: &[(8080, 80), (8081, 80)] });
    let peer = containerd.run_pod(&lab, &Pod { name: "peer", ports: &[] });
    let (first, second) =
        (Containerd::pod_address(&lab, &web), Containerd::pod_address(&lab, &peer));
    assert_ne!(first, second);
    let namespaces = lab.list("/run/netns");
    let of = |address: &str| {
        let holds = |name: &&String| {
            lab.sh_in(name, "ip -o -4 address show").contains(&format!(" {address}/16"))
        };
        namespaces.iter().find(holds).unwrap_or_else(|| panic!("{address}: {namespaces:?}")).clone()
    };
    let (web_netns, peer_netns) = (of(&first), of(&second));
    assert!(lab.sh_in(&web_netns, "ip -o link show dev lo").contains("LOWER_UP"), "loopback is up");
    listens(&lab, &Lab::netns_path(&web_netns));

    let from_peer = ask(&lab, Some(&peer_netns), &format!("{first}:80"));
    assert_eq!(from_peer, ("web".to_owned(), second));
    for port in [8080, 8081] {
        let from_outside = ask(&lab, Some("outer"), &format!("10.9.0.1:{port}"));
        assert_eq!(from_outside, ("web".to_owned(), "10.9.0.2".to_owned()));
    }
    assert_eq!(ask(&lab, Some(&peer_netns), "10.9.0.1:8080").0, "web");
    let host = Some("10.9.0.1".parse().expect("an address"));
    assert_eq!(lab.source_seen(&peer_netns, "outer", "10.9.0.2:80"), host);

    containerd.remove_pod(&lab, &web);
    assert_ne!(try_ask(&lab, Some("outer"), "10.9.0.1:8080").code, 0);
    containerd.remove_pod(&lab, &peer);
    containerd.nothing_left();
    lab.nothing_left(&before);
}
