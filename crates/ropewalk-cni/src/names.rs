//! The rules for container ids, network names and interface names.
//!
//! Section "Parameters" of the CNI specification. Checks only; it must never change or
//! shorten a name.

use crate::error::{CniError, ErrorCode};

/// The longest interface name in bytes; the kernel keeps one more for the final zero.
const INTERFACE_NAME_BYTES: usize = 15;

/// Whether text is a container id: a letter or digit, then letters, digits, `_.-`.
pub fn valid_container_id(text: &str) -> bool {
    valid_identifier(text)
}

/// Whether text is a network name; the rule is the one for container ids.
pub fn valid_network_name(text: &str) -> bool {
    valid_identifier(text)
}

fn valid_identifier(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// Checks a container id.
///
/// # Errors
///
/// Code 3 when it is empty, code 4 with the id as details when it is malformed.
pub fn check_container_id(text: &str) -> Result<(), CniError> {
    if text.is_empty() {
        return Err(CniError::new(ErrorCode::UnknownContainer, "missing containerID"));
    }
    if valid_container_id(text) {
        return Ok(());
    }
    let msg = "invalid characters in containerID";
    Err(CniError::new(ErrorCode::InvalidEnvironment, msg).with_details(text))
}

/// Checks a network name.
///
/// # Errors
///
/// Code 7, with the name as details when it is malformed.
pub fn check_network_name(text: &str) -> Result<(), CniError> {
    if text.is_empty() {
        return Err(CniError::invalid_config("missing network name"));
    }
    if valid_network_name(text) {
        return Ok(());
    }
    let msg = "invalid characters found in network name";
    Err(CniError::invalid_config(msg).with_details(text))
}

/// Checks an interface name: not empty, at most 15 bytes, not `.` or `..`, and free of
/// `/`, `:` and white space.
///
/// # Errors
///
/// Code 4.
pub fn check_interface_name(text: &str) -> Result<(), CniError> {
    let invalid = |msg: &str| Err(CniError::new(ErrorCode::InvalidEnvironment, msg));
    if text.is_empty() {
        return invalid("interface name is empty");
    }
    if text.len() > INTERFACE_NAME_BYTES {
        let details = "interface name should be less than 16 characters";
        return invalid("interface name is too long").map_err(|error| error.with_details(details));
    }
    if text == "." || text == ".." {
        return invalid("interface name is . or ..");
    }
    if text.contains(|character: char| matches!(character, '/' | ':') || character.is_whitespace())
    {
        return invalid("interface name contains / or : or whitespace characters");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_start_with_a_letter_or_digit() {
        for text in ["a", "0", "a_b.c-d", "Z9", "cnitool-77383ca0"] {
            assert!(valid_container_id(text) && valid_network_name(text), "{text}");
        }
        for text in ["", "-abc", ".a", "_a", "a/b", "a b", "ü", "a\n"] {
            assert!(!valid_container_id(text) && !valid_network_name(text), "{text}");
        }
    }

    #[test]
    fn container_ids_are_refused_with_their_own_codes() {
        assert_eq!(check_container_id("c1"), Ok(()));
        let empty = check_container_id("").unwrap_err();
        assert_eq!((empty.code, empty.msg.as_str()), (3, "missing containerID"));
        let bad = check_container_id("-abc").unwrap_err();
        assert_eq!((bad.code, bad.msg.as_str()), (4, "invalid characters in containerID"));
        assert_eq!(bad.details, "-abc");
    }

    #[test]
    fn network_names_are_refused_with_code_7() {
        assert_eq!(check_network_name("lan"), Ok(()));
        assert_eq!(check_network_name("").unwrap_err().msg, "missing network name");
        let bad = check_network_name("a b").unwrap_err();
        assert_eq!((bad.code, bad.details.as_str()), (7, "a b"));
        assert_eq!(bad.msg, "invalid characters found in network name");
    }

    #[test]
    fn interface_names_follow_the_kernel() {
        let bad = "interface name contains / or : or whitespace characters";
        for (text, expected) in [
            ("eth0", None),
            ("123456789012345", None),
            ("1234567890123456", Some("interface name is too long")),
            ("üüüüüüüü", Some("interface name is too long")),
            ("", Some("interface name is empty")),
            (".", Some("interface name is . or ..")),
            ("..", Some("interface name is . or ..")),
            ("a/b", Some(bad)),
            ("a:b", Some(bad)),
            ("a b", Some(bad)),
            ("a\tb", Some(bad)),
            ("a\u{2003}b", Some(bad)),
        ] {
            let msg = check_interface_name(text).err().map(|error| error.msg);
            assert_eq!(msg.as_deref(), expected, "{text:?}");
        }
        let long = check_interface_name("1234567890123456").unwrap_err();
        assert_eq!(long.code, 4);
        assert_eq!(long.details, "interface name should be less than 16 characters");
    }
}
