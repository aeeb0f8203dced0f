//! Finding duplicate keys in JSON text, which the parsed tree no longer shows.
//!
//! The tuning plugin must refuse a `sysctl` object that names a key twice. The scanner
//! expects text the real decoder has accepted; it must never be the one to judge syntax.

use std::collections::BTreeSet;

/// Whether the object that `pointer` leads to names a key twice.
///
/// The steps of the pointer are object keys and match in any letter case; the keys
/// compared are exact. A pointer that leads nowhere, or not to an object, has none.
pub fn duplicate_keys(text: &str, pointer: &[&str]) -> bool {
    let mut scanner = Scanner { text, position: 0 };
    scanner.object_repeats(pointer).unwrap_or(false)
}

struct Scanner<'t> {
    text: &'t str,
    position: usize,
}

impl Scanner<'_> {
    /// Reads the object at the position; `None` where there is none or it is broken.
    fn object_repeats(&mut self, pointer: &[&str]) -> Option<bool> {
        if self.peek()? != b'{' {
            return None;
        }
        self.position += 1;
        let mut seen = BTreeSet::new();
        let mut repeats = false;
        while self.peek()? == b'"' {
            let key = self.string()?;
            if self.peek()? != b':' {
                return None;
            }
            self.position += 1;
            match pointer {
                [] => {
                    repeats |= !seen.insert(key);
                    self.skip_value()?;
                }
                [step, rest @ ..] if key.eq_ignore_ascii_case(step) && self.peek()? == b'{' => {
                    repeats |= self.object_repeats(rest)?;
                }
                [_, ..] => self.skip_value()?,
            }
            if self.peek()? == b',' {
                self.position += 1;
            }
        }
        self.position += 1;
        Some(repeats)
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.position..)?;
        self.position += rest.iter().position(|byte| !byte.is_ascii_whitespace())?;
        self.text.as_bytes().get(self.position).copied()
    }

    /// Reads a string and undoes its escapes.
    fn string(&mut self) -> Option<String> {
        let start = self.position;
        self.skip_string()?;
        serde_json::from_str(self.text.get(start..self.position)?).ok()
    }

    fn skip_string(&mut self) -> Option<()> {
        let mut escaped = false;
        for (offset, byte) in self.text.as_bytes().get(self.position..)?.iter().enumerate().skip(1)
        {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    self.position += offset + 1;
                    return Some(());
                }
                _ => {}
            }
        }
        None
    }

    /// Skips one value of any kind without recursion, however deep it is.
    fn skip_value(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => self.skip_string()?,
                b'{' | b'[' => {
                    depth += 1;
                    self.position += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.position += 1;
                }
                b',' | b':' => self.position += 1,
                _ => self.skip_word(),
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// Skips a number, `true`, `false` or `null`.
    fn skip_word(&mut self) {
        let rest = self.text.as_bytes().get(self.position..).unwrap_or_default();
        let ends = |byte: &u8| byte.is_ascii_whitespace() || b",:]}\"{[".contains(byte);
        self.position += rest.iter().position(ends).unwrap_or(rest.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, pointer: &[&str], expected: bool) {
        assert_eq!(duplicate_keys(text, pointer), expected, "{text} at {pointer:?}");
    }

    #[test]
    fn a_key_named_twice_is_found_where_the_pointer_leads() {
        check(r#"{"sysctl": {"a": "1", "b": [1, {"x": "}"}], "a": "2"}}"#, &["sysctl"], true);
        check(r#"{"SysCtl": {"a": "1", "\u0061": "2"}}"#, &["sysctl"], true);
        check(r#"{"a": 1, "a": 2}"#, &[], true);
        check(r#"{"args": {"cni": {"k": null, "k": true}}}"#, &["args", "cni"], true);
    }

    #[test]
    fn duplicates_elsewhere_do_not_count() {
        check(r#"{"a": 1, "a": 2, "sysctl": {"a": 1}}"#, &["sysctl"], false);
        check(r#"{"sysctl": {"a": {"k": 1, "k": 2}, "b": {"k": 1}}}"#, &["sysctl"], false);
        check(r#"{"x": {"sysctl": {"a": 1, "a": 2}}}"#, &["sysctl"], false);
        check(r#"{"sysctl": {"a": 1, "A": 2}}"#, &["sysctl"], false);
    }

    #[test]
    fn a_pointer_that_leads_nowhere_finds_nothing() {
        for text in ["", "5", "[]", "{}", r#"{"sysctl": 5}"#, r#"{"sysctl": {"a": 1, "a""#] {
            check(text, &["sysctl"], false);
        }
    }
}
