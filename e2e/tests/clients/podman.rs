//! Podman in a laboratory: all of its state is there, its plugins are those under test.

use ropewalk_e2e::{Lab, Outcome, Value};

use super::image::{IMAGE, SERVER, archive, listens, parse_who, require, who};
use super::reaper::Reaper;

/// Where everything of podman's is.
const HOME: &str = "/run/lab/podman";

/// Where podman keeps the networks that it made.
pub(crate) const NETWORKS: &str = "/run/lab/podman/networks";

/// Podman, with one image.
pub(crate) struct Podman<'lab> {
    lab: &'lab Lab,
    reaper: Reaper,
}

impl<'lab> Podman<'lab> {
    /// Sets podman up with plugins from this directory.
    pub(crate) fn new(lab: &'lab Lab, plugin_directory: &str) -> Self {
        require(&[("podman", "podman"), ("runc", "runc"), ("conmon", "conmon")]);
        lab.write(
            &format!("{HOME}/containers.conf"),
            &format!(
                "[containers]\nlog_driver = \"k8s-file\"\ndefault_ulimits = []\n\
                 [network]\nnetwork_backend = \"cni\"\n\
                 cni_plugin_dirs = [\"{plugin_directory}\"]\n\
                 network_config_dir = \"{NETWORKS}\"\n\
                 [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n\
                 runtime = \"runc\"\nlock_type = \"file\"\ntmp_dir = \"{HOME}/tmp\"\n"
            ),
        );
        lab.write(
            &format!("{HOME}/storage.conf"),
            &format!(
                "[storage]\ndriver = \"overlay\"\ngraphroot = \"{HOME}/root\"\n\
                 runroot = \"{HOME}/runroot\"\n"
            ),
        );
        lab.write(
            &format!("{HOME}/policy.json"),
            r#"{ "default": [{ "type": "insecureAcceptAnything" }] }"#,
        );
        // What podman remembers of images has a fixed place.
        lab.sh(&format!(
            "mkdir -p {NETWORKS} /var/lib/containers
             mount -t tmpfs -o mode=755 tmpfs /var/lib/containers"
        ));
        let podman = Self { lab, reaper: Reaper::new(lab) };
        let image = archive(lab);
        podman.run(&format!("load -q --signature-policy {HOME}/policy.json -i {image}"));
        podman
    }

    /// Runs podman with arguments as a shell reads them, asserts success and answers its output.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &str) -> String {
        let outcome = self.try_run(arguments);
        assert_eq!(outcome.code, 0, "podman failed: {outcome}");
        outcome.stdout.trim_end().to_owned()
    }

    /// Runs podman.
    pub(crate) fn try_run(&self, arguments: &str) -> Outcome {
        self.lab.try_sh(&format!(
            "export CONTAINERS_CONF={HOME}/containers.conf \
             CONTAINERS_STORAGE_CONF={HOME}/storage.conf; timeout -k 1 60 podman {arguments}"
        ))
    }

    /// What podman answers as JSON.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &str) -> Value {
        let answer = self.run(arguments);
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    /// Starts a container in the background, with its name as host name.
    #[track_caller]
    pub(crate) fn start(&self, name: &str, options: &str, command: &str) {
        let outcome = self.try_start(name, options, command);
        assert_eq!(outcome.code, 0, "podman failed: {outcome}");
    }

    /// Starts a container in the background if that is possible.
    pub(crate) fn try_start(&self, name: &str, options: &str, command: &str) -> Outcome {
        let group = self.reaper.cgroup();
        self.try_run(&format!(
            "run -d --name {name} --hostname {name} --stop-signal KILL --cap-add NET_RAW \
             --cgroup-parent /{group} {options} {IMAGE} {command}"
        ))
    }

    /// Starts a container with the server, and waits until it listens.
    #[track_caller]
    pub(crate) fn serve(&self, name: &str, options: &str) {
        self.start(name, options, SERVER);
        self.listens(name);
    }

    /// Waits until the server in a container listens.
    #[track_caller]
    pub(crate) fn listens(&self, name: &str) {
        listens(self.lab, &Lab::netns_path(&self.netns(name)));
    }

    /// The address of a container in a network, as podman tells it.
    #[track_caller]
    pub(crate) fn address(&self, container: &str, network: &str) -> String {
        let inspected = self.json(&format!("inspect {container}"));
        let address = &inspected[0]["NetworkSettings"]["Networks"][network]["IPAddress"];
        let text = address.as_str().unwrap_or_default();
        assert!(!text.is_empty(), "{container} has no address in {network}: {inspected:#}");
        text.to_owned()
    }

    /// The name of a container's network namespace.
    #[track_caller]
    pub(crate) fn netns(&self, container: &str) -> String {
        let path =
            self.run(&format!("inspect -f '{{{{.NetworkSettings.SandboxKey}}}}' {container}"));
        let name = path.rsplit('/').next().unwrap_or_default();
        assert!(self.lab.exists(&Lab::netns_path(name)), "{container} has no namespace: {path}");
        name.to_owned()
    }

    /// Asserts that one container can ping an address.
    #[track_caller]
    pub(crate) fn ping(&self, from: &str, address: &str) {
        self.run(&format!("exec {from} ping -c 1 -w 5 {address}"));
    }

    /// What the server at `address:port` tells a container: its own name and the client's address.
    #[track_caller]
    pub(crate) fn ask(&self, from: &str, server: &str) -> (String, String) {
        parse_who(&self.run(&format!("exec {from} {}", who(server))))
    }

    /// Asserts that no container, namespace or process of podman's is left.
    #[track_caller]
    pub(crate) fn nothing_left(&self) {
        assert_eq!(self.run("ps -a -q"), "");
        self.lab.wait_until("podman's processes end", || self.reaper.strays().is_empty());
        let names = self.lab.list("/run/netns");
        let left: Vec<&String> = names.iter().filter(|name| name.starts_with("netns-")).collect();
        assert!(left.is_empty(), "namespaces are left: {left:?}");
    }
}
