//! The versions of the specification, and which commands they admit.
//!
//! Sections "Version considerations" and "VERSION" of the CNI specification. It must
//! never look at anything but version texts.

use crate::error::{CniError, ErrorCode};
use crate::go_text::{quote, quote_list};
use crate::ordered::Node;
use crate::request::Command;
use std::fmt;
use std::num::IntErrorKind;
use std::str::FromStr;

/// A published version of the CNI specification.
#[expect(missing_docs, reason = "the names are the versions")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    V0_1_0,
    V0_2_0,
    V0_3_0,
    V0_3_1,
    V0_4_0,
    V1_0_0,
    V1_1_0,
}

/// Every version, oldest first.
pub const ALL: &[Version] = &[
    Version::V0_1_0,
    Version::V0_2_0,
    Version::V0_3_0,
    Version::V0_3_1,
    Version::V0_4_0,
    Version::V1_0_0,
    Version::V1_1_0,
];

impl Version {
    /// The newest version this crate speaks.
    pub const NEWEST: Version = Version::V1_1_0;

    /// The text that stands in configurations.
    pub fn as_str(self) -> &'static str {
        match self {
            Version::V0_1_0 => "0.1.0",
            Version::V0_2_0 => "0.2.0",
            Version::V0_3_0 => "0.3.0",
            Version::V0_3_1 => "0.3.1",
            Version::V0_4_0 => "0.4.0",
            Version::V1_0_0 => "1.0.0",
            Version::V1_1_0 => "1.1.0",
        }
    }

    /// Reads a version text. Empty text means 0.1.0, which had no version key.
    pub fn parse(text: &str) -> Option<Version> {
        if text.is_empty() {
            return Some(Version::V0_1_0);
        }
        ALL.iter().copied().find(|version| version.as_str() == text)
    }

    /// The shape of results in this version.
    pub(crate) fn family(self) -> Family {
        match self {
            Version::V0_1_0 | Version::V0_2_0 => Family::OneAddressEach,
            Version::V0_3_0 | Version::V0_3_1 | Version::V0_4_0 => Family::VersionedAddresses,
            Version::V1_0_0 | Version::V1_1_0 => Family::Current,
        }
    }
}

/// Versions that share a result schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// `ip4` and `ip6`.
    OneAddressEach,
    /// `ips`, each with a `version` key.
    VersionedAddresses,
    /// `ips` without it.
    Current,
}

impl Family {
    /// The versions of this family, oldest first.
    pub(crate) fn versions(self) -> Vec<&'static str> {
        let members = ALL.iter().filter(|version| version.family() == self);
        members.map(|version| version.as_str()).collect()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Version {
    type Err = CniError;

    fn from_str(text: &str) -> Result<Version, CniError> {
        Version::parse(text).ok_or_else(|| {
            let msg = format!("unknown CNI version {}", quote(text));
            CniError::new(ErrorCode::IncompatibleVersion, msg)
        })
    }
}

fn texts(versions: &[Version]) -> Vec<&'static str> {
    versions.iter().map(|version| version.as_str()).collect()
}

/// The answer to the VERSION command, with its newline.
///
/// `cniVersion` is the newest version of this crate, whatever the plugin supports.
pub fn version_document(supported: &[Version]) -> String {
    let list = texts(supported).into_iter().map(Node::text).collect();
    let document = Node::Object(vec![
        ("cniVersion".to_owned(), Node::text(Version::NEWEST.as_str())),
        ("supportedVersions".to_owned(), Node::Array(list)),
    ]);
    document.compact() + "\n"
}

/// The two lines a plugin prints on standard error when nobody gave it a command.
///
/// An empty build version prints as `version unknown`.
pub fn about(name: &str, build_version: &str, supported: &[Version]) -> String {
    let build = if build_version.is_empty() { "version unknown" } else { build_version };
    let versions = texts(supported).join(", ");
    format!("CNI {name} plugin {build}\nCNI protocol versions supported: {versions}\n")
}

/// Decides whether a plugin may serve a command for a configuration.
///
/// ADD and DEL need the exact version in the plugin's list. CHECK needs a configuration
/// of 0.4.0 or newer, GC and STATUS one of 1.1.0 or newer; that floor is tested first.
/// An empty configuration version is 0.1.0.
///
/// # Errors
///
/// Code 1 when the versions do not fit, code 6 when the configuration's version has to
/// be compared and is not made of numbers.
pub fn admit(
    command: Command,
    config_version: &str,
    supported: &[Version],
) -> Result<Version, CniError> {
    let config_version = if config_version.is_empty() { "0.1.0" } else { config_version };
    let floor = match command {
        Command::Add | Command::Del | Command::Version => None,
        Command::Check => Some("0.4.0"),
        Command::Gc | Command::Status => Some("1.1.0"),
    };
    let Some(floor) = floor else {
        return find_supported(config_version, supported);
    };
    if !at_least(config_version, floor)? {
        return Err(does_not_allow("config", command));
    }
    for plugin_version in supported {
        if at_least(plugin_version.as_str(), config_version)? {
            return find_supported(config_version, supported);
        }
    }
    Err(does_not_allow("plugin", command))
}

fn find_supported(config_version: &str, supported: &[Version]) -> Result<Version, CniError> {
    let found = supported.iter().copied().find(|version| version.as_str() == config_version);
    found.ok_or_else(|| {
        let (config, plugin) = (quote(config_version), quote_list(&texts(supported)));
        CniError::new(ErrorCode::IncompatibleVersion, "incompatible CNI versions")
            .with_details(format!("config is {config}, plugin supports {plugin}"))
    })
}

fn does_not_allow(whose: &str, command: Command) -> CniError {
    let msg = format!("{whose} version does not allow {command}");
    CniError::new(ErrorCode::IncompatibleVersion, msg)
}

/// Whether a version text is numerically the same as another or newer.
///
/// Up to three numbers count, missing ones are zero, empty text is 0.1.0.
///
/// # Errors
///
/// Code 6 when either is not made of numbers.
pub fn at_least(version: &str, floor: &str) -> Result<bool, CniError> {
    let numbers =
        |text| parse_numbers(text).map_err(|reason| CniError::new(ErrorCode::Decode, reason));
    Ok(numbers(version)? >= numbers(floor)?)
}

/// The numbers of a version text, or the reason there are none.
pub(crate) fn parse_numbers(text: &str) -> Result<[i64; 3], String> {
    if text.is_empty() {
        return Ok([0, 1, 0]);
    }
    let parts: Vec<&str> = text.split('.').collect();
    if parts.len() > 3 {
        return Err(format!("invalid version {}: too many parts", quote(text)));
    }
    let mut numbers = [0; 3];
    for ((number, part), place) in numbers.iter_mut().zip(&parts).zip(["major", "minor", "micro"]) {
        *number = part.parse::<i64>().map_err(|error| {
            let reason = match error.kind() {
                IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
                _ => "invalid syntax",
            };
            let part = quote(part);
            format!(
                "failed to convert {place} version part {part}: \
                 strconv.Atoi: parsing {part}: {reason}"
            )
        })?;
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests;
