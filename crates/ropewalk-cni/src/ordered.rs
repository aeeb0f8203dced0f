//! A JSON tree that keeps the order of its keys, and its printer.
//!
//! CNI output has a fixed key order that differs between versions, four blanks of
//! indentation and HTML-safe escapes. `serde_json` promises none of the three, so this
//! module prints. It must never parse.

use serde_json::{Map, Number, Value};
use std::fmt::Write as _;

/// One JSON value whose objects keep the order they were built in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Text(String),
    Number(Number),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
    /// Anything else, taken as it is.
    Other(Value),
}

impl From<&Value> for Node {
    /// Keys come out sorted, whatever order the map has.
    fn from(value: &Value) -> Node {
        match value {
            Value::String(text) => Node::Text(text.clone()),
            Value::Number(number) => Node::Number(number.clone()),
            Value::Array(items) => Node::Array(items.iter().map(Node::from).collect()),
            Value::Object(map) => {
                let pairs = map.iter().map(|(key, value)| (key.clone(), Node::from(value)));
                Node::Object(pairs.collect()).sorted()
            }
            Value::Null | Value::Bool(_) => Node::Other(value.clone()),
        }
    }
}

impl Node {
    /// A text node.
    pub(crate) fn text(text: impl Into<String>) -> Node {
        Node::Text(text.into())
    }

    /// A number node.
    pub(crate) fn number(number: impl Into<Number>) -> Node {
        Node::Number(number.into())
    }

    /// The same tree with the keys of every object in alphabetical order.
    pub(crate) fn sorted(self) -> Node {
        match self {
            Node::Array(items) => Node::Array(items.into_iter().map(Node::sorted).collect()),
            Node::Object(pairs) => {
                let mut pairs: Vec<(String, Node)> =
                    pairs.into_iter().map(|(key, node)| (key, node.sorted())).collect();
                pairs.sort_by(|left, right| left.0.cmp(&right.0));
                Node::Object(pairs)
            }
            scalar @ (Node::Text(_) | Node::Number(_) | Node::Other(_)) => scalar,
        }
    }

    /// The same tree as a `serde_json` value, which forgets the order.
    pub(crate) fn into_value(self) -> Value {
        match self {
            Node::Text(text) => Value::String(text),
            Node::Number(number) => Value::Number(number),
            Node::Array(items) => Value::Array(items.into_iter().map(Node::into_value).collect()),
            Node::Object(pairs) => {
                let pairs = pairs.into_iter().map(|(key, node)| (key, node.into_value()));
                Value::Object(pairs.collect::<Map<String, Value>>())
            }
            Node::Other(value) => value,
        }
    }

    /// Prints with an indentation of four blanks and no newline at the end.
    pub(crate) fn pretty(&self) -> String {
        let mut text = String::new();
        print(&mut text, self, Layout::Indented { depth: 0 });
        text
    }

    /// Prints on one line without blanks.
    pub(crate) fn compact(&self) -> String {
        let mut text = String::new();
        print(&mut text, self, Layout::Compact);
        text
    }
}

#[derive(Clone, Copy)]
enum Layout {
    Compact,
    Indented { depth: usize },
}

impl Layout {
    fn deeper(self) -> Layout {
        match self {
            Layout::Compact => Layout::Compact,
            Layout::Indented { depth } => Layout::Indented { depth: depth + 1 },
        }
    }

    fn break_line(self, text: &mut String) {
        if let Layout::Indented { depth } = self {
            text.push('\n');
            text.push_str(&"    ".repeat(depth));
        }
    }

    fn colon(self) -> &'static str {
        match self {
            Layout::Compact => ":",
            Layout::Indented { .. } => ": ",
        }
    }
}

fn print(text: &mut String, node: &Node, layout: Layout) {
    match node {
        Node::Text(content) => print_string(text, content),
        Node::Number(number) => print_number(text, number),
        Node::Other(value) => text.push_str(&value.to_string()),
        Node::Array(items) if items.is_empty() => text.push_str("[]"),
        Node::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                start_element(text, index, layout.deeper());
                print(text, item, layout.deeper());
            }
            layout.break_line(text);
            text.push(']');
        }
        Node::Object(pairs) if pairs.is_empty() => text.push_str("{}"),
        Node::Object(pairs) => {
            text.push('{');
            for (index, (key, item)) in pairs.iter().enumerate() {
                start_element(text, index, layout.deeper());
                print_string(text, key);
                text.push_str(layout.colon());
                print(text, item, layout.deeper());
            }
            layout.break_line(text);
            text.push('}');
        }
    }
}

fn start_element(text: &mut String, index: usize, layout: Layout) {
    if index > 0 {
        text.push(',');
    }
    layout.break_line(text);
}

/// Prints whole numbers without a fraction even when they were written with one, as a
/// float64 round trip does.
fn print_number(text: &mut String, number: &Number) {
    let whole = number
        .as_f64()
        .filter(|float| number.is_f64() && float.fract() == 0.0 && float.abs() < 1e21);
    // Writing to a String cannot fail.
    let _ = match whole {
        Some(float) => write!(text, "{float:.0}"),
        None => write!(text, "{number}"),
    };
}

fn print_string(text: &mut String, content: &str) {
    text.push('"');
    for character in content.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\u{:04x}", u32::from(character));
            }
            _ => text.push(character),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn indentation_is_four_blanks_and_empty_things_stay_on_their_line() {
        let node = Node::from(&json!({"b": [1, "x"], "a": {}, "c": []}));
        let expected =
            "{\n    \"a\": {},\n    \"b\": [\n        1,\n        \"x\"\n    ],\n    \"c\": []\n}";
        assert_eq!(node.pretty(), expected);
        assert_eq!(node.compact(), r#"{"a":{},"b":[1,"x"],"c":[]}"#);
    }

    #[test]
    fn strings_are_escaped_so_that_they_are_safe_in_html() {
        for (content, expected) in [
            ("<a> & b", r#""\u003ca\u003e \u0026 b""#),
            ("\u{2028}\u{2029}", r#""\u2028\u2029""#),
            ("\"\\\n\r\t", r#""\"\\\n\r\t""#),
            ("\u{1}ü", "\"\\u0001ü\""),
        ] {
            assert_eq!(Node::text(content).compact(), expected);
        }
    }

    #[test]
    fn whole_numbers_lose_their_fraction() {
        let node = Node::from(&json!([1.0, 1.5, 0.0, -2, 18_446_744_073_709_551_615_u64, null]));
        assert_eq!(node.compact(), "[1,1.5,0,-2,18446744073709551615,null]");
    }

    #[test]
    fn order_is_kept_until_sorting_is_asked_for() {
        let node = Node::Object(vec![
            ("b".to_owned(), Node::number(1)),
            ("a".to_owned(), Node::Array(vec![Node::Other(json!(true))])),
        ]);
        assert_eq!(node.compact(), r#"{"b":1,"a":[true]}"#);
        assert_eq!(node.clone().sorted().compact(), r#"{"a":[true],"b":1}"#);
        assert_eq!(node.into_value(), json!({"a": [true], "b": 1}));
    }
}
