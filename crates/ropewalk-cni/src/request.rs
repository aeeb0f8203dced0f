//! From environment variables and standard input to one [`Request`].
//!
//! The order of the checks is part of the interface: variables first, then the JSON,
//! then the network name, then the command, then the version. It must never read either
//! source itself.

use crate::error::{CniError, ErrorCode};
use crate::go_text::kind_name;
use crate::json::{lookup, parse_json};
use crate::names::{check_container_id, check_interface_name, check_network_name};
use crate::version::{Version, admit};
use serde_json::Value;
use std::fmt;

/// What a runtime can ask of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Command {
    /// Create or modify the interface.
    Add,
    /// Verify that what ADD did is still there.
    Check,
    /// Undo ADD.
    Del,
    /// Remove whatever belongs to attachments that are not listed any more.
    Gc,
    /// Say whether an ADD could be served.
    Status,
    /// Say which versions are supported.
    Version,
}

impl Command {
    /// Every command.
    pub const ALL: [Command; 6] = [
        Command::Add,
        Command::Check,
        Command::Del,
        Command::Gc,
        Command::Status,
        Command::Version,
    ];

    /// The value of `CNI_COMMAND`.
    pub fn as_str(self) -> &'static str {
        match self {
            Command::Add => "ADD",
            Command::Check => "CHECK",
            Command::Del => "DEL",
            Command::Gc => "GC",
            Command::Status => "STATUS",
            Command::Version => "VERSION",
        }
    }

    /// Reads the value of `CNI_COMMAND`, which must be in upper case.
    ///
    /// # Errors
    ///
    /// Code 4 `unknown CNI_COMMAND: …`.
    pub fn parse(text: &str) -> Result<Command, CniError> {
        Command::known(text).ok_or_else(|| {
            let msg = format!("unknown CNI_COMMAND: {text}");
            CniError::new(ErrorCode::InvalidEnvironment, msg)
        })
    }

    fn known(text: &str) -> Option<Command> {
        Command::ALL.into_iter().find(|command| command.as_str() == text)
    }

    /// The variables that must not be empty, besides `CNI_COMMAND`.
    fn required_variables(self) -> &'static [&'static str] {
        match self {
            Command::Add | Command::Check => {
                &["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"]
            }
            Command::Del => &["CNI_CONTAINERID", "CNI_IFNAME", "CNI_PATH"],
            Command::Gc | Command::Status => &["CNI_PATH"],
            Command::Version => &[],
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The CNI variables as they were found; a variable that is not set is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `CNI_COMMAND`
    pub command: String,
    /// `CNI_CONTAINERID`
    pub container_id: String,
    /// `CNI_NETNS`
    pub netns: String,
    /// `CNI_IFNAME`
    pub ifname: String,
    /// `CNI_ARGS`
    pub args: String,
    /// `CNI_PATH`
    pub path: String,
    /// `CNI_NETNS_OVERRIDE`
    pub netns_override: String,
}

impl Environment {
    /// Collects the variables through a look-up such as `|name| std::env::var(name).ok()`.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Environment {
        let variable = |name| lookup(name).unwrap_or_default();
        Environment {
            command: variable("CNI_COMMAND"),
            container_id: variable("CNI_CONTAINERID"),
            netns: variable("CNI_NETNS"),
            ifname: variable("CNI_IFNAME"),
            args: variable("CNI_ARGS"),
            path: variable("CNI_PATH"),
            netns_override: variable("CNI_NETNS_OVERRIDE"),
        }
    }

    fn variable(&self, name: &str) -> &str {
        match name {
            "CNI_CONTAINERID" => &self.container_id,
            "CNI_NETNS" => &self.netns,
            "CNI_IFNAME" => &self.ifname,
            _ => &self.path,
        }
    }
}

/// Whether nobody gave a command, so that the plugin should introduce itself.
pub fn wants_about(environment: &Environment) -> bool {
    environment.command.is_empty()
}

/// Checks the variables, which comes before standard input is read.
///
/// The answer is the command, or `None` for one that is not known: that is an error too,
/// but the specification's implementation reports it after the configuration, so
/// [`Request::parse`] does.
///
/// # Errors
///
/// Code 4. A malformed container id or interface name is reported before missing
/// variables are, which are reported all at once.
pub fn validate(environment: &Environment) -> Result<Option<Command>, CniError> {
    let mut missing = Vec::new();
    if environment.command.is_empty() {
        missing.push("CNI_COMMAND");
    }
    let command = Command::known(&environment.command);
    for name in command.map(Command::required_variables).unwrap_or_default() {
        match (*name, environment.variable(name)) {
            (_, "") => missing.push(name),
            ("CNI_CONTAINERID", id) => check_container_id(id)?,
            ("CNI_IFNAME", ifname) => check_interface_name(ifname)?,
            _ => {}
        }
    }
    if missing.is_empty() {
        return Ok(command);
    }
    let msg = format!("required env variables [{}] missing", missing.join(","));
    Err(CniError::new(ErrorCode::InvalidEnvironment, msg))
}

/// One well-formed request to a plugin.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What to do.
    pub command: Command,
    /// The container's id; empty for GC and STATUS.
    pub container_id: String,
    /// Path of the container's network namespace, as it was given; DEL may have none.
    pub netns: Option<String>,
    /// The interface's name inside the container; empty for GC and STATUS.
    pub ifname: String,
    /// `CNI_ARGS` as it was given; see [`crate::parse_args`].
    pub args: String,
    /// The directories of `CNI_PATH`, without empty ones.
    pub path: Vec<String>,
    /// Whether the plugin may work on its own network namespace.
    pub netns_override: bool,
    /// The whole configuration.
    pub raw: Value,
    /// The configuration's text, for delegates, which get it unchanged.
    pub stdin: String,
    /// The version to speak.
    pub version: Version,
    /// The network's name.
    pub network: String,
}

impl Request {
    /// Checks the variables, parses the configuration, and admits its version, in this
    /// order. VERSION does not come here.
    ///
    /// # Errors
    ///
    /// Those of [`validate`], [`parse_json`], [`network_name`], [`Command::parse`],
    /// [`config_version`] and [`admit`].
    pub fn parse(
        environment: Environment,
        stdin: &[u8],
        supported: &[Version],
    ) -> Result<Request, CniError> {
        validate(&environment)?;
        let raw = parse_json(stdin)?;
        let network = network_name(&raw)?;
        let command = Command::parse(&environment.command)?;
        let version = admit(command, &config_version(&raw)?, supported)?;
        let overridden = &environment.netns_override;
        Ok(Request {
            command,
            container_id: environment.container_id,
            netns: Some(environment.netns).filter(|path| !path.is_empty()),
            ifname: environment.ifname,
            args: environment.args,
            path: split_path(&environment.path),
            netns_override: overridden == "1" || overridden.eq_ignore_ascii_case("true"),
            raw,
            stdin: String::from_utf8_lossy(stdin).into_owned(),
            version,
            network,
        })
    }
}

/// Splits a list of directories at colons. Empty entries are dropped: elsewhere they
/// mean the current directory, which nobody wants to execute plugins from.
pub fn split_path(text: &str) -> Vec<String> {
    text.split(':').filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
}

/// The network name of a configuration.
///
/// # Errors
///
/// Code 6 when the configuration is not an object or the name not a string, code 7 when
/// the name is missing or malformed.
pub fn network_name(config: &Value) -> Result<String, CniError> {
    let name = string_of(config, "name")
        .map_err(|error| error.prefixed("error unmarshall network config"))?;
    check_network_name(&name)?;
    Ok(name)
}

/// The version a configuration asks for; 0.1.0 when it does not say.
///
/// # Errors
///
/// Code 6 when it is not a string.
pub fn config_version(config: &Value) -> Result<String, CniError> {
    let version = string_of(config, "cniVersion")
        .map_err(|error| error.prefixed("decoding version from network config"))?;
    Ok(if version.is_empty() { "0.1.0".to_owned() } else { version })
}

fn string_of(config: &Value, key: &str) -> Result<String, CniError> {
    let wrong = |value: &Value, place: &str| {
        let msg = format!("json: cannot unmarshal {} into {place}", kind_name(value));
        CniError::new(ErrorCode::Decode, msg)
    };
    let object = match config {
        Value::Object(object) => object,
        Value::Null => return Ok(String::new()),
        other => return Err(wrong(other, "Go value of type object")),
    };
    match lookup(object, key) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(wrong(other, &format!("field {key} of type string"))),
        None => Ok(String::new()),
    }
}

#[cfg(test)]
mod tests;
