//! `ropewalk watch` on a host on which things happen.
//!
//! Other hosts come and go meanwhile: what is said of them is passed over.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use ropewalk_e2e::{Lab, Process, Value, command_path, json, patience};

/// What is printed, line by line.
struct Watcher {
    _process: Process,
    lines: Receiver<Value>,
    /// What was told and not asked for yet: changes of one moment come in any order.
    kept: RefCell<Vec<Value>>,
}

impl Watcher {
    fn start(lab: &Lab) -> Self {
        let command = command_path().display().to_string();
        let mut process = Process::start_piped(lab, "ropewalk", &[&command, "watch", "--json"]);
        let stdout = process.child().stdout.take().expect("standard output is a pipe");
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let document: Value = line.parse().expect("each line is JSON");
                // The test may have seen enough.
                let _ = sender.send(document);
            }
        });
        let watch = Self { _process: process, lines, kept: RefCell::default() };
        watch.wait_for(|line| line["act"] == "watching");
        watch
    }

    #[track_caller]
    fn wait_for(&self, is_it: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + patience(Duration::from_secs(10));
        let mut kept = self.kept.borrow_mut();
        if let Some(at) = kept.iter().position(&is_it) {
            return kept.remove(at);
        }
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if is_it(&line) => return line,
                Ok(line) => kept.push(line),
                Err(_) => {
                    let lines: Vec<String> = kept.iter().map(Value::to_string).collect();
                    panic!("it was not told; told was\n{}", lines.join("\n"));
                }
            }
        }
    }

    /// What is told of something in a namespace of this host.
    #[track_caller]
    fn told(&self, name: &str, act: &str, kind: &str, beginning: &str) -> Value {
        self.wait_for(|line| {
            let what = line["what"].as_str().unwrap_or_default();
            line["name"] == name
                && line["act"] == act
                && line["kind"] == kind
                && what.starts_with(beginning)
        })
    }
}

/// A container on a bridge, as the plugins make it.
fn bridge<'a>(lab: &'a Lab, container: &str) -> ropewalk_e2e::Plugin<'a> {
    lab.plugin("bridge").on(container).config(json!({
        "cniVersion": "1.0.0", "name": "net", "type": "bridge", "bridge": "watched0",
        "isGateway": true, "ipam": { "type": "host-local", "subnet": "10.1.2.0/24" },
    }))
}

#[test]
fn each_change_is_a_line_within_a_second() {
    let lab = Lab::new();
    let watch = Watcher::start(&lab);
    lab.netns("wide1");
    watch.told("wide1", "added", "namespace", "wide1");
    let plugin = bridge(&lab, "wide1");
    let mut result = plugin.add().result();
    let mut took = Duration::MAX;
    // What other tests take of the processors is not its delay.
    for address in ["10.1.2.2", "10.1.2.3", "10.1.2.4"] {
        let added = Instant::now();
        if address == "10.1.2.2" {
            watch.told("host", "added", "link", "watched0: bridge");
            watch.told("host", "added", "address", "10.1.2.1/24 on watched0");
        }
        watch.told("wide1", "added", "address", &format!("{address}/24 on eth0"));
        took = took.min(added.elapsed());
        if took < patience(Duration::from_secs(1)) {
            break;
        }
        plugin.del(&result).silent();
        watch.told("wide1", "removed", "link", "eth0");
        result = plugin.add().result();
    }
    assert!(took < patience(Duration::from_secs(1)), "{took:?}");
    lab.sh_in("wide1", "ip link set eth0 mtu 1400");
    watch.told("wide1", "changed", "link", "eth0: mtu 1500 → 1400");
    lab.sh_in(
        "wide1",
        "ip route add 10.9.0.0/16 via 10.1.2.1; ip rule add to 10.9.0.0/16 lookup 9",
    );
    watch.told("wide1", "added", "route", "10.9.0.0/16: via 10.1.2.1 dev eth0");
    watch.told("wide1", "added", "rule", "IPv4 priority");
    plugin.del(&result).silent();
    watch.told("wide1", "removed", "link", "eth0");
    lab.sh("ip netns del wide1");
    watch.told("wide1", "removed", "namespace", "wide1");
}

#[test]
fn rules_of_a_namespace_are_heard_from_outside() {
    let lab = Lab::new();
    if lab.lacks_nftables() {
        return;
    }
    lab.netns("wide2");
    let watch = Watcher::start(&lab);
    lab.sh_in("wide2", "nft add table inet here; nft add chain inet here one");
    watch.told("wide2", "added", "table", "inet here");
    lab.sh_in("wide2", "nft add rule inet here one accept");
    watch.told("wide2", "changed", "table", "inet here: rules 0 → 1");
}

#[test]
fn a_namespace_of_a_process_alone_comes_and_goes_and_is_not_kept() {
    let lab = Lab::new();
    let watch = Watcher::start(&lab);
    let mut process = Process::start_piped(
        &lab,
        "util-linux",
        &["/usr/bin/unshare", "-n", "tail", "-f", "/dev/null"],
    );
    let pid = process.child().id();
    let inode = |pid: &str| lab.sh(&format!("stat -Lc %i /proc/{pid}/ns/net"));
    let own = inode("self");
    lab.wait_until("it has its namespace", || inode(&pid.to_string()) != own);
    lab.sh(&format!("ip link add lonely0 type veth peer name eth0 netns {pid}"));
    watch.told("host", "added", "link", "lonely0: veth");
    drop(process);
    // The pair goes with the namespace, which only a watcher could keep.
    watch.told("host", "removed", "link", "lonely0");
}

#[test]
fn a_flood_of_changes_is_told_to_its_end() {
    let lab = Lab::new();
    lab.sh("ip link add flood0 type bridge");
    let watch = Watcher::start(&lab);
    lab.sh("for i in $(seq 4000); do echo address add 10.7.$((i / 250)).$((i % 250 + 1))/32 dev flood0; done | ip -batch -
         ip link add flood1 type bridge");
    watch.told("host", "added", "address", "10.7.16.1/32 on flood0");
    watch.told("host", "added", "link", "flood1");
}

/// A terminal with the picture, of 80 columns and 60 rows: changes come one by one on a busy machine,
/// and what is waited for must not have been pushed out by then.
struct Terminal<'a> {
    lab: &'a Lab,
    child: Child,
}

const SEEN: &str = "/run/typescript";

impl<'a> Terminal<'a> {
    fn start(lab: &'a Lab) -> Self {
        // It sees the processes of its own host alone: the containers of other tests look the same.
        let command = format!(
            "stty rows 60 columns 80
             exec unshare --pid --fork --kill-child --mount-proc {} watch",
            command_path().display()
        );
        let mut start = lab.enter();
        start.args(["setpriv", "--pdeathsig", "KILL", "script", "--quiet", "--flush"]);
        start.args(["--return", "--command", &command, SEEN]);
        let child = start.stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        Self { lab, child: child.expect("script (util-linux) is installed") }
    }

    fn press(&mut self, keys: &str) {
        let stdin = self.child.stdin.as_mut().expect("standard input is a pipe");
        stdin.write_all(keys.as_bytes()).expect("the terminal reads keys");
    }

    /// The picture that was drawn last, as text.
    fn picture(&self) -> String {
        let raw = std::fs::read(self.lab.outside(SEEN)).unwrap_or_default();
        let raw = String::from_utf8_lossy(&raw).into_owned();
        let last = raw.rsplit("\x1b[H").next().unwrap_or_default();
        let mut text = String::new();
        for part in last.split("\x1b[") {
            let end = part.find(|c: char| c.is_ascii_alphabetic()).map_or(0, |end| end + 1);
            text.push_str(&part[end..]);
        }
        text
    }

    #[track_caller]
    fn wait_for(&self, what: &str) -> String {
        let mut picture = String::new();
        // The next one may be half drawn already.
        self.lab.wait_until(what, || {
            picture = self.picture();
            picture.contains(what)
        });
        picture
    }
}

#[test]
fn a_terminal_shows_an_add_soon_and_obeys_keys() {
    let lab = Lab::new();
    lab.netns("shown1");
    // Not every test host has terminals.
    lab.sh("[ -e /dev/pts/ptmx ] || { mkdir -p /dev/pts && mount -t devpts devpts /dev/pts; }");
    let mut terminal = Terminal::start(&lab);
    terminal.press("/shown1\r");
    terminal.wait_for("only \"shown1\"");
    bridge(&lab, "shown1").add().result();
    let added = Instant::now();
    terminal.wait_for("10.1.2.2/24");
    // Its lines are there within a second, see above; looking at a terminal takes its time, too.
    let took = added.elapsed();
    assert!(took < patience(Duration::from_secs(3)), "{took:?}");
    let picture = terminal.wait_for("+ address 10.1.2.2/24 on eth0");
    assert!(picture.contains("⇄ eth0 in shown1"), "{picture}");
    lab.sh_in("shown1", "ping -q -c 3 -i 0.3 10.1.2.1");
    terminal.wait_for("B/s");
    terminal.press("p");
    terminal.wait_for("PAUSED");
    terminal.press("q");
    assert_eq!(terminal.child.wait().expect("it ends").code(), Some(0));
    let raw = lab.read(SEEN);
    assert!(raw.contains("\x1b[?1049l"), "the terminal was not given back");
}

#[test]
fn who_is_not_root_is_told_what_to_do() {
    let lab = Lab::new();
    // The folder of the build may be closed to others.
    lab.sh(&format!("cp {} /run/ropewalk", command_path().display()));
    let plain = "setpriv --reuid 65534 --regid 65534 --clear-groups /run/ropewalk";
    for command in ["watch", "ui --listen 127.0.0.1:0"] {
        let refused = lab.try_sh(&format!("{plain} {command}"));
        assert_eq!(refused.code, 3, "{refused}");
        assert!(refused.stderr.contains("run this command as root"), "{refused}");
    }
}
