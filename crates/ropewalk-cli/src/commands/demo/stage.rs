//! The demo's world: namespaces, a configuration, attachments, processes.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ropewalk_addr::{IfName, Prefix};
use ropewalk_cni::{CniResult, NetworkList};
use ropewalk_linux::{Linux, Netns};
use ropewalk_netstate::resource::{Address, Attribute, LinkAttribute, Veth, VethPeer};
use ropewalk_netstate::{Place, Step};
use ropewalk_runtime::{Attachment, Cache, Runtime};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::sandbox::Sandbox;

/// The two containers; the second publishes a port.
pub(crate) const CONTAINERS: [&str; 2] = ["c1", "c2"];
/// The port that every process serves.
pub(crate) const PORT: u16 = 7000;
/// The host's port that reaches the second container.
pub(crate) const PUBLISHED: u16 = 8080;
/// The host's and the outside's addresses on the link between them.
pub(crate) const UPLINK: [&str; 2] = ["198.51.100.1/24", "198.51.100.2/24"];

const NETWORK: &str = "demo";
const DIRECTORY: &str = "/run/ropewalk-demo";
const PIDS: &str = "pids";
/// The option that makes this program a process of the demo.
const SERVE: &str = "--serve";
const ROLES: [&str; 4] = ["host", "outside", "c1", "c2"];

/// All of it. Dropping it takes it away.
#[derive(Debug)]
pub(crate) struct Stage {
    sandboxes: BTreeMap<&'static str, Sandbox>,
    servers: Vec<Child>,
    list: NetworkList,
    runtime: Runtime,
    attachments: BTreeMap<String, (Attachment, CniResult)>,
    keep: bool,
}

impl Stage {
    /// Takes away what an earlier demo has left.
    pub(crate) fn clear() -> Result<(), Failure> {
        end_kept_servers();
        for role in ROLES {
            Sandbox::remove(&namespace(role))?;
        }
        match fs::remove_dir_all(DIRECTORY) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Failure::failed(format!("failed to remove {DIRECTORY}: {error}")))
            }
            _ => Ok(()),
        }
    }

    /// Makes the namespaces, the link to the outside, the configuration and the plugins.
    pub(crate) fn build() -> Result<Self, Failure> {
        let plugins = plugin_directory()?;
        let text = format!("{:#}\n", configuration());
        write(&Path::new(DIRECTORY).join("net.d/demo.conflist"), &text)?;
        let list = NetworkList::parse(text.as_bytes()).map_err(|error| {
            Failure::failed(format!("failed to read the configuration: {error}"))
        })?;
        let mut sandboxes = BTreeMap::new();
        for role in ROLES {
            sandboxes.insert(role, Sandbox::create(&namespace(role))?);
        }
        let runtime = Runtime::new(vec![plugins], Cache::new(Path::new(DIRECTORY).join("cache")));
        let attachments = BTreeMap::new();
        let stage =
            Self { sandboxes, servers: Vec::new(), list, runtime, attachments, keep: false };
        stage.connect_outside()?;
        Ok(stage)
    }

    /// A veth pair between the host and the outside.
    fn connect_outside(&self) -> Result<(), Failure> {
        let name: IfName = parsed("eth0")?;
        let pair = Veth {
            name: name.clone(),
            mac: None,
            bridge: None,
            peer: Some(VethPeer { place: Place::Sandbox, name: name.clone(), mac: None }),
            mtu: None,
            tag: None,
            up: true,
        };
        let mut steps = vec![Step::Create(Place::Host, pair.into())];
        for (place, prefix) in [Place::Host, Place::Sandbox].into_iter().zip(UPLINK) {
            let up = LinkAttribute { link: name.clone(), attribute: Attribute::Up(true) };
            let prefix: Prefix = parsed(prefix)?;
            let link = name.clone();
            let address = Address::new(link, prefix);
            steps.push(Step::Create(place, up.into()));
            steps.push(Step::Create(place, address.into()));
        }
        let outside = Netns::open(self.sandbox("outside").path())
            .map_err(|error| Failure::failed(format!("failed to open the outside: {error}")))?;
        self.sandbox("host").apply_with(&steps, || Linux::with_sandbox(outside))
    }

    /// One of the namespaces.
    pub(crate) fn sandbox(&self, role: &str) -> &Sandbox {
        &self.sandboxes[role]
    }

    /// The result of a container's ADD.
    pub(crate) fn result(&self, container: &str) -> &CniResult {
        &self.attachments[container].1
    }

    /// Attaches a container, and says how long that took.
    pub(crate) fn attach(&mut self, container: &str) -> Result<Duration, Failure> {
        let netns = self.sandbox(container).path().to_string_lossy().into_owned();
        let mut attachment = Attachment::new(container, &netns, "eth0");
        attachment.capability_args = capabilities(container);
        let begin = Instant::now();
        let added = self.sandbox("host").within(|| self.runtime.add(&self.list, &attachment))?;
        let result =
            added.map_err(|error| Failure::of_runtime(&format!("attach {container}"), &error))?;
        self.attachments.insert(container.to_owned(), (attachment, result));
        Ok(begin.elapsed())
    }

    /// Runs CHECK for every attachment.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        for (container, (attachment, _)) in &self.attachments {
            self.sandbox("host")
                .within(|| self.runtime.check(&self.list, attachment))?
                .map_err(|error| Failure::of_runtime(&format!("check {container}"), &error))?;
        }
        Ok(())
    }

    /// Detaches a container, and says how long that took.
    pub(crate) fn detach(&mut self, container: &str) -> Result<Duration, Failure> {
        let Some((attachment, _)) = self.attachments.remove(container) else {
            return Ok(Duration::ZERO);
        };
        let begin = Instant::now();
        self.sandbox("host")
            .within(|| self.runtime.del(&self.list, &attachment))?
            .map_err(|error| Failure::of_runtime(&format!("detach {container}"), &error))?;
        Ok(begin.elapsed())
    }

    /// Starts the process of every namespace and waits until it serves.
    pub(crate) fn start_servers(&mut self) -> Result<(), Failure> {
        for role in ROLES {
            let mut command = Command::new("/proc/self/exe");
            command.args(["demo", SERVE, role]).stdin(Stdio::null()).stdout(Stdio::piped());
            // Whoever reads our complaints must not have to wait for a process that is kept.
            command.stderr(Stdio::null());
            let mut child = self.sandbox(role).spawn(&mut command)?;
            let mut line = String::new();
            let heard = child.stdout.take().map(|pipe| BufReader::new(pipe).read_line(&mut line));
            self.servers.push(child);
            if !matches!(heard, Some(Ok(length)) if length > 0) {
                return Err(Failure::failed(format!("failed to start the process of {role}")));
            }
        }
        Ok(())
    }

    /// What is there that belongs to a container, after the DELs.
    pub(crate) fn left_over(&self) -> Result<Vec<String>, Failure> {
        let mut left = Vec::new();
        for folder in ["leases/demo", "cache/results"] {
            let entries = fs::read_dir(Path::new(DIRECTORY).join(folder)).into_iter().flatten();
            let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
            // The lock and the memory of the last address are the network's.
            let of_containers =
                names.filter(|name| name != "lock" && !name.starts_with("last_reserved_ip."));
            left.extend(of_containers.map(|name| format!("{folder}/{name}")));
        }
        let owned = self.sandbox("host").within(|| ropewalk_plugins::owned(&self.list.name))?;
        left.extend(owned.map_err(|error| Failure::failed(error.to_string()))?);
        Ok(left)
    }

    /// Leaves everything behind, and a list of the processes that must be ended one day.
    pub(crate) fn keep(&mut self) -> Result<(), Failure> {
        let pids: Vec<String> = self.servers.iter().map(|child| child.id().to_string()).collect();
        write(&Path::new(DIRECTORY).join(PIDS), &pids.join("\n"))?;
        self.keep = true;
        self.sandboxes.values_mut().for_each(Sandbox::keep);
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        for server in &mut self.servers {
            // One that has ended already needs no ending.
            let _ = server.kill();
            let _ = server.wait();
        }
        let _ = fs::remove_dir_all(DIRECTORY);
    }
}

/// Ends the processes of a kept demo. A number that another process has by now is passed over.
fn end_kept_servers() {
    let pids = fs::read_to_string(Path::new(DIRECTORY).join(PIDS)).unwrap_or_default();
    for pid in pids.lines().filter_map(|line| line.parse::<i32>().ok()) {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let is_ours = command.split(|byte| *byte == 0).any(|word| word == SERVE.as_bytes());
        if let Some(pid) = Pid::from_raw(pid).filter(|_| is_ours) {
            // It may have ended in between.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

fn namespace(role: &str) -> String {
    format!("ropewalk-demo-{role}")
}

fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, Failure> {
    text.parse().map_err(|_| Failure::failed(format!("failed to read {text:?}")))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| Failure::failed(format!("failed to write {}: {error}", path.display())))
}

/// A folder in which this program has the names of the plugins.
fn plugin_directory() -> Result<String, Failure> {
    let directory = Path::new(DIRECTORY).join("plugins");
    let failed = |error: std::io::Error| {
        Failure::failed(format!("failed to prepare {}: {error}", directory.display()))
    };
    fs::create_dir_all(&directory).map_err(failed)?;
    let program = std::env::current_exe().map_err(failed)?;
    for name in ropewalk_plugins::names() {
        symlink(&program, directory.join(name)).map_err(failed)?;
    }
    Ok(directory.to_string_lossy().into_owned())
}

fn configuration() -> Value {
    let leases = format!("{DIRECTORY}/leases");
    let backups = format!("{DIRECTORY}/tuning");
    json!({
        "cniVersion": "1.1.0",
        "name": NETWORK,
        "plugins": [
            {
                "type": "bridge",
                "bridge": "demo0",
                "isDefaultGateway": true,
                "ipMasq": true,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "dataDir": leases,
                    "ranges": [[{"subnet": "10.89.0.0/24"}], [{"subnet": "fd89::/64"}]],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
            {"type": "firewall"},
            {"type": "tuning", "dataDir": backups, "sysctl": {"net.core.somaxconn": "512"}},
        ],
    })
}

/// The second container publishes a port.
fn capabilities(container: &str) -> Map<String, Value> {
    let mut capabilities = Map::new();
    if container == CONTAINERS[1] {
        let mapping = json!([{"hostPort": PUBLISHED, "containerPort": PORT, "protocol": "tcp"}]);
        capabilities.insert("portMappings".to_owned(), mapping);
    }
    capabilities
}
