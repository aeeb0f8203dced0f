//! A private "host" for one test: its own network, its own state directories.
//!
//! A holder process keeps a network and a mount namespace alive. It blocks reading a pipe, so it
//! ends with the test process however that ends, and everything inside vanishes with it: named
//! namespaces are mounts in the private mount namespace. Nothing here may touch the machine's own
//! network or files.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::binaries::{PLUGIN_NAMES, Plugins, SEPARATE, separate};
use crate::{Outcome, Plugin, Snapshot, patience, reference};

/// What the holder does before it waits. Directories are fresh, so that no two tests meet in them;
/// the control groups are moved over to the fresh sysfs for those who start containers.
const HOLDER: &str = r"
for directory in /run /var/lib/cni /var/lib/ropewalk /etc/cni; do
    mkdir -p $directory
    mount -t tmpfs -o mode=755 tmpfs $directory
done
mkdir -p /run/netns /run/cni /run/lock /run/lab/plugins /run/lab/delegates /run/lab/cgroup
mount --rbind /sys/fs/cgroup /run/lab/cgroup
mount -t sysfs sysfs /sys
mount --move /run/lab/cgroup /sys/fs/cgroup
ip link set lo up
echo 0 >/proc/sys/net/ipv4/ip_forward
echo 0 >/proc/sys/net/ipv6/conf/all/forwarding
echo ready
exec cat >/dev/null
";

/// A private host. Everything in it vanishes when it is dropped.
#[derive(Debug)]
pub struct Lab {
    holder: Child,
    plugin_directory: String,
}

impl Lab {
    /// Makes a private host with the plugins under test. Panics without root.
    pub fn new() -> Self {
        let user = fs::metadata("/proc/self").expect("/proc is mounted").uid();
        assert_eq!(user, 0, "the black-box tests make network namespaces and must run as root");
        let mut holder = Command::new("unshare")
            .args(["--net", "--mount", "--propagation", "private", "sh", "-e", "-c", HOLDER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare (util-linux) is installed");
        let mut line = String::new();
        let stdout = holder.stdout.take().expect("standard output is a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("the holder can be read");
        assert_eq!(line, "ready\n", "the holder of the private host failed, see above");
        let mut lab = Self { holder, plugin_directory: String::new() };
        lab.plugin_directory = lab.provide_plugins();
        lab
    }

    fn provide_plugins(&self) -> String {
        match Plugins::find() {
            Plugins::Directory(directory) => {
                directory.to_str().expect("the plugin directory's path is text").to_owned()
            }
            Plugins::MultiCall(binary) => {
                for name in PLUGIN_NAMES {
                    let link = self.outside(&format!("/run/lab/plugins/{name}"));
                    std::os::unix::fs::symlink(&binary, link)
                        .expect("a fresh directory takes links");
                }
                for (name, program) in SEPARATE {
                    if let Some(program) = separate(program) {
                        let link = self.outside(&format!("/run/lab/plugins/{name}"));
                        std::os::unix::fs::symlink(program, link)
                            .expect("a fresh directory takes links");
                    }
                }
                "/run/lab/plugins".to_owned()
            }
        }
    }

    /// Where the plugins under test are, as seen inside.
    pub fn plugin_directory(&self) -> &str {
        &self.plugin_directory
    }

    /// From now on all plugins are the program that has one of them beside all others.
    pub fn use_larger_program(&mut self, plugin: &str) {
        let directory = &self.plugin_directory;
        self.sh(&format!(
            "program=$(readlink {directory}/{plugin}); mkdir /run/lab/larger
             for name in $(ls {directory}); do ln -s $program /run/lab/larger/$name; done"
        ));
        "/run/lab/larger".clone_into(&mut self.plugin_directory);
    }

    /// The names of all plugins under test.
    pub fn plugin_names(&self) -> impl Iterator<Item = &'static str> {
        let is_there = |name: &&str| self.exists(&format!("{}/{name}", self.plugin_directory));
        PLUGIN_NAMES.iter().copied().filter(is_there)
    }

    /// One of the plugins under test.
    pub fn plugin(&self, name: &str) -> Plugin<'_> {
        Plugin::new(self, format!("{}/{name}", self.plugin_directory))
    }

    /// Writes a shell script as a plugin called `name` and answers a `CNI_PATH` that finds it
    /// first and the plugins under test after it.
    ///
    /// It is written by a child process: a file this process holds open for writing could not be
    /// executed, and another thread's child might inherit it for a moment.
    pub fn delegate(&self, name: &str, script: &str) -> String {
        let directory = "/run/lab/delegates";
        self.write_executable(&format!("{directory}/{name}"), &format!("#!/bin/sh\n{script}\n"));
        format!("{directory}:{}", self.plugin_directory)
    }

    fn write_executable(&self, path: &str, text: &str) {
        let mut child = self
            .enter()
            .args(["sh", "-c", r#"cat >"$0" && chmod 755 "$0""#, path])
            .stdin(Stdio::piped())
            .spawn()
            .expect("nsenter is installed");
        let mut stdin = child.stdin.take().expect("standard input is a pipe");
        stdin.write_all(text.as_bytes()).expect("cat reads everything");
        drop(stdin);
        assert!(child.wait().expect("a child can be waited for").success(), "cannot write {path}");
    }

    /// Adds a named network namespace and answers its path.
    pub fn netns(&self, name: &str) -> String {
        self.sh(&format!("ip netns add {name}"));
        Self::netns_path(name)
    }

    /// The path of a named network namespace, whether it exists or not.
    pub fn netns_path(name: &str) -> String {
        format!("/run/netns/{name}")
    }

    /// The process that keeps this host.
    pub fn pid(&self) -> u32 {
        self.holder.id()
    }

    /// A command that starts inside this host; arguments are to be added.
    ///
    /// The holder's root is entered too: entering a mount namespace alone would lead out of a
    /// change of root, as in the virtual machine tier.
    pub fn enter(&self) -> Command {
        let mut command = Command::new("/usr/bin/nsenter");
        command.args(["-t", &self.holder.id().to_string(), "-n", "-m", "-r"]);
        command
    }

    /// Runs a shell script inside, asserts success of each of its commands, and answers its output
    /// without the last newline.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        succeeded(&self.try_sh(&format!("set -e\n{script}")))
    }

    /// Runs a shell script in a named namespace, asserts success of each of its commands, and
    /// answers its output.
    #[track_caller]
    pub fn sh_in(&self, netns: &str, script: &str) -> String {
        succeeded(&self.try_sh_in(netns, &format!("set -e\n{script}")))
    }

    /// Runs a shell script inside.
    pub fn try_sh(&self, script: &str) -> Outcome {
        let mut command = self.enter();
        command.args(["sh", "-c", script]);
        run(&mut command, script)
    }

    /// Runs a shell script in a named namespace.
    pub fn try_sh_in(&self, netns: &str, script: &str) -> Outcome {
        let mut command = self.enter();
        command.args([
            "nsenter",
            &format!("--net={}", Self::netns_path(netns)),
            "sh",
            "-c",
            script,
        ]);
        run(&mut command, &format!("in {netns}: {script}"))
    }

    /// What `ip -j -d <arguments>` answers, for example `ip_json("link show dev cni0")`.
    #[track_caller]
    pub fn ip_json(&self, arguments: &str) -> Value {
        parse(&self.sh(&format!("ip -j -d {arguments}")))
    }

    /// What `ip -j -d <arguments>` answers in a named namespace.
    #[track_caller]
    pub fn ip_json_in(&self, netns: &str, arguments: &str) -> Value {
        parse(&self.sh_in(netns, &format!("ip -j -d {arguments}")))
    }

    /// Links, addresses and routes of a named namespace as `ip` prints them, but for what the kernel
    /// changes by itself: states of new links, link-local addresses, and that it is still looking
    /// for duplicates of an address.
    #[track_caller]
    pub fn layer3_in(&self, netns: &str) -> String {
        self.sh_in(
            netns,
            "{ ip -o link; ip -o address; ip -o route; } | sed -e '/ fe80:/d' -e 's/ tentative//' \
                 -e 's/ state [A-Z]*//' -e 's/NO-CARRIER,//' -e 's/,LOWER_UP//' -e 's/,M-DOWN//'",
        )
    }

    /// Links, IPv4 addresses and routes of a named namespace as `ip` prints them, but for the
    /// operational state of new links, which the kernel takes its time to tell.
    #[track_caller]
    pub fn ipv4_in(&self, netns: &str) -> String {
        self.sh_in(
            netns,
            "{ ip link; ip -4 address; } | sed -e 's/ state [A-Z]*//' -e 's/NO-CARRIER,//' \
                 -e 's/,LOWER_UP//' -e 's/,M-DOWN//'; ip route",
        )
    }

    /// Whether a named namespace has a link of this name.
    #[track_caller]
    pub fn has_link(&self, netns: &str, name: &str) -> bool {
        let links = self.ip_json_in(netns, "link show");
        links.as_array().into_iter().flatten().any(|link| link["ifname"] == name)
    }

    /// Whether this kernel has nftables; if not, iptables is the old one, beside which there is
    /// nothing.
    pub fn has_nftables(&self) -> bool {
        static ANSWER: OnceLock<bool> = OnceLock::new();
        *ANSWER.get_or_init(|| self.try_sh("nft list tables").code == 0)
    }

    /// Whether this kernel lacks nftables, which the test needs; says so.
    pub fn lacks_nftables(&self) -> bool {
        if !self.has_nftables() {
            self.not_here("nftables");
        }
        !self.has_nftables()
    }

    /// The objects of the nftables rule set; none on a kernel without nftables.
    #[track_caller]
    pub fn nft_json(&self) -> Vec<Value> {
        if !self.has_nftables() {
            return Vec::new();
        }
        match parse(&self.sh("nft -j list ruleset"))["nftables"].take() {
            Value::Array(objects) => objects,
            other => panic!("nft answered {other}"),
        }
    }

    /// A path inside, as this process can open it.
    pub fn outside(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.holder.id()))
    }

    /// Reads a file.
    #[track_caller]
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.outside(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Writes a file and the directories it needs.
    #[track_caller]
    pub fn write(&self, path: &str, text: &str) {
        let outside = self.outside(path);
        fs::create_dir_all(outside.parent().expect("a file has a directory")).expect(path);
        fs::write(outside, text).unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// Whether a file or directory exists.
    pub fn exists(&self, path: &str) -> bool {
        fs::symlink_metadata(self.outside(path)).is_ok()
    }

    /// The permission bits of a file or directory.
    #[track_caller]
    pub fn mode(&self, path: &str) -> u32 {
        let metadata = fs::metadata(self.outside(path));
        metadata.unwrap_or_else(|error| panic!("{path}: {error}")).permissions().mode() & 0o7777
    }

    /// The sorted names in a directory; none if it does not exist.
    pub fn list(&self, directory: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.outside(directory)) else { return Vec::new() };
        let name = |entry: std::io::Result<fs::DirEntry>| entry.expect(directory).file_name();
        let mut names: Vec<String> =
            entries.map(|entry| name(entry).to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// The addresses leased by host-local in a network, in text order.
    pub fn leases(&self, network: &str) -> Vec<String> {
        let mut names = self.list(&format!("/var/lib/cni/networks/{network}"));
        names.retain(|name| name != "lock" && !name.starts_with("last_reserved_ip."));
        names
    }

    /// What exists now and could be left behind.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::take(self)
    }

    /// Runs ADD and DEL once for a container and a network of its own, so that what is Shared is
    /// there and a comparison with this snapshot is exact.
    #[track_caller]
    pub fn settled(&self, plugin: &Plugin<'_>) -> Snapshot {
        self.netns("settled");
        let plugin = plugin.clone().on("settled").key("name", &Value::from("settled"));
        let result = plugin.add().result();
        plugin.del(&result).silent();
        self.sh("ip netns del settled");
        self.snapshot()
    }

    /// Asserts that nothing is there that was not there at the time of the snapshot, except Shared
    /// things (a bridge, a packet-filter table without elements), and that nothing is missing.
    ///
    /// The kernel may take a moment: elements of nftables sets expire within milliseconds.
    #[track_caller]
    pub fn nothing_left(&self, before: &Snapshot) {
        let deadline = Instant::now() + Duration::from_secs(2);
        let mut looks = 0;
        loop {
            let difference = before.difference(&self.snapshot());
            if difference.is_empty() {
                return;
            }
            looks += 1;
            // On a slow machine looking takes longer than the kernel does.
            let is_late = Instant::now() > deadline && looks > 3;
            assert!(!is_late, "not as before:\n{}", difference.join("\n"));
        }
    }

    /// Whether this kernel's bridges can filter VLANs.
    pub fn has_vlan_filtering(&self) -> bool {
        let made = self.try_sh("ip link add vlanprobe type bridge vlan_filtering 1").code == 0;
        self.try_sh("ip link del vlanprobe");
        made
    }

    /// Says that this machine lacks what the test needs.
    #[expect(clippy::print_stderr, reason = "a test that did not run must say so")]
    pub fn not_here(&self, what: &str) {
        let test = std::thread::current().name().unwrap_or("?").to_owned();
        eprintln!("NOT RUN HERE (runs in the virtual machine tier): {test}: {what}");
    }

    /// Says that this machine lacks what the test needs, and that no test host makes up for it.
    #[expect(clippy::print_stderr, reason = "a test that did not run must say so")]
    pub fn left_out(&self, what: &str) {
        let test = std::thread::current().name().unwrap_or("?").to_owned();
        eprintln!("LEFT OUT (cargo xtask test --vm {test} runs it): {what}");
    }

    /// Whether the plugins under test are the reference plugins, which are known to fail this test;
    /// says so with the reason.
    #[expect(clippy::print_stderr, reason = "a test that did not run must say so")]
    pub fn reference_fails(&self, reason: &str) -> bool {
        if reference() {
            let test = std::thread::current().name().unwrap_or("?").to_owned();
            eprintln!("NOT RUN WITH THE REFERENCE PLUGINS: {test}: {reason}");
        }
        reference()
    }

    /// Waits until a condition holds, and panics at the deadline.
    ///
    /// The condition is asked again and again; it should itself take a moment, a command for one.
    #[track_caller]
    pub fn wait_until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + patience(Duration::from_secs(10));
        while !condition() {
            assert!(Instant::now() < deadline, "waited in vain: {what}");
            std::thread::yield_now();
        }
    }
}

impl Default for Lab {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

fn run(command: &mut Command, what: &str) -> Outcome {
    let output = command.stdin(Stdio::null()).output().expect("nsenter is installed");
    Outcome::new(what.to_owned(), &output)
}

#[track_caller]
fn succeeded(outcome: &Outcome) -> String {
    assert_eq!(outcome.code, 0, "should have succeeded: {outcome}");
    outcome.stdout.strip_suffix('\n').unwrap_or(&outcome.stdout).to_owned()
}

#[track_caller]
fn parse(text: &str) -> Value {
    // `ip -j` prints nothing at all for an empty list of some kinds.
    if text.is_empty() {
        return Value::Array(Vec::new());
    }
    serde_json::from_str(text).unwrap_or_else(|error| panic!("not JSON: {error}: {text}"))
}
