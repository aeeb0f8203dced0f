//! The error object a plugin prints, and the codes the specification gives.
//!
//! Section "Error" of the CNI specification. It must never hold anything that does not
//! end up on standard output.

use crate::json::lookup;
use crate::ordered::Node;
use serde_json::Value;
use std::fmt;

/// The error codes this system emits. Codes of 100 and above belong to plugins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorCode {
    /// A plugin failed and did not say how.
    Unknown = 0,
    /// The configuration asks for a version the plugin does not speak.
    IncompatibleVersion = 1,
    /// A field of the configuration is known, but not supported.
    UnsupportedField = 2,
    /// The container is unknown or gone; the runtime need not clean up.
    UnknownContainer = 3,
    /// A necessary environment variable is missing or invalid.
    InvalidEnvironment = 4,
    /// Reading or writing failed.
    Io = 5,
    /// The content could not be decoded.
    Decode = 6,
    /// The configuration is invalid.
    InvalidConfig = 7,
    /// The network namespace is not one a plugin can work on.
    InvalidNetns = 8,
    /// Something transient is in the way; the runtime should try again.
    TryAgainLater = 11,
    /// STATUS: an ADD cannot be served now.
    NotAvailable = 50,
    /// STATUS: as [`ErrorCode::NotAvailable`], and existing containers may be affected.
    LimitedConnectivity = 51,
    /// Everything without a code of its own.
    Internal = 999,
}

impl ErrorCode {
    /// The number that goes over the wire.
    pub fn number(self) -> u32 {
        self as u32
    }
}

impl From<ErrorCode> for u32 {
    fn from(code: ErrorCode) -> u32 {
        code.number()
    }
}

/// A CNI error object.
///
/// The code is a plain number because delegates may use codes of their own, which are
/// passed on unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CniError {
    /// What kind of failure it is, see [`ErrorCode`].
    pub code: u32,
    /// One sentence for a person; tools match on it.
    pub msg: String,
    /// More of the same, possibly empty.
    pub details: String,
}

impl CniError {
    /// An error without details.
    pub fn new(code: ErrorCode, msg: impl Into<String>) -> Self {
        CniError { code: code.number(), msg: msg.into(), details: String::new() }
    }

    /// The same error with other details.
    #[must_use]
    pub fn with_details(self, details: impl Into<String>) -> Self {
        CniError { details: details.into(), ..self }
    }

    /// An error with code 999.
    pub fn internal(msg: impl Into<String>) -> Self {
        CniError::new(ErrorCode::Internal, msg)
    }

    /// An error with code 7.
    pub fn invalid_config(msg: impl Into<String>) -> Self {
        CniError::new(ErrorCode::InvalidConfig, msg)
    }

    /// The same error with a prefix and a colon before its message.
    #[must_use]
    pub fn prefixed(self, prefix: impl fmt::Display) -> Self {
        CniError { msg: format!("{prefix}: {}", self.msg), ..self }
    }

    /// The error object for standard output: indented by four blanks, keys in the order
    /// `code`, `msg`, `details`, no `details` when there are none, no newline at the end.
    pub fn to_json(&self) -> String {
        let mut pairs = vec![
            ("code".to_owned(), Node::number(self.code)),
            ("msg".to_owned(), Node::text(&self.msg)),
        ];
        if !self.details.is_empty() {
            pairs.push(("details".to_owned(), Node::text(&self.details)));
        }
        Node::Object(pairs).pretty()
    }

    /// Reads an error object. Missing keys count as zero and empty, as everywhere in
    /// CNI; the answer is `None` for anything that is not an object, or one with keys of
    /// the wrong type.
    pub fn from_json(value: &Value) -> Option<Self> {
        let object = value.as_object()?;
        let code = match lookup(object, "code") {
            Some(code) => u32::try_from(code.as_u64()?).ok()?,
            None => 0,
        };
        let text = |key| match lookup(object, key) {
            Some(value) => value.as_str().map(str::to_owned),
            None => Some(String::new()),
        };
        Some(CniError { code, msg: text("msg")?, details: text("details")? })
    }
}

impl fmt::Display for CniError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.msg)?;
        if !self.details.is_empty() {
            write!(formatter, "; {}", self.details)?;
        }
        Ok(())
    }
}

impl std::error::Error for CniError {}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_error_is_printed_with_four_blanks_and_without_a_newline() {
        let error = CniError::new(ErrorCode::InvalidEnvironment, "bad").with_details("why");
        let expected = "{\n    \"code\": 4,\n    \"msg\": \"bad\",\n    \"details\": \"why\"\n}";
        assert_eq!(error.to_json(), expected);
    }

    #[test]
    fn empty_details_are_not_printed() {
        let expected = "{\n    \"code\": 999,\n    \"msg\": \"bad\"\n}";
        assert_eq!(CniError::internal("bad").to_json(), expected);
    }

    #[test]
    fn messages_are_escaped_for_html() {
        let text = CniError::internal("a < b & c > d").to_json();
        assert!(text.contains(r"a \u003c b \u0026 c \u003e d"), "{text}");
    }

    #[test]
    fn printed_errors_can_be_read_back() {
        let error = CniError { code: 111, msg: "<x>".into(), details: "\u{2028}".into() };
        let value: Value = serde_json::from_str(&error.to_json()).unwrap();
        assert_eq!(CniError::from_json(&value), Some(error));
    }

    #[test]
    fn only_objects_with_the_right_types_are_errors() {
        for value in [json!("x"), json!([]), json!({"code": "1"}), json!({"code": 1, "msg": 5})] {
            assert_eq!(CniError::from_json(&value), None, "{value}");
        }
        let empty = CniError::from_json(&json!({}));
        assert_eq!(empty, Some(CniError::default()));
    }

    #[test]
    fn display_is_the_message_and_then_the_details() {
        let error = CniError::invalid_config("bad").prefixed("list");
        assert_eq!(error.to_string(), "list: bad");
        assert_eq!(error.with_details("n p").to_string(), "list: bad; n p");
    }
}
