//! Docker in a laboratory: a daemon of its own, whose images, containers and networks are there.

use ropewalk_e2e::{Lab, Process};
use serde_json::json;

use super::image::{archive, require};
use super::reaper::Reaper;

/// Where everything of Docker's is that has no fixed place.
const HOME: &str = "/run/lab/docker";

/// The name under which the daemon's log is.
const LOG: &str = "/run/lab/docker/log";

/// A running daemon with one image.
pub(crate) struct Docker<'lab> {
    lab: &'lab Lab,
    // The order in which they end: what the daemon leaves is ended after it.
    _daemon: Process,
    _reaper: Reaper,
}

impl<'lab> Docker<'lab> {
    /// Starts the daemon.
    pub(crate) fn new(lab: &'lab Lab) -> Self {
        require(&[("dockerd", "docker.io"), ("docker", "docker.io"), ("containerd", "containerd")]);
        let reaper = Reaper::new(lab);
        // A control group called as Docker's own tells whose the containers are.
        let configuration = json!({
            "cgroup-parent": format!("/{}/docker", reaper.cgroup()),
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
            "deprecated-key-path": format!("{HOME}/key.json"),
            "hosts": [format!("unix://{HOME}/socket")],
            "pidfile": format!("{HOME}/pid"),
        });
        lab.write(&format!("{HOME}/daemon.json"), &configuration.to_string());
        // Containers are described in a fixed place.
        lab.sh("mkdir -p /var/lib/docker && mount -t tmpfs -o mode=711 tmpfs /var/lib/docker");
        let words = ["/usr/sbin/dockerd", "--config-file", &format!("{HOME}/daemon.json")];
        let daemon = Process::start(lab, "docker.io", &words, LOG);
        let docker = Self { lab, _daemon: daemon, _reaper: reaper };
        lab.wait_until("Docker answers", || docker.try_run("version").is_ok());
        docker.run(&format!("load -q -i {}", archive(lab)));
        docker
    }

    /// Runs `docker` with arguments as a shell reads them, asserts success and answers its output.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &str) -> String {
        self.try_run(arguments)
            .unwrap_or_else(|error| panic!("docker failed: {error}\n{}", self.lab.read(LOG)))
    }

    fn try_run(&self, arguments: &str) -> Result<String, String> {
        let outcome = self.lab.try_sh(&format!(
            "export DOCKER_HOST=unix://{HOME}/socket DOCKER_CONFIG={HOME}/client
             timeout -k 1 60 docker {arguments}"
        ));
        match outcome.code {
            0 => Ok(outcome.stdout.trim_end().to_owned()),
            _ => Err(outcome.to_string()),
        }
    }

    /// The namespace of a container, by the name of its file and by its path.
    #[track_caller]
    pub(crate) fn netns(&self, container: &str) -> (String, String) {
        let path =
            self.run(&format!("inspect -f '{{{{.NetworkSettings.SandboxKey}}}}' {container}"));
        let file = path.rsplit('/').next().unwrap_or_default();
        (file.to_owned(), format!("/run/docker/netns/{file}"))
    }
}
