//! A containerd of its own in a laboratory, with `ctr`; configurations and plugins are where `ctr`
//! looks for them, `/etc/cni/net.d` and `/opt/cni/bin`.

use std::fs::File;
use std::process::{Child, Stdio};

use ropewalk_e2e::{Lab, Outcome, Value};

use super::image::{archive, require};
use super::reaper::Reaper;

/// Where everything of containerd's is.
pub(crate) const HOME: &str = "/run/lab/containerd";

/// The name under which containerd's log is.
const LOG: &str = "/run/lab/containerd/log";

/// A running containerd with one image in one of its namespaces.
pub(crate) struct Containerd<'lab> {
    lab: &'lab Lab,
    reaper: Reaper,
    daemon: Child,
    namespace: String,
}

impl<'lab> Containerd<'lab> {
    /// Starts containerd with one network, and puts the image into a containerd namespace; the
    /// laboratory's own if none is named.
    pub(crate) fn new(lab: &'lab Lab, list: &Value, namespace: Option<&str>) -> Self {
        require(&[("containerd", "containerd"), ("ctr", "containerd"), ("runc", "runc")]);
        lab.sh(&format!(
            "mount -t tmpfs -o mode=755 tmpfs /opt
             mkdir -p /opt/cni/bin
             ln -s {}/* /opt/cni/bin/",
            lab.plugin_directory()
        ));
        lab.write("/etc/cni/net.d/10-net.conflist", &list.to_string());
        lab.write(&format!("{HOME}/config.toml"), &configuration());
        let log = File::create(lab.outside(LOG)).expect("the laboratory can be written to");
        let mut command = lab.enter();
        command.args(["containerd", "-c", &format!("{HOME}/config.toml")]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let reaper = Reaper::new(lab);
        let daemon = command.spawn().expect("nsenter is installed");
        let namespace = namespace.unwrap_or(reaper.cgroup()).to_owned();
        let containerd = Self { lab, reaper, daemon, namespace };
        lab.wait_until("containerd answers", || containerd.try_ctr("version").code == 0);
        containerd.ctr(&format!("images import {}", archive(lab)));
        containerd
    }

    /// Where containerd listens.
    pub(crate) fn socket() -> String {
        format!("{HOME}/socket")
    }

    /// The control group that containers are to be put under.
    pub(crate) fn cgroup(&self) -> &str {
        self.reaper.cgroup()
    }

    /// A `ctr` command line for the shell.
    fn command_line(&self, arguments: &str) -> String {
        format!("ctr -a {} -n {} {arguments}", Self::socket(), self.namespace)
    }

    /// Runs `ctr` with arguments as a shell reads them, asserts success and answers its output.
    #[track_caller]
    pub(crate) fn ctr(&self, arguments: &str) -> String {
        let outcome = self.try_ctr(arguments);
        assert_eq!(outcome.code, 0, "ctr failed: {outcome}\n{}", self.log());
        outcome.stdout.trim_end().to_owned()
    }

    /// Runs `ctr`.
    pub(crate) fn try_ctr(&self, arguments: &str) -> Outcome {
        self.lab.try_sh(&format!("timeout -k 1 30 {}", self.command_line(arguments)))
    }

    /// What containerd has said lately.
    pub(crate) fn log(&self) -> String {
        let log = self.lab.read(LOG);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Starts `ctr` without waiting for its end.
    pub(crate) fn start_ctr(&self, arguments: &str) -> Child {
        let mut command = self.lab.enter();
        command.args(["sh", "-c", &format!("exec {}", self.command_line(arguments))]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().expect("nsenter is installed")
    }

    /// Asserts that nothing but containerd itself runs.
    #[track_caller]
    pub(crate) fn nothing_left(&self) {
        let daemon = i32::try_from(self.daemon.id()).expect("a process id");
        self.lab.wait_until("containers and shims end", || self.reaper.strays() == [daemon]);
        assert_eq!(
            self.lab.list("/run/netns").iter().filter(|it| it.starts_with("cni-")).count(),
            0
        );
    }
}

impl Drop for Containerd<'_> {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

fn configuration() -> String {
    format!(
        r#"version = 2
root = "{HOME}/root"
state = "{HOME}/state"
[grpc]
address = "{HOME}/socket"
[ttrpc]
address = "{HOME}/socket.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
path = "{HOME}/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{IMAGE}"
restrict_oom_score_adj = true
disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/opt/cni/bin"
conf_dir = "/etc/cni/net.d"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"#,
        IMAGE = super::image::IMAGE,
    )
}
