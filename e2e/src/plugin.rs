//! Runs one plugin the way a runtime does: variables and standard input in, JSON out.
//!
//! A [`Plugin`] is a description that can be run many times; it has no defaults but `CNI_PATH`
//! (the plugins under test) and the system's `PATH`, so a test can leave out whatever it likes.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::{Lab, Outcome, patience};

/// No plugin may take longer; the slowest rightful one waits for duplicate address detection.
const DEADLINE: Duration = Duration::from_mins(1);

/// One plugin with its environment and configuration, ready to be run.
#[derive(Clone)]
#[must_use = "a plugin does nothing until it is run"]
pub struct Plugin<'lab> {
    lab: &'lab Lab,
    executable: String,
    /// A program that runs the plugin, with its arguments.
    runner: Vec<String>,
    variables: BTreeMap<String, String>,
    stdin: Vec<u8>,
    directory: String,
}

impl<'lab> Plugin<'lab> {
    pub(crate) fn new(lab: &'lab Lab, executable: String) -> Self {
        let plugin = Self {
            lab,
            executable,
            runner: Vec::new(),
            variables: BTreeMap::new(),
            stdin: Vec::new(),
            directory: "/".to_owned(),
        };
        plugin
            .variable("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .variable("CNI_PATH", lab.plugin_directory())
    }

    /// Runs another program in place of the plugin, a wrapper around it for one.
    pub fn program(mut self, path: &str) -> Self {
        path.clone_into(&mut self.executable);
        self
    }

    /// Runs the plugin by another program, which takes it as its last argument.
    pub fn by(mut self, runner: &[&str]) -> Self {
        self.runner = runner.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// Sets an environment variable; the plugin sees no others than those set here.
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Removes an environment variable.
    pub fn without(mut self, name: &str) -> Self {
        self.variables.remove(name);
        self
    }

    /// Sets `CNI_COMMAND`.
    pub fn command(self, verb: &str) -> Self {
        self.variable("CNI_COMMAND", verb)
    }

    /// Sets `CNI_CONTAINERID`.
    pub fn container(self, id: &str) -> Self {
        self.variable("CNI_CONTAINERID", id)
    }

    /// Sets `CNI_NETNS` to a path.
    pub fn netns(self, path: &str) -> Self {
        self.variable("CNI_NETNS", path)
    }

    /// Sets `CNI_IFNAME`.
    pub fn ifname(self, name: &str) -> Self {
        self.variable("CNI_IFNAME", name)
    }

    /// Sets `CNI_ARGS`.
    pub fn args(self, pairs: &str) -> Self {
        self.variable("CNI_ARGS", pairs)
    }

    /// Sets `CNI_PATH`.
    pub fn path(self, directories: &str) -> Self {
        self.variable("CNI_PATH", directories)
    }

    /// The usual attachment: container id and namespace of this name, interface `eth0`.
    pub fn on(self, container: &str) -> Self {
        let netns = Lab::netns_path(container);
        self.container(container).netns(&netns).ifname("eth0")
    }

    /// Sets the network configuration.
    #[expect(clippy::needless_pass_by_value, reason = "callers write a json! literal")]
    pub fn config(self, config: Value) -> Self {
        let text = config.to_string();
        self.stdin(&text)
    }

    /// Sets standard input to any text.
    pub fn stdin(mut self, text: &str) -> Self {
        self.stdin = text.as_bytes().to_vec();
        self
    }

    /// Puts a `prevResult` into the configuration.
    pub fn previous(self, result: &Value) -> Self {
        self.key("prevResult", result)
    }

    /// Puts one more top level key into the configuration.
    pub fn key(self, key: &str, value: &Value) -> Self {
        let mut config: Value = serde_json::from_slice(&self.stdin).expect("configuration is JSON");
        config[key] = value.clone();
        self.config(config)
    }

    /// Sets the working directory.
    pub fn directory(mut self, path: &str) -> Self {
        path.clone_into(&mut self.directory);
        self
    }

    /// Runs ADD.
    pub fn add(&self) -> Outcome {
        self.clone().command("ADD").run()
    }

    /// Runs CHECK with the result of ADD.
    pub fn check(&self, result: &Value) -> Outcome {
        self.clone().command("CHECK").previous(result).run()
    }

    /// Runs DEL with the result of ADD.
    pub fn del(&self, result: &Value) -> Outcome {
        self.clone().command("DEL").previous(result).run()
    }

    /// Runs DEL without a `prevResult`.
    pub fn del_without_result(&self) -> Outcome {
        self.clone().command("DEL").run()
    }

    /// Runs GC with a list of `(container id, interface name)` that are still valid.
    pub fn gc(&self, valid: &[(&str, &str)]) -> Outcome {
        let valid: Vec<Value> = valid
            .iter()
            .map(|(id, ifname)| serde_json::json!({ "containerID": id, "ifname": ifname }))
            .collect();
        self.clone().command("GC").key("cni.dev/valid-attachments", &Value::Array(valid)).run()
    }

    /// Runs STATUS.
    pub fn status(&self) -> Outcome {
        self.clone().command("STATUS").run()
    }

    /// Runs it with whatever `CNI_COMMAND` is set.
    pub fn run(&self) -> Outcome {
        self.start().finish()
    }

    /// Starts it without waiting for its end.
    pub fn start(&self) -> Running {
        let mut command = self.process();
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut stdin = child.stdin.take().expect("standard input is a pipe");
        // A plugin may end without reading its input, VERSION for one.
        let _ = stdin.write_all(&self.stdin);
        Running { child, what: self.describe() }
    }

    fn process(&self) -> Command {
        let mut command = self.lab.enter();
        command.args(["/usr/bin/env", "-C", &self.directory]);
        let seconds = patience(DEADLINE).as_secs().to_string();
        command.args(["/usr/bin/timeout", "--foreground", "-k", "1", &seconds]);
        command.args(&self.runner).arg(&self.executable);
        command.env_clear().envs(&self.variables);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn describe(&self) -> String {
        let variables: Vec<String> = self
            .variables
            .iter()
            .filter(|(name, _)| name.starts_with("CNI_"))
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        let stdin = String::from_utf8_lossy(&self.stdin);
        format!("{} {} <<< {stdin}", variables.join(" "), self.executable)
    }
}

/// A plugin that was started and has not been waited for.
pub struct Running {
    child: Child,
    what: String,
}

impl Running {
    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_some()
    }

    /// Waits for its end.
    pub fn finish(self) -> Outcome {
        let output = self.child.wait_with_output().expect("a child can be waited for");
        Outcome::new(self.what, &output)
    }
}
