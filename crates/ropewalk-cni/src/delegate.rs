//! Running another plugin, without the running: which file, and what its answer means.
//!
//! Section "Plugin Delegation" of the CNI specification. It must never start a process
//! or look at a file; the caller brings answers to both.

use crate::error::{CniError, ErrorCode};
use crate::go_text::{kind_name, plain_list, quote, type_name};
use crate::json::decode;
use crate::result::CniResult;
use serde_json::Value;
use std::fmt;

/// How a plugin's process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitKind {
    /// It exited with this status; 0 is success.
    Status(i32),
    /// A signal ended it.
    Signal(i32),
    /// It could not be started, for this reason.
    NotStarted(String),
}

impl ExitKind {
    fn is_success(&self) -> bool {
        *self == ExitKind::Status(0)
    }
}

impl fmt::Display for ExitKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExitKind::Status(status) => write!(formatter, "exit status {status}"),
            ExitKind::Signal(number) => match signal_name(*number) {
                Some(name) => write!(formatter, "signal: {name}"),
                None => write!(formatter, "signal: signal {number}"),
            },
            ExitKind::NotStarted(reason) => formatter.write_str(reason),
        }
    }
}

fn signal_name(number: i32) -> Option<&'static str> {
    Some(match number {
        1 => "hangup",
        2 => "interrupt",
        3 => "quit",
        4 => "illegal instruction",
        6 => "aborted",
        7 => "bus error",
        8 => "floating point exception",
        9 => "killed",
        11 => "segmentation fault",
        13 => "broken pipe",
        14 => "alarm clock",
        15 => "terminated",
        _ => return None,
    })
}

/// Finds the executable of a plugin: the first directory that has a file of its name.
///
/// `exists` says whether a path is a regular file; nobody asks for its execute bit.
///
/// # Errors
///
/// Code 7 for an empty name or one with a slash, code 999 when nothing was found.
pub fn find_plugin(
    name: &str,
    directories: &[String],
    exists: impl Fn(&str) -> bool,
) -> Result<String, CniError> {
    if name.is_empty() {
        return Err(CniError::invalid_config("no plugin name provided"));
    }
    if name.contains('/') {
        return Err(CniError::invalid_config(format!("invalid plugin name: {name}")));
    }
    if directories.is_empty() {
        return Err(CniError::internal("no paths provided"));
    }
    let paths = directories.iter().map(|directory| join(directory, name));
    paths.into_iter().find(|path| exists(path)).ok_or_else(|| {
        let (name, directories) = (quote(name), plain_list(directories));
        CniError::internal(format!("failed to find plugin {name} in path {directories}"))
    })
}

fn join(directory: &str, name: &str) -> String {
    match directory.trim_end_matches('/') {
        "" if directory.is_empty() => name.to_owned(),
        trimmed => format!("{trimmed}/{name}"),
    }
}

/// Interprets what a plugin left behind after ADD.
///
/// The result's version is its own, else the configuration's. The caller copies the
/// plugin's standard error to its own on success.
///
/// # Errors
///
/// The plugin's own error object unchanged; code 0 when it failed without one; code 999
/// when it claims success and its output is not a result.
pub fn interpret(
    exit: &ExitKind,
    stdout: &[u8],
    stderr: &[u8],
    config_version: &str,
) -> Result<CniResult, CniError> {
    interpret_quiet(exit, stdout, stderr)?;
    let unmarshal = |reason| CniError::internal(reason).prefixed("failed to unmarshal raw result");
    let value = match decode(stdout).map_err(unmarshal)? {
        Value::Null => Value::Object(serde_json::Map::new()),
        object @ Value::Object(_) => object,
        other => {
            let kind = kind_name(&other);
            let wanted = type_name(&Value::Object(serde_json::Map::new()));
            let reason = format!("json: cannot unmarshal {kind} into Go value of type {wanted}");
            return Err(unmarshal(reason));
        }
    };
    CniResult::from_value(&value, config_version)
}

/// Interprets what a plugin left behind after a command that answers with nothing.
///
/// # Errors
///
/// As [`interpret`], but output after success does not matter.
pub fn interpret_quiet(exit: &ExitKind, stdout: &[u8], stderr: &[u8]) -> Result<(), CniError> {
    if exit.is_success() {
        return Ok(());
    }
    let unknown = |msg: String| Err(CniError::new(ErrorCode::Unknown, msg));
    match (stdout, stderr) {
        ([], []) => unknown(format!("netplugin failed with no error message: {exit}")),
        ([], stderr) => {
            unknown(format!("netplugin failed: {}", quote(&String::from_utf8_lossy(stderr))))
        }
        (stdout, _) => match read_error(stdout) {
            Ok(error) => Err(error),
            Err(reason) => {
                let output = quote(&String::from_utf8_lossy(stdout));
                unknown(format!(
                    "netplugin failed but error parsing its diagnostic message {output}: {reason}"
                ))
            }
        },
    }
}

fn read_error(stdout: &[u8]) -> Result<CniError, String> {
    let value = decode(stdout)?;
    CniError::from_json(&value).ok_or_else(|| {
        let kind = kind_name(&value);
        format!("json: cannot unmarshal {kind} into Go value of type types.Error")
    })
}

#[cfg(test)]
mod tests;
