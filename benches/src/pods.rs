//! The whole pod: `podman run --rm` with the plugins of each contestant, and without a network,
//! which is what would be left if networking cost nothing.
//!
//! All of podman's state is on private mounts; its control groups are the machine's, below one of
//! this process's own, which is removed at the end.

use std::{
    fs,
    path::Path,
    process::{self, Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    Outcome,
    call::{self, Cost},
    console::tell,
    contestant::{Contestant, FLOOR},
    failed,
    host::{Host, Machine, run},
    report::{cpu, wall},
    statistics::Summary,
    sys,
};

/// Where everything of podman's is.
const HOME: &str = "/run/bench/podman";
const ARCHIVE: &str = "/run/bench/podman/image.tar";
const POLICY: &str = "/run/bench/podman/policy.json";
const IMAGE: &str = "localhost/box:1";

/// What a pod took, round by round.
#[derive(Clone, Debug)]
pub struct Pods {
    /// Whose plugins it had; those of the floor are pods without a network.
    pub contestant: &'static str,
    /// In every round.
    pub costs: Vec<Cost>,
}

/// Podman on a host of its own.
struct Engine {
    contestant: &'static str,
    host: Host,
    home: String,
    network: &'static str,
}

/// Measures pods of each contestant, in turn.
pub fn measure(machine: &Machine, contestants: &[Contestant], rounds: usize) -> Outcome<Vec<Pods>> {
    make_image()?;
    // What podman remembers of images has a fixed place.
    fs::create_dir_all("/var/lib/containers").map_err(failed("/var/lib/containers"))?;
    sys::cover("/var/lib/containers").map_err(failed("/var/lib/containers"))?;
    let engines = contestants.iter().map(|contestant| Engine::new(machine, contestant));
    let engines = engines.collect::<Outcome<Vec<Engine>>>()?;
    tell(&format!("pods: {rounds} rounds"));
    let all = run_rounds(&engines, rounds);
    remove_groups(Path::new("/sys/fs/cgroup"));
    engines.into_iter().try_for_each(|engine| machine.remove(engine.host))?;
    all
}

fn run_rounds(engines: &[Engine], rounds: usize) -> Outcome<Vec<Pods>> {
    let pods = |engine: &Engine| Pods { contestant: engine.contestant, costs: Vec::new() };
    let mut all: Vec<Pods> = engines.iter().map(pods).collect();
    for round in 0..=rounds {
        for place in 0..engines.len() {
            let index = (round + place) % engines.len();
            let cost = engines[index].run_pod()?;
            // The first pod finds nothing there, and makes what others share.
            if round > 0 {
                all[index].costs.push(cost);
            }
        }
    }
    Ok(all)
}

impl Engine {
    fn new(machine: &Machine, contestant: &Contestant) -> Outcome<Self> {
        let host = machine.host(&format!("pods-{}", contestant.name), "")?;
        let home = format!("{HOME}/{}", contestant.name);
        fs::create_dir_all(format!("{home}/networks")).map_err(failed(&home))?;
        let plugins = &contestant.directory;
        let engine = format!(
            "[containers]\nlog_driver = \"k8s-file\"\ndefault_ulimits = []\n\
             [network]\nnetwork_backend = \"cni\"\ncni_plugin_dirs = [\"{plugins}\"]\n\
             network_config_dir = \"{home}/networks\"\n\
             [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n\
             runtime = \"runc\"\nlock_type = \"file\"\ntmp_dir = \"{home}/tmp\"\n"
        );
        let storage = format!(
            "[storage]\ndriver = \"overlay\"\ngraphroot = \"{home}/root\"\n\
             runroot = \"{home}/runroot\"\n"
        );
        for (name, text) in [("containers.conf", engine), ("storage.conf", storage)] {
            fs::write(format!("{home}/{name}"), text).map_err(failed(name))?;
        }
        let network = if contestant.name == FLOOR { "none" } else { "podman" };
        let engine = Self { contestant: contestant.name, host, home, network };
        engine.podman(&["load", "-q", "--signature-policy", POLICY, "-i", ARCHIVE])?;
        Ok(engine)
    }

    fn run_pod(&self) -> Outcome<Cost> {
        let group = format!("/{}", group());
        let mut words = vec!["run", "--rm", "--cgroup-parent", &group, "--network", self.network];
        if self.network != "none" {
            words.extend(["-p", "8080:80"]);
        }
        words.extend([IMAGE, "/bin/busybox", "true"]);
        self.podman(&words)
    }

    fn podman(&self, words: &[&str]) -> Outcome<Cost> {
        self.host.enter()?;
        let mut command = Command::new("podman");
        command.env("CONTAINERS_CONF", format!("{}/containers.conf", self.home));
        command.env("CONTAINERS_STORAGE_CONF", format!("{}/storage.conf", self.home));
        command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let called = call::run(&mut command, "")?;
        if called.is_success { Ok(called.cost) } else { Err(format!("{command:?} failed")) }
    }
}

/// The name of the control group that all pods are below.
fn group() -> String {
    format!("ropewalk-bench-{}", process::id())
}

/// Removes the control groups of pods, in every hierarchy; podman leaves the upper ones.
fn remove_groups(root: &Path) {
    let own = group();
    let hierarchies = fs::read_dir(root).into_iter().flatten().flatten();
    for hierarchy in hierarchies.map(|entry| entry.path()).chain([root.to_owned()]) {
        remove_tree(&hierarchy.join(&own));
    }
}

fn remove_tree(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    // One that is in use by a process stays, and is the machine's no more than ours.
    let _ = fs::remove_dir(directory);
}

/// Writes an image with `busybox` alone, as `docker save` does.
fn make_image() -> Outcome<()> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    run(&format!(
        r#"mkdir -p {HOME}/root/bin
        cd {HOME}
        cp "$(command -v busybox)" root/bin/busybox
        tar -C root -cf layer.tar .
        sum=$(sha256sum layer.tar | cut -d' ' -f1)
        echo '{{"architecture":"{architecture}","os":"linux","config":{{}},
            "rootfs":{{"type":"layers","diff_ids":["sha256:'$sum'"]}}}}' >config.json
        echo '[{{"Config":"config.json","RepoTags":["{IMAGE}"],"Layers":["layer.tar"]}}]' \
            >manifest.json
        echo '{{"default":[{{"type":"insecureAcceptAnything"}}]}}' >{POLICY}
        tar -cf {ARCHIVE} manifest.json config.json layer.tar"#
    ))
}

impl Pods {
    /// What a pod takes, in milliseconds by the clock.
    pub fn wall(&self) -> Summary {
        Summary::of(self.costs.iter().map(wall))
    }

    /// What a pod takes, in milliseconds of processors.
    pub fn cpu(&self) -> Summary {
        Summary::of(self.costs.iter().map(cpu))
    }

    /// For machines.
    pub fn to_json(&self) -> Value {
        let (wall, cpu) = (self.wall().to_json(), self.cpu().to_json());
        json!({ "contestant": self.contestant, "wall_ms": wall, "cpu_ms": cpu })
    }
}
