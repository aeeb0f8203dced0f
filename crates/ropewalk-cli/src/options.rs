//! Options that several subcommands share, with cnitool's environment variables, and what they
//! mean together.
//!
//! An empty variable is the same as none.

use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use clap::Args;
use ropewalk_cni::args::parse_args_for_runtime;
use ropewalk_cni::json::decode;
use ropewalk_cni::request::split_path;
use ropewalk_cni::{CacheEntry, CniError};
use ropewalk_runtime::{Attachment, Cache, ConfigDir, Network, Runtime};
use serde_json::{Map, Value};
use sha2::{Digest, Sha512};

use crate::failure::Failure;
use crate::output::Output;

/// Where networks are configured.
#[derive(Debug, Args)]
pub(crate) struct ConfigOptions {
    /// Folder with network configurations [default: /etc/cni/net.d]
    #[arg(long, value_name = "DIR", env = "NETCONFPATH", hide_env_values = true)]
    pub(crate) config_dir: Option<PathBuf>,
}

/// Where plugins are, and how they are run.
#[derive(Debug, Args)]
pub(crate) struct RuntimeOptions {
    #[command(flatten)]
    pub(crate) config: ConfigOptions,

    /// Folders with plugins, separated by colons or given several times
    #[arg(long, value_name = "DIR", env = "CNI_PATH", hide_env_values = true)]
    pub(crate) plugin_dir: Vec<String>,

    #[command(flatten)]
    pub(crate) cache: CacheOptions,

    /// Seconds after which a plugin is killed
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = seconds)]
    pub(crate) deadline: Duration,
}

/// Where attachments are on record.
#[derive(Debug, Args)]
pub(crate) struct CacheOptions {
    /// Folder with the records of attachments, shared with other runtimes
    #[arg(long, value_name = "DIR", default_value = ropewalk_runtime::DEFAULT_CACHE_DIR)]
    pub(crate) cache_dir: PathBuf,
}

/// Which attachment, and what plugins are told about it.
#[derive(Debug, Args)]
pub(crate) struct AttachmentOptions {
    /// Name of the interface inside the container [default: eth0]
    #[arg(short, long, value_name = "NAME", env = "CNI_IFNAME", hide_env_values = true)]
    pub(crate) ifname: Option<String>,

    /// Id of the container [default: made from the namespace's path, as cnitool does]
    #[arg(long, value_name = "ID")]
    pub(crate) container_id: Option<String>,

    /// Arguments for plugins, as "KEY=VALUE;KEY=VALUE"
    #[arg(long = "args", value_name = "PAIRS", env = "CNI_ARGS", hide_env_values = true)]
    pub(crate) cni_args: Option<String>,

    /// Values for capabilities that plugins declare, as a JSON object
    #[arg(long, value_name = "JSON", env = "CAP_ARGS", hide_env_values = true)]
    pub(crate) cap_args: Option<String>,
}

/// An attachment that should be on record.
#[derive(Debug, Args)]
pub(crate) struct RecordedOptions {
    /// Name of the network
    pub(crate) network: String,

    /// Path of the network namespace [default: what is on record for the container id]
    #[arg(required_unless_present = "container_id")]
    netns: Option<PathBuf>,

    #[command(flatten)]
    attachment: AttachmentOptions,

    #[command(flatten)]
    runtime: RuntimeOptions,
}

/// A positive number of seconds.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    let duration = Duration::try_from_secs_f64(number).map_err(|error| error.to_string())?;
    if duration.is_zero() { Err("must be more than nothing".to_owned()) } else { Ok(duration) }
}

impl ConfigOptions {
    pub(crate) fn directory(&self) -> ConfigDir {
        let given = self.config_dir.as_ref().filter(|path| !path.as_os_str().is_empty());
        given.map(ConfigDir::new).unwrap_or_default()
    }

    /// Finds a network, and warns about what was skipped.
    pub(crate) fn network(&self, name: &str, output: Output) -> Result<Network, Failure> {
        let found = self.directory().find(name);
        if let Err(ropewalk_runtime::FindError::NoSuchNetwork { skipped, .. }) = &found {
            warn_of_skipped(skipped, output);
        }
        let found = found.map_err(|error| Failure::of_find(&error))?;
        warn_of_skipped(&found.skipped, output);
        Ok(found.network)
    }
}

fn warn_of_skipped(skipped: &[ropewalk_runtime::Broken], output: Output) {
    for broken in skipped {
        output.warn(&format!("skipped {broken}"));
    }
}

impl RuntimeOptions {
    pub(crate) fn runtime(&self) -> Runtime {
        let paths = self.plugin_dir.iter().flat_map(|entry| split_path(entry)).collect();
        let runtime = Runtime::new(paths, self.cache.cache());
        Runtime { deadline: self.deadline, ..runtime }
    }
}

impl CacheOptions {
    pub(crate) fn cache(&self) -> Cache {
        Cache::new(&self.cache_dir)
    }

    /// What others have on record in folders of their own below ours, as Multus in `multus`. They
    /// delete their attachments themselves.
    pub(crate) fn others(&self) -> Result<Vec<Cache>, Failure> {
        let failed = |error| {
            Failure::failed(format!("failed to list {}: {error}", self.cache_dir.display()))
        };
        let folders = match fs::read_dir(&self.cache_dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            folders => folders.map_err(failed)?,
        };
        let caches = folders.map(|folder| folder.map(|folder| Cache::new(folder.path())));
        let mut caches = caches.collect::<Result<Vec<Cache>, _>>().map_err(failed)?;
        caches.retain(|cache| cache.results_directory().is_dir());
        Ok(caches)
    }

    /// The records of all attachments; one that cannot be read is warned of and passed over.
    pub(crate) fn records(&self, output: Output) -> Result<Vec<CacheEntry>, Failure> {
        let records = self.cache().records().map_err(|error| Failure::of_cache(&error))?;
        for (path, error) in &records.unreadable {
            output.warn(&format!("skipped {}, which is no record: {error}", path.display()));
        }
        Ok(records.entries)
    }
}

impl AttachmentOptions {
    /// The attachment that the options describe, for a namespace that may be gone.
    pub(crate) fn attachment(&self, netns: Option<&Path>) -> Result<Attachment, Failure> {
        let netns = netns.map(absolute).unwrap_or_default();
        let id =
            given(self.container_id.as_ref()).map_or_else(|| container_id(&netns), str::to_owned);
        let ifname = given(self.ifname.as_ref()).unwrap_or("eth0");
        let args = given(self.cni_args.as_ref()).unwrap_or_default();
        let args =
            parse_args_for_runtime(args).map_err(|error| not_understood("CNI_ARGS", &error))?;
        let capability_args = self.capability_args()?;
        Ok(Attachment { args, capability_args, ..Attachment::new(&id, &netns, ifname) })
    }

    fn capability_args(&self) -> Result<Map<String, Value>, Failure> {
        let Some(text) = given(self.cap_args.as_ref()) else { return Ok(Map::new()) };
        let refused = |reason: &str| not_understood("CAP_ARGS", &CniError::internal(reason));
        match decode(text.as_bytes()) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => Err(refused("not a JSON object")),
            Err(reason) => Err(refused(&reason)),
        }
    }

    /// As [`Self::attachment`], with what is on record where nothing was given, so that plugins
    /// get what they got at ADD.
    pub(crate) fn recorded_attachment(
        &self,
        netns: Option<&Path>,
        network: &Network,
        runtime: &Runtime,
    ) -> Result<Attachment, Failure> {
        let mut attachment = self.attachment(netns)?;
        let Some(record) = runtime.record(&network.list, &attachment) else {
            return Ok(attachment);
        };
        if netns.is_none() {
            attachment.netns = record.netns;
        }
        if given(self.cni_args.as_ref()).is_none() {
            attachment.args = record.cni_args;
        }
        if given(self.cap_args.as_ref()).is_none() {
            attachment.capability_args = record.capability_args;
        }
        Ok(attachment)
    }
}

impl RecordedOptions {
    /// Finds the network and the attachment.
    pub(crate) fn find(&self, output: Output) -> Result<(Runtime, Network, Attachment), Failure> {
        let (runtime, netns) = (self.runtime.runtime(), self.netns.as_deref());
        self.attachment.attachment(netns)?;
        let network = self.runtime.config.network(&self.network, output)?;
        let attachment = self.attachment.recorded_attachment(netns, &network, &runtime)?;
        Ok((runtime, network, attachment))
    }
}

fn given(option: Option<&String>) -> Option<&str> {
    option.map(String::as_str).filter(|text| !text.is_empty())
}

fn not_understood(variable: &str, error: &CniError) -> Failure {
    Failure::failed(format!("failed to understand {variable}: {error}"))
}

/// The path from the root, without `.` and `..`. It is not looked up, because it may be gone.
pub(crate) fn absolute(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let mut clean = PathBuf::new();
    for component in here.join(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean.to_string_lossy().into_owned()
}

/// The id that cnitool makes up: the beginning of the SHA-512 of the namespace's absolute path.
fn container_id(netns: &str) -> String {
    let digest = Sha512::digest(netns.as_bytes());
    let hex: Vec<String> = digest.iter().take(10).map(|byte| format!("{byte:02x}")).collect();
    format!("cnitool-{}", hex.concat())
}

/// A hint for a namespace that is not there, when its name alone was given.
pub(crate) fn netns_hint(netns: &Path) -> Option<String> {
    let named = Path::new("/run/netns").join(netns.file_name()?);
    let is_missing = fs::symlink_metadata(netns).is_err() && named.exists();
    is_missing.then(|| format!("{} is no file; did you mean {}?", netns.display(), named.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn container_ids_are_those_of_cnitool() {
        // printf /run/netns/c1 | sha512sum | cut -c1-20
        assert_eq!(container_id("/run/netns/c1"), "cnitool-20b4ff582526573bbe7d");
    }

    #[test]
    fn paths_become_absolute_without_being_looked_up() {
        assert_eq!(absolute(Path::new("/run/./netns/../netns//c1")), "/run/netns/c1");
        assert_eq!(absolute(Path::new("/../c1")), "/c1");
        let here = std::env::current_dir().unwrap();
        assert_eq!(absolute(Path::new("c1")), here.join("c1").to_str().unwrap());
    }

    #[test]
    fn deadlines_are_positive_numbers_of_seconds() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1500)));
        for text in ["0", "-1", "x", "inf"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
