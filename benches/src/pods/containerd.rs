//! `RunPodSandbox`, and stopping and removing it, as the kubelet asks for them.

use std::{
    fs::{self, File},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    Pods, cri,
    image::{ARCHIVE, IMAGE},
};
use crate::{
    Outcome,
    call::{self, Cost},
    console::tell,
    contestant::{Contestant, FLOOR},
    failed,
    host::{Host, Machine},
    scenario::Scenario,
};

/// Where everything of containerd's is.
const HOME: &str = "/run/bench/containerd";

/// How long a daemon may take to answer at first.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);

/// A containerd on a host of its own. It ends when it is dropped.
struct Engine {
    host: Option<Host>,
    home: String,
    daemon: Child,
    pod: fn(&str) -> Vec<u8>,
}

/// Measures pods of each contestant, in turn.
pub(super) fn measure(
    machine: &Machine,
    contestants: &[Contestant],
    rounds: usize,
) -> Outcome<Vec<Pods>> {
    let engines = contestants.iter().map(|contestant| Engine::new(machine, contestant));
    let mut engines = engines.collect::<Outcome<Vec<Engine>>>()?;
    tell(&format!("containerd: {rounds} rounds"));
    let mut makings = Pods::new("RunPodSandbox", contestants);
    let mut removals = Pods::new("stop and remove it", contestants);
    for round in 0..=rounds {
        for place in 0..engines.len() {
            let index = (round + place) % engines.len();
            let (making, removal) = engines[index].run_pod(round)?;
            // The first pod finds nothing there, and makes what others share.
            if round > 0 {
                makings.of[index].1.push(making);
                removals.of[index].1.push(removal);
            }
        }
    }
    let hosts: Vec<Host> = engines.iter_mut().filter_map(|engine| engine.host.take()).collect();
    drop(engines);
    call::settle()?;
    hosts.into_iter().try_for_each(|host| machine.remove(host))?;
    Ok(vec![makings, removals])
}

impl Engine {
    fn new(machine: &Machine, contestant: &Contestant) -> Outcome<Self> {
        let host = machine.host(&format!("containerd-{}", contestant.name), "")?;
        let home = format!("{HOME}/{}", contestant.name);
        fs::create_dir_all(format!("{home}/networks")).map_err(failed(&home))?;
        let network = format!("pods-{}", contestant.name);
        let plugins = Scenario::find("chain").map(|chain| chain.plugins(&network));
        let list = json!({ "cniVersion": "1.0.0", "name": network, "plugins": plugins });
        let list_file = format!("{home}/networks/10-net.conflist");
        fs::write(&list_file, list.to_string()).map_err(failed(&list_file))?;
        let configuration = configuration(&home, &contestant.directory);
        let file = format!("{home}/config.toml");
        fs::write(&file, configuration).map_err(failed(&file))?;
        let log = File::create(format!("{home}/log")).map_err(failed("log"))?;
        let daemon = Command::new("containerd")
            .args(["-c", &file])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(failed("containerd"))?;
        let is_floor = contestant.name == FLOOR;
        let pod = if is_floor { cri::pod_without_network } else { cri::pod };
        let engine = Self { host: Some(host), home, daemon, pod };
        engine.load_image()?;
        Ok(engine)
    }

    /// Imports the image as soon as the daemon answers.
    fn load_image(&self) -> Outcome<()> {
        let socket = format!("{}/socket", self.home);
        let begun = Instant::now();
        loop {
            let output = Command::new("ctr")
                .args(["-a", &socket, "-n", "k8s.io", "images", "import", ARCHIVE])
                .output()
                .map_err(failed("ctr"))?;
            if output.status.success() {
                return Ok(());
            }
            if begun.elapsed() > ANSWERS_WITHIN {
                return Err(format!("ctr: {}", String::from_utf8_lossy(&output.stderr)));
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Makes a pod and removes it; what either took.
    fn run_pod(&self, round: usize) -> Outcome<(Cost, Cost)> {
        let (id, make) = cri::run_pod(&self.home, &(self.pod)(&format!("pod-{round}")))?;
        let (_, stop) = cri::call(&self.home, "StopPodSandbox", &id)?;
        let (_, remove) = cri::call(&self.home, "RemovePodSandbox", &id)?;
        let cost = |wall| Cost { wall, cpu: Duration::ZERO };
        Ok((cost(make), cost(stop + remove)))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

fn configuration(home: &str, plugins: &str) -> String {
    format!(
        r#"version = 2
root = "{home}/root"
state = "{home}/state"
[grpc]
address = "{home}/socket"
[ttrpc]
address = "{home}/socket.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
path = "{home}/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{IMAGE}"
restrict_oom_score_adj = true
disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{plugins}"
conf_dir = "{home}/networks"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"#
    )
}
