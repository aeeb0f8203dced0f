//! `podman run --rm` of a program that does nothing, on podman's own network with one port.

use std::{
    fs,
    process::{Command, Stdio},
};

use super::{
    Pods,
    image::{ARCHIVE, IMAGE, group},
};
use crate::{
    Outcome,
    call::{self, Cost},
    console::tell,
    contestant::{Contestant, FLOOR},
    failed,
    host::{Host, Machine},
    sys,
};

/// Where everything of podman's is.
const HOME: &str = "/run/bench/podman";
const POLICY: &str = "/run/bench/podman/policy.json";

/// Podman on a host of its own.
struct Engine {
    host: Host,
    home: String,
    network: &'static str,
}

/// Measures pods of each contestant, in turn.
pub(super) fn measure(
    machine: &Machine,
    contestants: &[Contestant],
    rounds: usize,
) -> Outcome<Pods> {
    // What podman remembers of images has a fixed place.
    fs::create_dir_all("/var/lib/containers").map_err(failed("/var/lib/containers"))?;
    sys::cover("/var/lib/containers").map_err(failed("/var/lib/containers"))?;
    let engines = contestants.iter().map(|contestant| Engine::new(machine, contestant));
    let engines = engines.collect::<Outcome<Vec<Engine>>>()?;
    tell(&format!("podman: {rounds} rounds"));
    let mut pods = Pods::new("podman run --rm", contestants);
    for round in 0..=rounds {
        for place in 0..engines.len() {
            let index = (round + place) % engines.len();
            let cost = engines[index].run_pod()?;
            // The first pod finds nothing there, and makes what others share.
            if round > 0 {
                pods.of[index].1.push(cost);
            }
        }
    }
    engines.into_iter().try_for_each(|engine| machine.remove(engine.host))?;
    Ok(pods)
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
        let policy = r#"{ "default": [{ "type": "insecureAcceptAnything" }] }"#;
        fs::write(POLICY, policy).map_err(failed(POLICY))?;
        let network = if contestant.name == FLOOR { "none" } else { "podman" };
        let engine = Self { host, home, network };
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
