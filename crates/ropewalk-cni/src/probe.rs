//! What a plugin's answer to VERSION means, seen from the runtime.
//!
//! Section "VERSION" of the CNI specification. It must never ask the plugin itself.

use crate::delegate::{ExitKind, interpret_quiet};
use crate::error::{CniError, ErrorCode};
use crate::fields::Fields;
use crate::json::decode;

/// Reads the versions a plugin supports, as texts: it may know versions we do not.
///
/// A plugin older than the VERSION command refuses it and supports 0.1.0 only. One that
/// names no supported versions and is of 0.2.0 supports 0.1.0 and 0.2.0.
///
/// # Errors
///
/// The plugin's own error when it failed otherwise, code 6 `decoding version info: …`
/// when its answer makes no sense.
pub fn supported_versions(
    exit: &ExitKind,
    stdout: &[u8],
    stderr: &[u8],
) -> Result<Vec<String>, CniError> {
    if let Err(error) = interpret_quiet(exit, stdout, stderr) {
        let predates = error.msg == "unknown CNI_COMMAND: VERSION";
        return if predates { Ok(vec!["0.1.0".to_owned()]) } else { Err(error) };
    }
    let senseless =
        |reason: &str| CniError::new(ErrorCode::Decode, format!("decoding version info: {reason}"));
    let value = decode(stdout).map_err(|reason| senseless(&reason))?;
    let fields = Fields::new(&value, "");
    let own = fields.string("cniVersion").unwrap_or_default();
    let supported = fields.strings("supportedVersions").unwrap_or_default();
    fields.finish().map_err(|errors| senseless(&errors[0].to_string()))?;
    match (own.as_str(), supported) {
        ("", _) => Err(senseless("missing field cniVersion")),
        ("0.2.0", none) if none.is_empty() => Ok(vec!["0.1.0".to_owned(), "0.2.0".to_owned()]),
        (_, none) if none.is_empty() => Err(senseless("missing field supportedVersions")),
        (_, supported) => Ok(supported),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::{ALL, version_document};

    #[track_caller]
    fn check(exit: &ExitKind, stdout: &str, expected: Result<&[&str], (u32, &str)>) {
        let found = supported_versions(exit, stdout.as_bytes(), b"");
        let found = found.as_deref().map_err(|error| (error.code, error.msg.as_str()));
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (found, expected) => assert_eq!(found.err(), expected.err()),
        }
    }

    #[test]
    fn our_own_answer_is_understood() {
        let all: Vec<&str> = ALL.iter().map(|version| version.as_str()).collect();
        check(&ExitKind::Status(0), &version_document(ALL), Ok(&all));
    }

    #[test]
    fn old_plugins_are_understood() {
        let refused = r#"{"code": 4, "msg": "unknown CNI_COMMAND: VERSION"}"#;
        check(&ExitKind::Status(1), refused, Ok(&["0.1.0"]));
        check(&ExitKind::Status(0), r#"{"cniVersion": "0.2.0"}"#, Ok(&["0.1.0", "0.2.0"]));
    }

    #[test]
    fn answers_without_sense_are_errors() {
        for (stdout, expected) in [
            ("{}", "decoding version info: missing field cniVersion"),
            (
                r#"{"cniVersion": "1.0.0"}"#,
                "decoding version info: missing field supportedVersions",
            ),
            ("", "decoding version info: unexpected end of JSON input"),
        ] {
            check(&ExitKind::Status(0), stdout, Err((6, expected)));
        }
        check(&ExitKind::Status(1), r#"{"code": 11, "msg": "no"}"#, Err((11, "no")));
    }
}
