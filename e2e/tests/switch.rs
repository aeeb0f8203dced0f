//! The guide "switch a node", step by step, on a node with running podman containers whose
//! connections go on.

mod clients {
    pub(crate) mod image;
    pub(crate) mod packaged;
    pub(crate) mod podman;
    pub(crate) mod reaper;
}

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use clients::image::{ask, try_ask};
use clients::packaged;
use clients::podman::{NETWORKS, Podman};
use ropewalk_e2e::{Lab, command_path};

const GUIDE: &str = include_str!("../../docs/guide/switch.md");
const BIN: &str = "/run/lab/bin";
const SLEEP: &str = "sleep 1000";

/// The commands of one section of the guide.
fn commands(heading: &str) -> String {
    let marker = format!("\n## {heading}\n");
    let (_, section) = GUIDE.split_once(&marker).unwrap_or_else(|| panic!("no section {heading}"));
    let section = section.split("\n## ").next().unwrap_or_default();
    let blocks = section.split("```sh\n").skip(1);
    blocks.filter_map(|block| block.split_once("```")).map(|(block, _)| block).collect()
}

/// Follows one section, with the folders of the laboratory in place of those that it names.
#[track_caller]
fn follow(lab: &Lab, heading: &str) -> String {
    let commands: Vec<String> = commands(heading)
        .lines()
        .filter(|line| !["bin=", "networks=", "kept="].iter().any(|it| line.starts_with(it)))
        .map(str::to_owned)
        .collect();
    assert!(!commands.is_empty(), "{heading} has no commands");
    let ropewalk = command_path();
    lab.sh(&format!(
        "set -e; bin={BIN}; networks={NETWORKS}; kept=/run/lab/kept\n\
         mkdir -p /run/lab/path; ln -sf {} /run/lab/path/ropewalk\n\
         PATH=/run/lab/path:$PATH\n{}",
        ropewalk.display(),
        commands.join("\n")
    ))
}

/// A connection on which a byte goes to and fro for as long as it is kept.
struct Conversation {
    client: JoinHandle<u64>,
    server: JoinHandle<()>,
    end: std::sync::mpsc::Sender<()>,
}

/// Long enough for a packet that is sent again; a rule that is missing is silent for longer.
const SILENCE: Duration = Duration::from_secs(20);

impl Conversation {
    /// From one namespace to a server in another, at the address that the client uses.
    fn start(lab: &Lab, from: &str, to: (&str, u16), address: &str) -> Self {
        let port = to.1;
        let listener = lab.inside(to.0, || TcpListener::bind(("0.0.0.0", port)).expect("a port"));
        let address: SocketAddr = address.parse().expect("an address");
        let stream = lab.inside(from, || TcpStream::connect(address).expect("a connection"));
        let (accepted, _) = listener.accept().expect("a connection");
        let (end, ended) = std::sync::mpsc::channel();
        let server = std::thread::spawn(move || {
            let mut stream = accepted;
            let mut byte = [0];
            while stream.read_exact(&mut byte).is_ok() && stream.write_all(&byte).is_ok() {}
        });
        let client = std::thread::spawn(move || {
            let mut stream = stream;
            stream.set_read_timeout(Some(SILENCE)).expect("a timeout");
            stream.set_nodelay(true).expect("an option");
            let mut rounds = 0;
            while ended.recv_timeout(Duration::from_millis(5)).is_err() {
                let mut byte = [0];
                stream.write_all(b"x").expect("the connection goes on");
                stream.read_exact(&mut byte).expect("the other end answers");
                rounds += 1;
            }
            rounds
        });
        Self { client, server, end }
    }

    /// Ends it, and answers how often the byte went to and fro.
    fn finish(self) -> u64 {
        self.end.send(()).expect("the client waits");
        let rounds = self.client.join().expect("the client saw no failure");
        self.server.join().expect("the server ends with it");
        rounds
    }
}

/// Segments that had to be sent again in a namespace.
fn sent_again(lab: &Lab, netns: &str) -> u64 {
    let counter = |file: &str, group: &str, name: &str| -> u64 {
        let text = lab.sh_in(netns, &format!("cat /proc/net/{file}"));
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(group));
        let names: Vec<&str> = lines.next().expect("a heading").split(' ').collect();
        let values: Vec<&str> = lines.next().expect("values").split(' ').collect();
        let at = names.iter().position(|it| *it == name).expect("a counter");
        values[at].parse().expect("a number")
    };
    // On a busy machine a segment is sent again that was only late; the other end says so.
    let needless = counter("netstat", "TcpExt: ", "TCPDSACKRecv");
    counter("snmp", "Tcp: ", "RetransSegs").saturating_sub(needless)
}

#[track_caller]
fn published(lab: &Lab, port: u16, container: &str) {
    let answer = ask(lab, Some("outer"), &format!("10.9.0.1:{port}"));
    assert_eq!(answer, (container.to_owned(), "10.9.0.2".to_owned()));
}

fn rules(lab: &Lab) -> String {
    lab.sh("iptables-save")
}

/// How many elements our sets and maps have.
fn elements(lab: &Lab) -> usize {
    lab.sh("nft list table inet ropewalk 2>/dev/null || true")
        .matches("comment \"ropewalk:")
        .count()
}

#[test]
fn a_node_with_running_containers_switches_there_and_back() {
    let lab = Lab::new();
    packaged::require_them();
    lab.sh(&format!("mkdir -p {BIN}; cp {}/* {BIN}/", packaged::DIRECTORY));
    lab.outer_network("outer", &[("10.9.0.1/24", "10.9.0.2/24")]);
    let podman = Podman::new(&lab, BIN);
    podman.run("network create --subnet 10.77.0.0/24 blue");
    podman.start("first", "-p 7999:80", SLEEP);
    podman.run("rm -f first");
    let before = lab.snapshot();
    podman.serve("old", "-p 8080:80 -p 9080:90");
    podman.serve("gone", "-p 8081:80");
    let old = podman.netns("old");
    let inward = Conversation::start(&lab, "outer", (&old, 90), "10.9.0.1:9080");
    let outward = Conversation::start(&lab, &old, ("outer", 91), "10.9.0.2:91");

    follow(&lab, "Before");
    follow(&lab, "There");
    assert!(
        !rules(&lab).contains("--to-destination"),
        "they are in nftables now:\n{}",
        rules(&lab)
    );
    assert!(elements(&lab) > 0);
    published(&lab, 8080, "old");
    podman.run("rm -f gone");
    assert_ne!(try_ask(&lab, Some("outer"), "10.9.0.1:8081").code, 0);
    podman.serve("new", "-p 8082:80");
    published(&lab, 8082, "new");
    let old_address = podman.address("old", "podman");
    assert_eq!(podman.ask("new", &format!("{old_address}:80")).0, "old");
    let leases = lab.leases("podman");
    assert_eq!(leases.len(), 2);

    follow(&lab, "Back");
    assert!(rules(&lab).contains("--to-destination"), "{}", rules(&lab));
    lab.wait_until("the elements are gone", || elements(&lab) == 0);
    assert_eq!(lab.leases("podman"), leases);
    published(&lab, 8080, "old");
    published(&lab, 8082, "new");
    podman.serve("last", "-p 8083:80");
    podman.ping("last", &podman.address("new", "podman"));

    assert!(inward.finish() > 0);
    assert!(outward.finish() > 0);
    for netns in ["outer", &old] {
        assert_eq!(sent_again(&lab, netns), 0, "a packet was lost: seen in {netns}");
    }
    podman.run("rm -f old new last");
    podman.nothing_left();
    lab.nothing_left(&before);
}

/// Where the host drops what nobody accepts, a connection lives by the firewall plugin's rules.
#[test]
fn a_handover_never_leaves_a_connection_without_the_rule_that_accepts_it() {
    let lab = Lab::new();
    packaged::require_them();
    lab.sh(&format!("mkdir -p {BIN}; ln -s {}/* {BIN}/", lab.plugin_directory()));
    lab.sh("iptables -P FORWARD DROP");
    lab.outer_network("outer", &[("10.9.0.1/24", "10.9.0.2/24")]);
    let podman = Podman::new(&lab, BIN);
    podman.start("web", "", SLEEP);
    let web = podman.netns("web");
    let conversation = Conversation::start(&lab, &web, ("outer", 91), "10.9.0.2:91");
    let ropewalk = command_path();
    for _ in 0..3 {
        lab.sh(&format!("{} handover --to reference", ropewalk.display()));
        assert!(rules(&lab).contains("-A CNI-FORWARD -s"), "{}", rules(&lab));
        lab.sh(&format!("{} handover --to ropewalk", ropewalk.display()));
        assert!(!rules(&lab).contains("-A CNI-FORWARD -s"), "{}", rules(&lab));
    }
    let again = lab.sh(&format!("{} handover --to ropewalk", ropewalk.display()));
    assert_eq!(again, "nothing to hand over");
    assert!(conversation.finish() > 0);
    assert_eq!(sent_again(&lab, &web), 0);
    podman.run("rm -f web");
    podman.nothing_left();
}
