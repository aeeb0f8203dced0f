//! One call of one plugin of a chain: which file, which variables, which input.
//!
//! It must never decide what happens after a failure.

use std::time::Duration;

use ropewalk_cni::args::format_args;
use ropewalk_cni::names::{check_container_id, check_network_name};
use ropewalk_cni::{
    CniError, CniResult, Command, NetworkList, PluginConfig, ValidAttachments, Version,
    check_interface_name, find_plugin,
};
use serde_json::{Value, json};

use crate::error::PluginFailure;
use crate::exec::{Execute, Finished, Invocation};
use crate::runtime::{Attachment, in_list_version};

/// A plugin of a list, and what it is to do.
pub(crate) struct Call<'a, E> {
    pub(crate) execute: &'a E,
    pub(crate) paths: &'a [String],
    pub(crate) deadline: Duration,
    pub(crate) verb: Command,
    pub(crate) list: &'a NetworkList,
    pub(crate) plugin: &'a PluginConfig,
}

impl<E: Execute> Call<'_, E> {
    /// Checks that the plugin is there and the names are ones it may be asked about.
    pub(crate) fn require_ready(&self, attachment: &Attachment) -> Result<(), Box<PluginFailure>> {
        self.find()?;
        self.check_names(attachment).map_err(|error| self.failure(error))
    }

    /// Runs ADD; the answer is the result, and the same in the list's version.
    pub(crate) fn add(
        &self,
        attachment: &Attachment,
        previous: Option<&Value>,
    ) -> Result<(CniResult, Value), Box<PluginFailure>> {
        let stdin = self.list.plugin_stdin(self.plugin, previous, &attachment.capability_args);
        let finished = self.run(self.find()?, self.variables(attachment), stdin);
        let result = finished.result(&self.list.cni_version);
        let converted = result.and_then(|result| {
            let value = in_list_version(self.list, &result)?;
            Ok((result, value))
        });
        converted.map_err(|error| self.failure_of(error, &finished))
    }

    /// Runs CHECK, DEL or STATUS.
    pub(crate) fn quiet(
        &self,
        attachment: &Attachment,
        previous: Option<&Value>,
    ) -> Result<(), Box<PluginFailure>> {
        let stdin = self.list.plugin_stdin(self.plugin, previous, &attachment.capability_args);
        let finished = self.run(self.find()?, self.variables(attachment), stdin);
        finished.quiet().map_err(|error| self.failure_of(error, &finished))
    }

    /// Runs GC with the attachments that are valid, if they are known.
    pub(crate) fn gc(&self, valid: Option<&ValidAttachments>) -> Result<(), Box<PluginFailure>> {
        let stdin = self.list.gc_stdin(self.plugin, valid);
        let variables = self.variables(&Attachment::default());
        let finished = self.run(self.find()?, variables, stdin);
        finished.quiet().map_err(|error| self.failure_of(error, &finished))
    }

    /// Runs VERSION. Old plugins want the other variables even then.
    pub(crate) fn versions(&self) -> Result<Vec<String>, Box<PluginFailure>> {
        let stdin = json!({ "cniVersion": Version::NEWEST.as_str() }).to_string();
        let variables = self.variables(&Attachment::new("dummy", "dummy", "dummy"));
        let finished = self.run(self.find()?, variables, stdin);
        finished.versions().map_err(|error| self.failure_of(error, &finished))
    }

    fn find(&self) -> Result<String, Box<PluginFailure>> {
        let is_file = |path: &str| self.execute.is_file(path);
        find_plugin(&self.plugin.plugin_type, self.paths, is_file)
            .map_err(|error| self.failure(error))
    }

    fn check_names(&self, attachment: &Attachment) -> Result<(), CniError> {
        check_container_id(&attachment.container_id)?;
        check_network_name(&self.list.name)?;
        check_interface_name(&attachment.ifname)
    }

    /// All variables are always set, so that none of this process's own shines through.
    fn variables(&self, attachment: &Attachment) -> Vec<(&'static str, String)> {
        vec![
            ("CNI_COMMAND", self.verb.as_str().to_owned()),
            ("CNI_CONTAINERID", attachment.container_id.clone()),
            ("CNI_NETNS", attachment.netns.clone()),
            ("CNI_ARGS", format_args(&attachment.args)),
            ("CNI_IFNAME", attachment.ifname.clone()),
            ("CNI_PATH", self.paths.join(":")),
        ]
    }

    fn run(
        &self,
        program: String,
        variables: Vec<(&'static str, String)>,
        stdin: String,
    ) -> Finished {
        let deadline = self.deadline;
        self.execute.execute(&Invocation { program, variables, stdin, deadline })
    }

    fn failure(&self, error: CniError) -> Box<PluginFailure> {
        PluginFailure::new(self.verb, self.plugin, error)
    }

    fn failure_of(&self, error: CniError, finished: &Finished) -> Box<PluginFailure> {
        let stderr = String::from_utf8_lossy(&finished.stderr).into_owned();
        Box::new(PluginFailure { stderr, ..*self.failure(error) })
    }
}
