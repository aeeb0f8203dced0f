//! Reading JSON as the Go decoder reads it: section 1.4 of our reference.
//!
//! Keys match in any letter case, `null` is the same as absent, duplicate keys are legal
//! and the last one wins. It must never print.

use crate::error::{CniError, ErrorCode};
use serde_json::error::Category;
use serde_json::{Map, Value};

pub use crate::duplicates::duplicate_keys;

/// Parses a network configuration.
///
/// # Errors
///
/// Code 6 `error unmarshall network config: …` for empty, truncated or malformed text
/// and for anything after the value.
pub fn parse_json(bytes: &[u8]) -> Result<Value, CniError> {
    decode(bytes).map_err(|text| {
        CniError::new(ErrorCode::Decode, format!("error unmarshall network config: {text}"))
    })
}

/// Parses any JSON text; the error is the decoder's sentence without a prefix.
///
/// Bytes that are not UTF-8 become replacement characters, as they do in Go.
pub fn decode(bytes: &[u8]) -> Result<Value, String> {
    let text = String::from_utf8_lossy(bytes);
    serde_json::from_str(&text).map_err(|error| decoder_text(&text, &error))
}

/// Finds a key: the exact spelling first, then any letter case. `null` is absent.
pub fn lookup<'v>(object: &'v Map<String, Value>, key: &str) -> Option<&'v Value> {
    let exact = object.get(key).filter(|value| !value.is_null());
    exact.or_else(|| {
        object
            .iter()
            .filter(|(name, value)| name.eq_ignore_ascii_case(key) && !value.is_null())
            .map(|(_, value)| value)
            .next_back()
    })
}

/// Rewords the two errors people meet most in the words they know.
fn decoder_text(text: &str, error: &serde_json::Error) -> String {
    if error.classify() == Category::Eof {
        return "unexpected end of JSON input".to_owned();
    }
    let message = error.to_string();
    let Some(character) = character_at(text, error.line(), error.column()) else {
        return message;
    };
    if message.starts_with("trailing characters") {
        return format!("invalid character '{character}' after top-level value");
    }
    if message.starts_with("expected value") {
        return format!("invalid character '{character}' looking for beginning of value");
    }
    message
}

/// The character at a position that counts lines and bytes from one.
fn character_at(text: &str, line: usize, column: usize) -> Option<char> {
    let line = text.split('\n').nth(line.checked_sub(1)?)?;
    line.get(column.checked_sub(1)?..)?.chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_one_json_value_is_refused_with_code_6() {
        for (text, expected) in [
            ("", "unexpected end of JSON input"),
            ("  \n", "unexpected end of JSON input"),
            (r#"{"name": "#, "unexpected end of JSON input"),
            (r#"{"name": "x""#, "unexpected end of JSON input"),
            ("{} x", "invalid character 'x' after top-level value"),
            ("{}\n}", "invalid character '}' after top-level value"),
            ("garbage", "invalid character 'g' looking for beginning of value"),
        ] {
            let error = parse_json(text.as_bytes()).unwrap_err();
            assert_eq!(error.code, 6);
            assert_eq!(error.msg, format!("error unmarshall network config: {expected}"));
        }
    }

    #[test]
    fn the_last_of_duplicate_keys_wins() {
        assert_eq!(parse_json(br#"{"a": 1, "a": 2}"#).unwrap(), json!({"a": 2}));
    }

    #[test]
    fn bytes_that_are_not_utf8_are_replaced() {
        assert_eq!(parse_json(b"\"a\xffb\"").unwrap(), json!("a\u{fffd}b"));
    }

    #[test]
    fn keys_are_found_in_any_letter_case_but_the_exact_one_first() {
        let value = json!({"BRIDGE": "upper", "bridge": "exact", "ipMasq": null, "IPMASQ": true});
        let object = value.as_object().unwrap();
        assert_eq!(lookup(object, "bridge"), Some(&json!("exact")));
        assert_eq!(lookup(object, "Bridge"), Some(&json!("exact")));
        assert_eq!(lookup(object, "ipMasq"), Some(&json!(true)));
        assert_eq!(lookup(object, "mtu"), None);
    }
}
