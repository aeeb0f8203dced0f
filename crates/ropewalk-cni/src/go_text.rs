//! Text in the shape Go programs print it, because tools match those messages.
//!
//! It must never be used for text that is ours alone.

use serde_json::Value;
use std::fmt::Write as _;

/// Quotes text the way Go's `%q` does.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        quote_character(&mut quoted, character);
    }
    quoted.push('"');
    quoted
}

fn quote_character(quoted: &mut String, character: char) {
    let short = match character {
        '"' => "\\\"",
        '\\' => "\\\\",
        '\u{7}' => "\\a",
        '\u{8}' => "\\b",
        '\u{c}' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\u{b}' => "\\v",
        _ => {
            let number = u32::from(character);
            let printable = character == ' ' || !(character.is_control() || is_blank(character));
            // Writing to a String cannot fail.
            let _ = match number {
                _ if printable => write!(quoted, "{character}"),
                0..=0x7f => write!(quoted, "\\x{number:02x}"),
                0x80..=0xffff => write!(quoted, "\\u{number:04x}"),
                _ => write!(quoted, "\\U{number:08x}"),
            };
            return;
        }
    };
    quoted.push_str(short);
}

/// Characters that are not control characters and still leave no ink.
fn is_blank(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{200b}'..='\u{200f}' | '\u{feff}')
}

/// Prints a list the way Go's `%q` does: `["a" "b"]`.
pub(crate) fn quote_list<T: AsRef<str>>(items: &[T]) -> String {
    let quoted: Vec<String> = items.iter().map(|item| quote(item.as_ref())).collect();
    format!("[{}]", quoted.join(" "))
}

/// Prints a list the way Go's `%v` does: `[a b]`.
pub(crate) fn plain_list<T: AsRef<str>>(items: &[T]) -> String {
    let plain: Vec<&str> = items.iter().map(AsRef::as_ref).collect();
    format!("[{}]", plain.join(" "))
}

/// The name of the Go type a JSON value decodes to when nothing else was asked for.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// How the Go decoder calls a JSON value that has the wrong kind.
pub(crate) fn kind_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_escapes_what_go_escapes() {
        for (text, expected) in [
            ("plain", r#""plain""#),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("line\nend\t", r#""line\nend\t""#),
            ("\u{1}\u{7f}", r#""\x01\x7f""#),
            ("ü €", r#""ü €""#),
            ("\u{a0}", r#""\u00a0""#),
        ] {
            assert_eq!(quote(text), expected);
        }
    }

    #[test]
    fn lists_are_separated_by_blanks() {
        assert_eq!(quote_list(&["a", "b"]), r#"["a" "b"]"#);
        assert_eq!(plain_list(&["a", "b"]), "[a b]");
        assert_eq!(plain_list::<&str>(&[]), "[]");
    }
}
