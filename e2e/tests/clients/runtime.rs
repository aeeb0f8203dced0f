//! The `ropewalk` command, driving plugins from a directory of the test's choice.

use ropewalk_e2e::{Lab, Outcome, Value, command_path};

use super::packaged;

/// The `ropewalk` command with one network.
#[derive(Clone)]
pub(crate) struct Runtime<'lab> {
    lab: &'lab Lab,
    plugins: String,
    capabilities: String,
}

impl<'lab> Runtime<'lab> {
    /// With plugins from these directories.
    pub(crate) fn new(lab: &'lab Lab, plugins: &str) -> Self {
        Self { lab, plugins: plugins.to_owned(), capabilities: String::new() }
    }

    /// With the reference plugins of Debian.
    #[track_caller]
    pub(crate) fn packaged(lab: &'lab Lab) -> Self {
        packaged::require_them();
        Self::new(lab, packaged::DIRECTORY)
    }

    /// With the plugins under test.
    pub(crate) fn ours(lab: &'lab Lab) -> Self {
        Self::new(lab, lab.plugin_directory())
    }

    /// With values for capabilities.
    pub(crate) fn capabilities(mut self, values: &Value) -> Self {
        self.capabilities = values.to_string();
        self
    }

    /// Runs one verb for a network, as `cnitool` would be: the container is a named namespace.
    pub(crate) fn run(&self, verb: &str, network: &str, container: &str) -> Outcome {
        let Self { lab, plugins, capabilities } = self;
        lab.try_sh(&format!(
            "NETCONFPATH=/etc/cni/net.d CNI_PATH={plugins} CAP_ARGS='{capabilities}' \
             timeout -k 1 60 {} {verb} {network} {}",
            command_path().display(),
            Lab::netns_path(container)
        ))
    }

    /// Attaches a container, and answers the result.
    #[track_caller]
    pub(crate) fn add(&self, network: &str, container: &str) -> Value {
        self.run("add", network, container).result()
    }

    /// Runs a verb that answers nothing.
    #[track_caller]
    pub(crate) fn quiet(&self, verb: &str, network: &str, container: &str) {
        self.run(verb, network, container).silent();
    }
}
