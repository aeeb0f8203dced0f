//! Why a verb failed: which plugin, what it said, and what was done about it.
//!
//! The texts are libcni's where it has one, because people search for them. It must never lose a
//! plugin's own error code.

use std::fmt;

use ropewalk_cni::{AttachmentId, CniError, Command, ErrorCode, PluginConfig};

use crate::cache::CacheError;

/// One plugin that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginFailure {
    /// What it was asked to do.
    pub verb: Command,
    /// The name of its executable.
    pub plugin_type: String,
    /// How messages name it: `plugin type="x" name="y"`.
    pub plugin: String,
    /// What it said, or why it could not be asked.
    pub error: CniError,
    /// What it wrote to standard error before it failed.
    pub stderr: String,
}

impl PluginFailure {
    pub(crate) fn new(verb: Command, plugin: &PluginConfig, error: CniError) -> Box<Self> {
        Box::new(Self {
            verb,
            plugin_type: plugin.plugin_type.clone(),
            plugin: plugin.describe(),
            error,
            stderr: String::new(),
        })
    }
}

impl fmt::Display for PluginFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (plugin, error) = (&self.plugin, &self.error);
        match self.verb {
            Command::Add => write!(formatter, "{plugin} failed (add): {error}"),
            Command::Del => write!(formatter, "{plugin} failed (delete): {error}"),
            Command::Gc => write!(formatter, "failed to GC plugin {}: {error}", self.plugin_type),
            Command::Check | Command::Status | Command::Version => error.fmt(formatter),
        }
    }
}

impl std::error::Error for PluginFailure {}

/// What became of the plugins that ran before the one that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rollback {
    /// All of them, and the one that failed, were deleted.
    Complete,
    /// These could not be deleted.
    Incomplete(Vec<PluginFailure>),
    /// Nothing was deleted: the attachment was on record before and may be in use.
    AttachedBefore,
}

/// Why a verb failed.
#[derive(Debug)]
pub enum RuntimeError {
    /// The network or the attachment is not one a plugin could be asked about.
    Refused(CniError),
    /// ADD failed at a plugin.
    Add {
        /// The plugin.
        failure: Box<PluginFailure>,
        /// What became of the plugins before it.
        rollback: Rollback,
    },
    /// The plugins succeeded, and what came of it could not be kept.
    Unrecorded {
        /// Why not.
        reason: CacheError,
        /// What became of the plugins.
        rollback: Rollback,
    },
    /// One plugin failed CHECK or STATUS, and the rest was not asked.
    Plugin(Box<PluginFailure>),
    /// The records could not be read or removed.
    Cache(CacheError),
    /// GC could not delete an attachment that is not valid any more.
    Stale {
        /// The attachment.
        attachment: AttachmentId,
        /// Why not.
        reason: Box<RuntimeError>,
    },
    /// Everything that failed, where a failure is no reason to stop.
    Several(Vec<RuntimeError>),
}

impl RuntimeError {
    /// Nothing if nothing failed, else one failure alone or all together.
    pub(crate) fn collect(mut failures: Vec<RuntimeError>) -> Result<(), RuntimeError> {
        match failures.len() {
            0 => Ok(()),
            1 => Err(failures.remove(0)),
            _ => Err(Self::Several(failures)),
        }
    }

    /// Every plugin that failed, without those of a rollback.
    pub fn plugins(&self) -> Vec<&PluginFailure> {
        match self {
            Self::Refused(_) | Self::Unrecorded { .. } | Self::Cache(_) => Vec::new(),
            Self::Add { failure, .. } | Self::Plugin(failure) => vec![failure],
            Self::Stale { reason, .. } => reason.plugins(),
            Self::Several(failures) => failures.iter().flat_map(Self::plugins).collect(),
        }
    }

    /// The error as the protocol knows it, with the code of the first plugin that failed.
    pub fn to_cni_error(&self) -> CniError {
        if let Self::Refused(error) = self {
            return error.clone();
        }
        let fallback = ErrorCode::Internal.number();
        let code = self.plugins().first().map_or(fallback, |failure| failure.error.code);
        CniError { code, msg: self.to_string(), details: String::new() }
    }

    /// Whether this user may not read or write the records.
    pub fn is_permission_denied(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Add { .. } | Self::Plugin(_) => false,
            Self::Unrecorded { reason, .. } | Self::Cache(reason) => reason.is_permission_denied(),
            Self::Stale { reason, .. } => reason.is_permission_denied(),
            Self::Several(failures) => failures.iter().any(Self::is_permission_denied),
        }
    }
}

impl fmt::Display for RuntimeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(formatter),
            Self::Add { failure, rollback } => write!(formatter, "{failure}{rollback}"),
            Self::Unrecorded { reason, rollback } => write!(formatter, "{reason}{rollback}"),
            Self::Plugin(failure) => failure.fmt(formatter),
            Self::Cache(error) => error.fmt(formatter),
            Self::Stale { attachment, reason } => {
                let AttachmentId { container_id, ifname } = attachment;
                write!(
                    formatter,
                    "failed to delete stale attachment {container_id} {ifname}: {reason}"
                )
            }
            Self::Several(failures) => write_lines(formatter, failures),
        }
    }
}

impl std::error::Error for RuntimeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Cache(reason) | Self::Unrecorded { reason, .. } => Some(reason),
            _ => None,
        }
    }
}

/// What follows the message of a failed ADD; nothing when all is as it was.
impl fmt::Display for Rollback {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete => Ok(()),
            Self::Incomplete(failures) => {
                formatter.write_str("\nnot everything could be undone:\n")?;
                write_lines(formatter, failures)
            }
            Self::AttachedBefore => formatter.write_str(
                "\nnothing was undone, because this attachment is on record already; \
                 hint: delete it first",
            ),
        }
    }
}

fn write_lines(formatter: &mut fmt::Formatter<'_>, lines: &[impl fmt::Display]) -> fmt::Result {
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    formatter.write_str(&lines.join("\n"))
}
