//! What went wrong, for a person and for a script: a sentence, a hint, an exit code.
//!
//! It must never print.

use std::fmt;

use ropewalk_runtime::{CacheError, FindError, RuntimeError};
use ropewalk_topology::shell::word;
use serde_json::{Value, json};

use crate::exit::Exit;

/// Why the command ends without having done what it was asked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// `failed to …`, naming the object and the reason.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    /// The plugins that failed, with what they wrote to standard error.
    pub(crate) plugins: Vec<Value>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None, plugins: Vec::new() }
    }

    /// An operation that failed.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// What the runtime reports; `action` completes "failed to".
    pub(crate) fn of_runtime(action: &str, error: &RuntimeError) -> Self {
        let message = format!("failed to {action}: {error}");
        let lower = message.to_lowercase();
        let sounds_forbidden =
            lower.contains("operation not permitted") || lower.contains("permission denied");
        let forbidden = error.is_permission_denied() || (sounds_forbidden && !is_root());
        let exit = if forbidden { Exit::NotPermitted } else { Exit::Failed };
        let failure = Self { plugins: plugins(error), ..Self::new(exit, message) };
        if forbidden {
            return failure.with_hint("run this command as root");
        }
        match hint(&lower) {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }

    /// A record or the folder of records that cannot be read.
    pub(crate) fn of_cache(error: &CacheError) -> Self {
        if error.is_permission_denied() {
            let failure = Self::new(Exit::NotPermitted, error.to_string());
            return failure.with_hint("run this command as root");
        }
        Self::failed(error.to_string())
    }

    /// A network that was not found.
    pub(crate) fn of_find(error: &FindError) -> Self {
        match error {
            FindError::Empty { .. } => {
                Self::new(Exit::NotFound, format!("failed to find a network: {error}")).with_hint(
                    "put a .conflist file there, or name another folder with --config-dir",
                )
            }
            FindError::NoSuchNetwork { name, known, .. } => {
                let message = format!("failed to find network {name:?}: {error}");
                let failure = Self::new(Exit::NotFound, message);
                if known.is_empty() {
                    failure
                } else {
                    failure.with_hint(format!("the networks there are {}", known.join(", ")))
                }
            }
            FindError::Broken(broken) => {
                let path = broken.path.to_string_lossy();
                Self::failed(format!("failed to load network: {error}"))
                    .with_hint(format!("run \"ropewalk lint {}\"", word(&path)))
            }
            FindError::Unreadable { kind, .. } => {
                let exit = match kind {
                    std::io::ErrorKind::PermissionDenied => Exit::NotPermitted,
                    _ => Exit::Failed,
                };
                Self::new(exit, error.to_string())
            }
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut object = json!({ "exit": self.exit.number(), "message": self.message });
        if let Some(hint) = &self.hint {
            object["hint"] = json!(hint);
        }
        if !self.plugins.is_empty() {
            object["plugins"] = json!(self.plugins);
        }
        json!({ "error": object })
    }

    /// What the plugins that failed wrote to standard error, line by line with their types.
    fn plugin_lines(&self) -> Vec<String> {
        let text = |plugin: &Value, key: &str| plugin[key].as_str().unwrap_or_default().to_owned();
        let lines = |plugin: &Value| -> Vec<String> {
            let kind = text(plugin, "type");
            text(plugin, "stderr").lines().map(|line| format!("{kind} wrote: {line}")).collect()
        };
        self.plugins.iter().flat_map(lines).collect()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)?;
        let lines = self.plugin_lines();
        for line in &lines {
            write!(formatter, "\n{line}")?;
        }
        let is_one_line = lines.is_empty() && !self.message.contains('\n');
        match &self.hint {
            Some(hint) if is_one_line => write!(formatter, "; hint: {hint}"),
            Some(hint) => write!(formatter, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

fn plugins(error: &RuntimeError) -> Vec<Value> {
    let plugin = |failure: &&ropewalk_runtime::PluginFailure| {
        json!({
            "type": failure.plugin_type,
            "verb": failure.verb.as_str(),
            "code": failure.error.code,
            "msg": failure.error.msg,
            "details": failure.error.details,
            "stderr": failure.stderr,
        })
    };
    error.plugins().iter().map(plugin).collect()
}

/// What to do about failures people meet often, told from their texts: plugins of all makers say
/// these the same way.
fn hint(lower: &str) -> Option<&'static str> {
    let table = [
        ("no paths provided", "say where plugins are with CNI_PATH or --plugin-dir"),
        ("failed to find plugin", "install it there, or name more folders in CNI_PATH"),
        ("no ip addresses available", "see who holds them with \"ropewalk show leases\""),
        ("did not finish within", "give it more time with --deadline"),
    ];
    table.iter().find(|(text, _)| lower.contains(text)).map(|(_, hint)| *hint)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
